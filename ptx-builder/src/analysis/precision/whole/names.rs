//! Names of values, and bytes of computed floats.
//!
//! Two registers whose values have one name hold the same bits whenever both can be read. Where
//! paths meet, values get one new name if they come with the same names along every path, so that
//! the halves of an f64 stay halves of one f64 through branches and loops.

use std::collections::HashMap;
use std::hash::Hash;

use smallvec::SmallVec;

use super::content::{Arrangement, Byte, Content, Float, Id, Value};
use crate::analysis::DefId;
use crate::ir::BlockId;
use crate::table::FormId;

pub(super) type Ids = SmallVec<[Id; 4]>;

/// What a name represents.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Name {
    /// The result of an instruction.
    Def(DefId),
    /// A constant.
    Constant(u64),
    /// A predicate that is negated.
    Not(Id),
    /// A float with the other sign.
    Negated(Id),
    /// What meets at the start of a block: named after the first register and byte that it is in.
    Met(BlockId, u32, u8),
    /// The second where a guard holds (or does not, if negated), else the first.
    Guarded { by: Id, negated: bool, of: Ids },
    /// The first where a condition holds, else the second.
    Chosen { by: Id, form: FormId, of: Ids },
    /// What other lanes hold, the lanes told by `from`.
    Lane { form: FormId, of: Id, from: Ids },
    /// A float in memory: the `cell`th of those that accesses from this instruction on read.
    Loaded { first: u32, cell: i64 },
    /// Bytes side by side.
    Arranged(Arrangement),
}

/// All names that were given, and what is known of the floats that have them.
#[derive(Default)]
pub(super) struct Names {
    ids: HashMap<Name, Id>,
    defs: HashMap<Id, DefId>,
    /// What the negated are the negations of.
    negated: HashMap<Id, Id>,
    floats: HashMap<Id, Float>,
    arrangements: Vec<[Byte; 8]>,
    arranged: HashMap<[Byte; 8], Arrangement>,
    /// Whether something became known since this was taken.
    pub(super) learned: bool,
}

impl Names {
    pub(super) fn id(&mut self, name: Name) -> Id {
        let next = Id(self.ids.len() as u32 + 1);
        if let Name::Def(def) = name {
            let id = *self.ids.entry(name).or_insert(next);
            self.defs.insert(id, def);
            return id;
        }
        if let Name::Negated(of) = name {
            if let Some(back) = self.negated.get(&of) {
                return *back;
            }
            let id = *self.ids.entry(name).or_insert(next);
            self.negated.insert(id, of);
            return id;
        }
        *self.ids.entry(name).or_insert(next)
    }

    /// The definition that a name is of, if it is one's.
    pub(super) fn def(&self, id: Id) -> Option<DefId> {
        self.defs.get(&id).copied()
    }

    /// The name of a definition's result.
    pub(super) fn of_def(&self, def: DefId) -> Option<Id> {
        self.ids.get(&Name::Def(def)).copied()
    }

    /// Says that a name is a float's; `None` where it is another's already.
    pub(super) fn know(&mut self, id: Id, float: Float) -> Option<()> {
        let known = self.floats.entry(id).or_insert(float);
        if known.ty != float.ty {
            return None;
        }
        if float.narrowed && !known.narrowed {
            known.narrowed = true;
            self.learned = true;
        }
        Some(())
    }

    pub(super) fn float(&self, id: Id) -> Option<Float> {
        self.floats.get(&id).copied()
    }

    /// The bytes of a value, lowest first; `constant` where the value is one.
    pub(super) fn bytes(&mut self, value: Value, constant: Option<u64>) -> [Byte; 8] {
        match value.content {
            Content::Plain => match constant {
                Some(c) => c.to_le_bytes().map(Byte::Const),
                None => [Byte::Plain; 8],
            },
            Content::Whole(float) => {
                if self.know(value.id, float).is_none() {
                    return [Byte::Lost; 8];
                }
                let of = |i: usize| Byte::Of { id: value.id, at: i as u8, flip: 0 };
                std::array::from_fn(|i| if i < float.bytes() { of(i) } else { Byte::Plain })
            }
            Content::Bytes(a) => self.arrangements[a.0 as usize],
            Content::Half | Content::Quant | Content::Exponent | Content::Power | Content::Lost => [Byte::Lost; 8],
        }
    }

    /// The float that these bytes are, all of them and in order; its sign may be inverted.
    pub(super) fn whole(&mut self, bytes: &[Byte]) -> Option<Value> {
        let &Byte::Of { id, at: 0, .. } = bytes.first()? else { return None };
        let float = self.float(id)?;
        if float.bytes() != bytes.len() {
            return None;
        }
        let mut sign = 0;
        for (i, &byte) in bytes.iter().enumerate() {
            match byte {
                Byte::Of { id: of, at, flip } if of == id && usize::from(at) == i => match flip {
                    0 => {}
                    0x80 if i + 1 == bytes.len() => sign = flip,
                    _ => return None,
                },
                Byte::Of { .. } | Byte::Plain | Byte::Const(_) | Byte::Lost => return None,
            }
        }
        let id = if sign == 0 { id } else { self.id(Name::Negated(id)) };
        Some(Value { content: Content::Whole(float), id })
    }

