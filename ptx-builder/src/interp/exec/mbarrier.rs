//! `mbarrier` operations.
//!
//! Copies that complete at an mbarrier do so when a thread waits there: before
//! its test, or in the adversarial order after it.

use super::Exec;
use super::async_copy::land;
use crate::interp::copies::{Completion, Copy};
use crate::interp::mask::{lanes, warp_and_mask};
use crate::interp::mbarriers::{Ending, Mbarrier, Waits, phase_of};
use crate::interp::report::FindingKind;
use crate::interp::shadow::{Access, Engine, Snapshot, Strength, Strong};
use crate::interp::state::Stop;
use crate::table::{Async, Mod, Scope, WARP, window};
use crate::types::Space;

impl Exec<'_> {
    pub(super) fn mbarrier(&mut self, a: Async) -> Result<(), Stop> {
        let at = self.addresses(0);
        self.polls(&at);
        if !matches!(a, Async::MbarrierWait { .. }) {
            self.st.changes += 1;
        }
        let operand = self.src(0);
        let (_, _, form) = self.cx.program.sites[self.pc as usize];
        let relaxed = form.get().mods.contains(&Mod::Relaxed);
        let (mut state, mut done) = ([0; WARP], [0; WARP]);
        for lane in lanes(self.mask) {
            let value = operand.as_ref().map(|o| o[lane]);
            let place = self.mbarrier_place(lane, at[lane])?;
            if let Async::MbarrierInit = a {
                self.mbarrier_init(lane, place, value.unwrap_or(0))?;
                continue;
            }
            self.mbarrier_at(lane, place)?;
            let weak = matches!(a, Async::MbarrierInval);
            self.touch_mbarrier(lane, place, weak);
            match a {
                Async::MbarrierInval => {
                    self.st.mbarriers.invalidate(place);
                }
                Async::MbarrierExpectTx => self.mbarrier_expect(lane, place, value.unwrap_or(0) as u32)?,
                Async::MbarrierCompleteTx => {
                    let bytes = value.unwrap_or(0) as u32;
                    self.mbarrier_end(lane, place, |m| m.bytes_came(bytes, &Snapshot::default()))?;
                }
                Async::MbarrierArrive { expect_tx, drops } => {
                    state[lane] = self.st.mbarriers.get(place).map_or(0, |m| m.state());
                    let count = match value {
                        Some(bytes) if expect_tx => {
                            self.mbarrier_expect(lane, place, bytes as u32)?;
                            1
                        }
                        count => count.unwrap_or(1) as u32,
                    };
                    if drops {
                        self.with(place, |m| m.drop(count));
                    }
                    let clock = if relaxed { Snapshot::default() } else { self.st.release(self.warp.id) };
                    self.mbarrier_arrive(lane, place, count, &clock)?;
                }
                Async::CopyArrive { noinc } => {
                    let clock = self.st.release(self.warp.id);
                    let thread = self.warp.id * 32 + lane as u32;
                    let before = self.st.copies.issued();
                    self.with(place, |m| {
                        if !noinc {
                            m.expect(1);
                        }
                        m.promised.push((thread, before, clock.clone()));
                    });
                }
                Async::MbarrierWait { parity, .. } => {
                    done[lane] = u64::from(self.mbarrier_test(lane, place, parity, value.unwrap_or(0), relaxed)?);
                }
                _ => {}
            }
        }
        match a {
            Async::MbarrierArrive { .. } => self.set(0, &state),
            Async::MbarrierWait { .. } => self.set(0, &done),
            _ => {}
        }
        Ok(())
    }

    fn with(&mut self, place: u64, f: impl FnOnce(&mut Mbarrier)) {
        if let Some(m) = self.st.mbarriers.get(place) {
            f(m);
        }
    }

    /// A phase expects bytes in addition.
    fn mbarrier_expect(&mut self, lane: usize, place: u64, bytes: u32) -> Result<(), Stop> {
        let mut ok = true;
        self.with(place, |m| ok = m.expect_bytes(bytes));
        if ok {
            return Ok(());
        }
        let message =
            format!("the phase of the mbarrier at {place:#x} would wait for more than 1048575 bytes, its most");
        Err(self.fault(FindingKind::BadOperand, 1 << lane, message))
    }

    /// The shared address of an mbarrier operand, which may be generic.
    fn mbarrier_place(&self, lane: usize, address: u64) -> Result<u64, Stop> {
        let at = window::as_shared(address);
        self.check(Space::Shared, 1 << lane, &[at; WARP], 8)?;
        Ok(at)
    }

    /// The same for one that must have been initialized.
    pub(super) fn mbarrier_at(&mut self, lane: usize, address: u64) -> Result<u64, Stop> {
        let place = self.mbarrier_place(lane, address)?;
        if self.st.mbarriers.get(place).is_none() {
            let message = format!("no mbarrier was initialized at shared address {place:#x}");
            return Err(self.fault(FindingKind::BadOperand, 1 << lane, message));
        }
        Ok(place)
    }

    fn touch_mbarrier(&mut self, lane: usize, place: u64, weak: bool) {
        let strength = if weak { Strength::Weak } else { Strength::Strong(Strong::new(Scope::Cluster, 8)) };
        let access = Access { write: true, strength, read_only: false };
        self.mark_access(Space::Shared, 1 << lane, &[place; WARP], 8, access, None);
    }

    fn mbarrier_init(&mut self, lane: usize, place: u64, count: u64) -> Result<(), Stop> {
        if count == 0 || count >= 1 << 20 {
            let message = format!("an mbarrier for {count} arrivals; it takes 1 to 1048575");
            return Err(self.fault(FindingKind::BadOperand, 1 << lane, message));
        }
        self.touch_mbarrier(lane, place, true);
        // The contents are opaque; they only count as written.
        self.st.shared.store(place, 8, u128::from(count));
        let number = self.st.mbarriers.init(place, count as u32);
        if self.cx.options.check.races {
            let engine = self.st.order.engine(Engine::Mbarrier(number));
            self.with(place, |m| m.engine = engine);
        }
        Ok(())
    }

    fn mbarrier_arrive(&mut self, lane: usize, place: u64, count: u32, clock: &Snapshot) -> Result<(), Stop> {
        self.mbarrier_end(lane, place, |m| m.arrive(count, clock))
    }

    /// Does what may end an mbarrier's phase, and reports whether this was not as it should be.
    fn mbarrier_end(&mut self, lane: usize, place: u64, act: impl FnOnce(&mut Mbarrier) -> Ending) -> Result<(), Stop> {
        let mut ending = Ending::Well;
        self.with(place, |m| ending = act(m));
        match ending {
            Ending::Well => Ok(()),
            Ending::TooMany => {
                let message = format!("more arrivals at the mbarrier at {place:#x} than its phase expects");
                Err(self.fault(FindingKind::BadOperand, 1 << lane, message))
            }
            Ending::Early => {
                self.too_early(place);
                Ok(())
            }
        }
    }

    /// A phase has ended while copies to its mbarrier are under way: at the last of them.
    fn too_early(&mut self, place: u64) {
        let here = |c: &&Copy| c.completion == Completion::Mbarrier(place);
        let Some(copy) = self.st.copies.pending().iter().rev().find(here) else { return };
        let (pc, bytes, (warp, lanes)) = (copy.pc, copy.bytes, warp_and_mask(copy.thread));
        self.st.find(FindingKind::TransactionCount, pc, warp, lanes, || {
            format!(
                "the phase of the mbarrier at {place:#x} ends while {bytes} bytes of this copy are under way: it expects fewer \
                 bytes than are copied (expect_tx)"
            )
        });
    }

    /// Whether the phase named by a state or parity is complete.
    fn mbarrier_test(
        &mut self,
        lane: usize,
        place: u64,
        parity: bool,
        phase: u64,
        relaxed: bool,
    ) -> Result<bool, Stop> {
        if window::shared_rank(place) != self.cx.rank(self.warp.id) {
            let rank = window::shared_rank(place);
            let message = format!(
                "lane {lane} waits at an mbarrier of block {rank} of the cluster; a thread waits at its own block's only"
            );
            return Err(self.fault(FindingKind::BadOperand, 1 << lane, message));
        }
        let late = self.cx.is_adversarial();
        if !late {
            self.complete_copies(lane, place)?;
        }
        let known = self.st.mbarriers.get(place).map(|m| (m.phase, m.complete.clone()));
        let (now, clock) = known.unwrap_or_default();
        let done = if parity { now & 1 != phase & 1 } else { now > phase_of(phase) };
        if done {
            if !relaxed {
                self.st.order.acquire(self.warp.id, &clock);
            }
        } else {
            let waits = if parity { Waits::Parity(phase & 1) } else { Waits::Phase(phase_of(phase)) };
            self.with(place, |m| m.waits = Some(waits));
            if late {
                self.complete_copies(lane, place)?;
            }
        }
        Ok(done)
    }

    /// Completes the copies that are to complete at an mbarrier.
    fn complete_copies(&mut self, lane: usize, place: u64) -> Result<(), Stop> {
        while let Some(copy) = self.st.copies.take_first(place) {
            land(self.cx, self.st, &copy);
            self.st.changes += 1;
            self.mbarrier_end(lane, place, |m| m.copy_came(copy.bytes, &copy.clock))?;
        }
        let mut promised = Vec::new();
        self.with(place, |m| promised = std::mem::take(&mut m.promised));
        for (thread, before, clock) in promised {
            self.st.changes += 1;
            let issued_before = |c: &Copy| c.thread == thread && c.completion == Completion::Group && c.number < before;
            for copy in self.st.copies.take(issued_before) {
                land(self.cx, self.st, &copy);
            }
            self.mbarrier_arrive(lane, place, 1, &clock)?;
        }
        Ok(())
    }
}
