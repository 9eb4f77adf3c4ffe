//! `moe-down`: the down projections of a token's experts, and their weighted sum.

use ptxgen_builder::build::{Body, In, Rounding, Shared, Val, kernel};

use super::gate_up::{Experts, expert_entry_name};
use super::gemv::nth_vector;
use super::matrix::{Epilogue, Here, Memory, Tiles, Work, finish};
use super::schedule::{CatalogueError, How, Launchable, Plan, Schedule, Shape, fits};
use crate::device::{DeviceActivation, DeviceFloat, DeviceFormat, fresh, inputs_ready};
use crate::precision::Accumulation;

/// The parameters: the down matrices of all experts, `used` vectors of
/// activations one behind the other, the ids of the token's experts, their
/// weights, and the result, `rows` f32.
pub type DownArgs<X, E> = (In<u8>, In<<X as DeviceActivation>::Element>, In<u32>, In<f32>, <E as Epilogue>::Buffer);

/// `y = sum_k w_k * (D_e h_k)` over the experts `e = ids[k]` in rank order: the
/// contract's "Experts' sum" of its matrix products, each rounded to f32; with
/// [`Add`](super::Add) added to y. A warp goes through the experts with its
/// rows.
///
/// With programmatic dependent launch, ids and weights must be older than the
/// kernel before this one: they are read without waiting for it.
///
/// # Errors
/// For shapes, experts and schedules that the kernel is not made for.
pub fn moe_down<F: DeviceFormat, X: DeviceActivation, C: Accumulation, E: Epilogue>(
    name: &'static str,
    shape: Shape,
    experts: Experts,
    how: How,
) -> Result<Launchable<DownArgs<X, E>>, CatalogueError> {
    if !(1..=32).contains(&experts.used) {
        let (found, expected) = (experts.used.into(), "1 to 32");
        return Err(CatalogueError::Shape { kernel: name, dimension: "used", found, expected });
    }
    // Every warp keeps its rows' sums while it goes through the experts.
    let schedule = Schedule { blocks: None, ..how.schedule };
    let mut plan = Plan::new::<F, X, C::Scalar>(name, shape, 1, How { schedule, ..how })?;
    plan.slots = schedule.slots.min(experts.used);
    let entry = expert_entry_name::<X, C>(name, None, shape, experts);
    let names = ["down", "x", "ids", "weights", "y"];
    let kernel = kernel::<DownArgs<X, E>>(&entry, names, |k, (down, x, ids, weights, y)| {
        let memory = Memory::<C::Scalar>::new(k, &[&plan]);
        let block = k.block_x();
        let work = Work::new(&plan, Here::new(k, &plan), memory, block);
        // Warps beyond the last tile take part in the barriers with it.
        let own = work.first_tile();
        let tile = own.min(plan.tiles - 1);
        // A lane has the id and the weight of a rank.
        let rank_of_lane = work.here.lane.min(experts.used - 1);
        let (ids, weights) = (ids.at(rank_of_lane).load(k), weights.at(rank_of_lane).load(k));
        let matrix = |k: &mut Body, rank: Val<u32>| {
            let expert = k.shuffle_idx(ids, rank);
            [Tiles::one_of(&plan, down, expert, experts.count)]
        };
        let stream = work.stream((Val::from(0u32).copied(), experts.used.into(), 1.into()));
        let mut issue = |k: &mut Body, rank: Val<u32>, slot: Shared<u8>| {
            let matrix = matrix(k, rank);
            work.copy(k, &matrix, tile, slot);
        };
        stream.start(k, &mut issue);
        inputs_ready(k, plan.pdl);
        let rows = work.rows(tile);
        let mut sums: Vec<_> = rows.iter().map(|_| k.var::<C::Scalar>(C::Scalar::constant(0.0))).collect();
        stream.run(k, &mut issue, |k, rank, slot| {
            let matrix = matrix(k, rank);
            let weight = C::Scalar::widen(k.shuffle_idx(weights, rank));
            if plan.staging > 0 {
                // The vector before has been read by all warps.
                k.barrier();
            }
            let vector = work.prepare::<F, X>(k, nth_vector::<X>(fresh(x), rank, shape.cols));
            let products = work.sums::<F, X>(k, &matrix, (tile, slot), &vector);
            for (sum, product) in sums.iter_mut().zip(work.own(&products[0])) {
                let product = C::Scalar::widen(DeviceFloat::narrow(product));
                sum.update(|s| weight.fma_rounded(product, s, Rounding::NearestEven));
            }
        });
        for ((row, writes), sum) in rows.into_iter().zip(&sums) {
            finish::<E, _>(k, y.at(row), writes & own.lt(plan.tiles), sum.get());
        }
    });
    fits(name, Launchable::new(kernel, [plan.grid(), 1, 1], plan.threads()))
}
