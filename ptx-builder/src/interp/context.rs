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
use crate::table::{WARP, window};

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
    /// Blocks of a cluster; one where there are no clusters.
    pub cluster: [u32; 3],
    pub dynamic_shared: u32,
    pub options: &'a Options,
    pub device: Device,
    pub gate: Gate,
    /// What shadow precision needs; none where it is off.
    pub wide: Option<Wide>,
}

impl Context<'_> {
    /// Threads of a block.
    pub fn threads(&self) -> u32 {
        self.block.iter().product()
    }

    /// Warps of a block.
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

    /// Blocks of a cluster.
    pub fn blocks(&self) -> u32 {
        self.cluster.iter().product()
    }

    /// Whether the kernel or the launch names a cluster.
    pub fn names_cluster(&self) -> bool {
        self.options.named_cluster(self.kernel).is_some()
    }

    /// Clusters in x, y and z.
    pub fn clusters(&self) -> [u32; 3] {
        std::array::from_fn(|d| self.grid[d] / self.cluster[d].max(1))
    }

    /// The rank in its cluster of the block of a cluster's warp.
    pub fn rank(&self, warp: u32) -> u32 {
        warp / self.warps() as u32
    }

    /// `%warpid` of a cluster's warp.
    pub fn warp_in_block(&self, warp: u32) -> u32 {
        warp % self.warps() as u32
    }

    /// `%clusterid` of a cluster's number.
    pub fn clusterid(&self, cluster: u64) -> [u32; 3] {
        place(cluster, self.clusters())
    }

    /// `%cluster_ctaid` of a rank.
    pub fn cluster_ctaid(&self, rank: u32) -> [u32; 3] {
        place(u64::from(rank), self.cluster)
    }

    /// `%ctaid` of the block of a cluster's warp.
    pub fn ctaid(&self, cluster: u64, warp: u32) -> [u32; 3] {
        let (cluster, block) = (self.clusterid(cluster), self.cluster_ctaid(self.rank(warp)));
        std::array::from_fn(|d| cluster[d] * self.cluster[d] + block[d])
    }

    /// A shared address as its block's code has it: without the rank. A little before a block's memory is before the
    /// memory of the block of this warp.
    pub fn block_address(&self, address: u64, warp: u32) -> u64 {
        if self.blocks() == 1 {
            return address;
        }
        match window::shared_rank(address) {
            rank if rank < self.blocks() && window::shared_offset(address) <= self.layout.shared_bytes => {
                window::shared_offset(address)
            }
            _ => u64::from(address.wrapping_sub(window::shared_base(self.rank(warp))) as u32),
        }
    }

    /// A warp of a cluster, for people.
    pub fn warp_name(&self, warp: u32) -> String {
        match self.blocks() {
            1 => format!("warp {warp}"),
            _ => format!("block {} of the cluster, warp {}", self.rank(warp), self.warp_in_block(warp)),
        }
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

/// Where number `n` lies in a shape, the first dimension first.
fn place(n: u64, shape: [u32; 3]) -> [u32; 3] {
    let [x, y, _] = shape.map(|extent| u64::from(extent.max(1)));
    [(n % x) as u32, (n / x % y) as u32, (n / x / y) as u32]
}
