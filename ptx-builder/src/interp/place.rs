//! Memory as the author named it: `x[20] of 20`, not an address alone.

use super::context::Context;
use super::layout::variable;
use crate::ir::{Symbol, Variable};
use crate::types::Space;

impl Context<'_> {
    /// The element of a buffer or an array at an address that the instruction `pc` accesses, or that it would be if the
    /// buffer or array went on: "x[20] of 20". `None` where nothing of a name is near.
    pub fn element(&self, space: Space, address: u64, pc: u32) -> Option<String> {
        match space {
            Space::Global | Space::Generic => self.global_element(address, pc),
            Space::Shared | Space::Local | Space::Const => self.array_element(space, address, pc),
            Space::Param => None,
        }
    }

    /// As [`element`](Self::element), as a prefix of more text; empty if there is none.
    pub fn element_and(&self, space: Space, address: u64, pc: u32, then: &str) -> String {
        self.element(space, address, pc).map(|element| format!("{element}{then}")).unwrap_or_default()
    }

    fn global_element(&self, address: u64, pc: u32) -> Option<String> {
        // The buffer that the address was computed from; else the nearest.
        if let Some(i) = self.home(pc).buffer
            && let Some(param) = self.kernel.params.get(i as usize)
        {
            let start = u64::try_from(self.params.load(*self.layout.params.get(i as usize)?, 8)).ok()?;
            let alloc = self.memory.near(start).filter(|a| a.holds(start, 1) || a.buffer.address == start);
            if let Some(alloc) = alloc {
                let end = alloc.buffer.address + alloc.buffer.len;
                return Some(element(self.kernel.short_name(param), address, start, end, self.unit(pc)));
            }
        }
        let buffer = self.memory.near(address)?.buffer;
        let within = |at: u64| at >= buffer.address && at - buffer.address <= buffer.len;
        let value = |at: u64| u64::try_from(self.params.load(at, 8)).ok();
        let mut params = self.kernel.params.iter().zip(&self.layout.params);
        let param = params.find(|(p, at)| p.ty.bytes() == 8 && p.len.is_none() && value(**at).is_some_and(within));
        let (name, start) = match param {
            Some((param, &at)) => (self.kernel.short_name(param).to_owned(), value(at)?),
            None => {
                let symbols = (0u32..).zip(&self.module.variables).filter(|(_, v)| v.space == Space::Global);
                let at = |i: u32| self.layout.offset(Symbol::Module(i));
                let (i, v) = { symbols }.find(|(i, _)| at(*i) == Some(buffer.address))?;
                (v.name.clone(), at(i)?)
            }
        };
        Some(element(&name, address, start, buffer.address + buffer.len, self.unit(pc)))
    }

    fn array_element(&self, space: Space, address: u64, pc: u32) -> Option<String> {
        let address = if space == Space::Shared { self.block_address(address, 0) } else { address };
        if let Some(home) = self.home(pc).array.filter(|home| home.space == space) {
            let v = variable(self.module, self.kernel, home.symbol)?;
            // Addresses of 32 bits wrap.
            let address = if space == Space::Const { address } else { i64::from(address as u32 as i32) as u64 };
            let (name, unit) = match home.dynamic {
                true => ("dynamic shared memory", self.unit(pc)),
                false => (v.name.as_str(), u64::from(v.ty.bytes())),
            };
            return Some(element(name, address, home.start, home.end, unit));
        }
        let own = (0u32..).zip(&self.kernel.variables).map(|(i, v)| (Symbol::Kernel(i), v));
        let module = (0u32..).zip(&self.module.variables).map(|(i, v)| (Symbol::Module(i), v));
        let start = |(symbol, v): (Symbol, &Variable)| Some((self.layout.offset(symbol)?, v.name.clone(), v.clone()));
        let arrays = own.chain(module).filter(|(_, v)| v.space == space && v.len.is_some()).filter_map(start);
        // The last that starts at or before the address.
        let (start, name, v) = arrays.filter(|(start, ..)| *start <= address).max_by_key(|(start, ..)| *start)?;
        Some(element(&name, address, start, start + v.bytes()?, u64::from(v.ty.bytes())))
    }

    /// Bytes of what the instruction moves.
    fn unit(&self, pc: u32) -> u64 {
        let form = self.program.sites.get(pc as usize).map(|(_, _, form)| form.get());
        let bytes = form.and_then(|form| form.last_type()).map(|ty| ty.bytes()).unwrap_or_default();
        u64::from(bytes.max(1))
    }
}

fn element(name: &str, address: u64, start: u64, end: u64, unit: u64) -> String {
    let (bytes, len) = ((address as i64).wrapping_sub(start as i64), end.saturating_sub(start));
    let size = unit as i64;
    match bytes % size {
        0 => {
            let index = bytes / size;
            // An index below zero that was taken for a large one.
            let negative = (1 << 31..1 << 32).contains(&index).then(|| format!(" (index {})", index as u32 as i32));
            format!("{name}[{index}] of {}{}", len / unit, negative.unwrap_or_default())
        }
        _ => format!("byte {bytes} of the {len} of {name}"),
    }
}
