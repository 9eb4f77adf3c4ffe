//! What lanes do that do not come to an instruction when others of their warp do.

use super::bits::{self, BitMatrix};
use super::{InstId, KernelInfo, Uniformity};
use crate::ir::{BlockId, Inst, Kernel};
use crate::table::{Barrier, Meaning};

/// What lanes that go elsewhere come to first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Away {
    /// They exit, or come to the same instruction after all.
    Exit,
    /// They may come to a `bar.warp.sync`.
    WarpBarrier,
    /// They may come to something else that waits for lanes or for the block.
    Meet,
}

/// What lanes of a warp may do that do not come to an instruction of block `b`
/// when others do.
pub fn lanes_elsewhere(kernel: &Kernel, info: &KernelInfo, b: BlockId, inst: InstId) -> Away {
    if !info.uniformity.is_complete() {
        return Away::Meet;
    }
    let mut walk = Walk { kernel, info, seen: BitMatrix::new(1, info.cfg.len(), false), work: Vec::new(), b };
    let (_, at) = info.cfg.site(inst);
    let insts = &kernel.blocks[b.0 as usize].insts;
    let mut found = Away::Exit;
    if insts[at].guard.is_some_and(|g| info.uniformity.use_value(&info.cfg, &info.defuse, inst, g.reg).lane_bits != 0) {
        match insts[at + 1..].iter().find_map(meets) {
            Some(met) => found = met,
            None => info.cfg.successors(b).for_each(|s| walk.go(s)),
        }
    }
    for c in info.uniformity.controllers(b) {
        if info.uniformity.branch(c) == Uniformity::Divergent {
            info.cfg.successors(c).filter(|&s| !leads_to(info, s, b, c)).for_each(|s| walk.go(s));
        }
    }
    while let Some(block) = walk.work.pop() {
        match walk.kernel.blocks[block.0 as usize].insts.iter().find_map(meets) {
            Some(met) => found = found.max(met),
            None => info.cfg.successors(block).for_each(|s| walk.go(s)),
        }
    }
    found
}

struct Walk<'k> {
    kernel: &'k Kernel,
    info: &'k KernelInfo,
    seen: BitMatrix,
    work: Vec<BlockId>,
    b: BlockId,
}

impl Walk<'_> {
    /// Goes on with a block, once; those that come to `b` are not elsewhere.
    fn go(&mut self, s: BlockId) {
        if s != self.b && self.info.cfg.is_reachable(s) && !bits::has(self.seen.row(0), s.0 as usize) {
            self.seen.set(0, s.0 as usize);
            self.work.push(s);
        }
    }
}

/// Whether a path leads from `from` to `to` without `past`.
fn leads_to(info: &KernelInfo, from: BlockId, to: BlockId, past: BlockId) -> bool {
    let mut seen = BitMatrix::new(1, info.cfg.len(), false);
    let mut work = vec![from];
    while let Some(block) = work.pop() {
        if block == to {
            return true;
        }
        if block != past && !bits::has(seen.row(0), block.0 as usize) {
            seen.set(0, block.0 as usize);
            work.extend(info.cfg.successors(block));
        }
    }
    false
}

/// Whether lanes meet others at an instruction.
fn meets(inst: &Inst) -> Option<Away> {
    let form = inst.form();
    if !form.waits() {
        return None;
    }
    let is_warp_barrier = matches!(form.meaning, Meaning::Barrier(Barrier::Warp));
    Some(if is_warp_barrier { Away::WarpBarrier } else { Away::Meet })
}
