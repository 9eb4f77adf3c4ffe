//! Kernels that check their own accesses.
//!
//! [`guard`] returns a version of a kernel that accesses only the buffers of its launch, its own arrays and its
//! module's. Every access of global, shared or local memory that is not proved to be inside the object of its address
//! is checked. An access out of bounds is skipped (a load returns 0) and recorded in a [`Record`], to which the
//! launch's last parameter points. The thread continues, so that barriers still work and the device stays usable. For
//! accesses in bounds the results have the same bits.
//!
//! A check is one comparison of an index or a distance with a limit that the host computes from the
//! buffer's length ([`Extra::Limit`]). Accesses of one block that differ by constants share a check, and
//! a check that dominates another of the same index is not repeated.
//!
//! What it does not do: end endless loops, order accesses that race (the values of a race are unspecified; memory out
//! of bounds is not accessed), or prevent `trap`.

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

/// A parameter of a guarded kernel after its own ones.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Extra {
    /// The address of a [`Record`]: 64 bits, aligned to 8 bytes.
    Record,
    /// The number of indices that are in bounds of an object; see [`Extra::value`].
    Limit {
        /// The object.
        object: Object,
        /// Distance between two indices in bytes.
        scale: u64,
        /// Bytes that must exist after the position of index 0.
        bytes: u64,
        /// Whether the parameter has 64 bits; otherwise 32.
        wide: bool,
    },
}

impl Extra {
    /// Size of the parameter in bytes.
    pub fn bytes(self) -> usize {
        match self {
            Extra::Record | Extra::Limit { wide: true, .. } => 8,
            Extra::Limit { wide: false, .. } => 4,
        }
    }

    /// The value to pass, given the record's address and each object's size in bytes (0 for a parameter that is not a
    /// buffer).
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

/// The number of indices, from 0, whose position has `bytes` bytes after it within `len`.
fn limit(len: u64, scale: u64, bytes: u64) -> u64 {
    len.checked_sub(bytes).map_or(0, |rest| rest / scale.max(1) + 1)
}

/// A module whose kernels check their accesses.
#[derive(Clone, Debug)]
pub struct Guarded {
    /// The module, verified.
    pub module: Validated,
    /// The data for launches of each kernel.
    pub kernels: Vec<GuardedKernel>,
}

/// The data for launches of a guarded kernel.
#[derive(Clone, Debug)]
pub struct GuardedKernel {
    /// The parameters after the kernel's own.
    pub extras: Vec<Extra>,
    /// By parameter, whether the kernel writes to its buffer.
    pub writes: Vec<bool>,
    /// By parameter, whether it is a buffer.
    pub buffers: Vec<bool>,
    /// Number of checks.
    pub checks: usize,
    /// Number of accesses without a check of their own.
    pub proved: usize,
    sites: Vec<Site>,
}

impl GuardedKernel {
    /// The violation in a record, given the size of each object at the launch.
    pub fn explain(&self, record: &Record, len: impl Fn(Object) -> u64) -> Option<Violation> {
        site::explain(&self.sites, record, len)
    }
}

/// Rewrites every kernel of a module so that it checks its accesses. `may_write` returns for the indices of a kernel
/// and a parameter whether the parameter's buffer may be written.
///
/// # Errors
/// If an access cannot be checked, or writes to a read-only buffer; the error names its line.
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
