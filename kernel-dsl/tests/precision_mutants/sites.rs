//! Where a value can be changed: the edges between float sums and the outputs.
//!
//! This is followed here once more, without the analysis that is under test, by register names and
//! by the arrays that addresses are made of. It is finer than it has to be in what it leaves out:
//! an address of unknown origin leads nowhere, so that every site is one whose value does reach an
//! output as a number.

use std::collections::{HashMap, HashSet};

use ptxgen_builder::analysis::precision::Role;
use ptxgen_builder::ir::{Base, Inst, Kernel, Operand, Reg, Symbol};
use ptxgen_builder::table::{Access, Op, Shape};
use ptxgen_builder::types::{Kind, RegClass, ScalarType};

use crate::snippet::Of;

/// Where the changed value is seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// By all, from the instruction that sums on.
    Definition,
    /// By this operand.
    Use(usize),
}

/// An edge between a sum and an output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Site {
    pub block: usize,
    pub inst: usize,
    pub place: Place,
    pub reg: Reg,
    pub of: Of,
    /// Whether more than f32 of it can reach an output: it is not narrowed next, by all that use it.
    pub wide: bool,
}

/// A set of arrays and parameters, a bit for each.
type Arrays = u64;

/// What an instruction is to numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Does {
    /// Rounds what it computes.
    Rounds,
    /// Gives its operands' bits on, or one of them.
    Moves,
    /// Converts a float to a narrower float or an integer.
    Narrows {
        to_f32: bool,
    },
    /// Makes a float of a narrower float or an integer.
    Widens,
    Loads(Arrays),
    Stores(Arrays),
    /// Gives no number on that this follows.
    Other,
}

struct Line<'k> {
    block: usize,
    at: usize,
    inst: &'k Inst,
    does: Does,
    defs: Vec<Reg>,
    /// Operands that are numbers.
    numbers: Vec<(usize, Reg)>,
}

fn is_float(ty: ScalarType) -> bool {
    ty.kind() == Kind::Float
}

/// The types written in an instruction's name, as in `cvt.rn.f32.f64`.
fn types(name: &str) -> Vec<ScalarType> {
    name.split('.').filter_map(ScalarType::from_name).collect()
}

fn bit(symbol: Symbol) -> Arrays {
    1 << match symbol {
        Symbol::Param(i) => i % 24,
        Symbol::Kernel(i) => 24 + i % 24,
        Symbol::Module(i) => 48 + i % 16,
    }
}

/// Which arrays' addresses a register may be made of.
fn origins(kernel: &Kernel) -> HashMap<Reg, Arrays> {
    let mut of: HashMap<Reg, Arrays> = HashMap::new();
    loop {
        let before: u32 = of.values().map(|m| m.count_ones()).sum();
        for (_, _, inst) in kernel.insts() {
            let name = &inst.form().name;
            if name.starts_with("ld.") && !name.starts_with("ld.param") {
                continue;
            }
            let arrays = inst.operands.iter().fold(0, |all, operand| all | origin(operand, &of));
            for d in inst.defs().filter(|d| matches!(d.class, RegClass::B32 | RegClass::B64)) {
                *of.entry(d).or_default() |= arrays;
            }
        }
        if of.values().map(|m| m.count_ones()).sum::<u32>() == before {
            return of;
        }
    }
}

fn origin(operand: &Operand, of: &HashMap<Reg, Arrays>) -> Arrays {
    match *operand {
        Operand::Reg(r) => of.get(&r).copied().unwrap_or(0),
        Operand::Symbol(s, _) => bit(s),
        Operand::Address(a) => match a.base {
            Base::Reg(r) => of.get(&r).copied().unwrap_or(0),
            Base::Symbol(s) => bit(s),
        },
        _ => 0,
    }
}

fn does(inst: &Inst, of: &HashMap<Reg, Arrays>) -> Does {
    let form = inst.form();
    let address = || inst.operands.iter().find(|o| matches!(o, Operand::Address(_))).map_or(0, |o| origin(o, of));
    let types = types(&form.name);
    let float = types.last().is_some_and(|&t| is_float(t));
    match form.op {
        Op::Ld if !form.name.starts_with("ld.param") => Does::Loads(address()),
        Op::St => Does::Stores(address()),
        Op::Cvt => match types[..] {
            [to, from] if is_float(to) && (!is_float(from) || to.bits() > from.bits()) => Does::Widens,
            [to, from] if is_float(from) && (to != from) => Does::Narrows { to_f32: to == ScalarType::F32 },
            _ => Does::Other,
        },
        Op::Mov | Op::Pack | Op::Unpack | Op::Selp => Does::Moves,
        Op::ShflSync => Does::Moves,
        Op::Neg | Op::Abs | Op::Min | Op::Max if float => Does::Moves,
        Op::Add
        | Op::Sub
        | Op::Mul
        | Op::Fma
        | Op::Mad
        | Op::Div
        | Op::Rcp
        | Op::Sqrt
        | Op::Rsqrt
        | Op::Ex2
        | Op::Lg2
            if float =>
        {
            Does::Rounds
        }
        _ => Does::Other,
    }
}

