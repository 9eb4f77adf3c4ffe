//! `attention-combine` and `attention-combine-q8k`: the chunks of every head
//! put together.

use ptxgen_builder::build::{Body, Global, In, Out, ReadOnly, Val};

use super::attention::AttentionShape;
use super::contents::{Partial, Vector};
use super::error::CatalogueError;
use super::limits::refuse_if;
use super::stage::{Block, Resources, Stage};
use crate::device::{Chunks, DeviceFloat, Q8KAt, pass, quantize_lanes_q8k, rows, sum_parts};
use crate::format::{Q8KPlanar, SUPERBLOCK};
use crate::precision::{Accumulation, ActQ8K};
use crate::reference::CHUNK;

/// The parameters: the sums and outputs of [`attention`](super::attention),
/// its state, and the result, [tokens, heads, head_dim] f32.
pub type CombineArgs<A> = (In<Partial<A>>, In<Partial<A>>, In<u32>, Out<f32>);

/// The same, and the result of each token as a [`Q8KPlanar`] vector.
pub type CombineQ8KArgs<A> = (In<Partial<A>>, In<Partial<A>>, In<u32>, Out<f32>, Out<Vector<ActQ8K>>);

/// The parameters: those of [`CombineArgs`] with the [rows](crate::device::rows) of the pass after the state, which says
/// only how many there are.
pub type RowsCombineArgs<A> = (In<Partial<A>>, In<Partial<A>>, In<u32>, In<u32>, Out<f32>);

/// The same, and the results as [`Q8KPlanar`] vectors.
pub type RowsCombineQ8KArgs<A> = (In<Partial<A>>, In<Partial<A>>, In<u32>, In<u32>, Out<f32>, Out<Vector<ActQ8K>>);

/// Sums and outputs of chunks, and the pass.
type Parts<A> = (ReadOnly<A>, ReadOnly<A>, ReadOnly<u32>);

/// Neighbouring outputs of a token that a block of threads puts together.
#[derive(Clone, Copy, Debug)]
struct Piece {
    shape: AttentionShape,
    /// Outputs: a head, or a superblock.
    width: u32,
    /// Threads that have one output each, and how many share its chunks.
    columns: u32,
    parts: u32,
    /// Chunks whose terms a thread adds at once.
    run: u32,
}

/// A thread's output.
#[derive(Clone, Copy)]
struct Output {
    value: Val<f32>,
    /// Its place in the piece; the threads of part 0 below the width have one
    /// of their own.
    column: Val<u32>,
    part: Val<u32>,
}

impl Piece {
    fn new(shape: AttentionShape, width: u32) -> Piece {
        let columns = width.next_multiple_of(32);
        let chunks = shape.chunks().next_power_of_two();
        // As many loads in flight as the registers of this many threads can hold.
        let run = chunks.min(if columns > 128 { 16 } else { 32 });
        let parts = (1 << (1024 / columns).ilog2()).min(4).min(chunks.div_ceil(run));
        Piece { shape, width, columns, parts, run }
    }

    fn threads(&self) -> u32 {
        self.columns * self.parts
    }

    /// Heads that a piece may have a part of.
    fn heads(&self) -> u32 {
        let of = self.shape.head_dim;
        if self.width.is_multiple_of(of) { self.width / of } else { (self.width - 1) / of + 2 }
    }

    fn resources(&self) -> Resources {
        let pieces = self.shape.heads * self.shape.head_dim / self.width;
        Resources::new([pieces, self.shape.tokens, 1], self.threads())
    }

