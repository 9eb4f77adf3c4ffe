//! Kernels of the catalogue, and what is generated for them: each names the other.

use ptxgen_builder::build::AnyLaunchable;

use super::super::error::CatalogueError;
use super::super::held::{Access, Contents};
use super::super::machine::Machine;
use super::super::param::Param;
use super::super::request::Resolved;
use super::super::schedule::Schedule;
use super::super::stage::Part;
use super::{Dims, KernelId, Sizes};
use crate::precision::{Acc, Act, Math, Policy};

/// What kind of kernel an entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Family {
    /// Products of matrices and vectors.
    Matrix,
    /// Products of matrices without superblocks, which have no choice of activations.
    Plain,
    /// One element, or one superblock, on its own.
    Elementwise,
    /// Weights as f32.
    Dequantize,
    /// Norms and rotations.
    Norm,
    /// Attention.
    Attention,
    /// The choice of experts, their lists and their sum.
    Router,
    /// From logits to a token.
    Token,
}

impl Family {
    /// Its name in `ptxgen list --json`.
    pub const fn name(self) -> &'static str {
        match self {
            Family::Matrix => "matrix",
            Family::Plain => "plain",
            Family::Elementwise => "elementwise",
            Family::Dequantize => "dequantize",
            Family::Norm => "norm",
            Family::Attention => "attention",
            Family::Router => "router",
            Family::Token => "token",
        }
    }
}

/// How an entry generates its kernel.
pub(in crate::catalogue) type Build = fn(&'static Entry, &Resolved) -> Result<Built, CatalogueError>;

/// A kernel of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Which kernel it is.
    pub id: KernelId,
    /// Its name on the command line: [`KernelId::name`].
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// What kind of kernel it is.
    pub family: Family,
    /// Activation formats that it has variants for; empty where there is no choice.
    pub acts: &'static [Act],
    /// Accumulators.
    pub accs: &'static [Acc],
    /// Math.
    pub maths: &'static [Math],
    /// The type of its sums where there is no choice of accumulator; where there is one, that of its
    /// products with weights if it is not the accumulator. `None` where there are none.
    pub sums: Option<Acc>,
    /// Whether it lets the kernel after it start before it waits itself, in programmatic dependent
    /// launch: short kernels before one with many weights, which are so requested while the
    /// kernel before this one is still at work.
    pub is_eager: bool,
    /// The sizes that it has, with those of Qwen3-30B-A3B.
    pub dims: Dims,
    /// Sizes for a short trial in the interpreter, where other than `dims`.
    pub trial: Dims,
    /// Sizes for text that people read, where other than `trial`.
    pub reading: Dims,
    /// How often a value is rounded from f64 to f32 on its way to the result
    /// under acc = f64: the stages of the kernel.
    pub stages: u32,
    /// The schedule where none is asked for.
    pub(in crate::catalogue) usual: fn(&Sizes, Policy, Machine) -> Schedule,
    pub(in crate::catalogue) build: Build,
}

/// A parameter of a generated kernel: a buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ParamSpec {
    /// What it is for.
    pub id: Param,
    /// Its name, [`Param::name`].
    pub name: &'static str,
    /// What the kernel does with it.
    pub access: Access,
    /// What it holds.
    pub contents: Contents,
    /// Bytes of its buffer.
    pub bytes: u64,
    /// Vectors that it holds one after the other, all of the same bytes; 1
    /// where it is not made of vectors.
    pub vectors: u32,
    /// How often what the kernel writes there is rounded from f64 to f32 on its way under acc = f64,
    /// where that is another number than [`Entry::stages`].
    pub rounded: Option<u32>,
}

/// A generated kernel with all that is needed to run it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Built {
    /// The entry that it is of.
    pub entry: &'static Entry,
    /// The kernel and its launch.
    pub launch: AnyLaunchable,
    /// Its parameters in order.
    pub params: Vec<ParamSpec>,
    /// The policy that it was made for.
    pub policy: Policy,
    /// Weights that a launch multiplies (elements, for elementwise kernels).
    pub weights: u64,
    /// Its stage, for larger kernels.
    pub(in crate::catalogue) part: Part,
}
