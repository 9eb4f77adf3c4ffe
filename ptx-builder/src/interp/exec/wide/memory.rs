//! Shadows through memory.

use std::ops::Range;

use super::Exec;
use crate::interp::context::Context;
use crate::interp::copies::Copy;
use crate::interp::mask::lanes;
use crate::interp::state::BlockState;
use crate::interp::wide::convert::float;
use crate::interp::wide::pages::{Found, Pages};
use crate::interp::wide::regs::Gathered;
use crate::interp::wide::shape::{Format, Shape};
use crate::interp::wide::{Who, combine};
use crate::table::{Memory, Precision, WARP, window};
use crate::types::{Kind, ScalarType, Space};

impl Exec<'_> {
    /// The space of a lane's address, and the address there.
    pub(super) fn wide_place(&self, space: Space, lane: usize, at: u64) -> (Space, u64) {
        match space {
            Space::Generic => {
                let space = window::space_of(at);
                self.wide_place(space, lane, at.wrapping_sub(window::base(space)))
            }
            Space::Local => (space, self.local(lane, at)),
            Space::Global | Space::Shared | Space::Const | Space::Param => (space, at),
        }
    }

    pub(super) fn wide_found(&mut self, (space, at): (Space, u64), bytes: u32, value: u64) -> Option<Found> {
        match space {
            Space::Shared => self.st.wide.shared.load(at, bytes, value),
            Space::Local => self.st.wide.local.load(at, bytes, value),
            Space::Global | Space::Generic => self.cx.wide.as_ref()?.global.load(at, bytes, value),
            // What the launch was given is exact.
            Space::Const | Space::Param => None,
        }
    }

    /// Whether nothing inexact has been stored where an access may go.
    // mutants: same [returns false], only time
    fn wide_untouched(&self, space: Space, at: &[u64; WARP]) -> bool {
        match space {
            Space::Shared => self.st.wide.shared.is_empty(),
            Space::Local => self.st.wide.local.is_empty(),
            Space::Global => self.cx.wide.as_ref().is_none_or(|w| !lanes(self.mask).any(|l| w.global.may_hold(at[l]))),
            // One may be anything, of the others there is nothing to find.
            Space::Generic | Space::Const | Space::Param => false,
        }
    }

    /// Memory has the shadow of a value, or none.
    pub(super) fn wide_remember(&mut self, (space, at): (Space, u64), bytes: u32, value: u64, found: Option<&Found>) {
        let Some(wide) = &self.cx.wide else { return };
        match (space, found) {
            (Space::Shared, Some(found)) => self.st.wide.shared.store(at, bytes, value, found),
            (Space::Shared, None) => self.st.wide.shared.clear(at, bytes),
            (Space::Local, Some(found)) => self.st.wide.local.store(at, bytes, value, found),
            (Space::Local, None) => self.st.wide.local.clear(at, bytes),
            (Space::Global | Space::Generic, Some(found)) => wide.global.store(at, bytes, value, found),
            (Space::Global | Space::Generic, None) => wide.global.clear(at, bytes),
            (Space::Const | Space::Param, _) => {}
        }
    }

    /// The results of a load have the shadows that memory has.
    pub(in crate::interp::exec) fn wide_load(&mut self, m: &Memory, at: &[u64; WARP], values: &[u128; WARP]) {
        if self.cx.wide.is_none() {
            return;
        }
        let untouched = self.wide_untouched(m.space, at);
        for k in 0..self.cx.program.dsts(self.code).len() {
            let mut gathered = Gathered::default();
            if !untouched {
                self.wide_gather(m, (at, values), k, (0, &mut gathered));
            }
            self.wide_put(k, &gathered);
        }
    }

    /// What value `k` of a load finds, for a result from granule `first` on.
    pub(in crate::interp::exec) fn wide_gather(
        &mut self,
        m: &Memory,
        (at, values): (&[u64; WARP], &[u128; WARP]),
        k: usize,
        (first, to): (usize, &mut Gathered),
    ) {
        if self.cx.wide.is_none() {
            return;
        }
        let bytes = m.ty.bytes();
        for lane in lanes(self.mask) {
            let (space, start) = self.wide_place(m.space, lane, at[lane]);
            let value = (values[lane] >> (8 * bytes * k as u32)) as u64;
            if let Some(found) = self.wide_found((space, start + u64::from(bytes) * k as u64), bytes, value) {
                to.add(lane, first, &found);
            }
        }
    }

    /// Memory has the shadows of what is stored, of all sources one after the other.
    pub(in crate::interp::exec) fn wide_store(&mut self, m: &Memory, at: &[u64; WARP], values: &[u128; WARP]) {
        let sources = self.cx.program.srcs(self.code).len();
        self.wide_store_of((0..sources, 0), m, at, values);
    }

    /// The same of some of the sources, from granule `first` of each on.
    pub(in crate::interp::exec) fn wide_store_of(
        &mut self,
        (sources, first): (Range<usize>, usize),
        m: &Memory,
        at: &[u64; WARP],
        values: &[u128; WARP],
    ) {
        if self.cx.wide.is_none() {
            return;
        }
        let bytes = m.ty.bytes();
        let untouched = self.wide_untouched(m.space, at);
        self.with_regs(|this, regs| {
            let srcs = &this.cx.program.srcs(this.code)[sources];
            for (k, src) in srcs.iter().enumerate() {
                let held = regs.source(Some(src));
                if held.is_none() && untouched {
                    continue;
                }
                for lane in lanes(this.mask) {
                    let (space, start) = this.wide_place(m.space, lane, at[lane]);
                    let value = (values[lane] >> (8 * bytes * k as u32)) as u64;
                    let whole = held.map(|held| Found::of(held.shape, &held.planes, lane));
                    let found = if first == 0 { whole } else { whole.map(|found| found.part(first, 4 - first)) };
                    let place = (space, start + u64::from(bytes) * k as u64);
                    this.wide_remember(place, bytes, value, found.as_ref());
                }
            }
        });
    }

    /// The shadows of an atomic operation's sources, in a lane.
    pub(in crate::interp::exec) fn wide_sources(&self, lane: usize) -> [Option<Found>; 2] {
        let srcs = self.cx.program.srcs(self.code);
        [0, 1].map(|i| {
            let held = self.warp.wide.as_ref()?.source(srcs.get(i))?;
            Some(Found::of(held.shape, &held.planes, lane))
        })
    }

    /// How an atomic operation changes shadows.
    pub(in crate::interp::exec) fn wide_change(&self, bytes: u32) -> Change {
        let (_, _, form) = self.cx.program.sites[self.pc as usize];
        let srcs = self.cx.program.srcs(self.code);
        let adds = match form.get().precision {
            Precision::Updates { ty, adds: true } if ty.kind() == Kind::Float => Some(ty),
            _ => None,
        };
        Change { pc: self.pc, adds, bytes, compares: srcs.len() > 1 }
    }
}

