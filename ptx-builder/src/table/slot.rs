//! Operand slots: the operands of a form, in their order.

use crate::types::{ScalarType, Space};

/// Whether an operand is a result or a source.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Access {
    /// A source.
    Read,
    /// A result.
    Write,
}

/// What is allowed in a slot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Shape {
    /// A register of the type, or (as a source) a constant.
    Value(ScalarType),
    /// A register only.
    Register(ScalarType),
    /// A register of the type or wider, or (as a source) a constant: the data
    /// operands of loads, stores and conversions (PTX ISA 9.4.1).
    Wide(ScalarType),
    /// A source of `mov`: a value, a special register or a variable's address.
    Move(ScalarType),
    /// A predicate register; as a source it may be negated, or a constant, where `bool` is true.
    Predicate(bool),
    /// `{a, b, ...}` of registers, of the type or wider where `relaxed`.
    Vector {
        /// Element type.
        ty: ScalarType,
        /// Elements.
        len: u8,
        /// Whether wider registers are allowed.
        relaxed: bool,
    },
    /// A constant from `least` to `most`, both included.
    Const {
        /// Its type.
        ty: ScalarType,
        /// Smallest value.
        least: i64,
        /// Largest value.
        most: i64,
    },
    /// A register of the type, or a constant from 0 to `most`.
    Small {
        /// The type.
        ty: ScalarType,
        /// Largest constant.
        most: u32,
    },
    /// One of these constants.
    OneOf(ScalarType, &'static [i64]),
    /// `[address]` in a space.
    Address(Space),
    /// A branch target.
    Label,
    /// A function of another module.
    Function,
    /// An argument or result of a function: a register or a constant, of the type that the function declares.
    Passed,
    /// The carry flag, which is not part of the text.
    Carry,
    /// Text that the table does not know.
    Text,
    /// A result that there is not: `_`.
    Sink,
}

/// One operand of a form.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Slot {
    /// The operand's name in the PTX ISA: d, a, b, c, ...
    pub name: &'static str,
    /// Result or source.
    pub access: Access,
    /// What is allowed here.
    pub shape: Shape,
    /// Whether it may be omitted: an omitted first result is written `_`, other omitted operands are not written.
    /// Optional sources are trailing. (A predicate result that follows another result is written after a bar, `d|p`,
    /// optional or not.)
    pub optional: bool,
}

impl Slot {
    /// Number of IR operands.
    pub fn width(&self) -> usize {
        match self.shape {
            Shape::Vector { len, .. } => usize::from(len),
            _ => 1,
        }
    }

    /// The operand type; `None` for addresses and labels.
    pub fn ty(&self) -> Option<ScalarType> {
        match self.shape {
            Shape::Value(ty)
            | Shape::Register(ty)
            | Shape::Wide(ty)
            | Shape::Move(ty)
            | Shape::Vector { ty, .. }
            | Shape::Small { ty, .. }
            | Shape::Const { ty, .. }
            | Shape::OneOf(ty, _) => Some(ty),
            Shape::Predicate(_) | Shape::Carry => Some(ScalarType::Pred),
            Shape::Address(_) | Shape::Label | Shape::Function | Shape::Passed | Shape::Text | Shape::Sink => None,
        }
    }

    /// The same slot, optional.
    pub const fn optional(mut self) -> Slot {
        self.optional = true;
        self
    }

    /// The same slot under another name.
    pub const fn named(mut self, name: &'static str) -> Slot {
        self.name = name;
        self
    }
}

/// A result slot `d`.
pub(super) const fn dst(ty: ScalarType) -> Slot {
    Slot { name: "d", access: Access::Write, shape: Shape::Value(ty), optional: false }
}

/// A result slot that takes wider registers.
pub(super) const fn dst_wide(ty: ScalarType) -> Slot {
    Slot { name: "d", access: Access::Write, shape: Shape::Wide(ty), optional: false }
}

/// A predicate result.
pub(super) const fn dst_pred() -> Slot {
    Slot { name: "p", access: Access::Write, shape: Shape::Predicate(false), optional: false }
}

/// A source slot `name`.
pub(super) const fn src(name: &'static str, ty: ScalarType) -> Slot {
    Slot { name, access: Access::Read, shape: Shape::Value(ty), optional: false }
}

/// A source that must be a register.
pub(super) const fn src_reg(name: &'static str, ty: ScalarType) -> Slot {
    Slot { name, access: Access::Read, shape: Shape::Register(ty), optional: false }
}

/// A source slot that takes wider registers.
pub(super) const fn src_wide(name: &'static str, ty: ScalarType) -> Slot {
    Slot { name, access: Access::Read, shape: Shape::Wide(ty), optional: false }
}

/// A source predicate, which may be negated, or a constant.
pub(super) const fn src_pred(name: &'static str) -> Slot {
    Slot { name, access: Access::Read, shape: Shape::Predicate(true), optional: false }
}

/// A vector result or source.
pub(super) const fn vector(name: &'static str, access: Access, ty: ScalarType, len: u8, relaxed: bool) -> Slot {
    Slot { name, access, shape: Shape::Vector { ty, len, relaxed }, optional: false }
}

/// A constant.
pub(super) const fn constant(name: &'static str, ty: ScalarType, least: i64, most: i64) -> Slot {
    Slot { name, access: Access::Read, shape: Shape::Const { ty, least, most }, optional: false }
}

/// A source slot `name` whose constants go from 0 to `most`.
pub(super) const fn small(name: &'static str, ty: ScalarType, most: u32) -> Slot {
    Slot { name, access: Access::Read, shape: Shape::Small { ty, most }, optional: false }
}

/// A constant out of a list.
pub(super) const fn one_of(name: &'static str, ty: ScalarType, values: &'static [i64]) -> Slot {
    Slot { name, access: Access::Read, shape: Shape::OneOf(ty, values), optional: false }
}

/// A memory operand.
pub(super) const fn address(name: &'static str, space: Space) -> Slot {
    Slot { name, access: Access::Read, shape: Shape::Address(space), optional: false }
}

/// A function of another module.
pub(super) const fn function() -> Slot {
    Slot { name: "func", access: Access::Read, shape: Shape::Function, optional: false }
}

/// What is passed to a function (`a`, ..) or from it.
pub(super) const fn passed(name: &'static str, access: Access) -> Slot {
    Slot { name, access, shape: Shape::Passed, optional: true }
}

/// The carry flag.
pub(super) const fn carry(access: Access) -> Slot {
    Slot { name: "CC.CF", access, shape: Shape::Carry, optional: false }
}

/// Text that the table does not know.
pub(super) const fn text() -> Slot {
    Slot { name: "text", access: Access::Read, shape: Shape::Text, optional: false }
}

/// No result.
pub(super) const fn sink() -> Slot {
    Slot { name: "state", access: Access::Write, shape: Shape::Sink, optional: false }
}

/// A branch target.
pub(super) const fn label() -> Slot {
    Slot { name: "target", access: Access::Read, shape: Shape::Label, optional: false }
}
