//! Accesses of which it is certain, before anything runs, that a thread makes them elsewhere than the author meant: at
//! an index that wrapped in 32 bits, or outside of an array.
//!
//! Certain is what follows from the threads' numbers, the promised block and constants, for lanes that are there whenever
//! the access is executed. What depends on parameters and memory is the interpreter's to find.

mod exact;
mod place;

use super::Rule;
use super::error::Errors;
use super::operands::resolve;
use crate::analysis::lanes::{LaneSet, ROW, lanes_at};
use crate::analysis::{InstId, KernelInfo, Origin};
use crate::ir::{BlockId, Inst, Kernel, Module, Operand};
use crate::table::{Bytes, Meaning, MemoryAccess, WARP};
use crate::types::Space;
use exact::{DEPTH, Search};
use place::Wide;

/// Checks every access that lanes compute an address for.
pub(super) fn check(module: &Module, kernel: &Kernel, info: &KernelInfo, errors: &mut Errors) {
    let threads = kernel.bounds.required.map_or(1, |shape| shape.iter().product::<u32>());
    let last = (threads - 1) / WARP as u32;
    // The first and the last thread are where an index is least and largest.
    let mut warps: Vec<Site> = Vec::new();
    for warp in if last == 0 { vec![0] } else { vec![0, last] } {
        let there = threads - warp * WARP as u32;
        let present = if there < WARP as u32 { (1 << there) - 1 } else { u32::MAX };
        warps.push(Site { module, kernel, info, search: Search::new(kernel, info, warp), present });
    }
    for &b in info.cfg.order() {
        for (i, inst) in kernel.blocks[b.0 as usize].insts.iter().enumerate() {
            if !matches!(inst.form().meaning, Meaning::Load(_) | Meaning::Store(_) | Meaning::Atomic(..)) {
                continue;
            }
            for access in inst.form().accesses() {
                // One of them is enough.
                warps
                    .iter_mut()
                    .any(|site| site.access(b, info.cfg.inst_id(b, i), inst, &access, errors) == Some(true));
            }
        }
    }
}

struct Site<'k> {
    module: &'k Module,
    kernel: &'k Kernel,
    info: &'k KernelInfo,
    search: Search<'k>,
    /// The warp's lanes that are sure to exist.
    present: u32,
}

