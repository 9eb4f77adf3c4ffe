//! Inputs to try kernels on: random, sane, the same everywhere.

use half::f16;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{Built, Role};
use crate::format::{Q4K, Q6K, Q8KPlanar, SUPERBLOCK, TensorType};
use crate::precision::Act;
use crate::reference;

impl Built {
    /// Bytes for every parameter, zeros for outputs.
    pub fn sample_inputs(&self, seed: u64) -> Vec<Vec<u8>> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        self.params
            .iter()
            .map(|p| {
                let bytes = usize::try_from(p.bytes).unwrap_or(usize::MAX);
                match p.role {
                    Role::Weights(ty) => weights(&mut rng, ty, bytes),
                    Role::Activations(Act::F32) => floats(&mut rng, bytes / 4),
                    Role::Activations(Act::Q8K) => q8k(&mut rng, bytes),
                    Role::ExpertIds { count } => distinct(&mut rng, count, bytes / 4),
                    Role::Routing => floats(&mut rng, bytes / 4),
                    Role::Output => vec![0; bytes],
                }
            })
            .collect()
    }
}

/// In -1..1.
fn unit(rng: &mut ChaCha8Rng) -> f32 {
    (rng.next_u32() >> 8) as f32 / (1u32 << 23) as f32 - 1.0
}

fn floats(rng: &mut ChaCha8Rng, n: usize) -> Vec<u8> {
    (0..n).flat_map(|_| unit(rng).to_le_bytes()).collect()
}

fn q8k(rng: &mut ChaCha8Rng, bytes: usize) -> Vec<u8> {
    // 256 quants, a scale and 16 sums; a vector of more than one block ends
    // with up to 15 bytes of padding.
    let blocks = bytes / (SUPERBLOCK + 4 + 32);
    let quantized: Vec<_> = (0..blocks).map(|_| reference::quantize_q8k(&std::array::from_fn(|_| unit(rng)))).collect();
    let mut packed = Q8KPlanar::pack(&quantized);
    packed.resize(bytes, 0);
    packed
}

/// Random blocks with positive scales of the size that trained weights have.
fn weights(rng: &mut ChaCha8Rng, ty: TensorType, bytes: usize) -> Vec<u8> {
    let mut all = vec![0; bytes];
    rng.fill_bytes(&mut all);
    let mut scale = |size: f32| f16::from_f32((1.0 + 0.5 * unit(rng)) * size).to_le_bytes();
    match ty {
        TensorType::Q6_K => {
            for block in all.chunks_exact_mut(Q6K::BYTES) {
                block[Q6K::D..].copy_from_slice(&scale(1.5e-5));
            }
        }
        _ => {
            for block in all.chunks_exact_mut(Q4K::BYTES) {
                block[..2].copy_from_slice(&scale(1e-4));
                block[2..4].copy_from_slice(&scale(7.5e-4));
            }
        }
    }
    all
}

fn distinct(rng: &mut ChaCha8Rng, count: u32, n: usize) -> Vec<u8> {
    let mut ids: Vec<u32> = (0..count).collect();
    for i in (1..ids.len()).rev() {
        ids.swap(i, rng.next_u32() as usize % (i + 1));
    }
    ids.iter().cycle().take(n).flat_map(|i| i.to_le_bytes()).collect()
}
