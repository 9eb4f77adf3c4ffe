//! Tensor types as types.

use half::{bf16, f16};

use super::{TensorType, for_each_type};

/// A marker type for a tensor type.
pub trait Tensor: 'static {
    /// The tensor type's name; `None` if it is known only when a kernel is generated.
    const NAME: Option<&'static str>;

    /// The tensor type.
    fn tensor_type() -> TensorType;
}

macro_rules! tensors {
    ($($name:ident $id:literal $len:literal $bytes:literal $module:ident::$format:ident $kind:ident, $doc:literal;)*) => {
        $(tensors!(@ $kind $name $format);)*
    };
    (@ floats $name:ident $format:ident) => { tensors!(= $name $format); };
    (@ bytes $name:ident $format:ident) => { tensors!(= $name super::$format<'static>); };
    (@ own $name:ident $format:ident) => { tensors!(= $name super::$format<'static>); };
    (@ $kind:ident $name:ident $format:ident) => { tensors!(= $name super::$format); };
    (= $name:ident $format:ty) => {
        impl Tensor for $format {
            const NAME: Option<&'static str> = Some(concat!(stringify!($name), " blocks"));

            fn tensor_type() -> TensorType {
                TensorType::$name
            }
        }
    };
}

for_each_type!(tensors);
