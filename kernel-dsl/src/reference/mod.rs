//! The numerics contract (`docs/numerics.md`) in plain scalar Rust: tests compare SIMD code, the interpreter and GPU
//! kernels with it, bit for bit. Clarity comes first here; every function names the heading of the contract that it
//! implements.

mod accumulator;
mod attention;
pub(crate) mod exp;
mod gemv;
mod norm;
mod quantize;
mod rope;
mod router;
mod sample;
mod swiglu;
mod tree;

pub use accumulator::Accumulator;
pub use attention::{CHUNK, attention, attention_scores, attention_weights};
pub use exp::{exp_f32, exp_f64};
pub use gemv::{Activations, Row, gemv, term_q4k_q8k};
pub use norm::{dot4, rms_norm};
pub use quantize::quantize_q8k;
pub use rope::{Rope, RopeScaling, RopeTable, qk_norm_rope, rope};
pub use router::{NanInRouter, Routed, renormalize, route, router_logits, router_probabilities};
pub use sample::{Distribution, sample};
pub(crate) use sample::{SAMPLE_LEAST, SAMPLE_ONE};
pub use swiglu::{experts_sum, residual, silu, silu_approx, swiglu, swiglu_approx};
pub(crate) use tree::tree_by;
pub use tree::{TreeSum, chain, tree};

/// The index of the largest value, ties to the lower index (the contract's "Argmax"). NaN is never
/// larger than anything; an empty or all-NaN slice gives 0.
pub fn argmax(values: &[f32]) -> usize {
    let mut best = None;
    for (i, &v) in values.iter().enumerate() {
        if !v.is_nan() && best.is_none_or(|b: usize| v > values[b]) {
            best = Some(i);
        }
    }
    best.unwrap_or(0)
}
