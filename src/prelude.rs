//! What a kernel author uses: `use ptxgen::prelude::*;`.

pub use crate::builder::build::*;
pub use crate::builder::interp::{Arg, Launch, Memory, Options};
pub use crate::builder::print::{PrintOptions, print};
pub use crate::builder::target::Target;
pub use crate::builder::verify::{Validated, verify};
