//! Rows of queries in a block of threads: their scores, weights and outputs.

use ptxgen_builder::build::{Body, Local, Pred, Ptr, ReadOnly, ReadSpace, Rounding, Shared, Val, Var, at_caller};

use super::plan::{ACROSS, EACH, PromptPlan};
use crate::device::{DeviceExp, DeviceFloat, DeviceKv, Growing, butterfly, chain4, four_elements, row_tree};
use crate::reference::CHUNK;

const POSITIONS: u32 = CHUNK as u32;

/// A block's rows, as a thread has them.
pub(super) struct Rows<'p, A: DeviceExp> {
    plan: &'p PromptPlan,
    thread: Val<u32>,
    /// The place among those that share keys and columns.
    across: Val<u32>,
    /// The thread's rows, and how many positions each sees.
    rows: [Val<u32>; EACH as usize],
    seen: [Val<u32>; EACH as usize],
    /// The first token, and the tokens of the pass.
    tokens: (Val<u32>, Val<u32>),
    queries: Shared<f32>,
    /// A chunk's keys, then its values.
    staged: Shared<f32>,
    weights: Shared<A>,
    /// The largest score of each row.
    largest: Vec<Var<A>>,
    /// Of this chunk, the factor of each row, and its sum of weights.
    factors: Vec<Var<A>>,
    sums: Vec<Var<A>>,
    /// What the trees over the chunks keep: of each level, each row's sum of weights and outputs.
    kept: Local<A>,
    /// Scores of the first chunks.
    scores: Local<A>,
}

impl<'p, A: DeviceExp> Rows<'p, A> {
    /// The rows of the tokens from `token` on, of `count` in the pass, the first of which is at position `first`.
    #[track_caller]
    pub(super) fn new(
        k: &Body,
        plan: &'p PromptPlan,
        thread: Val<u32>,
        (token, count): (Val<u32>, Val<u32>),
        first: Val<u32>,
    ) -> Self {
        let group = thread / ACROSS;
        let rows: [Val<u32>; EACH as usize] = std::array::from_fn(|i| group * EACH + i as u32);
        let seen = rows.map(|row| {
            // Rows that are left over, which nobody writes, are of the block's last token: they see no chunk more.
            let mut ahead = row / plan.heads;
            if plan.tokens * plan.heads < plan.rows {
                ahead = ahead.min(plan.tokens - 1);
            }
            let token = (token + ahead).min(count - 1);
            (first + token + 1).min(plan.shape().positions)
        });
        let zeros = || (0..EACH).map(|_| k.var::<A>(A::constant(0.0))).collect();
        let lowest = Val::from(A::from_f32(f32::NEG_INFINITY));
        Rows {
            plan,
            thread,
            across: thread % ACROSS,
            rows,
            seen,
            tokens: (token, count),
            queries: k.shared(plan.rows * plan.stride()),
            staged: k.dynamic_shared(),
            weights: k.shared(plan.rows * plan.weight_stride()),
            largest: (0..EACH).map(|_| k.var::<A>(lowest)).collect(),
            factors: zeros(),
            sums: zeros(),
            kept: k.local(plan.levels() * EACH * plan.kept()),
            scores: k.local(plan.remembered::<A>() * EACH * EACH),
        }
    }

    /// Copies the queries to shared memory. A barrier must follow.
    #[track_caller]
    pub(super) fn stage_queries<S: ReadSpace>(&self, k: &Body, q: Ptr<S, f32>, head: Val<u32>) {
        let (fours, shape) = (self.plan.fours(), self.plan.shape());
        let (token, count) = self.tokens;
        self.each(k, self.plan.rows * fours, |k, i| {
            let (row, column) = (i / fours, i % fours * 4);
            let local = (row / self.plan.heads).min(self.plan.tokens - 1);
            let own = (token + local).min(count - 1);
            let from = (own * shape.heads + head + row % self.plan.heads) * shape.head_dim + column;
            let v: [Val<f32>; 4] = q.at(from).load_vec(k);
            self.queries.at(row * self.plan.stride() + column).store_vec(k, v);
        });
    }

