//! A mistake of every kind in an operand, and the rule that finds it.

use super::*;
use crate::ir::BlockId;
use crate::table::SpecialReg;
use crate::verify::testing::{K, at, imm};

/// One instruction with these operands between nothing and `ret`.
#[track_caller]
fn one(mut k: K, name: &str, operands: &[Operand]) -> (K, u32) {
    let line = k.i(name, operands);
    k.i("ret", &[]);
    (k, line)
}

/// A call passes as many values as the function takes, in registers that are wide enough.
#[test]
fn what_calls_pass() {
    let passed = |ty| crate::ir::Passed { ty, len: None, align: None };
    let call = |ty: ScalarType, class: RegClass, count: usize| {
        let mut k = K::new();
        k.module.externs = vec![crate::ir::Extern { name: "f".to_owned(), results: vec![], params: vec![passed(ty)] }];
        let r = k.reg(class);
        k.i("mov.u32", &[r.into(), imm(1)]);
        let mut operands = vec![Operand::Function(0), Operand::None];
        operands.extend((0..count).map(|_| Operand::Reg(r)));
        let width = crate::table::table().named("call")[0].get().width();
        operands.resize(width, Operand::None);
        one(k, "call", &operands)
    };
    let (k, _) = call(ScalarType::B32, RegClass::B32, 1);
    k.accept();
    let (k, line) = call(ScalarType::B64, RegClass::B32, 1);
    let message = k.reject(Rule::OperandType, line);
    assert!(message.contains("'f' passes a b64 and %r0 has 32 bits"), "{message}");
    for count in [0, 2] {
        let (k, line) = call(ScalarType::B32, RegClass::B32, count);
        k.reject(Rule::OperandCount, line);
    }
}

#[test]
fn too_few_operands() {
    let mut k = K::new();
    let r = k.reg(RegClass::B32);
    let (k, line) = one(k, "add.s32", &[r.into(), imm(1)]);
    let message = k.reject(Rule::OperandCount, line);
    assert!(message.contains("3 operands (d, a, b)"), "{message}");
}

#[test]
fn an_address_where_a_value_stands() {
    let mut k = K::new();
    let r = k.reg(RegClass::B32);
    let p = k.pointer("p", 4);
    let (k, line) = one(k, "add.s32", &[r.into(), at(p, 0), imm(1)]);
    k.reject(Rule::OperandKind, line);
    let mut k = K::new();
    let r = k.reg(RegClass::B32);
    let (k, line) = one(k, "mov.u32", &[imm(1), r.into()]);
    assert!(
        k.verify()
            .expect_err("a constant result")
            .0
            .iter()
            .any(|e| { e.rule == Rule::OperandKind && e.loc.as_ref().is_some_and(|l| l.line == line) })
    );
}

#[test]
fn a_register_of_another_class() {
    let mut k = K::new();
    let r = k.reg(RegClass::B64);
    let (k, line) = one(k, "add.s32", &[r.into(), imm(1), imm(2)]);
    let message = k.reject(Rule::OperandType, line);
    assert!(message.contains("operand 'd' of add.s32 is a s32 and %rd0 is declared b64"), "{message}");
}

#[test]
fn vector_elements_of_two_sizes() {
    let mut k = K::new();
    let p = k.pointer("p", 8);
    let (narrow, wide, address) = (k.reg(RegClass::B32), k.reg(RegClass::B64), k.reg(RegClass::B64));
    k.i("ld.param.u64", &[address.into(), at(p, 0)]);
    let (k, line) = one(k, "ld.global.v2.u32", &[narrow.into(), wide.into(), at(address, 0)]);
    let message = k.reject(Rule::OperandType, line);
    assert!(message.contains("%r0 has 32 bits, %rd0 64"), "{message}");
}

#[test]
fn a_constant_where_the_hardware_has_a_byte() {
    let mut k = K::new();
    let r = k.reg(RegClass::B32);
    let (k, line) = one(k, "bfe.u32", &[r.into(), imm(7), imm(256), imm(1)]);
    k.reject(Rule::ConstantRange, line);
}

