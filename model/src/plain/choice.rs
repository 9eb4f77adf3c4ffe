//! What a stage is computed with.

use crate::{kv::KvType, trace::Stage};
use ptxgen_dsl::precision::{Acc, Act, Math, Policy};
use std::{collections::HashMap, fmt};

/// Everything about a stage that is a choice. A stage looks at what concerns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Choice {
    /// Activations that meet a matrix of superblocks.
    pub act: Act,
    /// The accumulator, of all but the router.
    pub acc: Acc,
    /// SwiGLU's exponential and reciprocal. Approximate ones are those of the interpreter, exact to the
    /// last bit; hardware differs from them by 2 ulp at most.
    pub math: Math,
    /// The type of the router's products and softmax; the contract's is f64.
    pub router: Acc,
    /// The type in which SwiGLU's result is kept; the contract's is f32.
    pub inner: Inner,
    /// The KV cache's type.
    pub kv: KvType,
    /// A mistake made on purpose.
    pub mistake: Option<Mistake>,
}

impl Choice {
    /// The contract's choices under a policy.
    pub fn of(policy: Policy, kv: KvType) -> Self {
        let Policy { act, acc, math } = policy;
        Self { act, acc, math, router: Acc::F64, inner: Inner::F32, kv, mistake: None }
    }
}

/// The type in which SwiGLU's result is kept between its kernel and the down projection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Inner {
    /// Binary32: the contract's.
    #[default]
    F32,
    /// Binary16.
    F16,
    /// The upper half of a binary32.
    BF16,
}

impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::BF16 => "bf16",
        })
    }
}

/// A known way to compute a stage wrongly. Bisection tries each where no choice gives what was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mistake {
    /// A Q6_K matrix's bytes are decoded as Q4_K; its rows start where they start.
    Q6kAsQ4k,
    /// The same, and each row starts where a row of Q4_K would.
    Q6kAsPackedQ4k,
    /// Some of the lanes of a matrix product are left out of its sum.
    LeftOut(Lane),
    /// Experts of equal probability are taken from the highest id down.
    TiesToHigher,
    /// RoPE turns element 2i with 2i + 1 in place of i with i + head_dim / 2.
    RopeInterleaved,
}

/// A part of the reduction of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Weights 16 g to 16 g + 15 of every block: one chain of the contract.
    Group(u8),
    /// The four chains that a lane of a Q4_K kernel holds, the first of them `g` (0, 4, 8 or 12): g to
    /// g + 3.
    Run(u8),
    /// The four that one of a Q6_K kernel holds, the first of them `g` (0, 1, 8 or 9): g, g + 2, g + 4 and
    /// g + 6.
    Four(u8),
    /// A whole block of 256.
    Block(u32),
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Q6kAsQ4k => f.write_str("Q6_K bytes decoded as Q4_K"),
            Self::Q6kAsPackedQ4k => f.write_str("Q6_K bytes decoded as Q4_K, one after the other"),
            Self::LeftOut(Lane::Group(g)) => {
                let from = 16 * u32::from(*g);
                write!(f, "a lane left out of the reduction (weights {from} to {} of every 256)", from + 15)
            }
            Self::LeftOut(Lane::Run(g)) => {
                let from = 16 * u32::from(*g);
                write!(f, "a lane left out of the reduction (weights {from} to {} of every 256)", from + 63)
            }
            Self::LeftOut(Lane::Four(g)) => {
                let (g, end) = (u32::from(*g), u32::from(*g) + 6);
                write!(f, "a lane left out of the reduction (groups of 16 weights {g}, {}, {} and {end})", g + 2, g + 4)
            }
            Self::LeftOut(Lane::Block(b)) => write!(f, "a block left out of the reduction (number {b} of each row)"),
            Self::TiesToHigher => f.write_str("ties between experts broken to the higher id"),
            Self::RopeInterleaved => f.write_str("RoPE pairs interleaved (2i with 2i + 1)"),
        }
    }
}

/// The choices of a whole forward: one for all, and those of stages that differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choices {
    all: Choice,
    own: HashMap<(Stage, Option<usize>), Choice>,
}

impl Choices {
    /// One choice for every stage.
    pub fn all(choice: Choice) -> Self {
        Self { all: choice, own: HashMap::new() }
    }

    /// Gives one stage, in one layer or in none, a choice of its own.
    pub fn set(&mut self, stage: Stage, layer: Option<usize>, choice: Choice) {
        self.own.insert((stage, layer), choice);
    }

    /// A stage's choice.
    pub fn at(&self, stage: Stage, layer: Option<usize>) -> Choice {
        self.own.get(&(stage, layer)).copied().unwrap_or(self.all)
    }
}
