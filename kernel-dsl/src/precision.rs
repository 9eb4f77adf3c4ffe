//! The numeric policy of a kernel or a forward: the format of activations, and the type of accumulators. Each choice
//! exists twice: as a marker type, which makes it part of a kernel's type, and as a value of an enum, for the command
//! line.

use crate::device::DeviceExp;
use std::{fmt, str::FromStr};

mod sealed {
    pub trait Sealed {}
}

/// A format of activations, as a type: [`ActF32`] or [`ActQ8K`].
pub trait Activation: sealed::Sealed + Copy + Default + fmt::Debug + Send + Sync + 'static {
    /// The same choice as a value.
    const ACT: Act;
}

/// A type of accumulation, as a type: [`AccF32`] or [`AccF64`].
pub trait Accumulation: sealed::Sealed + Copy + Default + fmt::Debug + Send + Sync + 'static {
    /// The same choice as a value.
    const ACC: Acc;
    /// The scalar type of the accumulator, on the host and on the device.
    type Scalar: DeviceExp;
}

/// Activations enter a matrix product as f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ActF32;

/// Activations in products with superblock matrices are rounded to Q8_K blocks first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ActQ8K;

/// Sums are kept in f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccF32;

/// Sums are kept in f64 and rounded to f32 once, at the end of a stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccF64;

impl sealed::Sealed for ActF32 {}
impl sealed::Sealed for ActQ8K {}
impl sealed::Sealed for AccF32 {}
impl sealed::Sealed for AccF64 {}

impl Activation for ActF32 {
    const ACT: Act = Act::F32;
}
impl Activation for ActQ8K {
    const ACT: Act = Act::Q8K;
}
impl Accumulation for AccF32 {
    const ACC: Acc = Acc::F32;
    type Scalar = f32;
}
impl Accumulation for AccF64 {
    const ACC: Acc = Acc::F64;
    type Scalar = f64;
}

/// An invalid value for a part of a policy on the command line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {part} `{found}`: expected {expected}")]
#[non_exhaustive]
pub struct ParsePolicyError {
    /// The part of the policy that was being parsed: `act`, `acc`, `math` or `policy`.
    pub part: &'static str,
    /// The invalid value.
    pub found: String,
    /// The valid values.
    pub expected: &'static str,
}

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident, $part:literal, $expected:literal,
     { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The value's name on the command line and in messages.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }

        impl FromStr for $name {
            type Err = ParsePolicyError;
            fn from_str(s: &str) -> Result<Self, ParsePolicyError> {
                Self::ALL.iter().copied().find(|v| v.name() == s).ok_or_else(|| ParsePolicyError {
                    part: $part,
                    found: s.to_owned(),
                    expected: $expected,
                })
            }
        }
    };
}

choice!(
    /// The format of activations in products with superblock matrices.
    Act, "act", "f32 or q8k", {
        /// f32, unchanged.
        #[default]
        F32 = "f32",
        /// Blocks of 256 signed bytes (ggml `block_q8_K`).
        Q8K = "q8k",
    }
);

choice!(
    /// The type of the accumulator of every stage.
    Acc, "acc", "f32 or f64", {
        /// IEEE binary32.
        #[default]
        F32 = "f32",
        /// IEEE binary64, rounded to f32 once at the end of a stage.
        F64 = "f64",
    }
);

choice!(
    /// Whether exponentials and reciprocals follow the contract or use the hardware's approximate instructions.
    Math, "math", "exact or approx", {
        /// IEEE operations only, inside the bit contract.
        #[default]
        Exact = "exact",
        /// `ex2.approx` and `rcp.approx`, outside the bit contract.
        Approx = "approx",
    }
);

/// A whole policy. Two runs with the same policy (and exact math) give the same bits everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Policy {
    /// The activations' format.
    pub act: Act,
    /// The accumulator's type.
    pub acc: Acc,
    /// Exact or approximate functions.
    pub math: Math,
}

impl Policy {
    /// The policy of these two choices, with exact math.
    pub const fn new(act: Act, acc: Acc) -> Self {
        Self { act, acc, math: Math::Exact }
    }

    /// The policy of two marker types, with exact math.
    pub const fn of<X: Activation, A: Accumulation>() -> Self {
        Self::new(X::ACT, A::ACC)
    }

    /// The four policies of the bit contract.
    pub const EXACT: [Self; 4] = [
        Self::new(Act::F32, Acc::F32),
        Self::new(Act::F32, Acc::F64),
        Self::new(Act::Q8K, Acc::F32),
        Self::new(Act::Q8K, Acc::F64),
    ];
}

impl fmt::Display for Policy {
    /// `act=q8k,acc=f32`, followed by `,math=approx` if math is not exact.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "act={},acc={}", self.act, self.acc)?;
        match self.math {
            Math::Exact => Ok(()),
            Math::Approx => write!(f, ",math={}", self.math),
        }
    }
}

impl FromStr for Policy {
    type Err = ParsePolicyError;

    /// Parses `key=value` parts separated by commas; a missing part has its default.
    fn from_str(s: &str) -> Result<Self, ParsePolicyError> {
        let mut policy = Self::default();
        for part in s.split(',').filter(|p| !p.is_empty()) {
            match part.split_once('=') {
                Some(("act", v)) => policy.act = v.parse()?,
                Some(("acc", v)) => policy.acc = v.parse()?,
                Some(("math", v)) => policy.math = v.parse()?,
                _ => {
                    return Err(ParsePolicyError {
                        part: "policy",
                        found: part.to_owned(),
                        expected: "act=.., acc=.. or math=.., separated by commas",
                    });
                }
            }
        }
        Ok(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_survive_their_text() {
        for act in Act::ALL {
            for acc in Acc::ALL {
                for math in Math::ALL {
                    let p = Policy { act: *act, acc: *acc, math: *math };
                    assert_eq!(p.to_string().parse(), Ok(p));
                }
            }
        }
        assert_eq!(Policy::of::<ActQ8K, AccF64>().to_string(), "act=q8k,acc=f64");
    }

    #[test]
    fn an_unknown_word_is_named() {
        let e = "act=q4".parse::<Policy>().unwrap_err();
        assert_eq!(e.to_string(), "unknown act `q4`: expected f32 or q8k");
        let e = "f32".parse::<Policy>().unwrap_err();
        assert!(e.to_string().contains("unknown policy `f32`"));
    }
}
