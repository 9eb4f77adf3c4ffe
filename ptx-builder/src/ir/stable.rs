//! Stable numbers of registers and labels, which stay the same when other code changes.
//!
//! A register's name is derived from the instruction that defines it first: its opcode with modifiers, its constants
//! and symbols, the classes of its registers, and its ordinal number among equal instructions. So adding or removing an
//! instruction renames only its own result and the results of equal instructions after it, and a diff of two texts
//! shows what changed. Labels are named in the same way, after their block's first instruction.
//!
//! Each register keeps its own number, so the text has one definition where the IR has one. `ptxas` generates the same
//! machine code from it, byte for byte.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Address, Base, Inst, Kernel, Module, Operand, Reg, Symbol};

/// Numbers come from the first 8, then 16, 32, ...; so most are small.
const FIRST_RANGE: u32 = 8;

/// Larger ranges would declare more registers than the verifier allows.
const LAST_RANGE: u32 = 1 << 19;

/// Attempts in each range. More attempts give smaller numbers, but more of them change when an instruction is added.
const DRAWS: u64 = 3;

/// Assigns numbers, each once.
#[derive(Default)]
pub(crate) struct Numbers {
    taken: HashSet<u32>,
    /// The number of assignments for each kind.
    given: HashMap<Kind, u64>,
    /// No number below this is free; used if all attempts failed.
    full: u32,
}

impl Numbers {
    /// The next number for this kind.
    pub fn next(&mut self, kind: Kind) -> u32 {
        let given = self.given.entry(kind).or_default();
        let this = mix(kind.0 ^ mix(*given));
        *given += 1;
        let mut range = FIRST_RANGE;
        while range <= LAST_RANGE {
            for draw in 0..DRAWS {
                let number = (mix(this ^ u64::from(range) << 8 ^ draw) % u64::from(range)) as u32;
                if self.taken.insert(number) {
                    return number;
                }
            }
            range *= 2;
        }
        while !self.taken.insert(self.full) {
            self.full += 1;
        }
        self.full
    }
}

/// A fingerprint without numbers: FNV-1a of the text, which is the same on every machine and with every compiler.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Kind(u64);

impl Kind {
    /// The empty fingerprint.
    pub const EMPTY: Kind = Kind(0);

    fn new(text: &str) -> Kind {
        Kind(0xcbf2_9ce4_8422_2325).and(text)
    }

    fn and(self, text: &str) -> Kind {
        // The end of the text is included, so that "a", "bc" differs from "ab", "c".
        let bytes = text.bytes().chain([0xff]);
        Kind(bytes.fold(self.0, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)))
    }

    fn and_number(self, number: u64) -> Kind {
        Kind(mix(self.0 ^ mix(number)))
    }

    /// An instruction's fingerprint: everything except register numbers and labels.
    pub fn of(kernel: &Kernel, inst: &Inst) -> Kind {
        let guard = inst.guard.map_or("", |g| if g.negated { "@!" } else { "@" });
        let kind = Kind::new(&inst.form().name).and(guard);
        inst.operands.iter().fold(kind, |kind, operand| match *operand {
            Operand::Reg(r) => kind.and(r.class.prefix()),
            Operand::NotPred(_) => kind.and("!"),
            Operand::Imm(bits) => kind.and("#").and_number(bits),
            Operand::Special(special) => kind.and(&special.to_string()),
            Operand::Symbol(symbol, offset) => kind.and_symbol(kernel, symbol).and_number(offset as u64),
            Operand::Address(Address { base, offset }) => {
                let kind = match base {
                    Base::Reg(r) => kind.and("[").and(r.class.prefix()),
                    Base::Symbol(symbol) => kind.and("[").and_symbol(kernel, symbol),
                };
                kind.and_number(offset as u64)
            }
            Operand::Label(_) => kind.and("$"),
            Operand::Text(i) => kind.and(kernel.texts.get(i as usize).map_or("", |t| t.text.as_str())),
            Operand::Function(i) => kind.and("()").and_number(u64::from(i)),
            Operand::None => kind.and("_"),
        })
    }

    fn and_symbol(self, kernel: &Kernel, symbol: Symbol) -> Kind {
        match symbol {
            // The builder's prefix of a parameter is the kernel's name, which may contain sizes.
            Symbol::Param(i) => match kernel.params.get(i as usize) {
                Some(param) => self.and(param.name.strip_prefix(kernel.name.as_str()).unwrap_or(&param.name)),
                None => self.and("param"),
            },
            Symbol::Kernel(i) => self.and(kernel.variables.get(i as usize).map_or("kernel", |v| &v.name)),
            Symbol::Module(i) => self.and("module").and_number(u64::from(i)),
        }
    }
}