    /// The thread's output of the block's piece, for the tokens of the pass:
    /// goes on with it in `then`.
    #[track_caller]
    fn combine<C: Accumulation>(
        &self,
        k: &Body,
        block: Block,
        (sums, outputs, state): Parts<C::Scalar>,
        position: Position<'_>,
        then: impl Fn(&Body, Output),
    ) {
        let AttentionShape { heads, head_dim, positions, tokens, .. } = self.shape;
        let most = self.shape.chunks();
        let (thread, token) = (k.thread_x(), block.y(k));
        let factors = k.shared::<C::Scalar>(self.heads() * most);
        let terms = k.shared::<C::Scalar>(self.heads() * most);
        let totals = k.shared::<C::Scalar>(self.heads());
        let room = k.shared::<C::Scalar>(self.threads());
        let piece = block.x(k) * self.width;
        let first_head = piece / head_dim;
        let last = position(k, token).min(positions - 1);
        let chunks = Chunks { count: (last >> CHUNK.trailing_zeros()) + 1, most, run: self.run };
        let body = |k: &Body| {
            let (lane, warp) = (thread & 31, thread >> 5);
            let warps = self.threads() / 32;
            let (column, part) = match self.parts {
                1 => (thread, Val::from(0)),
                _ => (thread % self.columns, thread / self.columns),
            };
            let own = if self.columns == self.width { column } else { column.min(self.width - 1) };
            let element = piece + own;
            let head = element / head_dim;
            let local = head - first_head;
            let row = (token * heads + head) * most;
            let at = outputs.at(row * head_dim + (element - head * head_dim));
            let parts = (part, self.parts);
            let sum = chunks.weighted(k, (at, head_dim), parts, |k| {
                for first in (0..self.heads()).step_by(warps as usize) {
                    let local = warp + first;
                    let one = |k: &Body| {
                        // Behind the last head there is nothing to use.
                        let head = (first_head + local).min(heads - 1);
                        let row = (token * heads + head) * most;
                        let place = local * most;
                        let shared = (factors.at(place), terms.at(place));
                        let total = chunks.factors_and_sum(k, sums.at(row * 2), shared, lane);
                        totals.at(local).store_if(k, lane.eq(0), total);
                    };
                    if self.heads() - first < warps { k.if_(local.lt(self.heads()), one) } else { one(k) }
                }
                k.barrier();
                factors.at(local * most)
            });
            let sum = sum_parts(k, sum, room, parts, (column, self.columns));
            let total = totals.at(local).load(k);
            let value = C::Scalar::narrow(C::Scalar::quotient(sum, total));
            then(k, Output { value, column, part });
        };
        if tokens == 1 {
            body(k);
        } else {
            let count = pass::tokens(k, state, tokens);
            k.if_(token.lt(count), body);
        }
    }
}

/// Where a row of a pass is in its sequence.
type Position<'a> = &'a dyn Fn(&Body, Val<u32>) -> Val<u32>;

/// The position of each token of a pass of one sequence.
fn of_pass(state: ReadOnly<u32>) -> impl Fn(&Body, Val<u32>) -> Val<u32> {
    move |k, token| pass::position(k, state) + token
}

/// The position of each row of a pass of several.
fn of_rows(at: ReadOnly<u32>) -> impl Fn(&Body, Val<u32>) -> Val<u32> {
    move |k, row| rows::position(k, at, row)
}

/// A block's part of [`attention_combine`].
#[track_caller]
fn plain<C: Accumulation>(
    k: &Body,
    (piece, block): (&Piece, Block),
    parts: Parts<C::Scalar>,
    position: Position<'_>,
    y: Global<f32>,
) {
    let at = y.at((block.y(k) * piece.shape.heads + block.x(k)) * piece.shape.head_dim);
    piece.combine::<C>(k, block, parts, position, |k, output| {
        store(k, piece, at, output);
    });
}

/// A block's part of [`attention_combine_q8k`].
#[track_caller]
fn rounded<C: Accumulation>(
    k: &Body,
    (piece, place): (&Piece, Block),
    parts: Parts<C::Scalar>,
    position: Position<'_>,
    (y, q): (Global<f32>, Global<u8>),
) {
    let cols = piece.shape.heads * piece.shape.head_dim;
    let layout = Q8KPlanar::new(cols as usize);
    let (block, token) = (place.x(k), place.y(k));
    let at = y.at(token * cols + block * SUPERBLOCK as u32);
    let q = Q8KAt::planar(&layout, q.byte_at(token * layout.bytes() as u32));
    let values = k.shared::<f32>(SUPERBLOCK as u32);
    piece.combine::<C>(k, place, parts, position, |k, output| {
        store(k, piece, at, output);
        values.at(output.column).store_if(k, output.part.eq(0), output.value);
        k.barrier();
        let lane = k.thread_x();
        k.if_(lane.lt(32), |k| {
            let eight = values.at(lane * 8);
            let (a, b): ([_; 4], [_; 4]) = (eight.load_vec(k), eight.plus(4).load_vec(k));
            let eight = std::array::from_fn(|i| if i < 4 { a[i] } else { b[i - 4] });
            quantize_lanes_q8k(k, eight, &q, block, lane);
        });
    });
}

