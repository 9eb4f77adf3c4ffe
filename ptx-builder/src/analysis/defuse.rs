//! Definitions and uses of registers.
//!
//! The IR is not in SSA form: a variable that a loop changes is one register
//! with several definitions. So a use has a set of definitions that reach it.

use std::collections::HashMap;

use super::bits::{self, BitMatrix};
use super::{Cfg, InstId, RegNumbers};
use crate::ir::{Kernel, Reg};

/// The number of a definition: one register written by one instruction, in
/// writing order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct DefId(pub u32);

impl DefId {
    /// The number as an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

#[derive(Clone, Copy, Debug)]
struct Def {
    inst: InstId,
    reg: u32,
    guarded: bool,
}

#[derive(Clone, Copy, Debug)]
struct Use {
    reg: u32,
    start: u32,
    len: u32,
}

/// Which definitions reach which uses, in both directions.
///
/// A guarded definition adds to those before it; an unguarded one replaces
/// them. Whether some path brings no definition at all is the verifier's
/// question and not visible here.
#[derive(Clone, Debug)]
pub struct DefUse {
    regs: RegNumbers,
    defs: Vec<Def>,
    def_start: Vec<u32>,
    uses: Vec<Use>,
    use_start: Vec<u32>,
    reaching: Vec<DefId>,
    by_reg: Vec<DefId>,
    reg_start: Vec<u32>,
    is_complete: bool,
}

/// How much is done and kept.
#[derive(Clone, Copy)]
struct Limits {
    /// Definitions that are followed at a time.
    chunk: usize,
    /// Pairs of a use and a definition that reaches it; beyond, nothing is known.
    pairs: usize,
}

const LIMITS: Limits = Limits { chunk: 4096, pairs: 1 << 25 };

/// What happens to a register.
#[derive(Clone, Copy)]
enum Event {
    Use(u32),
    Def(DefId),
}

impl DefUse {
    /// The chains of a kernel.
    pub fn new(kernel: &Kernel, cfg: &Cfg) -> DefUse {
        DefUse::within(kernel, cfg, LIMITS)
    }

    fn within(kernel: &Kernel, cfg: &Cfg, limits: Limits) -> DefUse {
        let regs = RegNumbers::new(kernel);
        let count = cfg.inst_count();
        let mut du = DefUse {
            regs,
            defs: Vec::with_capacity(count),
            def_start: Vec::with_capacity(count + 1),
            uses: Vec::with_capacity(2 * count),
            use_start: Vec::with_capacity(count + 1),
            reaching: Vec::with_capacity(2 * count),
            by_reg: Vec::new(),
            reg_start: Vec::new(),
            is_complete: true,
        };
        for (next, (_, _, inst)) in (0..).zip(kernel.insts()) {
            du.def_start.push(du.defs.len() as u32);
            du.use_start.push(du.uses.len() as u32);
            for reg in inst.uses().filter_map(|r| du.regs.get(r)) {
                du.uses.push(Use { reg: reg as u32, start: 0, len: 0 });
            }
            for reg in inst.defs().filter_map(|r| du.regs.get(r)) {
                du.defs.push(Def { inst: InstId(next), reg: reg as u32, guarded: inst.guard.is_some() });
            }
        }
        du.def_start.push(du.defs.len() as u32);
        du.use_start.push(du.uses.len() as u32);
        (du.reg_start, du.by_reg) = group(du.regs.len(), du.defs.iter().map(|d| d.reg), DefId);
        du.chain(cfg, limits);
        du
    }

    fn use_range(&self, inst: InstId) -> std::ops::Range<usize> {
        self.use_start[inst.0 as usize] as usize..self.use_start[inst.0 as usize + 1] as usize
    }

    fn def_range(&self, inst: InstId) -> std::ops::Range<usize> {
        self.def_start[inst.0 as usize] as usize..self.def_start[inst.0 as usize + 1] as usize
    }

