//! The contract's "Attention" across chunks.

use ptxgen_builder::build::{Body, Ptr, ReadSpace, Shared, Val};

use super::{DeviceExp, DeviceFloat, butterfly, row_tree};

/// Chunks whose sums a lane asks for at once, at most.
const AT_ONCE: u32 = 8;

/// The chunks of a head: how many there are, of how many there may be.
#[derive(Clone, Copy)]
pub struct Chunks {
    /// There are, at least 1.
    pub count: Val<u32>,
    /// There may be.
    pub most: u32,
    /// A thread adds the terms of this many at once: a power of two.
    pub run: u32,
}

impl Chunks {
    /// Runs of the whole tree, missing terms counted.
    fn runs(&self) -> u32 {
        self.most.next_power_of_two().div_ceil(self.run)
    }

    /// Terms of the tree, missing ones counted.
    #[track_caller]
    fn padded(&self) -> Val<u32> {
        Val::from(1u32).copied() << (Val::from(32u32) - (self.count - 1).clz())
    }

    /// The factors `e_c` of a head to `e`, and its `L`, on every lane. The warp
    /// takes part together; `terms` is room for as many again.
    #[track_caller]
    pub fn factors_and_sum<S: ReadSpace, A: DeviceExp>(
        &self,
        k: &Body,
        sums: Ptr<S, A>,
        (e, terms): (Shared<A>, Shared<A>),
        lane: Val<u32>,
    ) -> Val<A> {
        // A lane asks for several chunks' at once.
        let at_once = self.most.div_ceil(32).min(AT_ONCE);
        let lowest = Val::from(A::from_f32(f32::NEG_INFINITY));
        let mine = |first: Val<u32>| {
            (0..at_once).map(move |i| if i == 0 { first } else { first + 32 * i }).map(|c| (c, c.lt(self.count)))
        };
        let largest = k.var::<A>(lowest);
        k.for_(lane, self.count, 32 * at_once, |k, first, _| {
            let all: Vec<Val<A>> = mine(first).map(|(c, here)| sums.at(c * 2).load_or(k, here, lowest)).collect();
            largest.update(|l| all.into_iter().fold(l, A::larger_of));
        });
        let mut m = largest.get();
        for d in [1u32, 2, 4, 8, 16] {
            let other = k.shuffle_xor(m, d);
            m = A::larger_of(m, other);
        }
        k.for_(lane, self.count, 32 * at_once, |k, first, _| {
            for (c, here) in mine(first) {
                let [m_c, l_c] = sums.at(c * 2).load_vec_or(k, here, lowest);
                let factor = A::exponential(A::sum(m_c, A::negated(m)));
                e.at(c).store_if(k, here, factor);
                terms.at(c).store_if(k, here, A::product(l_c, factor));
            }
        });
        k.sync_warp(0xffff_ffff);
        // No term is -0, so more zeros than the contract's change nothing.
        let each = self.most.div_ceil(32).next_power_of_two();
        let first = lane * each;
        let own: Vec<Val<A>> = (0..each)
            .map(|i| terms.at(first).plus(i).load_or(k, (first + i).lt(self.count), A::constant(0.0)))
            .collect();
        butterfly(k, row_tree(&own, own.len()), [1, 2, 4, 8, 16])
    }

    /// The outputs of an element in a run of chunks; `outputs` is its place in
    /// the first chunk, and `stride` elements further that in the next.
    #[track_caller]
    fn run<S: ReadSpace, A: DeviceFloat>(
        &self,
        k: &Body,
        (outputs, stride): (Ptr<S, A>, u32),
        run: Val<u32>,
    ) -> Vec<Val<A>> {
        let chunk = run * self.run;
        let at = outputs.at(chunk * stride);
        let load = |i: u32| at.plus(i * stride).load_or(k, (chunk + i).lt(self.count), A::constant(0.0));
        (0..self.run).map(load).collect()
    }

    /// `Tree(o_c * e_c)` of an element at `outputs` (as `run` has
    /// them): the part of it that falls to `part` of `parts` (a power of two);
    /// the sum of the parts' tree is the whole. A part with nothing to add gives
    /// -0, which changes no sum. `factors` gives `e`; the first outputs are
    /// in flight in the meantime, and the next while a run is added.
    #[track_caller]
    pub fn weighted<S: ReadSpace, A: DeviceFloat>(
        &self,
        k: &Body,
        outputs: (Ptr<S, A>, u32),
        (part, parts): (Val<u32>, u32),
        factors: impl Fn(&Body) -> Shared<A>,
    ) -> Val<A> {
        let (padded, length) = (self.padded(), self.run);
        // Runs of the whole tree and of a part, powers of two.
        let runs = (padded >> length.trailing_zeros()).max(1);
        let each = (runs >> parts.trailing_zeros()).max(1);
        let first = part * each;
        let end = (first + each).min(runs);
        let ahead: Vec<_> = self.run(k, outputs, first).into_iter().map(|o| k.var::<A>(o)).collect();
        let e = factors(k);
        let minus_zero = Val::from(A::from_f32(-0.0));
        let sum = k.var::<A>(minus_zero);
        let levels = self.most.next_power_of_two().div_ceil(length * parts).max(1).trailing_zeros();
        // Level i holds the sum of 2^i runs that still lacks its right sibling.
        let levels: Vec<_> = (0..levels).map(|_| k.var::<A>(minus_zero)).collect();
        k.for_(first, end, 1, |k, run, _| {
            let chunk = run * length;
            let factors = e.at(chunk);
            let terms: Vec<Val<A>> = (0..length)
                .zip(&ahead)
                .map(|(i, o)| {
                    let here = (chunk + i).lt(self.count);
                    let factor = factors.plus(i).load_or(k, here, A::constant(0.0));
                    let missing = Val::from(A::ZERO).select((chunk + i).lt(padded), minus_zero);
                    A::product(o.get(), factor).select(here, missing)
                })
                .collect();
            if self.runs() > parts {
                for (ahead, next) in ahead.iter().zip(self.run(k, outputs, run + 1)) {
                    ahead.set(next);
                }
            }
            let mut carried = row_tree(&terms, terms.len());
            let mut goes_on = None;
            for (i, level) in levels.iter().enumerate() {
                let finished = (run & (1 << i)).ne(0);
                let merges = goes_on.map_or(finished, |p| finished & p);
                let kept = level.get();
                let stays = goes_on.map_or(!finished, |p| !finished & p);
                level.set(carried.select(stays, kept));
                carried = A::sum(kept, carried).select(merges, carried);
                goes_on = Some(merges);
            }
            sum.set(carried);
        });
        sum.get()
    }
}

/// Sums the parts of [`Chunks::weighted`] through shared memory: `room` for
/// `parts` times `width`. On the threads of part 0; with a barrier where there
/// is more than one part.
#[track_caller]
pub fn sum_parts<A: DeviceFloat>(
    k: &Body,
    own: Val<A>,
    room: Shared<A>,
    (part, parts): (Val<u32>, u32),
    (column, width): (Val<u32>, u32),
) -> Val<A> {
    if parts == 1 {
        return own;
    }
    room.at(part * width + column).store(k, own);
    k.barrier();
    let all: Vec<Val<A>> = (0..parts).map(|p| room.at(column).plus(p * width).load(k)).collect();
    row_tree(&all, all.len())
}
