//! The limits of declarations and operands, and the errors beyond them, as tables in `tests/limits`.

use std::fmt::Write;

use super::Rule;
use super::testing::{K, at, imm};
use crate::ir::{BlockId, Linkage, Operand, Param, Reg, Symbol, Variable};
use crate::table::{SpecialReg, table};
use crate::target::Target;
use crate::types::{RegClass, ScalarType, Space};

fn is_golden(name: &str, text: &str) {
    crate::assert_golden!(format!("tests/limits/{name}.txt"), text);
}

/// What is said of a kernel that nothing is wrong with but what `change` does.
fn said(change: impl FnOnce(&mut K)) -> String {
    let mut k = K::new();
    k.i("ret", &[]);
    change(&mut k);
    match k.verify() {
        Ok(_) => "  is taken\n".to_owned(),
        Err(errors) => errors.iter().fold(String::new(), |text, e| text + "  " + &e.message + "\n"),
    }
}

fn variable(name: &str, space: Space, ty: ScalarType, len: Option<u64>) -> Variable {
    Variable {
        name: name.into(),
        space,
        align: ty.bytes().max(1),
        ty,
        len,
        init: vec![],
        refs: vec![],
        linkage: Linkage::Internal,
    }
}

#[test]
fn of_declarations() {
    let mut text = String::new();
    let mut show = |what: String, said: String| text += &format!("{what}\n{said}");
    for name in [
        "a", "_", "$", "_a", "$a", "1a", "a1", "a-b", "a$_b", "", "é", "aé", "$L", "$L1", "$Lx", "L1", "WARP_SZ",
        "WARP_SZ1",
    ] {
        show(format!("kernel {name:?}"), said(|k| k.kernel.name = name.into()));
    }
    let bounds: [[u32; 3]; 14] = [
        [1, 1, 1],
        [0, 1, 1],
        [1, 0, 1],
        [1, 1, 0],
        [1024, 1, 1],
        [1025, 1, 1],
        [1, 1024, 1],
        [1, 1025, 1],
        [1, 1, 64],
        [1, 1, 65],
        [32, 32, 1],
        [33, 32, 1],
        [16, 1, 64],
        [u32::MAX, u32::MAX, u32::MAX],
    ];
    for shape in bounds {
        show(format!("required {shape:?}"), said(|k| k.kernel.bounds.required = Some(shape)));
        show(format!("at most {shape:?}"), said(|k| k.kernel.bounds.max_threads = Some(shape)));
        show(format!("cluster {shape:?}"), said(|k| k.kernel.bounds.cluster = Some(shape)));
    }
    for shape in [[2, 2, 2], [8, 1, 1], [9, 1, 1], [3, 3, 1]] {
        show(format!("cluster {shape:?}"), said(|k| k.kernel.bounds.cluster = Some(shape)));
        show(
            format!("cluster {shape:?} on sm_80"),
            said(|k| {
                k.module.target = Target::SM_80;
                k.kernel.bounds.cluster = Some(shape);
            }),
        );
    }
    for n in [0, 1, 255, 256] {
        show(format!("at most {n} registers"), said(|k| k.kernel.bounds.max_registers = Some(n)));
        show(format!("{n} blocks at least"), said(|k| k.kernel.bounds.min_blocks = Some(n)));
    }
    show(
        "both".to_owned(),
        said(|k| {
            k.kernel.bounds.required = Some([32, 1, 1]);
            k.kernel.bounds.max_threads = Some([32, 1, 1]);
        }),
    );
    for n in [1 << 20, (1 << 20) + 1] {
        for class in RegClass::ALL {
            show(format!("{n} of {class:?}"), said(|k| k.kernel.registers[class as usize] = n));
        }
    }
    for space in [Space::Shared, Space::Local, Space::Const, Space::Global, Space::Param, Space::Generic] {
        for (len, ty) in [
            (Some(4), ScalarType::B32),
            (None, ScalarType::B32),
            (Some(0), ScalarType::B8),
            (Some(1), ScalarType::Pred),
            (Some(1), ScalarType::F16x2),
            (Some(u64::MAX), ScalarType::B64),
        ] {
            for linkage in [Linkage::Internal, Linkage::Visible, Linkage::External] {
                for init in [0, 4, 16, 17] {
                    if linkage != Linkage::Internal && init > 4
                        || len != Some(4) && (init > 0 || len.is_some() && linkage == Linkage::External)
                    {
                        continue;
                    }
                    let v = || Variable { init: vec![1; init], linkage, ..variable("v", space, ty, len) };
                    let what = format!("{space} {ty} {len:?} {linkage:?} of {init} initial bytes");
                    show(format!("in the kernel: {what}"), said(|k| k.kernel.variables.push(v())));
                    show(format!("in the module: {what}"), said(|k| k.module.variables.push(v())));
                }
            }
        }
    }
    for align in [0, 1, 2, 3, 1 << 16, 1 << 17] {
        show(
            format!("aligned to {align}"),
            said(|k| {
                k.kernel.variables.push(Variable { align, ..variable("v", Space::Shared, ScalarType::B32, Some(1)) });
            }),
        );
    }
    // Adjacent arrays, each aligned.
    for (bytes, align) in [
        (48 << 10, 16),
        ((48 << 10) + 1, 16),
        ((48 << 10) - 16, 16),
        ((48 << 10) - 15, 16),
        ((48 << 10) - 1, 1),
        ((48 << 10) - 16, 32),
    ] {
        show(
            format!("1 and {bytes} bytes of shared memory, aligned to {align}"),
            said(|k| {
                k.kernel.variables.push(variable("a", Space::Shared, ScalarType::B8, Some(1)));
                k.kernel
                    .variables
                    .push(Variable { align, ..variable("b", Space::Shared, ScalarType::B8, Some(bytes)) });
                k.kernel.variables.push(variable("c", Space::Local, ScalarType::B8, Some(1 << 20)));
            }),
        );
    }
    for bytes in [64 << 10, (64 << 10) + 1, (64 << 10) - 4, (64 << 10) - 3] {
        show(
            format!("{bytes} bytes of constants, and 4"),
            said(|k| {
                k.module.variables.push(variable("a", Space::Const, ScalarType::B8, Some(bytes)));
                k.module.variables.push(variable("g", Space::Global, ScalarType::B8, Some(1 << 20)));
                k.module.variables.push(variable("b", Space::Const, ScalarType::B32, Some(1)));
            }),
        );
    }
    let param = |ty, len, align, pointer| Param { name: "p".into(), ty, len, align, pointer };
    let (global, u64) = (Space::Global, ScalarType::U64);
    for p in [
        param(ScalarType::U32, None, None, None),
        param(ScalarType::Pred, None, None, None),
        param(ScalarType::F16x2, None, None, None),
        param(ScalarType::B8, Some(0), None, None),
        param(ScalarType::B8, Some(1), None, None),
        param(ScalarType::B8, Some(32764), None, None),
        param(ScalarType::B8, Some(32765), None, None),
        param(ScalarType::U32, None, Some(2), None),
        param(ScalarType::U32, None, Some(4), None),
        param(ScalarType::U32, None, Some(12), None),
        param(ScalarType::U32, None, Some(128), None),
        param(ScalarType::U32, None, Some(256), None),
        param(u64, None, None, Some((global, 16))),
        param(u64, Some(1), None, Some((global, 16))),
        param(ScalarType::U32, None, None, Some((global, 16))),
        param(ScalarType::F64, None, None, Some((global, 16))),
        param(u64, None, None, Some((Space::Param, 16))),
        param(u64, None, None, Some((global, 0))),
        param(u64, None, None, Some((global, 24))),
        param(ScalarType::B64, None, None, Some((Space::Shared, 1))),
    ] {
        show(format!("{} {:?} {:?} {:?}", p.ty, p.len, p.align, p.pointer), said(|k| k.kernel.params.push(p)));
    }
    for (first, align) in [(32756, None), (32757, None), (32748, Some(16)), (1, Some(8))] {
        show(
            format!("{first} bytes, then 8 aligned to {align:?}"),
            said(|k| {
                k.kernel.params.push(Param { name: "q".into(), ..param(ScalarType::B8, Some(first), None, None) });
                k.kernel.params.push(param(u64, None, align, None));
            }),
        );
    }
    // Names that hide others.
    for used in [false, true] {
        show(
            format!("a name of the module, used {used}"),
            said(|k| {
                k.module.variables.push(variable("v", Space::Global, ScalarType::B32, Some(1)));
                k.kernel.variables.push(variable("v", Space::Shared, ScalarType::B32, Some(1)));
                if used {
                    k.kernel.blocks[0].insts.clear();
                    let r = k.reg(RegClass::B32);
                    k.i("ld.global.u32", &[r.into(), at(Symbol::Module(0), 0)]);
                    k.i("ret", &[]);
                }
            }),
        );
    }
    show(
        "two of a name".to_owned(),
        said(|k| {
            k.module.variables.push(variable("v", Space::Global, ScalarType::B32, Some(1)));
            k.module.variables.push(variable("v", Space::Const, ScalarType::B32, Some(1)));
            k.module.variables.push(variable("k", Space::Const, ScalarType::B32, Some(1)));
            k.kernel.variables.push(variable("p", Space::Shared, ScalarType::B32, Some(1)));
            k.kernel.params.push(param(u64, None, None, None));
        }),
    );
    is_golden("declarations", &text);
}

