//! Dense numbers for the registers that a kernel uses.

use crate::ir::{Kernel, Reg};

/// Numbers the registers that appear in a kernel from 0, so that bit sets are
/// as long as the kernel needs, whatever it declares.
#[derive(Clone, Debug)]
pub struct RegNumbers {
    number: [Vec<u32>; 6],
    /// That of the carry flag.
    carry: u32,
    regs: Vec<Reg>,
}

const NONE: u32 = u32::MAX;

impl RegNumbers {
    /// Numbers a kernel's registers in order of appearance. Memory grows with
    /// the highest number that appears in each class.
    pub fn new(kernel: &Kernel) -> Self {
        let mut numbers = RegNumbers { number: Default::default(), carry: NONE, regs: Vec::new() };
        for (_, _, inst) in kernel.insts() {
            inst.uses().chain(inst.defs()).for_each(|r| numbers.add(r));
        }
        numbers
    }

    fn add(&mut self, reg: Reg) {
        if reg.is_carry() {
            if self.carry == NONE {
                self.carry = self.regs.len() as u32;
                self.regs.push(reg);
            }
            return;
        }
        let class = &mut self.number[reg.class as usize];
        let index = reg.index as usize;
        if class.len() <= index {
            class.resize(index + 1, NONE);
        }
        if class[index] == NONE {
            class[index] = self.regs.len() as u32;
            self.regs.push(reg);
        }
    }

    /// How many registers appear.
    pub fn len(&self) -> usize {
        self.regs.len()
    }

    /// The number of a register; none where it does not appear.
    pub fn get(&self, reg: Reg) -> Option<usize> {
        let number =
            if reg.is_carry() { Some(&self.carry) } else { self.number[reg.class as usize].get(reg.index as usize) };
        number.filter(|&&n| n != NONE).map(|&n| n as usize)
    }

    /// The register with a number.
    pub fn reg(&self, number: usize) -> Reg {
        self.regs[number]
    }
}
