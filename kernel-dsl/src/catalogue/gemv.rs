//! `q4k-gemv` and `q6k-gemv`: a quantized matrix times a vector, or several.

use ptxgen_builder::build::{Body, Global, In, Val};
use std::cell::Cell;

use super::contents::Blocks;
use super::error::CatalogueError;
use super::limits::check_tokens;
use super::matrix::{Epilogue, Here, Input, Target, Tiles, Work, finish, resident, streamed};
use super::memory::{Memory, resources};
use super::plan::Plan;
use super::schedule::{How, Shape};
use super::stage::Stage;
use crate::device::{DeviceActivation, DeviceFormat, fresh, inputs_ready, pass};
use crate::format::Q8KPlanar;
use crate::precision::{Accumulation, Act};

/// The parameters: the matrix (blocks of its format, row by row), the vector (f32, or the bytes of a [`Q8KPlanar`]
/// vector), the result (f32, one per row).
pub type GemvArgs<F, X, E> = (In<Blocks<F>>, In<<X as DeviceActivation>::Stored>, <E as Epilogue>::Buffer);

/// The parameters: the matrix, the vectors one after the other, the [pass] (with at most the kernel's maximum number of
/// tokens), the results (f32, `rows` for each vector).
pub type GemvBatchArgs<F, X, E> =
    (In<Blocks<F>>, In<<X as DeviceActivation>::Stored>, In<u32>, <E as Epilogue>::Buffer);

/// `y = W x` by the contract's "Matrix times vector", or with
/// [`Add`](super::Add) `y = y + W x`. A warp takes tiles of rows in turn.
///
/// # Errors
/// For shapes and schedules that the kernel does not support.
pub fn gemv<F: DeviceFormat, X: DeviceActivation, C: Accumulation, E: Epilogue>(
    name: &'static str,
    shape: Shape,
    how: How,
) -> Result<Stage<GemvArgs<F, X, E>>, CatalogueError> {
    let plan = Plan { may_add_shared: true, ..Plan::new::<F, X, C::Scalar>(name, shape, 1, how)? };
    let entry = entry_name::<X, C>(name, shape);
    let resources = resources([plan.grid(), 1, 1], &[&plan], how.target);
    Stage::<GemvArgs<F, X, E>>::new(name, (&entry, ["w", "x", "y"]), resources, move |k, (w, x, y), block| {
        let memory = Memory::<C::Scalar>::new(k, &[&plan]);
        let block = block.x(k);
        let work = Work::new(&plan, Here::new(k, &plan), memory, block);
        let targets = |k: &Body, tile| -> Vec<Target> {
            let rows = work.rows(tile).into_iter();
            rows.map(|(row, writes)| Target::new::<E>(k, y.at(row), writes & tile.lt(plan.tiles))).collect()
        };
        // If a warp has one tile, the values to add to are loaded before the sums are computed.
        let only = Cell::new(None);
        let ready = |k: &Body| {
            inputs_ready(k, plan.pdl);
            if E::ADDS && plan.one_tile_each() {
                only.set(Some(targets(k, work.first_tile())));
            }
            work.hold::<F, X>(k, Input::Ready(fresh(x)))
        };
        let matrix = Tiles::whole(&plan, w);
        streamed::<F, X, C::Scalar>(
            k,
            &work,
            |_, tile| (vec![matrix], tile),
            ready,
            |k, tile, sums| {
                let targets = only.take().unwrap_or_else(|| targets(k, tile));
                for (target, sum) in targets.iter().zip(work.own(&sums[0])) {
                    target.finish(k, sum);
                }
            },
        );
    })
}

/// The same for up to `tokens` vectors, each weight read once: a warp keeps its
/// tile. The bits are those of [`gemv`] for each vector.
///
/// # Errors
/// For shapes and schedules that the kernel does not support.
pub fn gemv_batch<F: DeviceFormat, X: DeviceActivation, C: Accumulation, E: Epilogue>(
    name: &'static str,
    shape: Shape,
    tokens: u32,
    how: How,
) -> Result<Stage<GemvBatchArgs<F, X, E>>, CatalogueError> {
    check_tokens(name, tokens)?;
    let plan = Plan::new::<F, X, C::Scalar>(name, shape, 1, how)?.resident();
    let entry = format!("{}_t{tokens}", entry_name::<X, C>(name, shape));
    let resources = resources([plan.grid(), 1, 1], &[&plan], how.target);
    Stage::<GemvBatchArgs<F, X, E>>::new(
        name,
        (&entry, ["w", "x", "state", "y"]),
        resources,
        move |k, (w, x, state, y), block| {
            let memory = Memory::<C::Scalar>::new(k, &[&plan]);
            let block = block.x(k);
            let work = Work::new(&plan, Here::new(k, &plan), memory, block);
            let ready = |k: &Body| {
                inputs_ready(k, plan.pdl);
                (Val::from(0u32).copied(), pass::tokens(k, fresh(state), tokens))
            };
            let vector = |_: &Body, token| (token, nth_vector::<X>(fresh(x), token, shape.cols));
            resident::<F, X, C::Scalar>(k, &work, &[Tiles::whole(&plan, w)], ready, vector, |k, token, rows, sums| {
                let y = y.at(token * shape.rows);
                for ((row, writes), sum) in rows.into_iter().zip(work.own(&sums[0])) {
                    finish::<E, _>(k, y.at(row), writes, sum);
                }
            });
        },
    )
}

pub(super) fn entry_name<X: DeviceActivation, C: Accumulation>(name: &str, shape: Shape) -> String {
    format!("{}_{}_{}_{}x{}", name.replace('-', "_"), X::ACT, C::ACC, shape.rows, shape.cols)
}

/// One of several consecutive vectors.
#[track_caller]
pub(super) fn nth_vector<X: DeviceActivation>(x: Global<X::Element>, n: Val<u32>, cols: u32) -> Global<X::Element> {
    let bytes = match X::ACT {
        Act::F32 => cols * 4,
        Act::Q8K => Q8KPlanar::new(cols as usize).bytes() as u32,
    };
    Global::from_address(n.mad_wide(bytes, x.address()))
}