    /// The value of a register of `width` bytes that holds these; `own` is its name if they have none.
    pub(super) fn value(&mut self, mut bytes: [Byte; 8], width: usize, own: Id) -> Value {
        bytes[width.min(8)..].fill(Byte::Plain);
        if bytes[..width].contains(&Byte::Lost) {
            return Value { content: Content::Lost, id: own };
        }
        if !bytes.iter().any(|b| b.is_computed()) {
            return Value { content: Content::Plain, id: own };
        }
        // A float of four bytes may be in a register of eight.
        let used = if bytes[4..].iter().all(|b| *b == Byte::Plain) { width.min(4) } else { width };
        if let Some(whole) = self.whole(&bytes[..used]) {
            return whole;
        }
        let next = Arrangement(self.arrangements.len() as u32);
        let arrangement = *self.arranged.entry(bytes).or_insert(next);
        if arrangement == next {
            self.arrangements.push(bytes);
        }
        let id = self.id(Name::Arranged(arrangement));
        Value { content: Content::Bytes(arrangement), id }
    }

    /// What may be one or another of `values`. `name` names it after the names of what it may be;
    /// its second argument distinguishes bytes of one register.
    pub(super) fn meet(&mut self, values: &[Value], name: &mut dyn FnMut(&mut Names, Ids, u8) -> Id) -> Value {
        let Some((&first, rest)) = values.split_first() else { return Value::UNSET };
        if rest.iter().all(|v| *v == first) {
            return first;
        }
        let id = name(self, values.iter().map(|v| v.id).collect(), u8::MAX);
        if !values.iter().any(|v| matches!(v.content, Content::Bytes(_))) {
            let content = rest.iter().fold(first.content, |all, v| all.join(v.content));
            return Value { content, id };
        }
        let all: SmallVec<[[Byte; 8]; 4]> = values.iter().map(|v| self.bytes(*v, None)).collect();
        let mut met = [Byte::Plain; 8];
        for (i, met) in met.iter_mut().enumerate() {
            let column: SmallVec<[Byte; 4]> = all.iter().map(|bytes| bytes[i]).collect();
            *met = self.meet_bytes(&column, &mut |names, ids| name(names, ids, i as u8));
        }
        self.value(met, 8, id)
    }

    /// The same bytes of floats with other names; what cannot be named so is lost.
    pub(super) fn renamed(&mut self, value: Value, own: Id, mut name: impl FnMut(&mut Names, Id) -> Id) -> Value {
        let mut bytes = self.bytes(value, None);
        for byte in &mut bytes {
            if let Byte::Of { id, at, flip } = *byte {
                let to = name(self, id);
                let known = self.float(id).and_then(|float| self.know(to, float));
                *byte = if known.is_some() { Byte::Of { id: to, at, flip } } else { Byte::Lost };
            }
        }
        self.value(bytes, 8, own)
    }

