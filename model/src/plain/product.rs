//! Products with matrices.

use super::{Choice, Lane, Mistake, with_acc};
use crate::gguf::{TensorType, TensorView};
use ptxgen_dsl::{
    format::{Q4K, SUPERBLOCK},
    reference::{Accumulator, Activations, Row},
};
use rayon::prelude::*;
use std::ops::Range;

/// `q`, `k`, `v`, `attn_out`, `logits`: `w x` for each vector of `x`, [vectors, rows].
pub(super) fn product(choice: &Choice, w: &TensorView<'_>, x: &[f32]) -> Vec<f32> {
    let x = activations(choice, w.ty, x, w.row_len());
    let mut out = vec![0.0; x.len() * w.rows()];
    let all: Vec<(usize, &Activations)> = x.iter().enumerate().collect();
    multiply(choice, w, 0..w.rows(), &all, &mut out);
    out
}

/// `expert_gate`, `expert_up`, `expert_out`: the products of chosen experts' matrices,
/// [tokens, experts used, rows]. `w` holds the experts one after the other, `chosen` is
/// [tokens, experts used], and `x` has a vector for each token or one for each token and expert.
pub(super) fn expert_product(choice: &Choice, w: &TensorView<'_>, chosen: &[u32], x: &[f32]) -> Vec<f32> {
    let x = activations(choice, w.ty, x, w.row_len());
    let (rows, share) = (w.dims[1], chosen.len() / x.len().max(1));
    let mut out = vec![0.0; chosen.len() * rows];
    for expert in 0..w.dims[2] {
        let pairs = chosen.iter().enumerate().filter(|(_, e)| **e as usize == expert);
        let own: Vec<(usize, &Activations)> = pairs.map(|(pair, _)| (pair, &x[pair / share])).collect();
        multiply(choice, w, expert * rows..(expert + 1) * rows, &own, &mut out);
    }
    out
}

/// Some rows of a matrix times vectors; each product has its index in `out`, [places, rows].
fn multiply(choice: &Choice, w: &TensorView<'_>, rows: Range<usize>, x: &[(usize, &Activations)], out: &mut [f32]) {
    let packed = w.row_len() / SUPERBLOCK * Q4K::BYTES;
    // Bytes of a row, and from one row to the next.
    let (ty, bytes, stride) = match choice.mistake.filter(|_| w.ty == TensorType::Q6_K) {
        Some(Mistake::Q6kAsQ4k) => (TensorType::Q4_K, packed, w.row_bytes()),
        Some(Mistake::Q6kAsPackedQ4k) => (TensorType::Q4_K, packed, packed),
        _ => (w.ty, w.row_bytes(), w.row_bytes()),
    };
    let columns: Vec<Vec<f32>> = with_acc!(choice.acc, |A| rows
        .clone()
        .into_par_iter()
        .map(|r| dots::<A>(ty, &w.data[r * stride..][..bytes], x))
        .collect());
    for (r, column) in columns.iter().enumerate() {
        for ((place, _), &y) in x.iter().zip(column) {
            out[place * rows.len() + r] = y;
        }
    }
}

/// Vectors of `width` in the form that the rows need.
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

/// The inputs of a missing lane become zero; scales stay.
fn leave_out(x: &mut Activations, lane: Lane) {
    let hit = |block: usize, group: usize| match lane {
        Lane::Group(g) => usize::from(g) == group,
        Lane::Run(g) => usize::from(g) == group / 4 * 4,
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

/// A row's product with each vector, rounded. With hardware FMA, the multiply-adds are inlined.
fn dots<A: Accumulator>(ty: TensorType, row: &[u8], x: &[(usize, &Activations)]) -> Vec<f32> {
    #[inline(always)]
    fn each<A: Accumulator>(ty: TensorType, row: &[u8], x: &[(usize, &Activations)]) -> Vec<f32> {
        let Some((_, first)) = x.first() else { return Vec::new() };
        let row = Row::<A>::new(ty, row, first).expect("a file's rows are as long as the vectors they take");
        let dot = |(_, x): &(usize, &Activations)| row.dot(x).expect("all vectors have one form").to_f32();
        x.iter().map(dot).collect()
    }
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma")]
        fn fused<A: Accumulator>(ty: TensorType, row: &[u8], x: &[(usize, &Activations)]) -> Vec<f32> {
            each::<A>(ty, row, x)
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the machine supports both.
            return unsafe { fused::<A>(ty, row, x) };
        }
    }
    each::<A>(ty, row, x)
}
