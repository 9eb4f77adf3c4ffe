//! Operands against the slots of the form.

use super::Rule;
use super::error::Errors;
use crate::ir::{Address, Base, Inst, Kernel, Module, Operand, Reg, Symbol};
use crate::table::{Access, Mod, Op, Shape, Slot};
use crate::types::{Kind, RegClass, ScalarType, Space};

/// What a symbol names: its space and, where known, its name and size in bytes.
pub(super) struct Named<'m> {
    pub(super) name: &'m str,
    pub(super) space: Space,
    /// Bytes; none where the launch sets it.
    pub(super) bytes: Option<u64>,
}

/// What a symbol names; none where nothing is declared under its index.
pub(super) fn resolve<'m>(module: &'m Module, kernel: &'m Kernel, symbol: Symbol) -> Option<Named<'m>> {
    let variable = match symbol {
        Symbol::Param(i) => {
            let p = kernel.params.get(i as usize)?;
            let bytes = u64::from(p.ty.bytes()) * u64::from(p.len.unwrap_or(1));
            return Some(Named { name: &p.name, space: Space::Param, bytes: Some(bytes) });
        }
        Symbol::Kernel(i) => kernel.variables.get(i as usize)?,
        Symbol::Module(i) => module.variables.get(i as usize)?,
    };
    let bytes = variable.len.and_then(|_| variable.bytes());
    Some(Named { name: &variable.name, space: variable.space, bytes })
}

/// Checks the operands of an instruction.
pub(super) fn check(module: &Module, kernel: &Kernel, inst: &Inst, errors: &mut Errors) {
    let form = inst.form();
    let check = Check { module, kernel, inst };
    if let Some(guard) = inst.guard {
        if guard.reg.class != RegClass::Pred {
            let message = format!("the guard {} is no predicate register; compare it with `setp` first", guard.reg);
            errors.inst(kernel, inst, Rule::Guard, message);
        }
        check.declared(guard.reg, errors);
    }
    if inst.operands.len() != form.width() {
        let names: Vec<&str> = form.slots.iter().map(|s| s.name).collect();
        let message = format!(
            "{} takes {} operands ({}), vectors laid flat, and has {}",
            form.name,
            form.width(),
            names.join(", "),
            inst.operands.len()
        );
        return errors.inst(kernel, inst, Rule::OperandCount, message);
    }
    for (slot, operands) in inst.slots() {
        for operand in operands {
            check.operand(slot, operand, errors);
        }
        check.sizes(slot, operands, errors);
    }
    check.duplicate_results(errors);
}

struct Check<'m> {
    module: &'m Module,
    kernel: &'m Kernel,
    inst: &'m Inst,
}

