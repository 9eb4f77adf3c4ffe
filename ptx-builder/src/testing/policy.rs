//! Proofs of precision for a user's kernels.

use std::fmt;

use thiserror::Error;

use super::bind::{BindError, unknown};
use super::subject::{Subject, find_kernel, short_name};
use crate::analysis::precision::{
    Accumulator, Factors, Facts, OwnType, PolicyViolation, Products, Requirements, Role, check,
};
use crate::ir::Kernel;
use crate::print::{PrintOptions, lines};
use crate::verify::{Validated, VerifyErrors};

/// An instruction that breaks the policy, with its line in the PTX.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Violation {
    /// The rule, the instruction, the line in the source and the remedy.
    pub violation: PolicyViolation,
    /// The instruction's line, from 1, in the output of [`ptx`](super::ptx); `None` if something is missing in the
    /// kernel.
    pub ptx_line: Option<u32>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.violation)?;
        self.ptx_line.map_or(Ok(()), |line| write!(f, ", line {line} of its PTX"))
    }
}

/// Reasons why a policy is not proved.
#[derive(Clone, PartialEq, Debug, Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The kernel does not verify.
    #[error("the kernel does not verify:\n{0}")]
    Verify(VerifyErrors),
    /// A kernel or a parameter that does not exist.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The kernel violates the policy.
    #[error("the policy does not hold:{}", .0.iter().map(|v| format!("\n{v}")).collect::<String>())]
    Broken(Vec<Violation>),
}

/// A policy to prove on a kernel's generated code.
///
/// Always proved: every rounding is explicit, nothing flushes subnormals, no atomic or matrix instruction adds floats
/// (their order is unspecified), nothing is approximate unless [`approximate`](Self::approximate) allows it. The
/// methods request the rest. [`assert_policy!`](crate::assert_policy) generates the calls.
#[derive(Debug)]
#[must_use = "nothing is proved before `check` or `assert`"]
pub struct Proof {
    module: Result<Validated, VerifyErrors>,
    kernel: Option<String>,
    roles: Vec<(String, Role)>,
    wanted: Requirements,
}

impl Proof {
    /// A proof about a kernel, or the only kernel of a module.
    pub fn of(subject: &impl Subject) -> Proof {
        let module = subject.validated().map(std::borrow::Cow::into_owned);
        Proof { module, kernel: None, roles: Vec::new(), wanted: Requirements::default() }
    }

    /// Which kernel of the module it is about.
    pub fn kernel(mut self, name: &str) -> Self {
        self.kernel = Some(name.to_owned());
        self
    }

    /// The type of all arithmetic on the path to an output. Under [`Accumulator::F64`] no loop may round its sum to
    /// f32.
    pub fn acc(mut self, acc: Accumulator) -> Self {
        self.wanted.accumulator = Some(acc);
        self
    }

    /// What the kernel multiplies; say which parameters point to it with
    /// [`role`](Self::role).
    pub fn factors(mut self, factors: Factors) -> Self {
        self.wanted.factors = factors;
        self
    }

    /// How its [`factors`](Self::factors) meet.
    pub fn products(mut self, products: Products) -> Self {
        self.wanted.products = Some(products);
        self
    }

    /// A type of what is computed of some inputs, where it is not the
    /// accumulator's; of several, the first that fits applies.
    pub fn own_type(mut self, own: OwnType) -> Self {
        self.wanted.own_types.push(own);
        self
    }

    /// Whether approximate instructions are allowed.
    pub fn approximate(mut self, allowed: bool) -> Self {
        self.wanted.allow_approximate = allowed;
        self
    }

    /// Under [`Accumulator::F64`]: how often a value is rounded to f32 on its path to an output.
    pub fn stages(mut self, stages: u32) -> Self {
        self.wanted.stages = Some(stages);
        self
    }

    /// A parameter that points to results. Where none is named, every store to
    /// global memory is a result.
    pub fn output(self, parameter: &str) -> Self {
        self.role(parameter, Role::Output)
    }

    /// What a parameter is to the numerics.
    pub fn role(mut self, parameter: &str, role: Role) -> Self {
        self.roles.push((parameter.to_owned(), role));
        self
    }

    /// Proves it; returns what the kernel does to the numbers that it stores.
    ///
    /// # Errors
    /// Every instruction that violates the policy, with its lines in the PTX and in the Rust source. Also if the kernel
    /// does not verify, or has no parameter with a given name.
    pub fn check(self) -> Result<Facts, PolicyError> {
        let module = self.module.map_err(PolicyError::Verify)?;
        let index = find_kernel(&module, self.kernel.as_deref())
            .map_err(|known| BindError::Kernel { name: self.kernel, known })?;
        let kernel = &module.module().kernels[index];
        let wanted = Requirements { roles: roles(kernel, &self.roles)?, ..self.wanted };
        check(&module, index, &wanted).map_err(|violations| {
            let lines = &lines(&module, &PrintOptions::default())[index];
            let with_line = |violation: PolicyViolation| {
                let ptx_line = violation.inst.and_then(|inst| lines.get(inst.0 as usize).copied());
                Violation { violation, ptx_line }
            };
            PolicyError::Broken(violations.into_iter().map(with_line).collect())
        })
    }

