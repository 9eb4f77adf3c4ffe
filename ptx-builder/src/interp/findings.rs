//! Findings while they are collected.

use std::collections::BTreeMap;

use super::block::Context;
use super::report::{Finding, FindingKind, Other};
use super::shadow::{By, Conflict, CrossConflict};
use crate::types::Space;

/// The other side of a race.
#[derive(Clone, Debug)]
pub(super) struct RawOther {
    pub pc: u32,
    pub block: u64,
    pub warp: u32,
    pub lane: u32,
}

/// A finding with instructions as numbers.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    pub kind: FindingKind,
    pub pc: u32,
    pub block: u64,
    pub warp: u32,
    pub lanes: u32,
    pub other: Option<RawOther>,
    pub message: String,
    pub count: u64,
}

/// Findings by instruction, kind and other instruction.
#[derive(Default)]
pub(super) struct Findings(BTreeMap<(u32, FindingKind, Option<u32>), Raw>);

impl Findings {
    /// Counts a finding; the first at its place is made and kept.
    pub fn add(&mut self, kind: FindingKind, pc: u32, other: Option<u32>, make: impl FnOnce() -> Raw) {
        self.0.entry((pc, kind, other)).or_insert_with(make).count += 1;
    }

    /// Adds those of another block that comes later.
    pub fn merge(&mut self, later: Findings) {
        for (key, raw) in later.0 {
            match self.0.get_mut(&key) {
                Some(first) => first.count += raw.count,
                None => {
                    self.0.insert(key, raw);
                }
            }
        }
    }

    /// Adds a fault.
    pub fn push(&mut self, raw: Raw) {
        self.0.insert((raw.pc, raw.kind, raw.other.as_ref().map(|o| o.pc)), raw);
    }

    /// A race within a block.
    pub fn clash(&mut self, clash: &Conflict, by: By, space: Space, write: bool, block: u64) {
        let kind = if clash.read_only { FindingKind::ReadOnlyWritten } else { FindingKind::Race };
        let other = &clash.other;
        self.add(kind, by.pc, Some(other.pc), || Raw {
            kind,
            pc: by.pc,
            block,
            warp: by.warp,
            lanes: 1 << clash.lane,
            other: Some(RawOther { pc: other.pc, block, warp: other.warp(), lane: other.lane() }),
            message: clash_message(space, clash.address, write, other.write, clash.read_only),
            count: 0,
        });
    }

    /// A race between blocks.
    pub fn cross_clash(&mut self, clash: &CrossConflict) {
        let kind = if clash.read_only { FindingKind::ReadOnlyWritten } else { FindingKind::Race };
        let ((block, this), (other_block, other)) = (&clash.this, &clash.other);
        self.add(kind, this.pc, Some(other.pc), || Raw {
            kind,
            pc: this.pc,
            block: *block,
            warp: this.warp(),
            lanes: 1 << this.lane(),
            other: Some(RawOther { pc: other.pc, block: *other_block, warp: other.warp(), lane: other.lane() }),
            message: clash_message(Space::Global, clash.address, this.write, other.write, clash.read_only),
            count: 0,
        });
    }

    /// As people read them.
    pub fn finish(self, cx: &Context) -> Vec<Finding> {
        let finding = |raw: Raw| Finding {
            kind: raw.kind,
            kernel: cx.kernel.name.clone(),
            block: cx.ctaid(raw.block),
            warp: raw.warp,
            lanes: raw.lanes,
            site: cx.site(raw.pc),
            other: raw.other.map(|o| Other {
                site: cx.site(o.pc),
                block: cx.ctaid(o.block),
                warp: o.warp,
                lane: o.lane,
            }),
            message: raw.message,
            count: raw.count,
        };
        self.0.into_values().map(finding).collect()
    }
}

/// What a race is about.
pub(super) fn clash_message(space: Space, address: u64, write: bool, other_wrote: bool, read_only: bool) -> String {
    let did = |write: bool| if write { "writes" } else { "reads" };
    if read_only {
        return format!("data at {address:#x} that is read through the read-only path is written in the same launch");
    }
    format!(
        "it {} {space} memory at {address:#x}, which the other instruction {}, with nothing to order them",
        did(write),
        did(other_wrote)
    )
}