    /// Fills in the reaching definitions. A register with one definition needs no sets: that is what reaches its uses; nor
    /// does one whose uses all follow a definition of their own block. The others' definitions are numbered, and some
    /// thousand of them at a time are followed through the blocks.
    fn chain(&mut self, cfg: &Cfg, limits: Limits) {
        let mut pairs: Vec<(u32, DefId)> = Vec::new();
        let exposed = self.local(cfg, &mut pairs);
        let mut shared: Vec<DefId> = Vec::new();
        for reg in (0..self.regs.len() as u32).filter(|&r| exposed[r as usize]) {
            shared.extend(&self.by_reg[self.reg_range(reg)]);
        }
        let mut uses: Vec<u32> =
            (0..self.uses.len() as u32).filter(|&u| exposed[self.uses[u as usize].reg as usize]).collect();
        uses.sort_by_key(|&u| self.uses[u as usize].reg);
        for chunk in shared.chunks(limits.chunk) {
            let (first, last) = (self.defs[chunk[0].index()].reg, self.defs[chunk[chunk.len() - 1].index()].reg);
            let from = uses.partition_point(|&u| self.uses[u as usize].reg < first);
            let to = uses.partition_point(|&u| self.uses[u as usize].reg <= last);
            self.follow(cfg, chunk, &uses[from..to], limits.pairs, &mut pairs);
            if pairs.len() > limits.pairs {
                self.is_complete = false;
                break;
            }
        }
        let (starts, order) = group(self.uses.len(), pairs.iter().map(|p| p.0), |i| i);
        for (u, of) in self.uses.iter_mut().enumerate() {
            (of.start, of.len) = (starts[u], starts[u + 1] - starts[u]);
        }
        self.reaching = order.into_iter().map(|i| pairs[i as usize].1).collect();
    }

    /// What reaches uses from their own block or from a register's only definition; and which registers need more.
    fn local(&self, cfg: &Cfg, pairs: &mut Vec<(u32, DefId)>) -> Vec<bool> {
        let count = |reg: u32| self.reg_start[reg as usize + 1] - self.reg_start[reg as usize];
        let mut exposed = vec![false; self.regs.len()];
        // The block of the last definition that replaces others.
        let mut block_of = vec![u32::MAX; self.regs.len()];
        for b in 0..cfg.len() as u32 {
            for inst in block_insts(cfg, b) {
                for u in self.use_range(inst) {
                    let reg = self.uses[u].reg;
                    exposed[reg as usize] |= count(reg) > 1 && block_of[reg as usize] != b;
                }
                for d in self.def_range(inst).filter(|&d| !self.defs[d].guarded) {
                    block_of[self.defs[d].reg as usize] = b;
                }
            }
        }
        let mut now: Vec<smallvec::SmallVec<[DefId; 2]>> = vec![smallvec::SmallVec::new(); self.regs.len()];
        for b in 0..cfg.len() as u32 {
            for inst in block_insts(cfg, b) {
                for u in self.use_range(inst) {
                    let reg = self.uses[u].reg;
                    match count(reg) {
                        _ if exposed[reg as usize] => {}
                        0 | 1 => pairs.extend(self.by_reg[self.reg_range(reg)].iter().map(|&d| (u as u32, d))),
                        _ => pairs.extend(now[reg as usize].iter().map(|&d| (u as u32, d))),
                    }
                }
                for d in self.def_range(inst) {
                    let def = self.defs[d];
                    if count(def.reg) > 1 && !exposed[def.reg as usize] {
                        if !def.guarded {
                            now[def.reg as usize].clear();
                        }
                        now[def.reg as usize].push(DefId(d as u32));
                    }
                }
            }
        }
        exposed
    }

