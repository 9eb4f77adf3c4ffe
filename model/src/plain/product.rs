//! Products with matrices.

use super::{Choice, Lane, Mistake, with_acc};
use crate::gguf::{TensorType, TensorView};
use ptxgen_dsl::{
    format::{Q4K, SUPERBLOCK},
    reference::{Accumulator, Activations, row_dot},
};
use rayon::prelude::*;

/// Rows that one worker takes at least.
const ROWS: usize = 32;

/// `q`, `k`, `v`, `attn_out`, `logits`: `w x` for each vector of `x`, [vectors, rows].
pub fn product(choice: &Choice, w: &TensorView<'_>, x: &[f32]) -> Vec<f32> {
    let x = activations(choice, w.ty, x, w.row_len());
    let rows = w.rows();
    multiply(choice, w, x.len() * rows, |i| (i % rows, &x[i / rows]))
}

/// `expert_gate`, `expert_up`, `expert_out`: the products of chosen experts' matrices,
/// [tokens, experts used, rows]. `w` holds the experts one behind the other, `chosen` is
/// [tokens, experts used], and `x` has a vector for each token or one for each token and expert.
pub fn expert_product(choice: &Choice, w: &TensorView<'_>, chosen: &[u32], x: &[f32]) -> Vec<f32> {
    let x = activations(choice, w.ty, x, w.row_len());
    let rows = w.dims[1];
    let share = chosen.len() / x.len().max(1);
    multiply(choice, w, chosen.len() * rows, |i| {
        let pair = i / rows;
        (chosen[pair] as usize * rows + i % rows, &x[pair / share])
    })
}

/// `n` results: each that of the row and the vector that `of` names.
fn multiply<'x>(
    choice: &Choice,
    w: &TensorView<'_>,
    n: usize,
    of: impl Fn(usize) -> (usize, &'x Activations) + Sync,
) -> Vec<f32> {
    let (ty, bytes) = match choice.mistake {
        Some(Mistake::Q6kAsQ4k) if w.ty == TensorType::Q6_K => {
            (TensorType::Q4_K, w.row_len() / SUPERBLOCK * Q4K::BYTES)
        }
        _ => (w.ty, w.row_bytes()),
    };
    let indices = (0..n).into_par_iter().with_min_len(ROWS);
    let row = |r: usize| &w.data[r * w.row_bytes()..][..bytes];
    with_acc!(choice.acc, |A| indices
        .map(|i| {
            let (r, x) = of(i);
            dot::<A>(ty, row(r), x)
        })
        .collect())
}

/// Vectors of `width` as the rows read them.
fn activations(choice: &Choice, ty: TensorType, x: &[f32], width: usize) -> Vec<Activations> {
    x.par_chunks_exact(width)
        .map(|x| {
            let mut x = Activations::new(choice.act, ty, x);
            if let Some(Mistake::LeftOut(lane)) = choice.mistake {
                leave_out(&mut x, lane);
            }
            x
        })
        .collect()
}

/// What a lane would have multiplied becomes zero; scales stay as they are.
fn leave_out(x: &mut Activations, lane: Lane) {
    let hit = |block: usize, group: usize| match lane {
        Lane::Group(g) => usize::from(g) == group,
        Lane::Four(g) => (0..4).any(|i| usize::from(g) + 2 * i == group),
        Lane::Block(b) => b as usize == block,
    };
    for group in 0..16 {
        let part = 16 * group..16 * group + 16;
        match x {
            Activations::F32(_, blocks) => {
                let hit = blocks.iter_mut().enumerate().filter(|(b, _)| hit(*b, group));
                hit.for_each(|(_, x)| x[part.clone()].fill(0.0));
            }
            Activations::Q8K(blocks) => {
                for (_, x) in blocks.iter_mut().enumerate().filter(|(b, _)| hit(*b, group)) {
                    x.q[part.clone()].fill(0);
                    x.sums[group] = 0;
                }
            }
        }
    }
}

/// A row's product, rounded. With fused multiply-add in hardware it is not a call for each.
fn dot<A: Accumulator>(ty: TensorType, row: &[u8], x: &Activations) -> f32 {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma")]
        fn fused<A: Accumulator>(ty: TensorType, row: &[u8], x: &Activations) -> f32 {
            row_dot::<A>(ty, row, x).expect("a file's rows are as long as the vectors they take").to_f32()
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the machine has both.
            return unsafe { fused::<A>(ty, row, x) };
        }
    }
    row_dot::<A>(ty, row, x).expect("a file's rows are as long as the vectors they take").to_f32()
}
