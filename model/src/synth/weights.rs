//! Random blocks with scales like those of trained models.

use super::Synth;
use crate::{
    config::TensorKind,
    gguf::{GgufError, TensorType},
};
use half::{bf16, f16};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

/// Blocks of one random generator: the unit of work. A seed determines each unit.
const UNIT: usize = 2048;
/// Approximate number of bytes that are generated before they are written.
const BATCH: usize = 32 << 20;

/// The distribution of a tensor's weights.
#[derive(Clone, Copy)]
enum Weights {
    /// `1 + 0.1 N`
    Norm,
    /// `0.05 N`
    Router,
    /// About `0.02 N` to `0.03 N`, quantized with uniformly random bits.
    Matrix,
}

/// A run of whole units of one tensor.
struct Batch {
    tensor: u64,
    first_unit: u64,
    bytes: usize,
    ty: TensorType,
    weights: Weights,
}

/// Passes the tensors' bytes to `sink` in order, and generates a batch while the previous one is written.
pub(super) fn generate(
    synth: &Synth,
    mut sink: impl FnMut(&[u8]) -> Result<(), GgufError> + Send,
) -> Result<(), GgufError> {
    let (mut ready, mut next) = (Vec::new(), Vec::new());
    for batch in batches(synth) {
        next.resize(batch.bytes, 0);
        let (sunk, ()) = rayon::join(|| sink(&ready), || fill(synth.seed, &batch, &mut next));
        sunk?;
        std::mem::swap(&mut ready, &mut next);
    }
    sink(&ready)
}

fn batches(synth: &Synth) -> impl Iterator<Item = Batch> {
    let tensors = synth.config.tensors().enumerate();
    tensors.flat_map(move |(tensor, (role, block))| {
        let ty = synth.tensor_type(role, block);
        let elements: usize = role.dims(&synth.config).iter().product();
        let total = elements / ty.block_len() * ty.block_bytes();
        let unit = UNIT * ty.block_bytes();
        let step = BATCH / unit * unit;
        (0..total).step_by(step).map(move |start| Batch {
            tensor: tensor as u64,
            first_unit: (start / unit) as u64,
            bytes: step.min(total - start),
            ty,
            weights: match role.kind() {
                TensorKind::Norm => Weights::Norm,
                TensorKind::Router => Weights::Router,
                TensorKind::Matrix | TensorKind::Experts => Weights::Matrix,
            },
        })
    })
}

fn fill(seed: u64, batch: &Batch, out: &mut [u8]) {
    let units = out.par_chunks_mut(UNIT * batch.ty.block_bytes());
    units.enumerate().for_each(|(i, unit)| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // A random stream for each unit, so that its contents do not depend on threads or batches.
        rng.set_stream(batch.tensor << 40 | (batch.first_unit + i as u64));
        match batch.ty {
            TensorType::Q4_K => {
                rng.fill_bytes(unit);
                for block in unit.as_chunks_mut::<144>().0 {
                    let d = scale(&block[0..2], 1e-4);
                    // The mean of q is 7.5, so dmin = 7.5 d centres the weights on 0.
                    let dmin = f16::from_f32(d.to_f32() * 7.5);
                    block[0..2].copy_from_slice(&d.to_le_bytes());
                    block[2..4].copy_from_slice(&dmin.to_le_bytes());
                }
            }
            TensorType::Q6_K => {
                rng.fill_bytes(unit);
                for block in unit.as_chunks_mut::<210>().0 {
                    let d = scale(&block[208..210], 1.5e-5);
                    block[208..210].copy_from_slice(&d.to_le_bytes());
                }
            }
            TensorType::Q8_0 => {
                rng.fill_bytes(unit);
                for block in unit.as_chunks_mut::<34>().0 {
                    let d = scale(&block[0..2], 3e-4);
                    block[0..2].copy_from_slice(&d.to_le_bytes());
                }
            }
            TensorType::F32 => each(unit, || normal(&mut rng, batch.weights).to_le_bytes()),
            TensorType::F16 => each(unit, || f16::from_f32(normal(&mut rng, batch.weights)).to_le_bytes()),
            TensorType::BF16 => each(unit, || bf16::from_f32(normal(&mut rng, batch.weights)).to_le_bytes()),
            ty => {
                rng.fill_bytes(unit);
                ty.set_factors(unit, &mut |size| scale(&(rng.next_u32() as u16).to_le_bytes(), size));
            }
        }
    });
}

/// 0.5 to 1.5 times `size`, from two random bytes.
fn scale(random: &[u8], size: f32) -> f16 {
    let r = u16::from_le_bytes([random[0], random[1]]);
    f16::from_f32((0.5 + f32::from(r) / 65536.0) * size)
}

fn each<const N: usize>(out: &mut [u8], mut next: impl FnMut() -> [u8; N]) {
    for value in out.as_chunks_mut::<N>().0 {
        *value = next();
    }
}

fn normal(rng: &mut ChaCha8Rng, weights: Weights) -> f32 {
    let n: f32 = StandardNormal.sample(rng);
    match weights {
        Weights::Norm => 1.0 + 0.1 * n,
        Weights::Router => 0.05 * n,
        Weights::Matrix => 0.02 * n,
    }
}
