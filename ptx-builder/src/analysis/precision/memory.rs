//! Memory that instructions read and write, as places whose contents are followed.

use std::collections::HashMap;

use smallvec::SmallVec;

use super::Role;
use super::flow::{Flow, Node};
use super::order::Paths;
use crate::analysis::roots::Roots;
use crate::analysis::{InstId, KernelInfo, Origin};
use crate::ir::{Base, Inst, Kernel, Module, Operand};
use crate::table::{Memory, Precision, Shape};
use crate::types::Space;

/// A part of memory: an array or a buffer, or all of a space where the address is not followed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Place {
    pub space: Space,
    pub origin: Option<Origin>,
}

impl Place {
    /// Whether both may be the same memory. Arrays and buffers do not overlap.
    pub(super) fn meets(self, other: Place) -> bool {
        match (self.origin, other.origin) {
            (Some(a), Some(b)) => a == b,
            (None, _) | (_, None) => {
                self.space == other.space || self.space == Space::Generic || other.space == Space::Generic
            }
        }
    }
}

/// What an instruction reads and writes.
#[derive(Clone, Default, Debug)]
pub(super) struct Touched {
    pub reads: SmallVec<[Place; 1]>,
    pub writes: SmallVec<[Place; 1]>,
}

impl Touched {
    /// Only numbers are read: what a barrier in memory holds is none, but it is written there.
    pub(super) fn new(module: &Module, kernel: &Kernel, info: &KernelInfo, roots: &Roots, id: InstId) -> Touched {
        let inst = info.inst(kernel, id);
        let mut touched = Touched::default();
        if !inst.form().slots.iter().any(|s| matches!(s.shape, Shape::Address(_))) {
            return touched;
        }
        let numbers = match inst.form().precision {
            Precision::Loads | Precision::Stores | Precision::Updates { .. } | Precision::Copies => true,
            Precision::Nothing
            | Precision::Integer
            | Precision::IntegerProduct
            | Precision::Compares
            | Precision::Moves
            | Precision::Bits(_)
            | Precision::Selects
            | Precision::Exact { .. }
            | Precision::Rounds { .. }
            | Precision::Approximates { .. }
            | Precision::Converts { .. }
            | Precision::Lanes
            | Precision::MatrixProduct { .. }
            | Precision::Opaque => false,
        };
        for access in inst.form().accesses() {
            if matches!(access.space, Space::Const | Space::Param) {
                continue;
            }
            let operand = inst.slots().find(|(s, _)| s.name == access.slot).and_then(|(_, ops)| ops.first());
            let Some(operand) = operand else { continue };
            let origin = roots.only(info.operand(module, kernel, id, operand).origin, info, id, operand);
            let place = Place { space: access.space, origin };
            // Of a copy, neither the destination nor the barrier is read.
            if numbers && access.reads && access.slot != "dst" && access.slot != "mbar" {
                touched.reads.push(place);
            }
            if access.writes {
                touched.writes.push(place);
            }
        }
        touched
    }
}

impl Flow<'_> {
    /// What is read from memory is made of all that may have been written there before.
    pub(super) fn through_memory(&mut self) {
        let mut writers: HashMap<Place, Vec<u32>> = HashMap::new();
        for (id, node) in self.numbered() {
            for &place in &node.touched.writes {
                // What a cache of 16-bit floats holds is data, whoever put it there.
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

/// The type, elements and order of a load's or store's access; none of others.
pub(super) fn access(inst: &Inst) -> Option<Memory> {
    let form = inst.form();
    form.memory().copied().filter(|_| matches!(form.precision, Precision::Loads | Precision::Stores))
}
