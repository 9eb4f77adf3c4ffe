//! `fused-gate-up-swiglu`: both projections and SwiGLU of a token's experts.

use ptxgen_builder::build::{In, Out, Val, kernel};

use super::matrix::{Here, Memory, Tiles, Work, streamed};
use super::schedule::{CatalogueError, How, Launchable, Plan, Shape, fits};
use crate::device::{DeviceActivation, DeviceExp, DeviceFormat, fresh, inputs_ready, swiglu_approx, swiglu_exact};
use crate::precision::{Accumulation, Math};

/// Experts of a layer and how many a token uses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Experts {
    /// All of them.
    pub count: u32,
    /// Those of a token.
    pub used: u32,
}

/// The parameters: the gate and up matrices of all experts, the token's
/// activations, the ids of its experts, and the result, `used` vectors of
/// `rows` f32.
pub type GateUpArgs<X> = (In<u8>, In<u8>, In<<X as DeviceActivation>::Element>, In<u32>, Out<f32>);

/// `h_k = silu(G_e x) * (U_e x)` for the experts `e = ids[k]` of a token, all in
/// one launch; both products are rounded to f32 as if they were kernels of
/// their own.
///
/// # Errors
/// For shapes and schedules that the kernel is not made for.
pub fn gate_up_swiglu<F: DeviceFormat, X: DeviceActivation, C: Accumulation>(
    name: &'static str,
    shape: Shape,
    experts: Experts,
    math: Math,
    how: How,
) -> Result<Launchable<GateUpArgs<X>>, CatalogueError> {
    let plan = Plan::new::<F, X, C::Scalar>(name, shape, 2, how)?;
    let entry = expert_entry_name::<X, C>(name, Some(math), shape, experts);
    let names = ["gate", "up", "x", "ids", "h"];
    let kernel = kernel::<GateUpArgs<X>>(&entry, names, |k, (gate, up, x, ids, h)| {
        let memory = Memory::<C::Scalar>::new(k, &[&plan]);
        let block = k.block_x();
        let work = Work::new(&plan, Here::new(k, &plan), memory, block);
        // The router before this kernel chooses the weights.
        inputs_ready(k, plan.pdl);
        let rank = k.block_y();
        let expert = fresh(ids).at(rank).load(k);
        let matrices = [gate, up].map(|w| Tiles::one_of(&plan, w, expert, experts.count));
        let h = h.at(rank * shape.rows);
        streamed::<F, X, C::Scalar>(
            k,
            &work,
            &matrices,
            |_| fresh(x),
            |k, tile, sums| {
                let values = swiglu::<C::Scalar>(math, &work.own(&sums[0]), &work.own(&sums[1]));
                for ((row, writes), value) in work.rows(tile).into_iter().zip(values) {
                    h.at(row).store_if(k, writes, value);
                }
            },
        );
    });
    fits(name, Launchable::new(kernel, [plan.grid(), experts.used, 1], plan.threads()))
}

/// SwiGLU of two projections, each rounded to f32 first.
#[track_caller]
pub(super) fn swiglu<A: DeviceExp>(math: Math, gates: &[Val<A>], ups: &[Val<A>]) -> Vec<Val<f32>> {
    let each = gates.iter().zip(ups).map(|(&g, &u)| {
        let (g, u) = (A::narrow(g), A::narrow(u));
        match math {
            Math::Exact => swiglu_exact::<A>(g, u),
            Math::Approx => swiglu_approx::<A>(g, u),
        }
    });
    each.collect()
}

pub(super) fn expert_entry_name<X: DeviceActivation, C: Accumulation>(
    name: &str,
    math: Option<Math>,
    shape: Shape,
    Experts { count, used }: Experts,
) -> String {
    let math = math.map_or(String::new(), |m| format!("_{m}"));
    let (name, Shape { rows, cols }) = (name.replace('-', "_"), shape);
    format!("{name}_{}_{}{math}_{rows}x{cols}_{used}of{count}", X::ACT, C::ACC)
}
