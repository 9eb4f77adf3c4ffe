//! Memory, and the queues of work that use it: each knows of the other what the order of reads, writes and launches needs.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::backend::{Backend, Handle, Init};
use crate::error::DeviceError;

/// Memory of a device; given back when the last owner goes.
#[derive(Debug)]
pub(crate) struct Allocation {
    pub backend: Arc<dyn Backend>,
    pub address: u64,
    /// The streams but the default one whose work may still use it.
    users: Mutex<Vec<Weak<Queue>>>,
    /// The number of the host's latest write to it.
    written: AtomicU64,
}

/// Counts the host's writes, of all devices.
static WRITES: AtomicU64 = AtomicU64::new(0);

/// How many writes there have been.
fn writes() -> u64 {
    WRITES.load(Ordering::Acquire)
}

impl Allocation {
    pub(crate) fn new(backend: &Arc<dyn Backend>, bytes: u64, init: Init) -> Result<Self, DeviceError> {
        let address = backend.alloc(bytes, init)?;
        let (users, written) = (Mutex::default(), AtomicU64::new(0));
        let allocation = Allocation { backend: backend.clone(), address, users, written };
        if init == Init::Zero {
            allocation.wrote();
        }
        Ok(allocation)
    }

    /// Notes a write that the default stream has been given.
    pub(crate) fn wrote(&self) {
        self.written.store(WRITES.fetch_add(1, Ordering::AcqRel) + 1, Ordering::Release);
    }

    /// The number of the host's latest write to it.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Notes that a stream has been given work that uses it.
    pub(crate) fn used_by(&self, queue: &Arc<Queue>) {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if !users.iter().any(|u| u.ptr_eq(&Arc::downgrade(queue))) {
            users.push(Arc::downgrade(queue));
        }
    }

    /// Makes the default stream wait for what other streams have been given that uses it. A stream that is
    /// gone has been waited for, or the wait has failed: then the driver may still be working for it, and its memory
    /// is not given back before all streams have ended.
    pub(crate) fn join_users(&self) -> Result<(), DeviceError> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        for user in users.iter().filter_map(Weak::upgrade) {
            user.before_default()?;
        }
        users.clear();
        Ok(())
    }
}

impl Drop for Allocation {
    fn drop(&mut self) {
        self.backend.free(self.address);
    }
}

/// A stream of a backend.
pub(crate) struct Queue {
    pub backend: Arc<dyn Backend>,
    pub handle: Handle,
    /// Streams other than the default one are given back.
    pub owned: bool,
    /// How many of the host's writes it has waited for.
    pub joined: AtomicU64,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stream of {}", self.backend.name())
    }
}

/// An event of a backend.
pub(crate) struct Mark<'q>(pub &'q Arc<dyn Backend>, pub Handle);

impl Drop for Mark<'_> {
    fn drop(&mut self) {
        self.0.drop_event(self.1);
    }
}

impl Queue {
    /// Makes `later` wait for what `earlier` has been given.
    pub(crate) fn order(&self, earlier: Handle, later: Handle) -> Result<(), DeviceError> {
        let mark = Mark(&self.backend, self.backend.record_event(earlier)?);
        self.backend.wait_event(later, mark.1)
    }

    /// Makes the default stream wait for what this one has been given.
    pub(crate) fn before_default(&self) -> Result<(), DeviceError> {
        self.order(self.handle, self.backend.default_stream())
    }

    /// Notes that this stream has been given work that uses memory. What is noted before the work only
    /// may be forgotten by a read in between, so it is noted after it too.
    pub(crate) fn note<'a>(self: &Arc<Self>, memory: impl Iterator<Item = &'a Arc<Allocation>>) {
        if self.owned {
            memory.for_each(|allocation| allocation.used_by(self));
        }
    }

    /// Makes this stream wait for the host's writes to memory, and notes that its work uses it.
    pub(crate) fn use_memory<'a>(
        self: &Arc<Self>,
        memory: impl Iterator<Item = &'a Arc<Allocation>>,
    ) -> Result<(), DeviceError> {
        if !self.owned {
            return Ok(());
        }
        let mut newest = 0;
        for allocation in memory {
            newest = newest.max(allocation.written());
            allocation.used_by(self);
        }
        if newest > self.joined.load(Ordering::Acquire) {
            // Every write that is counted by now has been given to the default stream.
            let count = writes();
            self.order(self.backend.default_stream(), self.handle)?;
            self.joined.fetch_max(count, Ordering::AcqRel);
        }
        Ok(())
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        if self.owned {
            self.backend.drop_stream(self.handle);
        }
    }
}
