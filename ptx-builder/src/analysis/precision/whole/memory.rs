//! Loads, stores, atomics and copies.

use std::collections::BTreeMap;

use super::arrays::Stored;
use super::bits::width;
use super::content::{Byte, Content, Float, Value};
use super::names::Name;
use super::transfer::{Source, Values, any_computed};
use super::{Contents, Loss, runs};
use crate::analysis::InstId;
use crate::analysis::precision::Role;
use crate::analysis::precision::flow::Node;
use crate::analysis::precision::place::access;
use crate::ir::{Inst, Operand};
use crate::table::{Matrix, Meaning, Memory};
use crate::types::RegClass;

impl Contents<'_, '_> {
    /// What the places that an instruction reads hold.
    fn held(&self, id: InstId) -> Stored {
        let places = &self.flow.nodes[id.0 as usize].touched.reads;
        places.iter().fold(Stored::default(), |all, p| all.and(self.arrays.at(*p)))
    }

    pub(super) fn load(&mut self, id: InstId, inst: &Inst) -> Result<Values, Loss> {
        let held = self.held(id);
        let Some(m) = access(inst) else {
            // A matrix, of pieces of 16 bits.
            return match inst.form().meaning {
                Meaning::Matrix(Matrix::Load { .. }) if !held.is_computed() => Ok(self.same(id, inst, Content::Plain)),
                Meaning::Matrix(Matrix::Load { .. }) => Err(Loss::Matrix),
                _ => Err(Loss::Unknown),
            };
        };
        let float = inst.defs().any(|r| matches!(r.class, RegClass::F32 | RegClass::F64));
        match held.float {
            _ if held.lost => Ok(self.same(id, inst, Content::Lost)),
            // Integers made of floats stand beside floats.
            _ if held.quants && !(float && held.float.is_some()) => Ok(self.same(id, inst, Content::Quant)),
            None => Ok(self.same(id, inst, Content::Plain)),
            Some(of) => match held.torn() {
                Some(how) => Err(how),
                None => self.load_floats(id, inst, m, of),
            },
        }
    }

    fn same(&mut self, id: InstId, inst: &Inst, content: Content) -> Values {
        inst.defs().enumerate().map(|(n, _)| Value { content, id: self.own(id, n) }).collect()
    }

    /// Loads floats, or pieces of them, from memory that holds whole ones.
    fn load_floats(&mut self, id: InstId, inst: &Inst, m: Memory, of: Float) -> Result<Values, Loss> {
        let size = of.bytes() as i64;
        let (first, start) = match self.runs.of(id) {
            Some(member) => (member.first, member.at),
            None if i64::from(m.bytes()) % size == 0 => (id.0, 0),
            None => return Err(Loss::Sizes),
        };
        let element = m.ty.bytes() as usize;
        let places = inst.operands.iter().take(usize::from(m.len)).enumerate();
        let regs: Vec<_> =
            places.filter_map(|(n, op)| if let Operand::Reg(r) = op { Some((n, r.class)) } else { None }).collect();
        let just_stored = self.just_stored(id, m.bytes() as usize);
        let mut values = Values::new();
        for (result, (n, class)) in regs.into_iter().enumerate() {
            let own = self.own(id, result);
            // What a signed load fills up with follows from the value.
            let mut bytes = if m.ty.is_signed() { [Byte::Lost; 8] } else { [Byte::Const(0); 8] };
            for (i, byte) in bytes.iter_mut().take(element).enumerate() {
                // What this thread has just stored there has its name.
                if let named @ Byte::Of { .. } = just_stored[n * element + i] {
                    *byte = named;
                    continue;
                }
                let at = start + (n * element + i) as i64;
                let name = self.names.id(Name::Loaded { first, cell: at.div_euclid(size) });
                let known = self.names.know(name, of);
                let at = at.rem_euclid(size) as u8;
                *byte = if known.is_some() { Byte::Of { id: name, at, flip: 0 } } else { Byte::Lost };
            }
            values.push(self.names.value(bytes, width(class), own));
        }
        Ok(values)
    }

