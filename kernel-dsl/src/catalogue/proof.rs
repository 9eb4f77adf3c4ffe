//! Proofs that a generated kernel follows its policy.

use ptxgen_builder::analysis::precision::{Facts, PolicyViolation, Requirements, Role, check};
use ptxgen_builder::verify::Validated;

use super::{Access, Built, Contents, ParamSpec};
use crate::precision::{Act, Math, Policy};
use crate::proof;

impl ParamSpec {
    /// The parameter's role in the precision analysis.
    pub(crate) fn in_flow(&self) -> Role {
        match self.contents {
            // By the contract, its quantization is in f32 for every accumulator. Its input is proved in the same
            // kernel's f32 output.
            Contents::Activations(Act::Q8K) if self.access.writes() => Role::Other,
            Contents::F16 if self.access.writes() => Role::HalfOutput,
            Contents::F32 | Contents::Activations(Act::F32) if self.access == Access::InOut => Role::InPlace,
            _ if self.access.writes() => Role::Output,
            Contents::Weights(_) => proof::WEIGHTS,
            Contents::Activations(_) => proof::ACTIVATIONS,
            Contents::Logits => proof::LOGITS,
            Contents::F32 | Contents::F16 | Contents::F64 | Contents::Words(_) => Role::Other,
        }
    }

    /// How often its values are rounded to f32, if that differs from the kernel's stages.
    fn in_stages(&self) -> Option<u32> {
        match self.contents {
            _ if !self.access.writes() => None,
            // The choice is made by values in f64.
            Contents::Words(_) => Some(0),
            Contents::F32 | Contents::F16 | Contents::F64 => self.rounded,
            Contents::Logits | Contents::Activations(_) | Contents::Weights(_) => self.rounded,
        }
    }
}

impl Built {
    /// A policy's requirements on the generated code. Choices that the kernel does not have require nothing, except
    /// that math is exact unless `policy` says otherwise.
    pub fn requirements(&self, policy: Policy) -> Requirements {
        let (accumulator, with_weights) = match (self.entry.accs.is_empty(), self.entry.sums) {
            (true, sums) => (sums, None),
            (false, sums) => (Some(policy.acc), sums),
        };
        Requirements {
            accumulator: accumulator.map(Into::into),
            own_types: [proof::CHOICE].into_iter().chain(with_weights.map(proof::products_in)).collect(),
            factors: proof::FACTORS,
            products: (!self.entry.acts.is_empty()).then_some(proof::products(policy.act)),
            allow_approximate: policy.math == Math::Approx,
            stages: Some(self.entry.stages),
            stages_of: self.params.iter().map(ParamSpec::in_stages).collect(),
            roles: self.params.iter().map(|p| p.in_flow()).collect(),
        }
    }

    /// Checks `module`, this kernel verified (and perhaps optimized or changed), against a policy: its own is
    /// [`Built::policy`].
    ///
    /// # Errors
    /// Every violation: the rule, the instruction and the line in the source.
    ///
    /// # Panics
    /// If the module has no kernel.
    pub fn prove(&self, module: &Validated, policy: Policy) -> Result<Facts, Vec<PolicyViolation>> {
        check(module, 0, &self.requirements(policy))
    }
}