fn lines<'k>(kernel: &'k Kernel, of: &HashMap<Reg, Arrays>) -> Vec<Line<'k>> {
    let line = |block: usize, at: usize, inst: &'k Inst| {
        let mut numbers = Vec::new();
        let mut next = 0;
        for (slot, operands) in inst.slots() {
            let number = slot.access == Access::Read
                && !matches!(slot.shape, Shape::Address(_) | Shape::Predicate(_) | Shape::Label)
                && (inst.form().op != Op::ShflSync || slot.name == "a");
            for operand in operands {
                if let (true, Operand::Reg(r)) = (number && next < inst.operands.len(), operand) {
                    numbers.push((next, *r));
                }
                next += 1;
            }
        }
        Line { block, at, inst, does: does(inst, of), defs: inst.defs().collect(), numbers }
    };
    kernel.insts().map(|(b, i, inst)| line(b.0 as usize, i, inst)).collect()
}

/// Registers and arrays that a property has spread to.
#[derive(Default)]
struct Reached {
    regs: HashSet<Reg>,
    arrays: Arrays,
}

impl Reached {
    fn any(&self, regs: &[Reg]) -> bool {
        regs.iter().any(|r| self.regs.contains(r))
    }

    fn size(&self) -> usize {
        self.regs.len() + self.arrays.count_ones() as usize
    }

    /// Spreads until nothing changes.
    fn settle(mut self, lines: &[Line<'_>], step: impl Fn(&mut Reached, &Line<'_>)) -> Reached {
        loop {
            let before = self.size();
            lines.iter().for_each(|line| step(&mut self, line));
            if self.size() == before {
                return self;
            }
        }
    }

    /// From results to sources.
    fn back(&mut self, line: &Line<'_>, moves: impl Fn(Does) -> bool) {
        let wanted = match line.does {
            Does::Stores(to) => to & self.arrays != 0,
            Does::Loads(from) => {
                if self.any(&line.defs) {
                    self.arrays |= from;
                }
                false
            }
            does => moves(does) && self.any(&line.defs),
        };
        if wanted {
            self.regs.extend(line.numbers.iter().map(|(_, r)| *r));
        }
    }

    /// From sources to results.
    fn on(&mut self, line: &Line<'_>, moves: impl Fn(Does) -> bool) {
        let has = line.numbers.iter().any(|(_, r)| self.regs.contains(r));
        match line.does {
            Does::Stores(to) if has => self.arrays |= to,
            Does::Loads(from) if from & self.arrays != 0 => self.regs.extend(&line.defs),
            does if has && moves(does) => self.regs.extend(&line.defs),
            _ => {}
        }
    }
}

/// Every edge between a float sum and an output of the kernel.
pub fn sites(kernel: &Kernel, roles: &[Role]) -> Vec<Site> {
    let of = origins(kernel);
    let lines = lines(kernel, &of);
    let outputs: Arrays = (0..)
        .zip(roles)
        .filter(|(_, r)| matches!(r, Role::Output | Role::InPlace))
        .map(|(i, _)| bit(Symbol::Param(i)))
        .sum();
    let is_output = |line: &Line<'_>| matches!(line.does, Does::Stores(to) if to & outputs != 0);
    let float = |r: &Reg| matches!(r.class, RegClass::F32 | RegClass::F64);
    // What reaches an output as a number.
    let number = |does| !matches!(does, Does::Other);
    let reaches = Reached::default().settle(&lines, |now, line| {
        if is_output(line) {
            now.regs.extend(line.numbers.iter().map(|(_, r)| *r));
        }
        now.back(line, number);
    });
    // Of that, what reaches one in full, or a computation in full.
    let full = |narrowed: bool| {
        let moves = move |does| {
            matches!(does, Does::Moves | Does::Widens) || narrowed && does == Does::Narrows { to_f32: true }
        };
        Reached::default().settle(&lines, |now, line| {
            let computes = line.does == Does::Rounds && reaches.any(&line.defs);
            if computes || is_output(line) {
                now.regs.extend(line.numbers.iter().map(|(_, r)| *r));
            }
            now.back(line, moves);
        })
    };
    let (wide, as_f32) = (full(false), full(true));
    let sums = |line: &Line<'_>| {
        line.does == Does::Rounds && matches!(line.inst.form().op, Op::Add | Op::Sub | Op::Fma | Op::Mad)
    };
    let summed = Reached::default().settle(&lines, |now, line| {
        if sums(line) {
            now.regs.extend(&line.defs);
        }
        now.on(line, number);
    });
    // What has fewer bits than its type, so that taking some away may change nothing.
    let short = Reached::default().settle(&lines, |now, line| {
        if line.does == Does::Widens {
            now.regs.extend(&line.defs);
        }
        now.on(line, |does| does == Does::Moves);
    });
    let mut found = Vec::new();
    for line in &lines {
        // Whether what is put in here is seen by someone in full.
        let seen = |by: &Reached| match line.does {
            Does::Rounds => reaches.any(&line.defs),
            Does::Stores(to) => to & (outputs | by.arrays) != 0,
            Does::Moves | Does::Widens => by.any(&line.defs),
            _ => false,
        };
        let mut add = |place, reg: Reg, seen: bool, wide: bool| {
            let of = if reg.class == RegClass::F32 { Of::F32 } else { Of::F64 };
            if seen && float(&reg) && summed.regs.contains(&reg) && !short.regs.contains(&reg) {
                found.push(Site { block: line.block, inst: line.at, place, reg, of, wide });
            }
        };
        for &(operand, reg) in &line.numbers {
            add(Place::Use(operand), reg, seen(&as_f32), seen(&wide));
        }
        if sums(line) {
            for &reg in &line.defs {
                add(Place::Definition, reg, as_f32.regs.contains(&reg), wide.regs.contains(&reg));
            }
        }
    }
    found
}
