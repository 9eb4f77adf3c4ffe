//! The forward in plain scalar code, one function a stage: slow, simple, and free to compute any stage
//! of any layer under another choice than the rest.
//!
//! It is a third witness beside the fast CPU and the kernels: under one policy everywhere it gives
//! their bits. Bisection changes one choice at a time with it, and traces get from it
//! what fused kernels never write. The arithmetic is [`ptxgen_dsl::reference`]'s.

mod attention;
mod choice;
mod experts;
mod forward;
mod model;
mod product;
mod vector;

use attention::{Heads, attention, attention_scores, attention_softmax, qk_norm_rope};
pub use choice::{Choice, Choices, Inner, Lane, Mistake};
use experts::{experts_sum, route, router_logits, silu, swiglu};
pub use forward::Forward;
pub use model::{PlainError, PlainModel};
use product::{expert_product, product};
use vector::{embedding, residual, rms_norm};

/// Evaluates an expression with `$a` as the scalar type of an accumulator.
macro_rules! with_acc {
    ($acc:expr, |$a:ident| $e:expr) => {
        match $acc {
            ptxgen_dsl::precision::Acc::F32 => {
                type $a = f32;
                $e
            }
            ptxgen_dsl::precision::Acc::F64 => {
                type $a = f64;
                $e
            }
        }
    };
}
use with_acc;
