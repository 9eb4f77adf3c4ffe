//! IEEE arithmetic with every rounding and format of PTX, exactly.

mod directed;
mod format;

#[allow(unused_imports)]
pub(super) use directed::Arith;
pub(super) use format::{Convert, Format, round_to_integral};