/// The finalizer of SplitMix64.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

impl Module {
    /// [`Kernel::renumber`] for every kernel.
    pub fn renumber(&mut self) {
        self.kernels.iter_mut().for_each(Kernel::renumber);
    }
}

impl Kernel {
    /// Renumbers the registers so that a change of one instruction changes few numbers. Each number is derived from the
    /// instruction that defines the register first. Unused registers are removed. A kernel that uses undeclared
    /// registers stays unchanged, for the verifier to report.
    pub fn renumber(&mut self) {
        let declared = self.registers;
        let mut all: Vec<Reg> = Vec::new();
        for (_, _, inst) in self.insts() {
            all.extend(registers(&mut inst.clone()).map(|r| *r));
        }
        if all.iter().any(|r| r.index >= declared[r.class as usize]) {
            return;
        }
        let mut numbers: [Numbers; 6] = Default::default();
        let mut new: HashMap<Reg, Reg> = HashMap::with_capacity(all.len());
        let mut number = |reg: Reg, kind: Kind| {
            let next = || Reg { class: reg.class, index: numbers[reg.class as usize].next(kind) };
            new.entry(reg).or_insert_with(next);
        };
        for (_, _, inst) in self.insts() {
            let kind = Kind::of(self, inst);
            inst.defs().enumerate().for_each(|(i, reg)| number(reg, kind.and_number(i as u64)));
        }
        all.into_iter().for_each(|reg| number(reg, Kind::new("undefined")));

        self.registers = [0; 6];
        for reg in new.values() {
            let count = &mut self.registers[reg.class as usize];
            *count = (*count).max(reg.index + 1);
        }
        for inst in self.blocks.iter_mut().flat_map(|b| &mut b.insts) {
            for reg in registers(inst) {
                *reg = new.get(reg).copied().unwrap_or(*reg);
            }
        }
        let names = std::mem::take(&mut self.names);
        self.names =
            names.into_iter().filter_map(|(reg, name)| Some((*new.get(&reg)?, name))).collect::<BTreeMap<_, _>>();
    }
}

/// Every register of an instruction, in its form's slots or beyond.
pub(crate) fn registers(inst: &mut Inst) -> impl Iterator<Item = &mut Reg> {
    let guard = inst.guard.as_mut().map(|g| &mut g.reg);
    guard.into_iter().chain(inst.operands.iter_mut().filter_map(|operand| match operand {
        Operand::Reg(r) | Operand::NotPred(r) | Operand::Address(Address { base: Base::Reg(r), .. }) => Some(r),
        _ => None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_small_and_given_once() {
        let mut numbers = Numbers::default();
        let given: Vec<u32> = (0..1000).map(|_| numbers.next(Kind::new("add.f32"))).collect();
        assert_eq!(given.iter().collect::<HashSet<_>>().len(), 1000);
        assert!(*given.iter().max().unwrap() < 1 << 13, "{given:?}");
    }

    #[test]
    fn kinds_differ_where_texts_do() {
        assert!(Kind::new("a").and("bc") != Kind::new("ab").and("c"));
        assert!(Kind::new("a").and_number(1) != Kind::new("a").and_number(2));
    }
}
