//! `fused-gate-up-swiglu`: both projections and SwiGLU of a token's experts.

use ptxgen_builder::build::{Body, Global, In, InOut, Out, ReadOnly, Val};

use super::chosen::ChosenAt;
use super::contents::{Blocks, Logits, Table};
use super::error::CatalogueError;
use super::experts::Experts;
use super::matrix::{Here, Input, Tiles, Work, streamed};
use super::memory::{Memory, resources};
use super::plan::Plan;
use super::schedule::{How, Shape};
use super::stage::{Block, Stage};
use crate::device::{
    DeviceActivation, DeviceExp, DeviceFormat, Normed, RowVector, Source, fresh, inputs_ready, swiglu_approx,
    swiglu_exact,
};
use crate::precision::{Accumulation, Math};

/// The parameters: the gate and up matrices of all experts, the token's
/// activations, the ids of its experts, and the result, `used` vectors of
/// `rows` f32.
pub type GateUpArgs<F, X> = (In<Blocks<F>>, In<Blocks<F>>, In<<X as DeviceActivation>::Stored>, In<u32>, Out<f32>);

/// The parameters: the gate and up matrices of all experts, a vector of f32, its norm's weights, the
/// router's logits, the result, `used` vectors of `rows` f32, and the choice of experts: `status`,
/// `ids` and `weights` of [`RouterArgs`](super::RouterArgs).
pub type NormGateUpArgs<F> =
    (In<Blocks<F>>, In<Blocks<F>>, In<f32>, In<Table>, In<Logits>, Out<f32>, InOut<u64>, Out<u32>, Out<Table>);

/// `h_k = silu(G_e x) * (U_e x)` for the experts `e = ids[k]` of a token, all in one launch; both products are rounded
/// to f32 as if they were separate kernels.
///
/// # Errors
/// For shapes and schedules that the kernel does not support.
pub fn gate_up_swiglu<F: DeviceFormat, X: DeviceActivation, C: Accumulation>(
    name: &'static str,
    shape: Shape,
    experts: Experts,
    math: Math,
    how: How,
) -> Result<Stage<GateUpArgs<F, X>>, CatalogueError> {
    experts.check(name)?;
    let plan = Plan::new::<F, X, C::Scalar>(name, shape, 2, how)?.of_sets(experts.used);
    let plan = Plan { may_add_shared: true, ..plan };
    let entry = expert_entry_name::<X, C>(name, Some(math), shape, experts);
    let names = ["gate", "up", "x", "ids", "h"];
    let resources = resources([plan.grid(), 1, 1], &[&plan], how.target);
    Stage::<GateUpArgs<F, X>>::new(name, (&entry, names), resources, move |k, (gate, up, x, ids, h), block| {
        let part = Part::<C>::new(k, &plan, experts, math, block);
        // The router before this kernel chooses the weights.
        inputs_ready(k, plan.pdl);
        let expert = |k: &Body, rank: Val<u32>| fresh(ids).at(rank).load(k);
        part.write::<F, X>(k, [gate, up], expert, |k| part.work.hold::<F, X>(k, Input::Ready(fresh(x))), h);
    })
}

/// [`gate_up_swiglu`] of the norm of a vector, with the contract's "RMSNorm", and of the experts that the contract's
/// "Router" chooses from its logits: every block of threads computes norm and choice.
///
/// With programmatic dependent launch, the vector must have been complete before the previous kernel, which computes
/// the logits, because its norm is computed while that kernel is still running.
///
/// # Errors
/// For shapes and schedules that the kernel does not support.
pub fn norm_gate_up_swiglu<F: DeviceFormat, X: DeviceActivation, C: Accumulation>(
    name: &'static str,
    shape: Shape,
    experts: Experts,
    (math, eps): (Math, f32),
    how: How,
) -> Result<Stage<NormGateUpArgs<F>>, CatalogueError> {
    experts.check(name)?;
    let plan = Plan::new::<F, X, C::Scalar>(name, shape, 2, how)?.of_sets(experts.used).making::<F, X, C::Scalar>();
    let choice = experts.choice(name, plan.threads())?;
    let entry = expert_entry_name::<X, C>(name, Some(math), shape, experts);
    let names = ["gate", "up", "x", "norm", "logits", "h", "status", "ids", "weights"];
    let resources = resources([plan.grid(), 1, 1], &[&plan], how.target);
    Stage::<NormGateUpArgs<F>>::new(name, (&entry, names), resources, move |k, args, block| {
        let (gate, up, x, weights, logits, h, status, ids, chosen_weights) = args;
        let part = Part::<C>::new(k, &plan, experts, math, block);
        let normed = Normed { x, weights, eps };
        let source = Source::normed(k, &normed, shape.cols, part.work.stagers, false);
        let x = part.work.hold::<F, X>(k, Input::From(source));
        inputs_ready(k, plan.pdl);
        let (thread, room) = (part.work.here.threads.this, choice.shared(k));
        let chosen = choice.choose(k, fresh(logits), &room, thread);
        // The first block writes the choice, while its matrices are being loaded.
        let tell = |k: &Body| {
            let first = block.x(k).eq(0);
            let to = ChosenAt { status, ids, weights: chosen_weights };
            k.if_(first, |k| to.write(k, thread, Val::from(0).copied(), experts.used, &chosen));
            x
        };
        part.write::<F, X>(k, [gate, up], |k, rank| chosen.id(k, rank), tell, h);
    })
}

/// What a warp does of the experts' projections.
struct Part<'p, C: Accumulation> {
    work: Work<'p, C::Scalar>,
    experts: Experts,
    math: Math,
}

impl<'p, C: Accumulation> Part<'p, C> {
    #[track_caller]
    fn new(k: &Body, plan: &'p Plan, experts: Experts, math: Math, block: Block) -> Self {
        let memory = Memory::<C::Scalar>::new(k, &[plan]);
        let block = block.x(k);
        Part { work: Work::new(plan, Here::new(k, plan), memory, block), experts, math }
    }

    /// The rest of the body, after the wait for the previous kernels.
    #[track_caller]
    fn write<F: DeviceFormat, X: DeviceActivation>(
        &self,
        k: &Body,
        matrices: [ReadOnly<u8>; 2],
        expert: impl Fn(&Body, Val<u32>) -> Val<u32>,
        x: impl FnOnce(&Body) -> RowVector<X, C::Scalar>,
        h: Global<f32>,
    ) {
        let Part { work, experts, math } = self;
        let (tiles, rows) = (work.plan.tiles, work.plan.shape.rows);
        let locate = |k: &Body, tile: Val<u32>| {
            let expert = expert(k, tile / tiles);
            let matrices = matrices.map(|w| Tiles::one_of(work.plan, w, expert, experts.count));
            (matrices.to_vec(), tile % tiles)
        };
        streamed::<F, X, C::Scalar>(k, work, locate, x, |k, tile, sums| {
            let h = h.at(tile / tiles * rows);
            let values = swiglu::<C::Scalar>(*math, &work.own(&sums[0]), &work.own(&sums[1]));
            for ((row, writes), value) in work.rows(tile % tiles).into_iter().zip(values) {
                h.at(row).store_if(k, writes, value);
            }
        });
    }
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
