//! Barriers, fences and delays.

use super::state::{emit, with};
use super::{Body, Val};
use crate::ir::Operand;
use crate::table::{Mod, Op};

impl Body {
    /// Waits for all threads of the block; their earlier writes are visible afterwards. All threads of the block must
    /// reach it. Inside of [`first_threads`](Self::first_threads) it waits for those threads.
    #[track_caller]
    pub fn barrier(&self) {
        match with(|s| s.first_threads) {
            None => emit(Op::BarSync, &[], &[Operand::Imm(0), Operand::None]),
            Some(threads) => emit(Op::BarSync, &[], &[Operand::Imm(1), Operand::Imm(threads.into())]),
        }
    }

    /// Runs `then` on the first `threads` threads of the block, in x. A [`barrier`](Self::barrier) in it waits for these
    /// alone (it is barrier 1 with their number), so that what is written for a block of so many threads also works in a
    /// larger one.
    ///
    /// # Panics
    /// If `threads` is not a multiple of 32 (barriers count warps), or inside of another such call.
    #[track_caller]
    pub fn first_threads(&self, threads: u32, then: impl Fn(&Body)) {
        let outer = with(|s| s.first_threads.replace(threads));
        assert!(outer.is_none(), "first_threads({threads}) inside of first_threads: barriers would wait for either");
        let whole = threads > 0 && threads.is_multiple_of(32);
        assert!(whole, "first_threads({threads}): barriers count warps, so this is a multiple of 32");
        self.if_(self.thread_x().lt(threads), then);
        with(|s| s.first_threads = None);
    }

    /// Waits at barrier `id` (0 to 15) for `threads` threads, a multiple of 32.
    #[track_caller]
    pub fn barrier_among(&self, id: impl Into<Val<u32>>, threads: impl Into<Val<u32>>) {
        emit(Op::BarSync, &[], &[id.into().operand(), threads.into().operand()]);
    }

    /// Arrives at barrier `id` without waiting.
    #[track_caller]
    pub fn barrier_arrive(&self, id: impl Into<Val<u32>>, threads: impl Into<Val<u32>>) {
        emit(Op::BarArrive, &[], &[id.into().operand(), threads.into().operand()]);
    }

    /// Waits for the lanes of `mask`; orders their memory accesses.
    #[track_caller]
    pub fn sync_warp(&self, mask: impl Into<Val<u32>>) {
        emit(Op::BarWarpSync, &[], &[mask.into().operand()]);
    }

    /// Orders this thread's memory accesses before and after it, at block scope.
    #[track_caller]
    pub fn fence_block(&self) {
        emit(Op::Fence, &[Mod::AcqRel, Mod::ScopeCta], &[]);
    }

    /// Orders this thread's memory accesses before and after it, at GPU scope.
    #[track_caller]
    pub fn fence_gpu(&self) {
        emit(Op::Fence, &[Mod::AcqRel, Mod::ScopeGpu], &[]);
    }

    /// Orders shared-memory writes before later asynchronous copies (sm_90).
    #[track_caller]
    pub fn fence_async_shared(&self) {
        emit(Op::Fence, &[Mod::Proxy, Mod::Async, Mod::SharedCta], &[]);
    }

    /// Suspends the thread for about this many nanoseconds.
    #[track_caller]
    pub fn nanosleep(&self, nanoseconds: impl Into<Val<u32>>) {
        emit(Op::Nanosleep, &[Mod::Ty(crate::types::ScalarType::U32)], &[nanoseconds.into().operand()]);
    }

    /// Waits for the kernels on which this one depends, if programmatic dependent launch started it early (sm_90).
    #[track_caller]
    pub fn grid_dependency_wait(&self) {
        emit(Op::Griddepcontrol, &[Mod::Wait], &[]);
    }

    /// Lets the dependent kernels start (sm_90).
    #[track_caller]
    pub fn launch_dependents(&self) {
        emit(Op::Griddepcontrol, &[Mod::LaunchDependents], &[]);
    }
}
