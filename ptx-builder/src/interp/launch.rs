//! Launching a kernel on the interpreter.

use smallvec::SmallVec;
use thiserror::Error;

use super::bytes::Bytes;
use super::context::Context;
use super::gate::Gate;
use super::homes::homes;
use super::index::IndexSteps;
use super::layout::Layout;
use super::memory::{Buffer, Memory, MemoryError};
use super::program::Program;
use super::report::Report;
use super::sync::Device;
use super::wide::Wide;
use super::wide::measured::Measured;
use super::{Options, grid};
use crate::ir::{Kernel, Linkage, Module};
use crate::types::Space;
use crate::verify::Validated;

/// A kernel argument: the bytes of a parameter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arg(SmallVec<[u8; 8]>);

impl Arg {
    /// The bytes of an array parameter.
    pub fn bytes(bytes: &[u8]) -> Arg {
        Arg(SmallVec::from_slice(bytes))
    }
}

macro_rules! args {
    ($($t:ty),*) => {$(
        impl From<$t> for Arg {
            fn from(x: $t) -> Arg {
                Arg::bytes(&x.to_le_bytes())
            }
        }
    )*};
}
args!(u8, u16, u32, u64, i8, i16, i32, i64, f32, f64);

impl From<Buffer> for Arg {
    fn from(buffer: Buffer) -> Arg {
        Arg::from(buffer.address)
    }
}

/// Reasons why a launch does not start.
#[derive(Clone, PartialEq, Debug, Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// No such kernel.
    #[error("the module has no kernel `{name}`; it has {}", .known.join(", "))]
    NoKernel {
        /// What was requested.
        name: String,
        /// The existing names.
        known: Vec<String>,
    },
    /// Too many or too few arguments.
    #[error("kernel `{kernel}` takes {expected} arguments, and got {got}")]
    ArgCount {
        /// The kernel.
        kernel: String,
        /// Its parameters.
        expected: usize,
        /// Arguments given.
        got: usize,
    },
    /// An argument of the wrong size.
    #[error("argument {index} of kernel `{kernel}` (`{param}`) has {expected} bytes, and got {got}")]
    ArgSize {
        /// The kernel.
        kernel: String,
        /// Which parameter, from 0.
        index: usize,
        /// Its name.
        param: String,
        /// Its size.
        expected: u64,
        /// Bytes given.
        got: u64,
    },
    /// A grid or block shape that exceeds a GPU's limits or the kernel's launch bounds.
    #[error("kernel `{kernel}`, {what} {shape:?}: {why}")]
    Shape {
        /// The kernel.
        kernel: String,
        /// Grid, block or cluster.
        what: &'static str,
        /// The shape.
        shape: [u32; 3],
        /// The allowed shapes.
        why: String,
    },
    /// More shared memory than a block can have.
    #[error("kernel `{kernel}` needs {need} bytes of shared memory a block; the target has {most}")]
    Shared {
        /// The kernel.
        kernel: String,
        /// Static and dynamic bytes.
        need: u64,
        /// The maximum on the module's target.
        most: u64,
    },
    /// Sizes that overflow, or more memory than the interpreter provides per block.
    #[error("kernel `{kernel}`: {why}")]
    Size {
        /// The kernel.
        kernel: String,
        /// The size.
        why: String,
    },
    /// Not enough memory for the module's global variables.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

/// A module's `.global` variables, placed in a [`Memory`]. They keep their
/// values from launch to launch, as on a device while the module is loaded.
#[derive(Clone, Debug)]
pub struct Globals {
    /// Address of each module variable; 0 for those in other spaces.
    addresses: Vec<u64>,
    buffers: Vec<(String, Buffer)>,
}

impl Globals {
    /// Places a module's global variables, with their initial values.
    ///
    /// # Errors
    /// If there is not enough memory for them.
    pub fn load(module: &Validated, memory: &mut Memory) -> Result<Globals, MemoryError> {
        Self::place(module.module(), memory)
    }

    fn place(module: &Module, memory: &mut Memory) -> Result<Globals, MemoryError> {
        let mut globals = Globals { addresses: vec![0; module.variables.len()], buffers: Vec::new() };
        for (v, address) in module.variables.iter().zip(&mut globals.addresses) {
            if v.space != Space::Global {
                continue;
            }
            let len = v.bytes().ok_or(MemoryError::Full(u64::MAX))?;
            let buffer = memory.alloc_zeroed(len, u64::from(v.align.max(1)))?;
            *address = buffer.address;
            globals.buffers.push((v.name.clone(), buffer));
        }
        // Addresses among the values are known only now.
        let layout = Layout::of_module(module, &globals.addresses);
        for (i, v) in module.variables.iter().enumerate().filter(|(_, v)| v.space == Space::Global) {
            let Some(buffer) = globals.get(&v.name).filter(|b| b.address == globals.addresses[i]) else { continue };
            memory.write(buffer, 0, &layout.initial(module, v))?;
        }
        Ok(globals)
    }

