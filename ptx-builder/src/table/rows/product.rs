//! Products of matrices of other shapes and types than [`super::matrix`] has (PTX ISA 9.7.14.5.14, 9.7.14.6).

use super::precision::{always, integer_product};
use super::{Alternatives, Builder, Spec, any, one, opt, spec, ty, types};
use crate::table::slot::{Slot, constant, src_reg, vector};
use crate::table::{Access, Matrix, Meaning, Mod, Op, Precision, Rounding};
use crate::table::{Element, Layout, Part, Product, Sum};
use crate::types::ScalarType::{self, Bf16, F16, F32, F64, S8, S32, Tf32, U8, U16, U32};

const SECTION: &str = "9.7.14.5.14";

/// The element that a modifier names.
pub(super) fn element(m: Mod) -> Element {
    match m {
        Mod::Ty(ty) => Element::of(ty),
        Mod::E4m3 => Element::E4m3,
        Mod::E5m2 => Element::E5m2,
        Mod::S4 => Element::S4,
        Mod::U4 => Element::U4,
        _ => Element::B1,
    }
}

/// m, n and k of a shape.
pub(super) fn shape(m: Mod) -> (u16, u16, u16) {
    let number = |text: &str| text.parse().unwrap_or(0);
    let (m, rest) = m.text()[1..].split_once('n').unwrap_or_default();
    let (n, k) = rest.split_once('k').unwrap_or_default();
    (number(m), number(n), number(k))
}

/// The slots of d = a b + c.
pub(super) fn slots(product: &Product) -> [Slot; 4] {
    let part =
        |name, part, access| vector(name, access, product.element(part).register(), product.registers(part), false);
    [
        part("d", Part::D, Access::Write),
        part("a", Part::A, Access::Read),
        part("b", Part::B, Access::Read),
        part("c", Part::C, Access::Read),
    ]
}

fn made(product: Product) -> Spec {
    spec(slots(&product), Meaning::Matrix(Matrix::Product(product)))
}

/// The product of a form whose a, b, c and d are named by its types, d first.
fn product(m: &[Mod], sum: Sum) -> Product {
    let named: Vec<Element> = m.iter().filter(|m| is_element(**m)).map(|m| element(*m)).collect();
    let [d, a, b, c] = named[..] else { unreachable!("a product names four types") };
    Product { shape: shape(m[1]), a, b, c, d, layout: Layout::Mma, sum }
}

fn is_element(m: Mod) -> bool {
    matches!(m, Mod::Ty(_) | Mod::E4m3 | Mod::E5m2 | Mod::S4 | Mod::U4 | Mod::B1)
}

fn places(shapes: &[Mod], rest: &[Alternatives]) -> Vec<Alternatives> {
    let head = [one(Mod::Aligned), any(shapes), one(Mod::Row), one(Mod::Col)];
    head.into_iter().chain(rest.iter().cloned()).collect()
}

fn floats(m: &[Mod]) -> Precision {
    Precision::MatrixProduct { input: ty(m, 1), acc: ty(m, 0) }
}

