//! What a router takes, and where its choice of experts goes.

use ptxgen_builder::build::{Body, Global, In, InOut, Out, Val};

use super::contents::{Blocks, Logits, Table};
use crate::device::Chosen;

/// The parameters:
/// - `w`: the router's matrix, [experts, cols], in the format;
/// - `x`: the normed activations, [tokens, cols] f32;
/// - `state`: the [pass](crate::device::pass);
/// - `logits`: [tokens, experts] f64;
/// - `counter`: [`router_tiles`](super::router_tiles) words, 0 before and after;
/// - `status`: one word, all ones as long as nothing has gone wrong; else
///   `token << 32 | expert` of the first token of the pass, and its first
///   expert, that a logit without a finite distance to the largest made a
///   choice impossible for;
/// - `ids`, `weights`: [tokens, used], in rank order. Of such a token the ids
///   are 0, 1, ... and the weights NaN.
pub type RouterArgs<F> = (In<Blocks<F>>, In<f32>, In<u32>, Out<Logits>, InOut<u32>, InOut<u64>, Out<u32>, Out<Table>);

/// Names of [`RouterArgs`].
pub(super) const NAMES: [&str; 8] = ["w", "x", "state", "logits", "counter", "status", "ids", "weights"];

/// Where a choice of experts goes: see [`RouterArgs`].
#[derive(Clone, Copy)]
pub(super) struct ChosenAt {
    pub status: Global<u64>,
    pub ids: Global<u32>,
    pub weights: Global<f32>,
}

impl ChosenAt {
    /// Writes the choice of a token, with the whole block.
    #[track_caller]
    pub(super) fn write(&self, k: &Body, thread: Val<u32>, token: Val<u32>, used: u32, chosen: &Chosen) {
        k.if_(thread.lt(used), |k| {
            let place = token * used + thread;
            let (id, weight) = (chosen.id(k, thread), chosen.weight(k, thread));
            self.ids.at(place).store(k, id);
            self.weights.at(place).store(k, weight);
        });
        k.if_(!chosen.possible & thread.eq(0), |k| {
            self.status.atomic_min(k, chosen.lacking.pair(token));
        });
    }
}