    /// The variable with this name.
    pub fn get(&self, name: &str) -> Option<Buffer> {
        self.buffers.iter().find(|(n, _)| n == name).map(|(_, b)| *b)
    }

    /// Frees the variables' memory.
    pub fn free(self, memory: &mut Memory) {
        for (_, buffer) in self.buffers {
            // Only a buffer that the caller has freed already is unknown.
            let _ = memory.free(buffer);
        }
    }
}

/// A launch of one kernel.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// The module.
    pub module: &'a Validated,
    /// The kernel's name.
    pub kernel: &'a str,
    /// Blocks in x, y, z.
    pub grid: [u32; 3],
    /// Threads per block in x, y, z.
    pub block: [u32; 3],
    /// Bytes of dynamic shared memory.
    pub dynamic_shared: u32,
    /// One for each parameter.
    pub args: &'a [Arg],
    /// The module's global variables; without them, each launch has fresh ones.
    pub globals: Option<&'a Globals>,
    /// Options of the interpreter.
    pub options: &'a Options,
}

/// Local memory per block, and const memory, that the interpreter provides.
const MOST_BYTES: u64 = 1 << 30;

impl Launch<'_> {
    /// Runs the kernel to its end, or to the first fault.
    ///
    /// # Errors
    /// If the arguments or shapes do not match the kernel or exceed a GPU's limits; then nothing has run.
    pub fn run(&self, memory: &mut Memory) -> Result<Report, LaunchError> {
        self.go(memory, false).map(|(report, _)| report)
    }

    /// Runs it as [`run`](Self::run) does, with the same results, and computes for each float what it would be without
    /// rounding (shadow precision). The launch's inputs count as exact.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn measure(&self, memory: &mut Memory) -> Result<(Report, Measured), LaunchError> {
        self.go(memory, true)
    }

    fn go(&self, memory: &mut Memory, wide: bool) -> Result<(Report, Measured), LaunchError> {
        let number = self.checked()?;
        let fresh = self.place_globals(memory)?;
        let ran = self.context(number, self.addresses(fresh.as_ref()), memory, wide).map(|cx| grid::run(&cx));
        if let Some(globals) = fresh {
            globals.free(memory);
        }
        ran
    }

    /// The kernel's index, if the interpreter accepts the launch.
    pub(super) fn checked(&self) -> Result<usize, LaunchError> {
        let module = self.module.module();
        let number =
            module.kernels.iter().position(|k| k.name == self.kernel).ok_or_else(|| LaunchError::NoKernel {
                name: self.kernel.to_owned(),
                known: module.kernels.iter().map(|k| k.name.clone()).collect(),
            })?;
        let kernel = &module.kernels[number];
        check_shapes(kernel, self.grid, self.block)?;
        check_cluster(self.module.module(), kernel, self.grid, self.options)?;
        if let Some(v) = module.variables.iter().find(|v| v.linkage == Linkage::External) {
            let why = format!("variable '{}' is defined in another module, which is not here", v.name);
            return Err(LaunchError::Size { kernel: kernel.name.clone(), why });
        }
        Ok(number)
    }

    /// New variables, if the launch has none.
    pub(super) fn place_globals(&self, memory: &mut Memory) -> Result<Option<Globals>, MemoryError> {
        self.globals.is_none().then(|| Globals::place(self.module.module(), memory)).transpose()
    }

    /// The addresses of its module's variables.
    pub(super) fn addresses<'g>(&'g self, fresh: Option<&'g Globals>) -> &'g [u64] {
        self.globals.or(fresh).map_or(&[][..], |g| &g.addresses)
    }

    /// The launch of kernel `number`, ready to run.
    pub(super) fn context<'m>(
        &'m self,
        number: usize,
        globals: &[u64],
        memory: &'m Memory,
        wide: bool,
    ) -> Result<Context<'m>, LaunchError> {
        let module = self.module.module();
        let kernel = &module.kernels[number];
        let size = |why: &str| LaunchError::Size { kernel: kernel.name.clone(), why: why.to_owned() };
        let layout = Layout::new(module, kernel, self.dynamic_shared, globals)
            .ok_or_else(|| size("the sizes of its variables overflow"))?;
        let most = u64::from(module.target.max_shared_bytes());
        if layout.shared_bytes > most {
            let (kernel, need) = (kernel.name.clone(), layout.shared_bytes);
            return Err(LaunchError::Shared { kernel, need, most });
        }
        let threads = u64::from(self.block.iter().product::<u32>().next_multiple_of(32));
        if layout.local_bytes.saturating_mul(threads) > MOST_BYTES || layout.const_bytes > MOST_BYTES {
            return Err(size("its local or const memory exceeds the interpreter's 1 GiB a block"));
        }
        let params = self.params(kernel, &layout)?;
        let cluster = self.options.named_cluster(kernel).unwrap_or([1; 3]);
        let program = Program::decode(module, kernel, &layout, cluster != [1; 3]).map_err(|why| size(&why))?;
        let wide = wide.then(|| Wide::new(&program));
        let index = if self.options.wraps { IndexSteps::new(&program) } else { IndexSteps::default() };
        let homes = homes(module, kernel, self.module.info(number), &program, &layout);
        Ok(Context {
            module,
            kernel,
            program,
            index,
            homes,
            params: Bytes::new(params),
            consts: Bytes::new(layout.consts(module)),
            layout,
            memory,
            grid: self.grid,
            block: self.block,
            cluster,
            dynamic_shared: self.dynamic_shared,
            options: self.options,
            device: Device::default(),
            gate: Gate::default(),
            wide,
        })
    }

    fn params(&self, kernel: &Kernel, layout: &Layout) -> Result<Vec<u8>, LaunchError> {
        let name = || kernel.name.clone();
        if self.args.len() != kernel.params.len() {
            let (expected, got) = (kernel.params.len(), self.args.len());
            return Err(LaunchError::ArgCount { kernel: name(), expected, got });
        }
        let mut bytes = vec![0; layout.param_bytes as usize];
        for (index, ((arg, param), &at)) in self.args.iter().zip(&kernel.params).zip(&layout.params).enumerate() {
            let expected = u64::from(param.ty.bytes()) * u64::from(param.len.unwrap_or(1));
            let got = arg.0.len() as u64;
            if got != expected {
                let param = param.name.clone();
                return Err(LaunchError::ArgSize { kernel: name(), index, param, expected, got });
            }
            bytes[at as usize..][..arg.0.len()].copy_from_slice(&arg.0);
        }
        Ok(bytes)
    }
}

