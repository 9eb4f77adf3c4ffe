//! PTX text as modules.
//!
//! The parser reads what the [printer](crate::print) writes and what other compilers write with the table's
//! instructions: any formatting, comments, nested scopes, line information and debug sections. The verifier checks the
//! types of operands; the parser uses them only to choose among forms.

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
mod texture;
mod variable;
mod vector;
mod video;

pub use error::{ParseError, ParseErrorKind, ParseErrors};

use std::sync::Arc;

use crate::ir::Module;

/// Reads a module. Errors and positions use `file_name`. An instruction's position is its `.loc` if there is one,
/// otherwise its position in the text.
///
/// # Errors
/// All errors in the text, in its order, up to [`ParseErrors::MOST`]; each has a line and a column.
pub fn parse(file_name: &str, text: &str) -> Result<Module, ParseErrors> {
    let reading = parser::Parser::new(file_name, text, true)?.read();
    if reading.errors.is_empty() { Ok(reading.module) } else { Err(ParseErrors(reading.errors)) }
}

/// What could be read of a text.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reading {
    /// The entries without errors, and what they use.
    pub module: Module,
    /// All errors, in the text's order: up to [`ParseErrors::MOST`] for each entry or function.
    pub errors: Vec<ParseError>,
    /// The rejected entries (`true`) and functions, by name.
    pub refused: Vec<(Arc<str>, bool)>,
    /// How many functions have a body.
    pub functions: usize,
}

/// Reads what can be read: an error in an entry or a function rejects only that one.
pub fn read(file_name: &str, text: &str) -> Reading {
    match parser::Parser::new(file_name, text, false) {
        Ok(parser) => parser.read(),
        Err(errors) => {
            let module = Module::new(crate::target::Target::SM_75);
            Reading { module, errors: errors.0, refused: Vec::new(), functions: 0 }
        }
    }
}