    /// Copies the chunk's keys or values from position `start` on to shared memory; in place of those that nobody sees
    /// the last of the `seen`.
    #[track_caller]
    pub(super) fn stage<E: DeviceKv>(&self, k: &Body, from: ReadOnly<E>, start: Val<u32>, seen: Val<u32>) {
        let (fours, head_dim) = (self.plan.fours(), self.plan.shape().head_dim);
        self.each(k, POSITIONS * fours, |k, i| {
            let (key, column) = (i / fours, i % fours * 4);
            let position = (start + key).min(seen - 1);
            let v = four_elements(k, from.at(position * head_dim + column));
            self.staged.at(key * self.plan.stride() + column).store_vec(k, v);
        });
    }

    /// Shares out `n` things over the block, several of a thread at once.
    #[track_caller]
    fn each(&self, k: &Body, n: u32, one: impl Fn(&Body, Val<u32>)) {
        let threads = self.plan.threads();
        let whole = n / (4 * threads) * (4 * threads);
        k.for_(self.thread, whole, 4 * threads, |k, i, _| (0..4).for_each(|j| one(k, i + j * threads)));
        if whole < n {
            k.for_(self.thread + whole, n, threads, |k, i, _| one(k, i));
        }
    }

    /// Whether a row sees the thread's key `j` of the chunk.
    #[track_caller]
    fn sees(&self, row: usize, j: u32, start: Val<u32>) -> Pred {
        (start + self.across + j * ACROSS).lt(self.seen[row])
    }

    /// Room for the scores of the thread's rows and keys of a chunk.
    #[track_caller]
    pub(super) fn no_scores(&self, k: &Body) -> Vec<Vec<Var<A>>> {
        let row = || (0..EACH).map(|_| k.var::<A>(A::constant(0.0))).collect();
        (0..EACH).map(|_| row()).collect()
    }

    /// Keeps a chunk's scores in the thread's own memory.
    #[track_caller]
    pub(super) fn remember(&self, k: &Body, chunk: Val<u32>, scores: &[Vec<Var<A>>]) {
        let at = self.scores.at(chunk * (EACH * EACH));
        for (i, score) in (0i64..).zip(scores.iter().flatten()) {
            at.plus(i).store(k, score.get());
        }
    }

    /// Takes them from there.
    #[track_caller]
    pub(super) fn recall(&self, k: &Body, chunk: Val<u32>, scores: &[Vec<Var<A>>]) {
        let at = self.scores.at(chunk * (EACH * EACH));
        for (i, score) in (0i64..).zip(scores.iter().flatten()) {
            score.set(at.plus(i).load(k));
        }
    }

    /// The scores of the thread's rows and keys, the lowest of those not seen.
    #[track_caller]
    pub(super) fn score(&self, k: &Body, start: Val<u32>, to: &[Vec<Var<A>>]) {
        let plan = self.plan;
        let queries = self.queries.at(self.rows[0] * plan.stride());
        let keys = self.staged.at(self.across * plan.stride());
        let lowest = Val::from(A::from_f32(f32::NEG_INFINITY));
        let scale = Val::from(A::ONE / A::from_f32(plan.shape().head_dim as f32).sqrt());
        let wide = |k: &Body, at: Shared<f32>| -> [Val<A>; 4] { at.load_vec(k).map(A::widen) };
        // As many keys at once as the registers hold the trees of.
        let at_once = 16 / A::TY.bytes();
        for first in (0..EACH).step_by(at_once as usize) {
            let mut trees = vec![vec![Growing::default(); at_once as usize]; EACH as usize];
            for four in 0..plan.fours() {
                let q: Vec<[Val<A>; 4]> =
                    (0..EACH).map(|i| wide(k, queries.plus(i * plan.stride() + 4 * four))).collect();
                for j in 0..at_once {
                    let key = wide(k, keys.plus((first + j) * ACROSS * plan.stride() + 4 * four));
                    for (q, trees) in q.iter().zip(&mut trees) {
                        trees[j as usize].push(chain4(q, &key));
                    }
                }
            }
            for (row, trees) in trees.into_iter().enumerate() {
                for (j, tree) in (first..).zip(trees) {
                    let score = A::product(tree.sum(plan.fours()), scale);
                    to[row][j as usize].set(score.select(self.sees(row, j, start), lowest));
                }
            }
        }
    }

