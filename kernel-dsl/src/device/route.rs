//! The contract's "Router" after its logits: softmax, top k, renormalized weights, by a block or a warp.

use ptxgen_builder::build::{Body, Global, Pred, Scalar, Shared, Val};

use super::{DeviceExp, DeviceFloat, butterfly, row_tree};

/// The sizes of a choice of experts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Choice {
    /// Experts to choose from.
    pub experts: u32,
    /// Experts chosen, at most [`MOST_USED`](Choice::MOST_USED).
    pub used: u32,
    /// Threads of the team that chooses: a warp, or a block of whole warps.
    pub threads: u32,
}

/// Candidates that a thread compares its own with in an iteration.
const ROUND: u32 = 8;

/// Shared memory of a choice.
#[derive(Clone, Copy)]
pub struct ChoiceRoom {
    /// The probabilities; -1 beyond the last expert.
    p: Shared<f64>,
    /// Each warp's largest logit.
    most: Shared<f64>,
    /// The sum of each warp's powers, by slot.
    sums: Shared<f64>,
    /// The first expert without a probability, or the number of experts.
    lacking: Shared<u32>,
    /// The ids of the chosen, in rank order.
    ids: Shared<u32>,
    /// How many of the chosen have found their places, and which places are taken.
    found: Shared<u32>,
}

/// Experts chosen by a block of threads, in its shared memory.
#[derive(Clone, Copy)]
pub struct Chosen {
    used: u32,
    room: ChoiceRoom,
    /// Whether there was a choice: every expert has a probability. Where not, the ids are the first
    /// experts', the weights NaN.
    pub possible: Pred,
    /// The first expert without a probability, where there is one.
    pub lacking: Val<u32>,
}

impl Chosen {
    /// The expert of a rank.
    #[track_caller]
    pub fn id(&self, k: &Body, rank: Val<u32>) -> Val<u32> {
        self.room.ids.at(rank).load(k)
    }

    /// The weight of the expert of a rank: its probability over the sum of the chosen's.
    #[track_caller]
    pub fn weight(&self, k: &Body, rank: Val<u32>) -> Val<f32> {
        let ids: Vec<Val<u32>> = (0..self.used).map(|r| self.room.ids.plus(r).load(k)).collect();
        let chosen: Vec<Val<f64>> = ids.iter().map(|&id| self.room.p.at(id).load(k)).collect();
        let sum = row_tree(&chosen, chosen.len().next_power_of_two());
        let id = self.id(k, rank);
        let own = self.room.p.at(id).load(k);
        f64::narrow(own / sum).select(self.possible, f32::NAN)
    }
}

impl Choice {
    /// Maximum number of chosen experts: half a word's bits say which places are taken.
    pub const MOST_USED: u32 = 16;

    /// Experts that a thread has.
    fn slots(&self) -> u32 {
        self.experts.div_ceil(self.threads)
    }

    fn warps(&self) -> u32 {
        self.threads / 32
    }

    /// Threads that compare an expert with the others: a number that divides the work evenly.
    fn parts(&self) -> u32 {
        let room = self.threads * self.slots();
        let enough =
            |parts: u32| self.experts * parts <= self.threads && self.experts.next_multiple_of(ROUND * parts) <= room;
        [32, 16, 8, 4, 2].into_iter().find(|&parts| enough(parts)).unwrap_or(1)
    }

    /// The shared arrays.
    #[track_caller]
    pub fn shared(&self, k: &Body) -> ChoiceRoom {
        self.shared_of(k, 1, Val::from(0))
    }

    /// The shared arrays of team `team` of `teams` in a block.
    #[track_caller]
    pub fn shared_of(&self, k: &Body, teams: u32, team: Val<u32>) -> ChoiceRoom {
        #[track_caller]
        fn array<T: Scalar>(k: &Body, teams: u32, team: Val<u32>, len: u32) -> Shared<T> {
            let all = k.shared(teams * len);
            if teams == 1 { all } else { all.at(team * len) }
        }
        ChoiceRoom {
            p: array(k, teams, team, self.threads * self.slots()),
            most: array(k, teams, team, self.warps()),
            sums: array(k, teams, team, self.warps() * self.slots()),
            lacking: array(k, teams, team, 1),
            ids: array(k, teams, team, self.used),
            found: array(k, teams, team, 1),
        }
    }

    /// Waits for the team.
    #[track_caller]
    fn sync(&self, k: &Body) {
        if self.threads == 32 { k.sync_warp(0xffff_ffff) } else { k.barrier() }
    }

