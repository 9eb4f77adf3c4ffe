//! Kernels that check their own accesses.
//!
//! [`guard`] gives a kernel's twin that touches nothing but the buffers of its launch, its own arrays and
//! its module's: every access of global, shared or local memory that cannot be proved to be inside of
//! what its address starts from is checked as it is made. One that is outside is left out (a load gives
//! 0) and noted in a [`Record`], which the launch's last parameter leads to; the thread goes on, so that
//! barriers hold and the device works on. Inside of bounds the twin computes the same bits.
//!
//! A check is one comparison of an index or a distance with a limit that the host computes from the
//! buffer's length ([`Extra::Limit`]). Accesses of one block that differ by constants share a check, and
//! a check that dominates another of the same index is not repeated.
//!
//! What it does not do: end loops that never end, order accesses that race (the values of a race are
//! unspecified; memory outside is not reached), or keep a kernel from `trap`.

mod access;
mod address;
mod emit;
mod error;
mod inside;
mod objects;
mod plan;
mod site;
mod tell;
mod writer;

pub use address::Object;
pub use error::GuardError;
pub use site::{RECORD_BYTES, Record, Touch, Violation, Wrong};

use crate::ir::Inst;
use crate::table::Meaning;
use crate::verify::{Validated, verify};
use site::Site;

/// A parameter that a guarded kernel has after its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Extra {
    /// The address of a [`Record`]: 64 bits, aligned to 8 bytes.
    Record,
    /// How many indices are inside of an object; see [`Extra::value`].
    Limit {
        /// The object.
        object: Object,
        /// Bytes from one index to the next.
        scale: u64,
        /// Bytes that must be there after index 0's place.
        bytes: u64,
        /// Whether the parameter has 64 bits, or 32.
        wide: bool,
    },
}

impl Extra {
    /// Bytes of the parameter.
    pub fn bytes(self) -> usize {
        match self {
            Extra::Record | Extra::Limit { wide: true, .. } => 8,
            Extra::Limit { wide: false, .. } => 4,
        }
    }

    /// The value to pass, given the record's address and each object's bytes (0 for a parameter that
    /// brings no buffer).
    pub fn value(self, record: u64, len: impl Fn(Object) -> u64) -> u64 {
        match self {
            Extra::Record => record,
            Extra::Limit { object, scale, bytes, wide } => {
                let count = limit(len(object), scale, bytes);
                if wide { count } else { count.min(u32::MAX.into()) }
            }
        }
    }
}

/// How many indices, from 0, have `bytes` bytes from their place on within `len`.
fn limit(len: u64, scale: u64, bytes: u64) -> u64 {
    len.checked_sub(bytes).map_or(0, |rest| rest / scale.max(1) + 1)
}

/// A module whose kernels check their accesses.
#[derive(Clone, Debug)]
pub struct Guarded {
    /// The module, verified.
    pub module: Validated,
    /// What launches need to know of each kernel.
    pub kernels: Vec<GuardedKernel>,
}

/// What launches of a guarded kernel need to know.
#[derive(Clone, Debug)]
pub struct GuardedKernel {
    /// The parameters that follow the kernel's own.
    pub extras: Vec<Extra>,
    /// By parameter, whether the kernel writes to its buffer.
    pub writes: Vec<bool>,
    /// By parameter, whether it brings a buffer.
    pub buffers: Vec<bool>,
    /// How many checks it has.
    pub checks: usize,
    /// How many accesses need none of their own.
    pub proved: usize,
    sites: Vec<Site>,
}

impl GuardedKernel {
    /// What a record means, given the bytes of each object at the launch.
    pub fn explain(&self, record: &Record, len: impl Fn(Object) -> u64) -> Option<Violation> {
        site::explain(&self.sites, record, len)
    }
}

/// Rewrites every kernel of a module so that it checks its accesses. `may_write` tells of a kernel and a
/// parameter, by their numbers, whether the parameter's buffer may be written.
///
/// # Errors
/// If an access cannot be checked, or writes to a buffer that may only be read; the error names its line.
pub fn guard(module: &Validated, may_write: impl Fn(usize, usize) -> bool) -> Result<Guarded, GuardError> {
    let original = module.module();
    let mut rewritten = original.clone();
    let mut kernels = Vec::with_capacity(original.kernels.len());
    for (k, kernel) in original.kernels.iter().enumerate() {
        // What a text does to memory is not known.
        let opaque = |inst: &Inst| matches!(inst.form().meaning, Meaning::Opaque { memory: true, .. });
        if let Some((_, _, inst)) = kernel.insts().find(|(_, _, inst)| opaque(inst)) {
            return Err(GuardError::unknown(original, kernel, inst));
        }
        let plan = plan::plan(original, kernel, module.info(k), &|param| may_write(k, param))?;
        let (kernel, guarded) = emit::rewrite(original, kernel, module.info(k), plan)?;
        rewritten.kernels[k] = kernel;
        kernels.push(guarded);
    }
    let module = verify(rewritten)?;
    Ok(Guarded { module, kernels })
}
