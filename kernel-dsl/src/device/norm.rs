//! The contract's "dot4" and "RMSNorm", spread over lanes.

use ptxgen_builder::build::{Body, Pred, Ptr, ReadSpace, Rounding, Val};

use super::{DeviceFloat, butterfly, row_tree};

/// A group of "dot4": the chain over four products.
#[track_caller]
pub fn chain4<A: DeviceFloat>(a: &[Val<A>; 4], b: &[Val<A>; 4]) -> Val<A> {
    a.iter().zip(b).fold(A::constant(0.0), |c, (a, b)| a.fma_rounded(*b, c, Rounding::NearestEven))
}

/// `1 / sqrt(ss / n + eps)`.
#[track_caller]
pub fn inverse_rms<A: DeviceFloat>(ss: Val<A>, n: u32, eps: f32) -> Val<A> {
    let mean = A::quotient(ss, A::constant(n as f32));
    A::quotient(A::constant(1.0), A::sum(mean, A::constant(eps)).sqrt())
}

/// Four elements from a multiple of 4, or zeros where not `holds`.
#[track_caller]
pub(super) fn four<S: ReadSpace>(k: &Body, at: Ptr<S, f32>, holds: Option<Pred>) -> [Val<f32>; 4] {
    match holds {
        None => at.load_vec(k),
        Some(holds) => at.load_vec_or(k, holds, 0.0),
    }
}

/// `n` elements (a multiple of 8) divided over a block of threads: in every
/// round thread i has the eight from `8 i` on, so that a warp has 256.
#[derive(Clone, Copy, Debug)]
pub struct Eights {
    /// Elements.
    pub n: u32,
    /// Threads, whole warps.
    pub threads: u32,
}

impl Eights {
    /// Up to 1,024 threads, as many as have something to do.
    pub fn new(n: u32) -> Eights {
        Eights { n, threads: n.div_ceil(8).next_multiple_of(32).min(1024) }
    }

    /// Rounds until all elements have had their turn.
    pub fn rounds(&self) -> u32 {
        self.n.div_ceil(8 * self.threads)
    }

    /// The first of the thread's eight in an iteration, and whether there are some
    /// (`None`: in any case).
    #[track_caller]
    pub fn place(&self, thread: Val<u32>, round: u32) -> (Val<u32>, Option<Pred>) {
        let first = thread * 8 + round * 8 * self.threads;
        let whole = (round + 1) * 8 * self.threads <= self.n;
        (first, (!whole).then(|| first.lt(self.n)))
    }

    /// The thread's eight of every round, zeros for those that are missing.
    #[track_caller]
    pub fn load<S: ReadSpace>(&self, k: &Body, at: Ptr<S, f32>, thread: Val<u32>) -> Vec<[Val<f32>; 8]> {
        // Two lanes read both halves of one's sector, then of the other's, and exchange what is not
        // theirs: so every load uses all of its sectors.
        let odd = (thread & 1).ne(0);
        let round = |round| {
            let (first, holds) = self.place(thread, round);
            let (pair, half) = (first & !15u32, (thread & 1) * 4);
            let [even, other] = [0u32, 8].map(|of| {
                let holds = holds.map(|_| (pair + of).lt(self.n));
                four(k, at.at(pair + half).plus(of), holds)
            });
            let given: [Val<f32>; 4] = std::array::from_fn(|i| k.shuffle_xor(even[i].select(odd, other[i]), 1));
            std::array::from_fn(|i| match i {
                0..4 => given[i].select(odd, even[i]),
                _ => other[i - 4].select(odd, given[i - 4]),
            })
        };
        (0..self.rounds()).map(round).collect()
    }

    /// The contract's "RMSNorm" of `x` with `weights`, both as [`load`](Self::load) has them.
    #[track_caller]
    pub fn normed<A: DeviceFloat>(
        &self,
        k: &Body,
        x: &[[Val<f32>; 8]],
        weights: &[[Val<f32>; 8]],
        eps: f32,
        thread: Val<u32>,
    ) -> Vec<[Val<f32>; 8]> {
        let x: Vec<[Val<A>; 8]> = x.iter().map(|x| x.map(A::widen)).collect();
        let r = inverse_rms(self.sum_of_squares(k, &x, thread), self.n, eps);
        let one = |x: &[Val<A>; 8], w: &[Val<f32>; 8]| {
            std::array::from_fn(|i| A::narrow(A::product(A::product(x[i], r), A::widen(w[i]))))
        };
        x.iter().zip(weights).map(|(x, w)| one(x, w)).collect()
    }

    /// `dot4(x, x)` on every thread of the block; `x` has the thread's eight of
    /// each round, zeros for those that are missing: a sum of squares is never
    /// -0, so zeros change nothing.
    #[track_caller]
    pub fn sum_of_squares<A: DeviceFloat>(&self, k: &Body, x: &[[Val<A>; 8]], thread: Val<u32>) -> Val<A> {
        let warps = self.threads / 32;
        let of_warp: Vec<Val<A>> = x
            .iter()
            .map(|v| {
                let [a, b]: [[Val<A>; 4]; 2] = [0, 4].map(|at| std::array::from_fn(|i| v[at + i]));
                butterfly(k, A::sum(chain4(&a, &a), chain4(&b, &b)), [1, 2, 4, 8, 16])
            })
            .collect();
        let terms = self.n.div_ceil(256);
        if terms == 1 {
            return of_warp[0];
        }
        // Every thread sums the warps' terms itself: one barrier, not two.
        let shared = k.shared::<A>(self.rounds() * warps);
        let first = (thread & 31).eq(0);
        for (round, &sum) in (0..).zip(&of_warp) {
            shared.at(thread >> 5).plus(round * warps).store_if(k, first, sum);
        }
        k.barrier();
        let mut all = Vec::with_capacity(terms as usize);
        while (all.len() as u32) + 4 <= terms {
            all.extend(A::load4(k, shared.plus(all.len() as i64)));
        }
        while (all.len() as u32) < terms {
            all.push(shared.plus(all.len() as i64).load(k));
        }
        row_tree(&all, (terms as usize).next_power_of_two())
    }
}
