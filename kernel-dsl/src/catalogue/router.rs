//! `router`: logits, softmax and the choice of experts, in one launch.

use ptxgen_builder::build::{Body, Global, In, Out, Ptr, ReadOnly, ReadSpace, Shared, Val};
use ptxgen_builder::target::Target;

use super::Experts;
use super::chosen::{ChosenAt, NAMES, RouterArgs};
use super::contents::{Blocks, Logits, Table};
use super::error::CatalogueError;
use super::limits::refuse_if;
use super::router_many::Many;
use super::schedule::Shape;
use super::stage::{Block, Resources, Stage};
use crate::device::{Choice, DevicePlain, Normed, PlainTile, Source, Threads, fresh, inputs_ready, last_block, pass};
use crate::precision::Accumulation;

/// The parameters: the router's matrix, [experts, cols], in the format; a vector, `cols` f32; its norm's
/// weights; and the logits, an f64 for each expert.
pub type NormLogitsArgs<F> = (In<Blocks<F>>, In<f32>, In<Table>, Out<Logits>);

/// Threads of a block.
const THREADS: u32 = 128;

/// Tokens beyond which there are blocks enough for several rows each.
const MANY: u32 = 64;

/// Tokens whose experts one block chooses, one after the other, in a pass of up to `tokens`: of few tokens one, so that all
/// are chosen at once; of many more, so that the matrix is read less often.
fn tile_tokens(tokens: u32) -> u32 {
    match tokens {
        ..=16 => 1,
        17..=MANY => 2,
        _ => 4,
    }
}

/// Tiles of up to `tokens` tokens, each with a word of `counter`.
pub fn router_tiles(tokens: u32) -> u32 {
    tokens.div_ceil(tile_tokens(tokens))
}

/// The router of up to `tokens` tokens: the contract's "Router". `shape` is
/// that of the matrix, experts by columns. The block that is last to finish its
/// logits chooses the experts. `pdl`: see [`How`](super::How). `target` says what memory a block has.
///
/// # Errors
/// For shapes that the kernel does not support.
pub fn router<F: DevicePlain>(
    name: &'static str,
    cols: u32,
    experts: Experts,
    tokens: u32,
    (target, pdl): (Target, bool),
) -> Result<Stage<RouterArgs<F>>, CatalogueError> {
    let router = Router::new::<F>(name, cols, experts, tokens)?;
    let Experts { count, used } = experts;
    let entry = format!("router_{}_{count}x{cols}_{used}_{tokens}", F::TYPE.name().to_lowercase());
    if let Some(many) = Many::of(name, cols, experts, tokens, target)? {
        return many.stage::<F>(name, &entry, pdl);
    }
    Stage::<RouterArgs<F>>::new(name, (&entry, NAMES), router.resources(), move |k, io, block| {
        let (w, x, state, logits, counter, status, ids, weights) = io;
        let (thread, x) = (k.thread_x(), fresh(x));
        // The load of the number of tokens is issued before anything else.
        let early = tokens > 1;
        inputs_ready(k, pdl && early);
        let first = if tokens == 1 { Val::from(0).copied() } else { block.y(k) * router.tile.tokens };
        let all = pass::tokens(k, fresh(state), tokens).max(first);
        let here = (all - first).min(router.tile.tokens);
        let ready = |k: &Body| inputs_ready(k, pdl && !early);
        let to = Results { logits, counter, chosen: ChosenAt { status, ids, weights } };
        k.if_(here.gt(0), |k| {
            let vector = |token| x.at((first + token) * cols);
            router.logits::<F, _>(k, thread, w, (first, here), (ready, vector), logits, block);
            router.choose(k, (first, here), &to, (thread, block));
        });
    })
}

