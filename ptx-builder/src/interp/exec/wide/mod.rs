//! Shadow precision during execution: see [`interp::wide`](crate::interp::wide).
//!
//! Each function here runs after the instruction's values are written, and before anything else is.

mod matrix;
mod memory;

pub(super) use memory::copy_shadows;

use super::Exec;
use crate::interp::mask::lanes;
use crate::interp::program::{Dst, Src};
use crate::interp::wide::bits::{self, permuted};
use crate::interp::wide::combine::{amplify, clamp, combine};
use crate::interp::wide::convert::{Conversion, convert, floats};
use crate::interp::wide::plan::Plan;
use crate::interp::wide::regs::{Gathered, Held, Regs};
use crate::interp::wide::shape::{Format, Shape};
use crate::interp::wide::{Numbers, Plane, ZERO, real};
use crate::table::{Clamp, Parts, Real, WARP};
use crate::types::{Kind, ScalarType};

/// The planes of values side by side, each exact where there is none.
fn put_values(regs: &mut Regs, dst: &Dst, mask: u32, format: Format, planes: &[Plane]) {
    let (shape, size) = (Shape::of(format, planes.len()), format.granules());
    if shape.planes() == planes.len() {
        return regs.put(dst, mask, shape, planes);
    }
    // A value's plane has the number of its first granule.
    let mut apart = vec![Plane::EXACT; shape.planes()];
    planes.iter().enumerate().for_each(|(i, plane)| apart[i * size].clone_from(plane));
    regs.put(dst, mask, shape, &apart);
}

fn integers(types: [ScalarType; 2]) -> bool {
    types.iter().all(|ty| ty.kind() != Kind::Float)
}