    /// As [`check`](Self::check), for a test.
    ///
    /// # Panics
    /// With the error, if the policy is not proved.
    #[track_caller]
    pub fn assert(self) -> Facts {
        self.check().unwrap_or_else(|e| panic!("{e}"))
    }
}

/// Roles by parameter index.
fn roles(kernel: &Kernel, named: &[(String, Role)]) -> Result<Vec<Role>, BindError> {
    let mut roles = vec![Role::Other; kernel.params.len()];
    for (name, role) in named {
        let index = kernel.params.iter().position(|p| short_name(kernel, p) == name || p.name == *name);
        roles[index.ok_or_else(|| unknown(kernel, name))?] = *role;
    }
    Ok(roles)
}

/// Proves on a kernel's generated code that it computes in the types of a policy.
///
/// ```
/// use ptxgen_builder::build::{In, Kernel, Out, kernel};
/// use ptxgen_builder::testing::{Accumulator, assert_policy};
///
/// /// y[0] = the sum of 8 x, in f64
/// fn sum() -> Kernel<(In<f32>, Out<f32>)> {
///     kernel::<(In<f32>, Out<f32>)>("sum", ["x", "y"], |k, (x, y)| {
///         let sum = k.var(0.0f64);
///         k.for_(0u32, 8u32, 1u32, |k, i, _| sum.add(x.at(i).load(k).to::<f64>()));
///         y.store(k, sum.get().to_rn::<f32>());
///     })
/// }
/// let facts = assert_policy!(sum(), acc = Accumulator::F64, stages = 1, output = "y");
/// assert_eq!(facts.accumulations.len(), 1);
/// ```
///
/// The subject is a kernel or a verified module; the other arguments are methods of [`Proof`](crate::testing::Proof)
/// with their arguments. Panics with every instruction that violates the policy; returns the
/// [`Facts`](crate::analysis::precision::Facts) that were proved.
#[macro_export]
macro_rules! assert_policy {
    ($subject:expr $(, $method:ident = $value:expr)* $(,)?) => {
        $crate::testing::Proof::of(&$subject)$(.$method($value))*.assert()
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::{In, Out, kernel};
    use crate::testing::ptx;

    /// The sum of 8 x: in f64, or with one addition, or all of them, in f32.
    fn sum(narrow_tail: bool, narrow: bool) -> crate::build::Kernel<(In<f32>, Out<f32>)> {
        kernel::<(In<f32>, Out<f32>)>("sum", ["x", "y"], |k, (x, y)| {
            let wide = k.var(0.0f64);
            let slim = k.var(0.0f32);
            k.for_(0u32, 8u32, 1u32, |k, i, _| match narrow {
                true => slim.add(x.at(i).load(k)),
                false => wide.add(x.at(i).load(k).to::<f64>()),
            });
            let mut result = if narrow { slim.get() } else { wide.get().to_rn::<f32>() };
            if narrow_tail {
                result += x.load(k);
            }
            y.store(k, result);
        })
    }

    #[test]
    fn a_sound_kernel() {
        let facts = assert_policy!(sum(false, false), acc = Accumulator::F64, stages = 1, output = "y");
        assert_eq!(facts.stages, 1);
        assert_policy!(sum(false, true), acc = Accumulator::F32);
        assert_policy!(sum(false, false).verify(crate::target::Target::SM_75).unwrap());
    }

    #[test]
    fn a_planted_f32_sum_is_found_with_its_lines() {
        let planted = sum(true, false);
        let error = Proof::of(&planted).acc(Accumulator::F64).check().unwrap_err();
        let PolicyError::Broken(violations) = &error else { panic!("{error}") };
        let first = &violations[0];
        let text = ptx(&planted);
        let line = text.lines().nth(first.ptx_line.unwrap() as usize - 1).unwrap();
        assert!(line.trim_start().starts_with("add.rn.f32"), "{line}");
        let shown = error.to_string();
        assert!(shown.contains("policy.rs:") && shown.contains("in `add.rn.f32 "), "{shown}");
        assert!(shown.contains(&format!("line {} of its PTX", first.ptx_line.unwrap())), "{shown}");
        let narrow = Proof::of(&sum(false, true)).acc(Accumulator::F64).check();
        assert!(matches!(narrow, Err(PolicyError::Broken(_))));
    }

    #[test]
    fn a_parameter_that_is_not_there() {
        let error = Proof::of(&sum(false, false)).output("z").check().unwrap_err();
        assert_eq!(error.to_string(), "kernel `sum` has no parameter `z`; it has x, y");
        let error = Proof::of(&sum(false, false)).kernel("sun").check().unwrap_err();
        assert_eq!(error.to_string(), "the module has no kernel `sun`; it has sum");
    }

    #[test]
    #[should_panic(expected = "compute in f64")]
    fn the_assertion_fails() {
        assert_policy!(sum(false, true), acc = Accumulator::F64);
    }
}
