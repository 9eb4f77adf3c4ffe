//! The choices with which a stage is computed.

use crate::{kv::KvType, trace::Stage};
use ptxgen_dsl::precision::{Acc, Act, Math, Policy};
use std::{collections::HashMap, fmt};

/// All choices for a stage. A stage uses those that concern it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Choice {
    /// Activations in products with superblock matrices.
    pub act: Act,
    /// The accumulator, of everything except the router.
    pub acc: Acc,
    /// SwiGLU's exponential and reciprocal. Approximate ones are those of the interpreter, exact to the last bit;
    /// hardware differs from them by at most 2 ulp.
    pub math: Math,
    /// The type of the router's products and softmax; the contract's is f64.
    pub router: Acc,
    /// The type of SwiGLU's stored result; the contract's is f32.
    pub inner: Inner,
    /// The KV cache's type.
    pub kv: KvType,
    /// A deliberate mistake.
    pub mistake: Option<Mistake>,
}

impl Choice {
    /// The contract's choices under a policy.
    pub fn of(policy: Policy, kv: KvType) -> Self {
        let Policy { act, acc, math } = policy;
        Self { act, acc, math, router: Acc::F64, inner: Inner::F32, kv, mistake: None }
    }
}

/// The type of SwiGLU's result between its kernel and the down projection.
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

/// A known way to compute a stage wrongly. Bisection tries each if no choice gives the recorded values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mistake {
    /// A Q6_K matrix's bytes are decoded as Q4_K; its rows start at their own offsets.
    Q6kAsQ4k,
    /// The same, and each row starts at the offset of a Q4_K row.
    Q6kAsPackedQ4k,
    /// Some lanes of a matrix product are missing in its sum.
    LeftOut(Lane),
    /// Experts with equal probability are chosen from the highest id down.
    TiesToHigher,
    /// RoPE rotates elements 2i and 2i + 1 instead of i and i + head_dim / 2.
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
    /// The four chains of a lane of a Q6_K kernel, the first of them `g` (0, 1, 8 or 9): g, g + 2, g + 4 and g + 6.
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

/// The choices of a whole forward: a common one, and those of stages that differ.
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

    /// Sets the choice of one stage, in one layer or outside the layers.
    pub fn set(&mut self, stage: Stage, layer: Option<usize>, choice: Choice) {
        self.own.insert((stage, layer), choice);
    }

    /// A stage's choice.
    pub fn at(&self, stage: Stage, layer: Option<usize>) -> Choice {
        self.own.get(&(stage, layer)).copied().unwrap_or(self.all)
    }
}