    /// The bytes that a load finds as this thread has just stored them; plain where that is not told.
    fn just_stored(&self, load: InstId, bytes: usize) -> Vec<Byte> {
        let mut all = vec![Byte::Plain; bytes];
        for &(store, start) in self.runs.stored_by(load) {
            let places = (start..).zip(self.pieces.get(&store).into_iter().flatten());
            for (at, byte) in places.filter(|(at, _)| (0..bytes as i64).contains(at)) {
                all[at as usize] = *byte;
            }
        }
        all
    }

    pub(super) fn store(&mut self, id: InstId, inst: &Inst, sources: &[Source]) -> Result<(), Loss> {
        self.stored[id.0 as usize] = Some(Stored::lost());
        self.pieces.remove(&id.0);
        let m = access(inst).ok_or(Loss::Unknown)?;
        let role = self.flow.role(self.flow.nodes[id.0 as usize].origin());
        let element = m.ty.bytes() as usize;
        let mut stored = Stored::default();
        let mut bytes = Vec::with_capacity(m.bytes() as usize);
        for source in sources {
            let own_size = if any_computed(sources) { m.ty.bytes() } else { m.bytes() };
            match source.value.content {
                // Integers made of floats stand beside floats.
                Content::Quant => stored.quants = true,
                Content::Half if role == Role::HalfOutput => {}
                Content::Half => return Err(Loss::StoredHalf),
                // Nor are these numbers when they are loaded.
                Content::Exponent | Content::Power => {
                    stored.quants = true;
                    stored.grains |= own_size;
                }
                Content::Plain => stored.grains |= own_size,
                Content::Whole(_) | Content::Bytes(_) | Content::Lost => {}
            }
            let of = match source.value.content.is_computed() && source.value.content != Content::Half {
                true => self.names.bytes(source.value, None),
                false => [Byte::Plain; 8],
            };
            bytes.extend_from_slice(&of[..element]);
        }
        let alone = self.floats(&at_zero(&bytes));
        self.pieces.insert(id.0, bytes);
        stored.float = match self.runs.of(id) {
            None => alone.ok_or(Loss::Stored)?,
            Some(member) => {
                // The rest is stored next to it, and all of it is judged with the last.
                if member.last {
                    let all = self.floats_of_run(member.first)?;
                    stored.mixed = all.mixed;
                    all.float
                } else {
                    alone.flatten()
                }
            }
        };
        self.stored[id.0 as usize] = Some(stored);
        // Values that are not read here are read later.
        if self.results.contains(&id) && self.tears(id, stored) { Err(Loss::Torn) } else { Ok(()) }
    }

