//! The forward in plain scalar code, one function per stage: slow and simple. It can compute any stage of any layer
//! under a different choice from the others.
//!
//! It is a third implementation beside the fast CPU and the kernels: with one policy everywhere it gives the same bits.
//! Bisection uses it to change one choice at a time, and traces use it for values that fused kernels do not write. The
//! arithmetic is that of [`ptxgen_dsl::reference`].

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
