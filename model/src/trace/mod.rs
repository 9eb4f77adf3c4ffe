//! The values of a forward, stage by stage.

mod data;
mod layer;
mod stage;

pub use data::{Fault, Tensor, TraceData, TraceMeta, Values};
pub use layer::{LayerTrace, Trace};
pub use stage::{Kind, Scope, Stage, UnknownStage};
