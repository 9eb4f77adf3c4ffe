//! Findings while they are collected.

use std::collections::BTreeMap;

use super::context::Context;
use super::report::{Finding, FindingKind, Other};
use super::shadow::{Access, By, Conflict, CrossConflict, Strong};
use crate::types::Space;

/// The other side of a race.
#[derive(Clone, Debug)]
pub(super) struct RawOther {
    pub pc: u32,
    /// The cluster, and the warp in it.
    pub block: u64,
    pub warp: u32,
    pub lane: u32,
}

/// What a race is about; its words are found when the launch is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clash {
    pub space: Space,
    pub address: u64,
    pub write: bool,
    pub other_wrote: bool,
    pub read_only: bool,
    /// How strong each is.
    pub strong: [Option<Strong>; 2],
    /// Which of them an asynchronous copy does.
    pub by_engine: [bool; 2],
}

/// A finding with instructions as numbers.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    pub kind: FindingKind,
    pub pc: u32,
    /// The cluster, and the warp in it.
    pub block: u64,
    pub warp: u32,
    pub lanes: u32,
    pub other: Option<RawOther>,
    pub message: String,
    pub clash: Option<Clash>,
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

    /// A race within a block or a cluster, or an access to what a copy has not been waited for.
    #[allow(clippy::too_many_arguments)] // the parts of one access
    pub fn clash(
        &mut self,
        clash: &Conflict,
        by: By,
        space: Space,
        access: Access,
        same: bool,
        by_engine: [bool; 2],
        block: u64,
    ) {
        let kind = match (same, by_engine) {
            _ if clash.read_only => FindingKind::ReadOnlyWritten,
            (_, [false, true]) => FindingKind::AsyncPending,
            (true, _) => FindingKind::SameValue,
            (false, _) => FindingKind::Race,
        };
        let other = &clash.other;
        self.add(kind, by.pc, Some(other.pc), || Raw {
            kind,
            pc: by.pc,
            block,
            warp: by.warp,
            lanes: 1 << clash.lane,
            other: Some(RawOther { pc: other.pc, block, warp: other.warp(), lane: other.lane() }),
            message: String::new(),
            clash: Some(Clash {
                space,
                address: clash.address,
                write: access.write,
                other_wrote: other.write,
                read_only: clash.read_only,
                strong: [access.strength.strong(), other.strong],
                by_engine,
            }),
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
            message: String::new(),
            clash: Some(Clash {
                space: Space::Global,
                address: clash.address,
                write: this.write,
                other_wrote: other.write,
                read_only: clash.read_only,
                strong: [this.strong, other.strong],
                by_engine: [false; 2],
            }),
            count: 0,
        });
    }

    /// As people read them.
    pub fn finish(self, cx: &Context) -> Vec<Finding> {
        let message = |raw: &Raw| match (&raw.clash, &raw.other) {
            (Some(clash), Some(other)) => clash_message(cx, raw, clash, other),
            _ => raw.message.clone(),
        };
        let finding = |raw: Raw| Finding {
            message: message(&raw),
            kind: raw.kind,
            kernel: cx.kernel.name.clone(),
            block: cx.ctaid(raw.block, raw.warp),
            warp: cx.warp_in_block(raw.warp),
            lanes: raw.lanes,
            site: cx.site(raw.pc),
            other: raw.other.map(|o| Other {
                site: cx.site(o.pc),
                block: cx.ctaid(o.block, o.warp),
                warp: cx.warp_in_block(o.warp),
                lane: o.lane,
            }),
            count: raw.count,
        };
        self.0.into_values().map(finding).collect()
    }
}

fn clash_message(cx: &Context, raw: &Raw, clash: &Clash, other: &RawOther) -> String {
    let did = |write: bool| if write { "writes" } else { "reads" };
    let Clash { space, address, write, other_wrote, read_only, strong, by_engine } = *clash;
    let element = cx.element_and(space, address, raw.pc, ", ");
    if read_only {
        return format!(
            "data at {element}{address:#x} that is read through the read-only path is written in the same launch"
        );
    }
    if raw.kind == FindingKind::SameValue {
        return format!(
            "it writes {element}{space} memory at {address:#x}, where the other instruction has written the same value, with \
             nothing to order them: whichever is last, the same is there; one of them is enough"
        );
    }
    match by_engine {
        [false, true] => {
            let may = if other_wrote { "may still write" } else { "may still read" };
            return format!(
                "it {} {element}{space} memory at {address:#x}, which an asynchronous copy {may}: the thread has not been \
                 ordered after the copy by a wait for its mbarrier's phase, or for its bulk group",
                did(write)
            );
        }
        [true, true] => {
            return format!(
                "the copy {} {element}{space} memory at {address:#x}, which the other copy {}, with nothing to order them: \
                 wait for the other one before this one starts",
                did(write),
                did(other_wrote)
            );
        }
        [true, false] => {
            return format!(
                "the copy {} {element}{space} memory at {address:#x}, which the other instruction {}, with nothing to order \
                 them: let the copying thread wait for it, at a barrier or an mbarrier, before it starts the copy",
                did(write),
                did(other_wrote)
            );
        }
        [false, false] => {}
    }
    if let [Some(this), Some(that)] = strong.map(|s| s.map(Strong::bytes))
        && this != that
    {
        return format!(
            "it {} {this} bytes of {element}{space} memory at {address:#x}, where the other instruction {} {that} bytes, with \
             nothing to order them: atomic and other strong accesses of different sizes have no defined result; give both \
             one size, or order them",
            did(write),
            did(other_wrote)
        );
    }
    let is_remote = raw.block == other.block && cx.rank(raw.warp) != cx.rank(other.warp);
    let missing = if is_remote {
        "blocks of a cluster are ordered by `barrier.cluster` (arrive and wait), or by an mbarrier"
    } else if raw.block != other.block {
        "blocks are ordered by a release and an acquire, or by a launch each"
    } else if raw.warp != other.warp {
        "between them `k.barrier()` (bar.sync) is missing"
    } else {
        "between them `k.sync_warp(mask)` (bar.warp.sync) or `k.barrier()` (bar.sync) is missing"
    };
    // Of shared memory a lock is rare.
    let lock = match space {
        Space::Global if raw.block == other.block && !is_remote => ", or `k.fence_gpu()` where a lock orders them",
        _ => "",
    };
    let both = if write && other_wrote { "; if it is one instruction, let one thread write" } else { "" };
    format!(
        "it {} {element}{space} memory at {address:#x}, which the other instruction {}, with nothing to order them: \
         {missing}{lock}{both}",
        did(write),
        did(other_wrote)
    )
}
