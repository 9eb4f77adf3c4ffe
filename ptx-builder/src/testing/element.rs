//! Elements of buffers, on the host.

use half::{bf16, f16};

use crate::build::Scalar;

/// A number that a buffer can hold, as bytes in little-endian order.
pub trait Element: Scalar {
    /// The value with these bits; surplus bits are ignored.
    fn of_bits(bits: u64) -> Self;
}

macro_rules! elements {
    ($($t:ty => |$bits:ident| $value:expr;)*) => {$(
        impl Element for $t {
            fn of_bits($bits: u64) -> Self { $value }
        }
    )*};
}

elements! {
    u8 => |b| b as u8;
    u16 => |b| b as u16;
    u32 => |b| b as u32;
    u64 => |b| b;
    i8 => |b| b as i8;
    i16 => |b| b as i16;
    i32 => |b| b as i32;
    i64 => |b| b as i64;
    f32 => |b| f32::from_bits(b as u32);
    f64 => |b| f64::from_bits(b);
    f16 => |b| f16::from_bits(b as u16);
    bf16 => |b| bf16::from_bits(b as u16);
}

/// A value's size in memory, in bytes.
pub(super) fn size<T: Element>() -> usize {
    T::TY.bytes() as usize
}

/// The values' bytes.
pub(super) fn to_bytes<T: Element>(values: &[T]) -> Vec<u8> {
    values.iter().flat_map(|v| v.bits().to_le_bytes().into_iter().take(size::<T>())).collect()
}

/// The values of these bytes; an incomplete value at the end is ignored.
pub(super) fn from_bytes<T: Element>(bytes: &[u8]) -> Vec<T> {
    let value = |bytes: &[u8]| {
        let mut all = [0; 8];
        all[..bytes.len()].copy_from_slice(bytes);
        T::of_bits(u64::from_le_bytes(all))
    };
    bytes.chunks_exact(size::<T>()).map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_their_bytes() {
        assert_eq!(from_bytes::<i16>(&to_bytes(&[-2i16, 300])), [-2, 300]);
        assert_eq!(from_bytes::<f64>(&to_bytes(&[-0.5f64])), [-0.5]);
        assert_eq!(to_bytes(&[f16::ONE]), [0x00, 0x3c]);
        assert_eq!(from_bytes::<u32>(&[1, 0, 0, 0, 7]), [1]);
    }
}
