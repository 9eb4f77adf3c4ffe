//! The interface that each kind of device implements for [`Device`](crate::Device).
//!
//! It uses addresses and handles. The public types own them. They pass a backend only its own handles, and release each
//! exactly once.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ptxgen_builder::target::Target;
use ptxgen_builder::verify::Validated;
use smallvec::SmallVec;

use crate::checked::{Slot, Watch};
use crate::element::ParamBytes;
use crate::error::DeviceError;

/// An object that a backend has created: a stream, a module, a kernel, an event, a graph.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Handle(pub usize);

/// The contents of new memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Init {
    /// Uninitialized.
    Unwritten,
    /// Zeros.
    Zero,
}

/// A launch whose arguments and shape have been checked.
#[derive(Clone, Debug)]
pub(crate) struct RawLaunch {
    pub function: Handle,
    pub kernel: Arc<str>,
    pub grid: [u32; 3],
    pub block: [u32; 3],
    pub dynamic_shared: u32,
    pub params: SmallVec<[ParamBytes; 8]>,
    /// The kernel waits for the previous launch itself (`griddepcontrol.wait`), so that it may start before that launch
    /// has ended.
    pub waits_itself: bool,
    /// Records violations, if the kernel checks its accesses.
    pub watch: Option<Arc<Watch>>,
}

/// Device memory in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryInfo {
    /// Free memory.
    pub free: u64,
    /// Total memory.
    pub total: u64,
}

/// Bytes that arrive at the host later.
pub(crate) trait Pending: Send {
    /// Waits for the bytes and passes them to `take`.
    fn wait(self: Box<Self>, take: &mut dyn FnMut(&[u8])) -> Result<(), DeviceError>;
}

/// A device. Work is submitted to streams and runs in order within each. Reads and writes of memory are ordered with
/// the default stream.
pub(crate) trait Backend: Send + Sync + fmt::Debug {
    fn name(&self) -> &str;
    fn is_interpreter(&self) -> bool;
    fn target(&self) -> Target;
    fn multiprocessors(&self) -> u32;
    fn memory(&self) -> Result<MemoryInfo, DeviceError>;

    /// Memory aligned to 256 bytes.
    fn alloc(&self, bytes: u64, init: Init) -> Result<u64, DeviceError>;
    /// Frees it, after all launches that use it have ended.
    fn free(&self, address: u64);
    fn write(&self, address: u64, bytes: &[u8]) -> Result<(), DeviceError>;
    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), DeviceError>;
    fn read_later(&self, stream: Handle, address: u64, bytes: usize) -> Result<Box<dyn Pending>, DeviceError>;
    /// Copies bytes to another address, of this device or another one, in the order of both default streams.
    fn copy(&self, from: u64, to: &dyn Backend, at: u64, bytes: usize) -> Result<(), DeviceError>;
    /// The backend itself, so that a device can recognize those of its own kind.
    fn as_any(&self) -> &dyn Any;

    fn load(&self, module: &Arc<Validated>) -> Result<Handle, DeviceError>;
    fn unload(&self, module: Handle);
    fn function(&self, module: Handle, kernel: &str) -> Result<Handle, DeviceError>;

    /// Memory for the records of a guarded kernel; `None` if the device checks accesses itself.
    fn record(&self) -> Result<Option<Box<dyn Slot>>, DeviceError>;

    fn default_stream(&self) -> Handle;
    fn new_stream(&self) -> Result<Handle, DeviceError>;
    /// Waits for the stream, and destroys it.
    fn drop_stream(&self, stream: Handle);
    fn launch(&self, stream: Handle, launch: &RawLaunch) -> Result<(), DeviceError>;
    fn synchronize(&self, stream: Handle) -> Result<(), DeviceError>;

    /// Marks the end of the work submitted to the stream so far.
    fn record_event(&self, stream: Handle) -> Result<Handle, DeviceError>;
    fn drop_event(&self, event: Handle);
    fn wait_event(&self, stream: Handle, event: Handle) -> Result<(), DeviceError>;
    /// Waits for both and returns the time between them.
    fn elapsed(&self, start: Handle, end: Handle) -> Result<Duration, DeviceError>;

    fn make_graph(&self, launches: &[RawLaunch]) -> Result<Handle, DeviceError>;
    fn drop_graph(&self, graph: Handle);
    fn replay(&self, stream: Handle, graph: Handle) -> Result<(), DeviceError>;
}

/// Copies bytes through the host's memory, which works between any devices.
pub(crate) fn copy_through_host(
    source: &dyn Backend,
    from: u64,
    to: &dyn Backend,
    at: u64,
    bytes: usize,
) -> Result<(), DeviceError> {
    let mut copy = vec![0; bytes];
    source.read(from, &mut copy)?;
    to.write(at, &copy)
}
