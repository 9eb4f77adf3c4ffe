//! The typed builder: kernels as Rust functions over typed values.
//!
//! ```
//! use ptxgen_builder::build::{In, InOut, Kernel, kernel};
//! use ptxgen_builder::target::Target;
//!
//! /// y[i] = a * x[i] + y[i]
//! fn saxpy() -> Kernel<(u32, f32, In<f32>, InOut<f32>)> {
//!     kernel::<(u32, f32, In<f32>, InOut<f32>)>("saxpy", ["n", "a", "x", "y"], |k, (n, a, x, y)| {
//!         let i = k.global_thread_id();
//!         k.if_(i.lt(n), |k| {
//!             let sum = a.fma(x.at(i).load(k), y.at(i).load(k));
//!             y.at(i).store(k, sum);
//!         });
//!     })
//! }
//! let validated = saxpy().verify(Target::SM_90).unwrap();
//! ```
//!
//! [`Val<T>`], [`Pred`] and [`Ptr<S, T>`] are `Copy` handles to registers. Arithmetic works on them directly.
//! Operations on memory, other lanes or control flow take the [`Body`] being built. Adding an f32 to a u64, storing
//! through a read-only pointer or calling a kernel with the wrong arguments does not compile. Floating-point operators
//! round to nearest even and are never contracted: a fused multiply-add is [`Val::fma`].
//!
//! Handles belong to the kernel being built on this thread. Using one in another kernel, or outside a kernel, is a
//! mistake in the program that generates code, and panics with its line.

mod args;
mod asm;
mod async_copy;
mod atomic;
mod compare;
mod constant;
mod control;
mod convert;
mod dependent;
mod dim3;
mod emit;
mod float;
mod half_float;
mod integer;
mod kernel;
mod launchable;
mod matrix;
mod memory;
mod merged;
mod number;
mod opaque;
mod parts;
mod pointer;
mod pred;
mod scalar;
mod scope;
mod scopes;
mod sealed;
mod special;
mod state;
mod sync;
mod val;
mod var;
mod variables;
mod warp;

pub use args::{Arg, ArgInfo, Args, In, InOut, Out, Stored};
pub use asm::{AsmOperand, AsmOperands, AsmOut};
pub use async_copy::{AsyncBytes, Mbarrier};
pub use atomic::{AtomicScalar, AtomicSpace};
pub use compare::Ordered;
pub use control::LoopControl;
pub use convert::{ConvertExact, ConvertInt, ConvertRounded};
pub use dim3::Dim3;
pub use float::Float;
pub use integer::{Bits, Integer, MulWide};
pub use kernel::{AnyKernel, Kernel, kernel};
pub use launchable::{AnyLaunchable, Launchable};
pub use memory::{LoadHint, Narrow, StoreHint};
pub use merged::{Merged, ParamClash, merged};
pub use number::Number;
pub use opaque::Opaque;
pub use pointer::{
    Const, ConstSpace, Global, GlobalMemory, GlobalSpace, Local, LocalSpace, Ptr, ReadOnly, ReadOnlySpace, ReadSpace,
    Shared, SharedSpace, WriteSpace,
};
pub use pred::Pred;
pub use scalar::{Bf16x2, F16x2, SameSize, Scalar};
pub use state::{Body, at_caller};
pub use val::Val;
pub use var::Var;
pub use warp::{Reduced, Shuffled};

pub use crate::table::Rounding;
