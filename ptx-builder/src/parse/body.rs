//! A kernel being read.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::cursor::Cursor;
use super::draft::Call;
use super::lex::Pos;
use super::parser::Parser;
use super::scope::Scopes;
use super::signature::Signature;
use crate::ir::{Kernel, Loc, Symbol};

/// A kernel being read.
pub(super) struct Body<'p, 'a> {
    pub parser: &'p mut Parser<'a>,
    pub kernel: Kernel,
    pub scopes: Scopes<'a>,
    /// The labels that branches name: the scope, the name, the place.
    pub branches: Vec<(usize, &'a str, Pos)>,
    /// The last `.loc`.
    pub loc: Option<Loc>,
    /// The places that `.loc` named: a later one may be inlined there.
    pub lines: HashMap<(u64, u32, u32), Arc<Loc>>,
    /// Shared arrays of the module that the kernel uses.
    pub shared: HashMap<String, Symbol>,
    /// Names of its arrays and parameters.
    pub taken: HashSet<String>,
    /// Whether it is a function's, which returns.
    pub is_function: bool,
    /// Calls of functions of the text.
    pub calls: Vec<Call<'a>>,
    /// How many registers of each class stand for what is passed.
    pub passed: [u32; 6],
    /// Local arrays that stand for arrays that are passed.
    pub passed_arrays: HashSet<Symbol>,
    /// What `.callprototype` declares.
    pub prototypes: HashMap<&'a str, Signature<'a>>,
    /// What `.calltargets` lists.
    pub targets: HashMap<&'a str, Vec<usize>>,
    /// What `.branchtargets` lists: labels and their places.
    pub tables: HashMap<&'a str, Vec<(&'a str, Pos)>>,
    /// Labels without a name, by their number among the branches: their blocks.
    pub places: HashMap<u32, u32>,
}

impl<'a> Body<'_, 'a> {
    pub(super) fn cursor(&mut self) -> &mut Cursor<'a> {
        &mut self.parser.cursor
    }
}
