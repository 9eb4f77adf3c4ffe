//! Arguments of launches: with the static types of the kernel's parameters, or checked when they are bound.

use std::sync::Arc;

use ptxgen_builder::build::{self, In, InOut, Out, Scalar, Stored};
use ptxgen_builder::types::ScalarType;
use smallvec::SmallVec;

use crate::allocation::Allocation;
use crate::buffer::{Buffer, View, ViewMut};
use crate::element::Element;

/// An argument: a number, bytes, or a buffer to read or to write.
#[derive(Clone, Copy, Debug)]
pub struct Argument<'a>(pub(crate) Kind<'a>);

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind<'a> {
    Scalar {
        ty: ScalarType,
        bits: u64,
    },
    Bytes(&'a [u8]),
    Buffer {
        ty: ScalarType,
        /// `None` for plain numbers, which a format may be made of.
        format: Option<&'static str>,
        allocation: &'a Arc<Allocation>,
        address: u64,
        start: u64,
        bytes: u64,
        writes: bool,
    },
}

impl<'a> Argument<'a> {
    /// An array passed by value.
    pub fn bytes(bytes: &'a [u8]) -> Argument<'a> {
        Argument(Kind::Bytes(bytes))
    }

    /// Bytes to read, as elements of a type that is known only at run time.
    pub fn read_as(ty: ScalarType, view: View<'a, u8>) -> Argument<'a> {
        Argument::elements((ty, None), view, false)
    }

    /// Bytes to write, as elements of a type that is known only at run time.
    pub fn write_as(ty: ScalarType, view: ViewMut<'a, u8>) -> Argument<'a> {
        Argument::elements((ty, None), view.into_view(), true)
    }

    fn buffer<T: Stored<Element: Element>>(view: View<'a, T>, writes: bool) -> Argument<'a> {
        Argument::elements((T::Element::TY, T::FORMAT), view, writes)
    }

    fn elements<T: Stored<Element: Element>>(
        (ty, format): (ScalarType, Option<&'static str>),
        view: View<'a, T>,
        writes: bool,
    ) -> Argument<'a> {
        let (allocation, address, start) = (view.allocation(), view.address(), view.start());
        Argument(Kind::Buffer { ty, format, allocation, address, start, bytes: view.bytes(), writes })
    }
}

impl<'a, T: Stored<Element: Element>> From<&'a Buffer<T>> for Argument<'a> {
    fn from(buffer: &'a Buffer<T>) -> Self {
        Argument::buffer(buffer.view(), false)
    }
}

impl<'a, T: Stored<Element: Element>> From<&'a mut Buffer<T>> for Argument<'a> {
    fn from(buffer: &'a mut Buffer<T>) -> Self {
        Argument::buffer(buffer.view(), true)
    }
}

impl<'a, T: Stored<Element: Element>> From<View<'a, T>> for Argument<'a> {
    fn from(view: View<'a, T>) -> Self {
        Argument::buffer(view, false)
    }
}

impl<'a, T: Stored<Element: Element>> From<ViewMut<'a, T>> for Argument<'a> {
    fn from(view: ViewMut<'a, T>) -> Self {
        Argument::buffer(view.into_view(), true)
    }
}

/// The types that can be passed for a parameter `P`: a number for a number, `&Buffer` or [`View`] for [`In`], `&mut
/// Buffer` or [`ViewMut`] for [`Out`] and [`InOut`].
#[diagnostic::on_unimplemented(
    message = "the kernel's parameter `{P}` does not take `{Self}`",
    label = "not what the kernel takes here",
    note = "`In<T>` takes `&Buffer<T>` or `View<T>`; `Out<T>` and `InOut<T>` take `&mut Buffer<T>` or `ViewMut<T>`; a number takes the same type of number"
)]
pub trait Pass<'a, P> {
    /// The argument without its static type.
    fn argument(self) -> Argument<'a>;
}