pub(super) fn rows(t: &mut Builder) {
    quads(t);
    let halves = [types(&[F32, F16]), types(&[F16, Bf16]), types(&[F16, Bf16]), types(&[F32, F16])];
    let doc = "Multiplies a 16 x 8 by an 8 x 8 matrix of 16-bit floats and adds.";
    t.row(Op::MmaSync, SECTION, doc, floats, &places(&[Mod::M16n8k8], &halves), |m| {
        let (acc, input) = (ty(m, 0), ty(m, 1));
        let exists = input == ty(m, 2) && acc == ty(m, 3) && (input, acc) != (Bf16, F16);
        let since = if input == F16 { (65, 75) } else { (70, 80) };
        exists.then(|| made(product(m, Sum::Plain)).since(since.0, since.1))
    });
    let doc = "Multiplies matrices of tf32 and adds.";
    let all = [types(&[F32]), types(&[Tf32]), types(&[Tf32]), types(&[F32])];
    t.row(Op::MmaSync, SECTION, doc, floats, &places(&[Mod::M16n8k4, Mod::M16n8k8], &all), |m| {
        Some(made(product(m, Sum::Plain)).since(70, 80))
    });
    let roundings = || opt(&[Mod::Rn, Mod::Rz, Mod::Rm, Mod::Rp]);
    let shapes = [Mod::M8n8k4, Mod::M16n8k4, Mod::M16n8k8, Mod::M16n8k16];
    let all = [roundings(), types(&[F64]), types(&[F64]), types(&[F64]), types(&[F64])];
    let doc = "Multiplies matrices of f64 and adds, each product fused with its sum.";
    t.row(Op::MmaSync, SECTION, doc, floats, &places(&shapes, &all), |m| {
        let mode = m.iter().find_map(|m| Rounding::of(*m)).unwrap_or(Rounding::NearestEven);
        let since = if m[1] == Mod::M8n8k4 { (70, 80) } else { (78, 90) };
        Some(made(product(m, Sum::Fused(mode))).since(since.0, since.1))
    });
    let eighth = || any(&[Mod::E4m3, Mod::E5m2]);
    let all = [types(&[F32, F16]), eighth(), eighth(), types(&[F32, F16])];
    let doc = "Multiplies matrices of 8-bit floats and adds.";
    t.row(Op::MmaSync, SECTION, doc, always(Precision::Opaque), &places(&[Mod::M16n8k16, Mod::M16n8k32], &all), |m| {
        let older = m[1] == Mod::M16n8k32 && ty(m, 0) == F32;
        (ty(m, 0) == ty(m, 1)).then(|| made(product(m, Sum::Plain)).since(if older { 84 } else { 87 }, 89))
    });
    integers(t);
    sparse(t);
    scaled(t);
}

/// The shape of the first tensor cores, by quads of lanes.
fn quads(t: &mut Builder) {
    let layouts = || any(&[Mod::Row, Mod::Col]);
    let mut all = vec![one(Mod::Aligned), one(Mod::M8n8k4), layouts(), layouts()];
    all.extend([types(&[F32, F16]), types(&[F16]), types(&[F16]), types(&[F32, F16])]);
    let doc = "Four products of 8 x 4 and 4 x 8 matrices of f16, each by eight lanes.";
    t.row(Op::MmaSync, SECTION, doc, floats, &all, |m| {
        let layout = Layout::Quads { a_by_column: m[2] == Mod::Col, b_by_column: m[3] == Mod::Col };
        // The sum of f32 does not fit f16.
        let exists = (ty(m, 0), ty(m, 3)) != (F16, F32);
        exists.then(|| made(Product { layout, ..product(m, Sum::Plain) }).since(64, 70))
    });
}

fn integers(t: &mut Builder) {
    let saturates = || opt(&[Mod::Satfinite]);
    let sum = |m: &[Mod]| if m.contains(&Mod::Satfinite) { Sum::Saturating } else { Sum::Plain };
    let all = [saturates(), types(&[S32]), types(&[U8, S8]), types(&[U8, S8]), types(&[S32])];
    let doc = "Multiplies matrices of bytes and adds.";
    t.row(Op::MmaSync, SECTION, doc, integer_product, &places(&[Mod::M8n8k16], &all), |m| {
        Some(made(product(m, sum(m))).since(65, 75))
    });
    let fourth = || any(&[Mod::U4, Mod::S4]);
    let all = [saturates(), types(&[S32]), fourth(), fourth(), types(&[S32])];
    let shapes = [Mod::M8n8k32, Mod::M16n8k32, Mod::M16n8k64];
    let doc = "Multiplies matrices of 4-bit integers and adds.";
    t.row(Op::MmaSync, SECTION, doc, integer_product, &places(&shapes, &all), |m| {
        let since = if m[1] == Mod::M8n8k32 { (65, 75) } else { (70, 80) };
        Some(made(product(m, sum(m))).since(since.0, since.1))
    });
    let bit = || one(Mod::B1);
    let all = [types(&[S32]), bit(), bit(), types(&[S32]), any(&[Mod::XorPopc, Mod::AndPopc])];
    let shapes = [Mod::M8n8k128, Mod::M16n8k128, Mod::M16n8k256];
    let doc = "Counts the bits that differ, or are set in both, of rows of a and columns of b, and adds.";
    t.row(Op::MmaSync, SECTION, doc, integer_product, &places(&shapes, &all), |m| {
        let xor = m.contains(&Mod::XorPopc);
        let since = match (m[1], xor) {
            (Mod::M8n8k128, true) => (70, 75),
            (_, true) => (70, 80),
            _ => (71, 80),
        };
        Some(made(product(m, if xor { Sum::Xor } else { Sum::Plain })).since(since.0, since.1))
    });
}