impl Check<'_> {
    fn report(&self, rule: Rule, message: String, errors: &mut Errors) {
        errors.inst(self.kernel, self.inst, rule, message);
    }

    fn declared(&self, reg: Reg, errors: &mut Errors) {
        let count = self.kernel.registers[reg.class as usize];
        if reg.index >= count && !reg.is_carry() {
            let message =
                format!("register {reg} is not declared: the kernel has {count} of class {}", reg.class.declared());
            self.report(Rule::Register, message, errors);
        }
    }

    /// One operand against its slot.
    fn operand(&self, slot: &Slot, operand: &Operand, errors: &mut Errors) {
        let source = slot.access == Access::Read;
        match (slot.shape, operand) {
            (_, Operand::None) if slot.optional => {}
            (Shape::Sink, Operand::None) => {}
            // A result of several that is not wanted.
            (Shape::Vector { .. }, Operand::None) if !source => {}
            (Shape::Carry, Operand::Reg(r)) if r.is_carry() => {}
            (Shape::Passed, Operand::Reg(r)) => self.declared(*r, errors),
            (Shape::Passed, Operand::Imm(_)) if source => {}
            (Shape::Function, Operand::Function(i)) => self.function(*i, errors),
            (Shape::Text, Operand::Text(i)) => self.text(*i, errors),
            (Shape::Value(ty) | Shape::Register(ty) | Shape::Move(ty) | Shape::Small { ty, .. }, Operand::Reg(r)) => {
                self.register(slot, *r, ty, false, errors);
            }
            (Shape::Wide(ty), Operand::Reg(r)) => self.register(slot, *r, ty, true, errors),
            (Shape::Vector { ty, relaxed, .. }, Operand::Reg(r)) => self.register(slot, *r, ty, relaxed, errors),
            (Shape::Predicate(_), Operand::Reg(r)) => self.register(slot, *r, ScalarType::Pred, false, errors),
            (Shape::Predicate(true) | Shape::Move(ScalarType::Pred), Operand::NotPred(r)) if source => {
                self.register(slot, *r, ScalarType::Pred, false, errors);
            }
            (Shape::Predicate(true), Operand::Imm(bits)) => {
                self.constant_fits(slot, *bits, ScalarType::Pred, errors);
            }
            (Shape::Value(ty) | Shape::Wide(ty) | Shape::Vector { ty, .. }, Operand::Imm(_))
                if source && !ty.has_constants() =>
            {
                let message = format!(
                    "PTX has no constants of type {ty} and operand '{}' is one; move its bits into a register first",
                    slot.name
                );
                self.report(Rule::OperandKind, message, errors);
            }
            (Shape::Value(ty) | Shape::Wide(ty) | Shape::Move(ty), Operand::Imm(bits))
                if source && (ty != ScalarType::Pred || matches!(slot.shape, Shape::Move(_))) =>
            {
                self.constant_fits(slot, *bits, ty, errors);
            }
            // Compilers write constants among the registers of a vector.
            (Shape::Vector { ty, .. }, Operand::Imm(bits)) if source => {
                self.constant_fits(slot, *bits, ty, errors);
            }
            (Shape::Const { ty, least, most }, Operand::Imm(bits)) => {
                if self.constant_fits(slot, *bits, ty, errors) {
                    self.constant_range(slot, *bits, least, most, errors);
                }
            }
            (Shape::Small { most, .. }, Operand::Imm(bits)) => {
                self.constant_range(slot, *bits, 0, most.into(), errors);
            }
            (Shape::OneOf(ty, values), Operand::Imm(bits)) => {
                if self.constant_fits(slot, *bits, ty, errors) && !values.iter().any(|&v| v as u64 == *bits) {
                    let message = format!("operand '{}' must be one of {values:?} and is {bits}", slot.name);
                    self.report(Rule::ConstantRange, message, errors);
                }
            }
            (Shape::Move(ty), Operand::Special(s)) if self.space_named().is_none() => {
                if !s.moves_as(ty) {
                    let message = format!("{s} has type {} and cannot be moved as {ty}", s.ty());
                    self.report(Rule::OperandType, message, errors);
                }
            }
            (Shape::Move(ty), Operand::Symbol(symbol, _)) => self.symbol_value(*symbol, ty, errors),
            (Shape::Address(space), Operand::Address(a)) => self.address(a, space, errors),
            (Shape::Label, Operand::Label(b)) => {
                if b.0 as usize >= self.kernel.blocks.len() {
                    let message =
                        format!("the branch goes to {b} and the kernel has {} blocks", self.kernel.blocks.len());
                    self.report(Rule::Label, message, errors);
                }
            }
            (shape, operand) => {
                let message = format!(
                    "operand '{}' of {} takes {} and is {}",
                    slot.name,
                    self.inst.form().name,
                    wanted(shape, slot),
                    kind_of(operand)
                );
                self.report(Rule::OperandKind, message, errors);
            }
        }
    }

    /// A text is the kernel's, exists on the target, and can be guarded as a whole.
    fn text(&self, text: u32, errors: &mut Errors) {
        let Some(text) = self.kernel.texts.get(text as usize) else {
            let message = format!("there is no text {text}; the kernel has {}", self.kernel.texts.len());
            return self.report(Rule::Symbol, message, errors);
        };
        if self.module.target.sm() < text.least_sm {
            let message = format!(
                "`{}` needs sm_{} or later and the module is for {}; choose a later target or another instruction",
                text.short(),
                text.least_sm,
                self.module.target
            );
            self.report(Rule::TargetInstruction, message, errors);
        }
        if self.inst.guard.is_some() && (text.body().contains(';') || text.body().starts_with('{')) {
            let message = format!("`{}` is several statements, which have no common guard", text.short());
            self.report(Rule::Guard, message, errors);
        }
    }

    /// What a call passes is what the function declares.
    fn function(&self, function: u32, errors: &mut Errors) {
        let Some(function) = self.module.externs.get(function as usize) else {
            let message = format!(
                "there is no function {function} of another module; {} are declared",
                self.module.externs.len()
            );
            return self.report(Rule::Symbol, message, errors);
        };
        let name = &function.name;
        let mut operands = self.inst.operands.iter().skip(1);
        let result = operands.next().filter(|op| **op != Operand::None);
        let given: Vec<&Operand> = operands.filter(|op| **op != Operand::None).collect();
        let (takes, gives) = (function.params.len(), function.results.len());
        if given.len() != takes || usize::from(result.is_some()) > gives {
            let message =
                format!("'{name}' takes {takes} values and gives {gives}, and the call passes {}", given.len());
            return self.report(Rule::OperandCount, message, errors);
        }
        for (operand, passed) in
            given.into_iter().zip(&function.params).chain(result.into_iter().zip(&function.results))
        {
            if let Operand::Reg(r) = operand
                && r.class.bits().max(8) < passed.ty.bits()
            {
                let message = format!("'{name}' passes a {} and {r} has {} bits", passed.ty, r.class.bits());
                self.report(Rule::OperandType, message, errors);
            }
        }
    }

    fn register(&self, slot: &Slot, reg: Reg, ty: ScalarType, relaxed: bool, errors: &mut Errors) {
        self.declared(reg, errors);
        if !reg.class.accepts(ty, relaxed) {
            let message = format!(
                "operand '{}' of {} is a {ty}{} and {reg} is declared {}; move or convert the value first",
                slot.name,
                self.inst.form().name,
                if relaxed { " (or wider)" } else { "" },
                reg.class.declared()
            );
            self.report(Rule::OperandType, message, errors);
        }
    }

    /// Registers of a vector have one size, wider than the element or not.
    fn sizes(&self, slot: &Slot, operands: &[Operand], errors: &mut Errors) {
        let mut registers = operands.iter().filter_map(|op| if let Operand::Reg(r) = op { Some(*r) } else { None });
        let Some(first) = registers.next() else { return };
        if let Some(other) = registers.find(|r| r.class.bits() != first.class.bits()) {
            let message = format!(
                "the elements of vector '{}' must have one size, and {first} has {} bits, {other} {}",
                slot.name,
                first.class.bits(),
                other.class.bits()
            );
            self.report(Rule::OperandType, message, errors);
        }
    }

    fn constant_fits(&self, slot: &Slot, bits: u64, ty: ScalarType, errors: &mut Errors) -> bool {
        let fits = ty.bits() >= 64 || bits >> ty.bits() == 0;
        if !fits {
            let message =
                format!("constant {bits:#x} of operand '{}' has more than the {} bits of a {ty}", slot.name, ty.bits());
            self.report(Rule::ConstantRange, message, errors);
        }
        fits
    }

    fn constant_range(&self, slot: &Slot, bits: u64, least: i64, most: i64, errors: &mut Errors) {
        // Their types are unsigned.
        let value = i128::from(bits);
        if value < i128::from(least) || value > i128::from(most) {
            let message = format!("operand '{}' must be from {least} to {most} and is {value}", slot.name);
            self.report(Rule::ConstantRange, message, errors);
        }
    }

    /// `mov` of a variable's address.
    fn symbol_value(&self, symbol: Symbol, ty: ScalarType, errors: &mut Errors) {
        let Some(named) = resolve(self.module, self.kernel, symbol) else {
            return self.undeclared(symbol, errors);
        };
        let narrow = matches!(named.space, Space::Shared | Space::Local);
        let integer = !matches!(ty.kind(), Kind::Float | Kind::Pred);
        if !(integer && (ty.bits() == 64 || ty.bits() == 32 && narrow)) {
            let message = format!(
                "the address of '{}' ({}) has 64 bits{} and cannot be moved as {ty}",
                named.name,
                named.space,
                if narrow { " or 32" } else { "" }
            );
            self.report(Rule::OperandType, message, errors);
        }
        if let Some(space) = self.space_named().filter(|space| *space != named.space) {
            let name = &self.inst.form().name;
            let message = format!("'{}' lies in {} space and {name} takes {space} space", named.name, named.space);
            self.report(Rule::Space, message, errors);
        }
    }

    /// The space whose addresses an instruction takes as values.
    fn space_named(&self) -> Option<Space> {
        let form = self.inst.form();
        match form.op {
            Op::Mapa | Op::Getctarank => Some(Space::Shared),
            Op::Cvta => form.mods.iter().find_map(|m| match m {
                Mod::Global => Some(Space::Global),
                Mod::Shared | Mod::SharedCluster => Some(Space::Shared),
                Mod::Local => Some(Space::Local),
                Mod::Const => Some(Space::Const),
                Mod::Param => Some(Space::Param),
                _ => None,
            }),
            _ => None,
        }
    }

    fn undeclared(&self, symbol: Symbol, errors: &mut Errors) {
        let (what, i, n) = match symbol {
            Symbol::Param(i) => ("parameter", i, self.kernel.params.len()),
            Symbol::Kernel(i) => ("variable of the kernel", i, self.kernel.variables.len()),
            Symbol::Module(i) => ("variable of the module", i, self.module.variables.len()),
        };
        self.report(Rule::Symbol, format!("there is no {what} {i}; {n} are declared"), errors);
    }

    fn address(&self, address: &Address, space: Space, errors: &mut Errors) {
        match address.base {
            Base::Reg(reg) => {
                self.declared(reg, errors);
                let narrow = matches!(space, Space::Shared | Space::Local);
                if !(reg.class == RegClass::B64 || reg.class == RegClass::B32 && narrow) {
                    let bits = if narrow { "64 or 32" } else { "64" };
                    let message =
                        format!("an address in {space} space is an integer register of {bits} bits, not {reg}");
                    self.report(Rule::AddressRegister, message, errors);
                }
            }
            Base::Symbol(symbol) => {
                let Some(named) = resolve(self.module, self.kernel, symbol) else {
                    return self.undeclared(symbol, errors);
                };
                if named.space != space {
                    let message = format!(
                        "'{}' lies in {} space and {} accesses {space} space",
                        named.name,
                        named.space,
                        self.inst.form().name
                    );
                    self.report(Rule::Space, message, errors);
                }
            }
        }
    }

    fn duplicate_results(&self, errors: &mut Errors) {
        let mut seen: smallvec::SmallVec<[Reg; 8]> = smallvec::SmallVec::new();
        for reg in self.inst.defs() {
            if seen.contains(&reg) {
                let message = format!("{reg} is written twice by one instruction; its value would be undefined");
                self.report(Rule::DuplicateResult, message, errors);
            }
            seen.push(reg);
        }
    }
}

