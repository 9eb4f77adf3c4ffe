//! `argmax-rows`: the most likely token of each row.

use ptxgen_builder::build::{In, InOut, Out, Val};

use super::argmax::{SHARE, THREADS};
use super::error::CatalogueError;
use super::limits::refuse_if;
use super::stage::{Resources, Stage};
use crate::device::{argmax_index, argmax_key, block_max, pass};

/// The parameters:
/// - `logits`: [tokens, vocabulary] f32;
/// - `state`: the [pass](crate::device::pass), which says how many rows there are;
/// - `best`: [tokens, 2] words of 64 bits, 0 before and after;
/// - `chosen`: [tokens, 2]: the token, and the first logit of the row that is NaN or infinite, all ones if none is.
pub type ArgmaxRowsArgs = (In<f32>, In<u32>, InOut<u64>, Out<u32>);

/// Chooses the most likely of `vocabulary` tokens in each of up to `tokens` rows: the contract's "Argmax".
///
/// # Errors
/// If there are no tokens to choose from, or too many.
pub fn argmax_rows(name: &'static str, vocabulary: u32, tokens: u32) -> Result<Stage<ArgmaxRowsArgs>, CatalogueError> {
    refuse_if(vocabulary == 0 || vocabulary > 1 << 24, name, "rows", vocabulary, "1 to 16,777,216")?;
    refuse_if(tokens == 0 || tokens > 1 << 12, name, "tokens", tokens, "1 to 4,096")?;
    let blocks = vocabulary.div_ceil(SHARE);
    let names = ["logits", "state", "best", "chosen"];
    let entry = format!("argmax_rows_{vocabulary}_{tokens}");
    let resources = Resources::new([blocks, tokens, 1], THREADS);
    Stage::<ArgmaxRowsArgs>::new(name, (&entry, names), resources, move |k, (logits, state, best, chosen), block| {
        let (thread, index) = (k.thread_x(), block.y(k));
        k.if_(index.lt(pass::tokens(k, state, tokens)), |k| {
            let row = pass::row(logits, index, vocabulary);
            let first = block.x(k) * SHARE + thread;
            let mut most = Val::from(0u64).copied();
            // Larger where the index is smaller; 0 is none.
            let mut bad = Val::from(0u32).copied();
            for i in 0..SHARE / THREADS {
                let at = first + i * THREADS;
                let here = at.lt(vocabulary);
                let value = row.at(at).load_or(k, here, f32::NAN);
                most = most.max(argmax_key(value, at));
                // What is not a number less itself is not 0.
                let itself = value;
                let is_bad = here & (value - itself).ne(0.0);
                bad = bad.max((!at).select(is_bad, 0u32));
            }
            let most = block_max(k, most, thread, THREADS);
            let bad = block_max(k, bad.to::<u64>(), thread, THREADS).to::<u32>();
            k.if_(thread.eq(0), |k| {
                let best = best.at(index * 2);
                let words = best.plus(1).cast::<u32>();
                best.atomic_max(k, most);
                words.plus(1).atomic_max(k, bad);
                let before = words.atomic_add_acq_rel(k, 1);
                k.if_(before.eq(blocks - 1), |k| {
                    words.atomic_exchange(k, 0);
                    let token = argmax_index(best.atomic_exchange(k, 0));
                    let none = !words.plus(1).atomic_exchange(k, 0);
                    chosen.at(index * 2).store_vec(k, [token, none]);
                });
            });
        });
    })
}
