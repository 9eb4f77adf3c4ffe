//! Device functions: pieces of kernels as Rust functions over the builder.
//!
//! Each writes one step of the numerics contract; kernels of the
//! [catalogue](crate::catalogue) compose them, and fused kernels compose
//! several. Nothing is written twice to be fused.

mod activation;
mod argmax;
mod attend;
mod combine;
mod dependent;
mod exp;
mod float;
mod group;
mod head;
mod kv;
mod last_block;
mod newest;
mod norm;
pub mod pass;
mod plain;
mod quantize;
mod residual;
mod route;
mod row;
mod sample;
mod silu;
mod source;
mod stage;
mod tiles;
mod tree;

pub use activation::{DeviceActivation, F32Vector, MadeAt, Planar, Q8KVector, Threads};
pub use argmax::{argmax_index, argmax_key, block_max};
pub(crate) use attend::divisor;
pub use attend::{ChunkAt, ChunkPlan, ChunkShared, PartialAt};
pub use combine::{Chunks, sum_parts};
pub use dependent::{fresh, inputs_ready};
pub use exp::DeviceExp;
pub use float::DeviceFloat;
pub use group::expert_pairs;
pub use head::{HeadGroup, HeadLanes, Turn};
pub use kv::DeviceKv;
pub use last_block::last_block;
pub use newest::{Newest, QkvAt};
pub use norm::{Eights, chain4, inverse_rms};
pub use plain::{DevicePlain, GroupAt, PlainTile};
pub use quantize::{Q8KAt, Q8KShare, quantize_lanes_q8k, quantize_q8k};
pub use residual::residual;
pub use route::{Choice, ChoiceRoom, Chosen};
pub use row::{BlockAt, DeviceFormat, Group, IntegerSums, LaneGroups, RowVector, row_sums};
pub use sample::{Lists, Measure, block_sums, key_logit, sample_weight, sort_keys};
pub use silu::{swiglu_approx, swiglu_exact};
pub use source::{Normed, Source};
pub use stage::{CopyMode, StagedTile, TileSource};
pub use tiles::TileStream;
pub use tree::{butterfly, butterfly_int, butterfly_many, row_tree};
