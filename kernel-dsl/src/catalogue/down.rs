//! `moe-down`: the down projections of a token's experts, and their weighted sum.

use ptxgen_builder::build::{Body, Global, In, Pred, Ptr, ReadOnly, ReadSpace, Rounding, Shared, Val};

use super::contents::{Blocks, Logits, Table};
use super::error::CatalogueError;
use super::experts::Experts;
use super::gate_up::expert_entry_name;
use super::gemv::nth_vector;
use super::matrix::{Epilogue, Here, Input, Target, Tiles, Work};
use super::memory::{self, Memory};
use super::plan::Plan;
use super::schedule::{How, Schedule, Shape};
use super::stage::{Block, Resources, Stage};
use crate::device::{DeviceActivation, DeviceFloat, DeviceFormat, RowVector, fresh, inputs_ready};
use crate::precision::{Acc, Accumulation};

/// The parameters: the down matrices of all experts, `used` vectors of
/// activations one after the other, the ids of the token's experts, their
/// weights, and the result, `rows` f32.
pub type DownArgs<F, X, E> =
    (In<Blocks<F>>, In<<X as DeviceActivation>::Stored>, In<u32>, In<Table>, <E as Epilogue>::Buffer);

/// The same with the router's logits, an f64 for each expert, in place of ids and weights.
pub type RoutedDownArgs<F, X, E> =
    (In<Blocks<F>>, In<<X as DeviceActivation>::Stored>, In<Logits>, <E as Epilogue>::Buffer);

/// `y = sum_k w_k * (D_e h_k)` over the experts `e = ids[k]` in rank order: the
/// contract's "Experts' sum" of its matrix products, each rounded to f32; with
/// [`Add`](super::Add) added to y. The warps of a block have the same rows of
/// different experts; their products meet in shared memory.
///
/// With programmatic dependent launch, ids and weights must be older than the
/// kernel before this one: they are read without waiting for it.
///
/// # Errors
/// For shapes, experts and schedules that the kernel does not support.
pub fn moe_down<F: DeviceFormat, X: DeviceActivation, C: Accumulation, E: Epilogue>(
    name: &'static str,
    shape: Shape,
    experts: Experts,
    how: How,
) -> Result<Stage<DownArgs<F, X, E>>, CatalogueError> {
    let down = Down::new::<F, X, C>(name, shape, experts, how)?;
    let names = ["down", "x", "ids", "weights", "y"];
    let (entry, resources) = (down.entry::<X, C>(), down.resources::<C>());
    Stage::<DownArgs<F, X, E>>::new(name, (&entry, names), resources, move |k, io, block| {
        let (matrices, x, ids, weights, y) = io;
        let routing = Routing { expert: |k: &Body, rank: Val<u32>| ids.at(rank).load(k), weights: |_: &Body| weights };
        down.write::<F, X, C, E, _>(k, matrices, fresh(x), routing, y, block);
    })
}

/// [`moe_down`] of the experts that the contract's "Router" chooses by its logits: every block of
/// threads chooses for itself.
///
/// With programmatic dependent launch, the logits must be older than the kernel before this one: they
/// are read without waiting for it.
///
/// # Errors
/// For shapes, experts and schedules that the kernel does not support.
pub fn routed_down<F: DeviceFormat, X: DeviceActivation, C: Accumulation, E: Epilogue>(
    name: &'static str,
    shape: Shape,
    experts: Experts,
    how: How,
) -> Result<Stage<RoutedDownArgs<F, X, E>>, CatalogueError> {
    let down = Down::new::<F, X, C>(name, shape, experts, how)?;
    let choice = experts.choice(name, down.plan.threads())?;
    let names = ["down", "x", "logits", "y"];
    let (entry, resources) = (down.entry::<X, C>(), down.resources::<C>());
    Stage::<RoutedDownArgs<F, X, E>>::new(name, (&entry, names), resources, move |k, io, block| {
        let (matrices, x, logits, y) = io;
        let (thread, room) = (k.thread_x(), choice.shared(k));
        let chosen = choice.choose(k, fresh(logits), &room, thread);
        let routing = Routing {
            expert: |k: &Body, rank: Val<u32>| chosen.id(k, rank),
            weights: |k: &Body| {
                let weights: Shared<f32> = k.shared(experts.used);
                k.if_(thread.lt(experts.used), |k| {
                    let weight = chosen.weight(k, thread);
                    weights.at(thread).store(k, weight);
                });
                k.barrier();
                weights
            },
        };
        down.write::<F, X, C, E, _>(k, matrices, fresh(x), routing, y, block);
    })
}

/// A token's experts as the kernels have them.
struct Routing<I, W> {
    /// The expert of a rank.
    expert: I,
    /// The weights in rank order; called by the whole block, while the first matrices are being loaded.
    weights: W,
}

/// What the kernels are made for.
struct Down {
    name: &'static str,
    shape: Shape,
    experts: Experts,
    how: How,
    plan: Plan,
}

