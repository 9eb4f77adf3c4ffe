//! Where checked launches tell of violations: pinned memory that kernels write and the host reads.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use ptxgen_builder::guard::RECORD_BYTES;

use super::context::Context;
use super::locked;
use super::staging::Pinned;
use crate::backend::Handle;
use crate::checked::{Slot, Watch};
use crate::error::DeviceError;

/// Records of one piece of pinned memory.
const RECORDS: usize = 1024;

/// Pinned memory for many records, alive as long as one of them is with a launch that has not been waited for.
#[derive(Debug)]
struct Slab(Pinned);

// SAFETY: the memory is reached through `words` alone, as atomics; never through `Pinned::bytes`, since the device may
// be writing it.
unsafe impl Sync for Slab {}

impl Slab {
    fn words(&self, record: usize) -> &[AtomicU32; RECORD_BYTES / 4] {
        // SAFETY: `record` is below `RECORDS`, so this lies in the memory, which is aligned to more than a
        // record (it is whole pages), initialized, and as long-lived as `self`. Nobody but the device
        // writes it other than through these atomics, and the device's writes are seen as such.
        unsafe { &*self.0.pointer().cast::<[AtomicU32; RECORD_BYTES / 4]>().add(record) }
    }
}

type Free = Arc<Mutex<Vec<(Arc<Slab>, usize)>>>;

/// One record, all of it zeros when it is handed out.
#[derive(Debug)]
struct Place {
    slab: Arc<Slab>,
    record: usize,
    free: Free,
}

impl Slot for Place {
    fn address(&self) -> u64 {
        // Pinned memory has one address on both sides: every device since 2010 and 64-bit system has
        // unified addresses (CUDA driver API, "Unified Addressing").
        self.slab.words(self.record).as_ptr().expose_provenance() as u64
    }

    fn words(&self) -> [u32; RECORD_BYTES / 4] {
        let words = self.slab.words(self.record);
        // The word that says that the others are written comes first.
        let done = words[1].load(Ordering::Acquire);
        let mut copy = [0; RECORD_BYTES / 4];
        copy.iter_mut().zip(words).for_each(|(to, from)| *to = from.load(Ordering::Relaxed));
        copy[1] = done;
        copy
    }

    fn clear(&self) {
        let words = self.slab.words(self.record);
        words[1..].iter().for_each(|w| w.store(0, Ordering::Relaxed));
        // From here on a kernel may claim it.
        words[0].store(0, Ordering::Release);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.clear();
        locked(&self.free).push((self.slab.clone(), self.record));
    }
}

/// Records, and the launches that may still write theirs.
#[derive(Debug, Default)]
pub(super) struct Records {
    free: Free,
    under_way: Mutex<HashMap<Handle, Vec<Arc<Watch>>>>,
}

/// Launches of one stream that are remembered before the stream is waited for.
const MOST_UNDER_WAY: usize = 4096;

impl Records {
    /// A record that nothing writes.
    pub(super) fn place(&self, context: &Arc<Context>) -> Result<Box<dyn Slot>, DeviceError> {
        let kept = locked(&self.free).pop();
        let (slab, record) = match kept {
            Some(kept) => kept,
            None => {
                let slab = Arc::new(Slab(Pinned::new(context, RECORDS * RECORD_BYTES)?));
                locked(&self.free).extend((1..RECORDS).map(|record| (slab.clone(), record)));
                (slab, 0)
            }
        };
        Ok(Box::new(Place { slab, record, free: self.free.clone() }))
    }

    /// Keeps what a stream has been given until it has been waited for; whether there is too much of it.
    pub(super) fn given(&self, stream: Handle, watches: &[Arc<Watch>]) -> bool {
        if watches.is_empty() {
            return false;
        }
        let mut streams = locked(&self.under_way);
        let list = streams.entry(stream).or_default();
        for watch in watches {
            // A call that is run again and again is remembered once.
            if !list.iter().rev().take(64).any(|w| Arc::ptr_eq(w, watch)) {
                list.push(watch.clone());
            }
        }
        list.len() > MOST_UNDER_WAY
    }

    /// Takes what a stream has been given so far, before it is waited for.
    pub(super) fn take(&self, stream: Handle) -> Vec<Arc<Watch>> {
        locked(&self.under_way).remove(&stream).unwrap_or_default()
    }

    /// Gives back what was taken: the wait failed, and kernels may still write.
    pub(super) fn put_back(&self, stream: Handle, mut watches: Vec<Arc<Watch>>) {
        let mut streams = locked(&self.under_way);
        let list = streams.entry(stream).or_default();
        watches.append(list);
        *list = watches;
    }

    /// The first violation that has been told, of all streams; launches stay remembered.
    pub(super) fn told(&self) -> Result<(), DeviceError> {
        let streams = locked(&self.under_way);
        first(streams.values().flatten())
    }

    /// Forgets all, without giving any memory back: the device does not answer.
    pub(super) fn leak(&self) {
        std::mem::forget(std::mem::take(&mut *locked(&self.under_way)));
    }
}

/// The first violation of launches that have ended. Those after it are told of no more: they follow from it.
pub(super) fn first<'w>(watches: impl IntoIterator<Item = &'w Arc<Watch>>) -> Result<(), DeviceError> {
    let mut errors = watches.into_iter().filter_map(|w| w.take());
    let first = errors.next();
    errors.for_each(drop);
    first.map_or(Ok(()), |e| Err(DeviceError::Access(Box::new(e))))
}
