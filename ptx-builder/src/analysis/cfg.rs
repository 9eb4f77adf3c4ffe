//! The control-flow graph of a kernel.

use smallvec::SmallVec;

use crate::ir::{BlockId, Inst, Kernel};
use crate::table::Meaning;

/// The number of an instruction in its kernel, in writing order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct InstId(pub u32);

/// Blocks, their edges, and dominance.
///
/// Edges follow the rules of [`Block`](crate::ir::Block): a block ends in a
/// branch, an exit or a trap; where that is guarded or missing, control falls
/// through. A virtual exit block follows all exits (ends of the
/// thread, guarded or not, and falling off the end); loops without a way out
/// count as leading there from their last block. A trap is not a way out: nothing
/// comes after it, so it parts no threads.
#[derive(Clone, Debug)]
pub struct Cfg {
    succs: Vec<SmallVec<[u32; 2]>>,
    preds: Vec<SmallVec<[u32; 2]>>,
    exits: Vec<bool>,
    order: Vec<BlockId>,
    position: Vec<u32>,
    idom: Vec<u32>,
    ipdom: Vec<u32>,
    first: Vec<u32>,
}

const NONE: u32 = u32::MAX;

impl Cfg {
    /// The graph of a kernel. Branches to blocks that do not exist are left
    /// out; the verifier reports them.
    pub fn new(kernel: &Kernel) -> Cfg {
        let n = kernel.blocks.len();
        let mut succs: Vec<SmallVec<[u32; 2]>> = vec![SmallVec::new(); n];
        let mut preds: Vec<SmallVec<[u32; 2]>> = vec![SmallVec::new(); n];
        let (mut exits, mut traps) = (vec![false; n], Vec::new());
        let mut first = Vec::with_capacity(n + 1);
        let mut count = 0u32;
        for (b, block) in kernel.blocks.iter().enumerate() {
            first.push(count);
            count += block.insts.len() as u32;
            let last = block.insts.last();
            let ends = last.filter(|i| i.form().meaning.ends_block());
            if let Some(branch) = ends.filter(|i| matches!(i.form().meaning, Meaning::Branch))
                && let Some(BlockId(target)) = branch.branch_target()
                && (target as usize) < n
            {
                succs[b].push(target);
            }
            let falls = ends.is_none_or(|i| i.guard.is_some());
            if falls && b + 1 < n && !succs[b].contains(&(b as u32 + 1)) {
                succs[b].push(b as u32 + 1);
            }
            match ends.map(|i| &i.form().meaning) {
                Some(Meaning::Trap) => traps.push(b as u32),
                Some(Meaning::Exit) => exits[b] = true,
                // A branch, or the end of the text. Without a successor, it is a way out.
                Some(_) | None => exits[b] = succs[b].is_empty(),
            }
            for &s in &succs[b] {
                preds[s as usize].push(b as u32);
            }
        }
        first.push(count);
        let order = post_order(n, &[0], |b| &succs[b as usize]);
        let (order, position) = reverse(order, n);
        let idom = dominators(&order, &position, n, |b| preds[b as usize].iter().copied());
        let ipdom = post_dominators(&succs, &preds, &order, &exits, &traps);
        let order = order.into_iter().map(BlockId).collect();
        Cfg { succs, preds, exits, order, position, idom, ipdom, first }
    }

    /// How many blocks there are.
    pub fn len(&self) -> usize {
        self.succs.len()
    }

    /// Where control can go from a block: the branch's target first, then the
    /// next block. None means that all threads end here.
    pub fn successors(&self, b: BlockId) -> impl Iterator<Item = BlockId> {
        self.succs[b.0 as usize].iter().map(|&s| BlockId(s))
    }

    /// Where control can come from, in block order.
    pub fn predecessors(&self, b: BlockId) -> impl Iterator<Item = BlockId> {
        self.preds[b.0 as usize].iter().map(|&p| BlockId(p))
    }

    /// The reachable blocks in reverse post order: every block before its
    /// successors, but for loops.
    pub fn order(&self) -> &[BlockId] {
        &self.order
    }

    /// Whether any path from the entry leads to a block.
    pub fn is_reachable(&self, b: BlockId) -> bool {
        self.position[b.0 as usize] != NONE
    }

    /// The nearest other block that lies on every path from the entry to `b`;
    /// none for the entry and for unreachable blocks.
    pub fn immediate_dominator(&self, b: BlockId) -> Option<BlockId> {
        let d = self.idom[b.0 as usize];
        (d != NONE && d != b.0).then_some(BlockId(d))
    }

    /// The nearest other block that lies on every path from `b` to the end of
    /// the thread; none where that is the end itself, and for unreachable blocks.
    pub fn immediate_post_dominator(&self, b: BlockId) -> Option<BlockId> {
        let d = self.ipdom[b.0 as usize];
        (d != NONE && (d as usize) < self.len()).then_some(BlockId(d))
    }

    /// The blocks between each choice and where all ways from it converge again: `(decides, decided)`, up to `most` of them.
    /// None where there are more.
    pub(super) fn decisions(&self, most: usize) -> Option<Vec<(u32, u32)>> {
        let n = self.len();
        let mut all = Vec::new();
        for &BlockId(c) in &self.order {
            let succs = &self.succs[c as usize];
            if succs.len() + usize::from(self.exits[c as usize]) < 2 {
                continue;
            }
            for &s in succs {
                let mut at = s;
                while at != self.ipdom[c as usize] && (at as usize) < n {
                    if all.len() == most {
                        return None;
                    }
                    all.push((c, at));
                    at = self.ipdom[at as usize];
                }
            }
        }
        Some(all)
    }

