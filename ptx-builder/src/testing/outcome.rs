//! What a run in the interpreter gave, or why it gave nothing.

use std::fmt;

use thiserror::Error;

use super::bind::{BindError, rust_name};
use super::element::{self, Element};
use crate::interp::{Buffer, Counts, LaunchError, Memory, MemoryError, Report, SiteCounts};
use crate::types::ScalarType;
use crate::verify::VerifyErrors;

/// Why a run gave no result. Its `Debug` text is its message, because that is
/// what a failing test shows.
#[derive(Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum HarnessError {
    /// The kernel does not verify.
    #[error("the kernel does not verify:\n{0}")]
    Verify(VerifyErrors),
    /// A name or type that the kernel does not have.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The kernel promises no block size and none was given.
    #[error("the size of a block is not known; give it with `block`, or promise it in the kernel (`with_block`)")]
    NoBlock,
    /// The launch does not start.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The buffers do not fit.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The interpreter found mistakes; [`Harness::allow_findings`](super::Harness::allow_findings) passes them on.
    #[error("the interpreter found:\n{0}")]
    Findings(Box<Report>),
    /// What was asked for is no buffer that the kernel writes.
    #[error("`{name}` is not a result of this run; there are {}", .known.join(", "))]
    NoResult {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A result read as another type.
    #[error("`{name}` was given as elements of {}, and is read as {}", rust_name(*.given), rust_name(*.read))]
    ReadType {
        /// The parameter.
        name: String,
        /// The type it was given as.
        given: ScalarType,
        /// The type it is read as.
        read: ScalarType,
    },
    /// Elements that nobody wrote.
    #[error(
        "{count} of the {len} elements of `{name}` were not written, the first at {first}; \
         if that is meant, give it with `inout` and initial values"
    )]
    Unwritten {
        /// The parameter.
        name: String,
        /// The first of them.
        first: usize,
        /// How many.
        count: usize,
        /// Of how many elements.
        len: usize,
    },
}

impl fmt::Debug for HarnessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A buffer that the kernel may have written.
pub(super) struct Written {
    pub name: String,
    pub ty: ScalarType,
    pub buffer: Buffer,
}

/// What a run gave.
pub struct Outcome {
    pub(super) memory: Memory,
    pub(super) results: Vec<Written>,
    pub(super) report: Report,
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.results.iter().map(|r| r.name.as_str()).collect();
        f.debug_struct("Outcome").field("results", &names).field("report", &self.report).finish_non_exhaustive()
    }
}

impl Outcome {
    /// The elements of an `output` or `inout` buffer, of the type it was given as, or its bytes as `u8`.
    ///
    /// # Errors
    /// If there is no such buffer, it has another type, or the kernel left an
    /// element unwritten.
    pub fn read<T: Element>(&self, name: &str) -> Result<Vec<T>, HarnessError> {
        let found = self.results.iter().find(|r| r.name == name).ok_or_else(|| HarnessError::NoResult {
            name: name.to_owned(),
            known: self.results.iter().map(|r| r.name.clone()).collect(),
        })?;
        if found.ty != T::TY && T::TY != ScalarType::U8 {
            return Err(HarnessError::ReadType { name: name.to_owned(), given: found.ty, read: T::TY });
        }
        let bytes = self.memory.read(found.buffer)?;
        let (size, len) = (element::size::<T>(), bytes.len() / element::size::<T>());
        let mut unwritten = Vec::new();
        for i in 0..len {
            if !self.memory.is_written(found.buffer, (i * size) as u64, size as u64)? {
                unwritten.push(i);
            }
        }
        match unwritten.first() {
            Some(&first) => Err(HarnessError::Unwritten { name: name.to_owned(), first, count: unwritten.len(), len }),
            None => Ok(element::from_bytes(&bytes)),
        }
    }

    /// Asserts that no access to shared memory meets a bank conflict.
    ///
    /// # Panics
    /// If one does. The message has each such instruction, its line and how many passes an access takes.
    #[track_caller]
    pub fn assert_no_bank_conflicts(&self) -> &Self {
        let conflicts = bank_conflicts(&self.report);
        assert!(conflicts.is_empty(), "accesses to shared memory meet bank conflicts:\n{}", conflicts.join("\n"));
        self
    }

    /// What the interpreter found and counted.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// What the whole launch counted: instructions, shared-memory bank
    /// conflicts, sectors of global memory. Per instruction it is in [`report`](Self::report).
    pub fn counts(&self) -> Counts {
        self.report.counters.total
    }
}

/// A line for each instruction that met bank conflicts.
fn bank_conflicts(report: &Report) -> Vec<String> {
    let line = |s: &SiteCounts| {
        let Counts { shared_passes, bank_conflicts, .. } = s.counts;
        let least = (shared_passes - bank_conflicts).max(1);
        format!(
            "  {}: {shared_passes} passes where {least} are needed, {}-way on average; let neighbouring lanes access \
             different banks (words modulo 32), for example by rows of one element more",
            s.site,
            shared_passes.div_ceil(least)
        )
    };
    report.counters.sites.iter().filter(|s| s.counts.bank_conflicts > 0).map(line).collect()
}
