//! Products of many f32 vectors with many rows of a plain matrix, each pair of a row and a vector by one lane.
//!
//! [`PlainTile`](super::PlainTile) gives a run of 256 weights to sixteen lanes, which is right for few vectors: every weight is
//! widened once for each four of them, and every product ends with sums across lanes. Here a warp brings 16 columns of 32 rows
//! and 16 vectors to shared memory, widened once for all of their 512 products, and a lane multiplies four rows with four
//! vectors. It has all columns of a run, so it does the contract's sums across groups by itself.

use ptxgen_builder::build::{Body, Ptr, ReadOnly, ReadSpace, Rounding, Shared, Val, Var};

use super::float::size;
use super::{DeviceFloat, DevicePlain, GroupAt, TreeStack, row_tree};
use crate::format::SUPERBLOCK;

/// Rows and vectors of a lane.
const EACH: u32 = 4;

/// Columns of a group.
const GROUP: u32 = 16;

/// Groups of a run.
const GROUPS: u32 = SUPERBLOCK as u32 / GROUP;

/// Values from a column to the next in shared memory: those of rows and vectors, and two more, so that what lanes write beside
/// each other goes to different banks.
const STRIDE: u32 = PlainPairs::ROWS + PlainPairs::TOKENS + 2;

/// The part of a product that a block of threads has: [`ROWS`](Self::ROWS) rows of `cols` columns, a multiple of 256, with
/// [`TOKENS`](Self::TOKENS) vectors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlainPairs {
    /// Columns of the matrix.
    pub cols: u32,
}

/// Weights or activations that a lane has loaded of a group: of some rows or vectors some of each.
type Loaded<A> = Vec<Vec<Val<A>>>;

/// The position of a lane.
#[derive(Clone, Copy)]
struct Lane<A> {
    lane: Val<u32>,
    /// Its warp's columns of rows and vectors.
    columns: Shared<A>,
}

impl PlainPairs {
    /// Rows of a block.
    pub const ROWS: u32 = 32;
    /// Vectors of a block.
    pub const TOKENS: u32 = 16;
    /// Threads of a block.
    pub const THREADS: u32 = 256;
    const WARPS: u32 = Self::THREADS / 32;
    const PAIRS: u32 = Self::ROWS * Self::TOKENS;

    /// Runs of 256 weights in a row.
    fn runs(&self) -> u32 {
        self.cols / SUPERBLOCK as u32
    }

    /// Bytes of shared memory.
    pub fn shared_bytes<A: DeviceFloat>(&self) -> u32 {
        size::<A>() * (Self::WARPS * GROUP * STRIDE + self.runs() * Self::PAIRS)
    }

    /// Calls `finish` with every row, every vector and their product before its last rounding, one a thread at a time. `row` and
    /// `vector` tell where they are, and are asked for all of them. `shared` has [`shared_bytes`](Self::shared_bytes).
    #[track_caller]
    pub fn products<F: DevicePlain, A: DeviceFloat, S: ReadSpace>(
        &self,
        k: &Body,
        thread: Val<u32>,
        shared: Shared<A>,
        (row, vector): (impl Fn(Val<u32>) -> ReadOnly<u8>, impl Fn(Val<u32>) -> Ptr<S, f32>),
        finish: impl Fn(&Body, Val<u32>, Val<u32>, Val<A>),
    ) {
        let (lane, warp) = (thread & 31, thread >> 5);
        let here = Lane { lane, columns: shared.at(warp * (GROUP * STRIDE)) };
        let terms = shared.plus(i64::from(Self::WARPS * GROUP * STRIDE));
        let sums: Vec<Var<A>> = (0..EACH * EACH).map(|_| k.var::<A>(A::constant(0.0))).collect();
        let tree = TreeStack::<A>::new(k, GROUPS, sums.len());
        k.for_(warp, self.runs(), Self::WARPS, |k, run, _| {
            k.for_(0, GROUPS / 2, 1, |k, pair, _| {
                // The contract sums over the bits of a group's number in the order 1, 2, 3, 0: so first the even groups in
                // order, then the odd ones, by pairs.
                let even = run * GROUPS + ((pair & 3) << 2) + (pair >> 2);
                let load = |group: Val<u32>| {
                    let at = |row| GroupAt { row, group, cols: self.cols, here: None };
                    [
                        self.part::<F, A, _>(k, lane, Self::ROWS, |i| at(row(i))),
                        self.part::<f32, A, _>(k, lane, Self::TOKENS, |i| GroupAt {
                            row: vector(i).cast(),
                            group,
                            cols: self.cols,
                            here: None,
                        }),
                    ]
                };
                let first = load(even);
                self.keep::<F, A>(k, &here, &first);
                let second = load(even + 2);
                let left = self.multiply(k, &here);
                self.keep::<F, A>(k, &here, &second);
                let right = self.multiply(k, &here);
                for ((sum, left), right) in sums.iter().zip(left).zip(right) {
                    sum.set(A::sum(left, right));
                }
                tree.push(k, pair, &sums);
            });
            let place = terms.at(run * Self::PAIRS + self.first_row(lane) + self.first_token(lane) * Self::ROWS);
            for i in 0..EACH * EACH {
                let (row, token) = (i % EACH, i / EACH);
                place.plus(i64::from(token * Self::ROWS + row)).store(k, tree.sum(i as usize, None));
            }
        });
        k.barrier();
        k.for_(thread, Self::PAIRS, Self::THREADS, |k, i, _| {
            let first = terms.at(i);
            let all: Vec<Val<A>> =
                (0..self.runs()).map(|run| first.plus(i64::from(run * Self::PAIRS)).load(k)).collect();
            finish(k, i % Self::ROWS, i / Self::ROWS, row_tree(&all, all.len().next_power_of_two()));
        });
    }

