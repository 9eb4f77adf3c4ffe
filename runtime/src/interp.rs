//! The interpreter as a device: launches run immediately, in the calling thread and rayon's threads. Everything that
//! the interpreter finds is an error.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ptxgen_builder::interp::{
    Arg, Buffer, Globals, Launch, LaunchError, Memory, MemoryError, Options, Overlapping, run_overlapping,
};
use ptxgen_builder::target::Target;
use ptxgen_builder::verify::Validated;

use crate::backend::{Backend, Handle, Init, MemoryInfo, Pending, RawLaunch, copy_through_host};
use crate::checked::{Slot, clean};
use crate::error::DeviceError;

/// How the interpreter runs kernels.
#[derive(Clone, Copy, Debug)]
pub struct InterpOptions {
    /// Order of warps and blocks, checks, limits.
    pub options: Options,
    /// The target of kernels.
    pub target: Target,
    /// Multiprocessors of the GPU that it stands for, which schedules may follow; 132 by default, an H200's.
    pub multiprocessors: u32,
    /// Whether launches of a graph whose kernels wait for the one before by themselves start as early as they could on a
    /// GPU. What they touch too early is found then; otherwise each starts when the one before it has ended.
    pub overlap: bool,
}

impl Default for InterpOptions {
    /// All checks, for sm_90, launches do not overlap.
    fn default() -> Self {
        InterpOptions { options: Options::default(), target: Target::SM_90, multiprocessors: 132, overlap: false }
    }
}

/// Alignment of buffers, as in CUDA.
const ALIGNMENT: u64 = 256;

#[derive(Debug)]
pub(crate) struct Interp {
    options: InterpOptions,
    state: Mutex<State>,
    next: AtomicUsize,
}

type Modules = HashMap<Handle, (Arc<Validated>, Globals)>;

/// A kernel's module and name.
type Functions = HashMap<Handle, (Handle, String)>;

#[derive(Default)]
struct State {
    memory: Memory,
    /// Buffers by address.
    buffers: BTreeMap<u64, Buffer>,
    modules: Modules,
    functions: Functions,
    events: HashMap<Handle, Instant>,
    graphs: HashMap<Handle, Vec<RawLaunch>>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} buffers, {} modules", self.buffers.len(), self.modules.len())
    }
}

impl Interp {
    pub(crate) fn new(options: InterpOptions) -> Interp {
        Interp { options, state: Mutex::new(State::default()), next: AtomicUsize::new(1) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self) -> Handle {
        Handle(self.next.fetch_add(1, Ordering::Relaxed))
    }

    fn foreign(&self, what: &'static str) -> DeviceError {
        DeviceError::Foreign { what, device: self.name().to_owned() }
    }
}

impl State {
    /// The buffer that contains an address, and the offset in it.
    fn find(&self, address: u64) -> Result<(Buffer, u64), MemoryError> {
        let unknown = MemoryError::Unknown(Buffer { address, len: 0 });
        let (_, &buffer) = self.buffers.range(..=address).next_back().ok_or(unknown)?;
        Ok((buffer, address - buffer.address))
    }

    fn launch(&mut self, launch: &RawLaunch, options: &Options) -> Result<(), DeviceError> {
        let args = arguments(launch);
        let State { memory, modules, functions, .. } = self;
        clean(prepared(modules, functions, launch, &args, options)?.run(memory)?, launch.block)
    }

    /// Runs launches one after the other; those that wait themselves start as early as they may.
    fn overlapping(&mut self, launches: &[RawLaunch], options: &Options) -> Result<(), DeviceError> {
        let args: Vec<_> = launches.iter().map(arguments).collect();
        let State { memory, modules, functions, .. } = self;
        let all = launches.iter().zip(&args).map(|(raw, args)| {
            let launch = prepared(modules, functions, raw, args, options)?;
            Ok(Overlapping { launch, is_early: raw.waits_itself })
        });
        let all = all.collect::<Result<Vec<_>, DeviceError>>()?;
        let reports = run_overlapping(&all, memory)?;
        reports.into_iter().zip(launches).try_for_each(|(report, launch)| clean(report, launch.block))
    }
}

fn arguments(launch: &RawLaunch) -> Vec<Arg> {
    launch.params.iter().map(|p| Arg::bytes(p)).collect()
}

/// A launch of a kernel that is loaded.
fn prepared<'a>(
    modules: &'a Modules,
    functions: &'a Functions,
    launch: &RawLaunch,
    args: &'a [Arg],
    options: &'a Options,
) -> Result<Launch<'a>, LaunchError> {
    let no_kernel = || LaunchError::NoKernel { name: launch.kernel.to_string(), known: Vec::new() };
    let (module, kernel) = functions.get(&launch.function).ok_or_else(no_kernel)?;
    let (module, globals) = modules.get(module).ok_or_else(no_kernel)?;
    let RawLaunch { grid, block, dynamic_shared, .. } = *launch;
    Ok(Launch { module, kernel, grid, block, dynamic_shared, args, globals: Some(globals), options })
}

impl Backend for Interp {
    fn name(&self) -> &str {
        "the interpreter"
    }

    fn is_interpreter(&self) -> bool {
        true
    }

    fn target(&self) -> Target {
        self.options.target
    }

