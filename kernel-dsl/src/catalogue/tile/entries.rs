//! The kernels: a matrix, attention's three, the experts'.

use ptxgen_builder::build::{Body, Global, ReadOnly, Val};

use super::super::error::CatalogueError;
use super::super::experts::Experts;
use super::super::gate_up::{expert_entry_name, swiglu};
use super::super::gemv::{GemvBatchArgs, entry_name, nth_vector};
use super::super::grouped::{ExpertsDownArgs, ExpertsGateUpArgs, List};
use super::super::limits::check_tokens;
use super::super::matrix::{Epilogue, Store, finish};
use super::super::qkv::{self, QkvBatchArgs, QkvShape};
use super::super::schedule::{How, Shape};
use super::super::stage::{Block, Stage};
use super::Tile;
use super::copy::{Rows, TileMemory};
use super::plan::TilePlan;
use super::product::OfTile;
use crate::device::{DeviceFloat, FragmentFormat, fresh, inputs_ready, pass, residual};
use crate::precision::{Acc, Accumulation, ActQ8K, Math};

impl Rows {
    /// The only matrix of a tensor.
    #[track_caller]
    fn whole(plan: &TilePlan, base: ReadOnly<u8>) -> Rows {
        Rows { base, matrix: Val::from(0u64).copied(), tensor_bytes: plan.matrix_bytes() }
    }

    /// Matrix `index` of the `count` in a tensor.
    #[track_caller]
    fn one_of(plan: &TilePlan, base: ReadOnly<u8>, index: Val<u32>, count: u32) -> Rows {
        let bytes = plan.matrix_bytes();
        Rows { base, matrix: index.to::<u64>() * bytes, tensor_bytes: bytes * u64::from(count) }
    }
}

/// Vectors of a pass, a tile of them a block in y.
#[derive(Clone, Copy)]
struct Pass {
    x: Global<u8>,
    first: Val<u32>,
    count: Val<u32>,
}

impl Pass {
    /// Tile `tile` of a pass of up to `tokens`.
    #[track_caller]
    fn new(
        k: &Body,
        (x, state): (ReadOnly<u8>, ReadOnly<u32>),
        (tile, tokens): (Val<u32>, u32),
        plan: &TilePlan,
    ) -> Pass {
        let first = tile * plan.tokens;
        let end = pass::tokens(k, fresh(state), tokens).max(first);
        Pass { x: fresh(x), first, count: (end - first).min(plan.tokens) }
    }

    /// Multiplies a tile of a matrix, results of each vector `stride` apart. Its weights are loaded before the pass is known,
    /// which `new` returns after the previous kernels.
    #[track_caller]
    fn multiply<F: FragmentFormat, C: Accumulation, E: Epilogue>(
        k: &Body,
        tile: Tile<'_>,
        new: impl Fn(&Body) -> Pass,
        y: Global<f32>,
        stride: u32,
    ) {
        tile.begin(k);
        inputs_ready(k, tile.plan.pdl);
        let pass = new(k);
        k.if_else(
            pass.count.gt(0),
            |k| pass.products::<F, C, E>(k, &tile, y, stride),
            |k| {
                // No copy may be pending when the block ends.
                k.copy_async_commit();
                k.copy_async_wait(0);
            },
        );
    }

    #[track_caller]
    fn products<F: FragmentFormat, C: Accumulation, E: Epilogue>(
        &self,
        k: &Body,
        tile: &Tile<'_>,
        y: Global<f32>,
        stride: u32,
    ) {
        let (cols, rows) = (tile.plan.shape.cols, tile.plan.shape.rows);
        let vector = |_: &Body, place: Val<u32>| nth_vector::<ActQ8K>(self.x, self.first + place, cols);
        // A row's place in the results of a vector, and whether it is written.
        let target = |v: OfTile, own: Val<u32>| {
            let row = tile.first + own;
            let writes = if tile.plan.is_ragged() { v.here & row.lt(rows) } else { v.here };
            (y.at((self.first + v.place) * stride).at(row), writes)
        };
        // For sums in f64, whose proof counts roundings, the values to add to are loaded before any is written.
        let early = E::ADDS && C::ACC == Acc::F64;
        let before: Vec<_> = (0..if early { 2 * tile.plan.of_lane() } else { 0 }).map(|_| k.var::<f32>(0.0)).collect();
        if early {
            tile.each_vector(self.count, tile.plan.products(), |v, _| {
                for (i, own) in tile.own_rows.into_iter().enumerate() {
                    let (at, writes) = target(v, own);
                    if let Some(index) = v.index {
                        before[2 * index + i].set(at.load_or(k, writes, 0.0));
                    }
                }
            });
        }
        tile.multiply::<F, C::Scalar>(k, self.count, vector, |k, v, sums| {
            for (i, (own, sum)) in tile.own_rows.into_iter().zip(sums).enumerate() {
                let (at, writes) = target(v, own);
                match v.index.and_then(|index| before.get(2 * index + i)) {
                    Some(before) => {
                        let value = residual::<C::Scalar>(before.get(), DeviceFloat::narrow(sum));
                        at.store_if(k, writes, value);
                    }
                    None => finish::<E, _>(k, at, writes, sum),
                }
            }
        });
    }
}

