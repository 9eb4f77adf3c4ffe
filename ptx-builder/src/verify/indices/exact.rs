//! The values of registers in one warp of block 0, as far as they follow from thread indices, next to what the author's
//! sums and products come to without wrapping.
//!
//! In loops, values are those of the first round.

use std::collections::HashMap;

use crate::analysis::lanes::ROW;
use crate::analysis::{DefId, InstId, KernelInfo};
use crate::ir::{BlockId, Inst, Kernel, Operand, Reg};
use crate::table::{Access, Lanes, Meaning, Mod, SpecialReg, WARP, Word};
use crate::types::{Kind, ScalarType};

/// A number of each lane without bounds.
pub(super) type Numbers = [i64; WARP];

/// What is known of a register.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exact {
    /// What it holds.
    pub held: Lanes,
    /// What it would hold if nothing wrapped.
    pub number: Numbers,
    /// The sum or product that made it differ.
    pub maker: Option<InstId>,
    /// When it is so.
    pub when: When,
}

/// The condition under which a number is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct When {
    /// In block 0.
    pub of_block: bool,
    /// In the first rounds of the loops that begin with these blocks.
    rounds: [Option<BlockId>; 2],
    /// Not: in more loops than are kept here.
    sure: bool,
}

impl When {
    /// Whenever it is computed.
    pub const ALWAYS: When = When { of_block: false, rounds: [None; 2], sure: true };

    pub fn and(self, other: When) -> When {
        let mut both = When { of_block: self.of_block || other.of_block, sure: self.sure && other.sure, ..self };
        for header in other.rounds.into_iter().flatten().filter(|h| !self.rounds.contains(&Some(*h))) {
            match both.rounds.iter_mut().find(|place| place.is_none()) {
                Some(place) => *place = Some(header),
                None => both.sure = false,
            }
        }
        both
    }

    /// Whether a block is executed then, whenever its loops are entered.
    pub fn comes_to(&self, info: &KernelInfo, b: BlockId) -> bool {
        let after = |header| std::iter::successors(Some(header), |&h| info.cfg.immediate_post_dominator(h));
        self.sure && self.rounds.iter().flatten().all(|&header| after(header).any(|h| h == b))
    }
}

/// Chains of sums are short.
pub(super) const DEPTH: u32 = 32;

impl Exact {
    /// Bits that are what they are.
    fn plain(held: Lanes, signed: bool, when: When) -> Exact {
        let number = held.map(|bits| if signed { i64::from(bits as u32 as i32) } else { bits as i64 });
        Exact { held, number, maker: None, when }
    }

    fn is_zero(&self) -> bool {
        self.number == [0; WARP]
    }
}

/// Follows registers to their numbers.
pub(super) struct Search<'k> {
    pub kernel: &'k Kernel,
    pub info: &'k KernelInfo,
    pub warp: u32,
    known: HashMap<InstId, Option<Exact>>,
}

