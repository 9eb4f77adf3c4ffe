//! The values of registers along the paths of a kernel.
//!
//! A register that one instruction writes, always, has one value. Others have a value at every
//! point: what reaches the start of a block is met there.

use std::collections::HashMap;

use super::content::{Id, Value};
use super::names::{Ids, Name, Names};
use crate::analysis::{DefId, KernelInfo};
use crate::ir::{BlockId, Guard, Reg};

pub(super) struct Registers {
    /// By register number: its place among those with several values.
    places: Vec<Option<u32>>,
    /// By definition, of the others.
    settled: Vec<Value>,
    now: Vec<Value>,
    leaving: Vec<Option<Vec<Value>>>,
}

impl Registers {
    pub(super) fn new(info: &KernelInfo) -> Registers {
        let mut count = 0;
        let place = |n: usize| {
            let defs = info.defuse.defs_of(info.defuse.regs().reg(n));
            let one = matches!(defs, [def] if !info.defuse.is_guarded(*def));
            (!one).then(|| {
                count += 1;
                count - 1
            })
        };
        let places: Vec<Option<u32>> = (0..info.defuse.regs().len()).map(place).collect();
        Registers {
            places,
            settled: vec![Value::UNSET; info.defuse.def_count()],
            now: vec![Value::UNSET; count as usize],
            leaving: vec![None; info.cfg.len()],
        }
    }

    /// At the start of a block, what comes from those before it.
    pub(super) fn enter(&mut self, info: &KernelInfo, names: &mut Names, block: BlockId) {
        let first = info.cfg.order().first() == Some(&block);
        let unset = first.then(|| vec![Value::UNSET; self.now.len()]);
        let before = info.cfg.predecessors(block).filter_map(|p| self.leaving[p.0 as usize].as_ref());
        let before: Vec<&Vec<Value>> = unset.iter().chain(before).collect();
        let mut met: HashMap<Ids, Id> = HashMap::new();
        let mut now = std::mem::take(&mut self.now);
        let mut values = Vec::with_capacity(before.len());
        for (place, value) in (0..).zip(&mut now) {
            values.clear();
            values.extend(before.iter().map(|b| b[place as usize]));
            *value = names.meet(&values, &mut |names, ids, byte| {
                *met.entry(ids).or_insert_with(|| names.id(Name::Met(block, place, byte)))
            });
        }
        self.now = now;
    }

    /// At the end of a block. Whether something else leaves it than before.
    pub(super) fn leave(&mut self, block: BlockId) -> bool {
        let old = &mut self.leaving[block.0 as usize];
        let changed = old.as_ref() != Some(&self.now);
        if changed {
            *old = Some(self.now.clone());
        }
        changed
    }

    pub(super) fn read(&self, info: &KernelInfo, reg: Reg) -> Value {
        let Some(number) = info.defuse.regs().get(reg) else { return Value::UNSET };
        match (self.places[number], info.defuse.defs_of(reg)) {
            (Some(place), _) => self.now[place as usize],
            (None, [def, ..]) => self.settled[def.index()],
            (None, []) => Value::UNSET,
        }
    }

    /// Writes a result; whether a settled one is another than before.
    pub(super) fn write(
        &mut self,
        info: &KernelInfo,
        names: &mut Names,
        (reg, def): (Reg, DefId),
        guard: Option<Guard>,
        value: Value,
    ) -> bool {
        let Some(place) = info.defuse.regs().get(reg).and_then(|number| self.places[number]) else {
            return std::mem::replace(&mut self.settled[def.index()], value) != value;
        };
        let old = self.now[place as usize];
        self.now[place as usize] = match guard {
            None => value,
            Some(guard) => {
                let (by, negated) = (self.read(info, guard.reg).id, guard.negated);
                names.meet(&[old, value], &mut |names, of, _| names.id(Name::Guarded { by, negated, of }))
            }
        };
        false
    }
}
