//! A trace in memory.

use super::Stage;
use crate::kv::KvType;
use indexmap::IndexMap;
use ptxgen_dsl::precision::Policy;
use serde::Serialize;

/// A tensor's elements, in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Binary32; narrower types in a file are widened to it.
    F32(Vec<f32>),
    /// Binary64.
    F64(Vec<f64>),
    /// Ids.
    U32(Vec<u32>),
}

impl Values {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(v) => v.len(),
            Self::F64(v) => v.len(),
            Self::U32(v) => v.len(),
        }
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends elements of the same type.
    pub(super) fn append(&mut self, more: Self) {
        match (self, more) {
            (Self::F32(a), Self::F32(b)) => a.extend(b),
            (Self::F64(a), Self::F64(b)) => a.extend(b),
            (Self::U32(a), Self::U32(b)) => a.extend(b),
            (a, b) => unreachable!("{b:?} after {a:?}"),
        }
    }

    /// An element as f64, which is exact.
    ///
    /// # Panics
    /// If there is no such element.
    pub fn at(&self, i: usize) -> f64 {
        match self {
            Self::F32(v) => f64::from(v[i]),
            Self::F64(v) => v[i],
            Self::U32(v) => f64::from(v[i]),
        }
    }
}

/// The values of one stage, in one layer or outside the layers.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// `[positions, ..]`, then [`Stage::dims`].
    pub shape: Vec<usize>,
    /// The values.
    pub values: Values,
}

impl Tensor {
    /// Elements of one position.
    pub fn width(&self) -> usize {
        self.shape[1..].iter().product()
    }
}

/// A recorded value that does not follow from the recorded values before it: the device violates the contract there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fault {
    /// The stage that was recorded.
    pub stage: Stage,
    /// Its layer.
    pub layer: Option<usize>,
    /// The first position at which it differs.
    pub position: usize,
    /// The index of the first different value at that position.
    pub index: usize,
    /// The recorded value.
    pub recorded: f64,
    /// The value derived from the recorded values before it.
    pub expected: f64,
    /// Number of values that differ.
    pub differing: usize,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { stage, position, index, recorded, expected, differing, .. } = self;
        if let Some(layer) = self.layer {
            write!(f, "layer {layer}: ")?;
        }
        write!(
            f,
            "{stage} at position {position}, value {index}, is {recorded:e}, but {expected:e} follows from the values \
             before it ({differing} such value{})",
            if *differing == 1 { "" } else { "s" }
        )
    }
}

/// Information about a trace. A trace of another program may have little of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TraceMeta {
    /// The model's name: the file's name as given.
    pub model: Option<String>,
    /// SHA-256 of the model's file, in hexadecimal.
    pub model_sha256: Option<String>,
    /// The numeric policy.
    pub policy: Option<Policy>,
    /// The KV cache's type.
    pub kv: Option<KvType>,
    /// The device, in a few words for messages.
    pub device: Option<String>,
    /// The version that recorded it.
    pub version: Option<String>,
    /// The input tokens, from position 0 on.
    pub tokens: Option<Vec<u32>>,
    /// Stages that the device did not write and that were derived from written ones, by the same contract.
    pub derived: Vec<Stage>,
    /// Where a derived value differs from what the device wrote.
    pub faults: Vec<Fault>,
}

/// A trace: the values of the recorded stages at the recorded positions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TraceData {
    /// Information about the run.
    pub meta: TraceMeta,
    /// The positions of every tensor's rows, ascending.
    pub positions: Vec<usize>,
    /// The values by stage and layer, in the forward's order.
    pub tensors: IndexMap<(Stage, Option<usize>), Tensor>,
}

impl TraceData {
    /// A stage's values.
    pub fn get(&self, stage: Stage, layer: Option<usize>) -> Option<&Tensor> {
        self.tensors.get(&(stage, layer))
    }

    /// Number of layers with recorded values: one more than the last.
    pub fn layers(&self) -> usize {
        self.tensors.keys().filter_map(|(_, layer)| layer.map(|l| l + 1)).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_told_with_its_place() {
        let fault = Fault {
            stage: Stage::ExpertSwiglu,
            layer: Some(2),
            position: 5,
            index: 17,
            recorded: 0.5,
            expected: 0.25,
            differing: 1,
        };
        let text = "layer 2: expert_swiglu at position 5, value 17, is 5e-1, but 2.5e-1 follows from the values before it \
                    (1 such value)";
        assert_eq!(fault.to_string(), text);
    }
}
