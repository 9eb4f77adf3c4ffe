//! Whatever the verifier lets through runs without a panic: every form with
//! arbitrary operands, and arbitrary sequences of the forms with effects.

use ptxgen_builder::interp::{Blocks, Launch, Memory, Options, WarpOrder};
use ptxgen_builder::ir::{
    Address, Base, Block, BlockId, Guard, Inst, Kernel, Module, Operand, Param, Reg, Symbol, Variable,
};
use ptxgen_builder::print::{PrintOptions, print};
use ptxgen_builder::table::{Access, Form, FormId, Meaning, Mod, Op, Shape, Slot, SpecialReg, table};
use ptxgen_builder::target::Target;
use ptxgen_builder::types::{RegClass, ScalarType, Space};
use ptxgen_builder::verify::verify;

/// Registers of each class.
const REGS: u32 = 8;

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % n
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    fn reg(&mut self, class: RegClass) -> Operand {
        Operand::Reg(Reg { class, index: self.below(u64::from(REGS)) as u32 })
    }

    fn address(&mut self, space: Space) -> Operand {
        let register = |class, index| Base::Reg(Reg { class, index });
        let offset = self.pick(&[0, 0, 0, 4, 8, 16, 48, 64, 1, 2, -4, 4096]);
        let base = match (space, self.below(3)) {
            (Space::Shared, 0) => Base::Symbol(Symbol::Kernel(0)),
            (Space::Shared, _) => register(RegClass::B32, self.below(4) as u32),
            (Space::Local, 0) => Base::Symbol(Symbol::Kernel(1)),
            (Space::Local, _) => register(RegClass::B32, 1),
            (Space::Param, _) => Base::Symbol(Symbol::Param(0)),
            (Space::Const, _) => Base::Symbol(Symbol::Module(0)),
            _ => register(RegClass::B64, self.below(4) as u32),
        };
        Operand::Address(Address { base, offset })
    }

    fn operands(&mut self, slot: &Slot, out: &mut Vec<Operand>) {
        if slot.optional && self.below(2) == 0 {
            out.extend((0..slot.width()).map(|_| Operand::None));
            return;
        }
        match slot.shape {
            Shape::Vector { ty, len, .. } => {
                let class = RegClass::of(ty).unwrap_or(RegClass::B64);
                let first = self.below(u64::from(REGS) - u64::from(len) + 1) as u32;
                out.extend((0..u32::from(len)).map(|i| Operand::Reg(Reg { class, index: first + i })));
            }
            Shape::Const { ty, least, most } => {
                let span = (most - least).unsigned_abs().min(16) + 1;
                let value = least + self.below(span) as i64;
                out.push(Operand::Imm(value as u64 & (u64::MAX >> (64 - ty.bits().clamp(1, 64)))));
            }
            Shape::OneOf(_, values) => out.push(Operand::Imm(self.pick(values) as u64)),
            Shape::Address(space) => out.push(self.address(space)),
            Shape::Sink => out.push(Operand::None),
            Shape::Carry => out.push(Operand::Reg(Reg::CARRY)),
            Shape::Label => out.push(Operand::Label(BlockId(1))),
            _ => {
                let ty = slot.ty().unwrap_or(ScalarType::B64);
                let class = RegClass::of(ty).unwrap_or(RegClass::B64);
                let constant = slot.access == Access::Read && ty.bits() > 1 && self.below(3) == 0;
                let bits = u64::MAX >> (64 - ty.bits().clamp(1, 64));
                let takes_constants = !matches!(slot.shape, Shape::Register(_));
                let imm = self.pick(&[0, 1, 2, 8, 16, 31, 32, 64, 255, u64::MAX, 0x8000_0000]);
                out.push(if constant && takes_constants { Operand::Imm(imm & bits) } else { self.reg(class) });
            }
        }
    }

    fn inst(&mut self, form: &Form) -> Inst {
        let mut operands = Vec::new();
        form.slots.iter().for_each(|slot| self.operands(slot, &mut operands));
        let guard = (self.below(4) == 0).then(|| Guard {
            reg: Reg { class: RegClass::Pred, index: self.below(2) as u32 },
            negated: self.below(2) == 0,
        });
        Inst { form: form.id, guard, operands: operands.into(), loc: None }
    }
}

fn find(op: Op, mods: &[Mod]) -> FormId {
    table().find(op, mods).unwrap_or_else(|| panic!("{op} {mods:?}"))
}

fn plain(form: FormId, operands: &[Operand]) -> Inst {
    Inst { form, guard: None, operands: operands.into(), loc: None }
}

