//! Asynchronous copies from global to shared memory, and mbarriers.

use super::control::{jump, new_label, place};
use super::emit::emit_guarded;
use super::pointer::{GlobalMemory, Ptr, Shared};
use super::pred::test;
use super::state::emit;
use super::val::compute;
use super::{Body, Pred, Scalar, Val};
use crate::ir::Operand;
use crate::table::{Mod, Op};
use crate::types::ScalarType;

/// The size of one `cp.async`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum AsyncBytes {
    /// 4 bytes, through L1.
    B4,
    /// 8 bytes, through L1.
    B8,
    /// 16 bytes, bypassing L1.
    B16,
}

/// An mbarrier object in shared memory (PTX ISA 9.7.13.15): 8 bytes that
/// count arrivals and, from sm_90 on, bytes of bulk copies.
#[derive(Clone, Copy, Debug)]
pub struct Mbarrier(Shared<u64>);

fn shared_mod() -> [Mod; 2] {
    [Mod::Shared, Mod::Ty(ScalarType::B64)]
}

impl Body {
    /// Copies bytes from global to shared memory while the thread continues (sm_80). Both addresses must be multiples
    /// of the size.
    #[track_caller]
    pub fn copy_async<S: GlobalMemory, T: Scalar>(&self, to: Shared<T>, from: Ptr<S, T>, bytes: AsyncBytes) {
        self.copy_async_filled(to, from, bytes, None, None);
    }

    /// As [`copy_async`](Self::copy_async), but only where `holds`, if given; only the first `room` bytes are read, if
    /// given, and the others become zero.
    #[track_caller]
    pub fn copy_async_filled<S: GlobalMemory, T: Scalar>(
        &self,
        to: Shared<T>,
        from: Ptr<S, T>,
        bytes: AsyncBytes,
        holds: Option<Pred>,
        room: Option<Val<u32>>,
    ) {
        let (cache, size) = match bytes {
            AsyncBytes::B4 => (Mod::Ca, 4),
            AsyncBytes::B8 => (Mod::Ca, 8),
            AsyncBytes::B16 => (Mod::Cg, 16),
        };
        let room = match room {
            Some(room) => room.operand(),
            None => Operand::None,
        };
        let operands = [to.operand(), from.operand(), Operand::Imm(size), room];
        emit_guarded(holds, Op::CpAsync, &[cache, Mod::Shared, Mod::Global], &operands);
    }

    /// Commits the group of copies started since the last commit.
    #[track_caller]
    pub fn copy_async_commit(&self) {
        emit(Op::CpAsyncCommitGroup, &[], &[]);
    }

    /// Waits until at most `pending` groups of this thread are in flight.
    #[track_caller]
    pub fn copy_async_wait(&self, pending: u32) {
        emit(Op::CpAsyncWaitGroup, &[], &[Operand::Imm(u64::from(pending))]);
    }

    /// Declares an mbarrier in shared memory.
    #[track_caller]
    pub fn mbarrier(&self) -> Mbarrier {
        Mbarrier(self.shared_aligned(1, 8))
    }

    /// Copies `bytes`, a multiple of 16, from global to shared memory with the copy engine; they count toward `done`
    /// (sm_90). One thread starts it.
    #[track_caller]
    pub fn copy_bulk<S: GlobalMemory, T: Scalar>(
        &self,
        to: Shared<T>,
        from: Ptr<S, T>,
        bytes: impl Into<Val<u32>>,
        done: Mbarrier,
    ) {
        let m = [Mod::SharedCluster, Mod::Global, Mod::MbarrierCompleteTx];
        emit(Op::CpAsyncBulk, &m, &[to.operand(), from.operand(), bytes.into().operand(), done.0.operand()]);
    }
}

impl Mbarrier {
    /// Initializes it for `arrivals` per phase. One thread does this; then all threads need a barrier.
    #[track_caller]
    pub fn init(self, _k: &Body, arrivals: impl Into<Val<u32>>) {
        emit(Op::MbarrierInit, &shared_mod(), &[self.0.operand(), arrivals.into().operand()]);
    }

    /// Arrives.
    #[track_caller]
    pub fn arrive(self, _k: &Body) -> Val<u64> {
        compute(Op::MbarrierArrive, &shared_mod(), &[self.0.operand()])
    }

    /// Arrives, and makes the phase wait for `bytes` more of bulk copies (sm_90).
    #[track_caller]
    pub fn arrive_expecting(self, _k: &Body, bytes: impl Into<Val<u32>>) -> Val<u64> {
        compute(Op::MbarrierArriveExpectTx, &shared_mod(), &[self.0.operand(), bytes.into().operand()])
    }

    /// Whether the phase of this parity (0 for the first) has completed; may
    /// suspend the thread for a while (sm_90).
    #[track_caller]
    pub fn try_wait(self, _k: &Body, parity: impl Into<Val<u32>>) -> Pred {
        test(Op::MbarrierTryWaitParity, &shared_mod(), &[self.0.operand(), parity.into().operand(), Operand::None])
    }

    /// Waits until the phase of this parity has completed (sm_90).
    #[track_caller]
    pub fn wait(self, k: &Body, parity: impl Into<Val<u32>>) {
        // `k.while_` with a closure would give its instructions lines of this file instead of the caller's.
        let parity = parity.into();
        let (next, end) = (new_label(), new_label());
        place(next);
        let done = self.try_wait(k, parity);
        jump(Some(done), end);
        jump(None, next);
        place(end);
    }
}
