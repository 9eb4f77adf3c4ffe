//! Kernels made of parts that each have parameters of their own.

use std::borrow::Cow;

use super::Body;
use super::args::{ArgInfo, Args};
use super::dependent::load_coherently;
use super::kernel::{AnyKernel, recorded};
use super::state::Recording;

/// Two parts mean different things by the same parameter.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("parameter '{name}' is {found} here and {before} in a part before: give it another name in one of them")]
pub struct ParamClash {
    /// The parameter.
    pub name: &'static str,
    /// What a part takes it for.
    pub found: String,
    /// What a part before takes it for.
    pub before: String,
}

/// The parameters of a kernel that is made of parts.
#[derive(Debug, Default)]
pub struct Merged {
    names: Vec<&'static str>,
    args: Vec<ArgInfo>,
}

impl Merged {
    /// The parameters of a part. One that a part before has, too, is the same buffer (or number); the kernel reads it if
    /// any part does, and writes it if any part does.
    ///
    /// # Errors
    /// If a part before has one of that name with another type or format.
    #[track_caller]
    pub fn declare<A: Args>(&mut self, names: &A::Names) -> Result<A::Handles, ParamClash> {
        for (&name, &found) in names.as_ref().iter().zip(A::INFO) {
            match self.names.iter().position(|n| *n == name) {
                None => {
                    self.names.push(name);
                    self.args.push(found);
                }
                Some(i) => {
                    let before = self.args[i];
                    self.args[i] = both(before, found).ok_or_else(|| ParamClash {
                        name,
                        found: told(found),
                        before: told(before),
                    })?;
                }
            }
        }
        Ok(A::declare(names))
    }
}

/// A parameter of two parts.
fn both(a: ArgInfo, b: ArgInfo) -> Option<ArgInfo> {
    match (a, b) {
        (
            ArgInfo::Buffer { ty, format, reads, writes },
            ArgInfo::Buffer { ty: other, format: other_format, reads: also_reads, writes: also_writes },
        ) if (ty, format) == (other, other_format) => {
            Some(ArgInfo::Buffer { ty, format, reads: reads | also_reads, writes: writes | also_writes })
        }
        (ArgInfo::Scalar(ty), ArgInfo::Scalar(other)) if ty == other => Some(a),
        _ => None,
    }
}

fn told(arg: ArgInfo) -> String {
    match arg {
        ArgInfo::Scalar(ty) => format!("a {ty}"),
        ArgInfo::Buffer { format: Some(format), .. } => format!("a buffer of {format}"),
        ArgInfo::Buffer { ty, .. } => format!("a buffer of {ty}"),
    }
}

/// Builds a kernel of parts: as [`kernel`](super::kernel()), but `write` declares the parameters, part by part. What one part
/// has written another may read, so nothing is loaded through the read-only path.
///
/// ```
/// use ptxgen_builder::build::{In, Out, merged};
///
/// let both = merged("both", |k, parameters| {
///     let i = k.thread_x();
///     let (x, y) = parameters.declare::<(In<f32>, Out<f32>)>(&["x", "y"])?;
///     y.at(i).store(k, x.at(i).load(k) + 1.0);
///     k.barrier();
///     let (y, z) = parameters.declare::<(In<f32>, Out<f32>)>(&["y", "z"])?;
///     z.at(i).store(k, y.at(i).load(k) * 2.0);
///     Ok(())
/// });
/// assert_eq!(both.unwrap().param_names(), ["x", "y", "z"]);
/// ```
///
/// # Errors
/// Those of `write`.
///
/// # Panics
/// If `write` uses a handle where it is undefined.
#[track_caller]
pub fn merged(
    name: &str,
    write: impl FnOnce(&Body, &mut Merged) -> Result<(), ParamClash>,
) -> Result<AnyKernel, ParamClash> {
    let recording = Recording::begin(name);
    let mut parameters = Merged::default();
    write(&recording.body, &mut parameters)?;
    let Merged { names, args } = parameters;
    let mut kernel = recorded(recording, names);
    load_coherently(&mut kernel.kernel);
    Ok(AnyKernel { kernel, args: Cow::Owned(args) })
}