/// Inexact values in registers 5 and 6 of each class, and in shared memory: shadows to follow.
fn inexact() -> Vec<Inst> {
    use ScalarType::{B16, B32, B64, F16, F32, F64, U32};
    let reg = |class, index| Operand::Reg(Reg { class, index });
    let ty = |ty| Mod::Ty(ty);
    let shared = |offset| Operand::Address(Address { base: Base::Symbol(Symbol::Kernel(0)), offset });
    let (h, r, rd, f, fd) = (RegClass::B16, RegClass::B32, RegClass::B64, RegClass::F32, RegClass::F64);
    let three = |bits: u64| Operand::Imm(bits);
    vec![
        plain(find(Op::Cvt, &[Mod::Rn, ty(F32), ty(U32)]), &[reg(f, 5), reg(r, 3)]),
        plain(find(Op::Div, &[Mod::Rn, ty(F32)]), &[reg(f, 5), reg(f, 5), three(3f32.to_bits().into())]),
        plain(find(Op::Add, &[Mod::Rn, ty(F32)]), &[reg(f, 6), reg(f, 5), three(1f32.to_bits().into())]),
        plain(find(Op::Cvt, &[ty(F64), ty(F32)]), &[reg(fd, 5), reg(f, 5)]),
        plain(find(Op::Div, &[Mod::Rn, ty(F64)]), &[reg(fd, 6), reg(fd, 5), three(3f64.to_bits())]),
        plain(find(Op::Cvt, &[Mod::Rn, ty(F16), ty(F32)]), &[reg(h, 5), reg(f, 5)]),
        plain(find(Op::Cvt, &[Mod::Rn, ty(F16), ty(F32)]), &[reg(h, 6), reg(f, 6)]),
        plain(find(Op::Mov, &[ty(B32)]), &[reg(r, 5), reg(f, 5)]),
        plain(find(Op::Pack, &[ty(B32)]), &[reg(r, 6), reg(h, 5), reg(h, 6)]),
        plain(find(Op::Mov, &[ty(B64)]), &[reg(rd, 5), reg(fd, 6)]),
        plain(find(Op::Pack, &[ty(B64)]), &[reg(rd, 6), reg(r, 5), reg(r, 6)]),
        plain(find(Op::St, &[Mod::Shared, ty(F32)]), &[shared(64), reg(f, 5)]),
        plain(find(Op::St, &[Mod::Shared, ty(F64)]), &[shared(16), reg(fd, 6)]),
        plain(find(Op::St, &[Mod::Shared, ty(B16)]), &[shared(4), reg(h, 5)]),
    ]
}

/// A kernel with every register set, shared, local and const memory, and these instructions.
fn kernel(body: Vec<Inst>) -> Module {
    let mut k = Kernel::new("k");
    k.params = vec![Param { name: "x".into(), ty: ScalarType::U64, len: None, align: None, pointer: None }];
    k.registers = [REGS; 6];
    let array = |name: &str, space, len| Variable {
        name: name.into(),
        space,
        align: 16,
        ty: ScalarType::B8,
        len: Some(len),
        init: vec![],
        refs: vec![],
        linkage: Default::default(),
    };
    k.variables = vec![array("s", Space::Shared, 512), array("l", Space::Local, 64)];
    let mut first = Vec::new();
    let reg = |class, index| Operand::Reg(Reg { class, index });
    for class in RegClass::ALL {
        let mov = find(Op::Mov, &[Mod::Ty(class.declared())]);
        for index in 0..REGS {
            if class != RegClass::Pred {
                let value = [0, 16, 64, 8, 1, 3, 0x3c00_3c00, 0x7f00_0000_0010][index as usize];
                let bits = u64::MAX >> (64 - class.bits());
                first.push(plain(mov, &[reg(class, index), Operand::Imm(value & bits)]));
            }
        }
    }
    let lane = find(Op::Mov, &[Mod::Ty(ScalarType::U32)]);
    first.push(plain(lane, &[reg(RegClass::B32, 3), Operand::Special(SpecialReg::Laneid)]));
    let load = find(Op::Ld, &[Mod::Param, Mod::Ty(ScalarType::U64)]);
    let param = Address { base: Base::Symbol(Symbol::Param(0)), offset: 0 };
    first.push(plain(load, &[reg(RegClass::B64, 0), Operand::Address(param)]));
    let set = find(Op::Setp, &[Mod::Lt, Mod::Ty(ScalarType::U32)]);
    for index in 0..REGS {
        let width = set.get().width();
        let mut operands = vec![reg(RegClass::Pred, index)];
        operands.extend((3..width).map(|_| Operand::None));
        operands.extend([reg(RegClass::B32, 3), Operand::Imm(u64::from(index) * 16)]);
        first.push(plain(set, &operands));
    }
    first.extend(inexact());
    let branches = body.last().is_some_and(|i| i.form().meaning.ends_block());
    first.extend(body);
    let ret = plain(find(Op::Ret, &[]), &[]);
    if branches {
        k.blocks = vec![Block { insts: first }, Block { insts: vec![ret] }];
    } else {
        first.push(ret);
        k.blocks = vec![Block { insts: first }];
    }
    let constants = array("c", Space::Const, 64);
    Module { variables: vec![constants], kernels: vec![k], ..Module::new(Target::SM_90) }
}

