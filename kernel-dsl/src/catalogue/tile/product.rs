//! The products of a superblock, and the sums over a row.

use ptxgen_builder::build::{Body, Global, Pred, Shared, Val, Var};

use super::Tile;
use super::plan::{COLUMNS, QUANTS, SUMS};
use crate::device::{ChunkScales, DeviceFloat, FragmentFormat, IntegerSums, TreeStack, row_tree};
use crate::format::Q8KPlanar;

/// Sums of a lane for each product of matrices: its two rows with two vectors.
const EACH: u32 = 4;

/// One of the lane's vectors.
#[derive(Clone, Copy)]
pub(in super::super) struct OfTile {
    /// Its number, below [`TilePlan::of_lane`](super::TilePlan::of_lane), where it is known when the kernel is written.
    pub index: Option<usize>,
    /// Its place in the tile.
    pub place: Val<u32>,
    /// Whether there is such a vector.
    pub here: Pred,
}

/// A superblock of the lane's two rows.
struct Block<F: FragmentFormat> {
    rows: [F::Row; 2],
    minimums: Option<[Val<u32>; 2]>,
}

impl Tile<'_> {
    /// The products of the tile's rows with `count` vectors (1 to those of a tile), which `vector` gives, after [`begin`](Tile::begin).
    /// `write` gets a vector, and the sums of the lane's two rows. There is a program for each number of products of matrices
    /// that the plan tells apart.
    #[track_caller]
    pub(in super::super) fn multiply<F: FragmentFormat, A: DeviceFloat>(
        &self,
        k: &Body,
        count: Val<u32>,
        vector: impl Fn(&Body, Val<u32>) -> Global<u8>,
        write: impl Fn(&Body, OfTile, [Val<A>; 2]),
    ) {
        self.by_size::<F, A>(k, count, &self.plan.sizes(), &vector, &write);
    }

    /// The program for the first of `sizes` that suffices for `count` vectors.
    #[track_caller]
    fn by_size<F: FragmentFormat, A: DeviceFloat>(
        &self,
        k: &Body,
        count: Val<u32>,
        sizes: &[u32],
        vector: &impl Fn(&Body, Val<u32>) -> Global<u8>,
        write: &impl Fn(&Body, OfTile, [Val<A>; 2]),
    ) {
        match *sizes {
            [] => {}
            [products] => self.program::<F, A>(k, count, products, vector, write),
            [products, ref larger @ ..] => k.if_else(
                count.le(products * COLUMNS),
                |k| self.program::<F, A>(k, count, products, vector, write),
                |k| self.by_size::<F, A>(k, count, larger, vector, write),
            ),
        }
    }

    /// The program for up to `products` times eight vectors.
    #[track_caller]
    fn program<F: FragmentFormat, A: DeviceFloat>(
        &self,
        k: &Body,
        count: Val<u32>,
        products: u32,
        vector: &impl Fn(&Body, Val<u32>) -> Global<u8>,
        write: &impl Fn(&Body, OfTile, [Val<A>; 2]),
    ) {
        let plan = self.plan;
        let (blocks, group, ahead) = (plan.run(), plan.group, plan.ahead());
        let (groups, ring) = (blocks / group, plan.stages / group);
        let vectors = self.vectors(k, (count, products * COLUMNS), vector);
        for group in 0..ahead {
            self.copy_vectors(k, &vectors, Val::from(group).copied(), Val::from(group).copied());
            k.copy_async_commit();
        }
        let trees = (products * EACH) as usize;
        let stack = TreeStack::<A>::new(k, blocks, trees);
        let sums: Vec<Var<A>> = (0..trees).map(|_| k.var::<A>(A::constant(0.0))).collect();
        let place = k.var::<u32>(0u32);
        // Waits for a group, starts the copies of one further on, and gives the stage of the group's first superblock. `known`:
        // groups that have been at work, where that is known when the kernel is written.
        let arrived = |k: &Body, index: Val<u32>, known: Option<u32>| -> Val<u32> {
            k.copy_async_wait(if ahead < groups { ahead - 1 } else { known.map_or(0, |known| ahead - 1 - known) });
            self.sync(k);
            let here = place.get();
            if ahead < groups {
                // What was read before the barrier is free.
                let free = if ring == 2 { here ^ 1 } else { Val::from(ring - 1).select(here.eq(0), here - 1) };
                let next = index + ahead;
                k.if_else(next.lt(groups), |k| self.copy(k, &vectors, next, free), |k| k.copy_async_commit());
            }
            let following = here + 1;
            place.set(if ring == 2 { here ^ 1 } else { Val::from(0u32).select(following.ge(ring), following) });
            here * group
        };
        let two = |k: &Body, pair: Val<u32>, known: Option<u32>| {
            let block = pair << 1;
            let index = if group == 2 { pair } else { block };
            let stage = arrived(k, index, known);
            let first = self.superblock::<F, A>(k, products, (block, stage));
            let stage = if group == 2 { stage + 1 } else { arrived(k, block + 1, known.map(|n| n + 1)) };
            let second = self.superblock::<F, A>(k, products, (block + 1, stage));
            for ((sum, first), second) in sums.iter().zip(first).zip(second) {
                sum.set(A::sum(first, second));
            }
            stack.push(k, pair, &sums);
        };
        match blocks / 2 {
            0 => {}
            1 => two(k, Val::from(0u32).copied(), Some(0)),
            pairs => k.for_(0u32, pairs, 1u32, |k, pair, _| two(k, pair, None)),
        }
        let last = (!blocks.is_multiple_of(2)).then(|| {
            let block = Val::from(blocks - 1).copied();
            let stage = arrived(k, block, Some(blocks - 1));
            self.superblock::<F, A>(k, products, (block, stage))
        });
        let sums: Vec<Val<A>> = (0..trees).map(|tree| stack.sum(tree, last.as_ref().map(|last| last[tree]))).collect();
        match self.memory.summed {
            Some(room) => self.of_teams(k, room.cast(), count, &sums, write),
            None => self.each_vector(count, products, |vector, tree| write(k, vector, [sums[tree], sums[tree + 2]])),
        }
    }

    /// The rest of the trees over the sums of all teams, whose runs are whole subtrees. The teams share out the vectors.
    #[track_caller]
    fn of_teams<A: DeviceFloat>(
        &self,
        k: &Body,
        all: Shared<A>,
        count: Val<u32>,
        sums: &[Val<A>],
        write: impl Fn(&Body, OfTile, [Val<A>; 2]),
    ) {
        let (teams, summed) = (self.plan.teams, self.plan.summed());
        let of_lane = all.at((self.thread & 31) * summed);
        let own = of_lane.at(self.team * (32 * summed));
        for (i, &sum) in sums.iter().enumerate() {
            own.plus(i as i64).store(k, sum);
        }
        k.barrier();
        k.for_(self.team, self.plan.of_lane() as u32, teams, |k, index, _| {
            let (n, column) = (index >> 1, index & 1);
            let place = self.t * 2 + n * COLUMNS + column;
            let tree = of_lane.at(n * EACH + column);
            let whole = [0, 2].map(|row| {
                let of_team = |team: u32| tree.plus(i64::from(team * 32 * summed + row)).load(k);
                let each: Vec<Val<A>> = (0..teams).map(of_team).collect();
                row_tree(&each, each.len().next_power_of_two())
            });
            write(k, OfTile { index: None, place, here: place.lt(count) }, whole);
        });
    }

    /// Runs `then` for each of the lane's vectors of `products` products of matrices, with the number of its first row's tree;
    /// the second row's is two on.
    #[track_caller]
    pub(in super::super) fn each_vector(&self, count: Val<u32>, products: u32, then: impl Fn(OfTile, usize)) {
        for index in 0..2 * products {
            let (n, column) = (index / 2, index % 2);
            let place = self.t * 2 + (n * COLUMNS + column);
            then(OfTile { index: Some(index as usize), place, here: place.lt(count) }, (n * EACH + column) as usize);
        }
    }

    /// The terms of superblock `block`, which is in stage `stage`, of so many products of matrices.
    #[track_caller]
    fn superblock<F: FragmentFormat, A: DeviceFloat>(
        &self,
        k: &Body,
        products: u32,
        (block, stage): (Val<u32>, Val<u32>),
    ) -> Vec<Val<A>> {
        let rows = self.block::<F>(k, block, stage);
        let quants = self.quant_rows.byte_at(stage * (self.plan.tokens * QUANTS));
        let sums = self.memory.sums.byte_at(stage * (self.plan.tokens * SUMS) + self.g * SUMS + self.t * 8);
        let scales = self.memory.scales.at(stage * self.plan.tokens + self.t * 2);
        let all = self.products::<F>(k, &rows, products, quants);
        let factors = [0, 1].map(|i| F::factors(k, &rows.rows[i]));
        let mut terms = Vec::new();
        for (n, a) in (0..).zip(all) {
            let b = rows.minimums.map(|m| self.minimums(k, m, sums.plus_bytes(n * COLUMNS * SUMS)));
            let d_x: [Val<f32>; 2] = scales.plus(n * COLUMNS).load_vec(k);
            for e in 0..EACH as usize {
                let (d, dmin) = factors[e / 2];
                let sums = IntegerSums { a: a[e], b: b.map(|b| b[e]) };
                terms.push(sums.term(d, dmin, d_x[e % 2]));
            }
        }
        terms
    }

    /// The lane's rows of a superblock.
    #[track_caller]
    fn block<F: FragmentFormat>(&self, k: &Body, block: Val<u32>, stage: Val<u32>) -> Block<F> {
        let plan = self.plan;
        let weights = self.memory.weights.byte_at(stage * plan.stage_bytes()).address();
        let rows = [0, 1].map(|i| {
            let place = weights + self.row_places[i] * plan.row_stride();
            let rows = &self.rows[if plan.matrices == 2 { i } else { 0 }];
            let skew = plan.skewed.then(|| self.skew(rows, self.own_rows[i], block));
            F::row(k, skew.map_or(place, |skew| place + skew), self.t)
        });
        let minimums = F::minimums(k, &rows[0], self.t).zip(F::minimums(k, &rows[1], self.t));
        Block { rows, minimums: minimums.map(|(low, high)| [low, high]) }
    }

    /// `S_A` of the lane's two rows and two vectors, of each product of matrices. All of these take a chunk of the rows before
    /// the next is decoded, so that few of the rows' words are in registers at once.
    #[track_caller]
    fn products<F: FragmentFormat>(
        &self,
        k: &Body,
        rows: &Block<F>,
        products: u32,
        quants: Shared<u16>,
    ) -> Vec<[Val<i32>; 4]> {
        let zero = Val::from(0i32).copied();
        let none = Val::from(0u32).copied();
        let mut sums: Vec<Option<[Val<i32>; 4]>> = vec![None; products as usize];
        for half in 0..2 {
            let [low, high] = rows.rows.each_ref().map(|row| F::chunks(k, row, half));
            for (quarter, chunks) in (2 * half..).zip(low.chunks(2).zip(high.chunks(2))) {
                for (n, sums) in (0..).zip(&mut sums) {
                    // Groups 4 * quarter and the next three stand four places apart.
                    let place = n * COLUMNS * QUANTS + 16 * Q8KPlanar::quant_place(4 * quarter as usize) as u32;
                    let x = k.load_matrix_x4(quants.plus_bytes(place));
                    for (i, (low, high)) in chunks.0.iter().zip(chunks.1).enumerate() {
                        let x = [x[2 * i], x[2 * i + 1]];
                        let (a, b) = (low.words, high.words);
                        let mut add = |dots: [Val<i32>; 4], scales: [Val<i32>; 2]| {
                            *sums = Some(std::array::from_fn(|e| match sums {
                                None => scales[e / 2] * dots[e],
                                Some(sums) => scales[e / 2].mad(dots[e], sums[e]),
                            }));
                        };
                        match (&low.scales, &high.scales) {
                            (ChunkScales::One(low), ChunkScales::One(high)) => {
                                add(k.mma_s8([a[0], b[0], a[1], b[1]], x, [zero; 4]), [*low, *high]);
                            }
                            (ChunkScales::Two(low), ChunkScales::Two(high)) => {
                                add(k.mma_s8([a[0], b[0], none, none], [x[0], none], [zero; 4]), [low[0], high[0]]);
                                add(k.mma_s8([a[1], b[1], none, none], [x[1], none], [zero; 4]), [low[1], high[1]]);
                            }
                            _ => unreachable!("the rows are of one format"),
                        }
                    }
                }
            }
        }
        sums.into_iter().map(|sums| sums.unwrap_or([zero; 4])).collect()
    }

    /// `S_B` of the lane's two rows and two vectors: sums of 16 are between -2,048 and 2,032, so 16 times a signed byte
    /// and four bits more.
    #[track_caller]
    fn minimums(&self, k: &Body, rows: [Val<u32>; 2], sums: Shared<u8>) -> [Val<i32>; 4] {
        let words: [Val<u32>; 2] = sums.cast().load_vec(k);
        let bytes = |words: [Val<u32>; 2]| words[0].prmt(words[1], 0x6420);
        let low = bytes(words.map(|w| w & 0x000f_000f));
        let high = bytes(words.map(|w| w >> 4));
        let none = Val::from(0u32).copied();
        let a = [rows[0], rows[1], none, none];
        let upper = k.mma_s8(a, [high, none], [Val::from(0i32).copied(); 4]);
        k.mma_s8(a, [low, none], upper.map(|v| v << 4))
    }
}
