//! What the kernel commands have in common: options that name kernels, their variants, shapes and
//! targets.

use super::Usage;
use clap::ValueEnum;
use ptxgen_builder::{
    opt::OptOptions,
    target::{Target, UnknownTarget},
};
use ptxgen_dsl::{
    catalogue::{Built, CatalogueError, Dims, Entry, Request, TYPICAL, find},
    precision::{Acc, Act, Math, ParsePolicyError, Policy},
};
use serde::Serialize;
use std::{fmt, str::FromStr};

/// A choice of a kernel's variants.
#[derive(clap::Args, Clone, Copy, Default)]
pub struct Choice {
    /// Activation format: f32 or q8k
    #[arg(long, value_name = "ACT")]
    pub act: Option<Act>,
    /// Type of the sums: f32 or f64
    #[arg(long, value_name = "ACC")]
    pub acc: Option<Acc>,
    /// Math: exact or approx
    #[arg(long, value_name = "MATH")]
    pub math: Option<Math>,
}

impl Choice {
    /// A policy with defaults for the parts that were not chosen.
    pub fn policy(&self) -> Policy {
        self.over(Policy::default())
    }

    /// A policy with the chosen parts replaced.
    pub fn over(&self, policy: Policy) -> Policy {
        Policy {
            act: self.act.unwrap_or(policy.act),
            acc: self.acc.unwrap_or(policy.acc),
            math: self.math.unwrap_or(policy.math),
        }
    }

    /// This choice, with `other`'s parts where it has none.
    pub fn or(self, other: Choice) -> Choice {
        Choice { act: self.act.or(other.act), acc: self.acc.or(other.acc), math: self.math.or(other.math) }
    }

    /// The variants of a kernel that match everything chosen.
    pub fn variants(&self, entry: &Entry) -> Vec<Policy> {
        entry.policies().into_iter().filter(|&p| self.over(p) == p).collect()
    }
}

impl FromStr for Choice {
    type Err = ParsePolicyError;

    fn from_str(s: &str) -> Result<Self, ParsePolicyError> {
        let policy: Policy = s.parse()?;
        let named = |part: &str| s.split(',').any(|p| p.split('=').next() == Some(part));
        Ok(Choice {
            act: named("act").then_some(policy.act),
            acc: named("acc").then_some(policy.acc),
            math: named("math").then_some(policy.math),
        })
    }
}

/// The parts of a policy in which a kernel has variants, in JSON.
#[derive(Serialize)]
pub struct Variant {
    pub act: Option<&'static str>,
    pub acc: Option<&'static str>,
    pub math: Option<&'static str>,
}

impl Variant {
    /// Those of a generated kernel.
    pub fn of(built: &Built) -> Variant {
        let (entry, policy) = (built.entry, built.policy);
        Variant::of_policy(entry, policy)
    }

    /// Those of a policy that the kernel can choose.
    pub fn of_policy(entry: &Entry, policy: Policy) -> Variant {
        Variant {
            act: (!entry.acts.is_empty()).then_some(policy.act.name()),
            acc: (!entry.accs.is_empty()).then_some(policy.acc.name()),
            math: (!entry.maths.is_empty()).then_some(policy.math.name()),
        }
    }
}

/// ` act=q8k acc=f64`.
impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [("act", self.act), ("acc", self.acc), ("math", self.math)];
        parts.into_iter().filter_map(|(name, value)| Some((name, value?))).try_for_each(|(n, v)| write!(f, " {n}={v}"))
    }
}

/// The shape for which a kernel is specialized.
#[derive(clap::Args, Clone, Copy)]
pub struct Sizes {
    /// Rows, or elements of an elementwise kernel
    #[arg(long, value_name = "N")]
    rows: Option<u32>,
    /// Columns of a matrix, for superblock formats a multiple of 256, or elements of a vector
    #[arg(long, value_name = "K")]
    cols: Option<u32>,
    /// Experts of a layer
    #[arg(long, value_name = "N")]
    experts: Option<u32>,
    /// Experts that a token uses
    #[arg(long, value_name = "N")]
    used: Option<u32>,
    /// Maximum number of tokens of a pass
    #[arg(long, value_name = "N")]
    tokens: Option<u32>,
    /// Query heads
    #[arg(long, value_name = "N")]
    heads: Option<u32>,
    /// Key and value heads
    #[arg(long, value_name = "N")]
    kv_heads: Option<u32>,
    /// Width of a head
    #[arg(long, value_name = "N")]
    head_dim: Option<u32>,
    /// Positions of a KV cache or a table
    #[arg(long, value_name = "N")]
    positions: Option<u32>,
    /// Sequences of a batch
    #[arg(long, value_name = "N")]
    sequences: Option<u32>,
    /// Pages, of 64 positions, of a batch's cache
    #[arg(long, value_name = "N")]
    pages: Option<u32>,
}

