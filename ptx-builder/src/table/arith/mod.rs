//! IEEE arithmetic with every rounding and format of PTX, exactly.

mod directed;
mod format;
mod small;

pub(super) use directed::{Arith, add_odd};
pub(super) use format::{Convert, round_to_integral};
pub(super) use small::Small;