    /// Where these definitions, of registers in order, reach, until there are more than `most` pairs. `uses` are all of
    /// their registers.
    fn follow(&self, cfg: &Cfg, chunk: &[DefId], uses: &[u32], most: usize, pairs: &mut Vec<(u32, DefId)>) {
        let (first, last) = (self.defs[chunk[0].index()].reg, self.defs[chunk[chunk.len() - 1].index()].reg);
        // The bits of each register, and the bit of each definition that is followed here.
        let mut range_of: Vec<Option<std::ops::Range<usize>>> = vec![None; (last - first) as usize + 1];
        let mut bit_of: HashMap<u32, usize> = HashMap::with_capacity(chunk.len());
        for (bit, d) in chunk.iter().enumerate() {
            bit_of.insert(d.0, bit);
            let range = &mut range_of[(self.defs[d.index()].reg - first) as usize];
            *range = Some(range.as_ref().map_or(bit, |r| r.start)..bit + 1);
        }
        // Everything that happens to these registers, by block: definitions elsewhere replace these, too.
        let mut events: Vec<(InstId, Event)> = uses.iter().map(|&u| (self.inst_of_use(u), Event::Use(u))).collect();
        for reg in (first..=last).filter(|r| range_of[(r - first) as usize].is_some()) {
            let of = self.by_reg[self.reg_range(reg)].iter();
            events.extend(of.map(|&d| (self.defs[d.index()].inst, Event::Def(d))));
        }
        // An instruction reads before it writes.
        events.sort_by_key(|&(inst, event)| (inst, matches!(event, Event::Def(_))));
        let starts: Vec<usize> = (0..=cfg.len() as u32)
            .map(|b| {
                if (b as usize) < cfg.len() { cfg.inst_id(crate::ir::BlockId(b), 0).0 } else { cfg.inst_count() as u32 }
            })
            .map(|i| events.partition_point(|(inst, _)| inst.0 < i))
            .collect();
        let apply = |now: &mut [u64], d: DefId| {
            let def = self.defs[d.index()];
            if let Some(range) = range_of[(def.reg - first) as usize].clone().filter(|_| !def.guarded) {
                bits::clear_range(now, range);
            }
            if let Some(&bit) = bit_of.get(&d.0) {
                bits::set(now, bit);
            }
        };
        let mut enter = BitMatrix::new(cfg.len(), chunk.len(), false);
        let mut leave = enter.clone();
        let mut now = vec![0u64; enter.stride()];
        let mut changed = true;
        while changed {
            changed = false;
            for &b in cfg.order() {
                let row = enter.row_mut(b.0 as usize);
                for p in cfg.predecessors(b) {
                    row.iter_mut().zip(leave.row(p.0 as usize)).for_each(|(to, from)| *to |= from);
                }
                now.copy_from_slice(row);
                for (_, event) in &events[starts[b.0 as usize]..starts[b.0 as usize + 1]] {
                    if let Event::Def(d) = event {
                        apply(&mut now, *d);
                    }
                }
                let out = leave.row_mut(b.0 as usize);
                if *out != *now {
                    out.copy_from_slice(&now);
                    changed = true;
                }
            }
        }
        for b in 0..cfg.len() {
            let here = &events[starts[b]..starts[b + 1]];
            if here.is_empty() {
                continue;
            }
            now.copy_from_slice(enter.row(b));
            for (_, event) in here {
                match *event {
                    Event::Def(d) => apply(&mut now, d),
                    Event::Use(u) => {
                        let Some(range) = range_of[(self.uses[u as usize].reg - first) as usize].clone() else {
                            continue;
                        };
                        pairs.extend(bits::ones_in(&now, range).map(|bit| (u, chunk[bit])));
                        if pairs.len() > most {
                            return;
                        }
                    }
                }
            }
        }
    }

    fn inst_of_use(&self, u: u32) -> InstId {
        InstId(self.use_start.partition_point(|&start| start <= u) as u32 - 1)
    }

    fn reg_range(&self, reg: u32) -> std::ops::Range<usize> {
        self.reg_start[reg as usize] as usize..self.reg_start[reg as usize + 1] as usize
    }

    /// Whether all is known: not so where very many definitions reach very many uses.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// The registers that appear, and their numbers.
    pub fn regs(&self) -> &RegNumbers {
        &self.regs
    }

    /// How many definitions there are.
    pub fn def_count(&self) -> usize {
        self.defs.len()
    }

    /// What an instruction defines, in operand order.
    pub fn defs(&self, inst: InstId) -> impl Iterator<Item = DefId> {
        self.def_range(inst).map(|d| DefId(d as u32))
    }

    /// The instruction of a definition.
    pub fn inst(&self, def: DefId) -> InstId {
        self.defs[def.index()].inst
    }

    /// Whether a definition's instruction is guarded, so that it adds to the
    /// definitions before it.
    pub fn is_guarded(&self, def: DefId) -> bool {
        self.defs[def.index()].guarded
    }

    /// The registers that an instruction uses (guard first, then in operand
    /// order), each with the definitions that can reach it.
    pub fn uses(&self, inst: InstId) -> impl Iterator<Item = (Reg, &[DefId])> {
        self.uses[self.use_range(inst)]
            .iter()
            .map(|u| (self.regs.reg(u.reg as usize), &self.reaching[u.start as usize..][..u.len as usize]))
    }

