//! The buffers of a pass, by role.

use crate::config::TensorRole;

/// A buffer. Those of a session are as large as the largest stage needs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Slot {
    /// A tensor of the file, of a layer or outside the layers.
    Weight(TensorRole, Option<usize>),
    /// Cosines and sines, [positions, 2, head_dim / 2].
    Rope,
    /// The state of the pass ([`ptxgen_dsl::device::pass`]).
    State,
    /// Token ids, [tokens].
    Tokens,
    /// For a batch: the rows of the pass ([`ptxgen_dsl::device::rows`]).
    Rows,
    /// For a batch: the pages of each sequence.
    Tables,
    /// The residual stream, [tokens, hidden].
    Stream,
    /// Its norm, [tokens, hidden].
    Normed,
    /// The same in Q8_K.
    NormedQ8K,
    /// The results of the projections, [tokens, queries + keys + values].
    Projected,
    /// The result of one projection, if they are separate launches in a pass of several tokens.
    Apart(TensorRole),
    /// Queries after norm and RoPE, [tokens, heads, head_dim].
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
    /// Number of blocks of the router that are done.
    RouterCounter,
    /// For each layer, whether its router found NaN.
    RouterStatus,
    /// Ids of the chosen experts, [tokens, used].
    Experts,
    /// Their weights, [tokens, used].
    ExpertWeights,
    /// The start of each expert's list of pairs.
    ListStarts,
    /// The lists of `token * used + rank`.
    ListPairs,
    /// The results of the gate projections, if they are separate launches.
    Gates,
    /// The results of the up projections, if they are separate launches.
    Ups,
    /// Zeros: the id of the single expert of a dense feed-forward in the experts' kernels. Nothing writes it.
    OnlyExpert,
    /// The experts' inner vectors, [tokens, used, width].
    Inner,
    /// The same in Q8_K.
    InnerQ8K,
    /// The results of the down projections, [tokens, used, hidden].
    Products,
    /// Logits, [tokens, vocabulary].
    Logits,
    /// The best logit so far.
    Best,
    /// The chosen tokens.
    Chosen,
    /// The best logit so far of each row.
    RowBest,
    /// For each row the most likely token, and the first logit that is NaN or infinite.
    RowChosen,
    /// Logits as keys, in sorted lists.
    SampleKeys,
    /// Sums of their weights.
    SampleSums,
    /// Number of blocks of the draw that are done.
    SampleCounter,
    /// Temperature, top p and top k.
    Distribution,
    /// Random words, one per sampled token.
    Random,
}

impl Slot {
    /// Whether no launch writes the buffer.
    pub(super) fn is_constant(self) -> bool {
        matches!(self, Slot::Weight(..) | Slot::Rope | Slot::OnlyExpert)
    }

    /// Whether the buffer is initially zero: counters, and memory that launches read after the pass's tokens without
    /// using the values.
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
