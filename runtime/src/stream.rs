//! Order on a device: streams, events, and launches recorded as a graph.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use crate::backend::{self, Backend, Handle};
use crate::buffer::{Allocation, View};
use crate::element::Element;
use crate::error::DeviceError;
use crate::function::Call;

/// A queue of work that the device does in order.
///
/// Reads and writes of buffers are in the default stream's order
/// ([`Device::stream`](crate::Device::stream)); an [`Event`] orders others.
pub struct Stream {
    backend: Arc<dyn Backend>,
    handle: Handle,
    /// Streams other than the default one are given back.
    owned: bool,
}

impl Stream {
    pub(crate) fn default_of(backend: &Arc<dyn Backend>) -> Stream {
        Stream { handle: backend.default_stream(), backend: backend.clone(), owned: false }
    }

    pub(crate) fn new(backend: &Arc<dyn Backend>) -> Result<Stream, DeviceError> {
        Ok(Stream { handle: backend.new_stream()?, backend: backend.clone(), owned: true })
    }

    fn own(&self, what: &'static str, backend: &Arc<dyn Backend>) -> Result<(), DeviceError> {
        if Arc::ptr_eq(&self.backend, backend) {
            return Ok(());
        }
        Err(DeviceError::Foreign { what, device: self.backend.name().to_owned() })
    }

    /// Launches a kernel behind what the stream has been given.
    ///
    /// # Errors
    /// If the launch or an earlier one failed. On a GPU a kernel that fails
    /// while it runs shows in a later call.
    pub fn run(&self, call: &Call) -> Result<(), DeviceError> {
        self.own("kernel", &call.module.backend)?;
        self.backend.launch(self.handle, &call.raw)
    }

    /// Runs all launches of a graph, in order.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn replay(&self, graph: &Graph) -> Result<(), DeviceError> {
        self.own("graph", &graph.backend)?;
        self.backend.replay(self.handle, graph.handle)
    }

    /// Waits until the device has done all that the stream has been given.
    ///
    /// # Errors
    /// If something of it failed.
    pub fn synchronize(&self) -> Result<(), DeviceError> {
        self.backend.synchronize(self.handle)
    }

    /// Marks the end of what the stream has been given so far.
    ///
    /// # Errors
    /// If the device failed.
    pub fn event(&self) -> Result<Event, DeviceError> {
        Ok(Event { handle: self.backend.record_event(self.handle)?, backend: self.backend.clone() })
    }

    /// Holds back what the stream will be given until an event has happened.
    ///
    /// # Errors
    /// If the device failed.
    pub fn wait(&self, event: &Event) -> Result<(), DeviceError> {
        self.own("event", &event.backend)?;
        self.backend.wait_event(self.handle, event.handle)
    }

    /// Copies elements to the host behind what the stream has been given,
    /// without waiting for it.
    ///
    /// # Errors
    /// If the device failed.
    pub fn read_later<T: Element>(&self, view: View<'_, T>) -> Result<Later<T>, DeviceError> {
        self.own("buffer", &view.allocation().backend)?;
        let bytes = size_of::<T>() * view.len();
        let pending = self.backend.read_later(self.handle, view.address(), bytes)?;
        let memory = view.allocation().clone();
        Ok(Later { pending, len: view.len(), _memory: memory, elements: PhantomData })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.owned {
            self.backend.drop_stream(self.handle);
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stream of {}", self.backend.name())
    }
}

/// Elements on their way to the host.
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

/// A moment in a stream.
pub struct Event {
    backend: Arc<dyn Backend>,
    handle: Handle,
}

impl Event {
    /// The time from an earlier event to this one, on the device's clock
    /// (about half a microsecond fine). Waits until both have happened.
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

/// Launches recorded once, to be run many times as one piece of work. It keeps
/// its buffers' memory and its kernels alive.
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
