//! What the matrix kernels have in common: tiles of rows, streamed or kept,
//! their sums, and who writes them.

use ptxgen_builder::build::{Arg, Body, Global, InOut, Out, Pred, ReadOnly, Shared, Val};

use super::contents::Parameter;
use super::memory::Memory;
use super::plan::Plan;
use crate::device::{
    DeviceActivation, DeviceFloat, DeviceFormat, Group, MadeAt, RowVector, Source, Threads, TileSource, TileStream,
    residual, row_sums, staged,
};

/// A thread's place in a block.
#[derive(Clone, Copy)]
pub(super) struct Here {
    pub lane: Val<u32>,
    pub warp: Val<u32>,
    pub threads: Threads,
}

impl Here {
    #[track_caller]
    pub(super) fn new(k: &Body, plan: &Plan) -> Here {
        let this = k.thread_x().named("thread");
        Here {
            lane: (this & 31).named("lane"),
            warp: (this >> 5).named("warp"),
            threads: Threads { this, count: plan.threads() },
        }
    }
}

/// The rows of a matrix (or of one expert's matrix) as tiles.
#[derive(Clone, Copy)]
pub(super) struct Tiles {
    base: ReadOnly<u8>,
    /// Bytes from the tensor's start to the matrix.
    matrix: Val<u64>,
    /// Bytes of the whole tensor.
    tensor_bytes: u64,
}

impl Tiles {
    /// The only matrix of a tensor.
    #[track_caller]
    pub(super) fn whole(plan: &Plan, base: ReadOnly<u8>) -> Tiles {
        Tiles { base, matrix: Val::from(0u64), tensor_bytes: plan.matrix_bytes() }
    }

    /// Matrix `index` of the `count` in a tensor.
    #[track_caller]
    pub(super) fn one_of(plan: &Plan, base: ReadOnly<u8>, index: Val<u32>, count: u32) -> Tiles {
        let bytes = plan.matrix_bytes();
        Tiles { base, matrix: index.to::<u64>() * bytes, tensor_bytes: bytes * u64::from(count) }
    }

    /// Where tile `tile` lies.
    #[track_caller]
    fn source(&self, plan: &Plan, tile: Val<u32>) -> TileSource {
        let bytes = plan.tile.bytes;
        let offset = self.matrix + tile.mul_wide(bytes);
        // Where a tile may reach beyond the tensor.
        let available = (!plan.tile.aligned || plan.is_ragged()).then(|| {
            let left = Val::from(self.tensor_bytes).copied() - offset;
            left.min(u64::from(bytes)).to::<u32>()
        });
        TileSource { base: self.base, offset, available }
    }
}

impl Plan {
    fn matrix_bytes(&self) -> u64 {
        u64::from(self.shape.rows) * u64::from(self.row_bytes)
    }

    /// Whether the last tile has fewer rows.
    fn is_ragged(&self) -> bool {
        !self.shape.rows.is_multiple_of(self.rows_per_tile)
    }
}

/// The vector of a product.
pub(super) enum Input<X: DeviceActivation> {
    /// In its format.
    Ready(Global<X::Element>),
    /// To be brought into it; for plans that are [`making`](Plan::making) it.
    From(Source),
}

/// A warp's part of a product.
#[derive(Clone, Copy)]
pub(super) struct Work<'p, A> {
    pub plan: &'p Plan,
    pub here: Here,
    pub place: Group,
    /// The block, among those of the product.
    pub block: Val<u32>,
    ring: Val<u32>,
    staging: Option<Shared<A>>,
    /// The scales of a vector that is made.
    scales: Option<Shared<f32>>,
    grid: Option<Shared<u32>>,
    /// Those that stage a vector together.
    pub stagers: Threads,
}

impl<'p, A: DeviceFloat> Work<'p, A> {
    #[track_caller]
    pub(super) fn new(plan: &'p Plan, here: Here, memory: Memory<A>, block: Val<u32>) -> Self {
        let staging = memory.staging.filter(|_| plan.staging > 0);
        let (vector, stagers) = match plan.vector_a_warp {
            false => (Val::from(0u32), here.threads),
            true => (here.warp, Threads { this: here.lane, count: 32 }),
        };
        let staging = staging.map(|s| s.byte_at(vector * plan.staging));
        let scales = memory.scales.map(|s| s.at(vector * plan.superblocks()));
        let ring = memory.rings.byte_at(here.warp * plan.ring_bytes()).address();
        Work {
            plan,
            here,
            place: plan.groups.place(here.lane),
            block,
            ring,
            staging,
            scales,
            grid: memory.grid,
            stagers,
        }
    }

    /// The warp's first tile.
    #[track_caller]
    pub(super) fn first_tile(&self) -> Val<u32> {
        self.block * self.plan.schedule.warps + self.here.warp
    }

