//! Modules as text: PTX, and two dumps that show the IR itself.
//!
//! The text is a function of the module and the options: the same bytes on
//! every run and machine.

mod directive;
mod ir;
mod json;
mod label;
mod operand;
mod text;

pub use directive::least_version;
pub use ir::ir;
pub use json::json;
pub use operand::inst;

use crate::verify::Validated;

/// What is written besides the program itself.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct PrintOptions {
    /// `.file` and `.loc` of the author's source, so that profilers and
    /// debuggers show it.
    pub lineinfo: bool,
    /// The author's names for registers, as trailing comments.
    pub comments: bool,
}

/// The module as PTX. Its `.version` is [`least_version`]; entries are
/// `.visible`; a block has a label where a branch names it.
pub fn print(module: &Validated, options: &PrintOptions) -> String {
    text::module(module.module(), options)
}

/// On which line of what [`print()`] writes, from 1, each instruction stands: a list for each kernel,
/// in writing order, which is the order of [`InstId`](crate::analysis::InstId)s.
pub fn lines(module: &Validated, options: &PrintOptions) -> Vec<Vec<u32>> {
    text::lines(module.module(), options)
}
