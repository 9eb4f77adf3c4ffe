//! Definitions and uses of registers.
//!
//! The IR is not in SSA form: a variable that a loop changes is one register
//! with several definitions. So a use has a set of definitions that reach it.

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
}

impl DefUse {
    /// The chains of a kernel.
    pub fn new(kernel: &Kernel, cfg: &Cfg) -> DefUse {
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
        du.chain(cfg);
        du
    }

    fn use_range(&self, inst: InstId) -> std::ops::Range<usize> {
        self.use_start[inst.0 as usize] as usize..self.use_start[inst.0 as usize + 1] as usize
    }

    fn def_range(&self, inst: InstId) -> std::ops::Range<usize> {
        self.def_start[inst.0 as usize] as usize..self.def_start[inst.0 as usize + 1] as usize
    }

    /// Fills in the reaching definitions. Registers with one definition need
    /// no sets: it is what reaches their uses. The others' definitions are
    /// numbered together, so that each register owns a range of bits.
    fn chain(&mut self, cfg: &Cfg) {
        let several = |du: &DefUse, reg: u32| du.reg_start[reg as usize + 1] - du.reg_start[reg as usize] > 1;
        let mut base = vec![u32::MAX; self.regs.len()];
        let mut shared: Vec<DefId> = Vec::new();
        for reg in 0..self.regs.len() as u32 {
            if several(self, reg) {
                base[reg as usize] = shared.len() as u32;
                shared.extend(&self.by_reg[self.reg_range(reg)]);
            }
        }
        let mut bit_of = vec![0u32; self.defs.len()];
        shared.iter().enumerate().for_each(|(bit, d)| bit_of[d.index()] = bit as u32);
        let n = cfg.len();
        let mut enter = BitMatrix::new(n, shared.len(), false);
        let mut now = vec![0u64; enter.stride()];
        let mut changed = !shared.is_empty();
        let mut leave = enter.clone();
        while changed {
            changed = false;
            for &b in cfg.order() {
                let row = enter.row_mut(b.0 as usize);
                for p in cfg.predecessors(b) {
                    row.iter_mut().zip(leave.row(p.0 as usize)).for_each(|(to, from)| *to |= from);
                }
                now.copy_from_slice(row);
                for inst in block_insts(cfg, b.0) {
                    self.apply(inst, &base, &bit_of, &mut now);
                }
                let out = leave.row_mut(b.0 as usize);
                if *out != *now {
                    out.copy_from_slice(&now);
                    changed = true;
                }
            }
        }
        for b in 0..n as u32 {
            now.copy_from_slice(enter.row(b as usize));
            for inst in block_insts(cfg, b) {
                for u in self.use_range(inst) {
                    let reg = self.uses[u].reg;
                    let start = self.reaching.len() as u32;
                    let range = self.reg_range(reg);
                    if base[reg as usize] == u32::MAX {
                        self.reaching.extend_from_slice(&self.by_reg[range]);
                    } else {
                        let bit = base[reg as usize] as usize;
                        let reach = bits::ones_in(&now, bit..bit + range.len());
                        self.reaching.extend(reach.map(|bit| shared[bit]));
                    }
                    self.uses[u] = Use { reg, start, len: self.reaching.len() as u32 - start };
                }
                self.apply(inst, &base, &bit_of, &mut now);
            }
        }
    }

    fn reg_range(&self, reg: u32) -> std::ops::Range<usize> {
        self.reg_start[reg as usize] as usize..self.reg_start[reg as usize + 1] as usize
    }

    fn apply(&self, inst: InstId, base: &[u32], bit_of: &[u32], now: &mut [u64]) {
        for d in self.def_range(inst) {
            let def = self.defs[d];
            let first = base[def.reg as usize];
            if first == u32::MAX {
                continue;
            }
            if !def.guarded {
                let len = self.reg_range(def.reg).len();
                bits::clear_range(now, first as usize..first as usize + len);
            }
            bits::set(now, bit_of[d] as usize);
        }
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
