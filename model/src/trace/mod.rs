//! The values of a forward, stage by stage.
//!
//! A traced run is the real run: the CPU's batches and the device's passes; the trace reads the buffers between their
//! stages ([`Tap`]). [`Recorder`] adds the stages that fused kernels do not write.

mod collect;
mod complete;
mod data;
mod error;
mod names;
mod read;
mod record;
mod select;
mod stats;
mod tap;
mod write;

pub use crate::graph::{Stage, UnknownStage};
pub use collect::Collect;
pub use data::{Fault, Tensor, TraceData, TraceMeta, Values};
pub use error::TraceError;
pub use read::TraceFile;
pub use record::Recorder;
pub use select::{Layers, Positions, SelectError, Selected, Selection, Stages};
pub(crate) use stats::{Gather, live};
pub use stats::{GatherStages, Histogram, Statistics};
pub use tap::{Block, Slice, Tap};
pub use write::TraceWriter;