/// The shape for which a kernel is specialized, and its target.
#[derive(clap::Args, Clone, Copy)]
pub struct Size {
    #[command(flatten)]
    sizes: Sizes,
    /// Use programmatic dependent launch, from sm_90 on: prefetch weights, then wait for the previous kernel
    #[arg(long)]
    pdl: bool,
    /// Target architecture: 75, 80, 90 .. [default: 75]
    #[arg(long, value_name = "SM", value_parser = written_for)]
    sm: Option<Target>,
}

/// A target that kernels can be generated for: others can only be read.
fn written_for(text: &str) -> Result<Target, String> {
    let target: Target = text.parse().map_err(|e: UnknownTarget| e.to_string())?;
    if target < Target::SM_75 {
        return Err(format!("the kernels are written for sm_75 and later, and {target} is older"));
    }
    Ok(target)
}

impl Sizes {
    fn dims(&self) -> Dims {
        let &Sizes { rows, cols, experts, used, tokens, heads, kv_heads, head_dim, positions, sequences, pages } = self;
        Dims { rows, cols, experts, used, tokens, heads, kv_heads, head_dim, positions, sequences, pages }
    }

    /// A request with these sizes instead of its own. If all kernels are requested, kernels without such a size ignore
    /// it.
    pub fn over(&self, entry: &Entry, all: bool, request: Request) -> Request {
        let asked = if all { self.dims().within(entry.dims) } else { self.dims() };
        Request { dims: asked.or(request.dims), ..request }
    }
}

impl Size {
    /// The target architecture.
    pub fn target(&self) -> Target {
        self.sm.unwrap_or(Target::SM_75)
    }

    /// Whether any of the options was given.
    pub fn is_given(&self) -> bool {
        self.sizes.dims() != Dims::NONE || self.pdl || self.sm.is_some()
    }

    /// As [`Sizes::over`]. Dependent launch for a target that lacks it is wrong use.
    pub fn over(&self, entry: &Entry, all: bool, request: Request) -> Result<Request, Usage> {
        if self.pdl && self.target() < Target::SM_90 {
            return Err(Usage(format!("--pdl needs --sm 90 or later, and the target is {}", self.target())));
        }
        Ok(Request { pdl: self.pdl, ..self.sizes.over(entry, all, request) })
    }
}

/// An option with the values on and off.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Yes
    On,
    /// No
    Off,
}

impl Switch {
    /// The optimization passes for this value.
    pub fn passes(self) -> OptOptions {
        match self {
            Switch::On => OptOptions::ALL,
            Switch::Off => OptOptions::NONE,
        }
    }
}

/// The kernel of this name; an unknown one is wrong use.
pub fn entry(name: &str) -> Result<&'static Entry, Usage> {
    find(name).map_err(usage)
}

/// The kernels with these names, or all.
pub fn entries(names: &[String], all: bool) -> Result<Vec<&'static Entry>, Usage> {
    if all { Ok(TYPICAL.iter().collect()) } else { names.iter().map(|n| entry(n)).collect() }
}

/// Generates a kernel. A request for a variant that it does not have is wrong use.
pub fn build(entry: &'static Entry, request: &Request) -> Result<Built, Usage> {
    entry.build(request).map_err(usage)
}

/// The chosen variants of a kernel. If the user named the kernel and there are none, that is wrong use.
pub fn variants(entry: &'static Entry, choice: Choice, all: bool, target: Target) -> Result<Vec<Policy>, Usage> {
    let found = choice.variants(entry);
    if found.is_empty() && !all {
        // Its error lists the choices.
        build(entry, &Request::for_trial(entry, choice.policy(), target))?;
    }
    Ok(found)
}

fn usage(e: CatalogueError) -> Usage {
    Usage(e.to_string())
}