    /// The stream of what `first`, `end` and `step` count, through the warp's ring.
    pub(super) fn stream(&self, (first, end, step): (Val<u32>, Val<u32>, Val<u32>)) -> TileStream {
        let &Plan { mode, slots, .. } = self.plan;
        TileStream { mode, ring: self.ring, slots, slot_bytes: self.plan.slot_bytes(), first, end, step }
    }

    /// Starts copying a tile of each matrix to a slot.
    #[track_caller]
    pub(super) fn copy(&self, k: &Body, matrices: &[Tiles], tile: Val<u32>, slot: Shared<u8>) {
        let staged = self.plan.tile;
        for (i, m) in matrices.iter().enumerate() {
            let slot = slot.plus_bytes(i as i64 * i64::from(staged.slot_bytes()));
            staged.copy(k, self.plan.mode, m.source(self.plan, tile), slot, self.here.lane);
        }
    }

    /// Waits for the code book, after the first tiles' copies have started; the whole block together.
    #[track_caller]
    pub(super) fn grid_staged(&self, k: &Body) {
        if self.grid.is_some() {
            staged(k, self.plan.mode, self.plan.slots);
        }
    }

    /// Waits until all that stage a vector together have read the one before.
    #[track_caller]
    pub(super) fn vector_read(&self, k: &Body) {
        if self.staging.is_some() {
            self.stagers.sync(k);
        }
    }

    /// Makes a vector of activations ready, with the whole block, or the whole warp where each has
    /// its own.
    #[track_caller]
    pub(super) fn prepare<F: DeviceFormat, X: DeviceActivation>(&self, k: &Body, x: Input<X>) -> X::Vector<A> {
        let (cols, lane) = (self.plan.shape.cols, self.place.lane);
        match (x, self.staging.zip(self.scales)) {
            (Input::Ready(x), _) => X::prepare::<F, A>(k, x, self.staging, cols, self.stagers, lane),
            (Input::From(source), Some((storage, scales))) => {
                X::make::<F, A>(k, &source, MadeAt { storage, scales }, cols, self.stagers, lane)
            }
            (Input::From(_), None) => unreachable!("a plan that makes vectors has room for them"),
        }
    }

    /// The same for a warp that streams tiles: the lane's share in registers, if it is small.
    #[track_caller]
    pub(super) fn hold<F: DeviceFormat, X: DeviceActivation>(&self, k: &Body, x: Input<X>) -> RowVector<X, A> {
        let x = self.prepare::<F, X>(k, x);
        self.plan.groups.hold::<F, X, A>(k, x, &self.place)
    }

    /// The sums of a slot's rows, for each matrix.
    #[track_caller]
    pub(super) fn sums<F: DeviceFormat, X: DeviceActivation>(
        &self,
        k: &Body,
        matrices: &[Tiles],
        (tile, slot): (Val<u32>, Shared<u8>),
        x: &RowVector<X, A>,
    ) -> Vec<Vec<Val<A>>> {
        let plan = self.plan;
        let lane_rows = self.place.row * (plan.schedule.rows * plan.row_bytes);
        let rows = (plan.schedule.rows, plan.row_bytes);
        let each = matrices.iter().enumerate().map(|(i, m)| {
            let slot = slot.plus_bytes(i as i64 * i64::from(plan.tile.slot_bytes()));
            let address = plan.tile.first_byte(&m.source(plan, tile), slot) + lane_rows;
            row_sums::<F, X, A>(k, &plan.groups, &self.place, x, (address, self.grid), rows)
        });
        each.collect()
    }

    /// Lanes that share a row.
    fn sharing(&self) -> u32 {
        32 / self.plan.groups.rows()
    }

    /// The values of the rows that this lane writes, of those of its group's
    /// rows, which all lanes of the group have.
    #[track_caller]
    pub(super) fn own<T: ptxgen_builder::build::Scalar>(&self, values: &[Val<T>]) -> Vec<Val<T>> {
        let lane = self.here.lane & (self.sharing() - 1);
        let each = values.chunks(self.sharing() as usize).map(|chunk| {
            let others = (1..).zip(&chunk[1..]);
            others.fold(chunk[0], |mine, (i, v)| v.select(lane.eq(i), mine))
        });
        each.collect()
    }

    /// The rows of a tile that this lane writes, and whether it does, for each
    /// value of [`own`](Self::own).
    #[track_caller]
    pub(super) fn rows(&self, tile: Val<u32>) -> Vec<(Val<u32>, Pred)> {
        let (plan, sharing) = (self.plan, self.sharing());
        let lane = self.here.lane & (sharing - 1);
        let first = tile * plan.rows_per_tile + self.place.row * plan.schedule.rows + lane;
        let each = (0..plan.schedule.rows).step_by(sharing as usize).map(|base| {
            let row = first + base;
            let own = lane.lt(plan.schedule.rows - base);
            (row, if plan.is_ragged() { own & row.lt(plan.shape.rows) } else { own })
        });
        each.collect()
    }
}

