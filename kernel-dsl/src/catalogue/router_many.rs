//! The router of passes of many tokens: a lane has four experts and four tokens, and a warp chooses the experts of a token.

use ptxgen_builder::build::{ReadOnly, Shared, Val};
use ptxgen_builder::target::Target;

use super::Experts;
use super::chosen::{ChosenAt, NAMES, RouterArgs};
use super::error::CatalogueError;
use super::stage::{Resources, Stage};
use crate::device::{Choice, DevicePlain, PlainPairs, fresh, inputs_ready, last_block, pass};

/// The sizes of a router of many tokens.
pub(super) struct Many {
    pairs: PlainPairs,
    choice: Choice,
    tokens: u32,
    target: Target,
}

/// Tokens up to which tiles of few are quicker: these would be too few for a large GPU.
const MANY: u32 = 128;

/// Warps of a block.
const WARPS: u32 = PlainPairs::THREADS / 32;

impl Many {
    /// The router of up to `tokens` tokens, if there are many and the sizes are whole tiles for which a block has the memory.
    pub(super) fn of(
        name: &'static str,
        cols: u32,
        experts: Experts,
        tokens: u32,
        target: Target,
    ) -> Result<Option<Many>, CatalogueError> {
        let (pairs, choice) = (PlainPairs { cols }, experts.choice(name, 32)?);
        let whole = cols.is_multiple_of(256) && experts.count.is_multiple_of(PlainPairs::ROWS);
        // Beside the products' memory each warp has its choice's.
        let needed = pairs.shared_bytes::<f64>() + WARPS * (experts.count + 2 * Choice::MOST_USED) * 8 + 1024;
        let is_for = tokens > MANY && cols > 0 && whole && needed <= target.max_shared_bytes();
        Ok(is_for.then_some(Many { pairs, choice, tokens, target }))
    }

    /// The stage, as [`router`](super::router()) describes it.
    pub(super) fn stage<F: DevicePlain>(
        self,
        name: &'static str,
        entry: &str,
        pdl: bool,
    ) -> Result<Stage<RouterArgs<F>>, CatalogueError> {
        let Choice { experts: count, used, .. } = self.choice;
        let (cols, most) = (self.pairs.cols, self.tokens);
        let grid = [count / PlainPairs::ROWS, most.div_ceil(PlainPairs::TOKENS), 1];
        let resources = Resources::new(grid, PlainPairs::THREADS)
            .with_shared(self.pairs.shared_bytes::<f64>(), self.target)
            .with_blocks(1);
        Stage::<RouterArgs<F>>::new(name, (entry, NAMES), resources, move |k, io, block| {
            let (w, x, state, logits, counter, status, ids, weights) = io;
            let (thread, x) = (k.thread_x(), fresh(x));
            inputs_ready(k, pdl);
            let first = block.y(k) * PlainPairs::TOKENS;
            let all = pass::tokens(k, fresh(state), most).max(first);
            let here = (all - first).min(PlainPairs::TOKENS);
            let to = ChosenAt { status, ids, weights };
            k.if_(here.gt(0), |k| {
                let first_row = block.x(k) * PlainPairs::ROWS;
                let row =
                    |row: Val<u32>| ReadOnly::from_address((first_row + row).mad_wide(F::row_bytes(cols), w.address()));
                // Vectors that the pass does not have are its last one, and their products are not kept.
                let vector = |token: Val<u32>| x.at((first + token.min(here - 1)) * cols);
                let room: Shared<f64> = k.dynamic_shared();
                self.pairs.products::<F, f64, _>(k, thread, room, (row, vector), |k, row, token, logit| {
                    let to = logits.at((first + token) * count + first_row + row);
                    to.store_if(k, token.lt(here), logit);
                });
                let last = last_block(k, counter.at(block.y(k)), grid[0], thread);
                k.if_(last, |k| {
                    let (lane, warp) = (thread & 31, thread >> 5);
                    let room = self.choice.shared_of(k, WARPS, warp);
                    k.for_(warp, here, WARPS, |k, token, _| {
                        let token = first + token;
                        // What the token before left there has been read.
                        k.sync_warp(0xffff_ffff);
                        let chosen = self.choice.choose(k, logits.at(token * count), &room, lane);
                        to.write(k, lane, token, used, &chosen);
                    });
                });
            });
        })
    }
}
