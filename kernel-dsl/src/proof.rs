//! What the policies of this crate say of numbers, as values for the proof of precision.
//!
//! The proof ([`ptxgen_builder::analysis::precision`]) knows inputs, factors and types. That these are weights,
//! activations and a router's logits, how numbers stand in them, and which types they have, is told here.

use ptxgen_builder::analysis::precision::{
    Accumulator, Factor, Factors, Input, Meeting, OwnType, Products, Role, Share,
};

use crate::precision::{Acc, Act};

/// A pointer to the weights of a matrix, in any format.
pub const WEIGHTS: Role = Role::Input(Input::Left);

/// A pointer to activations, in the format that the policy names.
pub const ACTIVATIONS: Role = Role::Input(Input::Right);

/// A pointer to a router's logits in f64, by which experts are chosen ([`CHOICE`]).
pub const LOGITS: Role = Role::Input(Input::Apart);

/// What a product of a matrix multiplies. An f16 in the weights is a scale; other floats made of them are decoded
/// weights, and these are decoded in f32. The floats among activations are activations, or the scales of Q8_K blocks.
pub const FACTORS: Factors = Factors {
    left: Factor { name: "weights", floats: &[16], decoding: true, rounding: false },
    right: Factor { name: "activations", floats: &[16, 32, 64], decoding: false, rounding: true },
};

/// What is computed of logits alone is a choice of experts, which the contract has in f64.
pub const CHOICE: OwnType = OwnType {
    of: Input::Apart,
    share: Share::Alone,
    ty: Accumulator::F64,
    why: "a choice is made in f64 whatever the accumulator",
};

/// How activations meet weights under a policy. The quants and scales of Q8_K are made in f32 whatever the accumulator.
pub const fn products(act: Act) -> Products {
    match act {
        Act::F32 => Products { name: "act=f32", meeting: Meeting::Floats },
        Act::Q8K => Products { name: "act=q8k", meeting: Meeting::Integers },
    }
}

/// The type of what weights take part in, where it is not the accumulator's: a router's products.
pub const fn products_in(acc: Acc) -> OwnType {
    let (ty, why) = match acc {
        Acc::F32 => (Accumulator::F32, "this kernel's products with weights are in f32"),
        Acc::F64 => (Accumulator::F64, "this kernel's products with weights are in f64"),
    };
    OwnType { of: Input::Left, share: Share::Any, ty, why }
}

impl From<Acc> for Accumulator {
    fn from(acc: Acc) -> Self {
        match acc {
            Acc::F32 => Accumulator::F32,
            Acc::F64 => Accumulator::F64,
        }
    }
}

/// A policy's words for [`Proof`](ptxgen_builder::testing::Proof) and
/// [`assert_policy!`](ptxgen_builder::assert_policy).
///
/// ```
/// use ptxgen_builder::build::{In, Kernel, Out, kernel};
/// use ptxgen_builder::testing::{Accumulator, assert_policy};
/// use ptxgen_dsl::precision::Act;
/// use ptxgen_dsl::proof::PolicyProof;
///
/// let product = kernel::<(In<f32>, In<f32>, Out<f32>)>("product", ["w", "x", "y"], |k, (w, x, y)| {
///     y.store(k, w.load(k) * x.load(k));
/// });
/// assert_policy!(product, act = Act::F32, acc = Accumulator::F32, weights = "w", activations = "x");
/// ```
#[cfg(feature = "testing")]
pub trait PolicyProof: Sized {
    /// How activations meet weights; name both with [`weights`](Self::weights) and
    /// [`activations`](Self::activations).
    fn act(self, act: Act) -> Self;
    /// A parameter that points to weights.
    fn weights(self, parameter: &str) -> Self;
    /// A parameter that points to activations.
    fn activations(self, parameter: &str) -> Self;
    /// A parameter that points to a router's logits. What is computed of them alone is in f64.
    fn logits(self, parameter: &str) -> Self;
    /// The type of what weights take part in, where it is not the accumulator's.
    fn of_weights(self, acc: Acc) -> Self;
}

#[cfg(feature = "testing")]
impl PolicyProof for ptxgen_builder::testing::Proof {
    fn act(self, act: Act) -> Self {
        self.factors(FACTORS).products(products(act))
    }

    fn weights(self, parameter: &str) -> Self {
        self.factors(FACTORS).role(parameter, WEIGHTS)
    }

    fn activations(self, parameter: &str) -> Self {
        self.factors(FACTORS).role(parameter, ACTIVATIONS)
    }

    fn logits(self, parameter: &str) -> Self {
        self.own_type(CHOICE).role(parameter, LOGITS)
    }

    fn of_weights(self, acc: Acc) -> Self {
        self.own_type(products_in(acc))
    }
}
