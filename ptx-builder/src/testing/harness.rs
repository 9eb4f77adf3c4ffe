//! Runs in the interpreter, with inputs by name.

use super::bind::{BindError, Given, Value, bind};
use super::element::{self, Element};
use super::outcome::{HarnessError, Outcome, Written};
use super::shadow::Shadow;
use super::subject::{Subject, find_kernel, short_name};
use crate::build::{ArgInfo, Dim3};
use crate::interp::{Arg, Launch, LaunchError, Memory, Options, Report};
use crate::verify::{Validated, VerifyErrors};

/// Alignment of buffers, as in CUDA.
const ALIGNMENT: u64 = 256;

/// A launch in the interpreter, with inputs by name.
///
/// Names and types are checked against the kernel's parameters when it runs. Prefer passing a kernel: a verified module
/// does not contain the types of its buffers' elements, or whether it writes them. Slices of `u8` are bytes, which
/// match buffers of any type.
#[derive(Clone, Debug)]
#[must_use = "nothing runs before `run`"]
pub struct Harness {
    module: Result<Validated, VerifyErrors>,
    args: Option<Vec<ArgInfo>>,
    kernel: Option<String>,
    given: Vec<Given>,
    grid: [u32; 3],
    block: Option<[u32; 3]>,
    dynamic_shared: u32,
    options: Options,
    allow_findings: bool,
}

impl Harness {
    /// A launch of one block of a kernel, or of a module's only kernel.
    pub fn new(subject: &impl Subject) -> Harness {
        Harness {
            module: subject.validated().map(std::borrow::Cow::into_owned),
            args: subject.args().map(<[ArgInfo]>::to_vec),
            kernel: None,
            given: Vec::new(),
            grid: [1; 3],
            block: None,
            dynamic_shared: 0,
            options: Options { count: true, wraps: true, ..Options::default() },
            allow_findings: false,
        }
    }

    /// Which kernel of the module to run.
    pub fn kernel(mut self, name: &str) -> Self {
        self.kernel = Some(name.to_owned());
        self
    }

    /// A buffer that the kernel reads.
    pub fn input<T: Element>(self, name: &str, values: &[T]) -> Self {
        self.with(Given::buffer::<T>(name, Value::In(element::to_bytes(values))))
    }

    /// A buffer of `len` elements that the kernel writes. They are initially uninitialized, and reading one before it
    /// is written is a finding.
    pub fn output<T: Element>(self, name: &str, len: usize) -> Self {
        self.with(Given::buffer::<T>(name, Value::Out((len as u64).saturating_mul(u64::from(T::TY.bytes())))))
    }

    /// A buffer that the kernel reads and writes, or writes a part of.
    pub fn inout<T: Element>(self, name: &str, values: &[T]) -> Self {
        self.with(Given::buffer::<T>(name, Value::InOut(element::to_bytes(values))))
    }

    /// A number.
    pub fn scalar<T: Element>(self, name: &str, value: T) -> Self {
        self.with(Given::scalar(name, value))
    }

    fn with(mut self, given: Given) -> Self {
        self.given.push(given);
        self
    }

    /// Number of blocks in the grid; the default is one.
    pub fn grid(mut self, grid: impl Into<Dim3>) -> Self {
        self.grid = grid.into().0;
        self
    }

    /// Threads per block; the default is the kernel's block size.
    pub fn block(mut self, block: impl Into<Dim3>) -> Self {
        self.block = Some(block.into().0);
        self
    }

    /// Blocks per cluster, if the kernel does not say so itself; call it after [`options`](Self::options).
    pub fn cluster(mut self, cluster: impl Into<Dim3>) -> Self {
        self.options.cluster = Some(cluster.into().0);
        self
    }

    /// Bytes of dynamic shared memory; the default is none.
    pub fn dynamic_shared(mut self, bytes: u32) -> Self {
        self.dynamic_shared = bytes;
        self
    }

    /// Options of the interpreter: the order of warps, and checks. Counters, and the check for indices that wrap, are
    /// always on.
    pub fn options(mut self, options: Options) -> Self {
        self.options = Options { count: true, wraps: true, ..options };
        self
    }

