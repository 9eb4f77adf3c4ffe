//! `moe-down`: the down projections of a token's experts, and their weighted sum.

use ptxgen_builder::build::{In, Out, Rounding, Val, kernel};
use ptxgen_builder::target::Target;

use super::gate_up::Experts;
use super::matrix::{Here, Tiles};
use super::schedule::{CatalogueError, Launchable, Plan, Schedule, Shape, fits};
use crate::device::{DeviceActivation, DeviceFloat, DeviceFormat, row_sums, stream_tiles};
use crate::format::Q8KPlanar;
use crate::precision::{Accumulation, Act};

/// The parameters: the down matrices of all experts, `used` vectors of
/// activations one behind the other, the ids of the token's experts, their
/// weights, and the result, `rows` f32.
pub type DownArgs<X> = (In<u8>, In<<X as DeviceActivation>::Element>, In<u32>, In<f32>, Out<f32>);

/// `y = sum_k w_k * (D_e h_k)` over the experts `e = ids[k]` in rank order: the
/// contract's "Experts' sum" of its matrix products, each rounded to f32. A
/// warp goes through the experts with its rows.
///
/// # Errors
/// For shapes and schedules that the kernel is not made for.
pub fn moe_down<F: DeviceFormat, X: DeviceActivation, C: Accumulation>(
    name: &'static str,
    shape: Shape,
    experts: Experts,
    schedule: Schedule,
    target: Target,
) -> Result<Launchable<DownArgs<X>>, CatalogueError> {
    // Every warp keeps its rows' sums while it goes through the experts.
    let schedule = Schedule { blocks: None, ..schedule };
    let plan = Plan::new::<F>(name, shape, schedule, target)?;
    let entry = format!(
        "{}_{}_{}_{}x{}_{}of{}",
        name.replace('-', "_"),
        X::ACT,
        C::ACC,
        shape.rows,
        shape.cols,
        experts.used,
        experts.count
    );
    let vector_bytes = match X::ACT {
        Act::F32 => shape.cols * 4,
        Act::Q8K => Q8KPlanar::new(shape.cols as usize).bytes() as u32,
    };
    let grid = plan.grid();
    let kernel =
        kernel::<DownArgs<X>>(&entry, ["down", "x", "ids", "weights", "y"], |k, (down, x, ids, weights, y)| {
            let here = Here::new(k, &plan);
            let place = plan.groups.place(here.lane);
            // Warps beyond the last tile take part in the barriers with it.
            let own = k.block_x() * plan.schedule.warps + here.warp;
            let tile = own.min(plan.tiles - 1);
            let matrix = |expert| Tiles::new(&plan, shape, down, (Some(expert), experts.count));
            let staged = matrix(Val::from(0u32).copied()).staged;
            let (slots, slot_bytes) = (plan.schedule.slots, staged.slot_bytes());
            let ring = k.shared::<u8>(plan.schedule.warps * slots * slot_bytes);
            let ring = ring.byte_at(here.warp * (slots * slot_bytes));
            let mut sums: Vec<_> =
                (0..plan.schedule.rows).map(|_| k.var::<C::Scalar>(C::Scalar::constant(0.0))).collect();
            stream_tiles(
                k,
                plan.mode,
                ring,
                (slots, slot_bytes),
                (Val::from(0u32).copied(), experts.used.into(), 1.into()),
                |k, rank, slot| {
                    let expert = ids.at(rank).load(k);
                    staged.copy(k, plan.mode, matrix(expert).source(tile), slot, here.lane);
                },
                |k, rank, slot| {
                    let expert = ids.at(rank).load(k);
                    let weight = C::Scalar::widen(weights.at(rank).load(k));
                    if X::ACT == Act::F32 {
                        // The vector before has been read by all warps.
                        k.barrier();
                    }
                    let vector = x.byte_at(rank * vector_bytes);
                    let vector = X::prepare::<F, C::Scalar>(k, vector, shape.cols, here.threads, place.lane);
                    let lane_rows = plan.schedule.rows * plan.row_bytes;
                    let address = staged.first_byte(&matrix(expert).source(tile), slot) + place.row * lane_rows;
                    let rows = (plan.schedule.rows, plan.row_bytes);
                    let products = row_sums::<F, X, C::Scalar>(k, &plan.groups, &place, &vector, address, rows);
                    for (sum, product) in sums.iter_mut().zip(products) {
                        let product = C::Scalar::widen(DeviceFloat::narrow(product));
                        sum.update(|s| weight.fma_rounded(product, s, Rounding::NearestEven));
                    }
                },
            );
            let row = tile * plan.rows_per_tile + place.row * plan.schedule.rows;
            let leader = (here.lane & (32 / plan.groups.rows() - 1)).eq(0) & own.lt(plan.tiles);
            for (i, sum) in sums.iter().enumerate() {
                let row = row + i as u32;
                y.at(row).store_if(k, leader & row.lt(shape.rows), DeviceFloat::narrow(sum.get()));
            }
        });
    fits(name, Launchable::new(kernel, [grid, 1, 1], plan.threads()))
}