/// [`gemv_batch`](super::super::gemv_batch) by tiles.
pub(in super::super) fn dense<F: FragmentFormat, C: Accumulation, E: Epilogue>(
    name: &'static str,
    shape: Shape,
    tokens: u32,
    how: How,
) -> Result<Stage<GemvBatchArgs<F, ActQ8K, E>>, CatalogueError> {
    check_tokens(name, tokens)?;
    let [plan] = TilePlan::spread::<C, 1>([TilePlan::new::<F>(name, shape, (1, tokens), how)?], tokens, how);
    let entry = format!("{}_t{tokens}", entry_name::<ActQ8K, C>(name, shape));
    let grid = [plan.row_tiles() * plan.token_tiles(tokens), 1, 1];
    let resources = TilePlan::resources::<C>(grid, &[plan], how);
    Stage::<GemvBatchArgs<F, ActQ8K, E>>::new(
        name,
        (&entry, ["w", "x", "state", "y"]),
        resources,
        move |k, (w, x, state, y), block| {
            // Blocks that read the same weights are at work together.
            let (block, tiles) = (block.x(k), plan.token_tiles(tokens));
            let rows = vec![Rows::whole(&plan, w)];
            let tile = Tile::new(&plan, k.thread_x(), TileMemory::new(k, &plan), rows, block / tiles);
            let pass = |k: &Body| Pass::new(k, (x, state), (block % tiles, tokens), &plan);
            Pass::multiply::<F, C, E>(k, tile, pass, y, shape.rows);
        },
    )
}

/// [`qkv_batch`](super::super::qkv_batch) by tiles.
pub(in super::super) fn projections<F: FragmentFormat, V: FragmentFormat, C: Accumulation>(
    name: &'static str,
    shape: QkvShape,
    tokens: u32,
    how: How,
) -> Result<Stage<QkvBatchArgs<F, V, ActQ8K>>, CatalogueError> {
    check_tokens(name, tokens)?;
    let rows = |rows| Shape { rows, cols: shape.cols };
    let plans = [
        TilePlan::new::<F>(name, rows(shape.q), (1, tokens), how)?,
        TilePlan::new::<F>(name, rows(shape.kv), (1, tokens), how)?,
        TilePlan::new::<V>(name, rows(shape.kv), (1, tokens), how)?,
    ];
    // One number of threads and of stages for all.
    let least = |f: fn(&TilePlan) -> u32| plans.iter().map(f).min().unwrap_or(1);
    let (warps, stages, group) = (least(|p| p.warps), least(|p| p.stages), least(|p| p.group));
    let plans = TilePlan::spread::<C, 3>(plans.map(|plan| TilePlan { warps, stages, group, ..plan }), tokens, how);
    let entry = format!("{}_t{tokens}", qkv::entry_name::<ActQ8K, C>(name, shape));
    let names = ["q", "k", "v", "x", "state", "y"];
    let grid = [plans.iter().map(TilePlan::row_tiles).sum(), plans[0].token_tiles(tokens), 1];
    let resources = TilePlan::resources::<C>(grid, &plans, how);
    Stage::<QkvBatchArgs<F, V, ActQ8K>>::new(
        name,
        (&entry, names),
        resources,
        move |k, (wq, wk, wv, x, state, y), place| {
            let pass = |k: &Body| Pass::new(k, (x, state), (place.y(k), tokens), &plans[0]);
            let (thread, block) = (k.thread_x(), place.x(k));
            let [q, key, value] = &plans;
            let stride = shape.q + 2 * shape.kv;
            let (keys, values) = (q.row_tiles(), q.row_tiles() + key.row_tiles());
            let memory = TileMemory::new(k, &plans[0]);
            let tile = |plan, w, tile| Tile::new(plan, thread, memory, vec![Rows::whole(plan, w)], tile);
            k.if_else(
                block.lt(keys),
                |k| Pass::multiply::<F, C, Store>(k, tile(q, wq, block), pass, y, stride),
                |k| {
                    k.if_else(
                        block.lt(values),
                        |k| {
                            let y = y.plus(shape.q);
                            Pass::multiply::<F, C, Store>(k, tile(key, wk, block - keys), pass, y, stride);
                        },
                        |k| {
                            let y = y.plus(shape.q + shape.kv);
                            Pass::multiply::<V, C, Store>(k, tile(value, wv, block - values), pass, y, stride);
                        },
                    );
                },
            );
        },
    )
}

