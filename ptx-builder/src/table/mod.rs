//! The instruction table, the only place that knows an opcode.
//!
//! A [`Row`] is an instruction of the PTX ISA with its section and meaning. It expands into [`Form`]s, one for each
//! spelling (`add.rn.f32`, `add.rz.f32`, ...). The builder looks a form up by [`Op`] and [`Mod`]s, the parser by its
//! text, the printer writes its name, the verifier checks operands against its [`Slot`]s and targets against its
//! minimum versions, and the interpreter executes its [`Meaning`]. The row also states the effect on precision
//! ([`Precision`]). The memory that it accesses, the lanes that must converge and what it orders follow from the
//! meaning, and its [`Word`] says what can be known about its results from its sources.
//!
//! To add an instruction, add a row to the file of its chapter below (and its
//! mnemonic to [`Op`], new modifiers to [`Mod`]); everything else follows.

mod arith;
mod effects;
mod element;
mod facts;
mod form;
mod lanes;
mod loose;
mod meaning;
mod modifier;
mod op;
mod product;
mod rounding;
mod rows;
mod slot;
mod special;
#[cfg(test)]
mod tests;
pub mod window;
mod word;

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

pub use effects::{Bytes, Groups, Meets, MemoryAccess, Proxy, Role};
pub use element::Element;
pub use facts::{Clamp, Parts, Precision, Real};
pub use form::{Form, FormId, Row, RowId};
pub use lanes::{LaneFn, Lanes, WARP};
pub(crate) use meaning::PENDING_BITS;
pub use meaning::{
    Async, Atomic, Barrier, BarrierReduce, Depends, Fence, Meaning, Memory, Order, Scope, Shuffle, Tolerance, Vote,
};
pub use meaning::{CALL_ARGUMENTS, MOST_OPAQUE_OPERANDS, MOST_OPAQUE_RESULTS};
pub use modifier::{Mod, Mods};
pub use op::Op;
pub use product::{Fragment, Layout, Matrix, Part, Product, Sum};
pub use rounding::Rounding;
pub use slot::{Access, Shape, Slot};
pub use special::SpecialReg;
pub use word::{Relation, Word};

/// The table, expanded.
pub struct Table {
    rows: Vec<Row>,
    forms: Vec<Form>,
    /// How many of the rows and forms are instructions; those of opaque text follow.
    listed: (usize, usize),
    by_key: HashMap<(Op, Mods), FormId>,
    by_name: HashMap<String, Vec<FormId>>,
    /// By [`loose::key`], created when the first spelling is not in `by_name`.
    by_loose_name: OnceLock<HashMap<String, Vec<FormId>>>,
}

static TABLE: LazyLock<Table> = LazyLock::new(rows::expand);

/// The instruction table.
pub fn table() -> &'static Table {
    &TABLE
}

impl Table {
    /// Every row.
    pub fn rows(&self) -> &[Row] {
        &self.rows[..self.listed.0]
    }

    /// Every form, by number. (Text that the table does not know has forms of its own, [`Op::Opaque`], which are not
    /// among them.)
    pub fn forms(&self) -> &[Form] {
        &self.forms[..self.listed.1]
    }

    fn row(&self, id: RowId) -> &Row {
        &self.rows[usize::from(id.0)]
    }

    fn form(&self, id: FormId) -> &Form {
        &self.forms[usize::from(id.0)]
    }

    /// The form with this opcode and exactly these modifiers, in this order.
    pub fn find(&self, op: Op, mods: &[Mod]) -> Option<FormId> {
        // A borrowed key would need a second key type; Mods is inline storage.
        self.by_key.get(&(op, Mods::from_slice(mods))).copied()
    }

    /// The forms written `name`, in its canonical spelling or in another that PTX accepts (`ld.shared::cta.u32`,
    /// `atom.global.cta.add.u32`). There are several if one spelling takes operands of different shapes, such as
    /// `mov.b64`.
    pub fn named(&self, name: &str) -> &[FormId] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// The forms written `name` with the modifiers in any order that the
    /// assembler takes (`div.ftz.rn.f32`), and with `.weak` where that changes
    /// nothing.
    pub fn loosely_named(&self, name: &str) -> &[FormId] {
        match self.named(name) {
            [] => loose::find(self, name),
            found => found,
        }
    }

    /// Every spelling, for suggestions.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }
}
