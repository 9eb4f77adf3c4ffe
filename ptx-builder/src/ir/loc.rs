//! Source positions.

use std::fmt;
use std::iter::successors;
use std::sync::Arc;

/// The origin of an instruction: a line of the Rust source, or of the PTX text from which it was parsed.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub struct Loc {
    /// The file as the compiler or the caller named it.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// Where the function is called that the line is of, if a compiler put it into its caller (`inlined_at` of
    /// PTX's `.loc`).
    pub caller: Option<Arc<Loc>>,
}

impl Loc {
    /// A chain has no more places: nobody reads a longer one, and a text could make it as long as itself.
    pub(crate) const DEEPEST: usize = 32;

    /// A place that is no part of another function.
    pub fn new(file: Arc<str>, line: u32, column: u32) -> Loc {
        Loc { file, line, column, caller: None }
    }

    /// The place, where it is called, where that is called, and so on.
    pub fn chain(&self) -> impl Iterator<Item = &Loc> {
        successors(Some(self), |loc| loc.caller.as_deref())
    }
}

/// `file:line:column`, and where the function was called if it is inlined.
impl fmt::Display for Loc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)?;
        self.chain().skip(1).try_for_each(|at| write!(f, ", called at {}:{}:{}", at.file, at.line, at.column))
    }
}