/// Whether the interpreter has what it needs.
fn is_run(form: &Form) -> bool {
    form.is_run() && !matches!(form.meaning, Meaning::Call)
}

/// Whether the verifier let it through; runs it then.
fn try_run(body: Vec<Inst>, order: WarpOrder) -> bool {
    let Ok(module) = verify(kernel(body)) else { return false };
    let options = Options {
        order,
        schedule: Blocks::Interleaved,
        max_steps: 3000,
        count: true,
        perturb: Some(1),
        ..Options::default()
    };
    let go = |measure: bool| {
        let mut memory = Memory::new();
        let x = memory.alloc_uninit(1024, 16).expect("room");
        let launch = Launch {
            module: &module,
            kernel: "k",
            grid: [2, 1, 1],
            block: [48, 1, 1],
            dynamic_shared: 0,
            args: &[x.into()],
            globals: None,
            options: &options,
        };
        let report = match measure {
            true => launch.measure(&mut memory).map(|(report, measured)| {
                assert!(measured.elements.iter().all(|e| e.error.is_finite() && e.error != 0.0), "{measured:?}");
                report
            }),
            false => launch.run(&mut memory),
        };
        // Findings are as welcome as none.
        let report = report.unwrap_or_else(|e| panic!("{e}"));
        let _ = report.to_string();
        (report, memory.read(x).expect("a buffer"))
    };
    // Shadows change nothing.
    assert_eq!(go(false), go(true), "{}", print(&module, &PrintOptions::default()));
    true
}

#[test]
fn every_form_with_arbitrary_operands() {
    let mut random = Random(1);
    let mut missed = Vec::new();
    for form in table().forms().iter().filter(|f| is_run(f)) {
        let mut ran = 0;
        for attempt in 0..12 {
            let order = if attempt % 2 == 0 { WarpOrder::Adversarial } else { WarpOrder::Seeded(attempt) };
            ran += u32::from(try_run(vec![random.inst(form)], order));
            if ran > 1 || ran > 0 && matches!(form.meaning, Meaning::Lane(_)) {
                break;
            }
        }
        if ran == 0 {
            missed.push(&form.name);
        }
    }
    let all = table().forms().len();
    assert!(missed.len() * 10 < all, "{} of {all} forms never passed the verifier: {missed:?}", missed.len());
}

#[test]
fn arbitrary_sequences_with_effects() {
    let forms: Vec<&Form> = table()
        .forms()
        .iter()
        .filter(|f| {
            is_run(f) && !matches!(f.meaning, Meaning::Lane(_) | Meaning::Approx(..)) && !f.meaning.ends_block()
        })
        .collect();
    // Loads, stores and atomics are most of the table; the rest is to come as often.
    let is_rare = |f: &&&Form| !matches!(f.meaning, Meaning::Load(_) | Meaning::Store(_) | Meaning::Atomic(..));
    let rare: Vec<&Form> = forms.iter().filter(is_rare).copied().collect();
    let mut random = Random(2);
    let mut ran = 0;
    for attempt in 0..6000 {
        let n = 1 + random.below(5);
        let from = |random: &mut Random| if random.below(2) == 0 { random.pick(&forms) } else { random.pick(&rare) };
        let body = (0..n).map(|_| from(&mut random)).collect::<Vec<_>>();
        let body = body.into_iter().map(|f| random.inst(f)).collect();
        let order = if attempt % 2 == 0 { WarpOrder::Adversarial } else { WarpOrder::RoundRobin };
        ran += u32::from(try_run(body, order));
    }
    assert!(ran > 500, "only {ran} of 6000 passed the verifier");
}