    /// Remembers the largest scores; after the `last` chunk the whole rows'.
    #[track_caller]
    pub(super) fn see(&self, k: &Body, scores: &[Vec<Var<A>>], last: Pred) {
        for (scores, largest) in scores.iter().zip(&self.largest) {
            largest.update(|l| scores.iter().map(Var::get).fold(l, A::larger_of));
        }
        k.if_(last, |k| self.largest.iter().for_each(|l| l.update(|l| across_largest(k, l))));
    }

    /// From scores to weights, in shared memory, and the rows' sums and factors.
    #[track_caller]
    pub(super) fn weigh(&self, k: &Body, scores: &[Vec<Var<A>>], start: Val<u32>) {
        for (i, scores) in scores.iter().enumerate() {
            let scores: Vec<Val<A>> = scores.iter().map(Var::get).collect();
            let own = scores.iter().copied().reduce(A::larger_of).unwrap_or_else(|| A::constant(0.0));
            let m = across_largest(k, own);
            let weights = self.weights.at(self.rows[i] * self.plan.weight_stride() + self.across);
            let each = (0..).zip(scores).map(|(j, s)| {
                // Missing weights are +0, which changes no sum of weights.
                let p = A::exponential(A::sum(s, A::negated(m))).select(self.sees(i, j, start), A::constant(0.0));
                weights.plus(j * ACROSS).store(k, p);
                butterfly(k, p, [1, 2, 4, 8])
            });
            let sums: Vec<Val<A>> = at_caller(|| each.collect());
            let factor = A::exponential(A::sum(m, A::negated(self.largest[i].get())));
            self.factors[i].set(factor);
            self.sums[i].set(A::product(row_tree(&sums, sums.len()), factor));
        }
    }

    /// Weighs the chunk's values and adds the outputs to the trees.
    #[track_caller]
    pub(super) fn add(&self, k: &Body, chunk: Val<u32>, start: Val<u32>) {
        let plan = self.plan;
        let columns = plan.columns();
        let zeros = || (0..4 * columns).map(|_| k.var::<A>(A::constant(0.0))).collect();
        let outputs: Vec<Vec<Var<A>>> = (0..EACH).map(|_| zeros()).collect();
        let counts = self.seen.map(|seen| (seen.max(start) - start).min(POSITIONS));
        let least = counts.into_iter().reduce(|a, b| a.min(b)).unwrap_or(counts[0]);
        let most = counts.into_iter().reduce(|a, b| a.max(b)).unwrap_or(counts[0]);
        let weights = self.weights.at(self.rows[0] * plan.weight_stride());
        let value = |k: &Body, at: Shared<f32>| -> Vec<Val<A>> {
            let four = |c: u32| -> [Val<f32>; 4] {
                let column = self.across + c * ACROSS;
                let whole = (c + 1) * ACROSS <= plan.fours();
                let column = if whole { column } else { column.min(plan.fours() - 1) };
                at.at(column * 4).load_vec(k)
            };
            (0..columns).flat_map(|c| four(c).map(A::widen)).collect()
        };
        let fours = least >> 2;
        k.for_(0u32, fours, 1u32, |k, four, _| {
            let at = weights.at(four * 4);
            let p: Vec<[Val<A>; 4]> = (0..EACH).map(|i| A::load4(k, at.plus(i * plan.weight_stride()))).collect();
            for j in 0..4 {
                let v = value(k, self.staged.at(four * (4 * plan.stride())).plus(j * plan.stride()));
                for (p, outputs) in p.iter().zip(&outputs) {
                    outputs.iter().zip(&v).for_each(|(o, &v)| o.add_product(p[j as usize], v));
                }
            }
        });
        k.for_(fours << 2, most, 1u32, |k, position, _| {
            let v = value(k, self.staged.at(position * plan.stride()));
            for (i, outputs) in (0u32..).zip(&outputs) {
                let p = weights.plus(i * plan.weight_stride()).at(position).load(k);
                let here = position.lt(counts[i as usize]);
                for (o, &v) in outputs.iter().zip(&v) {
                    o.update(|o| p.fma_rounded(v, o, Rounding::NearestEven).select(here, o));
                }
            }
        });
        for (i, outputs) in outputs.iter().enumerate() {
            k.if_(counts[i].gt(0), |k| {
                let factor = self.factors[i].get();
                for o in outputs {
                    o.set(A::product(o.get(), factor));
                }
                let all: Vec<&Var<A>> = outputs.iter().chain([&self.sums[i]]).collect();
                self.push(k, i, chunk, &all);
            });
        }
    }

