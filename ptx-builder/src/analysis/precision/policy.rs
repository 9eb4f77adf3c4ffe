//! What a policy says of a kernel's inputs: values that the analysis is given, and knows nothing else of.

use super::Accumulator;

/// A kind of inputs that a policy distinguishes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Input {
    /// The first factors of the kernel's products; see [`Factors`].
    Left,
    /// The second factors.
    Right,
    /// Numbers that an [`OwnType`] is about and that are no factors.
    Apart,
}

/// A set of kinds of inputs: what a result is computed of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Inputs(u8);

impl Inputs {
    /// Inputs that the policy does not distinguish.
    pub(super) const OTHER: Inputs = Inputs(1 << 3);

    pub(super) const fn of(input: Input) -> Inputs {
        Inputs(1 << input as u8)
    }

    pub(super) const fn and(self, other: Inputs) -> Inputs {
        Inputs(self.0 | other.0)
    }

    /// Whether these are among them.
    pub const fn has(self, input: Input) -> bool {
        self.0 & Inputs::of(input).0 != 0
    }

    /// Whether these are all of them.
    pub const fn only(self, input: Input) -> bool {
        self.0 == Inputs::of(input).0
    }
}

/// How numbers stand in one kind of factors, and what a kernel may make of them alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Factor {
    /// What messages call them, in the plural.
    pub name: &'static str,
    /// Sizes in bits of floats that are numbers as they are loaded. Any other float that is made of what is loaded is
    /// a decoded one.
    pub floats: &'static [u32],
    /// Whether products of nothing but these are their decoding, in f32 whatever the accumulator, and never rounded
    /// from f64.
    pub decoding: bool,
    /// Whether a conversion of nothing but these from a float to an integer is noted, and so can be forbidden.
    pub rounding: bool,
}

/// The two kinds of factors of a kernel's products.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Factors {
    /// Those behind [`Input::Left`].
    pub left: Factor,
    /// Those behind [`Input::Right`].
    pub right: Factor,
}

impl Default for Factors {
    /// Floats of any size that are taken as they are, and integers.
    fn default() -> Self {
        let plain = |name| Factor { name, floats: &[16, 32, 64], decoding: false, rounding: false };
        Factors { left: plain("left factors"), right: plain("right factors") }
    }
}

/// In which arithmetic factors meet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Meeting {
    /// As floats, with no integer product of both.
    Floats,
    /// As integers, with no float product of decoded ones. Integers may then be made of floats: what is multiplied and
    /// divided for that may be in less than the accumulator's type.
    Integers,
}

/// How the two kinds of factors meet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Products {
    /// What messages call this choice.
    pub name: &'static str,
    /// In which arithmetic they meet.
    pub meeting: Meeting,
}

/// Of which inputs a result has to be computed for an [`OwnType`] to be about it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Share {
    /// Of these alone.
    Alone,
    /// Of these and perhaps others.
    Any,
}

/// A type of its own for what is computed of some inputs, whatever the accumulator.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct OwnType {
    /// The inputs.
    pub of: Input,
    /// Whether of these alone.
    pub share: Share,
    /// The type. What is loaded as f32 may be widened to f64 for results of [`Share::Any`].
    pub ty: Accumulator,
    /// Why, as messages begin: "a choice is made in f64".
    pub why: &'static str,
}

impl OwnType {
    /// Whether it is about what is computed of these inputs.
    pub(super) fn fits(&self, of: Inputs) -> bool {
        match self.share {
            Share::Alone => of.only(self.of),
            Share::Any => of.has(self.of),
        }
    }
}
