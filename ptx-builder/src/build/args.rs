//! Kernel parameters as types.

use std::marker::PhantomData;

use super::pointer::{Global, ReadOnly};
use super::sealed::Sealed;
use super::state::with;
use super::val::compute;
use super::{Scalar, Val};
use crate::ir::{Address, Base, Operand, Param, Symbol};
use crate::table::{Mod, Op};
use crate::types::{ScalarType, Space};

/// What a buffer holds: numbers, or something in a format whose bytes kernels read as numbers, such as packed
/// pairs. The format is in a parameter's type, so that a launch with a buffer of another does not compile.
///
/// ```
/// use ptxgen_builder::build::{In, Out, Stored, kernel};
///
/// /// Pairs of a count and a sum.
/// struct Pairs;
/// impl Stored for Pairs {
///     type Element = u32;
///     const FORMAT: Option<&'static str> = Some("pairs");
/// }
/// let sums = kernel::<(In<Pairs>, Out<u32>)>("sums", ["pairs", "sums"], |k, (pairs, sums)| {
///     let i = k.global_thread_id();
///     sums.at(i).store(k, pairs.at(i * 2 + 1).load(k));
/// });
/// assert_eq!(sums.param_names(), ["pairs", "sums"]);
/// ```
pub trait Stored: 'static {
    /// The numbers that kernels read and write: the element type of pointers to it.
    type Element: Scalar;
    /// The format's name, if it is not just numbers.
    const FORMAT: Option<&'static str>;
}

impl<T: Scalar> Stored for T {
    type Element = T;
    const FORMAT: Option<&'static str> = None;
}

/// A buffer that the kernel reads and that nothing writes during the launch.
#[derive(Debug)]
pub struct In<T>(PhantomData<T>);

/// A buffer that the kernel writes; its old contents do not matter.
#[derive(Debug)]
pub struct Out<T>(PhantomData<T>);

/// A buffer that the kernel reads and writes.
#[derive(Debug)]
pub struct InOut<T>(PhantomData<T>);

/// What a launch needs to know about a parameter.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ArgInfo {
    /// A number passed by value.
    Scalar(ScalarType),
    /// A buffer of elements.
    Buffer {
        /// Element type.
        ty: ScalarType,
        /// The name of its [format](Stored::FORMAT), if it has one.
        format: Option<&'static str>,
        /// Whether the kernel reads it.
        reads: bool,
        /// Whether the kernel writes it.
        writes: bool,
    },
}

/// A parameter's type: a number, or [`In`], [`Out`], [`InOut`] of elements.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a kernel parameter",
    note = "numbers are `u32`, `u64`, `i32`, `i64`, `f32` and `f64`; buffers are `In<T>`, `Out<T>` and `InOut<T>`"
)]
pub trait Arg: Sealed {
    /// The handle that the kernel's closure receives.
    type Handle: Copy;
    /// What a launch needs to know about it.
    const INFO: ArgInfo;
    /// Declares it and loads it.
    #[doc(hidden)]
    fn declare(name: &str) -> Self::Handle;
}

#[track_caller]
fn load<T: Scalar>(name: &str, pointer: Option<(Space, u32)>) -> Val<T> {
    let index = with(|s| {
        let name = format!("{}_{name}", s.kernel.name);
        // Only parts of a kernel declare a parameter twice.
        let known = s.kernel.params.iter().position(|p| p.name == name);
        let index = known.unwrap_or_else(|| {
            s.kernel.params.push(Param { name, ty: T::TY, len: None, align: None, pointer });
            s.kernel.params.len() - 1
        });
        index as u32
    });
    let address = Operand::Address(Address { base: Base::Symbol(Symbol::Param(index)), offset: 0 });
    compute::<T>(Op::Ld, &[Mod::Param, Mod::Ty(T::TY)], &[address]).named(name)
}