    /// The definitions that can reach an instruction's use of `reg`; none
    /// where it does not use it.
    pub fn reaching(&self, inst: InstId, reg: Reg) -> &[DefId] {
        self.uses(inst).find(|(r, _)| *r == reg).map_or(&[], |(_, defs)| defs)
    }

    /// Every definition of a register.
    pub fn defs_of(&self, reg: Reg) -> &[DefId] {
        self.regs.get(reg).map_or(&[], |r| &self.by_reg[self.reg_range(r as u32)])
    }

    /// Numbers of the registers that an instruction uses.
    pub(crate) fn used(&self, inst: InstId) -> impl Iterator<Item = usize> {
        self.uses[self.use_range(inst)].iter().map(|u| u.reg as usize)
    }

    /// Numbers of the registers that an instruction defines, and whether it is guarded.
    pub(crate) fn defined(&self, inst: InstId) -> impl DoubleEndedIterator<Item = (usize, bool)> {
        self.defs[self.def_range(inst)].iter().map(|d| (d.reg as usize, d.guarded))
    }
}

/// The instructions of a block.
pub(crate) fn block_insts(cfg: &Cfg, b: u32) -> impl DoubleEndedIterator<Item = InstId> + use<> {
    let b = crate::ir::BlockId(b);
    (cfg.inst_id(b, 0).0..cfg.inst_end(b).0).map(InstId)
}

/// Groups 0, 1, ... by key: where each key's group starts, and the groups.
fn group<T>(keys: usize, of: impl Iterator<Item = u32> + Clone, item: impl Fn(u32) -> T) -> (Vec<u32>, Vec<T>)
where
    T: Clone,
{
    let mut starts = vec![0u32; keys + 1];
    of.clone().for_each(|k| starts[k as usize + 1] += 1);
    for k in 0..keys {
        starts[k + 1] += starts[k];
    }
    let mut at = starts.clone();
    let mut order = vec![item(0); starts[keys] as usize];
    for (i, k) in of.enumerate() {
        let place = &mut at[k as usize];
        order[*place as usize] = item(i as u32);
        *place += 1;
    }
    (starts, order)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;

    /// Variables that loops and branches change, guarded and not, and one that is written only where it is read.
    const BODY: &str = "mov.u32 %a, 1; mov.u32 %b, 2; mov.u32 %c, 3; \
        L: add.u32 %a, %a, %b; @%p add.u32 %b, %b, 1; @%p bra M; mov.u32 %c, %a; add.u32 %b, %c, %b; \
        M: mov.u32 %d, 1; @%p mov.u32 %d, 2; add.u32 %c, %c, %d; @!%p mov.u32 %a, %c; @%p bra L; \
        add.u32 %a, %b, %c; ret;";

    fn chains(limits: Limits) -> DefUse {
        let head = ".version 7.0 .target sm_80 .address_size 64 .entry k() { .reg .pred %p; .reg .b32 %a, %b, %c, %d; ";
        let module = parse("t", &format!("{head}{BODY} }}")).unwrap_or_else(|e| panic!("{e}"));
        let kernel = &module.kernels[0];
        DefUse::within(kernel, &Cfg::new(kernel), limits)
    }

    #[test]
    fn what_is_followed_at_a_time_is_told_by_nothing() {
        let all = |du: &DefUse| {
            let of = |u: &Use| {
                let mut defs = du.reaching[u.start as usize..][..u.len as usize].to_vec();
                defs.sort();
                (u.reg, defs)
            };
            du.uses.iter().map(of).collect::<Vec<_>>()
        };
        let whole = chains(LIMITS);
        assert!(whole.is_complete());
        for chunk in 1..12 {
            assert_eq!(all(&chains(Limits { chunk, ..LIMITS })), all(&whole), "{chunk}");
        }
    }

    #[test]
    fn more_pairs_than_are_kept_are_told() {
        let count = chains(LIMITS).reaching.len();
        for chunk in [1, 3, 4096] {
            for pairs in 0..count + 2 {
                assert_eq!(chains(Limits { chunk, pairs }).is_complete(), pairs >= count, "{chunk} {pairs} of {count}");
            }
        }
    }
}
