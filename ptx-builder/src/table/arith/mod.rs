//! IEEE arithmetic with every rounding and format of PTX, exactly.

mod directed;
mod format;

pub(super) use directed::{Arith, add_odd};
pub(super) use format::{Convert, round_to_integral};
