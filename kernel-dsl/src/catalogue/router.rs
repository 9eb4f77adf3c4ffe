//! `router`: logits, softmax and the choice of experts, in one launch.

use ptxgen_builder::build::{Body, Global, In, InOut, Kernel, Out, Ptr, ReadOnly, ReadSpace, Shared, Val, kernel};
use ptxgen_builder::ir::LaunchBounds;

use super::Experts;
use super::schedule::{CatalogueError, Launchable, Shape, fits};
use crate::device::{Choice, DevicePlain, Normed, PlainTile, Source, Threads, fresh, inputs_ready, last_block, pass};
use crate::precision::Accumulation;

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

/// The same of one token, with the norm's weights, `cols` f32, in place of the pass; `x` is not normed
/// yet.
pub type NormRouterArgs = (In<u8>, In<f32>, In<f32>, Out<f64>, InOut<u32>, InOut<u64>, Out<u32>, Out<f32>);

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
    let router = Router::new::<F>(name, cols, experts, tokens)?;
    let Experts { count, used } = experts;
    let entry = format!("router_{}_{count}x{cols}_{used}_{tokens}", F::TYPE.name().to_lowercase());
    let names = ["w", "x", "state", "logits", "counter", "status", "ids", "weights"];
    let kernel = kernel::<RouterArgs>(&entry, names, |k, (w, x, state, logits, counter, status, ids, weights)| {
        let (thread, x) = (k.thread_x(), fresh(x));
        // The number of tokens is asked for before anything else.
        let early = tokens > 1;
        inputs_ready(k, pdl && early);
        let first = if tokens == 1 { Val::from(0).copied() } else { k.block_y() * router.tile.tokens };
        let all = pass::tokens(k, fresh(state), tokens).max(first);
        let here = (all - first).min(router.tile.tokens);
        let ready = |k: &mut Body| inputs_ready(k, pdl && !early);
        let to = Results { logits, counter, status, ids, weights };
        k.if_(here.gt(0), |k| {
            router.write::<F, _>(k, thread, w, (first, here), (ready, |token| x.at((first + token) * cols)), &to);
        });
    });
    router.launch(name, kernel)
}

/// The router of one token's vector, normed with accumulator `C`: the contract's "RMSNorm", then
/// [`router`].
///
/// # Errors
/// For shapes that the kernel is not made for.
pub fn norm_router<F: DevicePlain, C: Accumulation>(
    name: &'static str,
    cols: u32,
    experts: Experts,
    (eps, pdl): (f32, bool),
) -> Result<Launchable<NormRouterArgs>, CatalogueError> {
    let router = Router::new::<F>(name, cols, experts, 1)?;
    if !cols.is_multiple_of(8) {
        let (found, expected) = (cols.into(), "a multiple of 8");
        return Err(CatalogueError::Shape { kernel: name, dimension: "cols", found, expected });
    }
    let Experts { count, used } = experts;
    let entry = format!("norm_router_{}_{}_{count}x{cols}_{used}", F::TYPE.name().to_lowercase(), C::ACC);
    let names = ["w", "x", "norm", "logits", "counter", "status", "ids", "weights"];
    let kernel = kernel::<NormRouterArgs>(&entry, names, |k, (w, x, norm, logits, counter, status, ids, weights)| {
        let thread = k.thread_x();
        let vector: Shared<f32> = k.shared(cols);
        let ready = |k: &mut Body| {
            let threads = Threads { this: thread, count: THREADS };
            let source = Source::normed(k, &Normed { x, weights: norm, eps }, cols, threads, pdl);
            source.each::<C::Scalar>(k, |k, first, v| {
                let to = vector.at(first);
                to.store_vec(k, [v[0], v[1], v[2], v[3]]);
                to.plus(4).store_vec(k, [v[4], v[5], v[6], v[7]]);
            });
            k.barrier();
        };
        let to = Results { logits, counter, status, ids, weights };
        let one = (Val::from(0).copied(), Val::from(1).copied());
        router.write::<F, _>(k, thread, w, one, (ready, |_| vector), &to);
    });
    router.launch(name, kernel)
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
    status: Global<u64>,
    ids: Global<u32>,
    weights: Global<f32>,
}

impl Router {
    fn new<F: DevicePlain>(
        name: &'static str,
        cols: u32,
        experts: Experts,
        tokens: u32,
    ) -> Result<Router, CatalogueError> {
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
        Ok(Router { tile, grid, choice: Choice { experts: count, used, threads: THREADS } })
    }

    /// The logits of `here` tokens from `first` on, and, by the last block, their experts. `ready`
    /// is called before `vector` is read, which tells where a token's activations are.
    #[track_caller]
    fn write<F: DevicePlain, S: ReadSpace>(
        &self,
        k: &mut Body,
        thread: Val<u32>,
        w: ReadOnly<u8>,
        (first, here): (Val<u32>, Val<u32>),
        (ready, vector): (impl FnOnce(&mut Body), impl Fn(Val<u32>) -> Ptr<S, f32>),
        to: &Results,
    ) {
        let Choice { experts: count, used, .. } = self.choice;
        let first_row = k.block_x() * self.tile.rows;
        self.tile.products::<F, f64, S>(
            k,
            thread,
            |row| self.tile.row_at::<F>(w, first_row + row, count),
            vector,
            (here, ready),
            |k, row, token, logit| {
                let row = first_row + row;
                to.logits.at((first + token) * count + row).store_if(k, row.lt(count), logit);
            },
        );
        let counter = to.counter.at(k.block_y());
        let last = last_block(k, thread, counter, self.grid[0]);
        k.if_(last, |k| {
            self.tile.each_token(k, here, |k, token| {
                let token = first + token;
                let chosen = (to.ids.at(token * used), to.weights.at(token * used));
                self.choice.choose(k, thread, to.logits.at(token * count), chosen, |k, expert| {
                    to.status.atomic_min(k, expert.pack(token));
                });
            });
        });
    }

    fn launch<A>(&self, name: &'static str, kernel: Kernel<A>) -> Result<Launchable<A>, CatalogueError> {
        // A block to a multiprocessor: without saying so, ptxas spills to make room for more.
        let bounds = LaunchBounds { min_blocks: Some(1), ..kernel.bounds() };
        fits(name, Launchable::new(kernel.with_bounds(bounds), self.grid, THREADS))
    }
}