fn product(a: i64, b: i64) -> i64 {
    (i128::from(a) * i128::from(b)).clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

/// The integer type of 32 bits that all of a form's types are.
pub(super) fn narrow(inst: &Inst) -> Option<ScalarType> {
    let types = || inst.form().mods.iter().filter_map(|m| if let Mod::Ty(ty) = m { Some(*ty) } else { None });
    let last = types().next_back()?;
    let integer = |ty: ScalarType| ty.bits() == 32 && !matches!(ty.kind(), Kind::Float | Kind::Pred);
    types().all(integer).then_some(last)
}

impl<'k> Search<'k> {
    pub fn new(kernel: &'k Kernel, info: &'k KernelInfo, warp: u32) -> Search<'k> {
        Search { kernel, info, warp, known: HashMap::new() }
    }

    /// The definition of a register that an instruction sees, in a loop that of the first round.
    pub fn def(&self, at: InstId, reg: Reg) -> Option<(InstId, When)> {
        let defs = self.info.defuse.reaching(at, reg);
        if defs.iter().any(|d| self.info.defuse.is_guarded(*d)) {
            return None;
        }
        if let [def] = defs {
            return Some((self.info.defuse.inst(*def), When::ALWAYS));
        }
        let mut before = defs.iter().map(|d| self.info.defuse.inst(*d)).filter(|d| self.comes_before(*d, at));
        let (Some(first), None) = (before.next(), before.next()) else { return None };
        let header = self.loop_after(first, at)?;
        // What else writes it does so in the loop, and after the instruction.
        let later = |def: &DefId| {
            let def = self.info.defuse.inst(*def);
            def == first || self.dominates(header, self.block(def)) && !self.leads_to(def, at, header)
        };
        defs.iter().all(later).then_some((first, When { of_block: false, rounds: [Some(header), None], sure: true }))
    }

    fn block(&self, inst: InstId) -> BlockId {
        self.info.cfg.site(inst).0
    }

    /// Whether an instruction lies on every way to another.
    fn comes_before(&self, first: InstId, at: InstId) -> bool {
        let (from, to) = (self.block(first), self.block(at));
        if from == to { first < at } else { self.dominates(from, to) }
    }

    fn dominates(&self, above: BlockId, b: BlockId) -> bool {
        std::iter::successors(Some(b), |&b| self.info.cfg.immediate_dominator(b)).any(|b| b == above)
    }

    /// The first block of the outermost loop that begins after `first` and has `at` in it.
    fn loop_after(&self, first: InstId, at: InstId) -> Option<BlockId> {
        let above = std::iter::successors(Some(self.block(at)), |&b| self.info.cfg.immediate_dominator(b));
        let below = above.take_while(|&b| b != self.block(first));
        let is_header = |&b: &BlockId| self.info.cfg.predecessors(b).any(|p| self.dominates(b, p));
        below.filter(is_header).last()
    }

    /// Whether control leads from after an instruction to another without another round.
    fn leads_to(&self, def: InstId, at: InstId, header: BlockId) -> bool {
        let (mut seen, mut work) = (vec![false; self.info.cfg.len()], vec![self.block(def)]);
        while let Some(b) = work.pop() {
            for next in self.info.cfg.successors(b).filter(|&next| next != header) {
                if next == self.block(at) {
                    return true;
                }
                if !std::mem::replace(&mut seen[next.0 as usize], true) {
                    work.push(next);
                }
            }
        }
        false
    }

    pub fn inst(&self, id: InstId) -> &'k Inst {
        self.info.inst(self.kernel, id)
    }

    /// An operand, read as a number of a type.
    pub fn operand(&mut self, at: InstId, operand: &Operand, signed: bool, depth: u32) -> Option<Exact> {
        match *operand {
            Operand::Reg(r) => self.register(at, r, depth),
            Operand::NotPred(r) => {
                let holds = self.register(at, r, depth)?;
                Some(Exact::plain(holds.held.map(|x| x ^ 1), false, holds.when))
            }
            Operand::Imm(bits) => Some(Exact::plain([bits; WARP], signed, When::ALWAYS)),
            Operand::Special(s) => self.special(s),
            _ => None,
        }
    }

    fn special(&self, s: SpecialReg) -> Option<Exact> {
        let required = self.kernel.bounds.required;
        let thread = |f: fn(u32, [u32; 3]) -> u32| {
            let shape = required.unwrap_or(ROW);
            let number = |lane: usize| self.warp * WARP as u32 + lane as u32;
            Some(Exact::plain(std::array::from_fn(|lane| f(number(lane), shape).into()), false, When::ALWAYS))
        };
        let size = |axis: usize| required.map(|shape| Exact::plain([shape[axis].into(); WARP], false, When::ALWAYS));
        match s {
            SpecialReg::Laneid => thread(|t, _| t % WARP as u32),
            SpecialReg::TidX => thread(|t, [x, ..]| t % x),
            SpecialReg::TidY => thread(|t, [x, y, _]| t / x % y),
            SpecialReg::TidZ => thread(|t, [x, y, _]| t / x / y),
            SpecialReg::NtidX => size(0),
            SpecialReg::NtidY => size(1),
            SpecialReg::NtidZ => size(2),
            SpecialReg::CtaidX | SpecialReg::CtaidY | SpecialReg::CtaidZ => {
                Some(Exact::plain([0; WARP], false, When { of_block: true, ..When::ALWAYS }))
            }
            _ => None,
        }
    }

    fn register(&mut self, at: InstId, reg: Reg, depth: u32) -> Option<Exact> {
        let (def, when) = self.def(at, reg)?;
        if depth == 0 {
            return None;
        }
        let found = match self.known.get(&def) {
            Some(known) => *known,
            None => {
                // Whoever meets it again on the way to itself does not know it.
                self.known.insert(def, None);
                let found = self.made(def, depth - 1);
                self.known.insert(def, found);
                found
            }
        };
        found.map(|exact| Exact { when: exact.when.and(when), ..exact })
    }

    fn made(&mut self, def: InstId, depth: u32) -> Option<Exact> {
        let inst = self.inst(def);
        let form = inst.form();
        if let Some(ty) = narrow(inst) {
            let signed = ty.is_signed();
            let mut nth = |i: usize| self.operand(def, inst.operands.get(i + 1)?, signed, depth);
            match form.word() {
                Word::Copy | Word::Resize { .. } => return nth(0),
                Word::Add => return combined(def, nth(0)?, nth(1)?, ADD),
                Word::Sub => return combined(def, nth(0)?, nth(1)?, SUB),
                Word::Shl => return combined(def, nth(0)?, nth(1)?, SHL),
                Word::Mul => return times(def, nth(0), nth(1)),
                Word::Mad => {
                    let both = times(def, nth(0), nth(1))?;
                    return combined(def, both, nth(2)?, ADD);
                }
                // What wraps on purpose, or not at all, is what it is.
                Word::WideMul { .. }
                | Word::WideMad { .. }
                | Word::Shr { .. }
                | Word::Rebase
                | Word::InWindow
                | Word::Div { .. }
                | Word::Rem { .. }
                | Word::And
                | Word::Or
                | Word::Xor
                | Word::Min { .. }
                | Word::Max { .. }
                | Word::Select
                | Word::Compare { .. }
                | Word::Other => {}
            }
        }
        self.evaluated(def, inst, depth)
    }

    /// The result of anything that a lane computes by itself, from what its sources hold.
    fn evaluated(&mut self, def: InstId, inst: &Inst, depth: u32) -> Option<Exact> {
        let Meaning::Lane(eval) = inst.form().meaning else { return None };
        if inst.form().word().depends_on_machine() {
            return None;
        }
        let (mut sources, mut results, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
        let mut when = When::ALWAYS;
        for (slot, operands) in inst.slots() {
            for operand in operands {
                if slot.access == Access::Read {
                    let source = self.operand(def, operand, false, depth)?;
                    when = when.and(source.when);
                    sources.push(source.held);
                } else {
                    if *operand != Operand::None {
                        wanted.push(results.len());
                    }
                    results.push([0; WARP]);
                }
            }
        }
        eval(&mut results, &sources);
        let [wanted] = wanted[..] else { return None };
        let result = results[wanted];
        let signed = narrow(inst).is_some_and(ScalarType::is_signed);
        Some(Exact::plain(result, signed, when))
    }
}

