//! Precision: in which types a kernel computes what it stores, and where it rounds.
//!
//! The analysis follows every value that a kernel stores in its outputs back
//! through registers, shuffles and shared memory ([`facts`]), and compares the
//! result with [`Requirements`] ([`check`]). Addresses and conditions are
//! not part of the result and are not followed.
//!
//! What a kernel multiplies is told by its parameters' [`Role`]s and by the
//! policy's [`Factors`]: data loaded through a pointer to factors stays such
//! through shifts and masks; a float taken from it unchanged is a number as it
//! stands where the policy says so; any other float made of it is a decoded one.
//! An integer product of both kinds is neither. Which formats, names and types
//! these are is the business of whoever states the policy.
//!
//! Shared memory is followed by variable and element size: a load sees every
//! store of that size to the same variable.

mod components;
mod facts;
mod flow;
mod loaded;
mod memory;
mod order;
mod place;
mod policy;
mod rules;
mod tags;
#[cfg(test)]
mod tags_told;
mod whole;

use std::fmt;

pub use policy::{Factor, Factors, Input, Inputs, Meeting, OwnType, Products, Share};

use super::InstId;
use crate::ir::Loc;
use crate::types::ScalarType;
use crate::verify::Validated;

/// The role of a parameter in the numerics.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// A pointer to inputs of a kind that the policy distinguishes.
    Input(Input),
    /// A pointer to results.
    Output,
    /// A pointer to results that are added to the old values: if an element is read and then
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

impl Accumulator {
    /// The type itself.
    fn scalar(self) -> ScalarType {
        match self {
            Accumulator::F32 => ScalarType::F32,
            Accumulator::F64 => ScalarType::F64,
        }
    }
}

/// A policy, as requirements on the generated code.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Requirements {
    /// The type of sums; `None` if the kernel has no such choice.
    pub accumulator: Option<Accumulator>,
    /// Types of what is computed of some inputs, where it is not that; the first that fits applies.
    pub own_types: Vec<OwnType>,
    /// What the kernel multiplies.
    pub factors: Factors,
    /// How these meet; none where the kernel has no such choice.
    pub products: Option<Products>,
    /// Whether `math = approx` was asked for by name. Approximate instructions
    /// exist in f32 only: they themselves may then be f32 under f64, and
    /// rounding their arguments is no stage. What is computed around them is
    /// held to the accumulator.
    pub allow_approximate: bool,
    /// Under [`Accumulator::F64`]: how many times a value is rounded to f32 on the longest path to an output, which is
    /// the number of the kernel's stages (1 for a matrix product). `None` if that is unknown: then at most one is
    /// assumed, at the end.
    /// result ends with, or none.
    pub stages: Option<u32>,
    /// The same for single outputs, by parameter index, if it differs.
    pub stages_of: Vec<Option<u32>>,
    /// Roles by parameter index; parameters beyond it are [`Role::Other`]. If no parameter is an output, every store to
    /// global memory is one.
    pub roles: Vec<Role>,
}

impl Requirements {
    /// Whether factors meet as integers, which may be made of floats.
    fn meets_as_integers(&self) -> bool {
        self.products.is_some_and(|products| products.meeting == Meeting::Integers)
    }
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
    /// None of these: a sum of the given values.
    Straight,
}

/// A float addition (or fused multiply-add) on the path to an output.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub struct FloatSum {
    /// The instruction.
    pub inst: InstId,
    /// The type it rounds to.
    pub ty: ScalarType,
    /// The source of its terms.
    pub reduction: Reduction,
}

