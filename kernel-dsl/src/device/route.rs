//! The contract's "Router" after its logits: softmax, top k, renormalized weights, by a block.

use ptxgen_builder::build::{Body, Global, Shared, Val};

use super::{DeviceExp, DeviceFloat, butterfly, row_tree};

/// The sizes of a choice of experts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Choice {
    /// Experts to choose from.
    pub experts: u32,
    /// Experts chosen.
    pub used: u32,
    /// Threads of the block: a power of two of whole warps.
    pub threads: u32,
}

/// Candidates that a thread compares its own with in a round.
const ROUND: u32 = 8;

/// Shared memory of a choice.
struct Room {
    /// The probabilities; -1 beyond the last expert.
    p: Shared<f64>,
    /// A value for each warp and slot.
    warps: Shared<f64>,
    /// The first expert without a probability, or the number of experts.
    lacking: Shared<u32>,
    /// The probabilities of the chosen, in rank order.
    chosen: Shared<f64>,
}

impl Choice {
    /// Experts that a thread has.
    fn slots(&self) -> u32 {
        self.experts.div_ceil(self.threads)
    }

    fn warps(&self) -> u32 {
        self.threads / 32
    }

    /// Chooses the experts of one token: writes `used` ids and weights in rank order. Where an
    /// expert has no probability there is no choice: the ids are the first experts', the weights
    /// NaN, and one thread calls `lacking` with the first such expert. The whole block takes part;
    /// other threads may have written the logits, before a barrier.
    #[track_caller]
    pub fn choose(
        &self,
        k: &mut Body,
        thread: Val<u32>,
        logits: Global<f64>,
        (ids, weights): (Global<u32>, Global<f32>),
        lacking: impl FnOnce(&mut Body, Val<u32>),
    ) {
        let room = Room {
            p: k.shared(self.threads * self.slots()),
            warps: k.shared(self.warps() * self.slots()),
            lacking: k.shared(1),
            chosen: k.shared(self.used),
        };
        // What the token before left there has been read.
        k.barrier();
        let p = self.probabilities(k, thread, logits, &room);
        let first = room.lacking.load(k);
        k.if_else(
            first.eq(self.experts),
            |k| self.rank(k, thread, &room, &p, (ids, weights)),
            |k| {
                k.if_(thread.lt(self.used), |k| {
                    ids.at(thread).store(k, thread);
                    weights.at(thread).store(k, f32::NAN);
                });
                k.if_(thread.eq(0), |k| lacking(k, first));
            },
        );
    }

    /// The expert of each of the thread's slots.
    #[track_caller]
    fn experts_of(&self, thread: Val<u32>) -> Vec<Val<u32>> {
        (0..self.slots()).map(|slot| if slot == 0 { thread } else { thread + slot * self.threads }).collect()
    }

    /// The probabilities of the thread's experts, which are in `room` too after the next barrier.
    #[track_caller]
    fn probabilities(&self, k: &mut Body, thread: Val<u32>, logits: Global<f64>, room: &Room) -> Vec<Val<f64>> {
        let experts = self.experts_of(thread);
        let (lane, warp) = (thread & 31, thread >> 5);
        let whole = self.experts == self.threads * self.slots();
        let logits: Vec<Val<f64>> = experts
            .iter()
            .map(|&e| match whole {
                true => logits.at(e).load(k),
                false => logits.at(e).load_or(k, e.lt(self.experts), f64::NEG_INFINITY),
            })
            .collect();
        // The maximum passes over NaN, as the reference's does.
        let mut most = logits.iter().copied().reduce(Val::<f64>::max).unwrap_or_else(|| f64::NEG_INFINITY.into());
        for distance in [1u32, 2, 4, 8, 16] {
            let other = k.shuffle_xor(most, distance);
            most = most.max(other);
        }
        room.warps.at(warp).store_if(k, lane.eq(0), most);
        room.lacking.store_if(k, thread.eq(0), self.experts);
        k.barrier();
        let most =
            (0..self.warps()).map(|w| room.warps.plus(i64::from(w)).load(k)).reduce(Val::<f64>::max).unwrap_or(most);
        let mut powers = Vec::new();
        for (&e, &logit) in experts.iter().zip(&logits) {
            let distance = logit - most;
            let lacks = distance.ne(distance);
            let (lacks, power) = match whole {
                true => (lacks, f64::exponential(distance)),
                false => {
                    let here = e.lt(self.experts);
                    (lacks & here, f64::exponential(distance).select(here, 0.0))
                }
            };
            k.if_(lacks, |k| {
                room.lacking.atomic_min(k, e);
            });
            powers.push(power);
        }
        // All have read the maxima before the sums take their place.
        k.barrier();
        for (slot, &power) in powers.iter().enumerate() {
            let sum = butterfly(k, power, [1, 2, 4, 8, 16]);
            room.warps.at(warp).plus(i64::from(slot as u32 * self.warps())).store_if(k, lane.eq(0), sum);
        }
        k.barrier();
        let sums: Vec<Val<f64>> =
            (0..self.warps() * self.slots()).map(|i| room.warps.plus(i64::from(i)).load(k)).collect();
        let total = row_tree(&sums, sums.len().next_power_of_two());
        let p: Vec<Val<f64>> = powers.iter().map(|&power| power / total).collect();
        for (&e, &p) in experts.iter().zip(&p) {
            let shown = if whole { p } else { p.select(e.lt(self.experts), -1.0) };
            room.p.at(e).store(k, shown);
        }
        p
    }

    /// Gives each of the chosen its place: an expert's rank is the number of those before it.
    #[track_caller]
    fn rank(
        &self,
        k: &mut Body,
        thread: Val<u32>,
        room: &Room,
        p: &[Val<f64>],
        (ids, weights): (Global<u32>, Global<f32>),
    ) {
        let experts = self.experts_of(thread);
        k.barrier();
        let mut ranks: Vec<_> = experts.iter().map(|_| k.var::<u32>(0u32)).collect();
        k.for_(0, self.experts.next_multiple_of(ROUND), ROUND, |k, first, _| {
            let others = room.p.at(first);
            for pair in 0..ROUND / 2 {
                let both: [Val<f64>; 2] = others.plus(i64::from(2 * pair)).load_vec(k);
                for (i, other) in both.into_iter().enumerate() {
                    let number = first + (2 * pair + i as u32);
                    for ((&e, &p), rank) in experts.iter().zip(p).zip(&mut ranks) {
                        let before = other.gt(p) | (other.eq(p) & number.lt(e));
                        rank.add_int(before.to_u32());
                    }
                }
            }
        });
        for ((&e, &p), rank) in experts.iter().zip(p).zip(&ranks) {
            let rank = rank.get();
            k.if_(e.lt(self.experts) & rank.lt(self.used), |k| {
                ids.at(rank).store(k, e);
                room.chosen.at(rank).store(k, p);
            });
        }
        k.barrier();
        k.if_(thread.lt(self.used), |k| {
            let chosen: Vec<Val<f64>> = (0..self.used).map(|r| room.chosen.plus(i64::from(r)).load(k)).collect();
            let sum = row_tree(&chosen, chosen.len().next_power_of_two());
            let own = room.chosen.at(thread).load(k);
            weights.at(thread).store(k, f64::narrow(own / sum));
        });
    }
}
