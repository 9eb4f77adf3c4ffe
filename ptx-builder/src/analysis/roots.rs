//! What an address was computed of: one array or buffer, or several.

use std::collections::HashMap;

use super::{InstId, KernelInfo, Origin};
use crate::ir::{Base, Kernel, Module, Operand};
use crate::table::{Access, Shape};
use crate::types::RegClass;

/// The arrays and buffers whose addresses a number was computed of, for every definition: an
/// address that is one's plus the distance to another's points into neither for sure.
pub(crate) struct Roots {
    of: Vec<u64>,
    bits: HashMap<Origin, u64>,
}

impl Roots {
    pub(crate) fn new(module: &Module, kernel: &Kernel, info: &KernelInfo) -> Roots {
        let mut roots = Roots { of: vec![0; info.defuse.def_count()], bits: HashMap::new() };
        let mut changed = true;
        while changed {
            changed = false;
            for &b in info.cfg.order() {
                for (i, inst) in kernel.blocks[b.0 as usize].insts.iter().enumerate() {
                    let id = info.cfg.inst_id(b, i);
                    let address = |r: crate::ir::Reg| matches!(r.class, RegClass::B32 | RegClass::B64);
                    if !inst.defs().any(address) {
                        continue;
                    }
                    let mut all = 0;
                    for (slot, operands) in inst.slots() {
                        if slot.access == Access::Read && !matches!(slot.shape, Shape::Address(_) | Shape::Label) {
                            for operand in operands {
                                all |= roots.operand(info, id, operand);
                                if let Some(origin) = info.operand(module, kernel, id, operand).origin {
                                    all |= roots.bit(origin);
                                }
                            }
                        }
                    }
                    for def in info.defuse.defs(id) {
                        changed |= roots.of[def.index()] | all != roots.of[def.index()];
                        roots.of[def.index()] |= all;
                    }
                }
            }
        }
        roots
    }

    /// The last bit represents all that have no bit of their own.
    fn bit(&mut self, origin: Origin) -> u64 {
        let next = 1 << self.bits.len().min(63);
        *self.bits.entry(origin).or_insert(next)
    }

    fn operand(&self, info: &KernelInfo, id: InstId, operand: &Operand) -> u64 {
        let reg = match operand {
            Operand::Reg(r) => *r,
            Operand::Address(a) => match a.base {
                Base::Reg(r) => r,
                Base::Symbol(_) => return 0,
            },
            Operand::NotPred(_)
            | Operand::Imm(_)
            | Operand::Special(_)
            | Operand::Symbol(..)
            | Operand::Label(_)
            | Operand::Function(_)
            | Operand::Text(_)
            | Operand::None => return 0,
        };
        info.defuse.reaching(id, reg).iter().fold(0, |all, d| all | self.of[d.index()])
    }

    /// What an address may point into, as far as it is known to be computed of arrays and buffers at all.
    pub(crate) fn all(&self, own: Option<Origin>, info: &KernelInfo, id: InstId, operand: &Operand) -> Vec<Origin> {
        let roots = self.operand(info, id, operand);
        if self.bits.len() > 63 && roots >> 63 == 1 {
            return Vec::new();
        }
        let mut all: Vec<_> = self.bits.iter().filter(|(_, bit)| roots & **bit != 0).map(|(o, _)| *o).collect();
        all.extend(own.filter(|own| !all.contains(own)));
        all
    }

    /// The origin of an address, if it is computed of no other's.
    pub(crate) fn only(
        &self,
        origin: Option<Origin>,
        info: &KernelInfo,
        id: InstId,
        operand: &Operand,
    ) -> Option<Origin> {
        let own = self.bits.get(&origin?).copied().unwrap_or(0);
        (self.operand(info, id, operand) & !own == 0).then_some(origin?)
    }
}
