//! What buffers and parameters hold.

use half::{bf16, f16};
use ptxgen_builder::build::Scalar;
use smallvec::SmallVec;

/// The bytes of a parameter.
pub(crate) type ParamBytes = SmallVec<[u8; 8]>;

/// A type of buffer elements: a kernel's scalar type, and plain bytes on the host.
pub trait Element: Scalar + bytemuck::Pod {}

macro_rules! elements {
    ($($t:ty),*) => { $(impl Element for $t {})* };
}
elements!(u8, u16, u32, u64, i8, i16, i32, i64, f32, f64, f16, bf16);