/// Products of a sparse a, with half of its elements and where they belong.
fn sparse(t: &mut Builder) {
    for (op, ptx) in [(Op::MmaSp, 71), (Op::MmaSpOrdered, 85)] {
        // Registers of a, b and d, and how many threads' metadata there is to select from.
        let made = |d: ScalarType, halved: u8, b: u8, selectors: i64| {
            let d = vector("d", Access::Write, d, if d == U32 { 2 } else { 4 }, false);
            let c = Slot { name: "c", access: Access::Read, ..d };
            let a = vector("a", Access::Read, U32, halved, false);
            let b = vector("b", Access::Read, U32, b, false);
            let slots = [d, a, b, c, src_reg("e", U32), constant("f", U32, 0, selectors - 1)];
            spec(slots, Meaning::Matrix(Matrix::Foreign)).since(ptx, 80)
        };
        let d = |t: ScalarType| if t == F16 { U32 } else { t };
        let doc = "Multiplies a sparse by a dense matrix of floats and adds.";
        let opaque = || always(Precision::Opaque);
        let halves = [types(&[F32, F16]), types(&[F16, Bf16]), types(&[F16, Bf16]), types(&[F32, F16])];
        let shapes = [Mod::M16n8k16, Mod::M16n8k32];
        t.row(op, "9.7.14.6.3", doc, opaque(), &places(&shapes, &halves), |m| {
            let (acc, input) = (ty(m, 0), ty(m, 1));
            let exists = input == ty(m, 2) && acc == ty(m, 3) && (input, acc) != (Bf16, F16);
            let wide = m[1] == Mod::M16n8k32;
            exists.then(|| if wide { made(d(acc), 4, 4, 2) } else { made(d(acc), 2, 2, 4) })
        });
        let all = [types(&[F32]), types(&[Tf32]), types(&[Tf32]), types(&[F32])];
        t.row(op, "9.7.14.6.3", doc, opaque(), &places(&[Mod::M16n8k8, Mod::M16n8k16], &all), |m| {
            Some(if m[1] == Mod::M16n8k16 { made(F32, 4, 4, 2) } else { made(F32, 2, 2, 4) })
        });
        let eighth = || any(&[Mod::E4m3, Mod::E5m2]);
        let all = [types(&[F32]), eighth(), eighth(), types(&[F32])];
        t.row(op, "9.7.14.6.3", doc, opaque(), &places(&[Mod::M16n8k64], &all), |_| {
            Some(made(F32, 4, 4, 1).since(84, 89))
        });
        if op == Op::MmaSpOrdered {
            const SMALL: &[Mod] = &[Mod::E4m3, Mod::E5m2, Mod::E3m2, Mod::E2m3, Mod::E2m1];
            let doc = "Multiplies a sparse by a dense matrix of floats of 4 to 8 bits, a byte each, and adds.";
            let kind = one(Mod::KindF8f6f4);
            let all = [kind, types(&[F32, F16]), any(SMALL), any(SMALL), types(&[F32, F16])];
            t.row(op, "9.7.14.6.3", doc, opaque(), &places(&[Mod::M16n8k64], &all), |m| {
                let form = || made(d(ty(m, 0)), 4, 4, 1).since(87, 120).specific();
                (ty(m, 0) == ty(m, 1)).then(form)
            });
            let all = [types(&[F16]), eighth(), eighth(), types(&[F16])];
            t.row(op, "9.7.14.6.3", doc, opaque(), &places(&[Mod::M16n8k64], &all), |_| {
                Some(made(U32, 4, 4, 1).since(87, 120).specific())
            });
        }
        let doc = "Multiplies a sparse by a dense matrix of integers and adds.";
        let integers =
            |small: Alternatives| [opt(&[Mod::Satfinite]), types(&[S32]), small.clone(), small, types(&[S32])];
        let shapes = [Mod::M16n8k32, Mod::M16n8k64];
        t.row(op, "9.7.14.6.3", doc, opaque(), &places(&shapes, &integers(types(&[U8, S8]))), |m| {
            Some(if m[1] == Mod::M16n8k64 { made(S32, 4, 4, 1) } else { made(S32, 2, 2, 2) })
        });
        let shapes = [Mod::M16n8k64, Mod::M16n8k128];
        t.row(op, "9.7.14.6.3", doc, opaque(), &places(&shapes, &integers(any(&[Mod::U4, Mod::S4]))), |m| {
            Some(if m[1] == Mod::M16n8k128 { made(S32, 4, 4, 1) } else { made(S32, 2, 2, 2) })
        });
    }
}

