//! Barriers, fences, and the ordering that accesses carry (PTX ISA 8, 9.7.13).

use std::sync::Arc;

use super::{Exec, Flow, Meeting};
use crate::interp::mask::lanes;
use crate::interp::report::FindingKind;
use crate::interp::shadow::{Known, Snapshot, merge_known};
use crate::interp::state::{CLUSTER, Stop};
use crate::interp::warp::State;
use crate::table::{Access, Barrier, BarrierReduce, Fence, Lanes, Memory, Mod, Order, Scope, Shape, WARP};
use crate::types::Space;

impl Exec<'_> {
    /// The source operand that the table names `name`.
    fn named(&self, name: &str) -> Option<Lanes> {
        let (_, _, form) = *self.cx.program.sites.get(self.pc as usize)?;
        let sources = form
            .get()
            .slots
            .iter()
            .filter(|s| s.access == Access::Read && !matches!(s.shape, Shape::Address(_) | Shape::Label));
        let i = sources.clone().position(|s| s.name == name)?;
        self.src(sources.take(i).map(|s| s.width()).sum())
    }

    /// A source that must be the same in all active lanes.
    fn uniform(&self, name: &str) -> Result<Option<u64>, Stop> {
        let Some(value) = self.named(name) else { return Ok(None) };
        let first = value[self.mask.trailing_zeros() as usize & 31];
        if lanes(self.mask).any(|l| value[l] != first) {
            let message = format!("operand {name} of a barrier differs between the lanes of a warp");
            return Err(self.fault(FindingKind::BadOperand, self.mask, message));
        }
        Ok(Some(first))
    }

    pub(super) fn barrier(&mut self, barrier: Barrier) -> Result<Flow, Stop> {
        match barrier {
            Barrier::Warp => {
                let met = match self.converge(0)? {
                    Meeting::Here(met) => met,
                    Meeting::Else(flow) => return Ok(flow),
                };
                self.st.order_warp(self.warp, met);
                Ok(Flow::Next)
            }
            Barrier::Sync { aligned } => self.arrive(aligned, None, true),
            Barrier::Arrive { aligned } => self.arrive(aligned, None, false),
            Barrier::Reduce { op, aligned } => self.arrive(aligned, Some(op), true),
            Barrier::ClusterArrive => {
                self.count();
                if self.mask != 0 {
                    let warp = self.warp.id;
                    let (_, _, form) = self.cx.program.sites[self.pc as usize];
                    let snapshot = match form.get().orders() {
                        Some(_) => self.st.release(warp),
                        // Relaxed: what a fence has published before.
                        None => self.st.fenced_for_cluster(warp),
                    };
                    self.st.sync.cluster_arrived[warp as usize] = self.st.sync.cluster_phase;
                    let b = &mut self.st.cluster_barrier;
                    b.arrived += self.mask.count_ones();
                    b.clock.merge(&snapshot);
                    self.st.changes += 1;
                    self.st.complete_barrier(self.cx.rank(warp), CLUSTER);
                }
                Ok(Flow::Next)
            }
            Barrier::ClusterWait => {
                self.count();
                let warp = self.warp.id;
                if self.mask != 0 && self.st.sync.cluster_arrived[warp as usize] == self.st.sync.cluster_phase {
                    return Ok(Flow::Wait(State::Barrier(CLUSTER)));
                }
                self.st.sync.has_met[warp as usize] = true;
                let clock = self.st.sync.cluster_clock.clone();
                self.st.order.acquire(warp, &clock);
                Ok(Flow::Next)
            }
        }
    }

    fn arrive(&mut self, aligned: bool, reduce: Option<BarrierReduce>, wait: bool) -> Result<Flow, Stop> {
        if aligned && self.mask != self.warp.live && self.out_of_order {
            // It got here out of turn; the others may still come.
            return Ok(Flow::Retry(State::Ready));
        }
        if aligned && self.mask != self.warp.live && self.warp.is_spinning() {
            // The others wait for memory, perhaps for what these lanes have just written.
            return Ok(Flow::Retry(State::Warp(self.warp.live)));
        }
        self.count();
        if self.mask == 0 {
            return Ok(Flow::Next);
        }
        let id = self.uniform("a")?.unwrap_or(0);
        let Some(id) = u8::try_from(id).ok().filter(|&id| id < 16) else {
            let message = format!("barrier {id}; a block has barriers 0 to 15");
            return Err(self.fault(FindingKind::BadOperand, self.mask, message));
        };
        let expected = self.uniform("b")?.map(|n| n as u32);
        if let Some(n) = expected.filter(|n| n % 32 != 0 || *n == 0 || *n > 1024) {
            let message = format!("a barrier for {n} threads; the number must be a multiple of 32 up to 1024");
            return Err(self.fault(FindingKind::BadOperand, self.mask, message));
        }
        if aligned && self.mask != self.warp.live {
            let away = self.warp.live & !self.mask;
            self.find(FindingKind::BarrierDivergence, self.mask, || {
                format!(
                    "all threads of a warp must execute this barrier together, but lanes {away:#010x} are elsewhere"
                )
            });
        }
        let held = match (reduce, self.named("c").or_else(|| self.named("p"))) {
            (Some(_), Some(p)) => lanes(self.mask).filter(|&l| p[l] & 1 == 1).count() as u32,
            _ => 0,
        };
        let snapshot = self.st.release(self.warp.id);
        // Where a number is given, a warp counts as 32 threads even if it has fewer.
        let absent = if expected.is_some() && self.mask == self.warp.live { !self.warp.live } else { 0 };
        let (mask, pc, warp) = (self.mask, self.pc, self.warp.id);
        let (b, _) = self.st.barrier(self.cx.rank(warp), id);
        if b.arrived == 0 {
            (b.pc, b.warp, b.lanes, b.expected, b.reduce) = (pc, warp, mask, expected, reduce);
        } else if b.expected != expected || b.reduce != reduce {
            let message = format!("barrier {id} is in use with another thread count or reduction");
            return Err(self.fault(FindingKind::BadOperand, mask, message));
        } else if b.pc != pc {
            b.other_pc = Some(pc);
        }
        b.arrived += (mask | absent).count_ones();
        b.voted += mask.count_ones();
        b.held += held;
        b.clock.merge(&snapshot);
        self.st.changes += 1;
        self.st.complete_barrier(self.cx.rank(warp), id);
        Ok(if wait { Flow::Wait(State::Barrier(id)) } else { Flow::Next })
    }

    pub(super) fn fence(&mut self, fence: Fence) {
        let scope = match fence {
            Fence::Thread(scope) => scope,
            Fence::Proxy => return self.fence_proxy(),
            Fence::MbarrierInit => {
                let snapshot = self.st.release(self.warp.id);
                self.st.sync.initialized[self.warp.id as usize] = snapshot;
                return;
            }
        };
        // mutants: same, no test can bring about what the host's threads see of each other in which order
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
        let warp = self.warp.id;
        if let Some(seen) = self.st.sync.pending[warp as usize].take() {
            self.st.order.acquire(warp, &seen);
        }
        let snapshot = self.st.release(warp);
        self.st.sync.fenced[warp as usize] = Some((snapshot, scope));
    }

    /// Orders what came before before asynchronous accesses.
    fn fence_proxy(&mut self) {
        let (_, _, form) = self.cx.program.sites[self.pc as usize];
        let mods = &form.get().mods;
        let of_shared = mods.contains(&Mod::SharedCta) || mods.contains(&Mod::SharedCluster);
        if !self.cx.options.check.races {
            return;
        }
        if !of_shared {
            self.st.order.fence_proxy(self.warp.id, self.mask, true);
        }
        if !mods.contains(&Mod::Global) {
            self.st.order.fence_proxy(self.warp.id, self.mask, false);
        }
    }

    /// Who sees what is published at a scope: the block alone, and (none) all blocks of the cluster.
    fn who_sees(&self, scope: Scope) -> impl Iterator<Item = Option<u32>> + Clone + use<> {
        let cluster = (scope >= Scope::Cluster && self.cx.blocks() > 1).then_some(None);
        [Some(Some(self.cx.rank(self.warp.id))), cluster].into_iter().flatten()
    }

    /// Before a write: what it, or a fence before it, publishes at its addresses.
    pub(super) fn before_write(&mut self, space: Space, mask: u32, at: &[u64; WARP], m: &Memory) {
        if m.order == Order::Weak || !self.cx.options.check.races {
            return;
        }
        let warp = self.warp.id;
        let published = if matches!(m.order, Order::Release | Order::AcqRel) {
            // mutants: same, no test can bring about what the host's threads see of each other in which order
            std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
            Some((self.st.release(warp), m.scope))
        } else {
            self.st.sync.fenced[warp as usize].clone().map(|(snapshot, scope)| (snapshot, scope.min(m.scope)))
        };
        let Some((snapshot, scope)) = published else { return };
        let who_sees = self.who_sees(scope);
        for lane in lanes(mask) {
            for who in who_sees.clone() {
                self.st.sync.places.entry((space == Space::Shared, at[lane], who)).or_default().merge(&snapshot);
            }
        }
        if scope >= Scope::Gpu && space == Space::Global {
            let mut known: Known = snapshot.others.clone();
            merge_known(&mut known, &Arc::new([(self.st.number, Arc::from(&snapshot.warps[..]))].into()));
            lanes(mask).for_each(|lane| self.cx.device.publish(at[lane], &known));
        }
    }

    /// After a read: what was published at its addresses is acquired, now or
    /// at the next fence.
    pub(super) fn after_read(&mut self, space: Space, mask: u32, at: &[u64; WARP], m: &Memory) {
        if m.order == Order::Weak || !self.cx.options.check.races {
            return;
        }
        let mut seen: Option<Snapshot> = None;
        let who_sees = self.who_sees(m.scope);
        for lane in lanes(mask) {
            for who in who_sees.clone() {
                if let Some(place) = self.st.sync.places.get(&(space == Space::Shared, at[lane], who)) {
                    seen.get_or_insert_default().merge(place);
                }
            }
            let wide = m.order == Order::Volatile || m.scope >= Scope::Gpu;
            if let Some(known) = (wide && space == Space::Global).then(|| self.cx.device.read(at[lane])).flatten() {
                merge_known(&mut seen.get_or_insert_default().others, &known);
            }
        }
        let Some(seen) = seen else { return };
        let warp = self.warp.id;
        if matches!(m.order, Order::Acquire | Order::AcqRel) {
            // mutants: same, no test can bring about what the host's threads see of each other in which order
            std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
            self.st.order.acquire(warp, &seen);
        } else {
            self.st.sync.pending[warp as usize].get_or_insert_default().merge(&seen);
        }
    }
}
