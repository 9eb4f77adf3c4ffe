//! Conformance cases: what one form of the table must do, as text.
//!
//! A case is PTX with one kernel, `test`, and its data in comments, so that an
//! assembler takes it as it is and a runner on any device needs only
//! [`Case::parse`], a launch of one block, and [`Buffer::check`]. A file holds
//! the cases of an instruction, one after the other, each from its `form` on:
//!
//! ```text
//! //@ form add.u32         the form, and which one where a spelling has several
//! //@ block 64              threads of the one block; 32 where it is not said
//! //@ fails trap            where the launch has to end so
//! //@ in a u32              a buffer's elements before the launch
//! //@   00000000 ffffffff*7 00000001
//! //@ out d f32 ulp 2       its elements after it, and how far off they may be
//! //@   3f800000 7fffffff|80000000
//! //@ value p b32           a parameter passed by value
//! ```
//!
//! The kernel's parameters are the buffers and values in their order; a buffer
//! with `in` and `out` is one parameter, a pointer. Words are hexadecimal bits
//! of an element, `*n` repeats one and `|` allows several. A NaN equals any
//! NaN of its format. A buffer without `in` starts as bytes [`Buffer::UNSET`].
//!
//! The files are in this crate's `tests/conformance/cases`, and its
//! `tests/conformance/generate.py` writes them, from exact arithmetic of its
//! own.

mod check;
mod read;

pub use check::{Deviation, Mismatch};
pub use read::CaseError;

use crate::types::ScalarType;

/// One case.
#[derive(Clone, PartialEq, Debug)]
pub struct Case {
    /// The form that it is about, as the table spells it.
    pub form: String,
    /// Which one it is, where a spelling has several forms.
    pub variant: Option<String>,
    /// Threads of the one block.
    pub block: u32,
    /// How the launch has to fail; none if it has to succeed.
    pub fails: Option<Failure>,
    /// The kernel's parameters, in order.
    pub params: Vec<Param>,
    /// The PTX text, with the data.
    pub ptx: String,
}

/// How a launch has to fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// By `trap`.
    Trap,
}

/// A parameter of a case's kernel.
#[derive(Clone, PartialEq, Debug)]
pub enum Param {
    /// A pointer to global memory.
    Buffer(Buffer),
    /// An array passed by value: its bytes.
    Value(Vec<u8>),
}

/// A buffer in global memory.
#[derive(Clone, PartialEq, Debug)]
pub struct Buffer {
    /// The parameter's name.
    pub name: String,
    /// Element type.
    pub ty: ScalarType,
    /// Its bytes before the launch. Allocate it aligned to 256 bytes.
    pub initial: Vec<u8>,
    /// What it has to hold afterwards; none where it is only read.
    pub expected: Option<Expected>,
}

/// A buffer's contents after a launch.
#[derive(Clone, PartialEq, Debug)]
pub struct Expected {
    /// For each element the bits that are allowed, at least one.
    pub elements: Vec<Vec<u64>>,
    /// For floats: the error allowed, in units in the last place.
    pub ulp: f64,
    /// Or this absolute error, if that is larger.
    pub absolute: f64,
}

impl Case {
    /// What tells the case apart from all others: the form, and which one where a spelling has several.
    pub fn name(&self) -> String {
        match &self.variant {
            Some(variant) => format!("{}~{variant}", self.form),
            None => self.form.clone(),
        }
    }
}

impl Buffer {
    /// What an output buffer is filled with before the launch, so that a place
    /// that the kernel does not write shows.
    pub const UNSET: u8 = 0xa5;
}