    fn meet_bytes(&mut self, column: &[Byte], name: &mut dyn FnMut(&mut Names, Ids) -> Id) -> Byte {
        let Some((&first, rest)) = column.split_first() else { return Byte::Plain };
        if rest.iter().all(|b| *b == first) {
            return first;
        }
        let mut place: Option<(u8, u8, Float)> = None;
        let mut ids = Ids::new();
        for &byte in column {
            match byte {
                Byte::Plain | Byte::Const(_) => ids.push(Id::NONE),
                Byte::Lost => return Byte::Lost,
                Byte::Of { id, at, flip } => {
                    let Some(float) = self.float(id) else { return Byte::Lost };
                    let (old_at, old_flip, old) = *place.get_or_insert((at, flip, float));
                    if (old_at, old_flip, old.ty) != (at, flip, float.ty) {
                        return Byte::Lost;
                    }
                    place = Some((at, flip, Float { narrowed: old.narrowed || float.narrowed, ..old }));
                    ids.push(id);
                }
            }
        }
        let Some((at, flip, float)) = place else { return Byte::Plain };
        let id = name(self, ids);
        if self.know(id, float).is_none() { Byte::Lost } else { Byte::Of { id, at, flip } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ScalarType::{F32, F64};

    fn float(ty: crate::types::ScalarType, narrowed: bool) -> Float {
        Float { ty, narrowed }
    }

    /// The first `n` bytes of a float, and nothing after them.
    fn bytes_of(id: Id, n: usize) -> [Byte; 8] {
        std::array::from_fn(|i| if i < n { Byte::Of { id, at: i as u8, flip: 0 } } else { Byte::Plain })
    }

    #[test]
    fn a_name_is_of_one_type_and_stays_narrowed() {
        let mut names = Names::default();
        let (a, b) = (names.id(Name::Constant(1)), names.id(Name::Constant(2)));
        assert_eq!(names.know(a, float(F32, false)), Some(()));
        assert_eq!(names.know(a, float(F64, false)), None);
        assert!(!names.learned);
        assert_eq!(names.know(a, float(F32, true)), Some(()));
        assert_eq!((names.float(a), names.learned), (Some(float(F32, true)), true));
        names.learned = false;
        assert_eq!(names.know(a, float(F32, true)), Some(()));
        assert_eq!(names.know(a, float(F32, false)), Some(()));
        assert_eq!(names.know(b, float(F32, true)), Some(()));
        assert_eq!((names.float(a), names.learned), (Some(float(F32, true)), false));
    }

    #[test]
    fn names_are_given_once() {
        let mut names = Names::default();
        let a = names.id(Name::Constant(1));
        assert_eq!(names.id(Name::Constant(1)), a);
        assert_ne!(names.id(Name::Constant(2)), a);
        let negated = names.id(Name::Negated(a));
        assert_eq!((names.id(Name::Negated(a)), names.id(Name::Negated(negated))), (negated, a));
        let def = names.id(Name::Def(DefId(7)));
        assert_eq!((names.def(def), names.of_def(DefId(7)), names.def(a)), (Some(DefId(7)), Some(def), None));
        assert!(a != Id::NONE && negated != Id::NONE && def != Id::NONE);
    }

    #[test]
    fn a_float_is_whole_in_its_own_width_and_in_a_wider_register() {
        let mut names = Names::default();
        let (a, d, own) = (names.id(Name::Constant(1)), names.id(Name::Constant(2)), names.id(Name::Constant(3)));
        names.know(a, float(F32, false)).expect("a new name");
        names.know(d, float(F64, false)).expect("a new name");
        let whole = |ty| Content::Whole(float(ty, false));
        for width in [4, 8] {
            assert_eq!(names.value(bytes_of(a, 4), width, own), Value { content: whole(F32), id: a });
        }
        assert_eq!(names.value(bytes_of(d, 8), 8, own), Value { content: whole(F64), id: d });
        // Not if something is above it, or a byte is missing, belongs to another value or is in another place.
        let mut above = bytes_of(a, 4);
        above[4] = Byte::Const(0);
        let mut mixed = bytes_of(a, 4);
        mixed[3] = Byte::Of { id: d, at: 3, flip: 0 };
        let mut moved = bytes_of(a, 4);
        moved.swap(2, 3);
        let mut flipped = bytes_of(a, 4);
        flipped[2] = Byte::Of { id: a, at: 2, flip: 0x80 };
        let arranged = [above, mixed, moved, flipped, bytes_of(a, 3), bytes_of(d, 4), bytes_of(d, 7)];
        let mut ids = Vec::new();
        for bytes in arranged {
            let value = names.value(bytes, 8, own);
            assert!(matches!(value.content, Content::Bytes(_)), "{bytes:?}");
            assert_eq!(names.bytes(value, None), bytes);
            assert_eq!(names.value(bytes, 8, own), value);
            ids.push(value.id);
        }
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), arranged.len());
        // With its sign inverted it is another float, and inverted again the same.
        let mut negative = bytes_of(a, 4);
        negative[3] = Byte::Of { id: a, at: 3, flip: 0x80 };
        let negated = names.value(negative, 4, own);
        assert_eq!(negated, Value { content: whole(F32), id: names.id(Name::Negated(a)) });
    }

    #[test]
    fn what_is_no_float_keeps_its_own_name() {
        let mut names = Names::default();
        let (a, own) = (names.id(Name::Constant(1)), names.id(Name::Constant(3)));
        names.know(a, float(F32, false)).expect("a new name");
        assert_eq!(names.value([Byte::Const(1); 8], 8, own), Value { content: Content::Plain, id: own });
        let mut lost = bytes_of(a, 4);
        lost[6] = Byte::Lost;
        assert_eq!(names.value(lost, 8, own), Value { content: Content::Lost, id: own });
        // A narrower register does not hold what is above it.
        assert_eq!(names.value(lost, 4, own).content, Content::Whole(float(F32, false)));
        let whole = |id| Value { content: Content::Whole(float(F64, false)), id };
        assert_eq!(names.bytes(whole(a), None), [Byte::Lost; 8]);
        assert_eq!(names.bytes(Value { content: Content::Plain, id: own }, Some(0x0102)), {
            [2, 1, 0, 0, 0, 0, 0, 0].map(Byte::Const)
        });
    }
}
