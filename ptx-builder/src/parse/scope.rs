//! Names and what they represent.

use std::collections::HashMap;

use super::error::ParseErrorKind;
use super::suggest;
use crate::ir::{Reg, Symbol};
use crate::types::{RegClass, ScalarType};

/// What a name represents.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Entity {
    Reg(Reg),
    /// `.reg .v4 .f32 %v`: this many registers from this one on.
    Vector(Reg, u8),
    /// A register of 128 bits: this one has the low half, the next the high one.
    Pair(Reg),
    Symbol(Symbol),
    /// A scalar that is passed to or from a function, in a register.
    Passed(Reg, ScalarType),
}

/// `%r<28>`: `count` registers from number `first` on, or pairs of them.
#[derive(Clone, Copy, Debug)]
struct Range {
    class: RegClass,
    first: u32,
    count: u32,
    pairs: bool,
}

impl Range {
    fn nth(&self, n: u32) -> Entity {
        let each = if self.pairs { 2 } else { 1 };
        let reg = Reg { class: self.class, index: self.first + n * each };
        if self.pairs { Entity::Pair(reg) } else { Entity::Reg(reg) }
    }
}

/// The names of one pair of braces.
#[derive(Default)]
struct Scope<'a> {
    parent: Option<usize>,
    names: HashMap<&'a str, Entity>,
    ranges: HashMap<&'a str, Range>,
    /// Of declared names that end in a number, by the text before it, the one with the least.
    stems: HashMap<&'a str, (u32, &'a str)>,
    labels: HashMap<&'a str, u32>,
}

/// The scopes of a kernel. Scopes stay after their braces close, so that
/// branches can be resolved at the end.
pub(super) struct Scopes<'a> {
    all: Vec<Scope<'a>>,
    current: usize,
}

impl<'a> Scopes<'a> {
    /// One scope, the kernel's own.
    pub fn new() -> Self {
        Scopes { all: vec![Scope::default()], current: 0 }
    }

    /// The current scope's number.
    pub fn current(&self) -> usize {
        self.current
    }

    /// Opens a scope.
    pub fn open(&mut self) {
        self.all.push(Scope { parent: Some(self.current), ..Scope::default() });
        self.current = self.all.len() - 1;
    }

    /// Closes the current scope; false where it is the kernel's own.
    pub fn close(&mut self) -> bool {
        let parent = self.all[self.current].parent;
        if let Some(parent) = parent {
            self.current = parent;
        }
        parent.is_some()
    }

    fn chain(&self, from: usize) -> impl Iterator<Item = &Scope<'a>> {
        std::iter::successors(self.all.get(from), |scope| self.all.get(scope.parent?))
    }

    /// Declares a name in the current scope.
    pub fn declare(&mut self, name: &'a str, entity: Entity) -> Result<(), ParseErrorKind> {
        let scope = &mut self.all[self.current];
        let taken = scope.labels.contains_key(name) || numbered(&scope.ranges, name).is_some();
        for (prefix, number) in numbers(name) {
            let least = scope.stems.entry(prefix).or_insert((number, name));
            *least = (*least).min((number, name));
        }
        if scope.names.insert(name, entity).is_some() || taken { Err(redeclared(name)) } else { Ok(()) }
    }

    /// Declares `prefix<count>` in the current scope: registers, or pairs of them.
    pub fn declare_range(
        &mut self,
        prefix: &'a str,
        first: Reg,
        count: u32,
        pairs: bool,
    ) -> Result<(), ParseErrorKind> {
        let scope = &mut self.all[self.current];
        let range = Range { class: first.class, first: first.index, count, pairs };
        if scope.ranges.insert(prefix, range).is_some() {
            return Err(redeclared(prefix));
        }
        let taken = scope.stems.get(prefix).filter(|(number, _)| *number < count);
        taken.map_or(Ok(()), |(_, name)| Err(redeclared(name)))
    }

    /// Declares a label in the current scope.
    pub fn declare_label(&mut self, name: &'a str, block: u32) -> Result<(), ParseErrorKind> {
        let scope = &mut self.all[self.current];
        let taken = scope.names.contains_key(name);
        if scope.labels.insert(name, block).is_some() || taken { Err(redeclared(name)) } else { Ok(()) }
    }

    /// What a name represents here: an inner declaration before an outer one.
    pub fn find(&self, name: &str) -> Option<Entity> {
        self.chain(self.current).find_map(|scope| {
            let named = || scope.names.get(name).copied();
            named().or_else(|| numbered(&scope.ranges, name))
        })
    }

    /// The block of a label, as seen from a scope.
    pub fn find_label(&self, scope: usize, name: &str) -> Option<u32> {
        self.chain(scope).find_map(|scope| scope.labels.get(name).copied())
    }

    /// The nearest label to a misspelt one.
    pub fn nearest_label(&self, name: &str) -> Option<String> {
        suggest::nearest(name, self.all.iter().flat_map(|s| s.labels.keys().copied()))
    }

    /// The nearest name in scope to a misspelt one. Registers of a range have
    /// their range's name to be compared with.
    pub fn nearest(&self, name: &str) -> Option<String> {
        suggest::nearest(name, self.chain(self.current).flat_map(|s| s.names.keys().copied()))
    }
}

