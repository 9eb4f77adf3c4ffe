//! Errors in PTX text.

use std::fmt;

use crate::ir::Loc;
use crate::target::{UnknownTarget, UnknownVersion};

/// All errors of a text, in its order. Never empty.
#[derive(Clone, PartialEq, Debug)]
pub struct ParseErrors(pub(super) Vec<ParseError>);

impl ParseErrors {
    /// The parser stops after this many errors.
    pub const MOST: usize = 50;

    /// All of them as a list.
    pub fn into_vec(self) -> Vec<ParseError> {
        self.0
    }
}

impl std::error::Error for ParseErrors {}

impl std::ops::Deref for ParseErrors {
    type Target = [ParseError];
    fn deref(&self) -> &[ParseError] {
        &self.0
    }
}

impl fmt::Display for ParseErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if i > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}

/// An error in PTX text.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error("{at}: {kind}")]
#[non_exhaustive]
pub struct ParseError {
    /// The position: the file as the caller named it, line and column from 1.
    pub at: Loc,
    /// The error.
    pub kind: ParseErrorKind,
    /// The entry or function that contains it, if any.
    pub within: Option<std::sync::Arc<str>>,
}

/// The kinds of errors in PTX text.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// Something else was expected here.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
    /// The table has no instruction with this spelling.
    #[error("unknown instruction '{name}'{}", hint(.near))]
    UnknownInstruction {
        /// The spelling.
        name: String,
        /// The nearest spelling in the table.
        near: Option<String>,
    },
    /// A name without a declaration.
    #[error("'{name}' is not declared{}", hint(.near))]
    UnknownName {
        /// The name.
        name: String,
        /// The nearest name in scope.
        near: Option<String>,
    },
    /// A label that no branch can reach from its scope.
    #[error("no label '{name}' in this scope{}", hint(.near))]
    UnknownLabel {
        /// The label.
        name: String,
        /// The nearest label of the kernel.
        near: Option<String>,
    },
    /// A name that is already declared.
    #[error("'{name}' is declared twice in this scope; rename one of them")]
    Redeclared {
        /// The name.
        name: String,
    },
    /// The wrong number of operands.
    #[error("'{instruction}' takes {expected} operands ({operands}), found {found}")]
    OperandCount {
        /// The instruction.
        instruction: String,
        /// The expected number.
        expected: String,
        /// Their names in the PTX ISA.
        operands: String,
        /// The number found.
        found: usize,
    },
    /// An operand of the wrong kind.
    #[error("operand {operand} of '{instruction}': expected {expected}, found {found}")]
    Operand {
        /// The instruction.
        instruction: String,
        /// The operand's name in the PTX ISA.
        operand: &'static str,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
    /// A literal that is not a number.
    #[error("malformed number '{text}': {why}")]
    Number {
        /// The literal.
        text: String,
        /// The error.
        why: &'static str,
    },
    /// A number beyond its limits.
    #[error("{what} {value} is not in {least}..={most}")]
    Range {
        /// What the number is.
        what: &'static str,
        /// The number.
        value: i128,
        /// Its smallest value.
        least: i128,
        /// Its largest value.
        most: i128,
    },
    /// An unknown architecture.
    #[error(transparent)]
    Target(#[from] UnknownTarget),
    /// An unknown PTX version.
    #[error(transparent)]
    Version(#[from] UnknownVersion),
    /// Valid PTX that this library does not support.
    #[error("{what} is not supported; {instead}")]
    Unsupported {
        /// The construct.
        what: String,
        /// What to write instead.
        instead: &'static str,
    },
    /// Too many errors; the rest of the text was not read.
    #[error("too many errors; the rest of the text was not read")]
    TooMany,
}

fn hint(near: &Option<String>) -> String {
    near.as_ref().map_or_else(String::new, |near| format!("; did you mean '{near}'?"))
}
