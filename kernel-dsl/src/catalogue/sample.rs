//! Inputs to try kernels on: random, sane, the same everywhere.

use half::f16;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{Access, Built, Contents, ParamSpec, Words};
use crate::format::{Q8KPlanar, SUPERBLOCK, TensorType};
use crate::precision::Act;
use crate::reference;

impl Built {
    /// Bytes for every parameter, zeros for what is only written.
    pub fn sample_inputs(&self, seed: u64) -> Vec<Vec<u8>> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        self.params.iter().map(|p| sample(&mut rng, p)).collect()
    }
}

fn sample(rng: &mut ChaCha8Rng, p: &ParamSpec) -> Vec<u8> {
    let bytes = usize::try_from(p.bytes).unwrap_or(usize::MAX);
    if p.access == Access::Out {
        return vec![0; bytes];
    }
    match p.contents {
        Contents::Weights(ty) => weights(rng, ty, bytes),
        Contents::Activations(Act::Q8K) => {
            let count = p.vectors.max(1) as usize;
            (0..count).flat_map(|_| q8k(rng, bytes / count)).collect()
        }
        Contents::Activations(Act::F32) | Contents::F32 => floats(rng, bytes / 4),
        Contents::F16 => (0..bytes / 2).flat_map(|_| f16::from_f32(unit(rng)).to_le_bytes()).collect(),
        Contents::F64 | Contents::Logits => (0..bytes / 8).flat_map(|_| f64::from(unit(rng)).to_le_bytes()).collect(),
        Contents::Words(words) => integers(rng, words, bytes / 4).into_iter().flat_map(u32::to_le_bytes).collect(),
    }
}

fn integers(rng: &mut ChaCha8Rng, words: Words, n: usize) -> Vec<u32> {
    match words {
        Words::Distinct { below } => distinct(rng, below, n),
        Words::Below(below) => (0..n).map(|_| rng.next_u32() % below.max(1)).collect(),
        Words::Is(word) => vec![word; n],
        Words::Offsets { total } => {
            let mut starts: Vec<u32> = (0..n).map(|_| rng.next_u32() % (total + 1)).collect();
            starts.sort_unstable();
            if let (Some(first), true) = (starts.first_mut(), n > 1) {
                *first = 0;
            }
            if let Some(last) = starts.last_mut() {
                *last = total;
            }
            starts
        }
    }
}

/// In -1..1.
fn unit(rng: &mut ChaCha8Rng) -> f32 {
    (rng.next_u32() >> 8) as f32 / (1u32 << 23) as f32 - 1.0
}

fn floats(rng: &mut ChaCha8Rng, n: usize) -> Vec<u8> {
    (0..n).flat_map(|_| unit(rng).to_le_bytes()).collect()
}

/// A vector of this many bytes.
fn q8k(rng: &mut ChaCha8Rng, bytes: usize) -> Vec<u8> {
    // 256 quants, a scale and 16 sums; the parts of a vector are padded by less
    // than a block.
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
    match ty {
        TensorType::F32 => all = floats(rng, bytes / 4),
        TensorType::F16 => {
            all.chunks_exact_mut(2).for_each(|b| b.copy_from_slice(&f16::from_f32(unit(rng)).to_le_bytes()));
        }
        TensorType::BF16 => {
            all.chunks_exact_mut(2).for_each(|b| b.copy_from_slice(&unit(rng).to_le_bytes()[2..]));
        }
        _ => ty.set_factors(&mut all, &mut |size| f16::from_f32((1.0 + 0.5 * unit(rng)) * size)),
    }
    all
}

fn distinct(rng: &mut ChaCha8Rng, count: u32, n: usize) -> Vec<u32> {
    let mut ids: Vec<u32> = (0..count).collect();
    for i in (1..ids.len()).rev() {
        ids.swap(i, rng.next_u32() as usize % (i + 1));
    }
    ids.into_iter().cycle().take(n).collect()
}