    /// Where a level of a row's tree is kept.
    #[track_caller]
    fn level(&self, row: usize, level: Val<u32>) -> Local<A> {
        let kept = self.plan.kept();
        self.kept.at(level * (EACH * kept)).plus(row as u32 * kept)
    }

    /// Adds a chunk's terms to a row's trees: a level holds the sum of `2^level` chunks that lacks its right sibling.
    #[track_caller]
    fn push(&self, k: &Body, row: usize, chunk: Val<u32>, terms: &[&Var<A>]) {
        let level = k.var::<u32>(0u32);
        k.while_(
            |_| ((chunk >> level.get()) & 1).ne(0),
            |k, _| {
                let left = self.level(row, level.get());
                for (i, term) in (0i64..).zip(terms) {
                    term.set(A::sum(left.plus(i).load(k), term.get()));
                }
                level.add(1);
            },
        );
        let here = self.level(row, level.get());
        for (i, term) in (0i64..).zip(terms) {
            here.plus(i).store(k, term.get());
        }
    }

    /// The rows' results: `write` gets a row, the first of four columns, which may be after the last, and four results.
    #[track_caller]
    pub(super) fn finish(&self, k: &Body, write: impl Fn(&Body, Val<u32>, Val<u32>, [Val<f32>; 4])) {
        let columns = self.plan.columns();
        for (i, &row) in self.rows.iter().enumerate() {
            let chunks = (self.seen[i] + (POSITIONS - 1)) >> POSITIONS.trailing_zeros();
            let top = Val::from(31u32).copied() - chunks.clz();
            // Missing terms are +0.
            let sums: Vec<Var<A>> = (0..=4 * columns).map(|_| k.var::<A>(A::constant(0.0))).collect();
            k.for_(0u32, top, 1u32, |k, level, _| {
                k.if_(((chunks >> level) & 1).ne(0), |k| {
                    let left = self.level(i, level);
                    for (j, sum) in (0i64..).zip(&sums) {
                        sum.set(A::sum(left.plus(j).load(k), sum.get()));
                    }
                });
            });
            let whole = (chunks & (chunks - 1)).eq(0);
            let left = self.level(i, top);
            let sums: Vec<Val<A>> = (0i64..)
                .zip(&sums)
                .map(|(j, sum)| {
                    let left = left.plus(j).load(k);
                    left.select(whole, A::sum(left, sum.get()))
                })
                .collect();
            let total = sums[4 * columns as usize];
            for c in 0..columns {
                let four = std::array::from_fn(|j| A::narrow(A::quotient(sums[4 * c as usize + j], total)));
                write(k, row, (self.across + c * ACROSS) * 4, four);
            }
        }
    }
}

/// The largest among those that share keys.
#[track_caller]
fn across_largest<A: DeviceFloat>(k: &Body, mut m: Val<A>) -> Val<A> {
    for d in [1u32, 2, 4, 8] {
        let other = k.shuffle_xor(m, d);
        m = A::larger_of(m, other);
    }
    m
}