    /// How many instructions the kernel has.
    pub fn inst_count(&self) -> usize {
        self.first.last().map_or(0, |&n| n as usize)
    }

    /// The number of the instruction `index` of block `b`.
    pub fn inst_id(&self, b: BlockId, index: usize) -> InstId {
        InstId(self.first[b.0 as usize] + index as u32)
    }

    /// One past the last instruction of block `b`.
    pub(crate) fn inst_end(&self, b: BlockId) -> InstId {
        InstId(self.first[b.0 as usize + 1])
    }

    /// The block of an instruction and its place there.
    pub fn site(&self, inst: InstId) -> (BlockId, usize) {
        let b = self.first.partition_point(|&f| f <= inst.0) - 1;
        (BlockId(b as u32), (inst.0 - self.first[b]) as usize)
    }

    /// An instruction by number. `kernel` must be the one whose flow this is.
    pub fn inst<'k>(&self, kernel: &'k Kernel, inst: InstId) -> &'k Inst {
        let (b, i) = self.site(inst);
        &kernel.blocks[b.0 as usize].insts[i]
    }
}

/// Blocks in post order of a depth-first walk from `roots`.
fn post_order<'a>(n: usize, roots: &[u32], next: impl Fn(u32) -> &'a SmallVec<[u32; 2]>) -> Vec<u32> {
    let mut seen = vec![false; n];
    let mut done = Vec::with_capacity(n);
    let mut stack: Vec<(u32, usize)> = Vec::new();
    for &root in roots {
        if n == 0 || std::mem::replace(&mut seen[root as usize], true) {
            continue;
        }
        stack.push((root, 0));
        while let Some((b, i)) = stack.pop() {
            match next(b).get(i) {
                Some(&s) => {
                    stack.push((b, i + 1));
                    if !std::mem::replace(&mut seen[s as usize], true) {
                        stack.push((s, 0));
                    }
                }
                None => done.push(b),
            }
        }
    }
    done
}

/// The order reversed, with each block's place in it.
fn reverse(mut order: Vec<u32>, n: usize) -> (Vec<u32>, Vec<u32>) {
    order.reverse();
    let mut position = vec![NONE; n];
    for (i, &b) in order.iter().enumerate() {
        position[b as usize] = i as u32;
    }
    (order, position)
}

/// Immediate dominators (Cooper, Harvey, Kennedy 2001): the first of `order`
/// is its own.
fn dominators<I: Iterator<Item = u32>>(
    order: &[u32],
    position: &[u32],
    n: usize,
    preds: impl Fn(u32) -> I,
) -> Vec<u32> {
    let mut idom = vec![NONE; n];
    let Some((&root, rest)) = order.split_first() else { return idom };
    idom[root as usize] = root;
    let mut changed = true;
    while changed {
        changed = false;
        for &b in rest {
            let mut new = NONE;
            for p in preds(b) {
                if idom[p as usize] == NONE {
                    continue;
                }
                new = if new == NONE { p } else { meet(&idom, position, p, new) };
            }
            if idom[b as usize] != new {
                idom[b as usize] = new;
                changed = true;
            }
        }
    }
    idom
}

fn meet(idom: &[u32], position: &[u32], mut a: u32, mut b: u32) -> u32 {
    while a != b {
        while position[a as usize] > position[b as usize] {
            a = idom[a as usize];
        }
        while position[b as usize] > position[a as usize] {
            b = idom[b as usize];
        }
    }
    a
}

/// Immediate post-dominators; the virtual exit has the number after the last
/// block. Blocks that only lead to a trap have none.
fn post_dominators(
    succs: &[SmallVec<[u32; 2]>],
    preds: &[SmallVec<[u32; 2]>],
    order: &[u32],
    exits: &[bool],
    traps: &[u32],
) -> Vec<u32> {
    let n = succs.len();
    let exit = n as u32;
    let mut leaves: SmallVec<[u32; 2]> = order.iter().copied().filter(|&b| exits[b as usize]).collect();
    let mut settled = vec![false; n];
    let mut settle = |mut work: Vec<u32>| {
        while let Some(b) = work.pop() {
            if !std::mem::replace(&mut settled[b as usize], true) {
                work.extend(preds[b as usize].iter().copied());
            }
        }
        order.iter().rev().copied().find(|&b| !settled[b as usize])
    };
    // Loops without a way out: their last block counts as one.
    settle(leaves.to_vec());
    let mut endless = settle(traps.to_vec());
    while let Some(b) = endless {
        leaves.push(b);
        endless = settle(vec![b]);
    }
    // The reverse graph over blocks and the virtual exit. Unreachable blocks stay out.
    let mut reachable = vec![false; n + 1];
    order.iter().for_each(|&b| reachable[b as usize] = true);
    let mut is_leaf = vec![false; n];
    leaves.iter().for_each(|&b| is_leaf[b as usize] = true);
    let mut back: Vec<SmallVec<[u32; 2]>> =
        preds.iter().map(|ps| ps.iter().copied().filter(|&p| reachable[p as usize]).collect()).collect();
    back.push(leaves);
    let (reversed, position) = reverse(post_order(n + 1, &[exit], |b| &back[b as usize]), n + 1);
    let mut ipdom = dominators(&reversed, &position, n + 1, |b| {
        let own = if (b as usize) < n { &succs[b as usize][..] } else { &[] };
        let leaf = (b as usize) < n && is_leaf[b as usize];
        own.iter().copied().chain(leaf.then_some(exit))
    });
    ipdom.truncate(n);
    ipdom
}
