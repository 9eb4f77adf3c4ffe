//! What all blocks of a launch share.

use super::bytes::Bytes;
use super::gate::Gate;
use super::homes::Home;
use super::index::{IndexStep, IndexSteps};
use super::layout::Layout;
use super::memory::Memory;
use super::program::Program;
use super::site::Site;
use super::sync::Device;
use super::wide::Wide;
use super::{Options, WarpOrder};
use crate::ir::{BlockId, Kernel, Module};
use crate::table::WARP;

/// What all blocks of a launch share.
pub(super) struct Context<'a> {
    pub module: &'a Module,
    pub kernel: &'a Kernel,
    pub program: Program,
    /// Where 32-bit indices are computed; empty where they are not followed.
    pub index: IndexSteps,
    /// What each instruction's accesses are to stay in.
    pub homes: Vec<Home>,
    pub layout: Layout,
    pub memory: &'a Memory,
    pub params: Bytes,
    pub consts: Bytes,
    pub grid: [u32; 3],
    pub block: [u32; 3],
    pub dynamic_shared: u32,
    pub options: &'a Options,
    pub device: Device,
    pub gate: Gate,
    /// What shadow precision needs; none where it is off.
    pub wide: Option<Wide>,
}

impl Context<'_> {
    pub fn threads(&self) -> u32 {
        self.block.iter().product()
    }

    pub fn warps(&self) -> usize {
        self.threads().div_ceil(WARP as u32) as usize
    }

    pub fn index_step(&self, pc: u32) -> Option<&IndexStep> {
        self.index.steps.get(pc as usize)?.as_ref()
    }

    /// What the accesses of an instruction are to stay in.
    pub fn home(&self, pc: u32) -> Home {
        self.homes.get(pc as usize).copied().unwrap_or_default()
    }

    pub fn is_adversarial(&self) -> bool {
        self.options.order == WarpOrder::Adversarial
    }

    /// `%ctaid` of a block number.
    pub fn ctaid(&self, block: u64) -> [u32; 3] {
        let [x, y, _] = self.grid.map(u64::from);
        [(block % x) as u32, (block / x % y) as u32, (block / x / y) as u32]
    }

    /// An instruction, for people.
    pub fn site(&self, pc: u32) -> Site {
        let Some(&(block, index, _)) = self.program.sites.get(pc as usize) else {
            // mutants: same, nobody comes there: a kernel ends in an exit
            let block = BlockId(self.kernel.blocks.len().saturating_sub(1) as u32);
            // mutants: same, nobody comes there: a kernel ends in an exit
            return Site { loc: self.kernel.loc.clone(), text: "the kernel's end".to_owned(), block, index: 0 };
        };
        let inst = &self.kernel.blocks[block.0 as usize].insts[index];
        Site { loc: inst.loc.clone(), text: super::text::inst(self.module, self.kernel, inst), block, index }
    }
}
