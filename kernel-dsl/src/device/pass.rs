//! What kernels read of a pass in device memory, so that one recorded graph of launches serves
//! every pass: `u32` words, the parameter that kernels call `state`.

use ptxgen_builder::build::{Body, Ptr, ReadOnly, ReadSpace, Val};

/// The word with the position of the pass's first token in the sequence.
pub const POSITION: u32 = 0;
/// The word with the number of tokens in the pass.
pub const TOKENS: u32 = 1;
/// The word that counts the tokens chosen so far.
pub(crate) const CHOSEN: u32 = 2;
/// Words of a state; the last one is not used.
pub const STATE_WORDS: u32 = 4;

/// The position of the pass's first token.
#[track_caller]
pub(crate) fn position<S: ReadSpace>(k: &Body, state: Ptr<S, u32>) -> Val<u32> {
    state.plus(POSITION).load(k)
}

/// Tokens of the pass, in a kernel made for at most `most`. One made for a single token does not
/// ask: it always has that one.
#[track_caller]
pub(crate) fn tokens<S: ReadSpace>(k: &Body, state: Ptr<S, u32>, most: u32) -> Val<u32> {
    match most {
        1 => Val::from(1).copied(),
        _ => state.plus(TOKENS).load(k).min(most),
    }
}

/// The last token's row of a matrix of `cols` columns, in a kernel made for at most `most` tokens.
#[track_caller]
pub(crate) fn last_row<S: ReadSpace>(
    k: &Body,
    state: Ptr<S, u32>,
    most: u32,
    first: ReadOnly<f32>,
    cols: u32,
) -> ReadOnly<f32> {
    row(first, tokens(k, state, most) - 1, cols)
}

/// A row of a matrix of `cols` columns.
#[track_caller]
pub(crate) fn row(first: ReadOnly<f32>, index: Val<u32>, cols: u32) -> ReadOnly<f32> {
    ReadOnly::from_address(index.mad_wide(cols * 4, first.address()))
}
