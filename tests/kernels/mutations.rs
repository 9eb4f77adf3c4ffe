//! Kernels changed to break a property or a rule of their policy: it is noticed, at the changed
//! instruction.

use crate::{
    cases::Case,
    edit::{Which, at, decoded, in_f32, in_f64, inst, named, pointer, remove_rounding, replace},
    properties::PROPERTIES,
};
use ptxgen::builder::{
    analysis::precision::PolicyRule,
    ir::{Address, Base, Inst, Kernel, Operand, Symbol, Variable},
    target::Target,
    types::{RegClass, ScalarType, Space},
};

/// A change that breaks something.
struct Mutation {
    what: &'static str,
    /// Kernel and policy.
    of: (&'static str, &'static str),
    change: fn(&mut Kernel),
    /// Rules of the policy that it breaks.
    rules: &'static [PolicyRule],
    /// Properties that it breaks.
    properties: &'static [&'static str],
}

const F64: (&str, &str) = ("q4k-gemv", "act=f32,acc=f64");
const F32: (&str, &str) = ("q4k-gemv", "act=f32,acc=f32");
const Q8K_F64: (&str, &str) = ("q4k-gemv", "act=q8k,acc=f64");
const Q8K_F32: (&str, &str) = ("q6k-gemv", "act=q8k,acc=f32");

