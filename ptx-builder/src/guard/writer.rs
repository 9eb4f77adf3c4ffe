//! A kernel that is being rewritten: instructions are appended to the open block, and new blocks are started.

use smallvec::SmallVec;

use crate::ir::{Address, Base, Block, BlockId, Guard, Inst, Kernel, Loc, Operand, Reg};
use crate::table::{Mod, Op, table};
use crate::types::{RegClass, ScalarType};

/// A jump target: a block of the original kernel by its number, or a new one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Label(u32);

/// The kernel that is being generated.
pub(super) struct Writer {
    pub kernel: Kernel,
    blocks: Vec<Block>,
    /// The start of the kernel.
    prologue: Block,
    /// The position of each label.
    places: Vec<u32>,
    /// The source line for the next instruction.
    pub loc: Option<Loc>,
}

/// The guard of an instruction, if any.
pub(super) fn when(reg: Reg) -> Option<Guard> {
    Some(Guard { reg, negated: false })
}

/// Where a predicate does not hold.
pub(super) fn unless(reg: Reg) -> Option<Guard> {
    Some(Guard { reg, negated: true })
}

/// The memory at a register's address plus bytes.
pub(super) fn memory(base: Reg, offset: i32) -> Operand {
    Operand::Address(Address { base: Base::Reg(base), offset })
}

impl Writer {
    /// For a kernel without blocks.
    pub(super) fn new(original: &Kernel) -> Writer {
        let mut kernel = original.clone();
        let places = vec![u32::MAX; kernel.blocks.len()];
        kernel.blocks.clear();
        Writer { loc: kernel.loc.clone(), kernel, blocks: vec![Block::default()], prologue: Block::default(), places }
    }

    /// The label of a block of the original kernel.
    pub(super) fn original(&self, block: BlockId) -> Label {
        Label(block.0)
    }

    pub(super) fn new_label(&mut self) -> Label {
        self.places.push(u32::MAX);
        Label(self.places.len() as u32 - 1)
    }

    /// Starts a block with a label.
    pub(super) fn place(&mut self, label: Label) {
        self.places[label.0 as usize] = self.blocks.len() as u32;
        self.blocks.push(Block::default());
    }

    pub(super) fn reg(&mut self, class: RegClass) -> Reg {
        self.kernel.new_reg(class)
    }

    /// Appends an instruction; one that may leave ends its block.
    pub(super) fn push(&mut self, inst: Inst) {
        let ends = inst.form().meaning.ends_block();
        if let Some(block) = self.blocks.last_mut() {
            block.insts.push(inst);
        }
        if ends {
            self.blocks.push(Block::default());
        }
    }

    /// Appends an instruction of the table.
    ///
    /// # Panics
    /// If the table has no such form: an error in this module, which its tests would show.
    pub(super) fn emit(&mut self, guard: Option<Guard>, op: Op, mods: &[Mod], operands: &[Operand]) {
        let Some(form) = table().find(op, mods) else { panic!("the instruction table has no {op} with {mods:?}") };
        let operands = SmallVec::from_slice(operands);
        self.push(Inst { form, guard, operands, loc: self.loc.clone() });
    }

    /// Appends an instruction to the kernel's start.
    pub(super) fn prologue(&mut self, op: Op, mods: &[Mod], operands: &[Operand]) {
        let Some(form) = table().find(op, mods) else { panic!("the instruction table has no {op} with {mods:?}") };
        let (operands, loc) = (SmallVec::from_slice(operands), self.kernel.loc.clone());
        self.prologue.insts.push(Inst { form, guard: None, operands, loc });
    }

    pub(super) fn branch(&mut self, guard: Option<Guard>, label: Label) {
        self.emit(guard, Op::Bra, &[], &[Operand::Label(BlockId(label.0))]);
    }

    /// A new register with an instruction's result.
    pub(super) fn compute(&mut self, class: RegClass, op: Op, mods: &[Mod], sources: &[Operand]) -> Reg {
        let d = self.reg(class);
        let mut operands: SmallVec<[Operand; 5]> = smallvec::smallvec![d.into()];
        operands.extend_from_slice(sources);
        self.emit(None, op, mods, &operands);
        d
    }

    /// `a cmp b`, and with `also`, `(a cmp b) op c`.
    pub(super) fn test(
        &mut self,
        cmp: Mod,
        ty: ScalarType,
        a: Operand,
        b: Operand,
        also: Option<(Mod, Operand)>,
    ) -> Reg {
        match also {
            None => self.compute(RegClass::Pred, Op::Setp, &[cmp, Mod::Ty(ty)], &[Operand::None, a, b]),
            Some((with, c)) => {
                self.compute(RegClass::Pred, Op::SetpBool, &[cmp, with, Mod::Ty(ty)], &[Operand::None, a, b, c])
            }
        }
    }

    /// Sets a register to a small constant: 0 or, for a predicate, true.
    pub(super) fn clear(&mut self, guard: Option<Guard>, reg: Reg, value: u64) {
        let ty = match reg.class {
            RegClass::Pred => ScalarType::Pred,
            RegClass::B16 => ScalarType::B16,
            RegClass::B32 => ScalarType::B32,
            RegClass::B64 => ScalarType::B64,
            RegClass::F32 => ScalarType::F32,
            RegClass::F64 => ScalarType::F64,
        };
        self.emit(guard, Op::Mov, &[Mod::Ty(ty)], &[reg.into(), Operand::Imm(value)]);
    }

    /// The kernel, its labels resolved.
    pub(super) fn finish(mut self) -> Kernel {
        for inst in self.blocks.iter_mut().flat_map(|b| &mut b.insts) {
            for operand in &mut inst.operands {
                if let Operand::Label(BlockId(label)) = operand {
                    *label = self.places.get(*label as usize).copied().unwrap_or(u32::MAX);
                }
            }
        }
        // Nothing after the last instruction that leaves is reachable.
        while self.blocks.len() > 1 && self.blocks.last().is_some_and(|b| b.insts.is_empty()) {
            self.blocks.pop();
        }
        // The first block is not a target: it takes the kernel's start.
        if let Some(first) = self.blocks.first_mut() {
            first.insts.splice(0..0, self.prologue.insts);
        }
        self.kernel.blocks = self.blocks;
        self.kernel.canonicalize();
        self.kernel
    }
}
