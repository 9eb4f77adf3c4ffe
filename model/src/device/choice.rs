//! Which kernels multiply which tensors.

use super::LoadError;
use crate::gguf::TensorType;

/// How a matrix is stored, as kernels are divided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// In superblocks; reads Q8_K activations under act = q8k.
    Quantized,
    /// In another type; reads f32 activations.
    Plain,
}

impl Kind {
    pub(super) fn of(ty: TensorType) -> Kind {
        match ty {
            TensorType::Q4_K | TensorType::Q6_K => Kind::Quantized,
            TensorType::F32 | TensorType::F16 | TensorType::BF16 | TensorType::Q8_0 => Kind::Plain,
        }
    }
}

/// A matrix times the vectors of a pass.
pub(super) fn product(ty: TensorType) -> &'static str {
    match ty {
        TensorType::Q4_K => "q4k-gemv",
        TensorType::Q6_K => "q6k-gemv",
        TensorType::F32 => "f32-gemv",
        TensorType::F16 => "f16-gemv",
        TensorType::BF16 => "bf16-gemv",
        TensorType::Q8_0 => "q8_0-gemv",
    }
}

/// The same, added to the residual stream.
pub(super) fn product_added(ty: TensorType) -> &'static str {
    match ty {
        TensorType::Q4_K => "q4k-gemv-add",
        TensorType::Q6_K => "q6k-gemv-add",
        TensorType::F32 => "f32-gemv-add",
        TensorType::F16 => "f16-gemv-add",
        TensorType::BF16 => "bf16-gemv-add",
        TensorType::Q8_0 => "q8_0-gemv-add",
    }
}

/// Rows of the embedding.
pub(super) fn embedding(ty: TensorType) -> &'static str {
    match ty {
        TensorType::Q4_K => "embedding-q4k",
        TensorType::Q6_K => "embedding-q6k",
        TensorType::F32 => "embedding-f32",
        TensorType::F16 => "embedding-f16",
        TensorType::BF16 => "embedding-bf16",
        TensorType::Q8_0 => "embedding-q8_0",
    }
}

/// The kernels for matrices that read a norm.
pub(super) struct Reader {
    /// For one token, the norm with it.
    pub(super) normed: &'static str,
    /// For one token.
    pub(super) one: &'static str,
    /// For a pass.
    pub(super) pass: &'static str,
}

/// Queries, keys and values in one launch, where there is such a kernel.
pub(super) fn merged_projections([q, k, v]: [TensorType; 3]) -> Option<Reader> {
    let names = |normed, name| Some(Reader { normed, one: name, pass: name });
    match (q, k, v) {
        (TensorType::Q4_K, TensorType::Q4_K, TensorType::Q4_K) => names("norm-qkv", "qkv"),
        (TensorType::Q4_K, TensorType::Q4_K, TensorType::Q6_K) => names("norm-qkv-q6k-v", "qkv-q6k-v"),
        (TensorType::Q6_K, TensorType::Q6_K, TensorType::Q6_K) => names("norm-qkv-q6k", "qkv-q6k"),
        _ => None,
    }
}

/// The kernels of the experts' gate and up projections.
pub(super) fn gate_up(gate: TensorType, up: TensorType) -> Option<Reader> {
    let (normed, one, pass) = match (gate, up) {
        (TensorType::Q4_K, TensorType::Q4_K) => ("norm-gate-up-swiglu", "fused-gate-up-swiglu", "experts-gate-up"),
        (TensorType::Q6_K, TensorType::Q6_K) => {
            ("norm-gate-up-swiglu-q6k", "fused-gate-up-swiglu-q6k", "experts-gate-up-q6k")
        }
        _ => return None,
    };
    Some(Reader { normed, one, pass })
}

/// The kernels of the experts' down projections.
pub(super) struct Down {
    /// For one token, added to the residual stream; from the router's logits.
    pub(super) routed: &'static str,
    /// The same, from the choice of experts.
    pub(super) one: &'static str,
    /// For a pass.
    pub(super) pass: &'static str,
}

pub(super) fn down(ty: TensorType) -> Option<Down> {
    match ty {
        TensorType::Q4_K => Some(Down { routed: "routed-down-add", one: "moe-down-add", pass: "experts-down" }),
        TensorType::Q6_K => {
            Some(Down { routed: "routed-down-add-q6k", one: "moe-down-add-q6k", pass: "experts-down-q6k" })
        }
        _ => None,
    }
}

/// Products of chosen experts' matrices: the down projections' vectors are one for each expert.
pub(super) fn plain_experts(ty: TensorType, down: bool) -> Option<&'static str> {
    let names = match ty {
        TensorType::F32 => ("f32-experts", "f32-experts-down"),
        TensorType::F16 => ("f16-experts", "f16-experts-down"),
        TensorType::BF16 => ("bf16-experts", "bf16-experts-down"),
        TensorType::Q8_0 => ("q8_0-experts", "q8_0-experts-down"),
        TensorType::Q4_K | TensorType::Q6_K => return None,
    };
    Some(if down { names.1 } else { names.0 })
}

/// The error for a tensor that no kernel takes.
pub(super) fn lacking(tensor: String, ty: TensorType, expected: &'static str) -> LoadError {
    LoadError::NoKernel { tensor, ty, expected }
}
