//! Numbers that are read from memory, and who has written them.

use std::collections::HashMap;

use super::Role;
use super::flow::{Flow, Node};
use super::order::Paths;
use super::place::Place;
use crate::analysis::InstId;
use crate::ir::{Base, Operand};

impl Flow<'_> {
    /// What is read from memory is made of all that may have been written there before.
    pub(super) fn through_memory(&mut self) {
        let mut writers: HashMap<Place, Vec<u32>> = HashMap::new();
        for (id, node) in self.numbered() {
            for &place in &node.touched.writes {
                // The contents of a cache of 16-bit floats are data, whatever wrote them.
                if self.role(place.origin) != Role::HalfOutput {
                    writers.entry(place).or_default().push(id.0);
                }
            }
        }
        let paths = Paths::new(self);
        let read = |(id, node): (InstId, &Node<'_>)| {
            let reads = |place: &Place| node.touched.reads.iter().any(|r| r.meets(*place));
            let all = writers.iter().filter(|(place, _)| reads(place)).flat_map(|(_, by)| by.iter().copied());
            all.filter(|&by| paths.sees(self, by, id.0) && self.updates(id, InstId(by)) != Some(true))
                .collect::<Vec<u32>>()
        };
        let all: Vec<Vec<u32>> = self.numbered().map(read).collect();
        for (node, by) in self.nodes.iter_mut().zip(all) {
            node.sources.extend(by);
            // mutants: same, only time
            node.sources.sort_unstable();
            // mutants: same, only time
            node.sources.dedup();
        }
    }
}

impl Flow<'_> {
    /// Whether `store` writes what `load` has read before at the same address of a buffer that is
    /// updated in place: see [`Role::InPlace`].
    fn updates(&self, load: InstId, store: InstId) -> Option<bool> {
        let address = |id: InstId| {
            let inst = self.nodes[id.0 as usize].inst;
            inst.operands.iter().find_map(|o| if let Operand::Address(a) = o { Some(*a) } else { None })
        };
        let base = |id: InstId, base: Base| match base {
            Base::Reg(r) => self.info.defuse.reaching(id, r),
            Base::Symbol(_) => &[],
        };
        let (a, b) = (address(load)?, address(store)?);
        // The load comes before the store on every way to it, and so does the one address of both.
        let ((from, i), (to, j)) = (self.info.cfg.site(load), self.info.cfg.site(store));
        let mut before = std::iter::successors(Some(to), |b| self.info.cfg.immediate_dominator(*b));
        let comes_before = if from == to { i < j } else { before.any(|b| b == from) };
        let is_one = a == b && base(load, a.base) == base(store, b.base) && base(load, a.base).len() <= 1;
        Some(self.role(self.nodes[load.0 as usize].origin()) == Role::InPlace && comes_before && is_one)
    }
}