#[test]
fn a_pair_of_halves_in_a_float_register() {
    let mut k = K::new();
    let (pair, float) = (k.reg(RegClass::B32), k.reg(RegClass::F32));
    k.i("mov.f32", &[float.into(), imm(0)]);
    let (k, line) = one(k, "abs.f16x2", &[pair.into(), float.into()]);
    k.reject(Rule::OperandType, line);
}

#[test]
fn a_special_register_of_another_size() {
    let mut k = K::new();
    let r = k.reg(RegClass::B64);
    let (k, line) = one(k, "mov.u64", &[r.into(), Operand::Special(SpecialReg::TidX)]);
    k.reject(Rule::OperandType, line);
}

#[test]
fn an_undeclared_register() {
    let k = K::new();
    let r = Reg { class: RegClass::B32, index: 7 };
    let (k, line) = one(k, "mov.u32", &[r.into(), imm(1)]);
    k.reject(Rule::Register, line);
}

#[test]
fn a_constant_beyond_its_type() {
    let mut k = K::new();
    let r = k.reg(RegClass::B16);
    let (k, line) = one(k, "mov.u16", &[r.into(), imm(0x1_0000)]);
    k.reject(Rule::ConstantRange, line);
}

#[test]
fn a_constant_that_the_instruction_lacks() {
    let mut k = K::new();
    let [to, from] = k.regs(RegClass::B64);
    k.i("mov.u64", &[to.into(), imm(0)]);
    k.i("mov.u64", &[from.into(), imm(0)]);
    let line = k.i("cp.async.ca.shared.global", &[at(to, 0), at(from, 0), imm(5), Operand::None]);
    k.i("ret", &[]);
    let message = k.reject(Rule::ConstantRange, line);
    assert!(message.contains("one of [4, 8, 16] and is 5"), "{message}");
}

#[test]
fn one_register_written_twice() {
    let mut k = K::new();
    let r = k.reg(RegClass::B32);
    let wide = k.reg(RegClass::B64);
    k.i("mov.u64", &[wide.into(), imm(0)]);
    let line = k.i("ld.global.v2.u32", &[r.into(), r.into(), at(wide, 0)]);
    k.i("ret", &[]);
    k.reject(Rule::DuplicateResult, line);
}

#[test]
fn a_guard_that_is_no_predicate() {
    let mut k = K::new();
    let [a, b] = k.regs(RegClass::B32);
    k.i("mov.u32", &[a.into(), imm(1)]);
    let line = k.push(Some((a, false)), "mov.u32", &[b.into(), imm(1)]);
    k.i("ret", &[]);
    k.reject(Rule::Guard, line);
}

#[test]
fn an_undeclared_symbol() {
    let mut k = K::new();
    let r = k.reg(RegClass::B64);
    let (k, line) = one(k, "ld.param.u64", &[r.into(), at(Symbol::Param(3), 0)]);
    k.reject(Rule::Symbol, line);
}

#[test]
fn a_symbol_of_another_space() {
    let mut k = K::new();
    let r = k.reg(RegClass::B32);
    let s = k.shared("tile", 64, 4);
    let (k, line) = one(k, "ld.global.u32", &[r.into(), at(s, 0)]);
    let message = k.reject(Rule::Space, line);
    assert!(message.contains("'tile' lies in shared space"), "{message}");
}

#[test]
fn an_address_in_a_narrow_register() {
    let mut k = K::new();
    let [a, r] = k.regs(RegClass::B32);
    k.i("mov.u32", &[a.into(), imm(0)]);
    let (k, line) = one(k, "ld.global.u32", &[r.into(), at(a, 0)]);
    k.reject(Rule::AddressRegister, line);
}

#[test]
fn a_branch_to_nowhere() {
    let mut k = K::new();
    let line = k.i("bra", &[Operand::Label(BlockId(9))]);
    k.reject(Rule::Label, line);
}
