//! Order on a device: streams, events, and launches recorded as a graph.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::allocation::{Allocation, Queue};
use crate::backend::{self, Backend, Handle};
use crate::buffer::View;
use crate::element::Element;
use crate::error::DeviceError;
use crate::function::Call;

/// A queue of work that the device executes in order.
///
/// The host's reads and writes of buffers are ordered with the default stream
/// ([`Device::stream`](crate::Device::stream)). Launches on other streams that use a buffer are ordered after earlier
/// host writes of it, and before later reads and writes. Only an [`Event`] orders launches of different streams: if
/// they use one buffer at the same time, its contents are unspecified.
pub struct Stream(Arc<Queue>);

impl Stream {
    pub(crate) fn default_of(backend: &Arc<dyn Backend>) -> Stream {
        let (handle, joined) = (backend.default_stream(), AtomicU64::new(0));
        Stream(Arc::new(Queue { handle, backend: backend.clone(), owned: false, joined }))
    }

    pub(crate) fn new(backend: &Arc<dyn Backend>) -> Result<Stream, DeviceError> {
        let (handle, joined) = (backend.new_stream()?, AtomicU64::new(0));
        Ok(Stream(Arc::new(Queue { handle, backend: backend.clone(), owned: true, joined })))
    }

    fn own(&self, what: &'static str, backend: &Arc<dyn Backend>) -> Result<(), DeviceError> {
        if Arc::ptr_eq(&self.0.backend, backend) {
            return Ok(());
        }
        Err(DeviceError::Foreign { what, device: self.0.backend.name().to_owned() })
    }

    /// Launches a kernel after the work submitted to the stream.
    ///
    /// # Errors
    /// If the launch or an earlier one failed. On a GPU, a later call reports a kernel that fails while it runs.
    pub fn run(&self, call: &Call) -> Result<(), DeviceError> {
        self.own("kernel", &call.module.backend)?;
        self.0.use_memory(call.memory.iter())?;
        let launched = self.0.backend.launch(self.0.handle, &call.raw);
        self.0.note(call.memory.iter());
        launched
    }

    /// Runs all launches of a graph, in order.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn replay(&self, graph: &Graph) -> Result<(), DeviceError> {
        self.own("graph", &graph.backend)?;
        let memory = || graph.calls.iter().flat_map(|c| &c.memory);
        self.0.use_memory(memory())?;
        let replayed = self.0.backend.replay(self.0.handle, graph.handle);
        self.0.note(memory());
        replayed
    }

    /// Waits until the device has completed all work of the stream.
    ///
    /// # Errors
    /// If some of this work failed.
    pub fn synchronize(&self) -> Result<(), DeviceError> {
        self.0.backend.synchronize(self.0.handle)
    }

    /// Marks the end of the work submitted to the stream so far.
    ///
    /// # Errors
    /// If the device failed.
    pub fn event(&self) -> Result<Event, DeviceError> {
        Ok(Event { handle: self.0.backend.record_event(self.0.handle)?, backend: self.0.backend.clone() })
    }

    /// Delays later work of the stream until an event is complete.
    ///
    /// # Errors
    /// If the device failed.
    pub fn wait(&self, event: &Event) -> Result<(), DeviceError> {
        self.own("event", &event.backend)?;
        self.0.backend.wait_event(self.0.handle, event.handle)
    }

    /// Copies elements to the host after the work of the stream, without waiting for it.
    ///
    /// # Errors
    /// If the device failed.
    pub fn read_later<T: Element>(&self, view: View<'_, T>) -> Result<Later<T>, DeviceError> {
        self.own("buffer", &view.allocation().backend)?;
        let bytes = size_of::<T>() * view.len();
        if self.0.owned {
            self.0.use_memory(std::iter::once(view.allocation()))?;
        } else {
            view.allocation().join_users()?;
        }
        let pending = self.0.backend.read_later(self.0.handle, view.address(), bytes)?;
        self.0.note(std::iter::once(view.allocation()));
        let memory = view.allocation().clone();
        Ok(Later { pending, len: view.len(), _memory: memory, elements: PhantomData })
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Elements that are being copied to the host.
#[must_use = "the elements come with `wait`"]
pub struct Later<T> {
    pending: Box<dyn backend::Pending>,
    len: usize,
    /// Kept alive.
    _memory: Arc<Allocation>,
    elements: PhantomData<T>,
}

impl<T: Element> Later<T> {
    /// Waits for them.
    ///
    /// # Errors
    /// If the device failed.
    pub fn wait(self) -> Result<Vec<T>, DeviceError> {
        let mut elements = vec![T::zeroed(); self.len];
        self.pending.wait(&mut |bytes| bytemuck::cast_slice_mut(&mut elements).copy_from_slice(bytes))?;
        Ok(elements)
    }
}

impl<T> fmt::Debug for Later<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} elements on their way", self.len)
    }
}

/// A point in a stream.
pub struct Event {
    backend: Arc<dyn Backend>,
    handle: Handle,
}

impl Event {
    /// The time from an earlier event to this one, on the device's clock (resolution about half a microsecond). Waits
    /// until both are complete.
    ///
    /// # Errors
    /// If the device failed, or the events are of different devices.
    pub fn since(&self, start: &Event) -> Result<Duration, DeviceError> {
        if !Arc::ptr_eq(&self.backend, &start.backend) {
            return Err(DeviceError::Foreign { what: "event", device: self.backend.name().to_owned() });
        }
        self.backend.elapsed(start.handle, self.handle)
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        self.backend.drop_event(self.handle);
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event of {}", self.backend.name())
    }
}

/// Launches recorded once and run any number of times as one unit. It keeps its buffers' memory and its kernels alive.
#[must_use = "a graph does nothing until a stream replays it"]
pub struct Graph {
    backend: Arc<dyn Backend>,
    handle: Handle,
    calls: Vec<Call>,
}

impl Graph {
    pub(crate) fn new(backend: &Arc<dyn Backend>, calls: &[Call]) -> Result<Graph, DeviceError> {
        if calls.iter().any(|c| !Arc::ptr_eq(&c.module.backend, backend)) {
            return Err(DeviceError::Foreign { what: "kernel", device: backend.name().to_owned() });
        }
        let launches: Vec<_> = calls.iter().map(|c| c.raw.clone()).collect();
        Ok(Graph { handle: backend.make_graph(&launches)?, backend: backend.clone(), calls: calls.to_vec() })
    }

    /// The launches, in order.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        self.backend.drop_graph(self.handle);
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "graph of {} launches on {}", self.calls.len(), self.backend.name())
    }
}
