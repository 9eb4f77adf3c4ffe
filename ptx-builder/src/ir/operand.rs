//! Operands.

use std::fmt;

use crate::table::SpecialReg;
use crate::types::RegClass;

/// The number of a block in its kernel, which is its place in the text too.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct BlockId(pub u32);

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "$L{}", self.0)
    }
}

/// A virtual register: its class and its number in that class, from 0. Its
/// `Display` is its name in PTX, such as `%rd3`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Reg {
    /// The class, which gives the size.
    pub class: RegClass,
    /// The number within the class.
    pub index: u32,
}

impl Reg {
    /// The carry flag of the condition code, which `add.cc` and similar instructions write and read (PTX ISA 9.7.2). It
    /// has no declaration and is not an operand in the text.
    pub const CARRY: Reg = Reg { class: RegClass::Pred, index: u32::MAX };

    /// Whether it is [`Reg::CARRY`].
    pub const fn is_carry(self) -> bool {
        matches!(self.class, RegClass::Pred) && self.index == u32::MAX
    }
}

impl fmt::Display for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_carry() {
            return f.write_str("CC.CF");
        }
        write!(f, "{}{}", self.class.prefix(), self.index)
    }
}

/// A name to which an instruction can refer, as an index into its declarations.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Symbol {
    /// [`Kernel::params`](super::Kernel::params).
    Param(u32),
    /// [`Kernel::variables`](super::Kernel::variables): shared and local arrays of a kernel.
    Kernel(u32),
    /// [`Module::variables`](super::Module::variables).
    Module(u32),
}

/// The base of an address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Base {
    /// A register; 64 bits, or 32 for shared and local space.
    Reg(Reg),
    /// A parameter or variable.
    Symbol(Symbol),
}

/// A memory operand, `[base+offset]`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Address {
    /// The base.
    pub base: Base,
    /// Bytes added to it.
    pub offset: i32,
}

/// One operand. A vector operand, `{a, b}`, is as many consecutive operands as the form's [`Slot`](crate::table::Slot)
/// says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Operand {
    /// A register.
    Reg(Reg),
    /// A source predicate that is negated, `!%p1`.
    NotPred(Reg),
    /// A constant: the bits of a value of the operand's type, zero-extended
    /// from that type's size.
    Imm(u64),
    /// A special register such as `%tid.x`.
    Special(SpecialReg),
    /// The address of a variable, plus bytes.
    Symbol(Symbol, i32),
    /// A memory operand.
    Address(Address),
    /// A branch target.
    Label(BlockId),
    /// A function of another module: [`Module::externs`](super::Module::externs).
    Function(u32),
    /// Text that the table does not know: [`Kernel::texts`](super::Kernel::texts).
    Text(u32),
    /// An unused destination, `_`, or an optional operand left out.
    None,
}

impl From<Reg> for Operand {
    fn from(reg: Reg) -> Self {
        Operand::Reg(reg)
    }
}