/// The product of a vector: a warp takes tiles in turn. Their first copies are
/// requested before `vector` gives it; `write` gets each tile's sums.
/// `locate` returns the matrices of a tile, and its index among their tiles.
#[track_caller]
pub(super) fn streamed<F: DeviceFormat, X: DeviceActivation, A: DeviceFloat>(
    k: &Body,
    w: &Work<'_, A>,
    locate: impl Fn(&Body, Val<u32>) -> (Vec<Tiles>, Val<u32>),
    vector: impl FnOnce(&Body) -> RowVector<X, A>,
    write: impl Fn(&Body, Val<u32>, Vec<Vec<Val<A>>>),
) {
    let plan = w.plan;
    let stream = w.stream((w.first_tile(), plan.all_tiles().into(), (plan.grid() * plan.schedule.warps).into()));
    let issue = |k: &Body, tile: Val<u32>, slot: Shared<u8>| {
        let (matrices, tile) = locate(k, tile);
        w.copy(k, &matrices, tile, slot);
    };
    stream.start(k, &issue);
    let x = vector(k);
    w.grid_staged(k);
    stream.run(k, &issue, |k, tile, slot| {
        let (matrices, own) = locate(k, tile);
        let sums = w.sums::<F, X>(k, &matrices, (own, slot), &x);
        write(k, tile, sums);
    });
}

/// The products of several vectors: a warp keeps its tile, and the block goes
/// through the vectors. The tile's copy is requested before `ready` gives the
/// range of a list; `pick` gives the number of a place's results, and its
/// vector; `write` gets that number, the lane's rows and the sums.
#[track_caller]
pub(super) fn resident<F: DeviceFormat, X: DeviceActivation, A: DeviceFloat>(
    k: &Body,
    w: &Work<'_, A>,
    matrices: &[Tiles],
    ready: impl Fn(&Body) -> (Val<u32>, Val<u32>),
    pick: impl Fn(&Body, Val<u32>) -> (Val<u32>, Global<X::Element>),
    write: impl Fn(&Body, Val<u32>, Vec<(Val<u32>, Pred)>, Vec<Vec<Val<A>>>),
) {
    // Warps beyond the last tile take part in the barriers with it.
    let own = w.first_tile();
    let tile = own.min(w.plan.tiles - 1);
    let stream = w.stream((Val::from(0u32).copied(), 1.into(), 1.into()));
    let issue = |k: &Body, _: Val<u32>, slot: Shared<u8>| w.copy(k, matrices, tile, slot);
    stream.start(k, &issue);
    let (first, end) = ready(k);
    w.grid_staged(k);
    stream.run(k, &|_, _, _| (), |k, _, slot| {
        k.for_(first, end, 1, |k, place, _| {
            let (item, x) = pick(k, place);
            w.vector_read(k);
            let x = RowVector::Ready(w.prepare::<F, X>(k, Input::Ready(x)));
            let sums = w.sums::<F, X>(k, matrices, (tile, slot), &x);
            let present = own.lt(w.plan.tiles);
            let rows = w.rows(tile).into_iter().map(|(row, writes)| (row, writes & present)).collect();
            write(k, item, rows, sums);
        });
    });
}

/// What becomes of a result.
pub trait Epilogue: Copy + 'static {
    /// The buffer of results.
    type Buffer: Parameter + Arg<Handle = Global<f32>>;
    /// Whether it is added to what the buffer holds.
    const ADDS: bool;
}

/// It is stored.
#[derive(Clone, Copy, Debug)]
pub struct Store;

/// It is rounded to f32 and added in f32 to what the buffer holds: the
/// contract's "Residual".
#[derive(Clone, Copy, Debug)]
pub struct Add;

impl Epilogue for Store {
    type Buffer = Out<f32>;
    const ADDS: bool = false;
}

impl Epilogue for Add {
    type Buffer = InOut<f32>;
    const ADDS: bool = true;
}

/// A place of the buffer of results: what it holds, where something is added to that, and whether
/// this thread writes it.
#[derive(Clone, Copy)]
pub(super) struct Target {
    at: Global<f32>,
    writes: Pred,
    before: Option<Val<f32>>,
}

impl Target {
    /// Asks for what it holds, if that is needed.
    #[track_caller]
    pub(super) fn new<E: Epilogue>(k: &Body, at: Global<f32>, writes: Pred) -> Target {
        Target { at, writes, before: E::ADDS.then(|| at.load_or(k, writes, 0.0)) }
    }

    /// Ends a result's stage.
    #[track_caller]
    pub(super) fn finish<A: DeviceFloat>(&self, k: &Body, result: Val<A>) {
        let value = A::narrow(result);
        let value = self.before.map_or(value, |before| residual::<A>(before, value));
        self.at.store_if(k, self.writes, value);
    }
}

/// Ends a result's stage where `writes`.
#[track_caller]
pub(super) fn finish<E: Epilogue, A: DeviceFloat>(k: &Body, at: Global<f32>, writes: Pred, result: Val<A>) {
    Target::new::<E>(k, at, writes).finish(k, result);
}
