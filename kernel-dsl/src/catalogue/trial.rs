//! A trial run of a catalogue kernel in the interpreter, for its counters.

use ptxgen_builder::interp::{
    Arg, Buffer, BufferErrors, Launch, LaunchError, Measured, Memory, MemoryError, Options, Report,
};
use ptxgen_builder::opt::OptOptions;
use ptxgen_builder::verify::{Validated, VerifyErrors};

use super::{Access, Built, ParamSpec};

/// A trial that did not run.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrialError {
    /// The kernel does not verify.
    #[error("the kernel does not verify")]
    Verify(#[from] VerifyErrors),
    /// Its buffers do not fit.
    #[error("the interpreter has no room for the kernel's buffers")]
    Memory(#[from] MemoryError),
    /// It did not start.
    #[error("the interpreter did not start the kernel")]
    Launch(#[from] LaunchError),
    /// It ran, and something was wrong.
    #[error("the interpreter found this:\n{0}")]
    Findings(Box<Report>),
}

/// Buffers start where CUDA allocations do.
const ALIGNMENT: u64 = 256;

/// What a trial gave.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Trial {
    /// The bytes of what the kernel writes, in parameter order.
    pub outputs: Vec<Vec<u8>>,
    /// Findings and counters.
    pub report: Report,
}

/// What a trial with shadow precision gave.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Measurement {
    /// What the kernel wrote, findings and counters.
    pub trial: Trial,
    /// The errors of what it wrote, in parameter order.
    pub outputs: Vec<MeasuredOutput>,
    /// All inexact elements, and what was rounded to integers.
    pub measured: Measured,
}

/// The errors of a buffer that a kernel wrote.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MeasuredOutput {
    /// The parameter.
    pub param: ParamSpec,
    /// Its buffer in the trial.
    pub buffer: Buffer,
    /// Its errors.
    pub errors: BufferErrors,
}

impl Built {
    /// Verifies the kernel for its target, as it was written: without optimizing.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn verify(&self) -> Result<Validated, VerifyErrors> {
        self.finish_with(&OptOptions::NONE)
    }

    /// Runs `module`, this kernel verified (and perhaps optimized), on inputs
    /// with one buffer a parameter; what is only written starts uninitialized.
    ///
    /// # Errors
    /// If it does not start. What goes wrong while it runs is in the report.
    pub fn try_out(&self, module: &Validated, inputs: &[Vec<u8>], options: &Options) -> Result<Trial, TrialError> {
        self.go(module, inputs, options, |launch, memory| Ok((launch.run(memory)?, ()))).map(|(trial, ..)| trial)
    }

    /// As [`try_out`](Self::try_out), with shadow precision: also gives how far what the kernel wrote is from what it would be
    /// without rounding. The inputs are taken as exact.
    ///
    /// # Errors
    /// If it does not start. What goes wrong while it runs is in the report.
    pub fn measure(
        &self,
        module: &Validated,
        inputs: &[Vec<u8>],
        options: &Options,
    ) -> Result<Measurement, TrialError> {
        let (trial, measured, buffers) = self.go(module, inputs, options, |launch, memory| launch.measure(memory))?;
        let written = self.params.iter().zip(&buffers).filter(|(p, _)| p.access.writes());
        let outputs =
            written.map(|(param, &buffer)| MeasuredOutput { param: *param, buffer, errors: measured.of(buffer) });
        Ok(Measurement { trial, outputs: outputs.collect(), measured })
    }

    fn go<T>(
        &self,
        module: &Validated,
        inputs: &[Vec<u8>],
        options: &Options,
        run: impl FnOnce(&Launch<'_>, &mut Memory) -> Result<(Report, T), LaunchError>,
    ) -> Result<(Trial, T, Vec<Buffer>), TrialError> {
        let mut memory = Memory::new();
        let mut buffers = Vec::with_capacity(inputs.len());
        for (param, bytes) in self.params.iter().zip(inputs) {
            buffers.push(match param.access {
                Access::Out => memory.alloc_uninit(param.bytes, ALIGNMENT)?,
                Access::In | Access::InOut => memory.alloc(bytes, ALIGNMENT)?,
            });
        }
        let args: Vec<Arg> = buffers.iter().map(|&b| Arg::from(b)).collect();
        let (report, more) = run(&self.in_interpreter(module, &args, options), &mut memory)?;
        let outputs = self.params.iter().zip(&buffers).filter(|(p, _)| p.access.writes());
        let outputs = outputs.map(|(_, &b)| memory.read(b)).collect::<Result<_, _>>()?;
        Ok((Trial { outputs, report }, more, buffers))
    }
}
