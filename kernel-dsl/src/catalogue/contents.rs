//! The contents of buffers as types: a launch has to pass them, and a kernel without static types is described by them.

use std::marker::PhantomData;

use half::f16;
use ptxgen_builder::build::{Arg, Args, In, InOut, Out, Scalar, Stored};

use super::held::{Access, Contents};
use crate::device::{DeviceFloat, DeviceKv};
use crate::format::Tensor;
use crate::precision::{Act, ActQ8K};

/// Rows of a tensor of a type, block by block.
pub struct Blocks<F>(PhantomData<F>);

/// Vectors of activations in a format, one after the other. f32 activations are `f32`.
pub struct Vector<X>(PhantomData<X>);

/// f32 data that are neither weights of a matrix nor activations: a norm's weights, the RoPE table, routing weights.
pub struct Table(());

/// A layer's keys or values.
pub struct Cache<E>(PhantomData<E>);

/// Sums and outputs of the chunks of attention, in the accumulator's type.
pub struct Partial<A>(PhantomData<A>);

/// A router's logits.
pub struct Logits(());

impl<F: Tensor> Stored for Blocks<F> {
    type Element = u8;
    const FORMAT: Option<&'static str> = F::NAME;
}

impl Stored for Vector<ActQ8K> {
    type Element = u8;
    const FORMAT: Option<&'static str> = Some("Q8_K activations");
}

impl Stored for Table {
    type Element = f32;
    const FORMAT: Option<&'static str> = Some("an f32 table");
}

impl<E: DeviceKv> Stored for Cache<E> {
    type Element = E;
    const FORMAT: Option<&'static str> = Some("a KV cache");
}

impl<A: DeviceFloat> Stored for Partial<A> {
    type Element = A;
    const FORMAT: Option<&'static str> = Some("partial sums");
}

impl Stored for Logits {
    type Element = f64;
    const FORMAT: Option<&'static str> = Some("a router's logits");
}

/// The contents of a buffer type.
pub trait Held: Stored {
    /// The contents as a value; `None` for words, whose meaning varies.
    fn contents() -> Option<Contents>;
}

impl<F: Tensor> Held for Blocks<F> {
    fn contents() -> Option<Contents> {
        Some(Contents::Weights(F::tensor_type()))
    }
}

impl Held for Vector<ActQ8K> {
    fn contents() -> Option<Contents> {
        Some(Contents::Activations(Act::Q8K))
    }
}

impl Held for f32 {
    fn contents() -> Option<Contents> {
        Some(Contents::Activations(Act::F32))
    }
}

impl Held for f64 {
    fn contents() -> Option<Contents> {
        Some(Contents::F64)
    }
}

impl Held for Table {
    fn contents() -> Option<Contents> {
        Some(Contents::F32)
    }
}

impl<E: DeviceKv> Held for Cache<E> {
    fn contents() -> Option<Contents> {
        Some(if E::TY == f16::TY { Contents::F16 } else { Contents::F32 })
    }
}

impl<A: DeviceFloat> Held for Partial<A> {
    fn contents() -> Option<Contents> {
        Some(if A::TY == f64::TY { Contents::F64 } else { Contents::F32 })
    }
}

impl Held for Logits {
    fn contents() -> Option<Contents> {
        Some(Contents::Logits)
    }
}

impl Held for u32 {
    fn contents() -> Option<Contents> {
        None
    }
}

impl Held for u64 {
    fn contents() -> Option<Contents> {
        None
    }
}

/// The information in a parameter's type.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Declared {
    /// How the kernel accesses the buffer.
    pub access: Access,
    /// Its contents; `None` for words.
    pub contents: Option<Contents>,
    /// Bytes per element.
    pub element: u32,
}

/// A buffer among a kernel's parameters.
pub trait Parameter: Arg {
    /// The information in its type.
    fn declared() -> Declared;
}

macro_rules! buffers {
    ($($buffer:ident $access:ident;)*) => {$(
        impl<T: Held> Parameter for $buffer<T> {
            fn declared() -> Declared {
                Declared { access: Access::$access, contents: T::contents(), element: T::Element::TY.bytes() }
            }
        }
    )*};
}
buffers! {
    In In;
    Out Out;
    InOut InOut;
}

/// The parameters of a kernel of the catalogue: buffers.
pub trait Parameters: Args {
    /// The information in each one's type.
    fn declared() -> Vec<Declared>;
}

macro_rules! lists {
    ($($($t:ident)*;)*) => {$(
        impl<$($t: Parameter),*> Parameters for ($($t,)*) {
            fn declared() -> Vec<Declared> {
                vec![$($t::declared()),*]
            }
        }
    )*};
}
lists! {
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
    A B C D E F G;
    A B C D E F G H;
    A B C D E F G H I;
    A B C D E F G H I J;
}
