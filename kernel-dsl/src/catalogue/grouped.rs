//! `experts-gate-up` and `experts-down`: the experts' products of a whole pass,
//! each expert's weights read once for all of its tokens.

use ptxgen_builder::build::{Body, In, Out, ReadOnly, Val};

use super::contents::Blocks;
use super::error::CatalogueError;
use super::experts::Experts;
use super::gate_up::{expert_entry_name, swiglu};
use super::gemv::nth_vector;
use super::limits::check_tokens;
use super::matrix::{Here, Store, Tiles, Work, finish, resident};
use super::memory::{Memory, resources};
use super::plain_gemv::PairVector;
use super::plan::Plan;
use super::schedule::{How, Shape};
use super::stage::{Block, Stage};
use crate::device::{DeviceActivation, DeviceFormat, fresh, inputs_ready};
use crate::precision::{Accumulation, Math};

/// The parameters: the gate and up matrices of all experts, the tokens'
/// activations, the lists' starts (one more than there are experts), the lists
/// of `token * used + rank`, and the results, `rows` f32 for each pair.
pub type ExpertsGateUpArgs<F, X> =
    (In<Blocks<F>>, In<Blocks<F>>, In<<X as DeviceActivation>::Stored>, In<u32>, In<u32>, Out<f32>);

/// The parameters: the down matrices of all experts, the activations of each
/// pair, the lists' starts, the lists, and the results, `rows` f32 for each pair.
pub type ExpertsDownArgs<F, X> = (In<Blocks<F>>, In<<X as DeviceActivation>::Stored>, In<u32>, In<u32>, Out<f32>);

/// An expert's list of pairs of token and rank.
pub(super) struct List {
    pub first: Val<u32>,
    pub end: Val<u32>,
    pairs: ReadOnly<u32>,
}

impl List {
    /// The list of the expert that the block has in y, written by the kernels before.
    #[track_caller]
    fn new(k: &Body, (pdl, block): (bool, Block), offsets: ReadOnly<u32>, pairs: ReadOnly<u32>) -> (Val<u32>, List) {
        inputs_ready(k, pdl);
        let expert = block.y(k);
        (expert, List::of(k, expert, offsets, pairs))
    }

    /// The list of an expert, written by the kernels before.
    #[track_caller]
    pub(super) fn of(k: &Body, expert: Val<u32>, offsets: ReadOnly<u32>, pairs: ReadOnly<u32>) -> List {
        let bounds = fresh(offsets).at(expert);
        let (first, end) = (bounds.load(k), bounds.plus(1).load(k));
        List { first, end, pairs }
    }

    /// `token * used + rank` of a place in the list.
    #[track_caller]
    pub(super) fn pair(&self, k: &Body, place: Val<u32>) -> Val<u32> {
        fresh(self.pairs).at(place).load(k)
    }
}

/// `h = silu(G_e x) * (U_e x)` for every pair of token and expert, the bits of
/// [`gate_up_swiglu`](super::gate_up_swiglu) for each token. A block's y is the
/// expert.
///
/// # Errors
/// For shapes and schedules that the kernel does not support.
pub fn experts_gate_up<F: DeviceFormat, X: DeviceActivation, C: Accumulation>(
    name: &'static str,
    shape: Shape,
    (experts, tokens): (Experts, u32),
    math: Math,
    how: How,
) -> Result<Stage<ExpertsGateUpArgs<F, X>>, CatalogueError> {
    check_tokens(name, tokens)?;
    experts.check(name)?;
    let plan = Plan::new::<F, X, C::Scalar>(name, shape, 2, how)?.resident();
    let entry = format!("{}_t{tokens}", expert_entry_name::<X, C>(name, Some(math), shape, experts));
    let names = ["gate", "up", "x", "offsets", "pairs", "h"];
    let resources = resources([plan.grid(), experts.count, 1], &[&plan], how.target);
    Stage::<ExpertsGateUpArgs<F, X>>::new(
        name,
        (&entry, names),
        resources,
        move |k, (gate, up, x, offsets, pairs, h), place| {
            let memory = Memory::<C::Scalar>::new(k, &[&plan]);
            let block = place.x(k);
            let work = Work::new(&plan, Here::new(k, &plan), memory, block);
            let (expert, list) = List::new(k, (plan.pdl, place), offsets, pairs);
            place.leave_if(k, list.first.ge(list.end));
            let matrices = [gate, up].map(|w| Tiles::one_of(&plan, w, expert, experts.count));
            let vector = |k: &Body, place| {
                let pair = list.pair(k, place);
                (pair, nth_vector::<X>(fresh(x), pair / experts.used, shape.cols))
            };
            let range = |_: &Body| (list.first, list.end);
            resident::<F, X, C::Scalar>(k, &work, &matrices, range, vector, |k, pair, rows, sums| {
                let h = h.at(pair * shape.rows);
                let values = swiglu::<C::Scalar>(math, &work.own(&sums[0]), &work.own(&sums[1]));
                for ((row, writes), value) in rows.into_iter().zip(values) {
                    h.at(row).store_if(k, writes, value);
                }
            });
        },
    )
}

