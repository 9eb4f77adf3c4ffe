//! Rows and forms.

use std::fmt;

use super::{Matrix, Meaning, Mods, Op, Precision, Real, Rounding, Slot, table};
use crate::target::{Features, PtxVersion, Target};

/// An instruction of the PTX ISA, as a family of forms with one meaning.
#[derive(Clone, Debug)]
pub struct Row {
    /// The opcode.
    pub op: Op,
    /// The section of the PTX ISA that defines it.
    pub section: &'static str,
    /// What it does, in one line.
    pub doc: &'static str,
    /// The first of its forms.
    pub first: FormId,
    /// How many forms it has.
    pub len: u16,
}

impl Row {
    /// Its forms.
    pub fn forms(&self) -> &'static [Form] {
        let first = usize::from(self.first.0);
        &table().forms()[first..first + usize::from(self.len)]
    }
}

/// The number of a row in the table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct RowId(pub(super) u16);

impl RowId {
    /// Its index in the table's rows.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The row.
    pub fn get(self) -> &'static Row {
        table().row(self)
    }
}

/// The number of a form in the table. Only the table creates them, so a lookup cannot fail.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FormId(pub(super) u16);

impl FormId {
    /// The form.
    pub fn get(self) -> &'static Form {
        table().form(self)
    }

    /// Its number, dense from 0, for counters.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Debug for FormId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.get().name)
    }
}

/// One spelling of an instruction: the opcode with all its modifiers.
#[derive(Clone, Debug)]
pub struct Form {
    /// Its number.
    pub id: FormId,
    /// The row it belongs to.
    pub row: RowId,
    /// The opcode.
    pub op: Op,
    /// The modifiers, in writing order.
    pub mods: Mods,
    /// The whole spelling, such as `ld.global.nc.v4.b32`.
    pub name: String,
    /// Its operands.
    pub slots: Vec<Slot>,
    /// Its meaning.
    pub meaning: Meaning,
    /// Its effect on precision.
    pub precision: Precision,
    /// The first PTX version with it.
    pub least_ptx: PtxVersion,
    /// The minimum `sm_` with it.
    pub least_sm: u16,
    /// Whether only targets with specific or family features have it (`sm_100a`, `sm_100f`).
    pub is_specific: bool,
    /// The last `sm_` with it.
    pub most_sm: u16,
}

impl Form {
    /// Whether `target` has this instruction.
    pub fn is_legal_on(&self, target: Target) -> bool {
        (self.least_sm..=self.most_sm).contains(&target.sm())
            && (!self.is_specific || target.features() != Features::Common)
    }

    /// Whether the interpreter supports it; it rejects others by name.
    pub fn is_run(&self) -> bool {
        !matches!(self.meaning, Meaning::Foreign | Meaning::Opaque { .. } | Meaning::Matrix(Matrix::Foreign))
    }

    /// The number of its operands, vectors flattened and optional ones included.
    pub fn width(&self) -> usize {
        self.slots.iter().map(Slot::width).sum()
    }
}

impl Form {
    /// The rounding that is written in this form, so that the result's bits are fixed.
    pub fn rounding(&self) -> Option<Rounding> {
        self.mods.iter().find_map(|&m| Rounding::of(m))
    }

    /// Whether this is a float `add`, `sub` or `mul` with no rounding written: to nearest, but an
    /// assembler may contract a product and a sum into an fma.
    pub fn leaves_rounding_open(&self) -> bool {
        let fused = |real| matches!(real, Real::Add | Real::Sub | Real::Mul);
        matches!(self.precision, Precision::Rounds { real, mode: None, .. } if fused(real))
    }
}
