//! The buffers that a pass works with, by what they are for.

use crate::config::TensorRole;

/// A buffer. Those of a session are as large as the most that a stage needs of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Slot {
    /// A tensor of the file, in a layer or once.
    Weight(TensorRole, Option<usize>),
    /// Cosines and sines, [positions, 2, head_dim / 2].
    Rope,
    /// The pass ([`ptxgen_dsl::device::pass`]).
    State,
    /// Token ids, [tokens].
    Tokens,
    /// Of a batch: the rows of the pass ([`ptxgen_dsl::device::rows`]).
    Rows,
    /// Of a batch: the pages of each sequence.
    Tables,
    /// The residual stream, [tokens, hidden].
    Stream,
    /// Its norm, [tokens, hidden].
    Normed,
    /// The same in Q8_K.
    NormedQ8K,
    /// What the projections give, [tokens, queries + keys + values].
    Projected,
    /// What one of them gives, where they are launches of their own in a pass of several tokens.
    Apart(TensorRole),
    /// Normed and turned queries, [tokens, heads, head_dim].
    Queries,
    /// A layer's keys.
    Keys(usize),
    /// A layer's values.
    Values(usize),
    /// Maxima and sums of the chunks of attention.
    ChunkSums,
    /// Outputs of the chunks of attention.
    ChunkOutputs,
    /// Attention's results, [tokens, heads, head_dim].
    Attended,
    /// The same in Q8_K.
    AttendedQ8K,
    /// Logits of the router, [tokens, experts].
    RouterLogits,
    /// Blocks of the router that are done.
    RouterCounter,
    /// For each layer whether its router found NaN.
    RouterStatus,
    /// Ids of the chosen experts, [tokens, used].
    Experts,
    /// Their weights, [tokens, used].
    ExpertWeights,
    /// Where each expert's list of pairs begins.
    ListStarts,
    /// The lists of `token * used + rank`.
    ListPairs,
    /// What the gate projections give, where they are launches of their own.
    Gates,
    /// What the up projections give, where they are launches of their own.
    Ups,
    /// Zeros: the id of the one expert that a dense feed-forward is to kernels of experts. Nothing writes it.
    OnlyExpert,
    /// The experts' inner vectors, [tokens, used, width].
    Inner,
    /// The same in Q8_K.
    InnerQ8K,
    /// What the down projections give, [tokens, used, hidden].
    Products,
    /// Logits, [tokens, vocabulary].
    Logits,
    /// The best logit so far.
    Best,
    /// Tokens that the device has chosen.
    Chosen,
    /// The best logit so far of each row.
    RowBest,
    /// For each row the most likely token, and the first logit that is no number.
    RowChosen,
    /// Logits as keys, sorted in lists.
    SampleKeys,
    /// Sums of their weights.
    SampleSums,
    /// Blocks of the draw that are done.
    SampleCounter,
    /// Temperature, top p and top k.
    Distribution,
    /// Random words, one for each of the chosen tokens.
    Random,
}

impl Slot {
    /// Whether no launch writes the buffer.
    pub(super) fn is_constant(self) -> bool {
        matches!(self, Slot::Weight(..) | Slot::Rope | Slot::OnlyExpert)
    }

    /// Whether the buffer begins as zeros: counters, and what launches read beyond the pass's
    /// tokens, without use.
    pub(super) fn is_zeroed(self) -> bool {
        matches!(
            self,
            Slot::State
                | Slot::Tokens
                | Slot::Rows
                | Slot::Tables
                | Slot::RowBest
                | Slot::RouterCounter
                | Slot::OnlyExpert
                | Slot::Gates
                | Slot::Ups
                | Slot::Best
                | Slot::Chosen
                | Slot::SampleCounter
        )
    }
}
