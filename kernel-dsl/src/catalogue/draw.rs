//! `sample-sort` and `sample-draw`: a token drawn at random.

use ptxgen_builder::build::{Body, In, InOut, Out, ReadOnly, Rounding, Val};

use super::argmax::chosen;
use super::error::CatalogueError;
use super::limits::refuse_if;
use super::stage::{Resources, Stage};
use crate::device::{
    Lists, Measure, argmax_index, argmax_key, block_max, block_prefix_sums, key_logit, last_block, pass, sample_weight,
    sort_keys,
};

/// The parameters of `sample-sort`: the logits, [tokens, vocabulary] f32, of
/// which the last token's are read, the [pass](crate::device::pass), and the
/// keys, [`sample_keys`] of them: lists of [`SAMPLE_LIST`], each from the most
/// likely token on.
pub type SortArgs = (In<f32>, In<u32>, Out<u64>);

/// The parameters of `sample-draw`:
/// - `keys`: what `sample-sort` wrote;
/// - `from`: temperature, top p and top k, as
///   [`Distribution::words`](crate::reference::Distribution::words) gives them;
/// - `random`: words; number i of those chosen takes word i modulo their number,
///   which is that of the ring's tokens;
/// - `sums`: room for a word for each key;
/// - `counter`: one word, 0 before and after;
/// - `state`, `next`, `ring`: as `argmax` has them.
pub type DrawArgs = (In<u64>, In<f64>, In<u64>, Out<u64>, InOut<u32>, InOut<u32>, Out<u32>, InOut<u32>);

/// Keys of a list.
pub const SAMPLE_LIST: u32 = 2048;

/// Threads of a block.
const THREADS: u32 = 256;

/// Most tokens of a vocabulary: a list for each thread of the last block.
const MOST: u32 = THREADS * SAMPLE_LIST;

fn lists(vocabulary: u32) -> u32 {
    vocabulary.div_ceil(SAMPLE_LIST)
}

/// Keys of a vocabulary: whole lists.
pub fn sample_keys(vocabulary: u32) -> u32 {
    lists(vocabulary) * SAMPLE_LIST
}

fn check(kernel: &'static str, vocabulary: u32) -> Result<(), CatalogueError> {
    refuse_if(vocabulary == 0 || vocabulary > MOST, kernel, "rows", vocabulary, "1 to 524,288")
}

/// Sorts the logits of the last of up to `tokens` tokens, in lists.
///
/// # Errors
/// For sizes that the kernel does not support.
pub fn sample_sort(name: &'static str, vocabulary: u32, tokens: u32) -> Result<Stage<SortArgs>, CatalogueError> {
    check(name, vocabulary)?;
    refuse_if(tokens == 0 || tokens > 1 << 12, name, "tokens", tokens, "1 to 4,096")?;
    let entry = format!("sample_sort_{vocabulary}_{tokens}");
    let resources = Resources::new([lists(vocabulary), 1, 1], THREADS);
    Stage::<SortArgs>::new(
        name,
        (&entry, ["logits", "state", "keys"]),
        resources,
        move |k, (logits, state, keys), block| {
            let thread = k.thread_x();
            let row = pass::last_row(k, state, tokens, logits, vocabulary);
            let sorted = k.shared::<u64>(SAMPLE_LIST);
            let first = block.x(k) * SAMPLE_LIST;
            for i in 0..SAMPLE_LIST / THREADS {
                let place = thread + i * THREADS;
                let index = first + place;
                let inside = index.lt(vocabulary);
                let key = argmax_key(row.at(index).load_or(k, inside, 0.0), index);
                // What is not a token comes last.
                sorted.at(place).store(k, key.select(inside, 0));
            }
            k.barrier();
            sort_keys(k, sorted, SAMPLE_LIST, thread, THREADS);
            for i in 0..SAMPLE_LIST / THREADS {
                let place = thread + i * THREADS;
                let key = sorted.at(place).load(k);
                keys.at(first + place).store(k, key);
            }
        },
    )
}

