//! The loops and branches of the kernel being written.

use std::panic::Location;

pub(super) type Line = &'static Location<'static>;

/// What a scope is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ScopeKind {
    Loop,
    Branch,
}

impl ScopeKind {
    pub(super) fn word(self) -> &'static str {
        match self {
            ScopeKind::Loop => "loop",
            ScopeKind::Branch => "branch",
        }
    }
}

/// The scopes of a kernel so far. Scope 0 is the kernel's body.
#[derive(Default)]
pub(super) struct Scopes {
    pub all: Vec<(ScopeKind, Line)>,
    pub open: Vec<u32>,
}

impl Scopes {
    pub(super) fn current(&self) -> u32 {
        self.open.last().copied().unwrap_or(0)
    }

    pub(super) fn is_open(&self, scope: u32) -> bool {
        scope == 0 || self.open.contains(&scope)
    }
}
