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
    /// There is not enough memory for its buffers.
    #[error("the interpreter has no room for the kernel's buffers")]
    Memory(#[from] MemoryError),
    /// It did not start.
    #[error("the interpreter did not start the kernel")]
    Launch(#[from] LaunchError),
    /// It ran, and the interpreter reported findings.
    #[error("the interpreter found this:\n{0}")]
    Findings(Box<Report>),
}

/// Alignment of buffers, as in CUDA.
const ALIGNMENT: u64 = 256;

/// The result of a trial.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Trial {
    /// The bytes of the buffers that the kernel writes, in parameter order.
    pub outputs: Vec<Vec<u8>>,
    /// Findings and counters.
    pub report: Report,
}

/// The result of a trial with shadow precision.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Measurement {
    /// What the kernel wrote, findings and counters.
    pub trial: Trial,
    /// The errors of its outputs, in parameter order.
    pub outputs: Vec<MeasuredOutput>,
    /// All inexact elements, and roundings to integers.
    pub measured: Measured,
}

/// The errors of an output buffer.
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
    /// Verifies the kernel for its target as written, without optimizing.
    ///
    /// # Errors
    /// All errors.
    pub fn verify(&self) -> Result<Validated, VerifyErrors> {
        self.finish_with(&OptOptions::NONE)
    }

    /// Runs `module`, this kernel verified (and perhaps optimized), on generated inputs with one buffer per parameter;
    /// buffers that are only written start uninitialized.
    ///
    /// # Errors
    /// If it does not start. The report has the errors of the run.
    pub fn try_out(&self, module: &Validated, inputs: &[Vec<u8>], options: &Options) -> Result<Trial, TrialError> {
        self.go(module, inputs, options, |launch, memory| Ok((launch.run(memory)?, ()))).map(|(trial, ..)| trial)
    }

    /// As [`try_out`](Self::try_out), with shadow precision: also returns how far the outputs are from exact arithmetic
    /// without rounding. The inputs count as exact.
    ///
    /// # Errors
    /// If it does not start. The report has the errors of the run.
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
