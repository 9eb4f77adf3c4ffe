//! Memory that instructions read and write, as places whose contents are followed.

use smallvec::SmallVec;

use crate::analysis::roots::Roots;
use crate::analysis::{InstId, KernelInfo, Origin};
use crate::ir::{Inst, Kernel, Module, Operand};
use crate::table::{Meaning, Memory, Precision, Shape};
use crate::types::Space;

/// A part of memory: an array or a buffer, or all of a space where the address is not followed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Place {
    pub space: Space,
    pub origin: Option<Origin>,
}

impl Place {
    /// Whether both may be the same memory. Arrays and buffers do not overlap.
    pub(super) fn meets(self, other: Place) -> bool {
        match (self.origin, other.origin) {
            (Some(a), Some(b)) => a == b,
            (None, _) | (_, None) => {
                self.space == other.space || self.space == Space::Generic || other.space == Space::Generic
            }
        }
    }
}

/// What an instruction reads and writes.
#[derive(Clone, Default, Debug)]
pub(super) struct Touched {
    pub reads: SmallVec<[Place; 1]>,
    pub writes: SmallVec<[Place; 1]>,
}

impl Touched {
    /// Only numbers are read: what a barrier in memory holds is none, but it is written there.
    pub(super) fn new(module: &Module, kernel: &Kernel, info: &KernelInfo, roots: &Roots, id: InstId) -> Touched {
        let inst = info.inst(kernel, id);
        let mut touched = Touched::default();
        // A function of another module may write through any pointer that it is given, and text that the table does not
        // know anywhere.
        let called = inst.operands.iter().find_map(|o| if let Operand::Function(f) = o { Some(*f) } else { None });
        let stores = called.is_some_and(|f| module.externs.get(f as usize).is_none_or(|f| !f.only_tells()));
        if stores || matches!(inst.form().meaning, Meaning::Opaque { memory: true, .. }) {
            touched.writes.push(Place { space: Space::Generic, origin: None });
        }
        if !inst.form().slots.iter().any(|s| matches!(s.shape, Shape::Address(_))) {
            return touched;
        }
        let numbers = match inst.form().precision {
            Precision::Loads | Precision::Stores | Precision::Updates { .. } | Precision::Copies => true,
            Precision::Nothing
            | Precision::Integer
            | Precision::IntegerProduct
            | Precision::Compares
            | Precision::Moves
            | Precision::Bits(_)
            | Precision::Selects
            | Precision::Exact { .. }
            | Precision::Rounds { .. }
            | Precision::Approximates { .. }
            | Precision::Converts { .. }
            | Precision::Lanes
            | Precision::MatrixProduct { .. }
            | Precision::Opaque => false,
        };
        for access in inst.form().accesses() {
            if matches!(access.space, Space::Const | Space::Param) {
                continue;
            }
            let operand = inst.slots().find(|(s, _)| s.name == access.slot).and_then(|(_, ops)| ops.first());
            let Some(operand) = operand else { continue };
            let origin = roots.only(info.operand(module, kernel, id, operand).origin, info, id, operand);
            let place = Place { space: access.space, origin };
            // Of a copy, neither the destination nor the barrier is read.
            if numbers && access.reads && access.slot != "dst" && access.slot != "mbar" {
                touched.reads.push(place);
            }
            if access.writes {
                touched.writes.push(place);
            }
        }
        touched
    }
}

/// The type, elements and order of a load's or store's access; none of others.
pub(super) fn access(inst: &Inst) -> Option<Memory> {
    let form = inst.form();
    form.memory().copied().filter(|_| matches!(form.precision, Precision::Loads | Precision::Stores))
}
