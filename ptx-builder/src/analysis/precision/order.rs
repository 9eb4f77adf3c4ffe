//! Which stores a load can see.

use super::flow::Flow;
use super::place::access;
use crate::analysis::InstId;
use crate::ir::{BlockId, Inst};
use crate::table::{Order, Precision};

/// The order of instructions along the paths of a kernel.
pub(super) struct Paths {
    /// By block, the blocks that it leads to, itself included where it is in a loop.
    reach: Vec<Vec<bool>>,
    /// By block, the last instruction that other threads may wait for.
    last: Vec<Option<u32>>,
}

impl Paths {
    pub(super) fn new(flow: &Flow<'_>) -> Paths {
        let cfg = &flow.info.cfg;
        let leads = |from: BlockId| {
            let mut seen = vec![false; cfg.len()];
            let mut work: Vec<BlockId> = cfg.successors(from).collect();
            while let Some(b) = work.pop() {
                if !std::mem::replace(&mut seen[b.0 as usize], true) {
                    work.extend(cfg.successors(b));
                }
            }
            seen
        };
        let last = |b: BlockId| {
            let all = cfg.inst_id(b, 0).0..cfg.inst_end(b).0;
            all.rev().find(|&i| tells_others(flow.nodes[i as usize].inst))
        };
        let blocks = || (0..cfg.len() as u32).map(BlockId);
        Paths { reach: blocks().map(leads).collect(), last: blocks().map(last).collect() }
    }

    /// Whether what `store` writes may be there at `load`: earlier on a path of the same thread, or
    /// of another one, which must have signalled it afterwards.
    pub(super) fn sees(&self, flow: &Flow<'_>, store: u32, load: u32) -> bool {
        let block = |i: u32| flow.info.cfg.site(InstId(i)).0.0 as usize;
        let (from, to) = (block(store), block(load));
        let earlier = from == to && store < load || self.reach[from][to];
        let told = || {
            let after = |b: usize| self.last[b].is_some() && self.reach[from][b];
            self.last[from].is_some_and(|i| i > store) || (0..self.last.len()).any(after)
        };
        earlier || told()
    }
}

/// Whether other threads may learn from an instruction that those before it are done.
fn tells_others(inst: &Inst) -> bool {
    let form = inst.form();
    form.orders().is_some()
        || access(inst).is_some_and(|m| m.order != Order::Weak)
        || matches!(form.precision, Precision::Updates { .. } | Precision::Copies)
}
