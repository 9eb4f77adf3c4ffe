//! PTX text as modules.
//!
//! The parser reads what the [printer](crate::print) writes and what other
//! compilers write with the table's instructions: any formatting, comments,
//! nested scopes, line information and debug sections. Types of operands are
//! the verifier's business; the parser only chooses among forms by them.

mod cursor;
mod error;
mod kernel;
mod lex;
mod module;
mod operand;
mod scope;
mod select;
mod statement;
pub(crate) mod suggest;
mod variable;

pub use error::{ParseError, ParseErrorKind, ParseErrors};

use crate::ir::Module;

/// Reads a module. `file_name` is what errors and positions name; an
/// instruction's position is its `.loc` where there is one, else its place in
/// the text.
///
/// # Errors
/// Everything that is wrong with the text, in its order, up to
/// [`ParseErrors::MOST`] errors; each has a line and a column.
pub fn parse(file_name: &str, text: &str) -> Result<Module, ParseErrors> {
    module::Parser::new(file_name, text)?.module()
}
