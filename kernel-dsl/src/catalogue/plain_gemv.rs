//! `f32-gemv`, `f16-gemv`, `bf16-gemv`, `q8_0-gemv`: matrices without
//! superblocks times the vectors of a pass.

use ptxgen_builder::build::{Body, Global, In, InOut, Out, ReadOnly, Val};

use super::Experts;
use super::contents::Blocks;
use super::error::CatalogueError;
use super::limits::refuse_if;
use super::schedule::Shape;
use super::stage::{Block, Resources, Stage};
use crate::device::{DeviceFloat, DevicePlain, PlainTile, fresh, inputs_ready, pass, residual};
use crate::format::SUPERBLOCK;
use crate::precision::Accumulation;

/// The parameters: the matrix in its format, the vectors, [tokens, cols] f32,
/// the [pass](crate::device::pass), and the products, [tokens, rows] f32.
pub type PlainGemvArgs<F> = (In<Blocks<F>>, In<f32>, In<u32>, Out<f32>);

/// The same with the residual stream in place of the products, which are added to it.
pub type PlainGemvAddArgs<F> = (In<Blocks<F>>, In<f32>, In<u32>, InOut<f32>);

/// Threads of a block: so many that its groups of 16 have whole rows where rows are short enough, as they then read the
/// vector once for all their rows.
fn threads(cols: u32) -> u32 {
    let runs = cols.div_ceil(SUPERBLOCK as u32);
    let whole = |threads: &u32| (threads / 16).is_multiple_of(runs);
    (128..=512).step_by(32).find(whole).unwrap_or(128)
}

/// Checks a plain matrix and the number of vectors.
pub(super) fn check<F: DevicePlain>(kernel: &'static str, shape: Shape, tokens: u32) -> Result<(), CatalogueError> {
    refuse_if(shape.rows == 0 || shape.rows > 1 << 24, kernel, "rows", shape.rows, "1 to 16,777,216")?;
    let block = F::TYPE.block_len() as u32;
    let expected = if block == 1 { "1 to 32,768" } else { "a multiple of 32, from 32 to 32,768" };
    let impossible = shape.cols == 0 || !shape.cols.is_multiple_of(block) || shape.cols > 1 << 15;
    refuse_if(impossible, kernel, "cols", shape.cols, expected)?;
    refuse_if(tokens == 0 || tokens > 64, kernel, "tokens", tokens, "1 to 64")
}

/// `y[t] = W x[t]` for the tokens of a pass: the contract's "Other tensor types".
/// `pdl`: see [`How`](super::How).
///
/// # Errors
/// For shapes that the kernel does not support.
pub fn plain_gemv<F: DevicePlain, C: Accumulation>(
    name: &'static str,
    shape: Shape,
    tokens: u32,
    pdl: bool,
) -> Result<Stage<PlainGemvArgs<F>>, CatalogueError> {
    check::<F>(name, shape, tokens)?;
    let tile = PlainTile::new(shape.cols, tokens, threads(shape.cols)).of_rows::<F>(shape.rows);
    let entry = entry::<C>(name, shape, tokens);
    let names = ["w", "x", "state", "y"];
    Stage::<PlainGemvArgs<F>>::new(
        name,
        (&entry, names),
        resources(&tile, shape, 1),
        move |k, (w, x, state, y), block| {
            // The load of the number of tokens is issued before anything else.
            let early = tokens > 1;
            inputs_ready(k, pdl && early);
            let here = pass::tokens(k, fresh(state), tokens);
            let rest = (here, |k: &Body| inputs_ready(k, pdl && !early));
            multiply::<F, C>(k, (&tile, shape, block), (w, fresh(x)), rest, |k, at, product| {
                y.at(at).store(k, product)
            });
        },
    )
}

/// `stream[t] += W x[t]`, the sum in f32 after the product's rounding.
/// `pdl`: see [`How`](super::How).
///
/// # Errors
/// For shapes that the kernel does not support.
pub fn plain_gemv_add<F: DevicePlain, C: Accumulation>(
    name: &'static str,
    shape: Shape,
    tokens: u32,
    pdl: bool,
) -> Result<Stage<PlainGemvAddArgs<F>>, CatalogueError> {
    check::<F>(name, shape, tokens)?;
    let tile = PlainTile::new(shape.cols, tokens, threads(shape.cols)).of_rows::<F>(shape.rows);
    let entry = entry::<C>(name, shape, tokens);
    let names = ["w", "x", "state", "stream"];
    Stage::<PlainGemvAddArgs<F>>::new(
        name,
        (&entry, names),
        resources(&tile, shape, 1),
        move |k, (w, x, state, stream), block| {
            // The load of the number of tokens is issued before anything else.
            let early = tokens > 1;
            inputs_ready(k, pdl && early);
            let here = pass::tokens(k, fresh(state), tokens);
            let rest = (here, |k: &Body| inputs_ready(k, pdl && !early));
            multiply::<F, C>(k, (&tile, shape, block), (w, fresh(x)), rest, |k, at, product| {
                let stream = stream.at(at);
                let before = stream.load(k);
                stream.store(k, residual::<C::Scalar>(before, product));
            });
        },
    )
}

