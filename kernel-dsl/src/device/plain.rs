//! Products of plain matrices (F32, F16, BF16, Q8_0) with f32 vectors: the contract's "Matrix times
//! vector" for the types that have no superblocks.
//!
//! Sixteen lanes take a run of 256 weights, a group of 16 each; their term goes to shared memory,
//! and one thread sums the terms of a row.

use ptxgen_builder::build::{Body, Pred, Ptr, ReadOnly, ReadSpace, Rounding, Shared, Val};

use super::{DeviceFloat, butterfly, row_tree};
use crate::format::{SUPERBLOCK, Tensor, TensorType};

/// Where a lane finds 16 weights.
#[derive(Clone, Copy)]
pub struct GroupAt<S> {
    /// The row's first byte.
    pub row: Ptr<S, u8>,
    /// The group in the row.
    pub group: Val<u32>,
    /// Weights of the row.
    pub cols: u32,
    /// Where the row has the group, if not everywhere; what is not there is 0.
    pub here: Option<Pred>,
}

impl<S> GroupAt<S> {
    /// Whether every row is whole groups, at 16-byte boundaries where the tensor is.
    pub(crate) fn is_whole(&self) -> bool {
        self.cols.is_multiple_of(16)
    }
}

/// A tensor type whose weights lanes read in groups of 16.
pub trait DevicePlain: Tensor + Copy + Send + Sync {
    /// The type.
    const TYPE: TensorType;

    /// The weights of a group, widened to `A`; zeros beyond the end of the row.
    fn group<S: ReadSpace, A: DeviceFloat>(k: &Body, at: &GroupAt<S>) -> [Val<A>; 16];

    /// Lanes that load a group together where many groups are loaded at once, so that neighbouring lanes read neighbouring
    /// bytes; they divide 16.
    const PARTS: u32 = 1;

    /// Weights `16 / PARTS * part` and those after it, `16 / PARTS` of them, of a group of a row of whole groups, widened to `A`.
    #[track_caller]
    fn part<S: ReadSpace, A: DeviceFloat>(k: &Body, at: &GroupAt<S>, part: Val<u32>) -> Vec<Val<A>> {
        let _ = part;
        Self::group(k, at).to_vec()
    }

    /// Bytes of a row of `cols` weights.
    ///
    /// # Panics
    /// If they are not whole blocks of the type.
    fn row_bytes(cols: u32) -> u32 {
        let bytes = Self::TYPE.bytes_of(cols as usize).and_then(|n| u32::try_from(n).ok());
        bytes.unwrap_or_else(|| panic!("{cols} weights are not whole blocks of {}", Self::TYPE))
    }
}

/// The part of a matrix product that a block of threads has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlainTile {
    /// Rows.
    pub rows: u32,
    /// Columns of the matrix.
    pub cols: u32,
    /// Most vectors that are multiplied.
    pub tokens: u32,
    /// Threads of the block, a multiple of 32.
    pub threads: u32,
}

/// Runs of 256 weights that 16 lanes hold in registers while they go through the vectors.
const HELD: u32 = 4;

/// Bytes of 16 weights that are few: those of four to six bits.
const FEW: usize = 12;

/// Tiles that keep all multiprocessors of a large GPU busy.
const ENOUGH: u32 = 128;

/// Runs of a tile that 16 lanes hold, and where they are.
struct Held<A> {
    weights: [Val<A>; 16],
    group: Val<u32>,
    here: Option<Pred>,
    /// The run in the tile, and whether the tile has it.
    run: Val<u32>,
    stored: Option<Pred>,
}

impl PlainTile {
    /// A tile for `cols` columns that keeps its threads busy with as few rows as that takes.
    pub fn new(cols: u32, tokens: u32, threads: u32) -> PlainTile {
        let runs = cols.div_ceil(SUPERBLOCK as u32).max(1);
        PlainTile { rows: (threads / 16 / runs).max(1), cols, tokens, threads }
    }

    /// The same with as many rows as fit into the lanes' registers, for many vectors.
    pub fn wide(self) -> PlainTile {
        let rounds = (self.rows * self.runs()).div_ceil(self.teams());
        PlainTile { rows: self.rows * (HELD / rounds).max(1), ..self }
    }

    /// One for the product of one vector with `rows` rows: for types of few bytes wide, unless that leaves too few tiles for a
    /// large GPU. Lanes then have more bytes in flight, and read the vector once for several rows.
    pub fn of_rows<F: DevicePlain>(self, rows: u32) -> PlainTile {
        let wide = self.wide();
        let group = 16 * F::TYPE.block_bytes() / F::TYPE.block_len();
        if self.tokens == 1 && group <= FEW && rows / wide.rows >= ENOUGH { wide } else { self }
    }

    /// Runs of 256 weights in a row.
    pub fn runs(&self) -> u32 {
        self.cols.div_ceil(SUPERBLOCK as u32)
    }

    /// Groups of 16 lanes.
    fn teams(&self) -> u32 {
        self.threads / 16
    }

