//! Stages of whole vectors. Everything is [tokens, ..] in row-major order.

use super::with_acc;
use crate::gguf::TensorView;
use ptxgen_dsl::{
    precision::Acc,
    reference::{self, Accumulator},
};

/// `embedding`: the rows of `tokens`, [tokens, hidden].
///
/// # Panics
/// If a token is outside the table.
pub(super) fn embedding(table: &TensorView<'_>, tokens: &[u32]) -> Vec<f32> {
    let mut x = vec![0.0; tokens.len() * table.row_len()];
    for (x, &token) in x.chunks_exact_mut(table.row_len()).zip(tokens) {
        table.ty.dequantize(table.outer(token as usize).data, x).expect("a file's rows are whole blocks");
    }
    x
}

/// `attn_norm`, `ffn_norm`, `final_norm`: RMSNorm of vectors as long as `w`.
pub(super) fn rms_norm(acc: Acc, x: &[f32], w: &[f32], eps: f32) -> Vec<f32> {
    with_acc!(acc, |A| {
        let rows = x.chunks_exact(w.len()).flat_map(|x| reference::rms_norm::<A>(x, w, eps));
        rows.map(A::to_f32).collect()
    })
}

/// `post_attn_residual`, `layer_out`: `x + y`.
pub(super) fn residual(x: &[f32], y: &[f32]) -> Vec<f32> {
    x.iter().zip(y).map(|(&x, &y)| reference::residual(x, y)).collect()
}
