//! Precision: in which types a kernel computes what it stores, and where it rounds.
//!
//! The analysis follows every value that a kernel stores in its outputs back
//! through registers, shuffles and shared memory ([`facts`]), and holds what
//! it finds against [`Requirements`] ([`check`]). Addresses and conditions are
//! not numbers of the result and are not followed.
//!
//! What weights and activations are is told by the parameters' [`Role`]s: data
//! loaded through a weights pointer stays "weights" through shifts and masks;
//! an f16 taken from it unchanged is a scale; any other float made of it is a
//! decoded weight. An integer product of weights and activations is neither.
//!
//! Shared memory is followed by variable and element size: a load sees every
//! store of that size to the same variable.

mod components;
mod facts;
mod flow;
mod loaded;
mod memory;
mod order;
mod rules;
mod tags;
#[cfg(test)]
mod tags_told;
mod whole;

use std::fmt;

use super::InstId;
use crate::ir::Loc;
use crate::types::ScalarType;
use crate::verify::Validated;

/// What a parameter is to the numerics.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// A pointer to quantized weights.
    Weights,
    /// A pointer to activations, in the format that [`Requirements`] names.
    Activations,
    /// A pointer to f64 values that something is chosen by, such as a router's logits. What is
    /// computed of them alone is in f64, whatever the accumulator.
    Logits,
    /// A pointer to results.
    Output,
    /// A pointer to results that are added to what is there: where an element is read and then
    /// written at one address, no other thread writes it, and it is not updated twice.
    InPlace,
    /// A pointer to results that are rounded to 16 bits as they are stored, such as a cache.
    HalfOutput,
    /// Anything else: sizes, indices, other inputs.
    Other,
}

/// The type of sums.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Accumulator {
    /// `acc = f32`.
    F32,
    /// `acc = f64`.
    F64,
}

/// How activations meet weights.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ActivationFormat {
    /// `act = f32`: as floats.
    F32,
    /// `act = q8k`: as 8-bit integers, in integer products.
    Q8K,
}

/// A policy, as what the emitted code must satisfy.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Requirements {
    /// The type of sums; none where the kernel has no such choice.
    pub accumulator: Option<Accumulator>,
    /// The type of what weights take part in, where it is not that: a router's products.
    pub of_weights: Option<Accumulator>,
    /// How activations meet weights; none where the kernel has no such choice.
    pub activations: Option<ActivationFormat>,
    /// Whether `math = approx` was asked for by name. Approximate instructions
    /// exist in f32 only: they themselves may then be f32 under f64, and
    /// rounding their arguments is no stage. What is computed around them is
    /// held to the accumulator.
    pub allow_approximate: bool,
    /// Under [`Accumulator::F64`]: how many times a value is rounded to f32 on
    /// the longest way to an output, which is the number of the kernel's
    /// stages (1 for a matrix product). `None` where that is not known: one is assumed, which the
    /// result ends with, or none.
    pub stages: Option<u32>,
    /// The same for single outputs, by parameter index, where it is another number.
    pub stages_of: Vec<Option<u32>>,
    /// Roles by parameter index; parameters beyond it are [`Role::Other`].
    /// Where no parameter is an output, every store to global memory is.
    pub roles: Vec<Role>,
}

/// How a sum gets its terms.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Reduction {
    /// One after the other in a loop.
    Loop,
    /// From other lanes, by shuffles.
    Lanes,
    /// From other warps, through shared memory.
    Shared,
    /// None of these: a sum of what is at hand.
    Straight,
}

/// A float addition (or fused multiply-add) on the way to an output.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub struct FloatSum {
    /// The instruction.
    pub inst: InstId,
    /// The type it rounds to.
    pub ty: ScalarType,
    /// Where its terms come from.
    pub reduction: Reduction,
}

/// What a kernel does to the numbers it stores. Instructions in writing order.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Facts {
    /// Stores to outputs.
    pub outputs: Vec<InstId>,
    /// Float sums on the way to an output.
    pub accumulations: Vec<FloatSum>,
    /// Other float arithmetic (products, quotients, roots) on the way to an output, with its type.
    pub arithmetic: Vec<(InstId, ScalarType)>,
    /// Conversions that narrow f64 to f32 on the way to an output.
    pub narrowings: Vec<InstId>,
    /// Of these, those that a loop feeds back into itself.
    pub looped_narrowings: Vec<InstId>,
    /// The most narrowings on one way to an output, without those of the
    /// arguments of approximate instructions.
    pub stages: u32,
    /// The same for each output.
    pub rounded: Vec<(InstId, u32)>,
    /// The most narrowings on one way to an output after which it goes on in f64.
    pub resumed: u32,
    /// Instructions that compute of [`Role::Logits`] and nothing else that is loaded.
    pub choosing: Vec<InstId>,
    /// Instructions that weights take part in.
    pub weighted: Vec<InstId>,
    /// Integer products of weights and activations.
    pub integer_products: Vec<InstId>,
    /// Float products with a decoded weight or a dequantized activation as a factor.
    pub decoded_products: Vec<InstId>,
    /// Conversions of activations to integers.
    pub quantizations: Vec<InstId>,
    /// Products and quotients that lead to them, back to the last rounding to f32, and quotients
    /// of these: the scales. Sums are not among them.
    pub quantizing: Vec<InstId>,
    /// Approximate instructions, anywhere in the kernel.
    pub approximate: Vec<InstId>,
    /// Float arithmetic with no rounding written, anywhere in the kernel.
    pub unwritten_roundings: Vec<InstId>,
    /// Instructions that flush subnormals (`.ftz`), anywhere in the kernel.
    pub flushing: Vec<InstId>,
    /// Float additions in memory, whose order nobody controls, anywhere in the kernel.
    pub float_atomics: Vec<InstId>,
    /// Loads on the way to an output, of global memory that the kernel has written itself, perhaps in
    /// another block.
    pub read_back: Vec<InstId>,
    /// Float matrix instructions, whose inner order and rounding PTX leaves open.
    pub float_matrices: Vec<InstId>,
}

