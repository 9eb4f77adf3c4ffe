//! Loads and stores.

use super::{Exec, write};
use crate::interp::counters;
use crate::interp::homes::Array;
use crate::interp::mask::lanes;
use crate::interp::program::AddrBase;
use crate::interp::report::FindingKind;
use crate::interp::shadow::{Access, By, Strength, Strong};
use crate::interp::state::Stop;
use crate::table::window;
use crate::table::{Memory, Mod, Order, Scope, WARP};
use crate::types::{ScalarType, Space};

/// How strong an access is, for races.
fn strength(m: &Memory) -> Strength {
    match m.order {
        Order::Weak => Strength::Weak,
        Order::Volatile => Strength::Strong(Strong::of(m, Scope::Sys)),
        _ => Strength::Strong(Strong::of(m, m.scope)),
    }
}

impl Exec<'_> {
    /// The address in each lane of memory operand `i`.
    pub(super) fn addresses(&self, i: usize) -> [u64; WARP] {
        let Some(addr) = self.cx.program.addrs(self.code).get(i) else { return [0; WARP] };
        match addr.base {
            AddrBase::Fixed => [addr.offset as u64; WARP],
            AddrBase::Shared => [self.shared_base().wrapping_add_signed(addr.offset); WARP],
            AddrBase::Reg64(r) => self.warp.regs[r as usize].map(|a| a.wrapping_add_signed(addr.offset)),
            AddrBase::Reg32(r) => {
                self.warp.regs[r as usize].map(|a| u64::from((a as u32).wrapping_add(addr.offset as u32)))
            }
        }
    }

    /// Calls `f` with the lanes of each space that an access touches, and
    /// their addresses in that space.
    pub(super) fn by_space(
        &mut self,
        space: Space,
        addresses: &[u64; WARP],
        mut f: impl FnMut(&mut Self, Space, u32, &[u64; WARP]) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        if space != Space::Generic {
            return f(self, space, self.mask, addresses);
        }
        let mut rest = self.mask;
        while rest != 0 {
            let space = window::space_of(addresses[rest.trailing_zeros() as usize]);
            let mask = lanes(rest).filter(|&l| window::space_of(addresses[l]) == space).fold(0, |m, l| m | 1 << l);
            let base = window::base(space);
            f(self, space, mask, &addresses.map(|a| a.wrapping_sub(base)))?;
            rest &= !mask;
        }
        Ok(())
    }

    /// Records the last read value, for threads that spin on it.
    pub(super) fn polls(&mut self, addresses: &[u64; WARP]) {
        self.warp.polled = Some((self.pc, addresses[self.mask.trailing_zeros() as usize & 31]));
    }

    pub(super) fn load(&mut self, m: Memory) -> Result<(), Stop> {
        let addresses = self.addresses(0);
        self.polls(&addresses);
        let mut values = [0u128; WARP];
        self.by_space(m.space, &addresses, |this, space, mask, at| this.load_in(space, mask, at, &m, &mut values))?;
        let bits = m.ty.bits();
        let keep = u64::MAX >> (64 - bits.min(64));
        for (k, dst) in self.cx.program.dsts(self.code).iter().enumerate() {
            let shift = bits * k as u32;
            write(self.warp, dst, &values.map(|v| v.checked_shr(shift).unwrap_or(0) as u64 & keep), self.mask);
        }
        self.wide_load(&m, &addresses, &values);
        Ok(())
    }

    /// Each lane leaves 128 bytes with any contents: here, a pattern that shows.
    pub(super) fn discard(&mut self, space: Space) -> Result<(), Stop> {
        let (ty, order, scope) = (ScalarType::B32, Order::Weak, Scope::Cta);
        let piece = Memory { space, ty, len: 4, order, scope, read_only: false };
        let addresses = self.addresses(0);
        self.by_space(space, &addresses, |this, space, mask, at| {
            this.check(space, mask, at, 128)?;
            (0..128).step_by(16).try_for_each(|k| {
                let at = at.map(|a| a.wrapping_add(k));
                this.store_in(space, mask, &at, &piece, &[0xaaaa_5555 << 32 | 0xaaaa_5555; WARP])
            })
        })
    }

    pub(super) fn load_in(
        &mut self,
        space: Space,
        mask: u32,
        at: &[u64; WARP],
        m: &Memory,
        values: &mut [u128; WARP],
    ) -> Result<(), Stop> {
        let bytes = m.bytes();
        self.check(space, mask, at, bytes)?;
        let unwritten = self.read(space, mask, at, bytes, m.order != Order::Weak, values);
        self.after_read(space, mask, at, m);
        let access = Access { write: false, strength: strength(m), read_only: m.read_only };
        let pending = self.touch(space, mask, at, bytes, access, None);
        self.unwritten(space, unwritten & !pending, at, bytes);
        Ok(())
    }

    /// Reads, and gives the lanes that read unwritten bytes.
    pub(super) fn read(
        &mut self,
        space: Space,
        mask: u32,
        at: &[u64; WARP],
        bytes: u32,
        strong: bool,
        values: &mut [u128; WARP],
    ) -> u32 {
        let mut unwritten = 0;
        match space {
            Space::Shared => {
                for lane in lanes(mask) {
                    values[lane] = self.st.shared.load(at[lane], bytes);
                    unwritten |= u32::from(!self.st.shared.is_init(at[lane], bytes)) << lane;
                }
            }
            Space::Const | Space::Param => {
                let memory = if space == Space::Const { &self.cx.consts } else { &self.cx.params };
                for lane in lanes(mask) {
                    values[lane] = memory.load(at[lane], bytes);
                    unwritten |= u32::from(!memory.is_init(at[lane], bytes)) << lane;
                }
            }
            Space::Local => {
                for lane in lanes(mask) {
                    let at = self.local(lane, at[lane]);
                    values[lane] = self.st.local.load(at, bytes);
                    unwritten |= u32::from(!self.st.local.is_init(at, bytes)) << lane;
                }
            }
            Space::Global | Space::Generic => {
                let _step = self.cx.memory.one_step(strong, bytes);
                let mut alloc = None;
                for lane in lanes(mask) {
                    let a = at[lane];
                    if !alloc.is_some_and(|b: &crate::interp::memory::Alloc| b.holds(a, bytes)) {
                        alloc = self.cx.memory.near(a);
                    }
                    let Some(alloc) = alloc else { continue };
                    values[lane] = alloc.load(a, bytes);
                    unwritten |= u32::from(!alloc.is_init(a, bytes)) << lane;
                }
            }
        }
        unwritten
    }

    /// Reports reads of unwritten bytes.
    pub(super) fn unwritten(&mut self, space: Space, lanes: u32, at: &[u64; WARP], bytes: u32) {
        if lanes != 0 && self.cx.options.check.uninit {
            let lane = lanes.trailing_zeros();
            let address = at[lane as usize];
            let element = self.cx.element_and(space, address, self.pc, ": ");
            self.find(FindingKind::Uninitialized, lanes, || {
                format!(
                    "lane {lane} reads {element}{bytes} bytes of {space} memory at {address:#x} that nobody has written"
                )
            });
        }
    }

    pub(super) fn store(&mut self, m: Memory) -> Result<(), Stop> {
        let addresses = self.addresses(0);
        let mut values = [0u128; WARP];
        let bits = m.ty.bits();
        let keep = u64::MAX >> (64 - bits.min(64));
        for k in 0..self.cx.program.srcs(self.code).len() {
            let src = self.src_zero(k);
            for lane in lanes(self.mask) {
                values[lane] |= u128::from(src[lane] & keep).checked_shl(bits * k as u32).unwrap_or(0);
            }
        }
        self.by_space(m.space, &addresses, |this, space, mask, at| this.store_in(space, mask, at, &m, &values))?;
        self.wide_store(&m, &addresses, &values);
        Ok(())
    }

    pub(super) fn store_in(
        &mut self,
        space: Space,
        mask: u32,
        at: &[u64; WARP],
        m: &Memory,
        values: &[u128; WARP],
    ) -> Result<(), Stop> {
        let bytes = m.bytes();
        self.check(space, mask, at, bytes)?;
        if matches!(space, Space::Const | Space::Param) {
            let message = format!("{space} memory cannot be written");
            return Err(self.fault(FindingKind::ReadOnlySpace, mask, message));
        }
        self.before_write(space, mask, at, m);
        let access = Access { write: true, strength: strength(m), read_only: false };
        self.touch(space, mask, at, bytes, access, Some(values));
        self.write(space, mask, at, bytes, m.order != Order::Weak, values);
        self.st.changes += 1;
        Ok(())
    }

    /// Writes values; in bounds.
    pub(super) fn write(
        &mut self,
        space: Space,
        mask: u32,
        at: &[u64; WARP],
        bytes: u32,
        strong: bool,
        values: &[u128; WARP],
    ) {
        match space {
            Space::Shared => lanes(mask).for_each(|lane| self.st.shared.store(at[lane], bytes, values[lane])),
            Space::Local => lanes(mask).for_each(|lane| {
                let at = self.local(lane, at[lane]);
                self.st.local.store(at, bytes, values[lane]);
            }),
            _ => {
                let _step = self.cx.memory.one_step(strong, bytes);
                for lane in lanes(mask) {
                    if let Some(alloc) = self.cx.memory.near(at[lane]) {
                        alloc.store(at[lane], bytes, values[lane]);
                    }
                }
            }
        }
    }

    /// Where a lane's local address lies in the block's local memory.
    pub(super) fn local(&self, lane: usize, at: u64) -> u64 {
        (u64::from(self.warp.id) * WARP as u64 + lane as u64) * self.cx.layout.local_bytes + at
    }

    /// Faults on misaligned and out-of-bounds lanes.
    pub(super) fn check(&self, space: Space, mask: u32, at: &[u64; WARP], bytes: u32) -> Result<(), Stop> {
        let all = lanes(mask).fold(0, |all, lane| all | at[lane]);
        if all & u64::from(bytes - 1) != 0 {
            let bad: u32 = lanes(mask).filter(|&l| !at[l].is_multiple_of(u64::from(bytes))).fold(0, |m, l| m | 1 << l);
            let lane = bad.trailing_zeros();
            let address = at[lane as usize];
            let element = self.cx.element_and(space, address, self.pc, ": ");
            let message = format!(
                "lane {lane} accesses {element}{bytes} bytes of {space} memory at {address:#x}, which is no multiple of {bytes}"
            );
            return Err(self.fault(FindingKind::Misaligned, bad, message));
        }
        let mut bad = 0;
        if matches!(space, Space::Global | Space::Generic) {
            let mut alloc = None;
            for lane in lanes(mask) {
                if !alloc.is_some_and(|b: &crate::interp::memory::Alloc| b.holds(at[lane], bytes)) {
                    alloc = self.cx.memory.near(at[lane]);
                    bad |= u32::from(!alloc.is_some_and(|b| b.holds(at[lane], bytes))) << lane;
                }
            }
        } else {
            let (start, end) = self.bounds(space);
            for lane in lanes(mask) {
                let at = if space == Space::Shared { self.in_block(at[lane]) } else { Some(at[lane]) };
                let outside = at.is_none_or(|at| at < start || at >= end || end - at < u64::from(bytes));
                bad |= u32::from(outside) << lane;
            }
        }
        if bad == 0 {
            return Ok(());
        }
        let lane = bad.trailing_zeros();
        let address = at[lane as usize];
        let whereabouts = self.whereabouts(space, address);
        let element = self.cx.element_and(space, address, self.pc, ": ");
        let message =
            format!("lane {lane} accesses {element}{bytes} bytes of {space} memory at {address:#x}: {whereabouts}");
        Err(self.fault(FindingKind::OutOfBounds, bad, message))
    }

    /// The place of a shared address in its block; none for another block's where the instruction reaches only its own,
    /// or for one of no block.
    fn in_block(&self, at: u64) -> Option<u64> {
        if self.cx.blocks() == 1 {
            return Some(at);
        }
        let rank = window::shared_rank(at);
        let is_own = rank == self.cx.rank(self.warp.id);
        let is_there = rank < self.cx.blocks() && at >> 32 == 0;
        (is_there && (is_own || self.reaches_cluster())).then(|| window::shared_offset(at))
    }

    /// Whether the instruction takes addresses of other blocks of the cluster: not with `.shared` or `.shared::cta`.
    fn reaches_cluster(&self) -> bool {
        let (_, _, form) = self.cx.program.sites[self.pc as usize];
        let mods = &form.get().mods;
        mods.contains(&Mod::SharedCluster) || !(mods.contains(&Mod::Shared) || mods.contains(&Mod::SharedCta))
    }

    /// Where an address outside of everything lies.
    fn whereabouts(&self, space: Space, address: u64) -> String {
        if space == Space::Shared && self.cx.blocks() > 1 {
            let (rank, own) = (window::shared_rank(address), self.cx.rank(self.warp.id));
            if rank < self.cx.blocks() && rank != own && !self.reaches_cluster() {
                return format!("it lies in block {rank} of the cluster, and only .shared::cluster goes there");
            }
            let near = address.wrapping_sub(self.shared_base()) as u32 as i32;
            if rank >= self.cx.blocks() && near > 0 {
                return format!("the cluster has {} blocks, and this is in block {rank}", self.cx.blocks());
            }
        }
        let address = if space == Space::Shared { self.cx.block_address(address, self.warp.id) } else { address };
        match (self.home(space), self.cx.memory.near(address)) {
            (Some(array), _) if array.dynamic => {
                let bytes = array.end - array.start;
                format!("the launch gives {bytes} bytes of dynamic shared memory (`dynamic_shared`)")
            }
            (Some(array), _) => {
                let bytes = array.end - array.start;
                // Addresses of 32 bits wrap.
                match i64::from(address as u32 as i32) - array.start as i64 {
                    before @ ..0 => format!("{} bytes before the array of {bytes} bytes", before.unsigned_abs()),
                    at => format!("byte {at} of the array of {bytes} bytes"),
                }
            }
            _ if space != Space::Global => format!("the kernel has {} bytes there", self.space_bytes(space)),
            (_, Some(a)) => match address.checked_sub(a.buffer.address) {
                Some(at) => format!("byte {at} of the buffer of {} bytes at {:#x}", a.buffer.len, a.buffer.address),
                None => format!("{} bytes before the buffer at {:#x}", a.buffer.address - address, a.buffer.address),
            },
            (_, None) => "no buffer is near".to_owned(),
        }
    }

    /// The array that the instruction's access to a space belongs to, where that is known.
    fn home(&self, space: Space) -> Option<Array> {
        self.cx.home(self.pc).array.filter(|array| array.space == space)
    }

    /// Where the instruction may access a space.
    fn bounds(&self, space: Space) -> (u64, u64) {
        self.home(space).map_or((0, self.space_bytes(space)), |array| (array.start, array.end))
    }

    fn space_bytes(&self, space: Space) -> u64 {
        match space {
            Space::Shared => self.cx.layout.shared_bytes,
            Space::Local => self.cx.layout.local_bytes,
            Space::Const => self.cx.consts.len(),
            Space::Param => self.cx.params.len(),
            // mutants: same, nobody asks for it
            Space::Global | Space::Generic => 0,
        }
    }

    /// Counts an access, and looks for races and unfinished copies. `values`
    /// are what a store writes. Gives the lanes that meet an unfinished copy.
    pub(super) fn touch(
        &mut self,
        space: Space,
        mask: u32,
        at: &[u64; WARP],
        bytes: u32,
        access: Access,
        values: Option<&[u128; WARP]>,
    ) -> u32 {
        if self.cx.options.count {
            let c = &mut self.st.counts[self.pc as usize];
            match space {
                Space::Shared => {
                    let (passes, conflicts) = counters::bank_passes(at, mask, bytes);
                    c.shared_passes += passes;
                    c.bank_conflicts += conflicts;
                }
                Space::Global => {
                    let (sectors, used) = counters::sectors(at, mask, bytes);
                    c.sectors += sectors;
                    c.sector_bytes += used;
                }
                _ => {}
            }
        }
        let mut clashes = 0;
        if matches!(space, Space::Shared | Space::Global) {
            clashes = self.st.copies.clashes(space, mask, at, bytes, access.write);
            if clashes != 0 {
                let lane = clashes.trailing_zeros();
                let address = at[lane as usize];
                let element = self.cx.element_and(space, address, self.pc, ": ");
                self.find(FindingKind::AsyncPending, clashes, || {
                    format!("lane {lane} touches {element}{bytes} bytes of {space} memory at {address:#x}, where an asynchronous copy has not been waited for")
                });
            }
        }
        clashes | self.mark_access(space, mask, at, bytes, access, values)
    }

    /// Looks for races. Gives the lanes that meet a copy which nothing has waited for.
    pub(super) fn mark_access(
        &mut self,
        space: Space,
        mask: u32,
        at: &[u64; WARP],
        bytes: u32,
        access: Access,
        values: Option<&[u128; WARP]>,
    ) -> u32 {
        if !matches!(space, Space::Shared | Space::Global) {
            return 0;
        }
        if space == Space::Shared && self.cx.blocks() > 1 {
            lanes(mask).for_each(|lane| self.reaches(lane, at[lane]));
        }
        self.st.shadow_access(self.by(), space, mask, at, bytes, access, values, self.cx.memory)
    }

    /// This execution of the instruction.
    pub(super) fn by(&self) -> By {
        By { pc: self.pc, warp: self.warp.id, serial: self.st.steps as u16 }
    }

    /// A lane accesses shared memory, perhaps another block's.
    pub(super) fn reaches(&mut self, lane: usize, at: u64) {
        let (warp, rank) = (self.warp.id, window::shared_rank(at));
        if rank != self.cx.rank(warp) {
            self.st.reaches(self.pc, warp, lane as u32, rank);
        }
    }
}