/// Each place of some instructions, with operands of every kind in it.
#[test]
fn of_operands() {
    let mut text = String::new();
    let mut told: Vec<(Rule, String)> = Vec::new();
    for name in [
        "add.s32",
        "add.f32",
        "add.rn.f16",
        "add.u64",
        "mov.u32",
        "mov.b64",
        "mov.pred",
        "mov.b16",
        "ld.global.v2.u32",
        "ld.global.u8",
        "ld.param.u32",
        "st.shared.v2.f32",
        "st.global.u8",
        "atom.global.add.u32",
        "setp.lt.s32",
        "selp.b32",
        "selp.f64",
        "bra",
        "bar.sync",
        "prmt.b32",
        "shl.b32",
        "bfe.u32",
        "lop3.b32",
        "shf.l.wrap.b32",
        "cvt.rn.f16.f32",
        "cp.async.ca.shared.global",
        "shfl.sync.bfly.b32",
        "vote.sync.ballot.b32",
        "and.pred",
        "set.eq.u32.f32",
        "ldmatrix.sync.aligned.m8n8.x1.shared.b16",
    ] {
        let forms = table().named(name);
        let Some(form) = forms.first() else {
            writeln!(text, "{name}: not in the table").expect("text");
            continue;
        };
        let form = form.get();
        // What fits each place.
        let mut k = K::new();
        let regs: Vec<Reg> = RegClass::ALL.iter().map(|class| k.reg(*class)).collect();
        let of = |class: RegClass| Operand::Reg(*regs.iter().find(|r| r.class == class).expect("a register"));
        let beyond: Vec<Reg> = RegClass::ALL.iter().map(|&class| Reg { class, index: 7 }).collect();
        let (shared, local) = (Symbol::Kernel(0), Symbol::Kernel(1));
        let mut kinds: Vec<(String, Operand)> =
            regs.iter().chain(&beyond).map(|r| (r.to_string(), (*r).into())).collect();
        kinds.extend([
            ("left out".to_owned(), Operand::None),
            ("!%p0".to_owned(), Operand::NotPred(regs[0])),
            ("%tid.x".to_owned(), Operand::Special(SpecialReg::TidX)),
            ("%clock64".to_owned(), Operand::Special(SpecialReg::Clock64)),
            ("shared".to_owned(), Operand::Symbol(shared, 0)),
            ("local".to_owned(), Operand::Symbol(local, 4)),
            ("global".to_owned(), Operand::Symbol(Symbol::Module(0), 0)),
            ("no kernel's".to_owned(), Operand::Symbol(Symbol::Kernel(9), 0)),
            ("no module's".to_owned(), Operand::Symbol(Symbol::Module(9), 0)),
            ("parameter".to_owned(), Operand::Symbol(Symbol::Param(0), 0)),
            ("[parameter]".to_owned(), at(Symbol::Param(0), 0)),
            ("[no parameter]".to_owned(), at(Symbol::Param(9), 0)),
            ("[shared]".to_owned(), at(shared, 0)),
            ("[global]".to_owned(), at(Symbol::Module(0), 0)),
            ("block 0".to_owned(), Operand::Label(BlockId(0))),
            ("block 9".to_owned(), Operand::Label(BlockId(9))),
        ]);
        let n = |class: RegClass| regs.iter().find(|r| r.class == class).copied().expect("a register");
        kinds.push(("[b64]".to_owned(), at(n(RegClass::B64), 0)));
        kinds.push(("[b32]".to_owned(), at(n(RegClass::B32), 0)));
        kinds.push(("[f64]".to_owned(), at(n(RegClass::F64), 0)));
        for bits in [0, 1, 2, 4, 15, 16, 31, 32, 255, 256, 0xffff, 0x1_0000, 0xffff_ffff, 1 << 32, u64::MAX] {
            kinds.push((format!("{bits:#x}"), imm(bits)));
        }
        let fits: Vec<Operand> = form
            .slots
            .iter()
            .flat_map(|slot| {
                use crate::table::Shape;
                let reg = |ty: ScalarType| RegClass::of(ty).map_or(of(RegClass::B32), of);
                let one = match slot.shape {
                    Shape::Value(ty)
                    | Shape::Register(ty)
                    | Shape::Move(ty)
                    | Shape::Small { ty, .. }
                    | Shape::Wide(ty)
                    | Shape::Vector { ty, .. } => reg(ty),
                    Shape::Predicate(_) => of(RegClass::Pred),
                    Shape::Const { least, .. } => imm(least.max(0) as u64),
                    Shape::OneOf(_, values) => imm(values[0] as u64),
                    Shape::Address(Space::Param) => at(Symbol::Param(0), 0),
                    Shape::Address(_) => at(n(RegClass::B64), 0),
                    Shape::Label => Operand::Label(BlockId(0)),
                    Shape::Sink => Operand::None,
                    Shape::Text | Shape::Function | Shape::Passed | Shape::Carry => of(RegClass::B32),
                };
                std::iter::repeat_n(one, slot.width())
            })
            .collect();
        let mut place = 0;
        for slot in &form.slots {
            let mut refused: Vec<String> = Vec::new();
            for (kind, operand) in &kinds {
                let mut operands = fits.clone();
                operands[place] = *operand;
                let mut k = K::new();
                k.kernel.registers = [1; 6];
                k.pointer("p", 8);
                k.shared("s", 64, 16);
                k.kernel.variables.push(variable("l", Space::Local, ScalarType::B32, Some(4)));
                k.module.variables.push(variable("g", Space::Global, ScalarType::B32, Some(4)));
                k.i(name, &operands);
                k.i("ret", &[]);
                let wrong = |r: Rule| {
                    matches!(
                        r,
                        Rule::OperandKind
                            | Rule::OperandType
                            | Rule::Register
                            | Rule::ConstantRange
                            | Rule::Symbol
                            | Rule::Space
                            | Rule::AddressRegister
                            | Rule::Label
                            | Rule::OperandCount
                            | Rule::DuplicateResult
                    )
                };
                for e in k.verify().err().iter().flat_map(|e| e.iter()).filter(|e| wrong(e.rule)) {
                    refused.push(format!("{kind} {}", e.rule.id()));
                    if told.iter().filter(|(rule, _)| *rule == e.rule).count() < 12
                        && !told.iter().any(|(_, m)| *m == e.message)
                    {
                        told.push((e.rule, e.message.clone()));
                    }
                }
            }
            writeln!(text, "{name} '{}' {:?}: {}", slot.name, slot.shape, refused.join(", ")).expect("text");
            place += slot.width();
        }
    }
    told.sort_by_key(|(rule, _)| rule.id());
    told.iter().for_each(|(rule, message)| writeln!(text, "{rule}: {message}").expect("text"));
    is_golden("operands", &text);
}

/// What instructions need of the target and the version that a file states.
#[test]
fn of_targets() {
    let mut text = String::new();
    for name in [
        "elect.sync",
        "cp.async.ca.shared.global",
        "redux.sync.add.u32",
        "mbarrier.init.shared.b64",
        "add.rn.bf16",
        "fence.proxy.async",
        "ex2.approx.ftz.bf16",
        "bar.sync",
    ] {
        for target in [Target::SM_75, Target::SM_80, Target::SM_90] {
            let mut k = K::on(target);
            let Some(form) = table().named(name).first() else { continue };
            let width = form.get().width();
            k.i(name, &vec![Operand::None; width]);
            k.i("ret", &[]);
            let wanted = |r: Rule| matches!(r, Rule::TargetInstruction | Rule::TargetRegister | Rule::PtxVersion);
            for e in k.verify().err().iter().flat_map(|e| e.iter()).filter(|e| wanted(e.rule)) {
                writeln!(text, "{target}: {}", e.message).expect("text");
            }
        }
    }
    is_golden("targets", &text);
}