/// An atomic operation, as shadows see it.
#[derive(Clone, Copy)]
pub(in crate::interp::exec) struct Change {
    pc: u32,
    /// The type of floats that are added.
    adds: Option<ScalarType>,
    bytes: u32,
    compares: bool,
}

impl Change {
    /// Memory at `at` held `old` and holds `new`, made with sources `b` and `c`. Returns its old shadow.
    pub fn apply(
        &self,
        pages: &mut Pages,
        at: u64,
        (old, new): (u64, u64),
        (b, c): (u64, u64),
        [of_b, of_c]: [Option<Found>; 2],
    ) -> Option<Found> {
        let was = pages.load(at, self.bytes, old);
        let exact = Found { shape: Shape::NONE, err: [0.0; 4], who: [Who::NONE; 4] };
        let now = match self.adds {
            Some(ty) => self.sum(ty, (old, b, new), &was.unwrap_or(exact), &of_b.unwrap_or(exact)),
            None if new == old => was.unwrap_or(exact),
            None if self.compares && new == c => of_c.unwrap_or(exact),
            None if !self.compares && new == b => of_b.unwrap_or(exact),
            None => exact,
        };
        pages.store(at, self.bytes, new, &now);
        was
    }

    fn sum(&self, ty: ScalarType, (old, b, new): (u64, u64, u64), of_old: &Found, of_b: &Found) -> Found {
        let (format, count) = Format::of(ty);
        let size = format.granules();
        let mut sum = Found { shape: Shape::of(format, count), err: [0.0; 4], who: [Who::NONE; 4] };
        for piece in 0..count {
            let value = |bits: u64| float(ty, bits, piece);
            let part = |found: &Found| match found.shape.plane_of(format, piece * size, size) {
                Some(plane) => (found.err[plane], found.who[plane]),
                None => (0.0, Who::NONE),
            };
            let plane = piece * size;
            (sum.err[plane], sum.who[plane]) =
                combine::sum(self.pc, (value(old), part(of_old)), (value(b), part(of_b)), value(new));
        }
        sum
    }
}

/// The shadows of bytes that a copy has moved.
pub(in crate::interp::exec) fn copy_shadows(cx: &Context, st: &mut BlockState, copy: &Copy) {
    let Some(wide) = &cx.wide else { return };
    let (from, to) = (copy.from, copy.to);
    let unit = match (from.1 | to.1 | u64::from(copy.bytes)).trailing_zeros() {
        0 => 1,
        1 => 2,
        2 => 4,
        _ => 8,
    };
    for k in (0..u64::from(copy.bytes)).step_by(unit as usize) {
        let at = to.1 + k;
        let value = match to.0 {
            Space::Shared => st.shared.load(at, unit) as u64,
            _ => cx.memory.near(at).map_or(0, |alloc| alloc.load(at, unit) as u64),
        };
        let found = match from.0 {
            Space::Shared => st.wide.shared.load(from.1 + k, unit, value),
            _ => wide.global.load(from.1 + k, unit, value),
        };
        match (to.0, found) {
            (Space::Shared, Some(found)) => st.wide.shared.store(at, unit, value, &found),
            (Space::Shared, None) => st.wide.shared.clear(at, unit),
            (_, Some(found)) => wide.global.store(at, unit, value, &found),
            (_, None) => wide.global.clear(at, unit),
        }
    }
    for k in 0..u64::from(copy.zeros) {
        st.wide.shared.clear(to.1 + u64::from(copy.bytes) + k, 1);
    }
}