macro_rules! pass_numbers {
    ($($t:ty),*) => {$(
        impl<'a> Pass<'a, $t> for $t {
            fn argument(self) -> Argument<'a> {
                self.into()
            }
        }

        impl From<$t> for Argument<'_> {
            fn from(value: $t) -> Self {
                Argument(Kind::Scalar { ty: <$t>::TY, bits: value.bits() })
            }
        }
    )*};
}
pass_numbers!(u32, u64, i32, i64, f32, f64);

macro_rules! pass_buffers {
    ($($parameter:ident: $buffer:ty, $view:ident;)*) => {$(
        impl<'a, T: Stored<Element: Element>> Pass<'a, $parameter<T>> for $buffer {
            fn argument(self) -> Argument<'a> {
                self.into()
            }
        }

        impl<'a, T: Stored<Element: Element>> Pass<'a, $parameter<T>> for $view<'a, T> {
            fn argument(self) -> Argument<'a> {
                self.into()
            }
        }
    )*};
}
pass_buffers! {
    In: &'a Buffer<T>, View;
    Out: &'a mut Buffer<T>, ViewMut;
    InOut: &'a mut Buffer<T>, ViewMut;
}

/// The arguments of one launch, without their static types.
pub(crate) type Arguments<'a> = SmallVec<[Argument<'a>; 8]>;

/// The types that can be passed for a whole parameter list `A`: a tuple with one [`Pass`] for each parameter.
#[diagnostic::on_unimplemented(
    message = "the kernel's parameters `{A}` do not take `{Self}`",
    label = "not what the kernel takes",
    note = "pass a tuple with one argument for each parameter, such as `(n, &x, &mut y)`"
)]
pub trait LaunchArgs<'a, A> {
    #[doc(hidden)]
    fn arguments(self) -> SmallVec<[Argument<'a>; 8]>;
}

macro_rules! lists {
    ($($($a:ident $p:ident $i:tt),*;)*) => {$(
        impl<'a, $($a: build::Arg, $p: Pass<'a, $a>),*> LaunchArgs<'a, ($($a,)*)> for ($($p,)*) {
            fn arguments(self) -> SmallVec<[Argument<'a>; 8]> {
                let mut list = Arguments::new();
                $(list.push(self.$i.argument());)*
                list
            }
        }
    )*};
}
lists! {
    A P 0;
    A P 0, B Q 1;
    A P 0, B Q 1, C R 2;
    A P 0, B Q 1, C R 2, D S 3;
    A P 0, B Q 1, C R 2, D S 3, E T 4;
    A P 0, B Q 1, C R 2, D S 3, E T 4, F U 5;
    A P 0, B Q 1, C R 2, D S 3, E T 4, F U 5, G V 6;
    A P 0, B Q 1, C R 2, D S 3, E T 4, F U 5, G V 6, H W 7;
    A P 0, B Q 1, C R 2, D S 3, E T 4, F U 5, G V 6, H W 7, I X 8;
    A P 0, B Q 1, C R 2, D S 3, E T 4, F U 5, G V 6, H W 7, I X 8, J Y 9;
    A P 0, B Q 1, C R 2, D S 3, E T 4, F U 5, G V 6, H W 7, I X 8, J Y 9, K Z 10;
    A P 0, B Q 1, C R 2, D S 3, E T 4, F U 5, G V 6, H W 7, I X 8, J Y 9, K Z 10, L Z1 11;
    A P 0, B Q 1, C R 2, D S 3, E T 4, F U 5, G V 6, H W 7, I X 8, J Y 9, K Z 10, L Z1 11, M Z2 12;
    A P 0, B Q 1, C R 2, D S 3, E T 4, F U 5, G V 6, H W 7, I X 8, J Y 9, K Z 10, L Z1 11, M Z2 12, N Z3 13;
    A P 0, B Q 1, C R 2, D S 3, E T 4, F U 5, G V 6, H W 7, I X 8, J Y 9, K Z 10, L Z1 11, M Z2 12, N Z3 13, O Z4 14;
    A P 0, B Q 1, C R 2, D S 3, E T 4, F U 5, G V 6, H W 7, I X 8, J Y 9, K Z 10, L Z1 11, M Z2 12, N Z3 13, O Z4 14, AA Z5 15;
}
