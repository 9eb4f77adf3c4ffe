//! The values of a forward, stage by stage.

mod data;
mod stage;
mod tap;

pub use data::{Fault, Tensor, TraceData, TraceMeta, Values};
pub use stage::{Kind, Scope, Stage, UnknownStage};
pub use tap::{Block, Slice, Tap};
