//! Names of blocks.

use std::collections::HashSet;
use std::fmt;

use crate::ir::{BlockId, Kernel, Kind, Numbers, Operand};

/// The labels of a kernel's blocks. They are not the blocks' indices, which change with every block before; each is
/// named after its first instruction (see [`Kernel::renumber`]). Reading a text numbers the blocks by their order,
/// whatever their labels.
pub(super) struct Labels {
    numbers: Vec<u32>,
    targets: HashSet<BlockId>,
}

impl Labels {
    pub fn of(kernel: &Kernel) -> Labels {
        let operands = kernel.blocks.iter().flat_map(|b| &b.insts).flat_map(|i| &i.operands);
        let targets: HashSet<BlockId> =
            operands.filter_map(|op| if let Operand::Label(b) = op { Some(*b) } else { None }).collect();
        let mut numbers = vec![0; kernel.blocks.len()];
        let mut given = Numbers::default();
        // The labels do not depend on blocks without a label.
        for printed in [true, false] {
            for (i, block) in kernel.blocks.iter().enumerate() {
                if targets.contains(&BlockId(i as u32)) == printed {
                    numbers[i] = given.next(block.insts.first().map_or(Kind::EMPTY, |inst| Kind::of(kernel, inst)));
                }
            }
        }
        Labels { numbers, targets }
    }

    /// Whether a branch names the block.
    pub fn is_target(&self, block: BlockId) -> bool {
        self.targets.contains(&block)
    }

    /// The block's label; its index if there is no such block.
    pub fn label(&self, block: BlockId) -> Label {
        Label(self.numbers.get(block.0 as usize).copied().unwrap_or(block.0))
    }
}

/// A label.
pub(super) struct Label(u32);

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "$L{}", self.0)
    }
}
