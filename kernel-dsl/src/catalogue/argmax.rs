//! `argmax`: the most likely token, which becomes the next pass.

use ptxgen_builder::build::{Body, Global, In, InOut, Out, Val};

use super::error::CatalogueError;
use super::limits::refuse_if;
use super::stage::{Resources, Stage};
use crate::device::{argmax_index, argmax_key, block_max, pass};

/// The parameters:
/// - `logits`: [tokens, vocabulary] f32, of which the last token's are read;
/// - `best`: two words, 0 before and after;
/// - `state`: the [pass](crate::device::pass), which becomes the next one: one
///   token, after those of this pass;
/// - `next`: one word, written with the token;
/// - `ring`: the tokens chosen so far; number i is word i modulo its length.
pub type ArgmaxArgs = (In<f32>, InOut<u64>, InOut<u32>, Out<u32>, InOut<u32>);

/// Threads of a block.
pub(super) const THREADS: u32 = 256;

/// Logits that a block looks at.
pub(super) const SHARE: u32 = 8 * THREADS;

/// Chooses the most likely of `vocabulary` tokens, ties to the lower one, in a
/// pass of up to `tokens` tokens: the contract's "Argmax". `ring` has room for
/// that many tokens.
///
/// # Errors
/// If there are no tokens to choose from, or the ring is empty.
pub fn argmax(
    name: &'static str,
    vocabulary: u32,
    tokens: u32,
    ring: u32,
) -> Result<Stage<ArgmaxArgs>, CatalogueError> {
    refuse_if(vocabulary == 0 || vocabulary > 1 << 24, name, "rows", vocabulary, "1 to 16,777,216")?;
    refuse_if(tokens == 0 || tokens > 1 << 12, name, "tokens", tokens, "1 to 4,096")?;
    refuse_if(ring == 0, name, "positions", ring, "at least 1")?;
    let blocks = vocabulary.div_ceil(SHARE);
    let names = ["logits", "best", "state", "next", "ring"];
    let entry = format!("argmax_{vocabulary}_{tokens}_{ring}");
    let resources = Resources::new([blocks, 1, 1], THREADS);
    Stage::<ArgmaxArgs>::new(name, (&entry, names), resources, move |k, (logits, best, state, next, all), block| {
        let thread = k.thread_x();
        let row = pass::last_row(k, state, tokens, logits, vocabulary);
        let first = block.x(k) * SHARE + thread;
        let mut most = Val::from(0u64).copied();
        for i in 0..SHARE / THREADS {
            let index = first + i * THREADS;
            let value = row.at(index).load_or(k, index.lt(vocabulary), f32::NAN);
            most = most.max(argmax_key(value, index));
        }
        let most = block_max(k, most, thread, THREADS);
        k.if_(thread.eq(0), |k| {
            best.atomic_max(k, most);
            let before = best.plus(1).cast::<u32>().atomic_add_acq_rel(k, 1);
            k.if_(before.eq(blocks - 1), |k| {
                best.plus(1).cast::<u32>().atomic_exchange(k, 0);
                let token = argmax_index(best.atomic_exchange(k, 0));
                chosen(k, token, state, (next, all, ring));
            });
        });
    })
}

/// Makes a token the next pass.
#[track_caller]
pub(super) fn chosen(
    k: &Body,
    token: Val<u32>,
    state: Global<u32>,
    (next, ring, len): (Global<u32>, Global<u32>, u32),
) {
    let [position, tokens, number, _] = state.load_vec(k);
    next.store(k, token);
    ring.at(number % len).store(k, token);
    state.store_vec(k, [position + tokens, Val::from(1).copied(), number + 1, Val::from(0).copied()]);
}
