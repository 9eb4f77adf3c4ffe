//! A policy to try the proof with: weights that are integers with f16 scales, multiplied with f32 activations or with
//! bytes that these are rounded to, and numbers apart that something is chosen by, in f64.
#![allow(dead_code, reason = "each test uses some")]

use ptxgen_builder::analysis::precision::{
    Accumulator, Factor, Factors, Input, Meeting, OwnType, Products, Role, Share,
};

pub const WEIGHTS: Role = Role::Input(Input::Left);
pub const ACTIVATIONS: Role = Role::Input(Input::Right);
pub const APART: Role = Role::Input(Input::Apart);

pub const FACTORS: Factors = Factors {
    left: Factor { name: "weights", floats: &[16], decoding: true, rounding: false },
    right: Factor { name: "activations", floats: &[16, 32, 64], decoding: false, rounding: true },
};

pub const FLOATS: Products = Products { name: "act=floats", meeting: Meeting::Floats };
pub const INTEGERS: Products = Products { name: "act=integers", meeting: Meeting::Integers };

/// What is computed of the numbers apart alone is in f64.
pub const CHOICE_IN_F64: OwnType =
    OwnType { of: Input::Apart, share: Share::Alone, ty: Accumulator::F64, why: "a choice is in f64" };

/// What weights take part in is in this type.
pub const fn of_weights(ty: Accumulator) -> OwnType {
    OwnType { of: Input::Left, share: Share::Any, ty, why: "products with weights have their own type" }
}