/// A piece that is a superblock.
fn superblock(name: &'static str, shape: AttentionShape) -> Result<Piece, CatalogueError> {
    shape.check_chunks(name)?;
    let cols = shape.heads * shape.head_dim;
    refuse_if(!cols.is_multiple_of(SUPERBLOCK as u32), name, "heads * head-dim", cols, "a multiple of 256")?;
    Ok(Piece::new(shape, SUPERBLOCK as u32))
}

/// The contract's "Attention" across chunks for the tokens of a pass, a block
/// of threads to a head.
///
/// # Errors
/// For shapes that the kernel does not support.
pub fn attention_combine<C: Accumulation>(
    name: &'static str,
    shape: AttentionShape,
) -> Result<Stage<CombineArgs<C::Scalar>>, CatalogueError> {
    shape.check_chunks(name)?;
    let piece = Piece::new(shape, shape.head_dim);
    let entry = format!("attention_combine_{}_{}", C::ACC, shape.text());
    let names = ["sums", "outputs", "state", "y"];
    Stage::<CombineArgs<C::Scalar>>::new(
        name,
        (&entry, names),
        piece.resources(),
        move |k, (sums, outputs, state, y), block| {
            plain::<C>(k, (&piece, block), (sums, outputs, state), &of_pass(state), y);
        },
    )
}

/// [`attention_combine`], with the result also rounded to Q8_K in the same
/// launch, a block of threads to a superblock.
///
/// # Errors
/// If `heads * head_dim` is not a multiple of 256, and as above.
pub fn attention_combine_q8k<C: Accumulation>(
    name: &'static str,
    shape: AttentionShape,
) -> Result<Stage<CombineQ8KArgs<C::Scalar>>, CatalogueError> {
    let piece = superblock(name, shape)?;
    let entry = format!("attention_combine_q8k_{}_{}", C::ACC, shape.text());
    let names = ["sums", "outputs", "state", "y", "y_q8k"];
    Stage::<CombineQ8KArgs<C::Scalar>>::new(
        name,
        (&entry, names),
        piece.resources(),
        move |k, (sums, outputs, state, y, q), block| {
            rounded::<C>(k, (&piece, block), (sums, outputs, state), &of_pass(state), (y, q));
        },
    )
}

/// [`attention_combine`] for [rows](crate::device::rows) of several sequences.
///
/// # Errors
/// For shapes that the kernel does not support.
pub fn rows_combine<C: Accumulation>(
    name: &'static str,
    shape: AttentionShape,
) -> Result<Stage<RowsCombineArgs<C::Scalar>>, CatalogueError> {
    shape.check_chunks(name)?;
    let piece = Piece::new(shape, shape.head_dim);
    let entry = format!("rows_combine_{}_{}", C::ACC, shape.text());
    let names = ["sums", "outputs", "state", "rows", "y"];
    Stage::<RowsCombineArgs<C::Scalar>>::new(
        name,
        (&entry, names),
        piece.resources(),
        move |k, (sums, outputs, state, rows, y), block| {
            plain::<C>(k, (&piece, block), (sums, outputs, state), &of_rows(rows), y);
        },
    )
}

/// [`attention_combine_q8k`] for [rows](crate::device::rows) of several sequences.
///
/// # Errors
/// If `heads * head_dim` is not a multiple of 256, and as above.
pub fn rows_combine_q8k<C: Accumulation>(
    name: &'static str,
    shape: AttentionShape,
) -> Result<Stage<RowsCombineQ8KArgs<C::Scalar>>, CatalogueError> {
    let piece = superblock(name, shape)?;
    let entry = format!("rows_combine_q8k_{}_{}", C::ACC, shape.text());
    let names = ["sums", "outputs", "state", "rows", "y", "y_q8k"];
    Stage::<RowsCombineQ8KArgs<C::Scalar>>::new(
        name,
        (&entry, names),
        piece.resources(),
        move |k, (sums, outputs, state, rows, y, q), block| {
            rounded::<C>(k, (&piece, block), (sums, outputs, state), &of_rows(rows), (y, q));
        },
    )
}

/// Stores an output, from the thread that has it.
#[track_caller]
fn store(k: &Body, piece: &Piece, at: Global<f32>, output: Output) {
    let owns = output.part.eq(0) & output.column.lt(piece.width);
    at.at(output.column).store_if(k, owns, output.value);
}