    /// Calls `finish` with every row of the tile, every vector below `tokens` and their product
    /// before its last rounding, one a lane. `row` and `vector` tell where they are; they are
    /// asked for any row of the tile. `ready` is called before a vector is read, and after the
    /// loads of weights where all fit the registers.
    #[track_caller]
    pub fn products<F: DevicePlain, A: DeviceFloat, S: ReadSpace>(
        &self,
        k: &Body,
        thread: Val<u32>,
        row: impl Fn(Val<u32>) -> ReadOnly<u8>,
        vector: impl Fn(Val<u32>) -> Ptr<S, f32>,
        (tokens, ready): (Val<u32>, impl Fn(&Body)),
        finish: impl Fn(&Body, Val<u32>, Val<u32>, Val<A>),
    ) {
        let terms: Shared<A> = k.shared(self.tokens * self.rows * self.runs());
        let rounds = (self.rows * self.runs()).div_ceil(self.teams());
        let hold = |k: &Body, first: Val<u32>, count: u32| -> Vec<Held<A>> {
            (0..count).map(|i| self.hold::<F, A>(k, thread, first + i * self.teams(), &row)).collect()
        };
        let multiply = |k: &Body, held: &[Held<A>]| {
            self.each_token(k, tokens, |k, token| self.terms(k, thread, held, vector(token), token, terms));
        };
        if rounds <= HELD {
            let held = hold(k, thread >> 4, rounds);
            ready(k);
            multiply(k, &held);
        } else {
            ready(k);
            k.for_(0, rounds, HELD, |k, round, _| {
                let held = hold(k, round * self.teams() + (thread >> 4), HELD);
                multiply(k, &held);
            });
        }
        k.barrier();
        self.finish(k, thread, tokens, terms, finish);
    }

    /// Row `row` of `count` that lie one after the other from `first` on; the last one for those
    /// beyond it.
    #[track_caller]
    pub fn row_at<F: DevicePlain>(&self, first: ReadOnly<u8>, row: Val<u32>, count: u32) -> ReadOnly<u8> {
        let row = if count.is_multiple_of(self.rows) { row } else { row.min(count - 1) };
        ReadOnly::from_address(row.mad_wide(F::row_bytes(self.cols), first.address()))
    }

    /// Calls `f` with every vector below `tokens`, without a loop where there is but one.
    #[track_caller]
    pub fn each_token(&self, k: &Body, tokens: Val<u32>, f: impl Fn(&Body, Val<u32>)) {
        match self.tokens {
            1 => f(k, Val::from(0).copied()),
            _ => k.for_(0, tokens, 1, |k, token, _| f(k, token)),
        }
    }

    #[track_caller]
    fn hold<F: DevicePlain, A: DeviceFloat>(
        &self,
        k: &Body,
        thread: Val<u32>,
        run: Val<u32>,
        row: impl Fn(Val<u32>) -> ReadOnly<u8>,
    ) -> Held<A> {
        let runs = self.rows * self.runs();
        let rounds = runs.div_ceil(self.teams());
        let exact = runs == rounds * self.teams() && (rounds <= HELD || rounds.is_multiple_of(HELD));
        let stored = (!exact).then(|| run.lt(runs));
        let run = if exact { run } else { run.min(runs - 1) };
        let group = (run % self.runs()) * 16 + (thread & 15);
        let ragged = !self.cols.is_multiple_of(SUPERBLOCK as u32);
        let here = ragged.then(|| group.lt(self.cols.div_ceil(16)));
        let at = GroupAt { row: row(run / self.runs()), group, cols: self.cols, here };
        Held { weights: F::group(k, &at), group, here, run, stored }
    }

    /// The terms of the runs held with a vector, into shared memory.
    #[track_caller]
    fn terms<A: DeviceFloat, S: ReadSpace>(
        &self,
        k: &Body,
        thread: Val<u32>,
        held: &[Held<A>],
        vector: Ptr<S, f32>,
        token: Val<u32>,
        terms: Shared<A>,
    ) {
        // Where the teams are whole rows, all that a team holds meets the same group.
        let alike = self.teams().is_multiple_of(self.runs());
        let mut x: Option<[Val<A>; 16]> = None;
        for h in held {
            let x = match x {
                Some(x) if alike => x,
                _ => *x.insert({
                    let at = GroupAt { row: vector.cast(), group: h.group, cols: self.cols, here: h.here };
                    f32::group(k, &at)
                }),
            };
            let start = A::constant(0.0);
            let chain = (0..16).fold(start, |c, i| h.weights[i].fma_rounded(x[i], c, Rounding::NearestEven));
            let term = butterfly(k, chain, [2, 4, 8, 1]);
            let leader = (thread & 15).eq(0);
            let leader = h.stored.map_or(leader, |stored| leader & stored);
            terms.at(token * (self.rows * self.runs()) + h.run).store_if(k, leader, term);
        }
    }

    /// The trees over the rows' terms, a product a thread.
    #[track_caller]
    fn finish<A: DeviceFloat>(
        &self,
        k: &Body,
        thread: Val<u32>,
        tokens: Val<u32>,
        terms: Shared<A>,
        finish: impl Fn(&Body, Val<u32>, Val<u32>, Val<A>),
    ) {
        let one = |k: &Body, i: Val<u32>| {
            let (row, token) = (i % self.rows, i / self.rows);
            let first = terms.at(i * self.runs());
            let all: Vec<Val<A>> = (0..self.runs()).map(|run| first.plus(run).load(k)).collect();
            finish(k, row, token, row_tree(&all, all.len().next_power_of_two()));
        };
        let products = tokens * self.rows;
        if self.tokens * self.rows <= self.threads {
            k.if_(thread.lt(products), |k| one(k, thread));
        } else {
            k.for_(thread, products, self.threads, |k, i, _| one(k, i));
        }
    }
}
