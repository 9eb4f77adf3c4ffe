//! Value numbers: which registers hold equal values at a point.
//!
//! Every definition gives its register a new number, copies share one, and a repeated expression gets the number of the
//! first. A number represents one value as long as some register has it. Where paths join, only registers with a single
//! definition keep theirs (that definition dominates the join, so everything computed from it afterwards was recomputed
//! whenever it was), and the others get new ones.

use std::collections::HashMap;

use smallvec::SmallVec;

use crate::ir::{Operand, Reg};
use crate::table::FormId;
use crate::types::RegClass;

/// The number of a value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct ValueId(u32);

/// A source of an expression.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Source {
    Value(ValueId),
    /// The opposite of a predicate.
    Not(ValueId),
    /// A register plus an offset, in an address.
    Address(ValueId, i32),
    /// Anything without registers.
    Other(Operand),
}

/// An expression: a form with its sources and the classes of its results
/// (a wide result is extended to its register).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Expression {
    pub form: FormId,
    pub sources: SmallVec<[Source; 5]>,
    pub results: SmallVec<[Option<RegClass>; 2]>,
}

/// Creates new numbers.
#[derive(Default)]
pub(super) struct Supply(u32);

impl Supply {
    fn fresh(&mut self) -> ValueId {
        self.0 += 1;
        ValueId(self.0)
    }
}

/// What is known at a program point.
#[derive(Clone, Default)]
pub(super) struct Known {
    current: HashMap<Reg, ValueId>,
    /// Registers that have held a value, in order.
    holders: HashMap<ValueId, SmallVec<[Reg; 2]>>,
    constants: HashMap<ValueId, (RegClass, u64)>,
    numbers: HashMap<(RegClass, u64), ValueId>,
    expressions: HashMap<Expression, ValueId>,
}

impl Known {
    /// The value that a register holds.
    pub fn value(&mut self, reg: Reg, supply: &mut Supply) -> ValueId {
        if let Some(&value) = self.current.get(&reg) {
            return value;
        }
        let value = supply.fresh();
        self.set(reg, value);
        value
    }

    /// The value of a constant of a class.
    pub fn constant_value(&mut self, class: RegClass, bits: u64, supply: &mut Supply) -> ValueId {
        let value = *self.numbers.entry((class, bits)).or_insert_with(|| supply.fresh());
        self.constants.insert(value, (class, bits));
        value
    }

    /// The bits of a value, if it is constant.
    pub fn constant(&self, value: ValueId) -> Option<u64> {
        self.constants.get(&value).map(|&(_, bits)| bits)
    }

    /// The bits in a register, if they are constant.
    pub fn constant_in(&self, reg: Reg) -> Option<u64> {
        self.current.get(&reg).and_then(|&v| self.constant(v))
    }

    /// A register now holds this value.
    pub fn set(&mut self, reg: Reg, value: ValueId) {
        self.current.insert(reg, value);
        let holders = self.holders.entry(value).or_default();
        if !holders.contains(&reg) {
            holders.push(reg);
        }
    }

    /// A register now has an unknown value.
    pub fn forget(&mut self, reg: Reg, supply: &mut Supply) -> ValueId {
        let value = supply.fresh();
        self.set(reg, value);
        value
    }

    /// The register of a class that has had this value longest.
    pub fn holder(&self, value: ValueId, class: RegClass) -> Option<Reg> {
        let holders = self.holders.get(&value)?;
        holders.iter().copied().find(|r| r.class == class && self.current.get(r) == Some(&value))
    }

    /// The register that has had a register's value longest.
    pub fn oldest(&self, reg: Reg) -> Reg {
        self.current.get(&reg).and_then(|&v| self.holder(v, reg.class)).unwrap_or(reg)
    }

    /// Whether two registers hold the same value.
    pub fn same(&self, a: Reg, b: Reg) -> bool {
        a == b || self.current.get(&a).is_some_and(|v| self.current.get(&b) == Some(v))
    }

    /// The value of an expression, if it has been computed.
    pub fn find(&self, expression: &Expression) -> Option<ValueId> {
        self.expressions.get(expression).copied()
    }

    /// An expression has this value.
    pub fn remember(&mut self, expression: Expression, value: ValueId) {
        self.expressions.insert(expression, value);
    }

    /// What is still known where another path may join: only the values of these registers.
    pub fn keep(&mut self, stable: impl Fn(Reg) -> bool) {
        self.current.retain(|&reg, _| stable(reg));
    }
}