/// Which of a pass's vectors a (token, rank) pair multiplies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PairVector {
    /// The token's: [tokens, cols].
    Token,
    /// Its own: [tokens, used, cols].
    Pair,
}

/// The parameters: the experts' matrices one after the other, the vectors, the
/// experts' ids, [tokens, used], the [pass](crate::device::pass), and the
/// products, [tokens, used, rows] f32.
pub type PlainExpertsArgs<F> = (In<Blocks<F>>, In<f32>, In<u32>, In<u32>, Out<f32>);

/// `y[t, k] = W_e x` for the experts `e = ids[t, k]` of the tokens of a pass.
///
/// # Errors
/// For shapes that the kernel does not support.
pub fn plain_experts<F: DevicePlain, C: Accumulation>(
    name: &'static str,
    shape: Shape,
    experts: Experts,
    vector: PairVector,
    tokens: u32,
) -> Result<Stage<PlainExpertsArgs<F>>, CatalogueError> {
    check::<F>(name, shape, tokens)?;
    let Experts { count, used } = experts;
    let impossible = count == 0 || u64::from(count) * u64::from(shape.rows) > 1 << 31;
    refuse_if(impossible, name, "experts", count, "1 or more, and at most 2^31 rows in all")?;
    experts.check(name)?;
    let tile = PlainTile::new(shape.cols, 1, threads(shape.cols)).of_rows::<F>(shape.rows);
    let entry = format!("{}_{used}of{count}", entry::<C>(name, shape, tokens));
    let names = ["w", "x", "ids", "state", "y"];
    let resources = resources(&tile, shape, tokens * used);
    Stage::<PlainExpertsArgs<F>>::new(name, (&entry, names), resources, move |k, (w, x, ids, state, y), block| {
        let pair = block.y(k);
        let here = pass::tokens(k, state, tokens) * used;
        k.if_(pair.lt(here), |k| {
            let expert = ids.at(pair).load(k);
            let matrix = ReadOnly::from_address((expert * shape.rows).mad_wide(F::row_bytes(shape.cols), w.address()));
            let which = match vector {
                PairVector::Token => pair / used,
                PairVector::Pair => pair,
            };
            let vector = fresh(x).at(which * shape.cols);
            let one = (Val::from(1).copied(), |_: &Body| {});
            multiply::<F, C>(k, (&tile, shape, block), (matrix, vector), one, |k, row, product| {
                y.at(pair * shape.rows + row).store(k, product);
            });
        });
    })
}

fn entry<C: Accumulation>(name: &str, shape: Shape, tokens: u32) -> String {
    format!("{}_{}_{}x{}_{tokens}", name.replace('-', "_"), C::ACC, shape.rows, shape.cols)
}

/// `count` times the tiles of the rows.
fn resources(tile: &PlainTile, shape: Shape, count: u32) -> Resources {
    Resources::new([shape.rows.div_ceil(tile.rows), count, 1], tile.threads)
}

/// Calls `store` with the place of each product in [tokens, rows], and the
/// product, rounded.
#[track_caller]
fn multiply<F: DevicePlain, C: Accumulation>(
    k: &Body,
    (tile, shape, block): (&PlainTile, Shape, Block),
    (w, x): (ReadOnly<u8>, Global<f32>),
    tokens: (Val<u32>, impl Fn(&Body)),
    store: impl Fn(&Body, Val<u32>, Val<f32>),
) {
    let thread = k.thread_x();
    let first = block.x(k) * tile.rows;
    tile.products::<F, C::Scalar, _>(
        k,
        thread,
        |row| tile.row_at::<F>(w, first + row, shape.rows),
        |token| x.at(token * shape.cols),
        tokens,
        |k, row, token, product| {
            let row = first + row;
            let product = DeviceFloat::narrow(product);
            k.if_(row.lt(shape.rows), |k| store(k, token * shape.rows + row, product));
        },
    );
}