    fn multiprocessors(&self) -> u32 {
        self.options.multiprocessors
    }

    fn memory(&self) -> Result<MemoryInfo, DeviceError> {
        // This allocates host memory, for which the interpreter has no check.
        Ok(MemoryInfo { free: u64::MAX, total: u64::MAX })
    }

    fn alloc(&self, bytes: u64, init: Init) -> Result<u64, DeviceError> {
        let mut state = self.state();
        let buffer = match init {
            Init::Unwritten => state.memory.alloc_uninit(bytes, ALIGNMENT)?,
            Init::Zero => {
                let zeros = vec![0; usize::try_from(bytes).map_err(|_| MemoryError::Full(bytes))?];
                state.memory.alloc(&zeros, ALIGNMENT)?
            }
        };
        state.buffers.insert(buffer.address, buffer);
        Ok(buffer.address)
    }

    fn free(&self, address: u64) {
        let mut state = self.state();
        if let Some(buffer) = state.buffers.remove(&address) {
            // The address is in the map, so it is known.
            let _ = state.memory.free(buffer);
        }
    }

    fn write(&self, address: u64, bytes: &[u8]) -> Result<(), DeviceError> {
        let mut state = self.state();
        let (buffer, at) = state.find(address)?;
        Ok(state.memory.write(buffer, at, bytes)?)
    }

    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), DeviceError> {
        let state = self.state();
        let (buffer, at) = state.find(address)?;
        Ok(state.memory.read_at(buffer, at, bytes)?)
    }

    fn read_later(&self, _: Handle, address: u64, bytes: usize) -> Result<Box<dyn Pending>, DeviceError> {
        let mut copy = vec![0; bytes];
        self.read(address, &mut copy)?;
        Ok(Box::new(Read(copy)))
    }

    fn copy(&self, from: u64, to: &dyn Backend, at: u64, bytes: usize) -> Result<(), DeviceError> {
        copy_through_host(self, from, to, at, bytes)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn load(&self, module: &Arc<Validated>) -> Result<Handle, DeviceError> {
        let (written, target) = (module.module().target, self.target());
        if written > target {
            return Err(DeviceError::Target { module: written, device: self.name().to_owned(), target });
        }
        let handle = self.handle();
        let mut state = self.state();
        let globals = Globals::load(module, &mut state.memory)?;
        state.modules.insert(handle, (module.clone(), globals));
        Ok(handle)
    }

    fn unload(&self, module: Handle) {
        let mut state = self.state();
        state.functions.retain(|_, (of, _)| *of != module);
        if let Some((_, globals)) = state.modules.remove(&module) {
            globals.free(&mut state.memory);
        }
    }

    fn function(&self, module: Handle, kernel: &str) -> Result<Handle, DeviceError> {
        let handle = self.handle();
        self.state().functions.insert(handle, (module, kernel.to_owned()));
        Ok(handle)
    }

    fn record(&self) -> Result<Option<Box<dyn Slot>>, DeviceError> {
        Ok(None)
    }

    fn default_stream(&self) -> Handle {
        Handle(0)
    }

    fn new_stream(&self) -> Result<Handle, DeviceError> {
        Ok(self.handle())
    }

    fn drop_stream(&self, _: Handle) {}

    fn launch(&self, _: Handle, launch: &RawLaunch) -> Result<(), DeviceError> {
        self.state().launch(launch, &self.options.options)
    }

    fn synchronize(&self, _: Handle) -> Result<(), DeviceError> {
        Ok(())
    }

    fn record_event(&self, _: Handle) -> Result<Handle, DeviceError> {
        let handle = self.handle();
        self.state().events.insert(handle, Instant::now());
        Ok(handle)
    }

    fn drop_event(&self, event: Handle) {
        self.state().events.remove(&event);
    }

    fn wait_event(&self, _: Handle, _: Handle) -> Result<(), DeviceError> {
        Ok(())
    }

    fn elapsed(&self, start: Handle, end: Handle) -> Result<Duration, DeviceError> {
        let state = self.state();
        match (state.events.get(&start), state.events.get(&end)) {
            (Some(start), Some(end)) => Ok(end.saturating_duration_since(*start)),
            _ => Err(self.foreign("event")),
        }
    }

    fn make_graph(&self, launches: &[RawLaunch]) -> Result<Handle, DeviceError> {
        let handle = self.handle();
        self.state().graphs.insert(handle, launches.to_vec());
        Ok(handle)
    }

    fn drop_graph(&self, graph: Handle) {
        self.state().graphs.remove(&graph);
    }

    fn replay(&self, _: Handle, graph: Handle) -> Result<(), DeviceError> {
        let mut state = self.state();
        let launches = state.graphs.remove(&graph).ok_or_else(|| self.foreign("graph"))?;
        let options = &self.options.options;
        let done = match self.options.overlap {
            true => state.overlapping(&launches, options),
            false => launches.iter().try_for_each(|launch| state.launch(launch, options)),
        };
        state.graphs.insert(graph, launches);
        done
    }
}

/// Bytes that were copied when they were requested.
struct Read(Vec<u8>);

impl Pending for Read {
    fn wait(self: Box<Self>, take: &mut dyn FnMut(&[u8])) -> Result<(), DeviceError> {
        take(&self.0);
        Ok(())
    }
}
