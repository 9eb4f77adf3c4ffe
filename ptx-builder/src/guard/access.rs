//! The memory accesses of an instruction, for the guard.

use smallvec::SmallVec;

use crate::ir::{Inst, Operand};
use crate::table::{Async, Matrix, Meaning, Shape};
use crate::types::Space;

/// The number of bytes of an access.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Size {
    /// A constant.
    Fixed(u32),
    /// As an operand says, at most this many: `cp.async` with fewer bytes to read.
    UpTo(u32, Operand),
    /// As an operand says, which must be a multiple of 16: bulk copies.
    Bulk(Operand),
}

/// One access of an instruction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    /// The index of the address among the instruction's operands.
    pub operand: usize,
    pub space: Space,
    pub size: Size,
    /// The required alignment of the address.
    pub align: u32,
    pub reads: bool,
    pub writes: bool,
}

/// The handling of an instruction whose access is out of bounds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Way {
    /// It is skipped, its results are 0, and the violation is reported when the thread ends.
    Skip,
    /// As `Skip`, and the violation is reported immediately: other threads may wait for the effect of the access.
    SkipAndTell,
    /// It reads the start of its array: all lanes must execute it.
    Redirect,
    /// It is skipped, which is not a violation: a hint.
    Hint,
    /// It touches rows as far apart as an operand says, or memory of others: no check bounds it.
    Unbounded,
}

/// The accesses of an instruction that may be out of bounds.
pub(super) fn accesses(inst: &Inst) -> (Way, SmallVec<[Access; 3]>) {
    let mut list = SmallVec::new();
    let one = |space, bytes, reads, writes| {
        let all = addresses(inst).filter(|(_, _, s)| *s == space);
        all.map(|(operand, _, space)| Access { operand, space, size: Size::Fixed(bytes), align: bytes, reads, writes })
            .collect()
    };
    match inst.form().meaning {
        Meaning::Load(m) => list = one(m.space, m.bytes(), true, false),
        Meaning::Store(m) => list = one(m.space, m.bytes(), false, true),
        Meaning::Atomic(m, _) => list = one(m.space, m.bytes(), true, true),
        Meaning::Discard(space) => list = one(space, 128, false, true),
        // What it touches is not known.
        Meaning::Call | Meaning::Foreign => return (Way::Unbounded, list),
        Meaning::Prefetch(space) => return (Way::Hint, one(space, 1, true, false)),
        Meaning::Matrix(Matrix::Load { .. }) => {
            let rows = addresses(inst).map(|(operand, _, space)| {
                let size = Size::Fixed(16);
                Access { operand, space, size, align: 16, reads: true, writes: false }
            });
            return (Way::Redirect, rows.collect());
        }
        Meaning::Matrix(Matrix::Store { .. }) => {
            let rows = addresses(inst).map(|(operand, _, space)| {
                let size = Size::Fixed(16);
                Access { operand, space, size, align: 16, reads: false, writes: true }
            });
            return (Way::Redirect, rows.collect());
        }
        Meaning::Matrix(Matrix::LoadFragment(_) | Matrix::StoreFragment(_)) => {
            let rows = addresses(inst).map(|(operand, _, space)| Access {
                operand,
                space,
                size: Size::Fixed(1),
                align: 1,
                reads: true,
                writes: true,
            });
            return (Way::Unbounded, rows.collect());
        }
        Meaning::Async(kind) => return asynchronous(inst, kind),
        Meaning::Lane(_)
        | Meaning::Approx(..)
        | Meaning::Shuffle(_)
        | Meaning::Vote(_)
        | Meaning::ActiveMask
        | Meaning::Barrier(_)
        | Meaning::Fence(_)
        | Meaning::Matrix(
            Matrix::FloatMma { .. } | Matrix::IntMma { .. } | Matrix::Product(_) | Matrix::Transpose | Matrix::Foreign,
        )
        | Meaning::Opaque { .. }
        | Meaning::Branch
        | Meaning::Exit
        | Meaning::Trap
        | Meaning::Pause => {}
    }
    (Way::Skip, list)
}

fn asynchronous(inst: &Inst, kind: Async) -> (Way, SmallVec<[Access; 3]>) {
    let operand = |name: &str| {
        let mut at = 0;
        inst.slots().find_map(|(slot, ops)| {
            at += ops.len();
            (slot.name == name).then_some(*ops.first()?)
        })
    };
    let access = |name: &str, size: Size, align: u32, reads: bool, writes: bool| {
        let found = addresses(inst).find(|(_, n, _)| *n == name);
        found.map(|(operand, _, space)| Access { operand, space, size, align, reads, writes })
    };
    let barrier = |name| access(name, Size::Fixed(8), 8, true, true);
    match kind {
        Async::Copy => {
            let bytes = match operand("cp-size") {
                Some(Operand::Imm(n)) => n as u32,
                _ => 16,
            };
            let read = match operand("src-size") {
                None | Some(Operand::None) => Size::Fixed(bytes),
                Some(Operand::Imm(n)) => Size::Fixed(bytes.min(n as u32)),
                Some(n) => Size::UpTo(bytes, n),
            };
            let both = [access("dst", Size::Fixed(bytes), bytes, false, true), access("src", read, bytes, true, false)];
            let touches = |a: &Access| a.size != Size::Fixed(0);
            (Way::Skip, both.into_iter().flatten().filter(touches).collect())
        }
        Async::BulkLoad | Async::BulkStore => {
            let size = bulk(operand("size"));
            let all = [access("dst", size, 16, false, true), access("src", size, 16, true, false), barrier("mbar")];
            (Way::SkipAndTell, all.into_iter().flatten().collect())
        }
        Async::BulkPrefetch => {
            let size = bulk(operand("size"));
            (Way::Hint, access("src", size, 16, true, false).into_iter().collect())
        }
        Async::CopyArrive { .. }
        | Async::MbarrierInit
        | Async::MbarrierInval
        | Async::MbarrierArrive { .. }
        | Async::MbarrierExpectTx
        | Async::MbarrierCompleteTx
        | Async::MbarrierWait { .. } => (Way::SkipAndTell, barrier("addr").into_iter().collect()),
        Async::Commit | Async::WaitGroup | Async::WaitAll | Async::BulkCommit | Async::BulkWait { .. } => {
            (Way::Skip, SmallVec::new())
        }
    }
}

/// The size of a bulk copy.
fn bulk(size: Option<Operand>) -> Size {
    match size {
        Some(Operand::Imm(n)) if n % 16 == 0 => Size::Fixed(n as u32),
        size => Size::Bulk(size.unwrap_or(Operand::None)),
    }
}

/// The memory operands: their indices, their names, and their spaces.
fn addresses(inst: &Inst) -> impl Iterator<Item = (usize, &'static str, Space)> {
    let mut at = 0;
    inst.slots().filter_map(move |(slot, ops)| {
        at += ops.len();
        match slot.shape {
            Shape::Address(space) => Some((at - ops.len(), slot.name, space)),
            _ => None,
        }
    })
}
