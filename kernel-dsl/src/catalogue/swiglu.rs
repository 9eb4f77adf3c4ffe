//! `swiglu`: the elementwise activation of an expert.

use ptxgen_builder::build::{In, Out};

use super::error::CatalogueError;
use super::limits::refuse_if;
use super::stage::{Resources, Stage};
use crate::device::{swiglu_approx, swiglu_exact};
use crate::precision::{Accumulation, Math};

/// The parameters: the gate's and the up projection's results, and `h`, all
/// of the same length.
pub type SwigluArgs = (In<f32>, In<f32>, Out<f32>);

/// `h = silu(gate) * up` for `len` elements: the contract's "SwiGLU", or its
/// approximate variant.
///
/// # Errors
/// If `len` is 0.
pub fn swiglu<C: Accumulation>(name: &'static str, len: u32, math: Math) -> Result<Stage<SwigluArgs>, CatalogueError> {
    refuse_if(len == 0, name, "rows", len, "at least 1")?;
    let threads = 256;
    let entry = format!("swiglu_{}_{math}_{len}", C::ACC);
    let resources = Resources::new([len.div_ceil(threads), 1, 1], threads);
    Stage::<SwigluArgs>::new(name, (&entry, ["gate", "up", "h"]), resources, move |k, (gate, up, h), block| {
        let i = block.global_thread(k);
        k.if_(i.lt(len), |k| {
            let (g, u) = (gate.at(i).load(k), up.at(i).load(k));
            let value = match math {
                Math::Exact => swiglu_exact::<C::Scalar>(g, u),
                Math::Approx => swiglu_approx::<C::Scalar>(g, u),
            };
            h.at(i).store(k, value);
        });
    })
}