fn wanted(shape: Shape, slot: &Slot) -> String {
    let constant = if slot.access == Access::Read { " or a constant" } else { "" };
    match shape {
        Shape::Value(ty) | Shape::Wide(ty) => format!("a {ty} register{constant}"),
        Shape::Register(ty) => format!("a {ty} register"),
        Shape::Small { ty, most } => format!("a {ty} register or a constant from 0 to {most}"),
        Shape::Move(ty) => format!("a {ty} register, a constant, a special register or an address"),
        Shape::Predicate(_) => "a predicate register".to_owned(),
        Shape::Vector { ty, len, .. } => format!("{len} {ty} registers"),
        Shape::Const { ty, .. } | Shape::OneOf(ty, _) => format!("a {ty} constant"),
        Shape::Address(space) => format!("an address in {space} space"),
        Shape::Label => "a label".to_owned(),
        Shape::Function => "a function of another module".to_owned(),
        Shape::Text => "text that the table does not know".to_owned(),
        Shape::Passed => "a register or a constant".to_owned(),
        Shape::Carry => "the carry flag".to_owned(),
        Shape::Sink => "nothing, which is written `_`,".to_owned(),
    }
}

fn kind_of(operand: &Operand) -> String {
    match operand {
        Operand::Reg(r) => format!("register {r}"),
        Operand::NotPred(r) => format!("negated predicate !{r}"),
        Operand::Imm(bits) => format!("constant {bits:#x}"),
        Operand::Special(s) => format!("special register {s}"),
        Operand::Symbol(..) => "the address of a symbol".to_owned(),
        Operand::Address(_) => "a memory operand".to_owned(),
        Operand::Label(b) => format!("label {b}"),
        Operand::Function(i) => format!("function {i}"),
        Operand::Text(i) => format!("text {i}"),
        Operand::None => "left out".to_owned(),
    }
}

#[cfg(test)]
mod tests;
