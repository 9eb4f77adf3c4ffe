//! A text being read.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::cursor::Cursor;
use super::draft::{Draft, Function};
use super::error::ParseError;
use crate::ir::{Module, Symbol, Variable};
use crate::target::Target;
use crate::types::ScalarType;

/// A text being read.
pub(super) struct Parser<'a> {
    pub cursor: Cursor<'a>,
    pub module: Module,
    /// The files that `.loc` names.
    pub files: HashMap<u64, Arc<str>>,
    /// Functions, by their numbers.
    pub functions: Vec<Function<'a>>,
    pub function_ids: HashMap<&'a str, usize>,
    pub file: Arc<str>,
    pub symbols: HashMap<&'a str, Symbol>,
    /// Shared arrays of the module: each kernel that uses one has it as its own.
    pub shared: HashMap<&'a str, Variable>,
    pub entries: HashSet<&'a str>,
    /// Entries whose calls wait for their functions.
    pub drafts: Vec<Draft<'a>>,
    pub target: Option<Target>,
    /// Whether the file does not begin as it should.
    pub is_beheaded: bool,
    pub errors: Vec<ParseError>,
    /// The entry or function that is being read, and the errors before it.
    pub part: Option<(Arc<str>, usize)>,
    /// Entries and functions that could not be read.
    pub refused: Vec<(Arc<str>, bool)>,
    /// Errors outside of entries and functions.
    pub outside: usize,
    /// Whether an error refuses all, so that few are enough.
    pub is_strict: bool,
}

/// The type that a directive of a declaration names, such as `.u32`: not those
/// that only instructions have.
pub(super) fn directive_type(text: &str) -> Option<ScalarType> {
    text.strip_prefix('.').and_then(ScalarType::from_name).filter(|ty| ty.is_fundamental())
}
