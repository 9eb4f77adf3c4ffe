//! Asynchronous copies (PTX ISA 9.7.9.25).
//!
//! The data lands when the copy is issued, or in the adversarial order when it
//! is waited for. Either way the bytes count as pending until a wait covers
//! them, and touching them is a finding: of `cp.async`, and of bulk copies in
//! global memory, until any thread has waited, and of bulk copies
//! in shared memory for each thread until it is ordered after such a wait.

use super::Exec;
use super::wide::copy_shadows;
use crate::interp::context::Context;
use crate::interp::copies::{Completion, Copy};
use crate::interp::mask::lanes;
use crate::interp::report::FindingKind;
use crate::interp::shadow::{Access, Engine, Strength};
use crate::interp::state::{BlockState, Stop};
use crate::table::{Async, WARP, window};
use crate::types::Space;

const READ: Access = Access { write: false, strength: Strength::Weak, read_only: false };
const WRITE: Access = Access { write: true, strength: Strength::Weak, read_only: false };

/// What a bulk copy reads or writes for a lane.
#[derive(Clone, Copy)]
struct BulkAccess {
    lane: usize,
    /// The first byte.
    place: (Space, u64),
    /// Bytes.
    size: u64,
    write: bool,
    completion: Completion,
}

impl Exec<'_> {
    pub(super) fn asynchronous(&mut self, a: Async) -> Result<(), Stop> {
        let (warp, mask) = (self.warp.id, self.mask);
        match a {
            Async::Copy => self.copy_async()?,
            Async::BulkLoad => self.bulk(Space::Global, Space::Shared)?,
            Async::BulkStore => self.bulk(Space::Shared, Space::Global)?,
            Async::BulkPrefetch => {}
            Async::Commit => self.st.copies.commit(warp, mask, false),
            Async::BulkCommit => self.st.copies.commit(warp, mask, true),
            Async::WaitAll => {
                self.st.copies.commit(warp, mask, false);
                self.wait(false, 0);
            }
            Async::WaitGroup => self.wait(false, self.src_first(0)),
            Async::BulkWait { read: false } => {
                let allowed = self.src_first(0);
                self.wait_for_reads(allowed);
                self.wait(true, allowed);
            }
            Async::BulkWait { read: true } => {
                let allowed = self.src_first(0);
                self.wait_for_reads(allowed);
                let copies = self.st.copies.sources_read(warp, mask, allowed);
                self.st.changes += copies.len() as u64;
                copies.iter().for_each(|copy| land(self.cx, self.st, copy));
            }
            _ => self.mbarrier(a)?,
        }
        Ok(())
    }

    /// `cp.async`: sources are the size, and the bytes read if fewer.
    fn copy_async(&mut self) -> Result<(), Stop> {
        let (to, from) = (self.addresses(0), self.addresses(1));
        let size = self.src_first(0) as u32;
        let read = self.src_or(1, u64::from(size));
        if let Some(lane) = lanes(self.mask).find(|&l| read[l] > u64::from(size)) {
            let message = format!("lane {lane} asks for {} source bytes of a copy of {size}", read[lane]);
            return Err(self.fault(FindingKind::BadOperand, 1 << lane, message));
        }
        let whole = lanes(self.mask).filter(|&l| read[l] == u64::from(size)).fold(0, |m, l| m | 1 << l);
        self.check(Space::Shared, self.mask, &to, size)?;
        self.check(Space::Global, whole, &from, size)?;
        if whole != 0 {
            let mut values = [0; WARP];
            let unwritten = self.read(Space::Global, whole, &from, size, false, &mut values);
            self.unwritten(Space::Global, unwritten, &from, size);
            self.touch(Space::Global, whole, &from, size, READ, None);
        }
        for lane in lanes(self.mask & !whole) {
            for k in 0..read[lane] {
                let at = from.map(|a| a.wrapping_add(k));
                self.check(Space::Global, 1 << lane, &at, 1)?;
                self.touch(Space::Global, 1 << lane, &at, 1, READ, None);
            }
        }
        self.touch(Space::Shared, self.mask, &to, size, WRITE, None);
        for lane in lanes(self.mask) {
            let bytes = read[lane] as u32;
            let (from, to) = ((Space::Global, from[lane]), (Space::Shared, to[lane]));
            let mut copy = self.new_copy(lane, Completion::Group, from, to);
            (copy.bytes, copy.zeros) = (bytes, size - bytes);
            self.issue(copy);
        }
        Ok(())
    }

    fn new_copy(&self, lane: usize, completion: Completion, from: (Space, u64), to: (Space, u64)) -> Copy {
        Copy::new(self.pc, self.warp.id * 32 + lane as u32, completion, from, to)
    }

    /// `cp.async.bulk`: addresses are destination, source and (but for stores to global memory) the mbarrier; the
    /// source operand is the size.
    fn bulk(&mut self, from_space: Space, to_space: Space) -> Result<(), Stop> {
        let (to, from, mbarrier) = (self.addresses(0), self.addresses(1), self.addresses(2));
        let sizes = self.src_zero(0);
        for lane in lanes(self.mask) {
            let size = sizes[lane] as u32;
            if !size.is_multiple_of(16) {
                let message = format!("lane {lane} copies {size} bytes; a bulk copy takes a multiple of 16");
                return Err(self.fault(FindingKind::BadOperand, 1 << lane, message));
            }
            let completion = match to_space {
                Space::Shared => {
                    let place = self.mbarrier_at(lane, mbarrier[lane])?;
                    self.reaches(lane, place);
                    Completion::Mbarrier(place)
                }
                _ => Completion::BulkGroup,
            };
            let (from, to) = ((from_space, from[lane]), (to_space, to[lane]));
            for (place, write) in [(from, false), (to, true)] {
                self.bulk_access(BulkAccess { lane, place, size: u64::from(size), write, completion })?;
            }
            let mut copy = self.new_copy(lane, completion, from, to);
            (copy.bytes, copy.clock) = (size, self.st.release(self.warp.id));
            self.issue(copy);
        }
        Ok(())
    }

    /// Checks and marks what a bulk copy reads or writes.
    fn bulk_access(&mut self, access: BulkAccess) -> Result<(), Stop> {
        let BulkAccess { lane, place: (space, at), size, write, .. } = access;
        if space == Space::Shared && !write && window::shared_rank(at) != self.cx.rank(self.warp.id) {
            let message = format!("lane {lane} copies from shared memory at {at:#x}, which is another block's");
            return Err(self.fault(FindingKind::OutOfBounds, 1 << lane, message));
        }
        for k in (0..size).step_by(16) {
            self.check(space, 1 << lane, &[at + k; WARP], 16)?;
        }
        self.st.check_fenced(self.cx, self.by(), lane as u32, (space, at), size, write);
        let pending = self.mark_bulk(access);
        if write || pending {
            return Ok(());
        }
        for k in (0..size).step_by(16) {
            let at = [at + k; WARP];
            let unwritten = self.read(space, 1 << lane, &at, 16, false, &mut [0; WARP]);
            self.unwritten(space, unwritten, &at, 16);
        }
        Ok(())
    }

    /// Marks it. Whether it meets a copy that nothing has waited for.
    fn mark_bulk(&mut self, BulkAccess { lane, place: (space, at), size, write, completion }: BulkAccess) -> bool {
        let access = if write { WRITE } else { READ };
        if space == Space::Shared {
            self.reaches(lane, at);
            let pending = self.st.copies.clashes_with_range(at, size, write);
            if pending {
                self.find(FindingKind::AsyncPending, 1 << lane, || {
                    format!(
                        "lane {lane} copies {size} bytes of shared memory at {at:#x}, where an asynchronous copy has not \
                         been waited for"
                    )
                });
            }
            let marked = match self.engine_of(lane, completion) {
                Some(engine) => self.st.engine_access(self.by(), lane as u32, engine, at, size, access),
                None => false,
            };
            return pending || marked;
        }
        (0..size)
            .step_by(16)
            .fold(false, |pending, k| pending | (self.touch(space, 1 << lane, &[at + k; WARP], 16, access, None) != 0))
    }

    /// The engine that does a copy's work, and the time at which this is complete.
    fn engine_of(&mut self, lane: usize, completion: Completion) -> Option<(u32, u64)> {
        match completion {
            Completion::Mbarrier(place) => {
                let mbarrier = self.st.mbarriers.look(place)?;
                Some((mbarrier.engine?, mbarrier.phase))
            }
            Completion::BulkGroup if self.cx.options.check.races => {
                let thread = self.warp.id * WARP as u32 + lane as u32;
                let group = self.st.copies.bulk_group(thread);
                Some((self.st.order.engine(Engine::Reads(thread))?, group))
            }
            Completion::BulkGroup | Completion::Group => None,
        }
    }

    fn issue(&mut self, mut copy: Copy) {
        if let Completion::Mbarrier(place) = copy.completion
            && let Some(mbarrier) = self.st.mbarriers.get(place)
        {
            mbarrier.issued(copy.bytes, copy.pc, copy.thread);
        }
        if !self.cx.is_adversarial() {
            land(self.cx, self.st, &copy);
            copy.landed = true;
        }
        self.st.copies.issue(copy);
    }

    /// The sources of all but the last `allowed` bulk groups of each lane have been read.
    fn wait_for_reads(&mut self, allowed: u64) {
        if !self.cx.options.check.races {
            return;
        }
        for lane in lanes(self.mask) {
            let thread = self.warp.id * WARP as u32 + lane as u32;
            let read = self.st.copies.bulk_group(thread).saturating_sub(allowed);
            if read > 0
                && let Some(engine) = self.st.order.engine(Engine::Reads(thread))
            {
                self.st.order.waited(self.warp.id, engine, read as u32);
            }
        }
    }

    /// Waits until at most `allowed` of each lane's groups are pending.
    fn wait(&mut self, bulk: bool, allowed: u64) {
        let copies = self.st.copies.take_groups(self.warp.id, self.mask, bulk, allowed);
        for copy in copies {
            land(self.cx, self.st, &copy);
            self.st.changes += 1;
            if copy.to.0 == Space::Shared {
                self.st.mark_copy(&copy, self.warp.id, self.cx.memory);
            }
        }
    }
}

/// Moves a copy's bytes, unless they have been.
pub(in crate::interp) fn land(cx: &Context, st: &mut BlockState, copy: &Copy) {
    if copy.landed {
        return;
    }
    let (from, to) = (copy.from, copy.to);
    let aligned = (from.1 | to.1 | u64::from(copy.bytes)).is_multiple_of(4);
    let step = if aligned { 4 } else { 1 };
    for k in (0..u64::from(copy.bytes)).step_by(step) {
        let at = from.1 + k;
        let value = match from.0 {
            Space::Shared => st.shared.load(at, step as u32),
            _ => cx.memory.near(at).map_or(0, |alloc| alloc.load(at, step as u32)),
        };
        match to.0 {
            Space::Shared => st.shared.store(to.1 + k, step as u32, value),
            _ => {
                if let Some(alloc) = cx.memory.near(to.1 + k) {
                    alloc.store(to.1 + k, step as u32, value);
                }
            }
        }
    }
    for k in 0..u64::from(copy.zeros) {
        st.shared.store(to.1 + u64::from(copy.bytes) + k, 1, 0);
    }
    copy_shadows(cx, st, copy);
}
