//! What is known of values holds of what the interpreter computes, and the
//! optimizer changes none of it: for every form of the table that computes on
//! a lane, with sources that are the same in a block, a warp or nowhere, whose
//! low bits are known or not, that are addresses or numbers.

use super::ranges::Ranges;
use super::value::low;
use super::{Origin, Value};
use crate::interp::{Arg, Launch, Memory, Options};
use crate::ir::{Inst, Module, Operand, Reg, Symbol};
use crate::opt::{OptOptions, optimize};
use crate::table::{Access, Form, Meaning, Shape, Slot, SpecialReg, table};
use crate::target::Target;
use crate::testing::Random;
use crate::types::{RegClass, ScalarType};
use crate::verify::testing::{K, at, imm};
use crate::verify::{Validated, verify};

/// Threads of a block at most.
const THREADS: usize = 64;
/// The shapes of blocks that are tried; the last without saying so.
const SHAPES: [[u32; 3]; 5] = [[64, 1, 1], [32, 2, 1], [8, 8, 1], [48, 1, 1], [64, 1, 1]];

/// A kernel that computes, and stores all that it computed.
struct Trial {
    k: K,
    random: Random,
    /// What holds a value, each with one definition.
    made: Vec<Reg>,
    array: Symbol,
}

impl Trial {
    fn new(seed: u64) -> Trial {
        let mut k = K::on(Target::TESTED[Target::TESTED.len() - 1]);
        k.pointer("out", 16);
        k.kernel.params.push(crate::ir::Param {
            name: "n".to_owned(),
            ty: ScalarType::U32,
            len: None,
            align: None,
            pointer: None,
        });
        let array = k.shared("array", 256, 32);
        let mut trial = Trial { k, random: Random::new(seed), made: Vec::new(), array };
        trial.sources();
        trial
    }

    fn below(&mut self, n: usize) -> usize {
        self.random.below(n as u64) as usize
    }

    /// A new register with what an instruction makes of these.
    fn make(&mut self, class: RegClass, name: &str, sources: &[Operand]) -> Reg {
        let reg = self.k.reg(class);
        self.k.i(name, &[&[reg.into()], sources].concat());
        self.made.push(reg);
        reg
    }

    fn any(&mut self, wanted: impl Fn(RegClass) -> bool) -> Option<Reg> {
        let all: Vec<Reg> = self.made.iter().copied().filter(|r| wanted(r.class)).collect();
        (!all.is_empty()).then(|| all[self.below(all.len())])
    }

    fn word(&mut self) -> Operand {
        self.any(|c| c == RegClass::B32).expect("the first are words").into()
    }

