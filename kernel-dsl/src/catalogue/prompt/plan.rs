//! How a block of threads shares out rows of queries.

use ptxgen_builder::target::Target;

use super::super::attention::AttentionShape;
use super::super::limits::SHARED_LIMIT;
use crate::device::{DeviceFloat, divisor};
use crate::reference::CHUNK;

/// Threads that share the keys of a chunk, and the columns of the outputs.
pub(super) const ACROSS: u32 = 16;
/// Rows of a thread, and keys.
pub(super) const EACH: u32 = 4;

/// How a block of threads shares out rows of queries, each a head of a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PromptPlan {
    shape: AttentionShape,
    /// Heads of a block, which share keys and values.
    pub heads: u32,
    /// Tokens of a block.
    pub tokens: u32,
    /// Rows that there is room for.
    pub rows: u32,
}

impl PromptPlan {
    pub(super) fn new<A: DeviceFloat>(shape: AttentionShape, target: Target) -> PromptPlan {
        let sharing = shape.heads / shape.kv_heads;
        let of = |rows: u32| {
            let heads = divisor(sharing, rows);
            PromptPlan { shape, heads, tokens: rows / heads, rows }
        };
        let fits = |p: &PromptPlan| {
            let own = p.own_bytes::<A>();
            u64::from(own) <= SHARED_LIMIT && own + p.staged_bytes() <= target.max_shared_bytes()
        };
        [32, 16, 8].map(of).into_iter().find(fits).unwrap_or_else(|| of(8))
    }

    /// Bytes of the kernel's own shared memory: queries and weights.
    fn own_bytes<A: DeviceFloat>(&self) -> u32 {
        self.rows * (self.stride() * 4 + self.weight_stride() * A::TY.bytes())
    }

    /// Bytes of a chunk's keys or values in shared memory.
    pub(super) fn staged_bytes(&self) -> u32 {
        CHUNK as u32 * self.stride() * 4
    }

    /// Query heads that share keys and values.
    pub(super) fn sharing(&self) -> u32 {
        self.shape.heads / self.shape.kv_heads
    }

    pub(super) fn shape(&self) -> AttentionShape {
        self.shape
    }

    pub(super) fn threads(&self) -> u32 {
        self.rows / EACH * ACROSS
    }

    /// Rows that are heads of tokens.
    pub(super) fn rows_used(&self) -> u32 {
        self.heads * self.tokens
    }

    /// Tiles of tokens.
    pub(super) fn token_tiles(&self) -> u32 {
        self.shape.tokens.div_ceil(self.tokens)
    }

    /// Blocks that share out a token's heads.
    pub(super) fn groups(&self) -> u32 {
        self.shape.heads / self.heads
    }

    /// Fours of a head.
    pub(super) fn fours(&self) -> u32 {
        self.shape.head_dim / 4
    }

    /// Elements between two queries, keys or values in shared memory: eight of them lie in different banks.
    pub(super) fn stride(&self) -> u32 {
        ((self.shape.head_dim / 8 * 2) | 1) * 4
    }

    /// Elements between two rows' weights.
    pub(super) fn weight_stride(&self) -> u32 {
        CHUNK as u32 + EACH
    }

    /// Fours of the outputs' columns of a thread.
    pub(super) fn columns(&self) -> u32 {
        self.fours().div_ceil(ACROSS)
    }

    /// What a row's tree keeps of each level in a thread: the sum of weights and the outputs, padded.
    pub(super) fn kept(&self) -> u32 {
        4 * (self.columns() + 1)
    }

    /// The first chunks, whose scores a thread remembers: a kilobyte of them.
    pub(super) fn remembered<A: DeviceFloat>(&self) -> u32 {
        (1024 / (EACH * EACH * A::TY.bytes())).min(self.shape.chunks())
    }

    /// Levels of the tree over the chunks.
    pub(super) fn levels(&self) -> u32 {
        self.shape.chunks().ilog2() + 1
    }
}
