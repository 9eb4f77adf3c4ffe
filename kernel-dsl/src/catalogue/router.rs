//! `router`: logits, softmax and the choice of experts, in one launch.

use ptxgen_builder::build::{Body, In, InOut, Out, Val, kernel};
use ptxgen_builder::ir::LaunchBounds;

use super::Experts;
use super::schedule::{CatalogueError, Launchable, Shape, fits};
use crate::device::{Choice, DevicePlain, PlainTile, fresh, inputs_ready, last_block, pass};

/// The parameters:
/// - `w`: the router's matrix, [experts, cols], in the format;
/// - `x`: the normed activations, [tokens, cols] f32;
/// - `state`: the [pass](crate::device::pass);
/// - `logits`: [tokens, experts] f64;
/// - `counter`: [`router_tiles`] words, 0 before and after;
/// - `status`: one word, all ones as long as nothing has gone wrong; else
///   `token << 32 | expert` of the first token of the pass, and its first
///   expert, that a logit without a finite distance to the largest made a
///   choice impossible for;
/// - `ids`, `weights`: [tokens, used], in rank order. Of such a token the ids
///   are 0, 1, ... and the weights NaN.
pub type RouterArgs = (In<u8>, In<f32>, In<u32>, Out<f64>, InOut<u32>, InOut<u64>, Out<u32>, Out<f32>);

/// Threads of a block.
const THREADS: u32 = 128;

/// Tokens whose experts one block chooses, one after the other, where a pass
/// has several.
const TILE: u32 = 4;

/// Tiles of up to `tokens` tokens, each with a word of `counter`.
pub fn router_tiles(tokens: u32) -> u32 {
    tokens.div_ceil(TILE)
}

/// The router of up to `tokens` tokens: the contract's "Router". `shape` is
/// that of the matrix, experts by columns. The block that is last to finish its
/// logits chooses the experts. `pdl`: see [`How`](super::How).
///
/// # Errors
/// For shapes that the kernel is not made for.
pub fn router<F: DevicePlain>(
    name: &'static str,
    cols: u32,
    experts: Experts,
    tokens: u32,
    pdl: bool,
) -> Result<Launchable<RouterArgs>, CatalogueError> {
    let Experts { count, used } = experts;
    let wrong = |dimension, found: u32, expected| {
        Err(CatalogueError::Shape { kernel: name, dimension, found: u64::from(found), expected })
    };
    if !(1..=1024).contains(&count) {
        return wrong("experts", count, "1 to 1,024");
    }
    if used == 0 || used > count.min(16) {
        return wrong("experts used", used, "1 to 16, and no more than there are");
    }
    super::plain_gemv::check::<F>(name, Shape { rows: count, cols }, tokens)?;
    let tile = PlainTile::new(cols, tokens.min(TILE), THREADS);
    let grid = [count.div_ceil(tile.rows), router_tiles(tokens), 1];
    let choice = Choice { experts: count, used, threads: THREADS };
    let entry = format!("router_{}_{count}x{cols}_{used}_{tokens}", F::TYPE.name().to_lowercase());
    let kernel = kernel::<RouterArgs>(
        &entry,
        ["w", "x", "state", "logits", "counter", "status", "ids", "weights"],
        |k, (w, x, state, logits, counter, status, ids, weights)| {
            let thread = k.thread_x();
            let (x, state) = (fresh(x), fresh(state));
            // The number of tokens is asked for before anything else.
            let early = tokens > 1;
            inputs_ready(k, pdl && early);
            let first_row = k.block_x() * tile.rows;
            let first = if tokens == 1 { Val::from(0).copied() } else { k.block_y() * tile.tokens };
            let all = pass::tokens(k, state, tokens).max(first);
            let here = (all - first).min(tile.tokens);
            k.if_(here.gt(0), |k| {
                tile.products::<F, f64>(
                    k,
                    thread,
                    |row| tile.row_at::<F>(w, first_row + row, count),
                    |token| x.at((first + token) * cols),
                    (here, |k: &mut Body| inputs_ready(k, pdl && !early)),
                    |k, row, token, logit| {
                        let row = first_row + row;
                        logits.at((first + token) * count + row).store_if(k, row.lt(count), logit);
                    },
                );
                let counter = counter.at(k.block_y());
                let last = last_block(k, thread, counter, grid[0]);
                k.if_(last, |k| {
                    tile.each_token(k, here, |k, token| {
                        let token = first + token;
                        let to = (ids.at(token * used), weights.at(token * used));
                        choice.choose(k, thread, logits.at(token * count), to, |k, expert| {
                            status.atomic_min(k, expert.pack(token));
                        });
                    });
                });
            });
        },
    );
    // A block to a multiprocessor: without saying so, ptxas spills to make room for more.
    let bounds = LaunchBounds { min_blocks: Some(1), ..kernel.bounds() };
    fits(name, Launchable::new(kernel.with_bounds(bounds), grid, THREADS))
}
