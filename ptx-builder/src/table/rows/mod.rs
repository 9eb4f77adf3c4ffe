//! The rows, by chapter of the PTX ISA, and how they expand into forms.

mod async_copy;
mod atomics;
mod barrier;
mod carry;
mod cluster;
mod compare;
mod control;
mod convert;
mod float;
mod float_pair;
mod half;
mod integer;
mod integer_pair;
mod load_store;
mod logic_shift;
mod matrix;
mod mbarrier;
mod movement;
mod multimem;
mod narrow;
mod policy;
mod precision;
mod product;
mod small_float;
mod special_function;
mod video;
mod video_scalar;
mod warp;
mod wmma;

use std::collections::HashMap;
use std::sync::OnceLock;

use super::slot::{dst, src};
use super::{Form, FormId, LaneFn, Meaning, Mod, Mods, Op, Precision, Row, RowId, Slot, Table};
use crate::target::PtxVersion;
use crate::types::ScalarType;

/// Builds the table.
pub(super) fn expand() -> Table {
    let mut table = Builder { rows: Vec::new(), forms: Vec::new(), spellings: Vec::new() };
    integer::rows(&mut table);
    integer_pair::rows(&mut table);
    carry::rows(&mut table);
    float::rows(&mut table);
    float_pair::rows(&mut table);
    half::rows(&mut table);
    special_function::rows(&mut table);
    compare::rows(&mut table);
    logic_shift::rows(&mut table);
    movement::rows(&mut table);
    convert::rows(&mut table);
    small_float::rows(&mut table);
    narrow::rows(&mut table);
    load_store::rows(&mut table);
    policy::rows(&mut table);
    cluster::rows(&mut table);
    multimem::rows(&mut table);
    atomics::rows(&mut table);
    async_copy::rows(&mut table);
    mbarrier::rows(&mut table);
    warp::rows(&mut table);
    barrier::rows(&mut table);
    matrix::rows(&mut table);
    product::rows(&mut table);
    wmma::rows(&mut table);
    control::rows(&mut table);
    video::rows(&mut table);
    video_scalar::rows(&mut table);
    let listed = (table.rows.len(), table.forms.len());
    control::opaque(&mut table);
    table.finish(listed)
}

/// What a row says of one of its forms.
pub(super) struct Spec {
    slots: Vec<Slot>,
    meaning: Meaning,
    least_ptx: u16,
    least_sm: u16,
    is_specific: bool,
    most_sm: u16,
    spellings: Vec<Mods>,
}

/// A form with these operands and this meaning, as old as PTX 2.0 and sm_20.
pub(super) fn spec(slots: impl Into<Vec<Slot>>, meaning: Meaning) -> Spec {
    Spec {
        slots: slots.into(),
        meaning,
        least_ptx: 20,
        least_sm: 20,
        is_specific: false,
        most_sm: u16::MAX,
        spellings: Vec::new(),
    }
}

/// A form that computes `d` of type `result` from sources a, b, ... of type `ty`.
fn exact(result: ScalarType, ty: ScalarType, sources: usize, eval: LaneFn) -> Option<Spec> {
    let sources = ["a", "b", "c"].into_iter().take(sources).map(|name| src(name, ty));
    Some(spec(std::iter::once(dst(result)).chain(sources).collect::<Vec<_>>(), Meaning::Lane(eval)))
}

/// `d = f(a)`, all of type `ty`.
fn unary(ty: ScalarType, eval: LaneFn) -> Option<Spec> {
    exact(ty, ty, 1, eval)
}

/// `d = f(a, b)`, all of type `ty`.
fn binary(ty: ScalarType, eval: LaneFn) -> Option<Spec> {
    exact(ty, ty, 2, eval)
}

/// `d = f(a, b, c)`, all of type `ty`.
fn ternary(ty: ScalarType, eval: LaneFn) -> Option<Spec> {
    exact(ty, ty, 3, eval)
}

impl Spec {
    /// The same, but only from this PTX version and this `sm_` on.
    pub(super) fn since(mut self, ptx: u16, sm: u16) -> Self {
        self.least_ptx = self.least_ptx.max(ptx);
        self.least_sm = self.least_sm.max(sm);
        self
    }

    /// The same, but only on targets with more than the common features.
    pub(super) fn specific(mut self) -> Self {
        self.is_specific = true;
        self
    }

    /// The same, but only up to this `sm_`.
    pub(super) fn until(mut self, sm: u16) -> Self {
        self.most_sm = sm;
        self
    }

