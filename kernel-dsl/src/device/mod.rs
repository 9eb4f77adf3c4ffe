//! Device functions: pieces of kernels as Rust functions over the builder.
//!
//! Each writes one step of the numerics contract; kernels of the
//! [catalogue](crate::catalogue) compose them, and fused kernels compose
//! several. Nothing is written twice to be fused.

mod activation;
mod attend;
mod combine;
mod exp;
mod float;
mod head;
mod kv;
mod norm;
mod quantize;
mod row;
mod silu;
mod stage;
mod tiles;
mod tree;

pub use activation::{DeviceActivation, Q8KVector, StagedF32, Threads};
pub(crate) use attend::divisor;
pub use attend::{ChunkAt, ChunkPlan, ChunkShared, PartialAt};
pub use combine::{Chunks, sum_parts};
pub use exp::DeviceExp;
pub use float::DeviceFloat;
pub use head::{HeadGroup, HeadLanes, Turn};
pub use kv::DeviceKv;
pub use norm::{Eights, chain4, inverse_rms};
pub use quantize::{Q8KShare, quantize_lanes_q8k, quantize_q8k};
pub use row::{BlockAt, DeviceFormat, Group, IntegerSums, LaneGroups, row_sums};
pub use silu::{swiglu_approx, swiglu_exact};
pub use stage::{CopyMode, StagedTile, TileSource};
pub use tiles::stream_tiles;
pub use tree::{butterfly, butterfly_int, butterfly_many, row_tree};
