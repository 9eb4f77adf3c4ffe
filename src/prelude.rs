//! What a kernel author uses: `use ptxgen::prelude::*;`.

pub use crate::builder::build::*;
pub use crate::builder::half::{bf16, f16};
pub use crate::builder::interp::{FindingKind, Options, WarpOrder};
pub use crate::builder::ir::LaunchBounds;
pub use crate::builder::print::{PrintOptions, print};
pub use crate::builder::target::Target;
pub use crate::builder::verify::{Validated, verify};
