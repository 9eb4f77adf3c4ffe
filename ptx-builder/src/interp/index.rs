//! Which instructions compute addresses from 32-bit indices: the static part of the search for indices that wrap.
//!
//! `row * cols + col` in 32 bits wraps without a word where the matrix is large, and the address is another one. Backwards
//! from each address, sums and products of 32 bits are followed to their sources. What wraps on purpose ends the way: masks,
//! shifts to the right, remainders, minima.

use std::collections::HashMap;

use smallvec::SmallVec;

use super::program::{AddrBase, Dst, Program, Src, Step};
use crate::table::{FormId, Word};

/// No register that is followed.
pub(super) const NONE: u32 = u32::MAX;

/// What an instruction does to indices.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum IndexOp {
    Copy,
    Add,
    Sub,
    Mul,
    Mad,
    Shl,
    /// A result of 64 bits, exact in its 32-bit sources; the last source, if it is the third, has 64 bits.
    Widen,
    /// A sum or copy of 64 bits.
    Wide,
    /// Anything else: its result is what it is.
    Other,
    /// An access to memory; the sources are the addresses' registers.
    Access,
}

/// A step of the way, with numbers of the registers that are followed.
#[derive(Clone, Debug)]
pub(super) struct IndexStep {
    pub op: IndexOp,
    pub dst: u32,
    pub srcs: SmallVec<[u32; 4]>,
}

/// The steps of a kernel, by instruction.
#[derive(Default)]
pub(super) struct IndexSteps {
    pub steps: Vec<Option<IndexStep>>,
    /// How many registers are followed.
    pub registers: usize,
}

fn op_of(form: FormId) -> IndexOp {
    let form = form.get();
    match (form.word(), form.word_bits()) {
        (Word::Copy, 32) => IndexOp::Copy,
        (Word::Add, 32) => IndexOp::Add,
        (Word::Sub, 32) => IndexOp::Sub,
        (Word::Mul, 32) => IndexOp::Mul,
        (Word::Mad, 32) => IndexOp::Mad,
        (Word::Shl, 32) => IndexOp::Shl,
        (Word::WideMul { .. } | Word::WideMad { .. }, 32) => IndexOp::Widen,
        (Word::Resize { .. }, 32) if form.slots[0].ty().is_some_and(|ty| ty.bits() == 64) => IndexOp::Widen,
        (Word::Copy | Word::Add, 64) => IndexOp::Wide,
        // What is not followed is what it is: a mask, a remainder, a minimum wraps on purpose.
        (
            Word::Copy
            | Word::Resize { .. }
            | Word::Rebase
            | Word::InWindow
            | Word::Add
            | Word::Sub
            | Word::Mul
            | Word::WideMul { .. }
            | Word::Mad
            | Word::WideMad { .. }
            | Word::Shl
            | Word::Shr { .. }
            | Word::Div { .. }
            | Word::Rem { .. }
            | Word::And
            | Word::Or
            | Word::Xor
            | Word::Min { .. }
            | Word::Max { .. }
            | Word::Select
            | Word::Compare { .. }
            | Word::Other,
            _,
        ) => IndexOp::Other,
    }
}

impl IndexSteps {
    pub fn new(program: &Program) -> IndexSteps {
        let mut found = Found::default();
        let sites = || program.code.iter().zip(&program.sites);
        for (code, _) in sites() {
            for addr in program.addrs(code) {
                if let AddrBase::Reg32(r) | AddrBase::Reg64(r) = addr.base {
                    found.follow(r);
                }
            }
        }
        let mut arithmetic = false;
        loop {
            let before = found.numbers.len();
            for (code, (.., form)) in sites() {
                let followed = program.dsts(code).first().is_some_and(|d| found.number(d.reg) != NONE);
                let op = op_of(*form);
                if followed && op != IndexOp::Other {
                    arithmetic |= !matches!(op, IndexOp::Copy | IndexOp::Widen | IndexOp::Wide);
                    program.srcs(code).iter().for_each(|s| found.source(s));
                }
            }
            if found.numbers.len() == before {
                break;
            }
        }
        if !arithmetic {
            return IndexSteps::default();
        }
        let steps = sites().map(|(code, (.., form))| found.step(program, code, *form)).collect();
        IndexSteps { steps, registers: found.numbers.len() }
    }
}