/// [`experts_gate_up`](super::super::experts_gate_up) by tiles: a block's z is the expert, whose tiles are shared
/// out over y: blocks that read the same weights run at the same time.
pub(in super::super) fn experts_gate_up_tiles<F: FragmentFormat, C: Accumulation>(
    name: &'static str,
    shape: Shape,
    (experts, tokens): (Experts, u32),
    math: Math,
    how: How,
) -> Result<Stage<ExpertsGateUpArgs<F, ActQ8K>>, CatalogueError> {
    check_tokens(name, tokens)?;
    experts.check(name)?;
    let plan = TilePlan::new::<F>(name, shape, (2, of_expert(experts, tokens)), how)?.of_few(how);
    let entry = format!("{}_t{tokens}", expert_entry_name::<ActQ8K, C>(name, Some(math), shape, experts));
    let names = ["gate", "up", "x", "offsets", "pairs", "h"];
    let grid = [plan.row_tiles(), sharing(tokens), experts.count];
    let resources = TilePlan::resources::<C>(grid, &[plan], how);
    Stage::<ExpertsGateUpArgs<F, ActQ8K>>::new(
        name,
        (&entry, names),
        resources,
        move |k, (gate, up, x, offsets, pairs, h), place| {
            let expert = place.z(k);
            inputs_ready(k, plan.pdl);
            let list = List::of(k, expert, offsets, pairs);
            let memory = TileMemory::new(k, &plan);
            let (thread, block) = (k.thread_x(), place.x(k));
            let x = fresh(x);
            list.tiles(k, place, (plan.tokens, tokens), |k, first, count| {
                let rows = [gate, up].map(|w| Rows::one_of(&plan, w, expert, experts.count)).to_vec();
                let tile = Tile::new(&plan, thread, memory, rows, block);
                tile.begin(k);
                let vector =
                    |k: &Body, place| nth_vector::<ActQ8K>(x, list.pair(k, first + place) / experts.used, shape.cols);
                tile.multiply::<F, C::Scalar>(k, count, vector, |k, v, [gate, up]| {
                    let row = tile.first + tile.own_rows[0];
                    let writes = if plan.is_ragged() { v.here & row.lt(shape.rows) } else { v.here };
                    let value = swiglu::<C::Scalar>(math, &[gate], &[up])[0];
                    let pair = list.pair(k, first + v.place.min(count - 1));
                    h.at(pair * shape.rows).at(row).store_if(k, writes, value);
                });
            });
        },
    )
}

/// [`experts_down`](super::super::experts_down) by tiles.
pub(in super::super) fn experts_down_tiles<F: FragmentFormat, C: Accumulation>(
    name: &'static str,
    shape: Shape,
    (experts, tokens): (Experts, u32),
    how: How,
) -> Result<Stage<ExpertsDownArgs<F, ActQ8K>>, CatalogueError> {
    check_tokens(name, tokens)?;
    experts.check(name)?;
    let plan = TilePlan::new::<F>(name, shape, (1, of_expert(experts, tokens)), how)?.of_few(how);
    let entry = format!("{}_t{tokens}", expert_entry_name::<ActQ8K, C>(name, None, shape, experts));
    let names = ["down", "x", "offsets", "pairs", "y"];
    let grid = [plan.row_tiles(), sharing(tokens), experts.count];
    let resources = TilePlan::resources::<C>(grid, &[plan], how);
    Stage::<ExpertsDownArgs<F, ActQ8K>>::new(
        name,
        (&entry, names),
        resources,
        move |k, (down, x, offsets, pairs, y), place| {
            let expert = place.z(k);
            inputs_ready(k, plan.pdl);
            let list = List::of(k, expert, offsets, pairs);
            let memory = TileMemory::new(k, &plan);
            let (thread, block) = (k.thread_x(), place.x(k));
            let x = fresh(x);
            list.tiles(k, place, (plan.tokens, tokens), |k, first, count| {
                let rows = vec![Rows::one_of(&plan, down, expert, experts.count)];
                let tile = Tile::new(&plan, thread, memory, rows, block);
                tile.begin(k);
                let vector = |k: &Body, place| nth_vector::<ActQ8K>(x, list.pair(k, first + place), shape.cols);
                tile.multiply::<F, C::Scalar>(k, count, vector, |k, v, sums| {
                    let pair = list.pair(k, first + v.place.min(count - 1));
                    let y = y.at(pair * shape.rows);
                    for (own, sum) in tile.own_rows.into_iter().zip(sums) {
                        let row = tile.first + own;
                        let writes = if plan.is_ragged() { v.here & row.lt(shape.rows) } else { v.here };
                        finish::<Store, _>(k, y.at(row), writes, sum);
                    }
                });
            });
        },
    )
}

/// Vectors that most experts have in a pass of up to `tokens`: twice as many as they have on average. Of more, their matrix is
/// read again.
fn of_expert(experts: Experts, tokens: u32) -> u32 {
    tokens.saturating_mul(2 * experts.used).div_ceil(experts.count)
}

/// Blocks that share out the tiles of an expert in a pass of up to `tokens`: some experts have many more than others.
fn sharing(tokens: u32) -> u32 {
    (tokens / 128).clamp(1, 8)
}

impl List {
    /// Runs `each` on those tiles of the list that fall to the block in y: the first place of one, and how many it has.
    #[track_caller]
    fn tiles(&self, k: &Body, place: Block, (tile, tokens): (u32, u32), each: impl Fn(&Body, Val<u32>, Val<u32>)) {
        let (y, blocks) = (place.y(k), sharing(tokens));
        k.for_(self.first + y * tile, self.end, tile * blocks, |k, first, _| {
            // What was read before is free.
            k.barrier();
            each(k, first, (self.end - first).min(tile));
        });
    }
}