    /// Returns the findings in [`Outcome::report`] instead of failing.
    pub fn allow_findings(mut self) -> Self {
        self.allow_findings = true;
        self
    }

    /// Runs the kernel.
    ///
    /// # Errors
    /// If a name, a type or a shape does not match the kernel, or the interpreter finds an error: a race, a read of
    /// uninitialized memory, an access out of bounds, a barrier that part of the block does not reach.
    pub fn run(&self) -> Result<Outcome, HarnessError> {
        self.go(|launch, memory| Ok((launch.run(memory)?, ()))).map(|(outcome, ())| outcome)
    }

    /// Runs the kernel with shadow precision: computes for each float what it would be without rounding. Returns the
    /// errors of each output, and the lines that introduced and amplified them.
    ///
    /// Inputs count as exact, comparisons and branches are as in the run, and an infinity or a NaN has no shadow. The
    /// results have the bits of [`run`](Self::run).
    ///
    /// ```
    /// use ptxgen_builder::build::{In, Kernel, Out, kernel};
    /// use ptxgen_builder::testing::Harness;
    ///
    /// /// y = (x + 1) - 1
    /// fn there_and_back() -> Kernel<(In<f32>, Out<f32>)> {
    ///     kernel::<(In<f32>, Out<f32>)>("there_and_back", ["x", "y"], |k, (x, y)| {
    ///         let larger = x.load(k) + 1.0;
    ///         y.store(k, larger - 1.0);
    ///     })
    /// }
    /// let shadow = Harness::new(&there_and_back()).input("x", &[1e-6f32]).output::<f32>("y", 1).block(1).shadow()?;
    /// let y = shadow.output("y")?;
    /// assert!(y.errors.relative.as_ref().unwrap().size > 0.04);
    /// assert!(y.errors.introduced[0].site.text.starts_with("add.rn.f32"));
    /// assert!(y.errors.amplified[0].site.text.starts_with("sub.rn.f32"));
    /// # Ok::<(), ptxgen_builder::testing::HarnessError>(())
    /// ```
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn shadow(&self) -> Result<Shadow, HarnessError> {
        let (outcome, measured) = self.go(|launch, memory| launch.measure(memory))?;
        Ok(Shadow::new(outcome, measured))
    }

    /// Runs the kernel in either way.
    fn go<T>(
        &self,
        run: impl FnOnce(&Launch<'_>, &mut Memory) -> Result<(Report, T), LaunchError>,
    ) -> Result<(Outcome, T), HarnessError> {
        let module = self.module.as_ref().map_err(|e| HarnessError::Verify(e.clone()))?;
        let index = find_kernel(module, self.kernel.as_deref())
            .map_err(|known| BindError::Kernel { name: self.kernel.clone(), known })?;
        let kernel = &module.module().kernels[index];
        let bound = bind(kernel, self.args.as_deref(), &self.given)?;
        let block = self.block.or(kernel.bounds.required).ok_or(HarnessError::NoBlock)?;

        let mut memory = Memory::new();
        let (mut args, mut results) = (Vec::with_capacity(bound.len()), Vec::new());
        for (given, param) in bound.into_iter().zip(&kernel.params) {
            let buffer = match &given.value {
                Value::Scalar(bytes) => {
                    args.push(Arg::bytes(bytes));
                    continue;
                }
                Value::In(bytes) | Value::InOut(bytes) => memory.alloc(bytes, ALIGNMENT)?,
                Value::Out(len) => memory.alloc_uninit(*len, ALIGNMENT)?,
            };
            args.push(Arg::from(buffer));
            if !matches!(given.value, Value::In(_)) {
                results.push(Written { name: short_name(kernel, param).to_owned(), ty: given.ty, buffer });
            }
        }
        let launch = Launch {
            module,
            kernel: &kernel.name,
            grid: self.grid,
            block,
            dynamic_shared: self.dynamic_shared,
            args: &args,
            globals: None,
            options: &self.options,
        };
        let (report, more) = run(&launch, &mut memory)?;
        if !report.is_clean() && !self.allow_findings {
            return Err(HarnessError::Findings(Box::new(report)));
        }
        Ok((Outcome { memory, results, report }, more))
    }
}

#[cfg(test)]
mod tests;
