//! Devices for ptxgen kernels: NVIDIA GPUs and the interpreter, with one interface.
//!
//! ```
//! use ptxgen_builder::build::{In, InOut, kernel};
//! use ptxgen_runtime::Device;
//!
//! let saxpy = kernel::<(u32, f32, In<f32>, InOut<f32>)>("saxpy", ["n", "a", "x", "y"], |k, (n, a, x, y)| {
//!     let i = k.global_thread_id();
//!     k.if_(i.lt(n), |k| {
//!         let sum = a.fma(x.at(i).load(k), y.at(i).load(k));
//!         y.at(i).store(k, sum);
//!     });
//! });
//!
//! let device = Device::interp();
//! let saxpy = device.load(&saxpy)?;
//! let x = device.upload(&[1.0f32, 2.0, 3.0])?;
//! let mut y = device.upload(&[10.0f32; 3])?;
//! device.launch(&saxpy, (1, 32), (3, 2.0, &x, &mut y))?;
//! assert_eq!(y.read()?, [12.0, 14.0, 16.0]);
//!
//! // The same launch as a graph, run twice more.
//! let graph = device.graph(&[saxpy.bind((1, 32), (3, 2.0, &x, &mut y))?])?;
//! device.replay(&graph)?;
//! device.replay(&graph)?;
//! assert_eq!(y.read()?, [16.0, 22.0, 28.0]);
//! # Ok::<(), ptxgen_runtime::DeviceError>(())
//! ```
//!
//! Work goes to a device's default stream, in order; [`Buffer::read`] waits for it. A launch is checked before it
//! starts: the types of the arguments when the program is compiled (or, for kernels without static types, when they are
//! bound), then the shape of the grid and block, shared memory, and the length of buffers if the kernel states it.
//!
//! A launch is also checked while it runs: every access that is not proved to be inside the buffers of the arguments or
//! the kernel's own arrays is compared with their lengths. An access out of bounds is skipped, and the next call that
//! waits for the device returns an error ([`DeviceError::Access`]). [`Device::launch_unchecked`], which is `unsafe`,
//! omits these checks.

mod allocation;
mod argument;
mod backend;
mod buffer;
mod checked;
mod cuda;
mod device;
mod element;
mod error;
mod function;
mod interp;
mod shape;
mod stream;
mod transfer;

pub use argument::{Argument, LaunchArgs, Pass};
pub use backend::MemoryInfo;
pub use buffer::{Buffer, View, ViewMut};
pub use cuda::{CodeCache, CudaOptions, CudaVersion, DriverInfo, GpuInfo};
pub use device::{Device, Module};
pub use element::Element;
pub use error::{AccessError, ArgumentError, Complaint, DeviceError, GuardError, JitError, LaunchError};
pub use function::{Call, Function, Loaded};
pub use interp::InterpOptions;
pub use shape::LaunchShape;
pub use stream::{Event, Graph, Later, Stream};
pub use transfer::Transfer;