/// `y = D_e h` for every pair of token and expert: the contract's "Matrix times
/// vector". A block's y is the expert.
///
/// # Errors
/// For shapes and schedules that the kernel does not support.
pub fn experts_down<F: DeviceFormat, X: DeviceActivation, C: Accumulation>(
    name: &'static str,
    shape: Shape,
    experts: (Experts, u32),
    how: How,
) -> Result<Stage<ExpertsDownArgs<F, X>>, CatalogueError> {
    let names = ["down", "x", "offsets", "pairs", "y"];
    product::<F, X, C>((name, names), shape, experts, PairVector::Pair, how)
}

/// `y = W_e x` for every pair of token and expert, `x` the token's vector: the gate's or the up
/// projection by itself. The parameters are those of [`experts_down`].
///
/// # Errors
/// For shapes and schedules that the kernel does not support.
pub fn grouped_experts<F: DeviceFormat, X: DeviceActivation, C: Accumulation>(
    name: &'static str,
    shape: Shape,
    experts: (Experts, u32),
    how: How,
) -> Result<Stage<ExpertsDownArgs<F, X>>, CatalogueError> {
    let names = ["w", "x", "offsets", "pairs", "y"];
    product::<F, X, C>((name, names), shape, experts, PairVector::Token, how)
}

fn product<F: DeviceFormat, X: DeviceActivation, C: Accumulation>(
    (name, names): (&'static str, [&'static str; 5]),
    shape: Shape,
    (experts, tokens): (Experts, u32),
    vectors: PairVector,
    how: How,
) -> Result<Stage<ExpertsDownArgs<F, X>>, CatalogueError> {
    check_tokens(name, tokens)?;
    experts.check(name)?;
    let plan = Plan::new::<F, X, C::Scalar>(name, shape, 1, how)?.resident();
    let entry = format!("{}_t{tokens}", expert_entry_name::<X, C>(name, None, shape, experts));
    let resources = resources([plan.grid(), experts.count, 1], &[&plan], how.target);
    Stage::<ExpertsDownArgs<F, X>>::new(name, (&entry, names), resources, move |k, (w, x, offsets, pairs, y), place| {
        let memory = Memory::<C::Scalar>::new(k, &[&plan]);
        let block = place.x(k);
        let work = Work::new(&plan, Here::new(k, &plan), memory, block);
        let (expert, list) = List::new(k, (plan.pdl, place), offsets, pairs);
        place.leave_if(k, list.first.ge(list.end));
        let matrices = [Tiles::one_of(&plan, w, expert, experts.count)];
        let vector = |k: &Body, place| {
            let pair = list.pair(k, place);
            let which = match vectors {
                PairVector::Pair => pair,
                PairVector::Token => pair / experts.used,
            };
            (pair, nth_vector::<X>(fresh(x), which, shape.cols))
        };
        let range = |_: &Body| (list.first, list.end);
        resident::<F, X, C::Scalar>(k, &work, &matrices, range, vector, |k, pair, rows, sums| {
            let y = y.at(pair * shape.rows);
            for ((row, writes), sum) in rows.into_iter().zip(work.own(&sums[0])) {
                finish::<Store, _>(k, y.at(row), writes, sum);
            }
        });
    })
}
