//! Uploads through pinned memory, and small pieces of it for downloads.

use std::collections::VecDeque;
use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::Arc;

use cudarc::driver::sys::{self, CUevent, CUstream};
use rayon::prelude::*;

use super::context::Context;
use crate::error::DeviceError;

/// Bytes of a piece of an upload or download.
pub(super) const PIECE: usize = 16 << 20;
/// Bytes that one thread copies at a time.
const STRIP: usize = 512 << 10;
/// Number of pieces in flight.
const PIECES: usize = 4;

/// Host memory that the device can access directly.
#[derive(Debug)]
pub(super) struct Pinned {
    context: Arc<Context>,
    pointer: *mut c_void,
    len: usize,
}

// SAFETY: it is plain memory that this value owns, and the driver's functions may be called from any thread.
unsafe impl Send for Pinned {}

impl Pinned {
    pub(super) fn new(context: &Arc<Context>, len: usize) -> Result<Pinned, DeviceError> {
        context.enter()?;
        let mut pointer = ptr::null_mut();
        // SAFETY: writes one pointer. PORTABLE: for all contexts, so that any thread may use it.
        let result = unsafe { sys::cuMemHostAlloc(&mut pointer, len.max(1), sys::CU_MEMHOSTALLOC_PORTABLE) };
        context.check("cuMemHostAlloc", result)?;
        // SAFETY: just allocated, with at least this length. Zeros, so that it is initialized.
        unsafe { ptr::write_bytes(pointer.cast::<u8>(), 0, len) };
        Ok(Pinned { context: context.clone(), pointer, len })
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The memory while the device may read or write it.
    pub(super) fn under_way(self) -> UnderWay {
        UnderWay(ManuallyDrop::new(self))
    }

    pub(super) fn pointer(&self) -> *mut c_void {
        self.pointer
    }

    /// The bytes of memory for copies. The device does not use them: while it does, the memory is [`UnderWay`].
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: allocated with this length, initialized, and borrowed with `self`.
        unsafe { std::slice::from_raw_parts(self.pointer.cast(), self.len) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: allocated with this length, initialized, and borrowed exclusively with `self`. The device does not
        // use it: while it does, the memory is `UnderWay`.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.cast(), self.len) }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if self.context.entered() {
            // SAFETY: allocated in `new`, freed once. The device does not use it: memory of a pending copy is
            // `UnderWay`, whose drop keeps it; memory of records is kept by the `Watch` of every launch that has not
            // been waited for (`Records`).
            let _ = unsafe { sys::cuMemFreeHost(self.pointer) };
        }
    }
}

/// Pinned memory that the device may be reading or writing. Unless it has [`ended`](Self::ended), it is never freed:
/// wherever it is dropped, a pending copy keeps its memory.
#[derive(Debug)]
pub(super) struct UnderWay(ManuallyDrop<Pinned>);

impl UnderWay {
    pub(super) fn pointer(&self) -> *mut c_void {
        self.0.pointer()
    }

    /// The memory, after the copy that ends at this mark.
    ///
    /// # Errors
    /// If the wait for the mark fails; then the memory is never freed.
    pub(super) fn ended(self, mark: &Mark) -> Result<Pinned, DeviceError> {
        let waited = mark.wait();
        self.ended_if(waited)
    }

    /// The memory, if a wait for all work of its stream succeeded.
    ///
    /// # Errors
    /// The error of the wait; then the memory is never freed.
    pub(super) fn ended_if(self, waited: Result<(), DeviceError>) -> Result<Pinned, DeviceError> {
        waited.map(|()| ManuallyDrop::into_inner(self.0))
    }
}

/// A point in a stream, as the driver's object.
#[derive(Debug)]
pub(super) struct Mark {
    context: Arc<Context>,
    raw: CUevent,
}

// SAFETY: the driver's functions may be called with an event from any thread.
unsafe impl Send for Mark {}
// SAFETY: as above, from several threads at once: the driver locks what is shared inside an event.
unsafe impl Sync for Mark {}

impl Mark {
    /// Marks the end of the work submitted to `stream`.
    pub(super) fn new(context: &Arc<Context>, stream: CUstream, timed: bool) -> Result<Mark, DeviceError> {
        context.enter()?;
        let flags = if timed { 0 } else { sys::CUevent_flags::CU_EVENT_DISABLE_TIMING as u32 };
        let mut raw = ptr::null_mut();
        // SAFETY: writes one pointer.
        context.check("cuEventCreate", unsafe { sys::cuEventCreate(&mut raw, flags) })?;
        let mark = Mark { context: context.clone(), raw };
        // SAFETY: both are alive and belong to this context.
        context.check("cuEventRecord", unsafe { sys::cuEventRecord(raw, stream) })?;
        Ok(mark)
    }

    pub(super) fn raw(&self) -> CUevent {
        self.raw
    }

    /// Waits until it is complete.
    pub(super) fn wait(&self) -> Result<(), DeviceError> {
        self.context.enter()?;
        // SAFETY: the event is alive.
        self.context.check("cuEventSynchronize", unsafe { sys::cuEventSynchronize(self.raw) })
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        if self.context.entered() {
            // SAFETY: created in `new`, destroyed once. The driver frees it when it is complete.
            let _ = unsafe { sys::cuEventDestroy_v2(self.raw) };
        }
    }
}

/// Pinned pieces that uploads use in turn.
#[derive(Debug, Default)]
pub(super) struct Staging {
    /// Oldest first. A piece whose copy may not have ended is removed.
    busy: VecDeque<(UnderWay, Mark)>,
}

impl Staging {
    /// A piece that nothing uses: a new one while there are few, afterwards the one that has been busy longest.
    fn piece(&mut self, context: &Arc<Context>) -> Result<Pinned, DeviceError> {
        if self.busy.len() >= PIECES
            && let Some((piece, mark)) = self.busy.pop_front()
        {
            return piece.ended(&mark);
        }
        Pinned::new(context, PIECE)
    }

    /// Uploads bytes in the order of `stream`. When it returns, the source may change.
    pub(super) fn upload(
        &mut self,
        context: &Arc<Context>,
        stream: CUstream,
        address: u64,
        bytes: &[u8],
    ) -> Result<(), DeviceError> {
        for (i, source) in bytes.chunks(PIECE).enumerate() {
            let mut piece = self.piece(context)?;
            let strips = piece.bytes_mut().par_chunks_mut(STRIP).zip(source.par_chunks(STRIP));
            strips.for_each(|(to, from)| to[..from.len()].copy_from_slice(from));
            let piece = piece.under_way();
            context.enter()?;
            let to = address + (i * PIECE) as u64;
            // SAFETY: the range is inside a buffer; the piece has as many bytes, and is freed or written again only
            // after the mark below, if ever.
            let result = unsafe { sys::cuMemcpyHtoDAsync_v2(to, piece.pointer(), source.len(), stream) };
            context.check("cuMemcpyHtoDAsync", result)?;
            let mark = Mark::new(context, stream, false)?;
            self.busy.push_back((piece, mark));
        }
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        for (piece, mark) in self.busy.drain(..) {
            // A pending copy must end before its memory is freed; if that is unknown, the memory is kept.
            drop(piece.ended(&mark));
        }
    }
}