/// Products of floats of 4 to 8 bits, with scales or without.
fn scaled(t: &mut Builder) {
    const SMALL: &[Mod] = &[Mod::E4m3, Mod::E5m2, Mod::E3m2, Mod::E2m3, Mod::E2m1];
    let small = || any(SMALL);
    let opaque = || always(Precision::Opaque);
    let product = |d: ScalarType| {
        let d = vector("d", Access::Write, d, if d == U32 { 2 } else { 4 }, false);
        let c = Slot { name: "c", access: Access::Read, ..d };
        [d, vector("a", Access::Read, U32, 4, false), vector("b", Access::Read, U32, 2, false), c]
    };
    let foreign = Meaning::Matrix(Matrix::Foreign);
    let all = [one(Mod::KindF8f6f4), types(&[F32, F16]), small(), small(), types(&[F32, F16])];
    let doc = "Multiplies matrices of floats of 4 to 8 bits, a byte each, and adds.";
    t.row(Op::MmaSync, SECTION, doc, opaque(), &places(&[Mod::M16n8k32], &all), |m| {
        let d = if ty(m, 0) == F16 { U32 } else { F32 };
        (ty(m, 0) == ty(m, 1)).then(|| spec(product(d), foreign).since(87, 120).specific())
    });
    let doc = "Multiplies matrices of small floats with a scale for each of several elements, and adds.";
    let with_scales = |shape: Mod, kinds: &[Mod], sizes: &[Mod], small: Alternatives, scales: &[Mod]| {
        let rest = [
            any(kinds),
            one(Mod::BlockScale),
            any(sizes),
            types(&[F32]),
            small.clone(),
            small,
            types(&[F32]),
            any(scales),
        ];
        places(&[shape], &rest)
    };
    let mxf8 = with_scales(Mod::M16n8k32, &[Mod::KindMxf8f6f4], &[Mod::ScaleVec1X], small(), &[Mod::Ue8m0]);
    let fourth = with_scales(
        Mod::M16n8k64,
        &[Mod::KindMxf4, Mod::KindMxf4nvf4],
        &[Mod::ScaleVec2X, Mod::ScaleVec4X],
        one(Mod::E2m1),
        &[Mod::Ue8m0, Mod::Ue4m3],
    );
    for places in [mxf8, fourth] {
        t.row(Op::MmaSync, SECTION, doc, opaque(), &places, |m| {
            let exists = match (m[4], m[6], m[m.len() - 1]) {
                (Mod::KindMxf8f6f4, ..) => true,
                (_, Mod::ScaleVec2X, scale) => scale == Mod::Ue8m0,
                (kind, _, scale) => kind == Mod::KindMxf4nvf4 && scale == Mod::Ue4m3,
            };
            let ids = |name| vector(name, Access::Read, U16, 2, false);
            let mut slots = product(F32).to_vec();
            slots.extend([src_reg("scale-a-data", U32), ids("scale-a-ids"), src_reg("scale-b-data", U32)]);
            slots.push(ids("scale-b-ids"));
            exists.then(|| spec(slots, foreign).since(87, 120).specific())
        });
    }
}