#[derive(Default)]
struct Found {
    numbers: HashMap<u32, u32>,
}

impl Found {
    fn follow(&mut self, reg: u32) {
        let next = self.numbers.len() as u32;
        self.numbers.entry(reg).or_insert(next);
    }

    fn source(&mut self, src: &Src) {
        if let Src::Reg(r) = src {
            self.follow(*r);
        }
    }

    fn number(&self, reg: u32) -> u32 {
        self.numbers.get(&reg).copied().unwrap_or(NONE)
    }

    fn step(&self, program: &Program, code: &super::program::Code, form: FormId) -> Option<IndexStep> {
        let addrs = program.addrs(code);
        if !addrs.is_empty() {
            let base = |a: &super::program::Addr| match a.base {
                AddrBase::Reg32(r) | AddrBase::Reg64(r) => self.number(r),
                AddrBase::Fixed | AddrBase::Shared => NONE,
            };
            return Some(IndexStep { op: IndexOp::Access, dst: NONE, srcs: addrs.iter().map(base).collect() });
        }
        let Step::Lane(_) = code.step else { return None };
        let [Dst { reg, .. }] = *program.dsts(code) else { return None };
        let dst = self.number(reg);
        let number = |s: &Src| if let Src::Reg(r) = s { self.number(*r) } else { NONE };
        (dst != NONE).then(|| IndexStep { op: op_of(form), dst, srcs: program.srcs(code).iter().map(number).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interp::layout::Layout;
    use crate::parse::parse;

    /// Of a body's instructions, in order, which are followed.
    fn followed(body: &str) -> Vec<IndexOp> {
        let text = format!(
            ".version 8.0 .target sm_90 .address_size 64 .entry k(.param .u64 p) {{ .reg .b32 %a, %b, %c; .reg .b64 %p, %q; \
             ld.param.u64 %p, [p]; {body} ret; }}"
        );
        let module = parse("t", &text).unwrap_or_else(|e| panic!("{e}"));
        let kernel = &module.kernels[0];
        let layout = Layout::new(&module, kernel, 0, &[]).expect("it fits");
        let program = Program::decode(&module, kernel, &layout, false).unwrap_or_else(|e| panic!("{e}"));
        IndexSteps::new(&program).steps.into_iter().flatten().map(|step| step.op).collect()
    }

    /// Where an address is made of nothing that can wrap, nothing is followed at all.
    #[test]
    fn only_kernels_that_compute_indices_are_followed() {
        let load = "add.u64 %q, %p, %q; ld.global.u32 %c, [%q];";
        for body in [
            "",
            "ld.global.u32 %c, [%p+4];",
            "mov.u32 %a, %tid.x; mul.wide.u32 %q, %a, 4; add.u64 %q, %p, %q; ld.global.u32 %c, [%q];",
            "mov.u32 %a, %tid.x; mov.u32 %b, %a; cvt.u64.u32 %q, %b; add.u64 %q, %p, %q; ld.global.u32 %c, [%q];",
            // What is computed is not an index.
            "ld.global.u32 %c, [%p]; add.u32 %a, %c, 1; st.global.u32 [%p], %a;",
        ] {
            assert_eq!(followed(body), [], "{body}");
        }
        for (what, op) in [
            ("add.u32 %b, %a, 1;", IndexOp::Add),
            ("sub.u32 %b, %a, 1;", IndexOp::Sub),
            ("shl.b32 %b, %a, 1;", IndexOp::Shl),
            ("mul.lo.u32 %b, %a, 3;", IndexOp::Mul),
        ] {
            let ops = followed(&format!("mov.u32 %a, %tid.x; {what} mul.wide.u32 %q, %b, 4; {load}"));
            assert_eq!(
                ops,
                [IndexOp::Access, IndexOp::Copy, op, IndexOp::Widen, IndexOp::Wide, IndexOp::Access],
                "{what}"
            );
        }
    }
}
