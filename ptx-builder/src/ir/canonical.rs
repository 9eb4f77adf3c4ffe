//! The canonical division of a kernel into basic blocks.

use super::{Block, BlockId, Inst, Kernel, Operand};

impl Kernel {
    /// Divides the instructions into blocks again, so that every block except the first is a branch target or follows a
    /// terminator, only the last may be empty, and terminators are last in their block. This is the form that the
    /// printed text determines: parsing it gives the same blocks.
    ///
    /// Branches to blocks that do not exist get the target [`BlockId`]`(u32::MAX)`, which the verifier reports.
    pub fn canonicalize(&mut self) {
        let mut targeted = vec![false; self.blocks.len()];
        for inst in self.blocks.iter().flat_map(|b| &b.insts) {
            for op in &inst.operands {
                if let Operand::Label(BlockId(b)) = *op
                    && let Some(t) = targeted.get_mut(b as usize)
                {
                    *t = true;
                }
            }
        }
        let mut blocks = vec![Block::default()];
        let mut moved = Vec::with_capacity(self.blocks.len());
        let mut ended = false;
        for (block, targeted) in std::mem::take(&mut self.blocks).into_iter().zip(targeted) {
            let empty = blocks.last().is_none_or(|b| b.insts.is_empty());
            if targeted && (ended || !empty) {
                blocks.push(Block::default());
                ended = false;
            }
            // The entry of a block that is not a target is not used.
            moved.push(BlockId((blocks.len() - 1) as u32));
            for inst in block.insts {
                if ended {
                    blocks.push(Block::default());
                }
                ended = ends_block(&inst);
                if let Some(last) = blocks.last_mut() {
                    last.insts.push(inst);
                }
            }
        }
        for op in blocks.iter_mut().flat_map(|b| &mut b.insts).flat_map(|i| &mut i.operands) {
            if let Operand::Label(b) = op {
                *b = moved.get(b.0 as usize).copied().unwrap_or(BlockId(u32::MAX));
            }
        }
        self.blocks = blocks;
    }
}

/// Whether a block ends after this instruction.
fn ends_block(inst: &Inst) -> bool {
    inst.form().meaning.ends_block()
}

#[cfg(test)]
mod tests {
    use smallvec::smallvec;

    use super::*;
    use crate::table::{Op, table};

    fn inst(op: Op, operands: &[Operand]) -> Inst {
        let form = table().find(op, &[]).unwrap();
        Inst { form, guard: None, operands: operands.iter().copied().collect(), loc: None }
    }

    fn kernel(blocks: Vec<Vec<Inst>>) -> Kernel {
        let mut k = Kernel::new("k");
        k.blocks = blocks.into_iter().map(|insts| Block { insts }).collect();
        k
    }

    fn bra(b: u32) -> Inst {
        inst(Op::Bra, &[Operand::Label(BlockId(b))])
    }

    #[test]
    fn empty_and_untargeted_blocks_join_their_neighbours() {
        let (exit, trap) = (inst(Op::Exit, &[]), inst(Op::Trap, &[]));
        let mut k = kernel(vec![vec![], vec![], vec![trap.clone()], vec![], vec![bra(1)], vec![], vec![exit.clone()]]);
        k.canonicalize();
        assert_eq!(k, kernel(vec![vec![trap], vec![bra(0)], vec![exit]]));
    }

    #[test]
    fn code_after_a_terminator_starts_a_block() {
        let exit = inst(Op::Exit, &[]);
        let mut k = kernel(vec![vec![exit.clone(), bra(0)], vec![exit.clone(), bra(1)]]);
        k.canonicalize();
        assert_eq!(k, kernel(vec![vec![exit.clone()], vec![bra(0)], vec![exit], vec![bra(2)]]));
    }

    #[test]
    fn a_targeted_empty_end_stays_and_a_missing_target_is_marked() {
        let mut k = kernel(vec![vec![bra(1)], vec![]]);
        k.canonicalize();
        assert_eq!(k, kernel(vec![vec![bra(1)], vec![]]));
        let mut k = kernel(vec![vec![bra(7)], vec![]]);
        k.canonicalize();
        assert_eq!(k.blocks.len(), 1);
        assert_eq!(
            k.blocks[0].insts[0].operands,
            smallvec![Operand::Label(BlockId(u32::MAX))] as smallvec::SmallVec<[_; 5]>
        );
    }
}
