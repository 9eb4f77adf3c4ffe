//! Reports of checked launches: pinned memory that kernels write and the host reads.

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

/// Number of records in one piece of pinned memory.
const RECORDS: usize = 1024;

/// Pinned memory for many records, alive as long as one of them belongs to a pending launch.
#[derive(Debug)]
struct Slab(Pinned);

// SAFETY: the memory is accessed only through `words`, as atomics, and never through `Pinned::bytes`, because the
// device may be writing it.
unsafe impl Sync for Slab {}

impl Slab {
    fn words(&self, record: usize) -> &[AtomicU32; RECORD_BYTES / 4] {
        // SAFETY: `record` is below `RECORDS`, so this is inside the memory, which is aligned to more than a record (it
        // is whole pages), initialized, and lives as long as `self`. Only the device writes it other than through these
        // atomics, and the device's writes are visible like atomics.
        unsafe { &*self.0.pointer().cast::<[AtomicU32; RECORD_BYTES / 4]>().add(record) }
    }
}

type Free = Arc<Mutex<Vec<(Arc<Slab>, usize)>>>;

/// One record, initially zero.
#[derive(Debug)]
struct Place {
    slab: Arc<Slab>,
    record: usize,
    free: Free,
}

impl Slot for Place {
    fn address(&self) -> u64 {
        // Pinned memory has the same address on host and device: every device since 2010 on a 64-bit system has unified
        // addresses (CUDA driver API, "Unified Addressing").
        self.slab.words(self.record).as_ptr().expose_provenance() as u64
    }

    fn words(&self) -> [u32; RECORD_BYTES / 4] {
        let words = self.slab.words(self.record);
        // The word that marks the others as written comes first.
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

/// Records, and the launches that may still write them.
#[derive(Debug, Default)]
pub(super) struct Records {
    free: Free,
    under_way: Mutex<HashMap<Handle, Vec<Arc<Watch>>>>,
}

/// Number of launches of one stream that are kept before the stream is waited for.
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

    /// Keeps a stream's launches until the stream has been waited for; returns whether there are too many.
    pub(super) fn given(&self, stream: Handle, watches: &[Arc<Watch>]) -> bool {
        if watches.is_empty() {
            return false;
        }
        let mut streams = locked(&self.under_way);
        let list = streams.entry(stream).or_default();
        for watch in watches {
            // A call that runs repeatedly is kept once.
            if !list.iter().rev().take(64).any(|w| Arc::ptr_eq(w, watch)) {
                list.push(watch.clone());
            }
        }
        list.len() > MOST_UNDER_WAY
    }

    /// Takes the stream's launches so far, before waiting for it.
    pub(super) fn take(&self, stream: Handle) -> Vec<Arc<Watch>> {
        locked(&self.under_way).remove(&stream).unwrap_or_default()
    }

    /// Puts them back: the wait failed, and kernels may still write.
    pub(super) fn put_back(&self, stream: Handle, mut watches: Vec<Arc<Watch>>) {
        let mut streams = locked(&self.under_way);
        let list = streams.entry(stream).or_default();
        watches.append(list);
        *list = watches;
    }

    /// The first reported violation of all streams; launches are kept.
    pub(super) fn told(&self) -> Result<(), DeviceError> {
        let streams = locked(&self.under_way);
        first(streams.values().flatten())
    }

    /// Forgets everything without freeing memory: the device does not respond.
    pub(super) fn leak(&self) {
        std::mem::forget(std::mem::take(&mut *locked(&self.under_way)));
    }
}

/// The first violation of launches that have ended. Later ones are ignored, because they are its consequences.
pub(super) fn first<'w>(watches: impl IntoIterator<Item = &'w Arc<Watch>>) -> Result<(), DeviceError> {
    let mut errors = watches.into_iter().filter_map(|w| w.take());
    let first = errors.next();
    errors.for_each(drop);
    first.map_or(Ok(()), |e| Err(DeviceError::Access(Box::new(e))))
}