/// What a kernel does to the numbers that it stores. Instructions are in writing order.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Facts {
    /// Stores to outputs.
    pub outputs: Vec<InstId>,
    /// Float sums on the path to an output.
    pub accumulations: Vec<FloatSum>,
    /// Other float arithmetic (products, quotients, roots) on the path to an output, with its type.
    pub arithmetic: Vec<(InstId, ScalarType)>,
    /// Conversions that narrow f64 to f32 on the path to an output.
    pub narrowings: Vec<InstId>,
    /// Of these, those in a loop whose iterations use the result.
    pub looped_narrowings: Vec<InstId>,
    /// The maximum number of narrowings on one path to an output, without those of the arguments of approximate
    /// instructions.
    pub stages: u32,
    /// The same for each output.
    pub rounded: Vec<(InstId, u32)>,
    /// The maximum number of narrowings on one path to an output that continues in f64.
    pub resumed: u32,
    /// Of which inputs each instruction's result is computed, by the instruction's number.
    pub computed_of: Vec<Inputs>,
    /// Integer products of both kinds of factors.
    pub integer_products: Vec<InstId>,
    /// Float products with a decoded factor.
    pub decoded_products: Vec<InstId>,
    /// Conversions of factors to integers, where [`Factor::rounding`] notes them.
    pub quantizations: Vec<InstId>,
    /// Products and quotients that lead to them, back to the last rounding to f32, and quotients
    /// of these. Sums are not among them.
    pub quantizing: Vec<InstId>,
    /// Approximate instructions, anywhere in the kernel.
    pub approximate: Vec<InstId>,
    /// Float arithmetic without an explicit rounding, anywhere in the kernel.
    pub unwritten_roundings: Vec<InstId>,
    /// Instructions that flush subnormals (`.ftz`), anywhere in the kernel.
    pub flushing: Vec<InstId>,
    /// Float additions in memory, whose order is unspecified, anywhere in the kernel.
    pub float_atomics: Vec<InstId>,
    /// Loads on the path to an output, of global memory that the kernel has written itself, perhaps in another block.
    pub read_back: Vec<InstId>,
    /// Float matrix instructions, whose inner order and rounding PTX leaves unspecified.
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
    /// acc = f64, or an [`OwnType`] of f64: arithmetic in f32 (or less) on the way to an output.
    NarrowArithmetic = "narrow-arithmetic",
    /// acc = f64: a rounding to f32 inside a loop whose iterations use the result.
    RoundingInLoop = "rounding-in-loop",
    /// acc = f64: more or fewer roundings to f32 than the kernel has stages.
    RoundingCount = "rounding-count",
    /// acc = f64: a rounding to f32 that is not to nearest even.
    RoundingMode = "rounding-mode",
    /// acc = f32, or an [`OwnType`] of f32: arithmetic in f64 on the way to an output.
    WideArithmetic = "wide-arithmetic",
    /// [`Meeting::Integers`]: a float product of decoded factors.
    DecodedProduct = "decoded-product",
    /// [`Meeting::Integers`]: no integer product of both kinds of factors.
    NoIntegerProduct = "no-integer-product",
    /// [`Meeting::Floats`]: an integer product of both kinds of factors.
    IntegerProduct = "integer-product",
    /// [`Meeting::Floats`]: factors are converted to integers.
    Quantization = "quantization",
    /// math = exact: an approximate instruction.
    Approximate = "approximate",
    /// A float instruction without an explicit rounding, which the assembler may contract.
    UnwrittenRounding = "unwritten-rounding",
    /// An instruction that loses bits of a computed float on the path to an output, or that takes one and is not known
    /// to preserve it.
    LostBits = "lost-bits",
    /// An instruction that flushes subnormals.
    Flush = "flush",
    /// A float addition in memory, in no fixed order.
    FloatAtomic = "float-atomic",
    /// A float matrix instruction, whose order of summation PTX leaves unspecified.
    FloatMatrix = "float-matrix",
}

impl fmt::Display for PolicyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// An instruction that violates a policy.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct PolicyViolation {
    /// The rule.
    pub rule: PolicyRule,
    /// The kernel.
    pub kernel: String,
    /// The instruction; `None` if something is missing in the kernel.
    pub inst: Option<InstId>,
    /// The instruction as PTX.
    pub instruction: Option<String>,
    /// The line in the source.
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
pub fn facts(module: &Validated, kernel: usize, roles: &[Role], factors: &Factors) -> Facts {
    flow::Flow::new(module.module(), &module.module().kernels[kernel], module.info(kernel), roles, factors).facts()
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
    let flow = flow::Flow::new(module, &module.kernels[kernel], info, &requirements.roles, &requirements.factors);
    let facts = flow.facts();
    let losses = whole::losses(&flow, requirements);
    let violations = rules::violations(module, &module.kernels[kernel], info, requirements, &facts, &losses);
    if violations.is_empty() { Ok(facts) } else { Err(violations) }
}
