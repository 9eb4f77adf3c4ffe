//! Modules as text: PTX, and two dumps that show the IR itself.
//!
//! The text depends only on the module and the options: the same bytes on every run and machine.

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

/// What is printed in addition to the program.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct PrintOptions {
    /// `.file` and `.loc` of the source, so that profilers and debuggers show it.
    pub lineinfo: bool,
    /// The names of registers in the source, as trailing comments.
    pub comments: bool,
}

/// The module as PTX. Its `.version` is [`least_version`]; entries are `.visible`; a block has a label if it is a
/// branch target.
pub fn print(module: &Validated, options: &PrintOptions) -> String {
    text::module(module.module(), options)
}

/// The line of each instruction in the output of [`print()`], from 1: a list for each kernel, in writing order, which
/// is the order of [`InstId`](crate::analysis::InstId)s.
pub fn lines(module: &Validated, options: &PrintOptions) -> Vec<Vec<u32>> {
    text::lines(module.module(), options)
}