/// A product; zero times anything is zero.
fn times(at: InstId, a: Option<Exact>, b: Option<Exact>) -> Option<Exact> {
    match (a, b) {
        (Some(a), Some(b)) => combined(at, a, b, MUL),
        (Some(zero), None) | (None, Some(zero)) if zero.is_zero() => Some(zero),
        _ => None,
    }
}

/// An operation without bounds, and as registers do it.
type Both = (fn(i64, i64) -> i64, fn(u32, u32) -> u32);

const ADD: Both = (i64::saturating_add, u32::wrapping_add);
const SUB: Both = (i64::saturating_sub, u32::wrapping_sub);
const MUL: Both = (product, u32::wrapping_mul);
const SHL: Both = (|a, by| product(a, 1 << by.clamp(0, 32)), |a, by| a.checked_shl(by).unwrap_or(0));

/// A result of 32 bits.
fn combined(at: InstId, a: Exact, b: Exact, (f, wrapping): Both) -> Option<Exact> {
    let held: Lanes = std::array::from_fn(|l| wrapping(a.held[l] as u32, b.held[l] as u32).into());
    let fits = |n: i64, held: u64| n == held as i64 || n == i64::from(held as u32 as i32);
    // A source above the middle may be a negative number.
    let below = |n: i64, held: u64| if n == held as i64 { i64::from(held as u32 as i32) } else { n };
    // And a negative number, where it is taken for one without a sign, one above the middle.
    let above = |n: i64, held: u64| if n == i64::from(held as u32 as i32) { held as i64 } else { n };
    let number = std::array::from_fn(|l| {
        let number = f(a.number[l], b.number[l]);
        let signed = f(below(a.number[l], a.held[l]), below(b.number[l], b.held[l]));
        let unsigned = f(above(a.number[l], a.held[l]), above(b.number[l], b.held[l]));
        [number, signed, unsigned].into_iter().find(|n| fits(*n, held[l])).unwrap_or(number)
    });
    let differs = (0..WARP).any(|l| number[l] != held[l] as i64);
    let maker = differs.then(|| a.maker.or(b.maker).unwrap_or(at));
    Some(Exact { held, number, maker, when: a.when.and(b.when) })
}