/// Pointers are aligned to 16 bytes: runtimes allocate with this alignment, and wide accesses need it.
const POINTER: Option<(Space, u32)> = Some((Space::Global, 16));

#[track_caller]
fn load_pointer(name: &str) -> Val<u64> {
    let generic = load::<u64>(name, POINTER);
    compute(Op::Cvta, &[Mod::To, Mod::Global, Mod::Ty(ScalarType::U64)], &[generic.operand()])
}

macro_rules! scalar_args {
    ($($t:ty),*) => {$(
        impl Arg for $t {
            type Handle = Val<$t>;
            const INFO: ArgInfo = ArgInfo::Scalar(<$t as Scalar>::TY);
            #[track_caller]
            fn declare(name: &str) -> Val<$t> {
                load(name, None)
            }
        }
    )*};
}
scalar_args!(u32, u64, i32, i64, f32, f64);

impl<T> Sealed for In<T> {}
impl<T> Sealed for Out<T> {}
impl<T> Sealed for InOut<T> {}

impl<T: Stored> Arg for In<T> {
    type Handle = ReadOnly<T::Element>;
    const INFO: ArgInfo = ArgInfo::Buffer { ty: T::Element::TY, format: T::FORMAT, reads: true, writes: false };
    #[track_caller]
    fn declare(name: &str) -> ReadOnly<T::Element> {
        Global::<T::Element>::from_address(load_pointer(name)).read_only()
    }
}

impl<T: Stored> Arg for Out<T> {
    type Handle = Global<T::Element>;
    const INFO: ArgInfo = ArgInfo::Buffer { ty: T::Element::TY, format: T::FORMAT, reads: false, writes: true };
    #[track_caller]
    fn declare(name: &str) -> Global<T::Element> {
        Global::from_address(load_pointer(name))
    }
}

impl<T: Stored> Arg for InOut<T> {
    type Handle = Global<T::Element>;
    const INFO: ArgInfo = ArgInfo::Buffer { ty: T::Element::TY, format: T::FORMAT, reads: true, writes: true };
    #[track_caller]
    fn declare(name: &str) -> Global<T::Element> {
        Global::from_address(load_pointer(name))
    }
}

/// A parameter list: a tuple of one to sixteen [`Arg`]s.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a list of kernel parameters",
    note = "it is a tuple of one to sixteen, also where it is one: `(In<f32>,)`"
)]
pub trait Args: Sealed {
    /// The parameters' names, one for each.
    type Names: AsRef<[&'static str]> + for<'a> TryFrom<&'a [&'static str]>;
    /// The handles that the kernel's closure receives.
    type Handles: Copy;
    /// What a launch needs to know about each.
    const INFO: &'static [ArgInfo];
    /// Declares and loads all.
    #[doc(hidden)]
    fn declare(names: &Self::Names) -> Self::Handles;
}

macro_rules! arg_lists {
    ($($n:literal: $($t:ident $i:tt),*;)*) => {$(
        impl<$($t: Arg),*> Sealed for ($($t,)*) {}
        impl<$($t: Arg),*> Args for ($($t,)*) {
            type Names = [&'static str; $n];
            type Handles = ($($t::Handle,)*);
            const INFO: &'static [ArgInfo] = &[$($t::INFO),*];
            #[track_caller]
            fn declare(names: &Self::Names) -> Self::Handles {
                ($($t::declare(names[$i]),)*)
            }
        }
    )*};
}
arg_lists! {
    1: A 0;
    2: A 0, B 1;
    3: A 0, B 1, C 2;
    4: A 0, B 1, C 2, D 3;
    5: A 0, B 1, C 2, D 3, E 4;
    6: A 0, B 1, C 2, D 3, E 4, F 5;
    7: A 0, B 1, C 2, D 3, E 4, F 5, G 6;
    8: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7;
    9: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8;
    10: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9;
    11: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10;
    12: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11;
    13: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12;
    14: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13;
    15: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14;
    16: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15;
}