/// Draws one of `vocabulary` tokens from the sorted keys: the contract's
/// "Sampling". `ring` is the number of random words, and of tokens that the ring
/// has room for.
///
/// # Errors
/// For sizes that the kernel does not support.
pub fn sample_draw(name: &'static str, vocabulary: u32, ring: u32) -> Result<Stage<DrawArgs>, CatalogueError> {
    check(name, vocabulary)?;
    refuse_if(ring == 0, name, "positions", ring, "at least 1")?;
    let blocks = lists(vocabulary);
    let names = ["keys", "from", "random", "sums", "counter", "state", "next", "ring"];
    let entry = format!("sample_draw_{vocabulary}_{ring}");
    let resources = Resources::new([blocks, 1, 1], THREADS);
    Stage::<DrawArgs>::new(name, (&entry, names), resources, move |k, io, block| {
        let (keys, from, random, sums, counter, state, next, all) = io;
        let thread = k.thread_x();
        let own = keys.at(thread * SAMPLE_LIST);
        // The most likely token of all is the first of some list.
        let head = own.load_or(k, thread.lt(blocks), 0);
        let most = key_logit(block_max(k, head, thread, THREADS));
        let scale = Val::from(1.0f64) / from.load(k);
        let place = block.x(k) * SAMPLE_LIST + thread * (SAMPLE_LIST / THREADS);
        let mut sum = Val::from(0u64).copied();
        let mut within = Vec::new();
        for pair in 0..SAMPLE_LIST / THREADS / 2 {
            let both: [Val<u64>; 2] = keys.at(place).plus(2 * i64::from(pair)).load_vec(k);
            for key in both {
                sum += sample_weight(key_logit(key), most, scale);
                within.push(sum);
            }
        }
        let before = block_prefix_sums(k, sum, thread, THREADS) - sum;
        for (pair, both) in within.chunks_exact(2).enumerate() {
            let both = [before + both[0], before + both[1]];
            sums.at(place).plus(2 * pair as i64).store_vec(k, both);
        }
        let last = last_block(k, counter, blocks, thread);
        k.if_(last, |k| {
            let lists = Lists {
                keys: own,
                sums: sums.at(thread * SAMPLE_LIST),
                len: Val::from(SAMPLE_LIST).select(thread.lt(blocks), 0),
                threads: THREADS,
                room: k.shared(2 * THREADS / 32),
            };
            let number = state.plus(pass::CHOSEN).load(k) % ring;
            let token = draw(k, &lists, vocabulary, (from, random.at(number)));
            k.if_(thread.eq(0), |k| chosen(k, token, state, (next, all, ring)));
        });
    })
}

/// The token that the word at `word` draws; all threads of the block have it.
#[track_caller]
fn draw(k: &Body, lists: &Lists, vocabulary: u32, (from, word): (ReadOnly<f64>, ReadOnly<u64>)) -> Val<u32> {
    let low = 32 - (vocabulary - 1).leading_zeros();
    let (top_p, top_k) = (from.plus(1).load(k), from.plus(2).load(k).to_int::<u32>(Rounding::NearestEven));
    let least = k.var::<u64>(0u64);
    k.if_(top_k.gt(0), |k| {
        let key = lists.reach(k, Measure::Count, top_k.min(vocabulary).to(), low);
        least.set(key);
    });
    let total = lists.weight_from(k, least.get());
    let token = k.var::<u32>(0u32);
    k.if_(total.gt(0), |k| {
        let kept = k.var::<u64>(total);
        k.if_(top_p.lt(1.0), |k| {
            let share = (top_p * total.to_rn::<f64>()).max(0.0);
            let need = share.to_int::<u64>(Rounding::Up).max(1).min(total);
            let key = lists.reach(k, Measure::Weight, need, low);
            let weight = lists.weight_from(k, key);
            kept.set(weight);
        });
        let drawn = word.load(k).mul_hi(kept.get());
        let key = lists.reach(k, Measure::Weight, drawn + 1, low);
        token.set(argmax_index(key));
    });
    token.get()
}