/// Checks a grid and a block against a GPU's limits and the kernel's launch bounds.
///
/// # Errors
/// If one of them is invalid or violates a launch bound; the error says which.
pub fn check_shapes(kernel: &Kernel, grid: [u32; 3], block: [u32; 3]) -> Result<(), LaunchError> {
    let wrong = |what, shape, why: String| Err(LaunchError::Shape { kernel: kernel.name.clone(), what, shape, why });
    let [gx, gy, gz] = grid;
    if gx == 0 || gy == 0 || gz == 0 || gx > i32::MAX as u32 || gy > 65535 || gz > 65535 {
        return wrong("grid", grid, "a grid has 1 to 2147483647, 65535, 65535 blocks".to_owned());
    }
    let [x, y, z] = block;
    let threads = block.iter().map(|&n| u64::from(n)).product::<u64>();
    if threads == 0 || threads > 1024 || x > 1024 || y > 1024 || z > 64 {
        return wrong("block", block, "a block has 1 to 1024 threads, at most 64 in z".to_owned());
    }
    if let Some(required) = kernel.bounds.required.filter(|&r| r != block) {
        return wrong("block", block, format!("the kernel requires {required:?} (.reqntid)"));
    }
    if let Some(most) = kernel.bounds.max_threads {
        let limit = most.iter().map(|&n| u64::from(n)).product::<u64>();
        if threads > limit {
            return wrong("block", block, format!("the kernel takes at most {limit} threads (.maxntid)"));
        }
    }
    if let Some(cluster) = kernel.bounds.cluster
        && grid.iter().zip(cluster).any(|(&g, c)| c == 0 || g % c != 0)
    {
        return wrong("grid", grid, format!("the kernel requires a multiple of its cluster {cluster:?}"));
    }
    Ok(())
}

/// The most blocks that a cluster has, where the kernel is allowed more than the portable 8.
const MOST_OF_CLUSTER: u64 = 16;

/// Checks the cluster that a launch names against the kernel's bounds.
fn check_cluster(module: &Module, kernel: &Kernel, grid: [u32; 3], options: &Options) -> Result<(), LaunchError> {
    let (launched, declared) = (options.cluster, kernel.bounds.cluster);
    let shape = options.named_cluster(kernel).unwrap_or([1; 3]);
    let wrong = |why: String| Err(LaunchError::Shape { kernel: kernel.name.clone(), what: "cluster", shape, why });
    if let (Some(_), Some(required)) = (launched.filter(|l| Some(*l) != declared), declared) {
        return wrong(format!("the kernel requires {required:?} (.reqnctapercluster)"));
    }
    if launched.is_none() && declared.is_none() && kernel.bounds.explicit_cluster {
        return wrong("the kernel requires that its launch names a cluster (.explicitcluster)".to_owned());
    }
    let blocks = shape.iter().map(|&n| u64::from(n)).fold(1, u64::saturating_mul);
    let most = kernel.bounds.max_cluster_rank.map_or(MOST_OF_CLUSTER, |most| u64::from(most).min(MOST_OF_CLUSTER));
    if blocks == 0 || blocks > most {
        return wrong(format!("a cluster of this kernel has 1 to {most} blocks"));
    }
    if blocks > 1 && module.target.sm() < 90 {
        return wrong(format!("clusters need sm_90 or later and the module is for {}", module.target));
    }
    if grid.iter().zip(shape).any(|(&g, c)| g % c != 0) {
        return wrong(format!("the grid {grid:?} is no multiple of it"));
    }
    Ok(())
}
