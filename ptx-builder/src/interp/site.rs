//! An instruction of the kernel, as reports name it.

use std::fmt;

use crate::ir::{BlockId, Loc};

/// An instruction of the kernel.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Site {
    /// The author's source line.
    pub loc: Option<Loc>,
    /// The instruction as text.
    pub text: String,
    /// The basic block it is in.
    pub block: BlockId,
    /// Its place in that block.
    pub index: usize,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.text)?;
        match &self.loc {
            Some(loc) => write!(f, " at {loc}"),
            None => write!(f, " at {}, instruction {}", self.block, self.index),
        }
    }
}

/// A line: its file and number, or without one its block and place.
pub(super) type Line = (Option<(String, u32)>, usize, usize);

impl Site {
    /// The author's line, or the instruction itself where that is not known.
    pub(super) fn line(&self) -> Line {
        match &self.loc {
            Some(loc) => (Some((loc.file.to_string(), loc.line)), 0, 0),
            None => (None, self.block.0 as usize, self.index),
        }
    }
}
