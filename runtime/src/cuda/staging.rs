//! Uploads through pinned memory, and small pieces of it for downloads.

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use cudarc::driver::sys::{self, CUevent, CUstream};
use rayon::prelude::*;

use super::context::Context;
use crate::error::DeviceError;

/// Bytes of a piece of an upload.
const PIECE: usize = 16 << 20;
/// Bytes that one thread copies at a time.
const STRIP: usize = 512 << 10;
/// Pieces under way.
const PIECES: usize = 4;

/// Host memory that the device reads and writes by itself.
#[derive(Debug)]
pub(super) struct Pinned {
    context: Arc<Context>,
    pointer: *mut c_void,
    len: usize,
}

// SAFETY: it is plain memory, owned by this value.
unsafe impl Send for Pinned {}

impl Pinned {
    pub(super) fn new(context: &Arc<Context>, len: usize) -> Result<Pinned, DeviceError> {
        context.enter()?;
        let mut pointer = ptr::null_mut();
        // SAFETY: writes one pointer. PORTABLE: for all contexts, so that any thread may use it.
        let result = unsafe { sys::cuMemHostAlloc(&mut pointer, len.max(1), sys::CU_MEMHOSTALLOC_PORTABLE) };
        context.check("cuMemHostAlloc", result)?;
        // SAFETY: as long as was asked for. Zeros, so that it is initialized.
        unsafe { ptr::write_bytes(pointer.cast::<u8>(), 0, len) };
        Ok(Pinned { context: context.clone(), pointer, len })
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn pointer(&self) -> *mut c_void {
        self.pointer
    }

    /// The bytes. The device must be done with them.
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: allocated with this length, initialized, and ours.
        unsafe { std::slice::from_raw_parts(self.pointer.cast(), self.len) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: allocated with this length, initialized, and ours.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.cast(), self.len) }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if self.context.entered() {
            // SAFETY: allocated in `new`, freed once; the device is done with it.
            let _ = unsafe { sys::cuMemFreeHost(self.pointer) };
        }
    }
}

/// A moment in a stream, as the driver's object.
#[derive(Debug)]
pub(super) struct Mark {
    context: Arc<Context>,
    raw: CUevent,
}

// SAFETY: the driver's functions may be called with an event from any thread.
unsafe impl Send for Mark {}

impl Mark {
    /// Marks the end of what `stream` has been given.
    pub(super) fn new(context: &Arc<Context>, stream: CUstream, timed: bool) -> Result<Mark, DeviceError> {
        context.enter()?;
        let flags = if timed { 0 } else { sys::CUevent_flags::CU_EVENT_DISABLE_TIMING as u32 };
        let mut raw = ptr::null_mut();
        // SAFETY: writes one pointer.
        context.check("cuEventCreate", unsafe { sys::cuEventCreate(&mut raw, flags) })?;
        let mark = Mark { context: context.clone(), raw };
        // SAFETY: both are alive and of this context.
        context.check("cuEventRecord", unsafe { sys::cuEventRecord(raw, stream) })?;
        Ok(mark)
    }

    pub(super) fn raw(&self) -> CUevent {
        self.raw
    }

    /// Waits until it has happened.
    pub(super) fn wait(&self) -> Result<(), DeviceError> {
        self.context.enter()?;
        // SAFETY: the event is alive.
        self.context.check("cuEventSynchronize", unsafe { sys::cuEventSynchronize(self.raw) })
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        if self.context.entered() {
            // SAFETY: made in `new`, destroyed once.
            let _ = unsafe { sys::cuEventDestroy_v2(self.raw) };
        }
    }
}

/// Pinned pieces that uploads go through, in turn.
#[derive(Debug, Default)]
pub(super) struct Staging {
    pieces: Vec<(Pinned, Option<Mark>)>,
    next: usize,
}

impl Staging {
    /// Uploads bytes in the order of `stream`. On return the source may change.
    pub(super) fn upload(
        &mut self,
        context: &Arc<Context>,
        stream: CUstream,
        address: u64,
        bytes: &[u8],
    ) -> Result<(), DeviceError> {
        for (i, source) in bytes.chunks(PIECE).enumerate() {
            if self.pieces.len() < PIECES {
                self.next = self.pieces.len();
                self.pieces.push((Pinned::new(context, PIECE)?, None));
            }
            let (piece, busy) = &mut self.pieces[self.next];
            self.next = (self.next + 1) % PIECES;
            if let Some(mark) = busy.take() {
                mark.wait()?;
            }
            let strips = piece.bytes_mut().par_chunks_mut(STRIP).zip(source.par_chunks(STRIP));
            strips.for_each(|(to, from)| to[..from.len()].copy_from_slice(from));
            context.enter()?;
            let to = address + (i * PIECE) as u64;
            // SAFETY: the piece holds as many bytes and stays untouched until the mark below.
            let result = unsafe { sys::cuMemcpyHtoDAsync_v2(to, piece.pointer(), source.len(), stream) };
            context.check("cuMemcpyHtoDAsync", result)?;
            *busy = Some(Mark::new(context, stream, false)?);
        }
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        for mark in self.pieces.iter().filter_map(|(_, busy)| busy.as_ref()) {
            // A copy under way ends before its memory goes.
            let _ = mark.wait();
        }
    }
}
