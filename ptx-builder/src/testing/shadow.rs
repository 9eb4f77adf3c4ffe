//! The errors of a run's outputs against their shadows.

use std::fmt;

use half::{bf16, f16};

use super::outcome::{HarnessError, Outcome, Written};
use crate::interp::{BufferErrors, Decision, IntegerRounding, Measured, ShadowEnd};
use crate::types::ScalarType;

/// An output's errors.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct OutputErrors {
    /// The parameter.
    pub name: String,
    /// Number of its elements, of the type with which it was passed.
    pub elements: usize,
    /// Number of infinities or NaNs among them, which have no shadow.
    pub not_finite: usize,
    /// How far the others are from exact arithmetic without rounding.
    pub errors: BufferErrors,
}

/// The result of a run with shadow precision: [`Harness::shadow`](super::Harness::shadow).
#[derive(Debug)]
pub struct Shadow {
    outcome: Outcome,
    outputs: Vec<OutputErrors>,
    measured: Measured,
}

impl Shadow {
    pub(super) fn new(outcome: Outcome, measured: Measured) -> Shadow {
        let one = |written: &Written| {
            let bytes = outcome.memory.read(written.buffer).unwrap_or_default();
            OutputErrors {
                name: written.name.clone(),
                elements: bytes.len() / written.ty.bytes().max(1) as usize,
                not_finite: not_finite(written.ty, &bytes),
                errors: measured.of(written.buffer),
            }
        };
        let outputs = outcome.results.iter().map(one).collect();
        Shadow { outcome, outputs, measured }
    }

    /// The errors of an `output` or `inout` buffer.
    ///
    /// # Errors
    /// If there is no such buffer.
    pub fn output(&self, name: &str) -> Result<&OutputErrors, HarnessError> {
        self.outputs.iter().find(|o| o.name == name).ok_or_else(|| HarnessError::NoResult {
            name: name.to_owned(),
            known: self.outputs.iter().map(|o| o.name.clone()).collect(),
        })
    }

    /// The errors of all outputs, in the order of the parameters.
    pub fn outputs(&self) -> &[OutputErrors] {
        &self.outputs
    }

    /// The lines that rounded floats to integers. An integer represents its float when it is converted back; otherwise
    /// it counts as exact, and so does a float that is rounded to an integral one: a choice, like a branch.
    pub fn integers(&self) -> &[IntegerRounding] {
        &self.measured.integers
    }

    /// The lines with comparisons that exact numbers would have decided otherwise. The run, and its shadows, followed
    /// the run's own numbers.
    pub fn decisions(&self) -> &[Decision] {
        &self.measured.decisions
    }

    /// The lines whose results count as exact although what they were made of is not: errors may be larger than is told.
    pub fn ends(&self) -> &[ShadowEnd] {
        &self.measured.ends
    }

    /// All inexact elements.
    pub fn measured(&self) -> &Measured {
        &self.measured
    }

    /// The outcome of the run, with the same bits as without shadow precision.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }
}

/// A paragraph for each output, then a line for each line that rounded to integers, decided otherwise, or is not followed.
impl fmt::Display for Shadow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.outputs.iter().try_for_each(|output| writeln!(f, "{output}"))?;
        self.measured.integers.iter().try_for_each(|rounding| writeln!(f, "{rounding}"))?;
        self.measured.decisions.iter().try_for_each(|decision| writeln!(f, "{decision}"))?;
        self.measured.ends.iter().try_for_each(|end| writeln!(f, "{end}"))
    }
}

impl fmt::Display for OutputErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} of {} elements are inexact", self.name, self.errors.inexact, self.elements)?;
        if self.not_finite > 0 {
            write!(f, ", {} infinite or NaN", self.not_finite)?;
        }
        if self.errors.inexact > 0 { write!(f, "; {}", self.errors) } else { Ok(()) }
    }
}

/// The number of infinities and NaNs of a type.
fn not_finite(ty: ScalarType, bytes: &[u8]) -> usize {
    let count = |size: usize, is_finite: &dyn Fn(u64) -> bool| {
        let bits = |chunk: &[u8]| chunk.iter().rev().fold(0, |all, &byte| all << 8 | u64::from(byte));
        bytes.chunks_exact(size).filter(|chunk| !is_finite(bits(chunk))).count()
    };
    match ty {
        ScalarType::F64 => count(8, &|b| f64::from_bits(b).is_finite()),
        ScalarType::F32 => count(4, &|b| f32::from_bits(b as u32).is_finite()),
        ScalarType::F16 => count(2, &|b| f16::from_bits(b as u16).is_finite()),
        ScalarType::Bf16 => count(2, &|b| bf16::from_bits(b as u16).is_finite()),
        _ => 0,
    }
}