const MUTATIONS: &[Mutation] = &[
    Mutation {
        what: "a fused multiply-add in f32",
        of: F64,
        change: |k| replace(k, "fma.rn.f64", Which::Last, |k, i| in_f32(k, i, "fma.rn.f32")),
        rules: &[PolicyRule::NarrowArithmetic, PolicyRule::RoundingCount],
        properties: &[
            "no f32 arithmetic under exact f64",
            "no f32 sum of products under f64",
            "one rounding, of what is stored",
        ],
    },
    Mutation {
        what: "every fused multiply-add in f32",
        of: F64,
        change: |k| replace(k, "fma.rn.f64", Which::All, |k, i| in_f32(k, i, "fma.rn.f32")),
        rules: &[PolicyRule::NarrowArithmetic],
        properties: &["f64 sums are fused and across lanes in f64"],
    },
    Mutation {
        what: "sums across lanes in f32",
        of: Q8K_F64,
        change: |k| replace(k, "add.rn.f64", Which::All, |k, i| in_f32(k, i, "add.rn.f32")),
        rules: &[PolicyRule::NarrowArithmetic],
        properties: &["q8k terms are summed in f64"],
    },
    Mutation {
        what: "a product that is not rounded before SwiGLU",
        of: ("fused-gate-up-swiglu", "act=q8k,acc=f64"),
        change: remove_rounding,
        rules: &[PolicyRule::RoundingCount],
        properties: &["both products of gate and up are rounded, then SwiGLU"],
    },
    Mutation {
        what: "products of experts that are not rounded before their sum",
        of: ("moe-down", "act=f32,acc=f64"),
        change: remove_rounding,
        rules: &[PolicyRule::RoundingCount],
        properties: &["each expert's product is rounded, then the sum"],
    },
    Mutation {
        what: "the last rounding towards zero",
        of: Q8K_F64,
        change: |k| replace(k, "cvt.rn.f32.f64", Which::Last, |_, i| vec![named("cvt.rz.f32.f64", i)]),
        rules: &[PolicyRule::RoundingMode],
        properties: &["one rounding, of what is stored"],
    },
    Mutation {
        what: "a sum in f64",
        of: F32,
        change: |k| replace(k, "add.rn.f32", Which::Last, |k, i| in_f64(k, i, "add.rn.f64")),
        rules: &[PolicyRule::WideArithmetic],
        properties: &["no f64 under f32"],
    },
    Mutation {
        what: "a product of four weights as floats",
        of: Q8K_F32,
        change: |k| replace(k, "dp4a.u32.s32", Which::First, decoded),
        rules: &[PolicyRule::DecodedProduct],
        properties: &["q8k weights are multiplied as integers only"],
    },
    Mutation {
        what: "no integer products",
        of: Q8K_F32,
        change: |k| {
            replace(k, "dp4a.u32.s32", Which::All, |_, i| vec![inst("mov.b32", &[i.operands[0], Operand::Imm(0)], i)]);
            replace(k, "mad.lo.s32", Which::All, |_, i| vec![inst("mov.b32", &[i.operands[0], Operand::Imm(0)], i)]);
        },
        rules: &[PolicyRule::NoIntegerProduct],
        properties: &["q8k products are dp4a"],
    },
    Mutation {
        what: "an integer product of a weight and an activation",
        of: F32,
        change: |k| {
            let activations = Operand::Reg(pointer(k, 1));
            replace(k, "fma.rn.f32", Which::First, |k, i| {
                let [x, w, d] = [(); 3].map(|()| k.new_reg(RegClass::B32));
                let weights = Operand::Reg(pointer(k, 0));
                vec![
                    inst("ld.global.u32", &[x.into(), at(activations)], i),
                    inst("ld.global.u32", &[w.into(), at(weights)], i),
                    inst("dp4a.u32.s32", &[d.into(), w.into(), x.into(), Operand::Imm(0)], i),
                    i.clone(),
                ]
            });
        },
        rules: &[PolicyRule::IntegerProduct],
        properties: &["f32 weights are not multiplied as integers"],
    },
    Mutation {
        what: "activations made integers",
        of: F32,
        change: |k| {
            let activations = Operand::Reg(pointer(k, 1));
            replace(k, "fma.rn.f32", Which::First, |k, i| {
                let (x, q) = (k.new_reg(RegClass::F32), k.new_reg(RegClass::B32));
                vec![
                    inst("ld.global.f32", &[x.into(), at(activations)], i),
                    inst("cvt.rni.s32.f32", &[q.into(), x.into()], i),
                    i.clone(),
                ]
            });
        },
        rules: &[PolicyRule::Quantization],
        properties: &[],
    },
    Mutation {
        what: "an approximate exponential",
        of: ("swiglu", "acc=f32"),
        change: |k| {
            replace(k, "div.rn.f32", Which::First, |_, i| {
                vec![inst("ex2.approx.f32", &[i.operands[0], i.operands[1]], i)]
            });
        },
        rules: &[PolicyRule::Approximate],
        properties: &["nothing approximate under exact"],
    },
    Mutation {
        what: "an exact quotient where approximate functions were asked for",
        of: ("swiglu", "acc=f32,math=approx"),
        change: |k| {
            replace(k, "rcp.approx.f32", Which::First, |_, i| {
                vec![inst("rcp.rn.f32", &[i.operands[0], i.operands[1]], i)]
            });
        },
        rules: &[],
        properties: &["approximate functions where they were asked for"],
    },
    Mutation {
        what: "a sum whose rounding is not written",
        of: F32,
        change: |k| replace(k, "add.rn.f32", Which::Last, |_, i| vec![named("add.f32", i)]),
        rules: &[PolicyRule::UnwrittenRounding],
        properties: &["every float rounding is written"],
    },
    Mutation {
        what: "a sum that flushes subnormals",
        of: F32,
        change: |k| replace(k, "add.rn.f32", Which::Last, |_, i| vec![named("add.rn.ftz.f32", i)]),
        rules: &[PolicyRule::Flush],
        properties: &["no subnormal is flushed under exact"],
    },
    Mutation {
        what: "results added in memory",
        of: Q8K_F32,
        change: |k| replace(k, "st.global.f32", Which::Last, |_, i| vec![named("red.global.add.f32", i)]),
        rules: &[PolicyRule::FloatAtomic],
        properties: &["no sums in memory"],
    },
    Mutation {
        what: "a matrix instruction in f16",
        of: F32,
        change: |k| {
            let f = [(); 4].map(|()| Operand::Reg(k.new_reg(RegClass::F32)));
            let r = [(); 6].map(|()| Operand::Reg(k.new_reg(RegClass::B32)));
            let first = k.blocks[0].insts[0].clone();
            let mut insts: Vec<Inst> = f.iter().map(|&f| inst("mov.f32", &[f, Operand::Imm(0)], &first)).collect();
            insts.extend(r.iter().map(|&r| inst("mov.b32", &[r, Operand::Imm(0)], &first)));
            let operands: Vec<Operand> = f.into_iter().chain(r).chain(f).collect();
            insts.push(inst("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", &operands, &first));
            k.blocks[0].insts.splice(0..0, insts);
        },
        rules: &[PolicyRule::FloatMatrix],
        properties: &[],
    },
    Mutation {
        what: "nothing stored",
        of: Q8K_F32,
        change: |k| replace(k, "st.global.f32", Which::All, |_, _| Vec::new()),
        rules: &[PolicyRule::NoOutput],
        properties: &[],
    },
    Mutation {
        what: "lanes that do not meet",
        of: Q8K_F32,
        change: |k| {
            replace(k, "shfl.sync.bfly.b32", Which::All, |_, i| {
                let class = i.defs().next().map_or(RegClass::B32, |r| r.class);
                let name = if class == RegClass::F32 { "mov.f32" } else { "mov.b32" };
                // Destination, an optional predicate that is left out, source.
                vec![inst(name, &[i.operands[0], i.operands[2]], i)]
            });
        },
        rules: &[],
        properties: &["lanes meet through shfl.sync"],
    },
    Mutation {
        what: "a result kept in local memory",
        of: F32,
        change: |k| {
            let spilled = Variable {
                name: "spilled".into(),
                space: Space::Local,
                align: 4,
                ty: ScalarType::B32,
                len: Some(1),
                init: Vec::new(),
                refs: Vec::new(),
                linkage: Default::default(),
            };
            let at = Address { base: Base::Symbol(Symbol::Kernel(k.variables.len() as u32)), offset: 0 };
            k.variables.push(spilled);
            replace(k, "st.global.f32", Which::Last, |_, i| {
                let value = i.operands[1];
                vec![
                    inst("st.local.f32", &[Operand::Address(at), value], i),
                    inst("ld.local.f32", &[value, Operand::Address(at)], i),
                    i.clone(),
                ]
            });
        },
        rules: &[],
        properties: &["no local memory"],
    },
];

