//! Where the forward can be made to do something else: in builds with planted mistakes as these say (`plant`), in all
//! others nothing but what stands here.

#[cfg(all(feature = "plants", debug_assertions))]
pub(super) use super::plant::{keep_inner, multiply, norm_rope, routed};
#[cfg(not(all(feature = "plants", debug_assertions)))]
pub(super) use {
    super::product::product as multiply,
    untouched::{keep_inner, norm_rope, routed},
};

#[cfg(not(all(feature = "plants", debug_assertions)))]
mod untouched {
    use crate::cpu::{
        matrix::Lanes,
        weights::{Layer, Weights},
    };
    use ptxgen_dsl::{
        precision::Acc,
        reference::{NanInRouter, RopeTable, Routed},
    };

    /// Norm and RoPE of a head, if not those of the contract.
    #[inline(always)]
    pub(in super::super) fn norm_rope(
        _: &Weights<'_>,
        _: Acc,
        _: &mut [f32],
        _: (&[f32], f32),
        _: (&RopeTable, usize),
    ) -> bool {
        false
    }

    /// The choice of experts, if another than the contract's.
    #[inline(always)]
    pub(in super::super) fn routed(
        _: &Layer<'_>,
        _: &[Lanes<f32>],
        _: &mut [f64],
        _: usize,
    ) -> Option<Result<Routed, NanInRouter>> {
        None
    }

    /// How SwiGLU's results are kept, if not as they are.
    #[inline(always)]
    pub(in super::super) fn keep_inner(_: &Layer<'_>, _: &mut [f32]) {}
}