    /// The first of a lane's rows.
    fn first_row(&self, lane: Val<u32>) -> Val<u32> {
        (lane >> 2) * EACH
    }

    /// The first of its vectors.
    fn first_token(&self, lane: Val<u32>) -> Val<u32> {
        (lane & 3) * EACH
    }

    /// The weights of a group that a lane loads of `count` rows: some of each of some rows.
    #[track_caller]
    fn part<F: DevicePlain, A: DeviceFloat, S: ReadSpace>(
        &self,
        k: &Body,
        lane: Val<u32>,
        count: u32,
        at: impl Fn(Val<u32>) -> GroupAt<S>,
    ) -> Loaded<A> {
        let rounds = count * F::PARTS / 32;
        (0..rounds)
            .map(|round| {
                let item = lane + round * 32;
                F::part(k, &at(item / F::PARTS), item % F::PARTS)
            })
            .collect()
    }

    /// Brings the weights that all lanes have loaded to the warp's shared memory, when all have read what was there.
    #[track_caller]
    fn keep<F: DevicePlain, A: DeviceFloat>(&self, k: &Body, here: &Lane<A>, [rows, vectors]: &[Loaded<A>; 2]) {
        k.sync_warp(0xffff_ffff);
        let put = |parts: u32, of: &[Vec<Val<A>>], first: u32| {
            for (round, values) in of.iter().enumerate() {
                let item = here.lane + round as u32 * 32;
                let column = (item % parts) * (GROUP / parts);
                let to = here.columns.at(column * STRIDE + item / parts + first);
                for (i, &v) in values.iter().enumerate() {
                    to.plus(i64::from(i as u32 * STRIDE)).store(k, v);
                }
            }
        };
        put(F::PARTS, rows, 0);
        put(f32::PARTS, vectors, Self::ROWS);
        k.sync_warp(0xffff_ffff);
    }

    /// The chains over the group in shared memory, of each of the lane's vectors with each of its rows.
    #[track_caller]
    fn multiply<A: DeviceFloat>(&self, k: &Body, here: &Lane<A>) -> Vec<Val<A>> {
        let rows = here.columns.at(self.first_row(here.lane));
        let vectors = here.columns.at(self.first_token(here.lane) + Self::ROWS);
        let mut chains = vec![A::constant(0.0); (EACH * EACH) as usize];
        for column in 0..GROUP {
            let ahead = i64::from(column * STRIDE);
            let (w, x) = (A::load4(k, rows.plus(ahead)), A::load4(k, vectors.plus(ahead)));
            for (i, chain) in chains.iter_mut().enumerate() {
                let (row, token) = (i % EACH as usize, i / EACH as usize);
                *chain = w[row].fma_rounded(x[token], *chain, Rounding::NearestEven);
            }
        }
        chains
    }
}
