//! Asynchronous copies, mbarriers and the cluster's barrier, in complete
//! sequences: every thread has an mbarrier of its own and waits for what it
//! started.

use super::generate::Gen;
use crate::ir::{Address, Base, Guard, Inst, Operand, Reg};
use crate::table::{Access, Async, Barrier, Form, Shape};
use crate::types::{RegClass, Space};

impl Gen {
    /// A sequence with a form that needs others around it.
    pub fn protocol(&mut self, form: &'static Form, what: Async) {
        match what {
            Async::Copy | Async::Commit | Async::WaitGroup | Async::WaitAll => self.copy(form, what),
            Async::BulkLoad => self.bulk_load(form),
            Async::BulkStore | Async::BulkCommit | Async::BulkWait { .. } => self.bulk_store(form, what),
            Async::BulkPrefetch => {
                let at = plain(self.bases.input, 0);
                self.exact(form, &[at, Operand::Imm(32)]);
            }
            Async::MbarrierInit
            | Async::MbarrierInval
            | Async::MbarrierArrive { .. }
            | Async::MbarrierExpectTx
            | Async::MbarrierCompleteTx
            | Async::MbarrierWait { .. } => self.mbarrier(form, what),
            // Left out: its arrival may come at any time.
            Async::CopyArrive { .. } => {}
        }
    }

    /// The cluster's barrier, passed: every arrival has its wait.
    pub fn cluster_barrier(&mut self, form: &'static Form, what: Barrier) {
        if what == Barrier::ClusterArrive {
            self.exact(form, &[]);
            self.emit("barrier.cluster.wait.aligned", &[]);
        } else {
            self.emit("barrier.cluster.arrive.aligned", &[]);
            self.exact(form, &[]);
        }
    }

    fn exact(&mut self, form: &'static Form, operands: &[Operand]) {
        self.push(Inst { form: form.id, guard: None, operands: operands.iter().copied().collect(), loc: None });
    }

    /// `cp.async`, committed and waited for.
    fn copy(&mut self, form: &'static Form, what: Async) {
        if matches!(what, Async::Copy) {
            let Some((operands, _)) = self.operands(form, false) else { return };
            let mut operands = operands;
            // At most the copied bytes are read.
            if let (Some(Operand::Imm(size)), Some(read)) = (operands.get(2).copied(), operands.get_mut(3))
                && *read != Operand::None
            {
                *read = Operand::Imm(size / 2);
            }
            self.push(Inst { form: form.id, guard: None, operands, loc: None });
        } else {
            let (to, from) = (plain(self.bases.shared, 16), plain(self.bases.input, 32));
            self.emit("cp.async.ca.shared.global", &[to, from, Operand::Imm(8)]);
        }
        match what {
            Async::WaitAll => self.exact(form, &[]),
            _ => {
                self.emit("cp.async.commit_group", &[]);
                self.emit("cp.async.wait_group", &[Operand::Imm(0)]);
            }
        }
    }

    /// Global to shared memory, 16 bytes, with a loop that waits.
    fn bulk_load(&mut self, form: &'static Form) {
        let (bar, bytes) = (plain(self.bases.barrier, 0), Operand::Imm(16));
        self.emit("mbarrier.init.shared.b64", &[bar, Operand::Imm(1)]);
        self.emit("fence.proxy.async", &[]);
        self.emit("mbarrier.arrive.expect_tx.shared.b64", &[Operand::None, bar, bytes]);
        self.exact(form, &[plain(self.bases.shared, 32), plain(self.bases.input, 64), bytes, bar]);
        let top = self.label();
        let done = self.reg(RegClass::Pred);
        self.emit("mbarrier.test_wait.parity.shared.b64", &[done.into(), bar, Operand::Imm(0)]);
        let back = self.branch(Some(Guard { reg: done, negated: true }));
        self.land(back, top);
        self.label();
        self.emit("mbarrier.inval.shared.b64", &[bar]);
    }

    /// Shared to global memory, 16 bytes, committed and waited for.
    fn bulk_store(&mut self, form: &'static Form, what: Async) {
        let operands = [plain(self.bases.output, 64), plain(self.bases.shared, 48), Operand::Imm(16)];
        self.emit("fence.proxy.async", &[]);
        match what {
            Async::BulkStore => self.exact(form, &operands),
            _ => self.emit("cp.async.bulk.global.shared::cta.bulk_group", &operands),
        }
        self.emit("cp.async.bulk.commit_group", &[]);
        if matches!(what, Async::BulkWait { .. }) {
            self.exact(form, &[Operand::Imm(0)]);
        }
        self.emit("cp.async.bulk.wait_group", &[Operand::Imm(0)]);
    }

    /// One phase of the thread's own mbarrier, with two arrivals.
    fn mbarrier(&mut self, form: &'static Form, what: Async) {
        let bar = plain(self.bases.barrier, 0);
        let state = self.reg(RegClass::B64);
        let done = self.reg(RegClass::Pred);
        if matches!(what, Async::MbarrierInit) {
            let at = self.own(form);
            self.exact(form, &[at, Operand::Imm(2)]);
        } else {
            self.emit("mbarrier.init.shared.b64", &[bar, Operand::Imm(2)]);
        }
        if matches!(what, Async::MbarrierExpectTx | Async::MbarrierCompleteTx) {
            let at = self.own(form);
            self.exact(form, &[at, Operand::Imm(0)]);
        }
        match what {
            Async::MbarrierArrive { expect_tx, .. } => {
                let at = self.own(form);
                let sunk = form.slots.first().is_some_and(|slot| slot.shape == Shape::Sink);
                let mut operands = vec![if sunk { Operand::None } else { state.into() }, at];
                if form.slots.len() > 2 {
                    operands.push(Operand::Imm(u64::from(!expect_tx)));
                }
                self.exact(form, &operands);
            }
            _ => self.emit("mbarrier.arrive.shared.b64", &[state.into(), bar]),
        }
        let last = self.reg(RegClass::B64);
        self.emit("mbarrier.arrive.shared.b64", &[last.into(), bar]);
        if let Async::MbarrierWait { parity, .. } = what {
            let at = self.own(form);
            let phase = if parity { Operand::Imm(0) } else { state.into() };
            let mut operands = vec![done.into(), at, phase];
            operands.resize(form.width(), Operand::None);
            self.exact(form, &operands);
            self.values.push(done);
        }
        if matches!(what, Async::MbarrierInval) {
            let at = self.own(form);
            self.exact(form, &[at]);
        } else {
            self.emit("mbarrier.inval.shared.b64", &[bar]);
        }
    }

    /// The thread's mbarrier in the space that a form wants.
    fn own(&self, form: &Form) -> Operand {
        let generic = form.slots.iter().any(|s| s.access == Access::Read && s.shape == Shape::Address(Space::Generic));
        plain(if generic { self.bases.generic_barrier } else { self.bases.barrier }, 0)
    }
}

fn plain(base: Reg, offset: i32) -> Operand {
    Operand::Address(Address { base: Base::Reg(base), offset })
}
