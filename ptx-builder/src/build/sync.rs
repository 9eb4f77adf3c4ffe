//! Barriers, fences and delays.

use super::state::emit;
use super::{Body, Val};
use crate::ir::Operand;
use crate::table::{Mod, Op};

impl Body {
    /// Waits for all threads of the block; their earlier writes are visible afterwards. All threads of the block must
    /// reach it.
    #[track_caller]
    pub fn barrier(&self) {
        emit(Op::BarSync, &[], &[Operand::Imm(0), Operand::None]);
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
