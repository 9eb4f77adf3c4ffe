//! Copies between GPUs.

use cudarc::driver::sys::{self, CUresult};

use super::staging::Mark;
use super::{Cuda, raw};
use crate::backend::Backend;
use crate::error::DeviceError;

impl Cuda {
    /// Copies bytes to a GPU, which may be this one, in the order of both default streams and without waiting.
    pub(super) fn send(&self, from: u64, to: &Cuda, at: u64, bytes: usize) -> Result<(), DeviceError> {
        if bytes == 0 {
            return Ok(());
        }
        let stream = raw(self.stream);
        // The destination's earlier work may still use the memory.
        let free = Mark::new(&to.context, raw(to.stream), false)?;
        // SAFETY: both are alive. An event may belong to another context than the stream that waits for it (CUDA driver
        // API, `cuStreamWaitEvent`).
        self.call("cuStreamWaitEvent", || unsafe { sys::cuStreamWaitEvent(stream, free.raw(), 0) })?;
        self.call("cuMemcpyPeerAsync", || self.submit_copy(from, to, at, bytes))?;
        let waits = Mark::new(&self.context, stream, false).and_then(|copied| {
            // SAFETY: as above.
            to.call("cuStreamWaitEvent", || unsafe { sys::cuStreamWaitEvent(raw(to.stream), copied.raw(), 0) })
        });
        // The destination's memory is freed after the work of its own context, which does not include the copy then.
        waits.inspect_err(|_| drop(self.synchronize(self.stream)))
    }

    fn submit_copy(&self, from: u64, to: &Cuda, at: u64, bytes: usize) -> CUresult {
        let (stream, own, other) = (raw(self.stream), self.context.raw(), to.context.raw());
        if own == other {
            // SAFETY: both ranges are inside buffers of this context, which are kept alive until all pending work has
            // ended (`Context::release`), and do not overlap, because one of them was borrowed exclusively.
            unsafe { sys::cuMemcpyDtoDAsync_v2(at, from, bytes, stream) }
        } else {
            // SAFETY: the ranges are inside buffers of these contexts. Each is freed only after the pending work of its
            // context: the source's has the copy, and the destination's waits for the copy (see `send`).
            unsafe { sys::cuMemcpyPeerAsync(at, other, from, own, bytes, stream) }
        }
    }
}
