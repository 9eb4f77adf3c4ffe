//! `rows-norm-rope` and `rows-attention`: heads and attention of rows of several sequences, whose keys and values lie in
//! pages.

use ptxgen_builder::build::{Body, In, InOut, Out, Val};

use super::attention::{AttentionSchedule, AttentionShape, attend_to};
use super::contents::{Cache, Partial, Table};
use super::error::CatalogueError;
use super::limits::refuse_if;
use super::qk_rope::{Heads, head_of};
use super::stage::{Resources, Stage};
use crate::device::rows::PagedRow;
use crate::device::{ChunkAt, DeviceKv, pass};
use crate::precision::Accumulation;
use crate::reference::CHUNK;

/// The heads of a layer, and the pages of its cache.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PagedShape {
    /// Heads, positions of a sequence at most, and rows of a pass at most.
    pub heads: AttentionShape,
    /// Sequences, each with a table of pages.
    pub sequences: u32,
    /// Pages of 64 positions.
    pub pages: u32,
}

impl PagedShape {
    /// Elements of a layer's keys, or of its values.
    pub fn cache(&self) -> u64 {
        let AttentionShape { kv_heads, head_dim, .. } = self.heads;
        u64::from(self.pages) * u64::from(kv_heads) * u64::from(CHUNK as u32 * head_dim)
    }

    /// Words of all tables: for each sequence the page of each chunk.
    pub fn tables(&self) -> u64 {
        u64::from(self.sequences) * u64::from(self.heads.chunks())
    }

    fn text(&self) -> String {
        format!("{}_{}_{}", self.heads.text(), self.sequences, self.pages)
    }

    fn check(&self, kernel: &'static str) -> Result<(), CatalogueError> {
        self.heads.check(kernel)?;
        // Indices are 32 bits wide.
        let most = u64::from(u32::MAX);
        let expected = "1 or more, with pages * kv-heads * 64 * head-dim below 2^32";
        refuse_if(self.pages == 0 || self.cache() > most, kernel, "pages", self.pages, expected)?;
        let expected = "1 or more, with sequences * positions / 64 below 2^32";
        refuse_if(self.sequences == 0 || self.tables() > most, kernel, "sequences", self.sequences, expected)
    }
}

/// The parameters: those of [`QkRopeArgs`](super::QkRopeArgs) with the [rows](crate::device::rows) of the pass and the
/// tables after the state, which says only how many rows there are. Keys and values are [pages, kv_heads, 64, head_dim].
pub type RowsRopeArgs<E> =
    (In<f32>, In<Table>, In<Table>, In<Table>, In<u32>, In<u32>, In<u32>, Out<f32>, InOut<Cache<E>>, InOut<Cache<E>>);

/// [`qk_norm_rope`](super::qk_norm_rope) for rows of several sequences. Numbers in rows and tables are below those of the
/// shape; a row beyond the positions of a sequence is left alone.
///
/// # Errors
/// For shapes that the kernel does not support.
pub fn rows_norm_rope<E: DeviceKv, C: Accumulation>(
    name: &'static str,
    shape: PagedShape,
    eps: f32,
) -> Result<Stage<RowsRopeArgs<E>>, CatalogueError> {
    shape.check(name)?;
    let AttentionShape { kv_heads, head_dim, .. } = shape.heads;
    let chunks = shape.heads.chunks();
    let entry = format!("rows_norm_rope_{}_{}_{}", E::NAME, C::ACC, shape.text());
    let names = ["qkv", "q_norm", "k_norm", "rope", "state", "rows", "tables", "q", "keys", "values"];
    let resources = Heads::<E>::resources(shape.heads).with_blocks(1);
    Stage::<RowsRopeArgs<E>>::new(name, (&entry, names), resources, move |k, args, block| {
        let (qkv, q_norm, k_norm, rope, state, rows, tables, q, keys, values) = args;
        let (thread, index) = (k.thread_x(), block.y(k));
        let warp = head_of(k, thread, block);
        let row = PagedRow::new(k, rows, (tables, chunks), index);
        let place = |k: &Body, kv_head: Val<u32>| {
            let chunk = row.chunk(k, row.position >> CHUNK.trailing_zeros(), kv_head, (kv_heads, head_dim));
            chunk + (row.position & (CHUNK as u32 - 1)) * head_dim
        };
        let heads = Heads { qkv, q_norm, k_norm, rope, q, keys, values, shape: shape.heads, eps };
        heads.turn::<C>(k, (warp, index), (state, row.position), place);
    })
}

/// The parameters: those of [`AttentionArgs`](super::AttentionArgs) with the rows of the pass and the tables after the
/// state, as [`RowsRopeArgs`] has them.
pub type RowsAttentionArgs<E, A> =
    (In<f32>, In<Cache<E>>, In<Cache<E>>, In<u32>, In<u32>, In<u32>, Out<Partial<A>>, Out<Partial<A>>);

/// [`attention`](super::attention()) for rows of several sequences: each row sees its own up to its position.
///
/// # Errors
/// For shapes and schedules that the kernel does not support.
pub fn rows_attention<E: DeviceKv, C: Accumulation>(
    name: &'static str,
    shape: PagedShape,
    schedule: AttentionSchedule,
) -> Result<Stage<RowsAttentionArgs<E, C::Scalar>>, CatalogueError> {
    shape.check(name)?;
    shape.heads.check_chunks(name)?;
    schedule.check(name)?;
    let AttentionShape { heads, kv_heads, head_dim, positions, tokens } = shape.heads;
    let (sharing, chunks) = (heads / kv_heads, shape.heads.chunks());
    let plan = schedule.plan::<E, C::Scalar>(sharing, head_dim);
    let splits = schedule.splits.min(chunks);
    let entry = format!("rows_attention_{}_{}_{}", E::NAME, C::ACC, shape.text());
    let names = ["q", "keys", "values", "state", "rows", "tables", "sums", "outputs"];
    let resources = Resources::new([splits, heads / plan.heads, tokens], plan.threads()).with_blocks(1);
    Stage::<RowsAttentionArgs<E, C::Scalar>>::new(name, (&entry, names), resources, move |k, args, block| {
        let (q, keys, values, state, rows, tables, sums, outputs) = args;
        let (thread, split, index) = (k.thread_x(), block.x(k), block.z(k));
        let head = block.y(k) * plan.heads;
        let kv_head = if sharing == plan.heads { block.y(k) } else { head / sharing };
        let shared = plan.shared::<C::Scalar>(k);
        let row = PagedRow::new(k, rows, (tables, chunks), index);
        let seen = (row.position + 1).min(positions);
        let end = (seen + (CHUNK as u32 - 1)) >> CHUNK.trailing_zeros();
        k.if_(index.lt(pass::tokens(k, state, tokens)), |k| {
            k.for_(split, end, splits, |k, chunk, _| {
                let place = row.chunk(k, chunk, kv_head, (kv_heads, head_dim));
                let count = (seen - chunk * CHUNK as u32).min(CHUNK as u32);
                plan.reuse(k, chunks > splits);
                let at = ChunkAt { keys: keys.at(place), values: values.at(place), count, newest: None };
                let to = (q, sums, outputs);
                attend_to(k, &plan, &shared, &at, to, (index * heads + head, chunk, chunks), thread);
            });
        });
    })
}