    /// Chooses the experts of one token. The whole team takes part, which is a warp or all of the block, `thread` being the
    /// place in it. It may read what was chosen when this ends; other threads may have written the logits, before a barrier.
    #[track_caller]
    pub fn choose(&self, k: &Body, logits: Global<f64>, room: &ChoiceRoom, thread: Val<u32>) -> Chosen {
        self.probabilities(k, logits, room, thread);
        self.sync(k);
        let lacking = room.lacking.load(k);
        let possible = lacking.eq(self.experts);
        k.if_else(
            possible,
            |k| {
                self.rank(k, room, Ties::Ignored, thread);
                self.sync(k);
                // All places are taken, each by one expert, unless two have the same probability.
                let found = room.found.load(k);
                k.if_(found.ne(self.used << 16 | ((1 << self.used) - 1)), |k| {
                    self.rank(k, room, Ties::LowerFirst, thread);
                    self.sync(k);
                });
            },
            |k| {
                k.if_(thread.lt(self.used), |k| room.ids.at(thread).store(k, thread));
                self.sync(k);
            },
        );
        Chosen { used: self.used, room: *room, possible, lacking }
    }

    /// The expert of each of the thread's slots.
    #[track_caller]
    fn experts_of(&self, thread: Val<u32>) -> Vec<Val<u32>> {
        (0..self.slots()).map(|slot| if slot == 0 { thread } else { thread + slot * self.threads }).collect()
    }

    /// The probabilities, in `room` after the next barrier.
    #[track_caller]
    fn probabilities(&self, k: &Body, logits: Global<f64>, room: &ChoiceRoom, thread: Val<u32>) {
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
        room.most.at(warp).store_if(k, lane.eq(0), most);
        room.ids.at(thread).store_if(k, thread.lt(self.used), 0);
        k.if_(thread.eq(0), |k| {
            room.lacking.store(k, self.experts);
            room.found.store(k, 0);
        });
        self.sync(k);
        let mut all: Vec<Val<f64>> = (0..self.warps()).map(|w| room.most.plus(w).load(k)).collect();
        while all.len() > 1 {
            all = all.chunks(2).map(|pair| pair.iter().copied().reduce(Val::<f64>::max).unwrap_or(most)).collect();
        }
        let most = all[0];
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
        for (slot, &power) in powers.iter().enumerate() {
            let sum = butterfly(k, power, [1, 2, 4, 8, 16]);
            room.sums.at(warp).plus(slot as u32 * self.warps()).store_if(k, lane.eq(0), sum);
        }
        self.sync(k);
        let sums: Vec<Val<f64>> = (0..self.warps() * self.slots()).map(|i| room.sums.plus(i).load(k)).collect();
        let total = row_tree(&sums, sums.len().next_power_of_two());
        for (&e, &power) in experts.iter().zip(&powers) {
            let p = power / total;
            room.p.at(e).store(k, if whole { p } else { p.select(e.lt(self.experts), -1.0) });
        }
    }

    /// Gives each of the chosen its place: an expert's rank is the number of those before it.
    #[track_caller]
    fn rank(&self, k: &Body, room: &ChoiceRoom, ties: Ties, thread: Val<u32>) {
        let parts = self.parts();
        let (part, experts) = match parts {
            1 => (Val::from(0u32), self.experts_of(thread)),
            _ => (thread & (parts - 1), vec![thread >> parts.trailing_zeros()]),
        };
        let p: Vec<Val<f64>> = experts.iter().map(|&e| room.p.at(e).load(k)).collect();
        let ranks: Vec<_> = experts.iter().map(|_| k.var::<u32>(0u32)).collect();
        let stride = ROUND * parts;
        // Neighbouring lanes compare with neighbouring pairs.
        let mine = part * 2;
        let p_mine = room.p.at(mine);
        k.for_(0, self.experts.next_multiple_of(stride), stride, |k, first, _| {
            let (others, number) = (p_mine.at(first), mine + first);
            for pair in 0..ROUND / 2 {
                let ahead = 2 * pair * parts;
                let both: [Val<f64>; 2] = others.plus(ahead).load_vec(k);
                for (i, other) in both.into_iter().enumerate() {
                    for ((&e, &p), rank) in experts.iter().zip(&p).zip(&ranks) {
                        let before = match ties {
                            Ties::Ignored => other.gt(p),
                            Ties::LowerFirst => other.gt(p) | (other.eq(p) & (number + (ahead + i as u32)).lt(e)),
                        };
                        rank.add(before.to_u32());
                    }
                }
            }
        });
        for (&e, rank) in experts.iter().zip(&ranks) {
            let mut rank = rank.get();
            for distance in (0..parts.trailing_zeros()).map(|i| 1 << i) {
                rank = rank + k.shuffle_xor(rank, distance);
            }
            k.if_(part.eq(0) & e.lt(self.experts) & rank.lt(self.used), |k| match ties {
                Ties::Ignored => {
                    // Two may come to one place.
                    room.ids.at(rank).atomic_exchange(k, e);
                    room.found.atomic_add(k, (Val::from(1u32).copied() << rank) + (1 << 16));
                }
                Ties::LowerFirst => room.ids.at(rank).store(k, e),
            });
        }
    }
}

/// What is done about equal probabilities.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ties {
    /// They get the same rank.
    Ignored,
    /// The lower number comes first.
    LowerFirst,
}
