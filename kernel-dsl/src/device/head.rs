//! The contract's "QK-norm and RoPE", a warp to a head.

use ptxgen_builder::build::{Body, Pred, Ptr, ReadOnly, ReadSpace, Rounding, Val};

use super::norm::{chain4, four, inverse_rms};
use super::{DeviceFloat, butterfly, row_tree};

/// A head in a warp: lane i has the groups of four elements i, i + 32, ...
#[derive(Clone, Copy, Debug)]
pub struct HeadLanes {
    /// Elements of the head, a multiple of 8.
    pub head_dim: u32,
}

/// A lane's group of four.
#[derive(Clone, Copy)]
pub struct HeadGroup {
    /// Its first element.
    pub element: Val<u32>,
    /// Whether there is such a group (`None`: in any case).
    pub holds: Option<Pred>,
}

/// How a head is turned.
#[derive(Clone, Copy)]
pub struct Turn {
    /// The norm's weights.
    pub weights: ReadOnly<f32>,
    /// The position's row of the RoPE table: cosines, then sines.
    pub table: ReadOnly<f32>,
    /// The norm's epsilon.
    pub eps: f32,
}

impl HeadLanes {
    fn groups(&self) -> u32 {
        self.head_dim / 4
    }

    /// Groups of a lane, the last perhaps missing on some.
    fn rounds(&self) -> u32 {
        self.groups().div_ceil(32)
    }

    /// The lane's groups.
    #[track_caller]
    pub fn place(&self, lane: Val<u32>) -> Vec<HeadGroup> {
        let place = |round: u32| {
            let group = if round == 0 { lane } else { lane + 32 * round };
            let whole = (round + 1) * 32 <= self.groups();
            HeadGroup { element: group * 4, holds: (!whole).then(|| group.lt(self.groups())) }
        };
        (0..self.rounds()).map(place).collect()
    }

    /// The head at `x` as it is: the lane's groups.
    #[track_caller]
    pub fn load<S: ReadSpace>(&self, k: &Body, x: Ptr<S, f32>, lane: Val<u32>) -> Vec<[Val<f32>; 4]> {
        self.place(lane).into_iter().map(|p| four(k, x.at(p.element), p.holds)).collect()
    }

    /// RMSNorm of the head at `x` kept in `A`, then RoPE: the lane's groups,
    /// not rounded yet. The whole warp takes part.
    #[track_caller]
    pub fn norm_rope<S: ReadSpace, A: DeviceFloat>(
        &self,
        k: &Body,
        x: Ptr<S, f32>,
        turn: &Turn,
        lane: Val<u32>,
    ) -> Vec<[Val<A>; 4]> {
        let places = self.place(lane);
        let half = self.head_dim / 2;
        // Each lane also reads the elements that its own are turned with.
        let read: Vec<_> = places
            .iter()
            .map(|p| {
                let lower = p.element.lt(half);
                let partner = (p.element + half).select(lower, p.element - half);
                let angle = p.element.select(lower, partner);
                let load = |ptr: ReadOnly<f32>, at: Val<u32>| four(k, ptr.at(at), p.holds).map(A::widen);
                let weights = [p.element, partner].map(|at| load(turn.weights, at));
                let (cos, sin) = (load(turn.table, angle), load(turn.table.plus(half), angle));
                let own = [p.element, partner].map(|at| four(k, x.at(at), p.holds).map(A::widen));
                (lower, own, weights, cos, sin)
            })
            .collect();
        let lanes = self.groups().next_power_of_two();
        let distances = || (0..lanes.min(32).trailing_zeros()).map(|level| 1 << level);
        let sums: Vec<_> = read.iter().map(|(_, [x, _], ..)| butterfly(k, chain4(x, x), distances())).collect();
        let ss = row_tree(&sums, sums.len().next_power_of_two());
        let r = inverse_rms(ss, self.head_dim, turn.eps);
        read.into_iter()
            .map(|(lower, [own, partner], [w_own, w_partner], cos, sin)| {
                std::array::from_fn(|i| {
                    let a = A::product(A::product(own[i], r), w_own[i]);
                    let b = A::product(A::product(partner[i], r), w_partner[i]);
                    let product = A::product(b, sin[i]);
                    let product = A::negated(product).select(lower, product);
                    a.fma_rounded(cos[i], product, Rounding::NearestEven)
                })
            })
            .collect()
    }
}
