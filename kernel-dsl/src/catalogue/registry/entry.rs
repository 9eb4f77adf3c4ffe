//! A kernel of the catalogue: its name, choices and sizes.

use super::super::error::CatalogueError;
use super::super::request::{Request, Resolved};
use super::super::schedule::{How, Schedule};
use super::{Built, Dims, KernelId, Sizes};
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
    pub(in crate::catalogue) usual: fn(&Sizes, Policy) -> Schedule,
    pub(in crate::catalogue) build: Build,
}

/// The schedule of most kernels.
pub(super) fn usual(_: &Sizes, _: Policy) -> Schedule {
    Schedule::default()
}

impl Entry {
    /// The same with the name that follows from what it is.
    pub(super) const fn named(self) -> Entry {
        Entry { name: self.id.name(), ..self }
    }

    /// What families begin with: no choices, no sizes, nothing rounded.
    pub(super) const BASE: Entry = Entry {
        id: KernelId::Swiglu,
        name: "",
        summary: "",
        family: Family::Elementwise,
        is_eager: false,
        acts: &[],
        accs: &[],
        maths: &[],
        sums: None,
        dims: Dims::NONE,
        trial: Dims::NONE,
        reading: Dims::NONE,
        stages: 0,
        usual,
        build: |entry, _| unreachable!("the kernel {} is not written", entry.name),
    };

    /// Every policy that it has a variant for, in the order of its options.
    pub fn policies(&self) -> Vec<Policy> {
        let or_default = |n: usize| n.max(1);
        let mut all = Vec::new();
        for a in 0..or_default(self.acts.len()) {
            for c in 0..or_default(self.accs.len()) {
                for m in 0..or_default(self.maths.len()) {
                    all.push(Policy {
                        act: self.acts.get(a).copied().unwrap_or_default(),
                        acc: self.accs.get(c).copied().unwrap_or_default(),
                        math: self.maths.get(m).copied().unwrap_or_default(),
                    });
                }
            }
        }
        all
    }

    /// The policy of this kernel in a forward under `policy`: without the
    /// parts that it has no choice of.
    pub fn policy_within(&self, policy: Policy) -> Policy {
        Policy {
            act: if self.acts.is_empty() { Act::default() } else { policy.act },
            acc: if self.accs.is_empty() { Acc::default() } else { policy.acc },
            math: if self.maths.is_empty() { Math::default() } else { policy.math },
        }
    }

    /// The choices of a policy that this kernel has, for names: `q8k-f64`, or
    /// empty where it has none.
    pub fn variant(&self, policy: Policy) -> String {
        let mut parts = Vec::new();
        if !self.acts.is_empty() {
            parts.push(policy.act.name());
        }
        if !self.accs.is_empty() {
            parts.push(policy.acc.name());
        }
        if !self.maths.is_empty() {
            parts.push(policy.math.name());
        }
        parts.join("-")
    }

    /// Generates the kernel.
    ///
    /// # Errors
    /// For a policy, size or schedule that it has no variant for.
    pub fn build(&'static self, request: &Request) -> Result<Built, CatalogueError> {
        self.has("act", self.acts, request.policy.act)?;
        self.has("acc", self.accs, request.policy.acc)?;
        self.has("math", self.maths, request.policy.math)?;
        if let Some((name, _)) = request.dims.iter().find(|(name, _)| self.dims.iter().all(|(n, _)| n != *name)) {
            let known = self.dims.iter().map(|(n, _)| n).collect::<Vec<_>>().join(", ");
            return Err(CatalogueError::Dimension { kernel: self.name, found: name, known });
        }
        let sizes = request.dims.or(self.dims).sizes();
        let schedule = request.schedule.unwrap_or_else(|| (self.usual)(&sizes, request.policy));
        let mut resolved = Resolved {
            policy: request.policy,
            sizes,
            how: How { schedule, target: request.target, pdl: request.pdl },
            eps: request.eps,
        };
        loop {
            let built = (self.build)(self, &resolved);
            let smaller = match (&built, request.schedule) {
                (Err(CatalogueError::SharedMemory { .. }), None) => resolved.how.schedule.smaller(),
                _ => None,
            };
            match smaller {
                Some(schedule) => resolved.how.schedule = schedule,
                None if resolved.how.waits() => return built.map(Built::waiting),
                None => return built,
            }
        }
    }

    fn has<T: Copy + Default + PartialEq + std::fmt::Display>(
        &self,
        option: &'static str,
        choices: &[T],
        asked: T,
    ) -> Result<(), CatalogueError> {
        if choices.contains(&asked) || choices.is_empty() && asked == T::default() {
            return Ok(());
        }
        let list: Vec<String> = choices.iter().map(T::to_string).collect();
        let expected = if list.is_empty() { "no such choice".to_owned() } else { list.join(" and ") };
        Err(CatalogueError::Policy { kernel: self.name, option, found: asked.to_string(), expected })
    }
}