    /// Whether a store may write over a part of a float that another leaves there.
    fn tears(&self, id: InstId, now: Stored) -> bool {
        let flow = self.flow;
        let meets = |other: &Node<'_>| {
            let writes = &flow.nodes[id.0 as usize].touched.writes;
            other.touched.writes.iter().any(|p| writes.iter().any(|q| p.meets(*q)))
        };
        flow.numbered().filter(|(other, n)| *other != id && meets(n)).any(|(other, _)| {
            let Some(held) = self.stored[other.0 as usize] else { return false };
            let Some(of) = held.float else { return false };
            let mixed = now.mixed || held.mixed || now.float.is_some_and(|f| f.ty != of.ty);
            (mixed || now.grains & (of.ty.bytes() - 1) != 0) && !self.apart(id, other)
        })
    }

    /// Whether two stores, each with all of its run, do not overlap.
    fn apart(&self, a: InstId, b: InstId) -> bool {
        let all = |id: InstId| match self.runs.of(id) {
            Some(member) => self.runs.members(member.first).iter().map(|m| InstId(m.0)).collect(),
            None => vec![id],
        };
        let others = all(b);
        all(a).into_iter().all(|a| others.iter().all(|&b| a == b || runs::apart(self.flow, a, b)))
    }

    /// The floats that bytes in memory are, from a multiple of their size on; none where some are not whole.
    fn floats(&mut self, bytes: &BTreeMap<i64, Byte>) -> Option<Option<Float>> {
        let mut found: Option<Float> = None;
        let mut done = i64::MIN;
        for (&at, &byte) in bytes {
            match byte {
                _ if at < done => {}
                Byte::Plain | Byte::Const(_) => {}
                Byte::Lost => return None,
                Byte::Of { id, .. } => {
                    let float = self.names.float(id)?;
                    let size = float.bytes() as i64;
                    let of: Vec<Byte> = (at..at + size).map_while(|i| bytes.get(&i).copied()).collect();
                    let whole = self.names.whole(&of)?;
                    let (Content::Whole(float), 0) = (whole.content, at.rem_euclid(size)) else { return None };
                    if found.is_some_and(|f| f.ty != float.ty) {
                        return None;
                    }
                    let narrowed = float.narrowed || found.is_some_and(|f| f.narrowed);
                    found = Some(Float { narrowed, ..float });
                    done = at + size;
                }
            }
        }
        Some(found)
    }

    /// The floats that all stores of a run write, together or each of them.
    fn floats_of_run(&mut self, first: u32) -> Result<Stored, Loss> {
        let mut all = BTreeMap::new();
        let mut each = Vec::new();
        for &(id, at) in self.runs.members(first) {
            // What is missing was lost before.
            let Some(bytes) = self.pieces.get(&id) else { return Ok(Stored::default()) };
            all.extend((at..).zip(bytes.iter().copied()));
            each.push(at_zero(bytes));
        }
        if let Some(float) = self.floats(&all) {
            return Ok(Stored { float, ..Stored::default() });
        }
        let mut found = Stored::default();
        for bytes in each {
            let float = self.floats(&bytes).ok_or(Loss::Stored)?;
            found = found.and(Stored { float, ..Stored::default() });
        }
        Ok(found)
    }

    pub(super) fn update(&mut self, id: InstId, sources: &[Source]) -> Result<Content, Loss> {
        let computed = any_computed(sources) || self.held(id).is_computed();
        self.stored[id.0 as usize] = Some(Stored { updated: true, lost: computed, ..Stored::default() });
        if computed { Err(Loss::Atomic) } else { Ok(Content::Plain) }
    }

    /// Copies of memory keep floats whole if they copy a multiple of their size.
    pub(super) fn copy(&mut self, id: InstId, inst: &Inst) -> Result<(), Loss> {
        let held = self.held(id);
        self.stored[id.0 as usize] = Some(Stored::default());
        let of = |slot: &str| {
            let operand = inst.slots().find(|(s, _)| s.name == slot).and_then(|(_, ops)| ops.first());
            operand.filter(|o| **o != Operand::None).map(|o| match o {
                Operand::Imm(bytes) => Some(*bytes),
                o => self.flow.info.operand(self.flow.module, self.flow.kernel, id, o).as_constant(),
            })
        };
        let size = held.float.map_or(1, |f| f.bytes() as u64);
        let whole = |bytes: u64| bytes.is_multiple_of(size);
        // Bulk copies are of a multiple of 16 bytes, whatever the number.
        let bulk = of("size").is_some();
        let all = bulk || of("cp-size").flatten().is_some_and(whole);
        let read = of("src-size").is_none_or(|bytes| bytes.is_some_and(whole));
        if held.is_computed() && !(all && read) || held.torn().is_some() {
            self.stored[id.0 as usize] = Some(Stored::lost());
            return Err(held.torn().unwrap_or(Loss::Copied));
        }
        // What it brings from elsewhere is written in its own size.
        let bytes = of("cp-size").flatten().unwrap_or(16) as u32;
        self.stored[id.0 as usize] = Some(Stored { grains: bytes, ..Stored::default() });
        Ok(())
    }
}

/// The bytes of an access, which is aligned to its size.
fn at_zero(bytes: &[Byte]) -> BTreeMap<i64, Byte> {
    (0..).zip(bytes.iter().copied()).collect()
}
