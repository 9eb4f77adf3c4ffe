//! The kernels, by name.

mod dequantize;
mod down;
mod gate_up;
mod gemv;
mod matrix;
mod profile;
mod proof;
mod quantize;
mod registry;
mod request;
mod sample;
mod schedule;
mod swiglu;
mod trial;

pub use dequantize::{Dequantize, DequantizeArgs, dequantize};
pub use down::{DownArgs, moe_down};
pub use gate_up::{Experts, GateUpArgs, gate_up_swiglu};
pub use gemv::{GemvArgs, gemv};
pub use profile::Profile;
pub use quantize::{QuantizeArgs, quantize_q8k};
pub use registry::{Access, Built, CATALOGUE, Dims, Entry, Family, ParamSpec, Role, Sizes, Words, find};
pub use request::Request;
pub use schedule::{AnyLaunchable, CatalogueError, Launchable, Schedule, Shape};
pub use swiglu::{SwigluArgs, swiglu};
pub use trial::{Trial, TrialError};