/// The router's logits of the norm of one token's vector: the contract's "RMSNorm" with accumulator
/// `C`, then the logits of its "Router". The kernels after it choose.
///
/// # Errors
/// For shapes that the kernel does not support.
pub fn norm_router_logits<F: DevicePlain, C: Accumulation>(
    name: &'static str,
    cols: u32,
    experts: u32,
    (eps, pdl): (f32, bool),
) -> Result<Stage<NormLogitsArgs<F>>, CatalogueError> {
    let router = Router::new::<F>(name, cols, Experts { count: experts, used: 1 }, 1)?;
    refuse_if(!cols.is_multiple_of(8), name, "cols", cols, "a multiple of 8")?;
    let entry = format!("norm_router_logits_{}_{}_{}x{cols}", F::TYPE.name().to_lowercase(), C::ACC, experts);
    let names = ["w", "x", "norm", "logits"];
    Stage::<NormLogitsArgs<F>>::new(name, (&entry, names), router.resources(), move |k, (w, x, norm, logits), block| {
        let thread = k.thread_x();
        let vector: Shared<f32> = k.shared(cols);
        let ready = |k: &Body| {
            let threads = Threads { this: thread, count: THREADS };
            let source = Source::normed(k, &Normed { x, weights: norm, eps }, cols, threads, pdl);
            source.each::<C::Scalar>(k, |k, first, v| {
                let to = vector.at(first);
                to.store_vec(k, [v[0], v[1], v[2], v[3]]);
                to.plus(4).store_vec(k, [v[4], v[5], v[6], v[7]]);
            });
            k.barrier();
        };
        let one = (Val::from(0).copied(), Val::from(1).copied());
        router.logits::<F, _>(k, thread, w, one, (ready, |_| vector), logits, block);
    })
}

/// The sizes of a router.
struct Router {
    tile: PlainTile,
    grid: [u32; 3],
    choice: Choice,
}

/// Where its results go.
struct Results {
    logits: Global<f64>,
    counter: Global<u32>,
    chosen: ChosenAt,
}

impl Router {
    fn new<F: DevicePlain>(
        name: &'static str,
        cols: u32,
        experts: Experts,
        tokens: u32,
    ) -> Result<Router, CatalogueError> {
        let choice = experts.choice(name, THREADS)?;
        let count = experts.count;
        super::limits::check_tokens(name, tokens)?;
        let at_once = tile_tokens(tokens);
        super::plain_gemv::check::<F>(name, Shape { rows: count, cols }, at_once)?;
        let tile = PlainTile::new(cols, at_once, THREADS);
        let tile = if tokens > MANY { tile.wide() } else { tile };
        let grid = [count.div_ceil(tile.rows), router_tiles(tokens), 1];
        Ok(Router { tile, grid, choice })
    }

    /// The logits of `here` tokens from `first` on. `ready` is called before `vector` is read, which
    /// returns the position of a token's activations.
    #[track_caller]
    #[allow(clippy::too_many_arguments)] // where it works, and on what
    fn logits<F: DevicePlain, S: ReadSpace>(
        &self,
        k: &Body,
        thread: Val<u32>,
        w: ReadOnly<u8>,
        (first, here): (Val<u32>, Val<u32>),
        (ready, vector): (impl Fn(&Body), impl Fn(Val<u32>) -> Ptr<S, f32>),
        to: Global<f64>,
        block: Block,
    ) {
        let count = self.choice.experts;
        let first_row = block.x(k) * self.tile.rows;
        self.tile.products::<F, f64, S>(
            k,
            thread,
            |row| self.tile.row_at::<F>(w, first_row + row, count),
            vector,
            (here, ready),
            |k, row, token, logit| {
                let row = first_row + row;
                to.at((first + token) * count + row).store_if(k, row.lt(count), logit);
            },
        );
    }

    /// The experts of `here` tokens from `first` on, by the last block to have written its logits.
    #[track_caller]
    fn choose(&self, k: &Body, (first, here): (Val<u32>, Val<u32>), to: &Results, (thread, block): (Val<u32>, Block)) {
        let Choice { experts: count, used, .. } = self.choice;
        let counter = to.counter.at(block.y(k));
        let last = last_block(k, counter, self.grid[0], thread);
        k.if_(last, |k| {
            let room = self.choice.shared(k);
            self.tile.each_token(k, here, |k, token| {
                let token = first + token;
                // What the token before left there has been read.
                k.barrier();
                let chosen = self.choice.choose(k, to.logits.at(token * count), &room, thread);
                to.chosen.write(k, thread, token, used, &chosen);
            });
        });
    }

    fn resources(&self) -> Resources {
        Resources::new(self.grid, THREADS).with_blocks(1)
    }
}