impl Down {
    fn new<F: DeviceFormat, X: DeviceActivation, C: Accumulation>(
        name: &'static str,
        shape: Shape,
        experts: Experts,
        how: How,
    ) -> Result<Down, CatalogueError> {
        experts.check(name)?;
        let plan = share_ranks(Plan::new::<F, X, C::Scalar>(name, shape, 1, how)?, how, experts.used);
        Ok(Down { name, shape, experts, how, plan })
    }

    /// A block to a tile.
    fn resources<C: Accumulation>(&self) -> Resources {
        let resources = memory::resources([self.plan.tiles, 1, 1], &[&self.plan], self.how.target);
        // f64 sums need many registers; without saying so, ptxas spills to make room for more blocks.
        if C::ACC == Acc::F64 { resources.with_blocks(1) } else { resources }
    }

    fn entry<X: DeviceActivation, C: Accumulation>(&self) -> String {
        expert_entry_name::<X, C>(self.name, None, self.shape, self.experts)
    }

    #[track_caller]
    fn write<F: DeviceFormat, X: DeviceActivation, C: Accumulation, E: Epilogue, S: ReadSpace>(
        &self,
        k: &Body,
        down: ReadOnly<u8>,
        x: Global<X::Element>,
        Routing { expert, weights }: Routing<impl Fn(&Body, Val<u32>) -> Val<u32>, impl Fn(&Body) -> Ptr<S, f32>>,
        y: Global<f32>,
        block: Block,
    ) {
        let Down { shape, experts, plan, .. } = self;
        let (ranks, rows) = (plan.schedule.warps, plan.rows_per_tile);
        let memory = Memory::<C::Scalar>::new(k, &[plan]);
        let products: Shared<C::Scalar> = k.shared(experts.used * rows);
        let tile = block.x(k);
        let work = Work::new(plan, Here::new(k, plan), memory, tile);
        let matrix = |k: &Body, rank: Val<u32>| {
            let expert = expert(k, rank);
            [Tiles::one_of(plan, down, expert, experts.count)]
        };
        let stream = work.stream((work.here.warp, experts.used.into(), ranks.into()));
        let issue = |k: &Body, rank: Val<u32>, slot: Shared<u8>| {
            let matrix = matrix(k, rank);
            work.copy(k, &matrix, tile, slot);
        };
        stream.start(k, &issue);
        let weights = weights(k);
        inputs_ready(k, plan.pdl);
        let this = work.here.threads.this;
        let prepare = |k: &Body, row: Val<u32>| {
            let to = tile * rows + row;
            let here = row.lt(rows) & to.lt(shape.rows);
            let weights = (0..experts.used).map(|rank| weights.plus(rank).load(k)).collect();
            Row { row, here, weights, to: Target::new::<E>(k, y.at(to), here) }
        };
        // Asked for before the products that they wait for.
        let only = (rows <= plan.threads()).then(|| prepare(k, this));
        work.grid_staged(k);
        stream.run(k, &issue, |k, rank, slot| {
            let matrix = matrix(k, rank);
            work.vector_read(k);
            let x = work.prepare::<F, X>(k, Input::Ready(nth_vector::<X>(x, rank, shape.cols)));
            let sums = work.sums::<F, X>(k, &matrix, (tile, slot), &RowVector::Ready(x));
            for ((row, writes), product) in work.rows(tile).into_iter().zip(work.own(&sums[0])) {
                let place = rank * rows + (row - tile * rows);
                let rounded = C::Scalar::widen(DeviceFloat::narrow(product));
                products.at(place).store_if(k, writes, rounded);
            }
        });
        k.barrier();
        let sum = |k: &Body, row: &Row| {
            let first = products.at(row.row);
            k.if_(row.here, |k| {
                let mut sum = C::Scalar::constant(0.0);
                for (rank, &weight) in (0..).zip(&row.weights) {
                    let product = first.plus(rank * rows).load(k);
                    sum = C::Scalar::widen(weight).fma_rounded(product, sum, Rounding::NearestEven);
                }
                row.to.finish(k, sum);
            });
        };
        match only {
            Some(row) => sum(k, &row),
            None => k.for_(this, rows, plan.threads(), |k, row, _| {
                let row = prepare(k, row);
                sum(k, &row);
            }),
        }
    }
}

/// A row of the block, with what its sum needs.
struct Row {
    row: Val<u32>,
    /// Whether there is such a row, and this thread has it.
    here: Pred,
    /// The experts', in rank order.
    weights: Vec<Val<f32>>,
    to: Target,
}

/// A plan whose warps have the same tile of different experts: as many at once as the schedule has
/// warps, the rest after them.
fn share_ranks(plan: Plan, how: How, used: u32) -> Plan {
    let rounds = used.div_ceil(how.schedule.warps);
    let schedule = Schedule { blocks: None, warps: used.div_ceil(rounds), ..how.schedule };
    Plan { schedule, slots: schedule.slots.min(rounds), vector_a_warp: true, may_add_shared: true, ..plan }
}
