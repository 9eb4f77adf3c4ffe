//! `fused-gate-up-swiglu`: both projections and SwiGLU of a token's experts.

use ptxgen_builder::build::{In, Out, Val, kernel};
use ptxgen_builder::target::Target;

use super::matrix::{Here, Tiles};
use super::schedule::{CatalogueError, Launchable, Plan, Schedule, Shape, fits};
use crate::device::{DeviceActivation, DeviceFloat, DeviceFormat, row_sums, stream_tiles, swiglu_approx, swiglu_exact};
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
    schedule: Schedule,
    target: Target,
) -> Result<Launchable<GateUpArgs<X>>, CatalogueError> {
    let plan = Plan::new::<F>(name, shape, schedule, target)?;
    let entry = format!(
        "{}_{}_{}_{math}_{}x{}_{}of{}",
        name.replace('-', "_"),
        X::ACT,
        C::ACC,
        shape.rows,
        shape.cols,
        experts.used,
        experts.count
    );
    let grid = plan.grid();
    let kernel = kernel::<GateUpArgs<X>>(&entry, ["gate", "up", "x", "ids", "h"], |k, (gate, up, x, ids, h)| {
        let here = Here::new(k, &plan);
        let place = plan.groups.place(here.lane);
        let rank = k.block_y();
        let expert = ids.at(rank).load(k).named("expert");
        let matrices = [gate, up].map(|w| Tiles::new(&plan, shape, w, (Some(expert), experts.count)));
        let x = X::prepare::<F, C::Scalar>(k, x, shape.cols, here.threads, place.lane);
        let half = matrices[0].staged.slot_bytes();
        let (slots, slot_bytes) = (plan.slots(), 2 * half);
        let ring = k.shared::<u8>(plan.schedule.warps * slots * slot_bytes);
        let ring = ring.byte_at(here.warp * (slots * slot_bytes));
        let first = k.block_x() * plan.schedule.warps + here.warp;
        stream_tiles(
            k,
            plan.mode,
            ring,
            (slots, slot_bytes),
            (first, plan.tiles.into(), (grid * plan.schedule.warps).into()),
            |k, tile, slot| {
                for (i, m) in matrices.iter().enumerate() {
                    let slot = slot.plus_bytes(i as i64 * i64::from(half));
                    m.staged.copy(k, plan.mode, m.source(tile), slot, here.lane);
                }
            },
            |k, tile, slot| {
                let lane_rows = plan.schedule.rows * plan.row_bytes;
                let rows = (plan.schedule.rows, plan.row_bytes);
                let mut sums = matrices.iter().enumerate().map(|(i, m)| {
                    let slot = slot.plus_bytes(i as i64 * i64::from(half));
                    let address = m.staged.first_byte(&m.source(tile), slot) + place.row * lane_rows;
                    row_sums::<F, X, C::Scalar>(k, &plan.groups, &place, &x, address, rows)
                });
                let (gates, ups) = (sums.next().unwrap_or_default(), sums.next().unwrap_or_default());
                drop(sums);
                let row = tile * plan.rows_per_tile + place.row * plan.schedule.rows;
                let leader = (here.lane & (32 / plan.groups.rows() - 1)).eq(0);
                for (i, (g, u)) in gates.into_iter().zip(ups).enumerate() {
                    let (g, u) = (DeviceFloat::narrow(g), DeviceFloat::narrow(u));
                    let value: Val<f32> = match math {
                        Math::Exact => swiglu_exact::<C::Scalar>(g, u),
                        Math::Approx => swiglu_approx(g, u),
                    };
                    let row = row + i as u32;
                    h.at(rank * shape.rows + row).store_if(k, leader & row.lt(shape.rows), value);
                }
            },
        );
    });
    fits(name, Launchable::new(kernel, [grid, experts.used, 1], plan.threads()))
}
