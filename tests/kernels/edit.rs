//! Instructions of a kernel replaced by others.

use ptxgen::builder::{
    ir::{Address, Base, Inst, Kernel, Operand, Reg, Symbol},
    table::{FormId, table},
    types::RegClass,
};

/// Which of several.
pub enum Which {
    First,
    Last,
    All,
}

/// Replaces instructions of this spelling.
pub fn replace(k: &mut Kernel, name: &str, which: Which, by: impl Fn(&mut Kernel, &Inst) -> Vec<Inst>) {
    let mut sites: Vec<(usize, usize)> = Vec::new();
    for (b, i, inst) in k.insts() {
        if inst.form().name == name {
            sites.push((b.0 as usize, i));
        }
    }
    assert!(!sites.is_empty(), "the kernel has no {name}");
    let sites = match which {
        Which::First => vec![sites[0]],
        Which::Last => vec![sites[sites.len() - 1]],
        Which::All => sites,
    };
    for (b, i) in sites.into_iter().rev() {
        let old = k.blocks[b].insts[i].clone();
        let new = by(k, &old);
        k.blocks[b].insts.splice(i..=i, new);
    }
}

/// The form of this spelling that takes this many operands.
fn form(name: &str, operands: usize) -> FormId {
    let fits = |f: &&FormId| f.get().slots.iter().map(|s| s.width()).sum::<usize>() == operands;
    *table().named(name).iter().find(fits).unwrap_or_else(|| panic!("no {name} of {operands} operands"))
}

/// An instruction in the place of another.
pub fn inst(name: &str, operands: &[Operand], from: &Inst) -> Inst {
    Inst { form: form(name, operands.len()), operands: operands.into(), ..from.clone() }
}

/// The same instruction with another spelling.
pub fn named(name: &str, from: &Inst) -> Inst {
    inst(name, &from.operands.clone(), from)
}

fn convert(k: &mut Kernel, name: &str, class: RegClass, from: Operand, like: &Inst) -> (Operand, Inst) {
    let to = Operand::Reg(k.new_reg(class));
    (to, inst(name, &[to, from], like))
}

/// An f64 operation with its operands and its result rounded to f32.
pub fn in_f32(k: &mut Kernel, i: &Inst, name: &str) -> Vec<Inst> {
    through(k, i, name, ("cvt.rn.f32.f64", RegClass::F32), "cvt.f64.f32")
}

/// An f32 operation in f64.
pub fn in_f64(k: &mut Kernel, i: &Inst, name: &str) -> Vec<Inst> {
    through(k, i, name, ("cvt.f64.f32", RegClass::F64), "cvt.rn.f32.f64")
}

fn through(k: &mut Kernel, i: &Inst, name: &str, (to, class): (&str, RegClass), back: &str) -> Vec<Inst> {
    let mut all = Vec::new();
    let result = Operand::Reg(k.new_reg(class));
    let mut operands = vec![result];
    for &source in &i.operands[1..] {
        // A constant, such as 0, has other bits in another type; its value does not matter here.
        if let Operand::Imm(_) = source {
            operands.push(Operand::Imm(0));
            continue;
        }
        let (converted, conversion) = convert(k, to, class, source, i);
        all.push(conversion);
        operands.push(converted);
    }
    all.push(inst(name, &operands, i));
    all.push(inst(back, &[i.operands[0], result], i));
    all
}

/// Leaves out the rounding of a product that is widened again later.
pub fn remove_rounding(k: &mut Kernel) {
    let rounding = |i: &&Inst| i.form().name == "cvt.rn.f32.f64";
    let roundings: Vec<(Operand, Operand)> =
        k.insts().map(|(_, _, i)| i).filter(rounding).map(|i| (i.operands[0], i.operands[1])).collect();
    replace(k, "cvt.f64.f32", Which::All, |_, i| match roundings.iter().find(|(narrow, _)| *narrow == i.operands[1]) {
        Some(&(_, wide)) => vec![inst("mov.f64", &[i.operands[0], wide], i)],
        None => vec![i.clone()],
    });
    let used: Vec<Reg> = k.insts().flat_map(|(_, _, i)| i.uses().collect::<Vec<_>>()).collect();
    for block in &mut k.blocks {
        block.insts.retain(|i| i.form().name != "cvt.rn.f32.f64" || i.defs().any(|d| used.contains(&d)));
    }
}

/// `dp4a` with the words of weights and activations taken as one float each.
pub fn decoded(k: &mut Kernel, i: &Inst) -> Vec<Inst> {
    let (w, first) = convert(k, "cvt.rn.f32.u32", RegClass::F32, i.operands[1], i);
    let (x, second) = convert(k, "cvt.rn.f32.s32", RegClass::F32, i.operands[2], i);
    let product = Operand::Reg(k.new_reg(RegClass::F32));
    let product_of_both = inst("mul.rn.f32", &[product, w, x], i);
    vec![first, second, product_of_both, inst("cvt.rzi.s32.f32", &[i.operands[0], product], i)]
}

/// The register with a parameter's pointer.
pub fn pointer(k: &Kernel, param: u32) -> Reg {
    let is_param = |i: &&Inst| {
        let base = Base::Symbol(Symbol::Param(param));
        i.operands.iter().any(|o| matches!(o, Operand::Address(a) if a.base == base))
    };
    let load = k.insts().map(|(_, _, i)| i).find(is_param).expect("every parameter is loaded");
    let loaded = load.defs().next().expect("a load has a result");
    let cvta = k.insts().map(|(_, _, i)| i).find(|i| i.uses().any(|r| r == loaded)).expect("it is used");
    cvta.defs().next().expect("cvta has a result")
}

/// The memory that a register points at.
pub fn at(pointer: Operand) -> Operand {
    let Operand::Reg(reg) = pointer else { panic!("a pointer is a register") };
    Operand::Address(Address { base: Base::Reg(reg), offset: 0 })
}
