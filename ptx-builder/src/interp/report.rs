//! The report of a launch: findings and counters.

use std::fmt;

use super::counters::Counters;
use super::site::Site;

/// The kind of a finding.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum FindingKind {
    /// An access outside of every buffer, array or window. Ends the launch.
    OutOfBounds,
    /// An address that is not a multiple of the access's size. Ends the launch.
    Misaligned,
    /// A write to const or param space. Ends the launch.
    ReadOnlySpace,
    /// `trap` was executed. Ends the launch.
    Trap,
    /// An `assert` of the kernel's source failed. Ends the launch.
    Assertion,
    /// No thread of the block can continue, or those that can wait for memory that nothing changes any more. Ends the
    /// launch.
    Deadlock,
    /// The block executed more warp instructions than the launch allows. Ends the launch.
    StepLimit,
    /// An operand has a value that the instruction does not allow, such as a
    /// barrier number above 15 or an mbarrier that was not initialized. Ends the launch.
    BadOperand,
    /// A read of uninitialized memory.
    Uninitialized,
    /// Two unordered accesses to the same bytes, one of them a write.
    Race,
    /// Data read through the read-only path (`.nc`) is written in the same launch.
    ReadOnlyWritten,
    /// A bulk copy reads or writes memory that threads wrote, with no
    /// `fence.proxy.async` between them.
    ProxyFence,
    /// An access to bytes that an asynchronous copy may still be writing, or a
    /// write to bytes that it may still be reading, because nothing has waited for it; or a bulk copy that nothing has
    /// waited for when its block exits.
    AsyncPending,
    /// Bytes of copies to an mbarrier that its phase does not expect: the phase completes before they have come, or
    /// another one never does.
    TransactionCount,
    /// An access to the shared memory of another block of the cluster that may not have started, or may have left.
    BlockAbsent,
    /// An aligned barrier reached by a part of a warp.
    BarrierDivergence,
    /// A barrier completed without threads that had already exited.
    BarrierExited,
    /// A barrier of the whole block completed with threads at different
    /// barrier instructions.
    BarrierSites,
    /// A member mask without the executing lane, or with an exited lane, or masks that differ between lanes that should
    /// converge.
    WarpMask,
    /// A shuffle read the register of a lane that does not take part.
    InactiveLane,
    /// Memory accessed at an index whose 32-bit arithmetic wrapped; the instruction is the one that wrapped.
    IndexWrapped,
    /// A launch that starts before another has ended touches, before it waits, memory that the other writes, or
    /// writes what the other reads.
    EarlyAccess,
    /// Unordered writes of the same value to the same bytes, which no unordered read sees: the result is the same
    /// whichever comes last. Mild: compilers write this where a block has more threads than values.
    SameValue,
}

impl FindingKind {
    /// Whether it changes no result, so that a launch with nothing else is [clean](Report::is_clean).
    pub fn is_mild(self) -> bool {
        self == FindingKind::SameValue
    }

    /// Whether the launch ends there.
    pub fn is_fault(self) -> bool {
        self <= FindingKind::BadOperand
    }
}

/// The other access of a race.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Other {
    /// Its instruction.
    pub site: Site,
    /// Its block, as `%ctaid`.
    pub block: [u32; 3],
    /// Its warp in the block.
    pub warp: u32,
    /// Its lane.
    pub lane: u32,
}

/// One finding, at one place. Repetitions are counted, not listed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Finding {
    /// Its kind.
    pub kind: FindingKind,
    /// The kernel's name.
    pub kernel: String,
    /// The first block in which it happened, as `%ctaid`.
    pub block: [u32; 3],
    /// The warp, as `%warpid`.
    pub warp: u32,
    /// The lanes, as a mask.
    pub lanes: u32,
    /// The instruction.
    pub site: Site,
    /// The other access of a race.
    pub other: Option<Other>,
    /// Addresses, values, and what was expected.
    pub message: String,
    /// How often it happened in the launch.
    pub count: u64,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [x, y, z] = self.block;
        write!(
            f,
            "{}: {:?}: {}\n  {}, block ({x}, {y}, {z}), warp {}, lanes {:#010x}",
            self.kernel, self.kind, self.message, self.site, self.warp, self.lanes
        )?;
        if let Some(other) = &self.other {
            let [x, y, z] = other.block;
            write!(f, "\n  and {}, block ({x}, {y}, {z}), warp {}, lane {}", other.site, other.warp, other.lane)?;
        }
        if self.count > 1 {
            write!(f, "\n  ({} times)", self.count)?;
        }
        Ok(())
    }
}

/// The result of a launch.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// The findings, by instruction and kind.
    pub findings: Vec<Finding>,
    /// Counts of what was executed; all zero unless the launch counts.
    pub counters: Counters,
    /// The output of printf, block after block.
    pub printed: String,
}

impl Report {
    /// Whether nothing was found but what is [mild](FindingKind::is_mild).
    pub fn is_clean(&self) -> bool {
        self.findings.iter().all(|f| f.kind.is_mild())
    }

    /// The finding that ended the launch, if any. Memory then has the state at that point.
    pub fn fault(&self) -> Option<&Finding> {
        self.findings.iter().find(|f| f.kind.is_fault())
    }

    /// The findings of one kind.
    pub fn of(&self, kind: FindingKind) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |f| f.kind == kind)
    }
}

/// Findings of one kind at the same lines are merged: one line of Rust can emit many instructions.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |finding: &Finding| {
            let other = finding.other.as_ref().map(|other| other.site.loc.clone());
            finding.site.loc.clone().map(|loc| (finding.kind, finding.kernel.clone(), loc, other))
        };
        let mut told: Vec<(&Finding, usize)> = Vec::new();
        for finding in &self.findings {
            let here = place(finding);
            match told.iter_mut().find(|(first, _)| here.is_some() && place(first) == here) {
                Some((_, more)) => *more += 1,
                None => told.push((finding, 0)),
            }
        }
        told.into_iter().try_for_each(|(finding, more)| {
            writeln!(f, "{finding}")?;
            match more {
                0 => Ok(()),
                1 => writeln!(f, "  (and another of the same kind and lines)"),
                _ => writeln!(f, "  (and {more} more of the same kind and lines)"),
            }
        })
    }
}
