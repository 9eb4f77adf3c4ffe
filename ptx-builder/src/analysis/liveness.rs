//! Which registers hold a value that is still needed, and where most do.

use super::bits::{self, BitMatrix};
use super::defuse::block_insts;
use super::{Cfg, DefUse, InstId};
#[cfg(test)]
use crate::ir::{BlockId, Reg};
use crate::types::RegClass;

/// Live registers at the ends of blocks, and the peak register pressure.
#[derive(Clone, Debug)]
pub struct Liveness {
    live_out: BitMatrix,
    peak: Pressure,
}

/// The largest number of registers that are live at once.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Pressure {
    /// 32-bit registers: 64-bit values count twice, 16-bit values as one,
    /// predicates (a register file of their own) not at all.
    pub registers: u32,
    /// Predicates live at that point.
    pub predicates: u32,
    /// Before which instruction that is; none in a kernel that uses no register.
    pub at: Option<InstId>,
}

/// 32-bit registers that a register of a class takes.
fn weight(class: RegClass) -> u32 {
    match class {
        RegClass::Pred => 0,
        class => class.bits().div_ceil(32),
    }
}

impl Liveness {
    /// The liveness of a kernel's registers.
    pub fn new(cfg: &Cfg, defuse: &DefUse) -> Liveness {
        let regs = defuse.regs();
        let n = cfg.len();
        let mut live_in = BitMatrix::new(n, regs.len(), false);
        let mut live_out = BitMatrix::new(n, regs.len(), false);
        let mut now = vec![0u64; live_in.stride()];
        let mut changed = true;
        while changed {
            changed = false;
            for &b in cfg.order().iter().rev() {
                let out = live_out.row_mut(b.0 as usize);
                for s in cfg.successors(b) {
                    out.iter_mut().zip(live_in.row(s.0 as usize)).for_each(|(to, from)| *to |= from);
                }
                now.copy_from_slice(out);
                block_insts(cfg, b.0).rev().for_each(|inst| step(defuse, inst, &mut now));
                let row = live_in.row_mut(b.0 as usize);
                if *row != *now {
                    row.copy_from_slice(&now);
                    changed = true;
                }
            }
        }
        let mut liveness = Liveness { live_out, peak: Pressure::default() };
        liveness.find_peak(cfg, defuse);
        liveness
    }

    fn find_peak(&mut self, cfg: &Cfg, defuse: &DefUse) {
        let weights: Vec<(u32, u32)> = (0..defuse.regs().len())
            .map(|r| defuse.regs().reg(r).class)
            .map(|class| (weight(class), u32::from(class == RegClass::Pred)))
            .collect();
        for &b in cfg.order() {
            let mut now = self.live_out.row(b.0 as usize).to_vec();
            let (mut registers, mut predicates) = (0, 0);
            for r in bits::ones(&now) {
                registers += weights[r].0;
                predicates += weights[r].1;
            }
            for inst in block_insts(cfg, b.0).rev() {
                for (r, guarded) in defuse.defined(inst) {
                    if !guarded && bits::has(&now, r) {
                        bits::clear(&mut now, r);
                        registers -= weights[r].0;
                        predicates -= weights[r].1;
                    }
                }
                for r in defuse.used(inst) {
                    if !bits::has(&now, r) {
                        bits::set(&mut now, r);
                        registers += weights[r].0;
                        predicates += weights[r].1;
                    }
                }
                if registers >= self.peak.registers && (registers, predicates) != (0, 0) {
                    self.peak = Pressure { registers, predicates, at: Some(inst) };
                }
            }
        }
    }

    /// For tests: registers whose value at the end of a block is still needed.
    #[cfg(test)]
    pub fn live_out(&self, b: BlockId, defuse: &DefUse) -> Vec<Reg> {
        bits::ones(self.live_out.row(b.0 as usize)).map(|r| defuse.regs().reg(r)).collect()
    }

    /// The peak register pressure. What the assembler allocates differs: it
    /// reorders instructions and keeps addresses and temporaries of its own.
    pub fn peak(&self) -> Pressure {
        self.peak
    }
}

/// From the live set after an instruction to that before it.
fn step(defuse: &DefUse, inst: InstId, now: &mut [u64]) {
    for (r, guarded) in defuse.defined(inst) {
        if !guarded {
            bits::clear(now, r);
        }
    }
    defuse.used(inst).for_each(|r| bits::set(now, r));
}
