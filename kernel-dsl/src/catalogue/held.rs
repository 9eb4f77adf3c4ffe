//! What buffers hold and what kernels do with them, as values.

use crate::format::TensorType;
use crate::precision::Act;

/// What a buffer holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Contents {
    /// Blocks of a quantized tensor, or the rows of a plain one.
    Weights(TensorType),
    /// Activations in a format: f32, or a [`Q8KPlanar`](crate::format::Q8KPlanar) vector (several, one
    /// after the other).
    Activations(Act),
    /// f32 that are neither: a norm's weights, the RoPE table, routing weights.
    F32,
    /// f16: a KV cache.
    F16,
    /// f64: partial sums under acc = f64.
    F64,
    /// f64: a router's logits.
    Logits,
    /// u32: ids, positions, counts.
    Words(Words),
}

/// Which u32 a buffer may hold. A kernel need not check them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Words {
    /// All different as far as there are so many: numbers of experts.
    Distinct {
        /// They are below it.
        below: u32,
    },
    /// Each on its own: tokens.
    Below(u32),
    /// The same everywhere it is tried: a position, a count, a status.
    Is(u32),
    /// Starts of consecutive lists: rising from 0 to `total`.
    Offsets {
        /// The end of the last list.
        total: u32,
    },
}

/// What a kernel does with a buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Reads it.
    In,
    /// Writes it; what it held does not matter.
    Out,
    /// Reads and writes it: the residual stream, a KV cache.
    InOut,
}

impl Access {
    /// Whether the kernel writes it.
    pub fn writes(self) -> bool {
        self != Access::In
    }
}
