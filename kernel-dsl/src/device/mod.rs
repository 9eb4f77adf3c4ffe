//! Device functions: pieces of kernels as Rust functions over the builder.
//!
//! Each writes one step of the numerics contract; kernels of the
//! [catalogue](crate::catalogue) compose them, and fused kernels compose
//! several. Nothing is written twice to be fused.
//!
//! Those that are useful alone are public, for users' kernels, and so are the traits
//! that the catalogue's kernels are generic over. These are implemented by this
//! crate's formats and types, not by others. Arguments are the body, what is
//! worked on, then the place of the thread or lane.

mod activation;
mod argmax;
mod attend;
mod combine;
mod dependent;
mod exp;
mod fields;
mod float;
mod fragment;
mod grid;
mod grid_wait;
mod group;
mod head;
mod integers;
mod kv;
mod lanes;
mod last_block;
mod newest;
mod nibbles;
mod norm;
pub mod pass;
mod plain;
mod plain_pairs;
mod quantize;
mod residual;
mod route;
mod row;
mod row_sums;
pub mod rows;
mod sample;
mod silu;
mod source;
mod stage;
mod threads;
mod tiles;
mod tree;
mod tree_stack;

pub use activation::DeviceActivation;
pub(crate) use activation::MadeAt;
pub use argmax::{argmax_index, argmax_key, block_max};
pub(crate) use attend::{ChunkAt, ChunkPlan, ChunkShared, Newest, PartialAt, divisor};
pub(crate) use combine::{Chunks, sum_parts};
pub(crate) use dependent::{fresh, inputs_ready};
pub use exp::DeviceExp;
pub(crate) use fields::{
    TOPS, Unaligned, byte, byte_of, bytes_less, half, merge, rotate_left, sixteen_values, two_bytes, two_halves, words,
};
pub use float::DeviceFloat;
pub use fragment::FragmentFormat;
pub(crate) use fragment::{Chunk, ChunkScales};
pub use grid::Points;
pub(crate) use grid::{Grid, Signs, both, even_masks, stage, staged};
pub use grid_wait::grid_wait;
pub(crate) use group::expert_pairs;
pub(crate) use head::{HeadLanes, Turn};
pub use integers::{Coded, DeviceIntegers};
pub(crate) use integers::{Factors, LaneIntegers, Reading, Scales, Share, dot_of, packed, reading, scaled};
pub use kv::DeviceKv;
pub(crate) use kv::four_elements;
pub use lanes::{Halves, LaneOrder, Runs};
pub use last_block::last_block;
pub(crate) use newest::QkvAt;
pub(crate) use norm::{Eights, chain4};
pub use plain::DevicePlain;
pub(crate) use plain::{GroupAt, PlainTile};
pub(crate) use plain_pairs::PlainPairs;
pub use quantize::quantize_q8k;
pub(crate) use quantize::{Q8KAt, Q8KShare, quantize_lanes_q8k};
pub(crate) use residual::residual;
pub(crate) use route::{Choice, Chosen};
pub use row::DeviceFormat;
pub(crate) use row::{BlockAt, Group, IntegerSums, LaneGroups};
pub(crate) use row_sums::{RowVector, row_sums};
pub(crate) use sample::{Lists, Measure, key_logit, sample_weight};
pub use sample::{block_prefix_sums, sort_keys};
pub use silu::{swiglu_approx, swiglu_exact};
pub(crate) use source::{Normed, Source};
pub(crate) use stage::{CopyMode, StagedTile, TileSource};
pub(crate) use threads::Threads;
pub(crate) use tiles::TileStream;
pub(crate) use tree::Growing;
pub use tree::{butterfly, butterfly_int, butterfly_many, row_tree};
pub(crate) use tree_stack::TreeStack;
