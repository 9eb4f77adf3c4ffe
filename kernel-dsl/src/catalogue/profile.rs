//! The cost of a kernel, from its text and from a trial in the interpreter.

use std::collections::BTreeMap;

use ptxgen_builder::analysis::{InstClass, InstCounts, Pressure};
use ptxgen_builder::interp::{Counts, Options};
use ptxgen_builder::opt::{OptOptions, finish};
use ptxgen_builder::verify::{Validated, VerifyErrors};

use super::{Built, TrialError};

/// The cost of a kernel.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Profile {
    /// Instructions in the text; loops count once.
    pub written: InstCounts,
    /// Maximum number of live registers.
    pub pressure: Pressure,
    /// Weights that the trial multiplied (elements, for elementwise kernels).
    pub weights: u64,
    /// Executed instructions, by class.
    pub by_class: BTreeMap<InstClass, Counts>,
    /// The whole trial.
    pub executed: Counts,
}

impl Profile {
    /// A count per weight.
    pub fn per_weight(&self, count: u64) -> f64 {
        count as f64 / self.weights as f64
    }

    /// Executed lane-instructions per weight.
    pub fn instructions_per_weight(&self) -> f64 {
        self.per_weight(self.executed.lanes)
    }

    /// The used share of the bytes in the loaded global sectors, 0 to 1; 1 if nothing was loaded.
    pub fn sectors_used(&self) -> f64 {
        match self.executed.sectors {
            0 => 1.0,
            sectors => self.executed.sector_bytes as f64 / (32 * sectors) as f64,
        }
    }
}

impl Built {
    /// The kernel as the tools print and run it: optimized, verified.
    ///
    /// # Errors
    /// All errors.
    pub fn finish(&self) -> Result<Validated, VerifyErrors> {
        self.finish_with(&OptOptions::ALL)
    }

    /// The kernel with these optimization passes, verified.
    ///
    /// # Errors
    /// All errors.
    pub fn finish_with(&self, passes: &OptOptions) -> Result<Validated, VerifyErrors> {
        finish(self.kernel().module(self.target()), passes)
    }

    /// The cost of `module`, this kernel finished, on its sample inputs.
    ///
    /// # Errors
    /// If it does not run, or the interpreter finds a fault, race or
    /// uninitialized read.
    ///
    /// # Panics
    /// If the module has no kernel.
    pub fn profile(&self, module: &Validated) -> Result<Profile, TrialError> {
        let options = Options { count: true, ..Options::default() };
        let report = self.try_out(module, &self.sample_inputs(1), &options)?.report;
        if !report.is_clean() {
            return Err(TrialError::Findings(Box::new(report)));
        }
        let mut by_class: BTreeMap<InstClass, Counts> = BTreeMap::new();
        for site in &report.counters.sites {
            if site.counts.warps > 0 {
                *by_class.entry(InstClass::of(site.form.get())).or_default() += site.counts;
            }
        }
        Ok(Profile {
            written: InstCounts::new(&module.module().kernels[0]),
            pressure: module.pressure(0),
            weights: self.weights,
            by_class,
            executed: report.counters.total,
        })
    }
}
