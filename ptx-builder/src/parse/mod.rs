//! PTX text as modules.
//!
//! The parser reads what the [printer](crate::print) writes and what other
//! compilers write with the table's instructions: any formatting, comments,
//! nested scopes, line information and debug sections. Types of operands are
//! the verifier's business; the parser only chooses among forms by them.

mod body;
mod call;
mod cursor;
mod draft;
mod error;
mod expression;
mod forward;
mod function;
mod indexed;
mod kernel;
mod lex;
mod link;
mod lowered;
mod module;
mod number;
mod operand;
mod parser;
mod scope;
mod select;
mod signature;
mod statement;
pub(crate) mod suggest;
mod variable;
mod vector;
mod video;

pub use error::{ParseError, ParseErrorKind, ParseErrors};

use std::sync::Arc;

use crate::ir::Module;

/// Reads a module. `file_name` is what errors and positions name; an
/// instruction's position is its `.loc` where there is one, else its place in
/// the text.
///
/// # Errors
/// Everything that is wrong with the text, in its order, up to
/// [`ParseErrors::MOST`] errors; each has a line and a column.
pub fn parse(file_name: &str, text: &str) -> Result<Module, ParseErrors> {
    let reading = parser::Parser::new(file_name, text, true)?.read();
    if reading.errors.is_empty() { Ok(reading.module) } else { Err(ParseErrors(reading.errors)) }
}

/// What could be read of a text.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reading {
    /// The entries that nothing is wrong with, and what they use.
    pub module: Module,
    /// Everything that is wrong, in the text's order: up to [`ParseErrors::MOST`] errors of an entry or a function.
    pub errors: Vec<ParseError>,
    /// The entries (`true`) and functions that were refused, by name.
    pub refused: Vec<(Arc<str>, bool)>,
    /// How many functions have a body.
    pub functions: usize,
}

/// Reads what can be read: a fault in an entry or a function refuses that one only.
pub fn read(file_name: &str, text: &str) -> Reading {
    match parser::Parser::new(file_name, text, false) {
        Ok(parser) => parser.read(),
        Err(errors) => {
            let module = Module::new(crate::target::Target::SM_75);
            Reading { module, errors: errors.0, refused: Vec::new(), functions: 0 }
        }
    }
}
