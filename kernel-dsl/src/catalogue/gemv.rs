//! `q4k-gemv` and `q6k-gemv`: a quantized matrix times a vector.

use ptxgen_builder::build::{In, Out, kernel};
use ptxgen_builder::target::Target;

use super::matrix::{Here, Tiles};
use super::schedule::{CatalogueError, Launchable, Plan, Schedule, Shape, fits};
use crate::device::{DeviceActivation, DeviceFloat, DeviceFormat, row_sums, stream_tiles};
use crate::precision::Accumulation;

/// The parameters: the matrix (blocks of its format, row by row), the vector
/// (f32, or the bytes of a [`Q8KPlanar`](crate::format::Q8KPlanar) vector), the
/// result (f32, one a row).
pub type GemvArgs<X> = (In<u8>, In<<X as DeviceActivation>::Element>, Out<f32>);

/// `y = W x` by the contract's "Matrix times vector". A warp takes tiles of
/// rows in turn.
///
/// # Errors
/// For shapes and schedules that the kernel is not made for.
pub fn gemv<F: DeviceFormat, X: DeviceActivation, C: Accumulation>(
    name: &'static str,
    shape: Shape,
    schedule: Schedule,
    target: Target,
) -> Result<Launchable<GemvArgs<X>>, CatalogueError> {
    let plan = Plan::new::<F>(name, shape, schedule, target)?;
    let entry = format!("{}_{}_{}_{}x{}", name.replace('-', "_"), X::ACT, C::ACC, shape.rows, shape.cols);
    let grid = plan.grid();
    let kernel = kernel::<GemvArgs<X>>(&entry, ["w", "x", "y"], |k, (w, x, y)| {
        let here = Here::new(k, &plan);
        let place = plan.groups.place(here.lane);
        let tiles = Tiles::new(&plan, shape, w, (None, 1));
        let x = X::prepare::<F, C::Scalar>(k, x, shape.cols, here.threads, place.lane);
        let (slots, slot_bytes) = (plan.slots(), tiles.staged.slot_bytes());
        let ring = k.shared::<u8>(plan.schedule.warps * slots * slot_bytes);
        let ring = ring.byte_at(here.warp * (slots * slot_bytes));
        let first = k.block_x() * plan.schedule.warps + here.warp;
        stream_tiles(
            k,
            plan.mode,
            ring,
            (slots, slot_bytes),
            (first, plan.tiles.into(), (grid * plan.schedule.warps).into()),
            |k, tile, slot| tiles.staged.copy(k, plan.mode, tiles.source(tile), slot, here.lane),
            |k, tile, slot| {
                let lane_rows = plan.schedule.rows * plan.row_bytes;
                let address = tiles.staged.first_byte(&tiles.source(tile), slot) + place.row * lane_rows;
                let rows = (plan.schedule.rows, plan.row_bytes);
                let sums = row_sums::<F, X, C::Scalar>(k, &plan.groups, &place, &x, address, rows);
                let row = tile * plan.rows_per_tile + place.row * plan.schedule.rows;
                let leader = (here.lane & (32 / plan.groups.rows() - 1)).eq(0);
                for (i, sum) in sums.into_iter().enumerate() {
                    let row = row + i as u32;
                    let writes = if shape.rows.is_multiple_of(plan.rows_per_tile) {
                        leader
                    } else {
                        leader & row.lt(shape.rows)
                    };
                    y.at(row).store_if(k, writes, DeviceFloat::narrow(sum));
                }
            },
        );
    });
    fits(name, Launchable::new(kernel, [grid, 1, 1], plan.threads()))
}