    /// The same, also read with the modifiers spelled this way.
    pub(super) fn also_spelled(mut self, mods: Mods) -> Self {
        self.spellings.push(mods);
        self
    }
}

/// One place for a modifier: the alternatives, `None` where it may be absent.
pub(super) type Alternatives = Vec<Option<Mod>>;

/// Exactly this modifier.
pub(super) fn one(m: Mod) -> Alternatives {
    vec![Some(m)]
}

/// One of these.
pub(super) fn any(mods: &[Mod]) -> Alternatives {
    mods.iter().copied().map(Some).collect()
}

/// None, or one of these.
pub(super) fn opt(mods: &[Mod]) -> Alternatives {
    std::iter::once(None).chain(mods.iter().copied().map(Some)).collect()
}

/// One of these types.
pub(super) fn types(types: &[ScalarType]) -> Alternatives {
    types.iter().map(|&t| Some(Mod::Ty(t))).collect()
}

/// The type modifiers among `mods`, by position.
pub(super) fn ty(mods: &[Mod], n: usize) -> ScalarType {
    let mut all = mods.iter().filter_map(|m| if let Mod::Ty(t) = m { Some(*t) } else { None });
    all.nth(n).expect("the row's pattern has that many types")
}

/// Collects rows.
pub(super) struct Builder {
    rows: Vec<Row>,
    forms: Vec<Form>,
    spellings: Vec<(String, FormId)>,
}

impl Builder {
    /// Adds the row `op`: every combination of one alternative from each
    /// place, except those for which `form` gives `None`. What becomes of
    /// precision follows from the modifiers.
    pub(super) fn row(
        &mut self,
        op: Op,
        section: &'static str,
        doc: &'static str,
        precision: impl Fn(&[Mod]) -> Precision,
        places: &[Alternatives],
        form: impl Fn(&[Mod]) -> Option<Spec>,
    ) {
        let row = RowId(self.rows.len() as u16);
        let first = FormId(self.forms.len() as u16);
        let mut combinations = vec![Mods::new()];
        for place in places {
            combinations = combinations
                .iter()
                .flat_map(|head| {
                    place.iter().map(move |m| {
                        let mut mods = head.clone();
                        mods.extend(*m);
                        mods
                    })
                })
                .collect();
        }
        for mods in combinations {
            let Some(Spec { slots, meaning, least_ptx, least_sm, is_specific, most_sm, spellings }) = form(&mods)
            else {
                continue;
            };
            let id = FormId(u16::try_from(self.forms.len()).expect("fewer than 65536 forms"));
            let name = spelled(op, &mods);
            for other in spellings.iter().chain([&mods]) {
                let text = spelled(op, other);
                // Shared space is the block's own unless it says otherwise (PTX ISA 5.1.7).
                if other.contains(&Mod::Shared) {
                    self.spellings.push((text.replace(".shared.", ".shared::cta."), id));
                }
                if text != name {
                    self.spellings.push((text, id));
                }
            }
            let precision = precision(&mods);
            self.forms.push(Form {
                id,
                row,
                op,
                mods,
                name,
                slots,
                meaning,
                precision,
                least_ptx: PtxVersion(least_ptx),
                least_sm,
                is_specific,
                most_sm,
            });
        }
        let len = (self.forms.len() as u16) - first.0;
        self.rows.push(Row { op, section, doc, first, len });
    }

    fn finish(self, listed: (usize, usize)) -> Table {
        let mut by_key = HashMap::new();
        let mut by_name: HashMap<String, Vec<FormId>> = HashMap::new();
        for form in &self.forms {
            let twice = by_key.insert((form.op, form.mods.clone()), form.id);
            assert!(twice.is_none(), "{} stands twice in the table", form.name);
            if form.id.index() < listed.1 {
                by_name.entry(form.name.clone()).or_default().push(form.id);
            }
        }
        for (text, id) in self.spellings {
            let forms = by_name.entry(text).or_default();
            if !forms.contains(&id) {
                forms.push(id);
            }
        }
        Table { rows: self.rows, forms: self.forms, listed, by_key, by_name, by_loose_name: OnceLock::new() }
    }
}

/// The text of an opcode with modifiers.
fn spelled(op: Op, mods: &[Mod]) -> String {
    let mut text = op.text().to_owned();
    for m in mods {
        text.push('.');
        text.push_str(m.text());
    }
    text
}
