//! Static instruction counts, by class.

use std::collections::BTreeMap;
use std::fmt;

use crate::ir::Kernel;
use crate::table::{Form, Meaning, Parts, Precision, Word};
use crate::types::{Kind, ScalarType, Space};

/// A class of instructions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum InstClass {
    /// Integer arithmetic, logic and shifts.
    Integer,
    /// Arithmetic on 16-bit floats and pairs of them.
    Half,
    /// f32 arithmetic.
    F32,
    /// f64 arithmetic.
    F64,
    /// Approximate functions.
    Approximate,
    /// Conversions between types.
    Convert,
    /// Comparison and selection.
    Compare,
    /// Moves, packing and unpacking.
    Move,
    /// Loads of parameters.
    LoadParam,
    /// Loads from global or generic memory.
    LoadGlobal,
    /// Loads from shared memory.
    LoadShared,
    /// Loads from const and local memory.
    LoadOther,
    /// Stores to global or generic memory.
    StoreGlobal,
    /// Stores to shared memory.
    StoreShared,
    /// Stores to local memory.
    StoreLocal,
    /// Atomics and reductions in memory.
    Atomic,
    /// Shuffles, votes, matches.
    Warp,
    /// Barriers and fences.
    Barrier,
    /// Asynchronous copies, mbarriers, prefetches.
    Async,
    /// Matrix instructions.
    Matrix,
    /// Branches, exits, traps, pauses.
    Control,
}

impl fmt::Display for InstClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Integer => "integer",
            Self::Half => "half",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::Approximate => "approximate",
            Self::Convert => "convert",
            Self::Compare => "compare",
            Self::Move => "move",
            Self::LoadParam => "load param",
            Self::LoadGlobal => "load global",
            Self::LoadShared => "load shared",
            Self::LoadOther => "load other",
            Self::StoreGlobal => "store global",
            Self::StoreShared => "store shared",
            Self::StoreLocal => "store local",
            Self::Atomic => "atomic",
            Self::Warp => "warp",
            Self::Barrier => "barrier",
            Self::Async => "async",
            Self::Matrix => "matrix",
            Self::Control => "control",
        })
    }
}

impl InstClass {
    /// The class of an instruction.
    pub fn of(form: &Form) -> InstClass {
        match &form.meaning {
            Meaning::Load(m) => match m.space {
                Space::Param => InstClass::LoadParam,
                Space::Global | Space::Generic => InstClass::LoadGlobal,
                Space::Shared => InstClass::LoadShared,
                Space::Local | Space::Const => InstClass::LoadOther,
            },
            Meaning::Store(m) => match m.space {
                Space::Shared => InstClass::StoreShared,
                Space::Local => InstClass::StoreLocal,
                Space::Global | Space::Generic | Space::Param | Space::Const => InstClass::StoreGlobal,
            },
            Meaning::Atomic(..) => InstClass::Atomic,
            Meaning::Approx(..) => InstClass::Approximate,
            Meaning::Prefetch(_) | Meaning::Discard(_) | Meaning::Async(_) => InstClass::Async,
            Meaning::Shuffle(_) | Meaning::Vote(_) | Meaning::ActiveMask => InstClass::Warp,
            Meaning::Barrier(_) | Meaning::Fence(_) => InstClass::Barrier,
            Meaning::Matrix(_) => InstClass::Matrix,
            Meaning::Call
            | Meaning::Foreign
            | Meaning::Opaque { .. }
            | Meaning::Branch
            | Meaning::Exit
            | Meaning::Trap
            | Meaning::Pause => InstClass::Control,
            Meaning::Lane(_) => InstClass::of_lane(form),
        }
    }

    /// The class of an instruction that computes on each lane.
    fn of_lane(form: &Form) -> InstClass {
        match form.precision {
            _ if form.word() == Word::Rebase => InstClass::Move,
            Precision::Moves | Precision::Bits(Parts::Pack | Parts::Unpack) => InstClass::Move,
            Precision::Converts { .. } => InstClass::Convert,
            Precision::Compares | Precision::Selects => InstClass::Compare,
            Precision::Nothing
            | Precision::Integer
            | Precision::IntegerProduct
            | Precision::Bits(Parts::Cut | Parts::Merge | Parts::Mix)
            | Precision::Exact { .. }
            | Precision::Rounds { .. }
            | Precision::Approximates { .. }
            | Precision::Loads
            | Precision::Stores
            | Precision::Updates { .. }
            | Precision::Copies
            | Precision::Lanes
            | Precision::MatrixProduct { .. }
            | Precision::Opaque => match form.last_type() {
                Some(ScalarType::F64) => InstClass::F64,
                Some(ScalarType::F32) => InstClass::F32,
                Some(ty) if ty.kind() == Kind::Float => InstClass::Half,
                _ => InstClass::Integer,
            },
        }
    }
}

/// Counts of a kernel's instructions as written; loops count once.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct InstCounts {
    /// Instructions by class; classes that do not occur are absent.
    pub by_class: BTreeMap<InstClass, u32>,
}

impl InstCounts {
    /// Counts a kernel.
    pub fn new(kernel: &Kernel) -> InstCounts {
        let mut counts = InstCounts::default();
        for (_, _, inst) in kernel.insts() {
            *counts.by_class.entry(InstClass::of(inst.form())).or_default() += 1;
        }
        counts
    }

    /// All instructions.
    pub fn total(&self) -> u32 {
        self.by_class.values().sum()
    }
}