fn redeclared(name: &str) -> ParseErrorKind {
    ParseErrorKind::Redeclared { name: name.to_owned() }
}

/// The register `name` of a range: a prefix and a number without leading zeros.
fn numbered(ranges: &HashMap<&str, Range>, name: &str) -> Option<Entity> {
    numbers(name).find_map(|(prefix, number)| {
        let range = ranges.get(prefix)?;
        (number < range.count).then(|| range.nth(number))
    })
}

/// A name as prefix and number, in every way, the longest number first: `%r1<20>` may stand next to `%r<20>`.
/// A number has no leading zeros.
fn numbers(name: &str) -> impl Iterator<Item = (&str, u32)> {
    let digits = name.bytes().rev().take_while(u8::is_ascii_digit).count();
    (1..=digits.min(10)).rev().filter_map(move |len| {
        let (prefix, number) = name.split_at(name.len() - len);
        let plain = number.len() == 1 || !number.starts_with('0');
        Some((prefix, number.parse().ok().filter(|_| plain)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_names_hide_outer_ones_until_the_scope_closes() {
        let reg = |class, index| Entity::Reg(Reg { class, index });
        let mut scopes = Scopes::new();
        scopes.declare_range("%p", Reg { class: RegClass::Pred, index: 0 }, 3, false).unwrap();
        scopes.open();
        scopes.declare("%p1", reg(RegClass::Pred, 3)).unwrap();
        assert_eq!(scopes.find("%p1"), Some(reg(RegClass::Pred, 3)));
        assert_eq!(scopes.find("%p2"), Some(reg(RegClass::Pred, 2)));
        assert!(scopes.close());
        assert_eq!(scopes.find("%p1"), Some(reg(RegClass::Pred, 1)));
        assert_eq!(scopes.find("%p3"), None);
        assert_eq!(scopes.find("%p01"), None);
        assert!(!scopes.close());
    }

    #[test]
    fn a_name_stands_for_one_thing_in_its_scope() {
        let reg = Entity::Reg(Reg { class: RegClass::B32, index: 0 });
        let mut scopes = Scopes::new();
        scopes.declare("%r1", reg).unwrap();
        assert!(scopes.declare_range("%r", Reg { class: RegClass::B32, index: 1 }, 2, false).is_err());
        scopes.declare_range("%x", Reg { class: RegClass::B32, index: 1 }, 2, false).unwrap();
        assert!(scopes.declare("%x1", reg).is_err());
        scopes.declare("%x2", reg).unwrap();
        scopes.declare("%x01", reg).unwrap();
        scopes.declare("a", reg).unwrap();
        assert!(scopes.declare_label("a", 0).is_err());
        scopes.declare_label("b", 0).unwrap();
        assert!(scopes.declare("b", reg).is_err());
        scopes.open();
        scopes.declare("%r1", reg).unwrap();
        scopes.declare_label("a", 0).unwrap();
    }

    #[test]
    fn a_prefix_may_end_in_digits() {
        let mut scopes = Scopes::new();
        scopes.declare_range("%r", Reg { class: RegClass::B32, index: 0 }, 5, false).unwrap();
        scopes.declare_range("%r1", Reg { class: RegClass::B32, index: 5 }, 5, false).unwrap();
        assert_eq!(scopes.find("%r12"), Some(Entity::Reg(Reg { class: RegClass::B32, index: 7 })));
    }
}
