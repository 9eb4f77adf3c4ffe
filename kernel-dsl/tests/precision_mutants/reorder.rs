//! The same kernel in another order and with other register names.

use ptxgen_builder::ir::{Address, Base, Inst, Kernel, Operand, Reg};
use ptxgen_builder::table::Op;

use crate::random::Random;

/// Swaps neighbours that have nothing to do with each other and renumbers the registers of every
/// class. Gives how many instructions changed places.
pub fn shuffle(kernel: &mut Kernel, random: &mut Random) -> usize {
    let mut moved = 0;
    for block in &mut kernel.blocks {
        for _ in 0..3 {
            for i in 1..block.insts.len() {
                if random.below(2) == 0 && independent(&block.insts[i - 1], &block.insts[i]) {
                    block.insts.swap(i - 1, i);
                    moved += 1;
                }
            }
        }
    }
    let numbers: Vec<Vec<u32>> = kernel
        .registers
        .iter()
        .map(|&n| {
            let mut order: Vec<u32> = (0..n).collect();
            (1..order.len()).rev().for_each(|i| order.swap(i, random.below(i + 1)));
            order
        })
        .collect();
    let renamed = |r: Reg| Reg { class: r.class, index: numbers[r.class as usize][r.index as usize] };
    for inst in kernel.blocks.iter_mut().flat_map(|b| &mut b.insts) {
        if let Some(guard) = &mut inst.guard {
            guard.reg = renamed(guard.reg);
        }
        for operand in &mut inst.operands {
            *operand = match *operand {
                Operand::Reg(r) => Operand::Reg(renamed(r)),
                Operand::NotPred(r) => Operand::NotPred(renamed(r)),
                Operand::Address(Address { base: Base::Reg(r), offset }) => {
                    Operand::Address(Address { base: Base::Reg(renamed(r)), offset })
                }
                other => other,
            };
        }
    }
    kernel.names.clear();
    moved
}

/// Whether neither needs the other's place: only registers, and none in common that one writes.
fn independent(a: &Inst, b: &Inst) -> bool {
    let plain = |i: &Inst| {
        let computes = matches!(
            i.form().op,
            Op::Mov
                | Op::Pack
                | Op::Unpack
                | Op::Add
                | Op::Sub
                | Op::Mul
                | Op::Fma
                | Op::Mad
                | Op::Cvt
                | Op::And
                | Op::Shl
                | Op::Shr
        );
        computes && i.guard.is_none() && i.defs().next().is_some()
    };
    let apart = |x: &Inst, y: &Inst| x.defs().all(|d| y.uses().all(|u| u != d) && y.defs().all(|e| e != d));
    plain(a) && plain(b) && apart(a, b) && apart(b, a)
}