macro_rules! policy_rules {
    ($($(#[doc = $doc:literal])+ $name:ident = $id:literal),* $(,)?) => {
        /// What a policy forbids.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        #[non_exhaustive]
        pub enum PolicyRule { $($(#[doc = $doc])+ $name),* }

        impl PolicyRule {
            /// Every rule.
            pub const ALL: &[PolicyRule] = &[$(PolicyRule::$name),*];

            /// The rule's short name.
            pub const fn id(self) -> &'static str {
                match self { $(Self::$name => $id),* }
            }
        }
    };
}

policy_rules! {
    /// Nothing is stored to an output.
    NoOutput = "no-output",
    /// acc = f64, or a choice: arithmetic in f32 (or less) on the way to an output.
    NarrowArithmetic = "narrow-arithmetic",
    /// acc = f64: a rounding to f32 inside a loop that feeds back into itself.
    RoundingInLoop = "rounding-in-loop",
    /// acc = f64: more or fewer roundings to f32 than the kernel has stages.
    RoundingCount = "rounding-count",
    /// acc = f64: a rounding to f32 that is not to nearest even.
    RoundingMode = "rounding-mode",
    /// acc = f32: arithmetic in f64 on the way to an output.
    WideArithmetic = "wide-arithmetic",
    /// act = q8k: a float product of decoded weights or activations.
    DecodedProduct = "decoded-product",
    /// act = q8k: no integer product of weights and activations.
    NoIntegerProduct = "no-integer-product",
    /// act = f32: an integer product of weights and activations.
    IntegerProduct = "integer-product",
    /// act = f32: activations are converted to integers.
    Quantization = "quantization",
    /// math = exact: an approximate instruction.
    Approximate = "approximate",
    /// A float instruction with no rounding written, which the assembler may contract.
    UnwrittenRounding = "unwritten-rounding",
    /// An instruction that loses bits of a computed float on the way to an output, or that takes one
    /// and is not known to keep it whole.
    LostBits = "lost-bits",
    /// An instruction that flushes subnormals.
    Flush = "flush",
    /// A float addition in memory, in no fixed order.
    FloatAtomic = "float-atomic",
    /// A float matrix instruction, whose order of sums PTX leaves open.
    FloatMatrix = "float-matrix",
}

impl fmt::Display for PolicyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// An instruction that breaks a policy.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct PolicyViolation {
    /// The rule.
    pub rule: PolicyRule,
    /// The kernel.
    pub kernel: String,
    /// The instruction; none where something is missing from the kernel.
    pub inst: Option<InstId>,
    /// The instruction as PTX.
    pub instruction: Option<String>,
    /// The author's line.
    pub loc: Option<Loc>,
    /// What is wrong, and what the policy wants.
    pub message: String,
}

impl fmt::Display for PolicyViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(loc) = &self.loc {
            write!(f, "{loc}: ")?;
        }
        write!(f, "{}", self.message)?;
        if let Some(inst) = &self.instruction {
            write!(f, "\n  in `{inst}`")?;
        }
        write!(f, "\n  in kernel '{}' [{}]", self.kernel, self.rule)
    }
}

impl std::error::Error for PolicyViolation {}

/// What a module's kernel does to the numbers it stores; `kernel` is its place in the module.
///
/// # Panics
/// If the module has no such kernel.
pub fn facts(module: &Validated, kernel: usize, roles: &[Role]) -> Facts {
    flow::Flow::new(module.module(), &module.module().kernels[kernel], module.info(kernel), roles).facts()
}

/// Holds a module's kernel against a policy; `kernel` is its place in the module.
///
/// # Errors
/// Every violation: the rule, the instruction and the author's line.
///
/// # Panics
/// If the module has no such kernel.
pub fn check(module: &Validated, kernel: usize, requirements: &Requirements) -> Result<Facts, Vec<PolicyViolation>> {
    let (info, module) = (module.info(kernel), module.module());
    let flow = flow::Flow::new(module, &module.kernels[kernel], info, &requirements.roles);
    let facts = flow.facts();
    let losses = whole::losses(&flow, requirements);
    let violations = rules::violations(module, &module.kernels[kernel], info, requirements, &facts, &losses);
    if violations.is_empty() { Ok(facts) } else { Err(violations) }
}