impl Site<'_> {
    /// Whether something is wrong with an access, if it is known where it goes.
    fn access(
        &mut self,
        b: BlockId,
        id: InstId,
        inst: &Inst,
        access: &MemoryAccess,
        errors: &mut Errors,
    ) -> Option<bool> {
        let (_, [Operand::Address(address)]) = inst.slots().find(|(slot, _)| slot.name == access.slot)? else {
            return None;
        };
        let Bytes::Fixed(bytes) = access.bytes else { return None };
        let (origin, distance) = self.search.place(self.module, id, address)?;
        let lanes = self.lanes(b, id, inst, &distance);
        let found = self.wrapped(inst, origin, &distance, lanes, errors);
        // A distance that is one constant is checked by `memory`.
        let value = self.info.operand(self.module, self.kernel, id, &Operand::Address(*address));
        let constant = value.offset().is_some_and(|offset| distance.number == [offset; WARP]);
        Some(found || !constant && self.outside(inst, origin, &distance, u64::from(bytes), lanes, errors))
    }

    /// The lanes that are there whenever the access is executed.
    fn lanes(&mut self, b: BlockId, id: InstId, inst: &Inst, distance: &Wide) -> u32 {
        let always = self.info.uniformity.is_complete() && self.info.uniformity.controllers(b).next().is_none();
        let set = if always {
            LaneSet::ALL
        } else {
            lanes_at(self.module, self.kernel, self.info, b, id, None, self.search.warp)
        };
        let (guarded, when) = match inst.guard {
            None => (u32::MAX, distance.when),
            Some(guard) => {
                let Some(holds) = self.search.operand(id, &guard.reg.into(), false, DEPTH) else { return 0 };
                let passes = |l: &usize| (holds.held[*l] & 1 == 1) != guard.negated;
                ((0..WARP).filter(passes).fold(0, |mask, l| mask | 1 << l), distance.when.and(holds.when))
            }
        };
        // What is so in block 0, or in a first round, may be what the branch keeps away.
        let there = set.exact && (always || !when.of_block) && when.comes_to(self.info, b);
        if there { set.mask & guarded & self.present } else { 0 }
    }

    fn wrapped(&self, inst: &Inst, origin: Origin, distance: &Wide, lanes: u32, errors: &mut Errors) -> bool {
        let Some((wrapped, numbers, maker)) = distance.wrapped else { return false };
        let bad = wrapped & lanes;
        if bad == 0 {
            return false;
        }
        let lane = bad.trailing_zeros();
        let number = numbers[lane as usize];
        let name = self.name(origin);
        let access = inst.loc.as_ref().map_or_else(String::new, |loc| format!(" at {loc}"));
        let remedy = if number < 0 {
            "let no thread compute it, or choose before the subtraction (`i.max(1) - 1` with `load_or`)"
        } else {
            "compute it in 64 bits (`x.at64(..)`, `mul_wide`, `mad_wide`)"
        };
        let message = format!(
            "{} the index of {name} is {number}, which is {} in 32 bits, and the access{access} goes there; {remedy}",
            self.thread(lane, distance),
            number as u32
        );
        errors.doubt(self.kernel, self.search.inst(maker), Rule::IndexWraps, message);
        true
    }

    fn outside(
        &self,
        inst: &Inst,
        origin: Origin,
        distance: &Wide,
        bytes: u64,
        lanes: u32,
        errors: &mut Errors,
    ) -> bool {
        let Origin::Symbol(symbol) = origin else { return false };
        let named = resolve(self.module, self.kernel, symbol).filter(|named| named.space != Space::Param);
        let Some((size, named)) = named.and_then(|named| Some((named.bytes?, named))) else { return false };
        let outside = |l: &u32| {
            let first = distance.number[*l as usize];
            first < 0 || first.saturating_add_unsigned(bytes) > size as i64
        };
        let Some(lane) = (0..WARP as u32).filter(|l| lanes & 1 << l != 0).find(outside) else {
            return false;
        };
        let variable = match symbol {
            crate::ir::Symbol::Kernel(i) => self.kernel.variables.get(i as usize),
            _ => self.module.variables.iter().find(|v| v.name == named.name),
        };
        let element = variable.map_or(1, |v| u64::from(v.ty.bytes()).max(1)) as i64;
        let first = distance.number[lane as usize];
        let what = if first % element == 0 {
            format!("{}[{}] of {}", named.name, first / element, size as i64 / element)
        } else {
            format!("byte {first} of the {size} of {}", named.name)
        };
        let message = format!(
            "{} {} accesses {what}; keep the thread away (`k.if_`, `load_or`) or make the array larger",
            self.thread(lane, distance),
            inst.form().name
        );
        errors.doubt(self.kernel, inst, Rule::OutOfBounds, message);
        true
    }

    fn name(&self, origin: Origin) -> String {
        match origin {
            Origin::Symbol(s) => resolve(self.module, self.kernel, s).map_or_else(String::new, |n| n.name.to_owned()),
            Origin::Pointer(i) => {
                let param = self.kernel.params.get(i as usize);
                param.map_or_else(String::new, |p| self.kernel.short_name(p).to_owned())
            }
        }
    }

    /// "in thread (3, 0, 0)".
    fn thread(&self, lane: u32, distance: &Wide) -> String {
        let number = self.search.warp * WARP as u32 + lane;
        let [x, y, _] = self.kernel.bounds.required.unwrap_or(ROW);
        let block = if distance.when.of_block { " of block 0" } else { "" };
        format!("in thread ({}, {}, {}){block}", number % x, number / x % y, number / x / y)
    }
}