    fn small(&mut self) -> Operand {
        let all =
            [0, 1, 2, 3, 4, 5, 7, 8, 16, 31, 32, 48, 63, 64, 0x80, 0xffff_ffe0, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
        imm(all[self.below(all.len())])
    }

    /// Values of each class, of which different things are known.
    fn sources(&mut self) {
        use RegClass::{B16, B32, B64, F32, F64, Pred};
        for special in
            [SpecialReg::TidX, SpecialReg::TidY, SpecialReg::Laneid, SpecialReg::NtidX, SpecialReg::LanemaskLt]
        {
            self.make(B32, "mov.u32", &[Operand::Special(special)]);
        }
        self.make(B32, "ld.param.u32", &[at(Symbol::Param(1), 0)]);
        let out = self.make(B64, "ld.param.u64", &[at(Symbol::Param(0), 0)]);
        self.make(B32, "mov.u32", &[Operand::Symbol(self.array, 0)]);
        let array = self.make(B64, "mov.u64", &[Operand::Symbol(self.array, 0)]);
        let generic = self.make(B64, "cvta.shared.u64", &[array.into()]);
        for _ in 0..8 {
            let names =
                ["add.u32", "sub.u32", "and.b32", "or.b32", "xor.b32", "mul.lo.u32", "shl.b32", "shr.u32", "shr.s32"];
            let name = names[self.below(names.len())];
            let (a, b) = (self.word(), if self.below(4) == 0 { self.word() } else { self.small() });
            self.make(B32, name, &[a, b]);
        }
        for name in ["cvt.u64.u32", "cvt.s64.s32", "cvt.u64.u32", "cvt.u16.u32", "cvt.s8.s32", "cvt.u8.u32"] {
            let a = self.word();
            let class = if name.starts_with("cvt.u64") || name.starts_with("cvt.s64") { B64 } else { B16 };
            self.make(class, name, &[a]);
        }
        for start in [array, generic, out] {
            let (a, scale) = (self.word(), self.small());
            let far = self.make(B64, "mul.wide.u32", &[a, scale]);
            self.make(B64, "add.u64", &[start.into(), far.into()]);
            let near = self.small();
            self.make(B64, "add.u64", &[start.into(), near]);
        }
        for name in ["setp.lt.u32", "setp.ge.s32", "setp.eq.u32", "setp.le.s32"] {
            let (a, b) = (self.word(), self.small());
            let p = self.k.reg(Pred);
            self.k.i(name, &[p.into(), Operand::None, a, b]);
            self.made.push(p);
        }
        for (class, name) in
            [(F32, "cvt.rn.f32.s32"), (F64, "cvt.rn.f64.s32"), (F32, "mov.b32"), (F32, "cvt.rn.f32.u32")]
        {
            let a = self.word();
            self.make(class, name, &[a]);
        }
    }

    fn mask(ty: ScalarType) -> u64 {
        low(ty.bits())
    }

    fn constant(&mut self, ty: ScalarType) -> u64 {
        let all = Trial::mask(ty);
        let edges = [0, 1, 2, 4, 31, 32, all, all - 1, all >> 1, (all >> 1) + 1];
        match self.below(4) {
            0 => self.random.bits() & all,
            // Small divisors and masks: whatever is left over comes up.
            3 => (2 + self.random.bits() % 8) & all,
            1 => (1 << (self.random.bits() % 64)) & all,
            _ => edges[self.below(edges.len())] & all,
        }
    }

    fn source(&mut self, slot: &Slot) -> Option<Operand> {
        let literal = |ty: ScalarType| ty != ScalarType::Pred && ty.has_constants();
        let is_constant = self.below(3) == 0;
        match slot.shape {
            Shape::Const { ty, least, most } => {
                let value = least.wrapping_add_unsigned(self.random.bits() % (most.abs_diff(least) + 1));
                Some(imm(value as u64 & Trial::mask(ty)))
            }
            Shape::OneOf(ty, values) => Some(imm(values[self.below(values.len())] as u64 & Trial::mask(ty))),
            Shape::Small { most, .. } if is_constant => Some(imm(self.random.bits() % (u64::from(most) + 1))),
            Shape::Predicate(negatable) => {
                let p = self.any(|c| c == RegClass::Pred)?;
                Some(if negatable && is_constant { Operand::NotPred(p) } else { p.into() })
            }
            Shape::Value(ty) | Shape::Wide(ty) | Shape::Move(ty) if is_constant && literal(ty) => {
                Some(imm(self.constant(ty)))
            }
            Shape::Address(_) | Shape::Label => None,
            _ => {
                let ty = slot.ty()?;
                let wide = matches!(slot.shape, Shape::Wide(_) | Shape::Vector { relaxed: true, .. });
                self.any(|class| class.accepts(ty, wide)).map(Operand::Reg)
            }
        }
    }

    /// An instruction of a form; nothing where no register fits.
    fn instruction(&mut self, form: &'static Form) -> Option<()> {
        let mut operands = Vec::new();
        let mut results = Vec::new();
        for slot in &form.slots {
            if slot.optional && self.below(2) == 0 {
                operands.push(Operand::None);
                continue;
            }
            for _ in 0..slot.width() {
                if slot.access == Access::Read {
                    operands.push(self.source(slot)?);
                    continue;
                }
                let (ty, wide) = (slot.ty()?, matches!(slot.shape, Shape::Wide(_)));
                let classes: Vec<_> = RegClass::ALL.into_iter().filter(|c| c.accepts(ty, wide)).collect();
                let class = classes[self.below(classes.len())];
                let reg = self.k.reg(class);
                results.push(reg);
                operands.push(reg.into());
            }
        }
        // Two sources are the same now and then: what a - a is, is known.
        if let [.., a @ Operand::Reg(_), b @ Operand::Reg(_)] = &mut operands[..]
            && form.slots.len() == 3
            && self.random.bits().is_multiple_of(4)
            && form.slots[1].shape == form.slots[2].shape
        {
            *b = *a;
        }
        let inst = Inst { form: form.id, guard: None, operands: operands.into(), loc: None };
        self.k.kernel.blocks[0].insts.push(inst);
        self.made.extend(results);
        Some(())
    }

    /// The module, which stores what it made: a row of 8 bytes each for every thread.
    fn finish(mut self, shape: [u32; 3], is_required: bool) -> (Module, Vec<Reg>) {
        let made = std::mem::take(&mut self.made);
        self.k.kernel.bounds.required = is_required.then_some(shape);
        let [x, y, wide, thread] = self.k.regs(RegClass::B32);
        let [out, to, far] = self.k.regs(RegClass::B64);
        self.k.i("mov.u32", &[x.into(), Operand::Special(SpecialReg::TidX)]);
        self.k.i("mov.u32", &[y.into(), Operand::Special(SpecialReg::TidY)]);
        self.k.i("mov.u32", &[wide.into(), Operand::Special(SpecialReg::NtidX)]);
        self.k.i("mad.lo.u32", &[thread.into(), y.into(), wide.into(), x.into()]);
        self.k.i("mul.wide.u32", &[far.into(), thread.into(), imm(made.len() as u64 * 8)]);
        self.k.i("ld.param.u64", &[out.into(), at(Symbol::Param(0), 0)]);
        self.k.i("add.u64", &[to.into(), out.into(), far.into()]);
        for (i, &reg) in made.iter().enumerate() {
            let place = at(to, i as i32 * 8);
            if reg.class == RegClass::Pred {
                let bit = self.k.reg(RegClass::B32);
                self.k.i("selp.b32", &[bit.into(), imm(1), imm(0), reg.into()]);
                self.k.i("st.global.b32", &[place, bit.into()]);
            } else {
                self.k.i(&format!("st.global.{}", reg.class.declared()), &[place, reg.into()]);
            }
        }
        self.k.i("ret", &[]);
        self.k.module.kernels.push(self.k.kernel);
        (self.k.module, made)
    }
}

/// The value of each register in each thread, and the address of the output.
fn run(module: &Validated, shape: [u32; 3], registers: usize) -> (Vec<Vec<u64>>, u64) {
    let mut memory = Memory::new();
    let threads = shape.iter().product::<u32>() as usize;
    let out = memory.alloc(&vec![0; threads * registers * 8], 16).expect("a buffer");
    let args = [Arg::from(out), Arg::bytes(&77u32.to_le_bytes())];
    let launch = Launch {
        module,
        kernel: "k",
        grid: [1, 1, 1],
        block: shape,
        dynamic_shared: 0,
        args: &args,
        globals: None,
        options: &Options::default(),
    };
    let report = launch.run(&mut memory).unwrap_or_else(|e| panic!("{e}"));
    assert!(report.is_clean(), "{report}");
    let bytes = memory.read(out).expect("it is there");
    let (words, _) = bytes.as_chunks::<8>();
    let of = |r: usize| (0..threads).map(|t| u64::from_le_bytes(words[t * registers + r])).collect();
    ((0..registers).map(of).collect(), out.address)
}

/// What is wrong with what is known of a value, given what it was.
fn wrong(known: Value, was: &[u64], bits: u32, start: impl Fn(Origin) -> u64) -> Option<String> {
    let differ = |a: usize, b: usize, may: u64| (was[a] ^ was[b]) & low(bits) & !may != 0;
    for t in 0..was.len() {
        let first = t / 32 * 32;
        if differ(t, first, known.lane_bits) {
            return Some(format!("threads {first} and {t} have {:x} and {:x}", was[first], was[t]));
        }
        if differ(t, t % 32, known.warp_bits) {
            return Some(format!("threads {} and {t} have {:x} and {:x}", t % 32, was[t % 32], was[t]));
        }
        let number = known.number();
        let settled = low(u32::from(number.known)) & low(bits);
        if was[t] & settled != number.residue & settled {
            return Some(format!("thread {t} has {:x}", was[t]));
        }
        if let (Some(origin), Some(offset)) = (known.origin, known.offset())
            && (was[t].wrapping_sub(start(origin)) ^ offset as u64) as u32 != 0
        {
            return Some(format!("thread {t} is {:x} from the start", was[t].wrapping_sub(start(origin))));
        }
    }
    None
}

fn check(module: Module, made: &[Reg], shape: [u32; 3]) -> Vec<String> {
    let module = verify(module).unwrap_or_else(|e| panic!("{e}"));
    let (was, out) = run(&module, shape, made.len());
    let (kernel, info) = (&module.module().kernels[0], module.info(0));
    let ranges = Ranges::new(kernel, &info.cfg, &info.defuse);
    let mut faults = Vec::new();
    // Made as the seventh and eighth of all.
    let start = |origin| match origin {
        Origin::Pointer(_) => out,
        Origin::Symbol(_) => was[7][0],
    };
    let text = |reg: &Reg| {
        let def = info.defuse.defs_of(*reg)[0];
        crate::print::inst(module.module(), kernel, info.inst(kernel, info.defuse.inst(def)))
    };
    for (reg, was) in made.iter().zip(&was) {
        let &[def] = info.defuse.defs_of(*reg) else { panic!("{reg} has one definition") };
        let (known, range) = (info.uniformity.of(def), ranges.of_def(def));
        if let Some(what) = wrong(known, was, reg.class.bits(), start) {
            faults.push(format!("{}: {what}, known is {known:x?}", text(reg)));
        }
        if let Some(v) = was.iter().find(|&&v| v > range.most || v & low(range.zeros) != 0) {
            faults.push(format!("{}: a value of {v:x} is not in {range:x?}", text(reg)));
        }
    }
    let optimized = verify(optimize(module.module().clone(), &OptOptions::ALL)).unwrap_or_else(|e| panic!("{e}"));
    let (now, there) = run(&optimized, shape, made.len());
    assert_eq!(out, there, "addresses are the same on every run");
    for ((reg, was), now) in made.iter().zip(&was).zip(&now) {
        if was != now {
            faults.push(format!("{}: optimized, it gives {now:x?} and not {was:x?}", text(reg)));
        }
    }
    faults
}

/// Forms that compute on a lane, several to a kernel; as many kernels of each as `turns` says.
fn try_all(turns: u64) -> usize {
    let target = Target::TESTED[Target::TESTED.len() - 1];
    let computes = |f: &&Form| matches!(f.meaning, Meaning::Lane(_) | Meaning::Approx(..)) && f.is_legal_on(target);
    // A chain of carries is no function of what is written, and an address is none of a register alone.
    let chained = |f: &&Form| f.slots.iter().any(|s| matches!(s.shape, Shape::Carry | Shape::Address(_)));
    let forms: Vec<&'static Form> = table().forms().iter().filter(|f| computes(f) && !chained(f)).collect();
    let (mut faults, mut tried) = (Vec::new(), std::collections::HashSet::new());
    for turn in 0..turns {
        for (i, few) in forms.chunks(12).enumerate() {
            let mut trial = Trial::new((turn << 20) | (i as u64 + 1));
            for form in few {
                if trial.instruction(form).is_some() {
                    tried.insert(form.id);
                }
            }
            let which = trial.below(SHAPES.len());
            let shape = SHAPES[which];
            assert!(shape.iter().product::<u32>() as usize <= THREADS);
            let (module, made) = trial.finish(shape, which + 1 < SHAPES.len());
            faults.extend(check(module, &made, shape));
        }
    }
    let missing: Vec<&str> = forms.iter().filter(|f| !tried.contains(&f.id)).map(|f| f.name.as_str()).collect();
    assert!(missing.is_empty(), "never tried: {missing:?}");
    faults.sort();
    faults.dedup_by_key(|f| f.split(' ').next().map(str::to_owned));
    assert!(faults.is_empty(), "{} kinds:\n{}", faults.len(), faults[..faults.len().min(40)].join("\n"));
    forms.len()
}

#[test]
fn what_is_known_of_values_holds() {
    assert!(try_all(25) > 1000);
}
