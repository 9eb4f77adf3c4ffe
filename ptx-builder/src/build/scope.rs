//! Where a handle may be used: in the kernel in which it was created, and in the same loop body or branch.
//!
//! A loop's body and a branch may run any number of times, or never. A value created inside is undefined after it.
//! Control flow takes `Fn` closures, so that assigning a Rust variable inside does not compile; this module finds
//! values that got out in another way (a `Cell`, a `RefCell<Vec<..>>`).

use std::panic::Location;

use super::scopes::{Line, ScopeKind};
use super::state::{State, with};
use crate::ir::Reg;

/// Opens a scope.
#[track_caller]
pub(super) fn enter(kind: ScopeKind) {
    let at = Location::caller();
    with(|s| {
        let at = s.line(at);
        s.scopes.all.push((kind, at));
        let scope = s.scopes.all.len() as u32;
        s.scopes.open.push(scope);
    });
}

/// Closes the innermost scope.
#[track_caller]
pub(super) fn leave() {
    with(|s| s.scopes.open.pop());
}

/// Where a handle was created.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    /// The kernel; 0 for a constant, which belongs to all.
    serial: u32,
    scope: u32,
    at: Line,
}

impl Made {
    /// The current scope.
    #[track_caller]
    pub fn here() -> Made {
        let at = Location::caller();
        with(|s| Made { serial: s.serial, scope: s.scopes.current(), at: s.line(at) })
    }

    /// Whether it was created outside the innermost loop or branch that is being built.
    #[track_caller]
    pub fn is_older(self) -> bool {
        with(|s| self.serial == s.serial && self.scope != s.scopes.current())
    }

    /// For a constant.
    #[track_caller]
    pub fn anywhere() -> Made {
        Made { serial: 0, scope: 0, at: Location::caller() }
    }

    /// Rejects a use outside the kernel or the scope in which it was created.
    ///
    /// # Panics
    /// Then.
    #[track_caller]
    pub fn check(self, what: &str, reg: Option<Reg>) {
        if self.serial == 0 {
            return;
        }
        let at = Location::caller();
        let Some(outside) = with(|s| {
            let outside = self.outside(s, what, reg)?;
            // A closure in a device function has its own line; the message should name the line of the call.
            Some(if s.line(at) == at { outside } else { format!("{outside} (in a helper called at {})", s.line(at)) })
        }) else {
            return;
        };
        panic!("{outside}");
    }

    fn outside(self, s: &State, what: &str, reg: Option<Reg>) -> Option<String> {
        let at = self.at;
        if self.serial != s.serial {
            return Some(format!(
                "{what} of one kernel was used in another; it was made at {at}: write a function that makes it anew"
            ));
        }
        if s.scopes.is_open(self.scope) {
            return None;
        }
        let (kind, scope) = *s.scopes.all.get(self.scope as usize - 1)?;
        let named = match reg.and_then(|reg| s.kernel.names.get(&reg)) {
            Some(name) => format!("{what}, `{name}`,"),
            None => what.to_owned(),
        };
        let kind = kind.word();
        Some(format!(
            "{named} made at {at} in the {kind} at {scope} is used outside of the {kind}, which runs any number of times, \
             also none; carry it in a variable that is made before the {kind}: `let v = k.var(first)`, `v.set(..)` inside, \
             `v.get()` after"
        ))
    }
}