impl Exec<'_> {
    /// Runs `f` with the shadows of the warp's registers, if they are followed.
    #[inline]
    fn with_regs(&mut self, f: impl FnOnce(&mut Self, &mut Regs)) {
        if let Some(mut regs) = self.warp.wide.take() {
            f(self, &mut regs);
            self.warp.wide = Some(regs);
        }
    }

    /// Result `i` is exact.
    #[inline]
    pub(super) fn wide_clear(&mut self, i: usize) {
        if let (Some(regs), Some(dst)) = (&mut self.warp.wide, self.cx.program.dsts(self.code).get(i)) {
            regs.clear(dst, self.mask);
        }
    }

    /// Follows an instruction of single lanes; its sources and results still lie in the scratch area.
    #[inline]
    pub(super) fn wide_lane(&mut self) {
        if let Some(wide) = &self.cx.wide {
            let plan = wide.plan(self.pc);
            self.with_regs(|this, regs| this.wide_step(regs, plan));
        }
    }

    fn wide_step(&mut self, regs: &mut Regs, plan: Plan) {
        let program = &self.cx.program;
        let (srcs, dsts) = (program.srcs(self.code), program.dsts(self.code));
        match plan {
            Plan::Exact | Plan::Elsewhere => dsts.iter().for_each(|dst| regs.clear(dst, self.mask)),
            Plan::Ends => {
                self.wide_end(regs, srcs);
                dsts.iter().for_each(|dst| regs.clear(dst, self.mask));
            }
            Plan::Compares(ty) => {
                self.wide_compares(regs, ty, srcs);
                dsts.iter().for_each(|dst| regs.clear(dst, self.mask));
            }
            Plan::Moves => self.wide_moves(regs, srcs, dsts),
            Plan::Selects => self.wide_selects(regs, srcs, dsts),
            Plan::Bits(parts) => self.wide_bits(regs, parts, srcs, dsts),
            Plan::Real { real, ty, clamp } => {
                let (format, count) = Format::of(ty);
                let mut planes = [Plane::EXACT, Plane::EXACT];
                let made = &mut planes[..count];
                for (piece, out) in made.iter_mut().enumerate() {
                    self.wide_real(regs, real, ty, clamp, srcs, piece, out);
                }
                dsts.iter().for_each(|dst| put_values(regs, dst, self.mask, format, made));
            }
            // Floats as bits in integers of another width.
            Plan::Converts { from, to, .. } if integers([from, to]) && !self.stands_for_float(regs, srcs) => {
                self.wide_bits(regs, Parts::Cut, srcs, dsts);
            }
            Plan::Converts { from, to, integral, clamp, saturates } => {
                let c = Conversion { from, to, integral, clamp, saturates };
                let (format, count) = Format::of(to);
                let mut planes = [Plane::EXACT, Plane::EXACT];
                let made = &mut planes[..count];
                for (piece, out) in made.iter_mut().enumerate() {
                    // Of two sources, the first is the upper half.
                    *out = self.wide_convert(regs, &c, srcs, count - 1 - piece, piece);
                }
                dsts.iter().for_each(|dst| put_values(regs, dst, self.mask, format, made));
            }
        }
    }

    /// Notes the inexact sources of an instruction whose results have no shadow.
    fn wide_end(&mut self, regs: &Regs, srcs: &[Src]) {
        let held = || srcs.iter().filter_map(|src| regs.source(Some(src)));
        let inexact =
            |lane: &usize| held().any(|h| h.planes.iter().take(h.shape.planes()).any(|p| p.err[*lane] != 0.0));
        let count = lanes(self.mask).filter(inexact).count() as u64;
        self.st.wide.notes.ended(self.pc, count);
    }

    /// The same where the instruction is executed elsewhere.
    pub(super) fn wide_ends(&mut self) {
        self.with_regs(|this, regs| this.wide_end(regs, this.cx.program.srcs(this.code)));
    }

    /// Whether the first source is an integer that stands for a float.
    fn stands_for_float(&self, regs: &Regs, srcs: &[Src]) -> bool {
        regs.source(srcs.first()).is_some_and(|held| held.value(Format::Int, 0, Format::Int.granules()).is_some())
    }

    fn wide_moves(&mut self, regs: &mut Regs, srcs: &[Src], dsts: &[Dst]) {
        let held = regs.take(srcs.first());
        for dst in dsts {
            match &held {
                Some((_, held)) => regs.put(dst, self.mask, held.shape, &held.planes),
                None => regs.clear(dst, self.mask),
            }
        }
        if let Some((register, held)) = held.filter(|(r, _)| dsts.iter().all(|dst| dst.reg != *r)) {
            regs.give_back(register, held);
        }
    }

    /// A comparison is decided as in the run; if exact numbers would decide it otherwise, it is recorded.
    fn wide_compares(&mut self, regs: &Regs, ty: ScalarType, srcs: &[Src]) {
        let (format, count) = Format::of(ty);
        let size = format.granules();
        for piece in 0..count {
            let plane = |i: usize| regs.source(srcs.get(i)).and_then(|held| held.value(format, piece * size, size));
            let planes = [plane(0), plane(1)];
            if planes.iter().all(Option::is_none) {
                continue;
            }
            let [a, b] = [0, 1].map(|i| floats(ty, &self.st.src[i], piece));
            let errors = planes.map(|plane| plane.map_or(&ZERO, |p| &p.err));
            self.st.wide.notes.compared(self.pc, self.mask, [&a, &b], errors);
        }
    }

    /// Of a choice by the third source: a predicate, or a number that is 0 or more.
    fn wide_selects(&mut self, regs: &mut Regs, srcs: &[Src], dsts: &[Dst]) {
        let (a, b) = (regs.source(srcs.first()), regs.source(srcs.get(1)));
        let Some(shape) = a.or(b).map(|held| held.shape) else {
            return dsts.iter().for_each(|dst| regs.clear(dst, self.mask));
        };
        let (_, _, form) = self.cx.program.sites[self.pc as usize];
        let ty = form.get().slots.iter().filter_map(|s| s.ty()).next_back().unwrap_or(ScalarType::Pred);
        let by = &self.st.src[2];
        let first = |lane: usize| match ty {
            ScalarType::Pred => by[lane] & 1 == 1,
            ScalarType::F32 => f32::from_bits(by[lane] as u32) >= 0.0,
            _ => by[lane] as u32 as i32 >= 0,
        };
        let same = |held: Option<&Held>| held.is_none_or(|held| held.shape == shape);
        let mut planes = vec![Plane::EXACT; shape.planes()];
        for lane in lanes(self.mask) {
            let from = if first(lane) { a } else { b };
            let Some(held) = from.filter(|_| same(from)) else { continue };
            for (to, from) in planes.iter_mut().zip(&held.planes) {
                (to.err[lane], to.who[lane]) = (from.err[lane], from.who[lane]);
            }
        }
        dsts.iter().for_each(|dst| regs.put(dst, self.mask, shape, &planes));
    }

    fn wide_bits(&mut self, regs: &mut Regs, parts: Parts, srcs: &[Src], dsts: &[Dst]) {
        if srcs.iter().all(|src| regs.source(Some(src)).is_none()) {
            return dsts.iter().for_each(|dst| regs.clear(dst, self.mask));
        }
        let made: Vec<_> = {
            let sources: Vec<bits::Source> =
                srcs.iter().enumerate().map(|(i, src)| (&self.st.src[i], regs.source(Some(src)))).collect();
            let one =
                |(i, dst): (usize, &Dst)| bits::moved(parts, &sources, (i, dst.ty.bits()), &self.st.dst[i], self.mask);
            dsts.iter().enumerate().map(one).collect()
        };
        for (dst, made) in dsts.iter().zip(&made) {
            regs.put(dst, self.mask, made.shape, &made.planes);
        }
    }

    #[allow(clippy::too_many_arguments)] // the parts of one instruction
    fn wide_real(
        &mut self,
        regs: &Regs,
        real: Real,
        ty: ScalarType,
        limit: Option<Clamp>,
        srcs: &[Src],
        piece: usize,
        out: &mut Plane,
    ) {
        let (format, _) = Format::of(ty);
        let size = format.granules();
        let r = floats(ty, &self.st.dst[0], piece);
        let value = |i: usize| if i < srcs.len() { floats(ty, &self.st.src[i], piece) } else { ZERO };
        let (a, b, c) = (value(0), value(1), value(2));
        let values = [&a, &b, &c];
        let plane = |i: usize| regs.source(srcs.get(i)).and_then(|held| held.value(format, piece * size, size));
        let planes = [plane(0), plane(1), plane(2)];
        let mut own: Numbers = ZERO;
        match ty {
            ScalarType::F64 => real::local::<true>(real, values, &r, &mut own),
            _ => real::local::<false>(real, values, &r, &mut own),
        }
        if planes.iter().all(Option::is_none) {
            combine(self.pc, &own, &[], &[], &r, out);
        } else {
            let errors = planes.map(|plane: Option<&Plane>| plane.map_or(&ZERO, |p| &p.err));
            let mut parts = [ZERO; 3];
            for (i, part) in parts.iter_mut().enumerate().filter(|(i, _)| planes[*i].is_some()) {
                real::passed(real, i, values, &r, errors, part);
            }
            combine(self.pc, &own, &parts, &planes, &r, out);
            amplify(self.pc, real, values, errors, &parts, &r, out);
        }
        clamp(out, &r, limit);
    }

    fn wide_convert(&mut self, regs: &Regs, c: &Conversion, srcs: &[Src], source: usize, piece: usize) -> Plane {
        let source = source.min(srcs.len().saturating_sub(1));
        let (format, _) = Format::of(c.from);
        let granules = match format {
            Format::Int => (c.from.bits() as usize / 16).clamp(1, 4),
            Format::F64 | Format::F32 | Format::F16 | Format::Bf16 => format.granules(),
        };
        let plane = regs.source(srcs.get(source)).and_then(|held| held.value(format, 0, granules));
        let (out, distances) = convert(self.pc, c, &self.st.src[source], &self.st.dst[0], piece, plane);
        if let Some(distances) = distances {
            self.st.wide.notes.rounded(self.pc, self.mask, &distances);
        }
        out
    }

    /// Source 0's shadow as other lanes have it: in each lane, that of lane `from`.
    pub(super) fn wide_permuted(&self, from: &[u32; WARP]) -> Option<Gathered> {
        let held = self.warp.wide.as_ref()?.source(self.cx.program.srcs(self.code).first())?;
        Some(Gathered { shape: held.shape, planes: permuted(held, from) })
    }

    /// Result `i` has this shadow.
    pub(super) fn wide_put(&mut self, i: usize, gathered: &Gathered) {
        let mask = self.mask;
        let Some(dst) = self.cx.program.dsts(self.code).get(i) else { return };
        if let Some(regs) = &mut self.warp.wide {
            match gathered.shape.is_none() {
                true => regs.clear(dst, mask),
                false => regs.put(dst, mask, gathered.shape, &gathered.planes),
            }
        }
    }
}