#[test]
fn every_change_is_noticed() {
    for m in MUTATIONS {
        let (name, policy) = m.of;
        let case = Case::of(name, policy, Target::SM_90);
        let held = case.built.prove(&case.module, case.built.policy);
        assert!(held.is_ok(), "{name} {policy}: {:?}", held.err().map(|v| v[0].to_string()));
        let mut module = case.module.module().clone();
        (m.change)(&mut module.kernels[0]);
        let before = Case::of(name, policy, Target::SM_90);
        let case = case.with(module);

        let violations = case.built.prove(&case.module, case.built.policy).err().unwrap_or_default();
        let mut rules: Vec<PolicyRule> = violations.iter().map(|v| v.rule).collect();
        rules.sort();
        rules.dedup();
        for rule in m.rules {
            assert!(rules.contains(rule), "{}: {rule} is not among {rules:?}", m.what);
        }
        if m.rules.is_empty() {
            assert!(rules.is_empty(), "{}: {rules:?}", m.what);
        }
        // The message points at an instruction of the changed text and a line of the kernel's author.
        for v in violations.iter().filter(|v| v.inst.is_some()) {
            let text = v.instruction.as_deref().unwrap_or_default();
            let squeezed = |s: &str| s.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(case.text.lines().any(|l| squeezed(l) == squeezed(text)), "{}: {text}", m.what);
            let file = v.loc.as_ref().map_or("", |l| &*l.file);
            assert!(file.starts_with("kernel-dsl/"), "{}: {v}", m.what);
        }

        for name in m.properties {
            let property = PROPERTIES.iter().find(|p| p.name == *name).unwrap_or_else(|| panic!("no property {name}"));
            assert!((property.applies)(&case), "{}: {name} is not one of this kernel's", m.what);
            assert_eq!(property.holds(&before.text), Ok(()));
            assert!(property.holds(&case.text).is_err(), "{}: {name} still holds", m.what);
        }
    }
}

#[test]
fn every_property_and_rule_is_broken_by_a_change() {
    let unbroken: Vec<_> =
        PROPERTIES.iter().map(|p| p.name).filter(|n| !MUTATIONS.iter().any(|m| m.properties.contains(n))).collect();
    assert!(unbroken.is_empty(), "no change breaks {unbroken:?}");
    // No kernel of the catalogue carries a sum around a loop; `ptx-builder/tests/precision.rs` has one that does. Lost
    // bits have mutants of their own (`kernel-dsl/tests/precision_mutants`).
    let rules = PolicyRule::ALL.iter().filter(|r| !matches!(r, PolicyRule::RoundingInLoop | PolicyRule::LostBits));
    let untested: Vec<_> = rules.filter(|r| !MUTATIONS.iter().any(|m| m.rules.contains(r))).collect();
    assert!(untested.is_empty(), "no change breaks {untested:?}");
}
