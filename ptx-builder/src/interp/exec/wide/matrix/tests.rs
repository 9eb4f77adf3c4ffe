//! Every product of floats of the table, on inexact matrices, against exact sums.
//!
//! Each element is n / 3, rounded to its type, n from -6 to 6; so each real result is N / 9 for an integer N.

use std::fmt::Write;

use crate::interp::{Arg, Launch, Memory, Options};
use crate::table::{Element, Form, Layout, Meaning, Part, Product, WARP, table};
use crate::types::ScalarType;

/// n of a lane's element.
fn number(part: Part, lane: usize, i: usize) -> i64 {
    let (times, plus) = match part {
        Part::A => (7, 0),
        Part::B => (5, 3),
        Part::C | Part::D => (3, 8),
    };
    ((times * lane + 5 * i + plus) % 13) as i64 - 6
}

/// What puts the elements of a matrix into registers `name` and numbers; `at` elements of it lie in a register.
fn fill(body: &mut String, product: &Product, part: Part, name: &str) {
    let element = product.element(part);
    let (times, plus) = match part {
        Part::A => (7, 0),
        Part::B => (5, 3),
        Part::C | Part::D => (3, 8),
    };
    let per = element.per_register();
    for register in 0..usize::from(product.registers(part)) {
        for piece in 0..per {
            let i = 5 * (register * per + piece) + plus;
            writeln!(body, "mad.lo.u32 %r1, %r0, {times}, {i}; rem.u32 %r1, %r1, 13; sub.s32 %r1, %r1, 6;").unwrap();
            body.push_str(match element {
                Element::F64 => "cvt.rn.f64.s32 %fd1, %r1; div.rn.f64 %fd1, %fd1, 0d4008000000000000;\n",
                _ => "cvt.rn.f32.s32 %f1, %r1; div.rn.f32 %f1, %f1, 0f40400000;\n",
            });
            let half = |ty| format!("cvt.rn.{ty}.f32 %h{piece}, %f1;\n");
            body.push_str(&match element {
                Element::F16 => half("f16"),
                Element::Bf16 => half("bf16"),
                Element::Tf32 => format!("cvt.rna.tf32.f32 {name}{register}, %f1;\n"),
                Element::F32 => format!("mov.f32 {name}{register}, %f1;\n"),
                Element::F64 => format!("mov.f64 {name}{register}, %fd1;\n"),
                other => panic!("{other:?} are no floats with shadows"),
            });
        }
        if per == 2 {
            writeln!(body, "mov.b32 {name}{register}, {{%h0, %h1}};").unwrap();
        }
    }
}

fn class(element: Element) -> &'static str {
    match element.register() {
        ScalarType::F32 => "f32",
        ScalarType::F64 => "f64",
        _ => "b32",
    }
}

/// Where the results are: lane, register and piece one after the other, 8 bytes a register.
fn place(product: &Product, lane: usize, i: usize) -> u64 {
    let (per, registers) = (product.d.per_register(), usize::from(product.registers(Part::D)));
    (8 * (lane * registers + i / per) + i % per * product.d.bits() / 8) as u64
}

fn kernel(form: &Form, product: &Product) -> String {
    let parts = [(Part::A, "%a"), (Part::B, "%b"), (Part::C, "%c"), (Part::D, "%d")];
    let mut text = format!(
        ".version 9.0\n.target sm_{}\n.address_size 64\n.visible .entry k(.param .u64 y) {{\n\
         .reg .b16 %h<2>; .reg .b32 %r<2>; .reg .b64 %rd<2>; .reg .f32 %f<2>; .reg .f64 %fd<2>;\n",
        90
    );
    let mut lists = Vec::new();
    for (part, name) in parts {
        let n = product.registers(part);
        writeln!(text, ".reg .{} {name}<{n}>;", class(product.element(part))).unwrap();
        lists.push((0..n).map(|i| format!("{name}{i}")).collect::<Vec<_>>().join(", "));
    }
    text.push_str("mov.u32 %r0, %tid.x; ld.param.u64 %rd0, [y];\n");
    parts[..3].iter().for_each(|(part, name)| fill(&mut text, product, *part, name));
    let [a, b, c, d] = &lists[..] else { panic!("four matrices") };
    writeln!(text, "{} {{{d}}}, {{{a}}}, {{{b}}}, {{{c}}};", form.name).unwrap();
    let registers = product.registers(Part::D);
    writeln!(text, "mul.wide.u32 %rd1, %r0, {}; add.s64 %rd0, %rd0, %rd1;", 8 * registers).unwrap();
    for i in 0..registers {
        writeln!(text, "st.global.{} [%rd0+{}], %d{i};", class(product.d), 8 * i).unwrap();
    }
    text + "ret; }\n"
}

/// What is wrong with the shadows of a product; how many results were inexact otherwise.
fn faults(form: &Form, product: &Product) -> Result<usize, String> {
    let text = kernel(form, product);
    let module = crate::parse::parse("test.ptx", &text).map_err(|e| format!("{e}\n{text}"))?;
    let module = crate::verify::verify(module).map_err(|e| format!("{e}\n{text}"))?;
    let mut memory = Memory::new();
    let y = memory.alloc(&vec![0; 8 * WARP * usize::from(product.registers(Part::D))], 256).unwrap();
    let launch = Launch {
        module: &module,
        kernel: "k",
        grid: [1; 3],
        block: [WARP as u32, 1, 1],
        dynamic_shared: 0,
        args: &[Arg::from(y)],
        globals: None,
        options: &Options::default(),
    };
    let (report, measured) = launch.measure(&mut memory).map_err(|e| e.to_string())?;
    if !report.is_clean() {
        return Err(report.to_string());
    }
    let bytes = memory.read(y).unwrap();
    let matrix = |part: Part| {
        let (rows, columns) = product.extent(part);
        let mut all = vec![0; product.count() * rows * columns];
        let count = usize::from(product.registers(part)) * product.element(part).per_register();
        for (lane, i) in (0..WARP).flat_map(|lane| (0..count).map(move |i| (lane, i))) {
            let (unit, row, column) = product.place(part, lane, i);
            // Where an element is held twice, the last copy counts, as in the interpreter.
            all[(unit * rows + row) * columns + column] = number(part, lane, i);
        }
        move |unit: usize, row: usize, column: usize| all[(unit * rows + row) * columns + column]
    };
    let (a, b, c) = (matrix(Part::A), matrix(Part::B), matrix(Part::C));
    let (_, _, k) = product.sizes();
    let mut inexact = 0;
    let count = usize::from(product.registers(Part::D)) * product.d.per_register();
    for (lane, i) in (0..WARP).flat_map(|lane| (0..count).map(move |i| (lane, i))) {
        let (unit, row, column) = product.place(Part::D, lane, i);
        let ninths: i64 = (0..k).map(|k| a(unit, row, k) * b(unit, k, column)).sum::<i64>() + 3 * c(unit, row, column);
        let at = place(product, lane, i) as usize;
        let mut held = [0; 8];
        held[..product.d.bits() / 8].copy_from_slice(&bytes[at..at + product.d.bits() / 8]);
        let value = product.d.number(u64::from_le_bytes(held));
        let element = measured.elements.iter().find(|e| e.at == at as u64);
        let error = element.map_or(0.0, |e| e.error);
        inexact += usize::from(element.is_some());
        // N / 9 - value, without cancelling.
        let want = value.mul_add(-9.0, ninths as f64) / 9.0;
        let most = if product.d == Element::F64 { 1e-28 } else { 1e-13 };
        if (want - error).abs() > most {
            return Err(format!("lane {lane}, {i}: {value:e} is off by {want:e}, and the shadow says {error:e}"));
        }
    }
    Ok(inexact)
}

#[test]
fn every_product_of_floats_keeps_the_shadows_of_its_factors() {
    let (mut seen, mut wrong) = (0, Vec::new());
    for form in table().forms() {
        let Meaning::Matrix(matrix) = form.meaning else { continue };
        let Some(product) = Product::of(matrix).filter(|p| !p.a.is_integer()) else { continue };
        // 8-bit floats have no shadows.
        if matches!(product.a, Element::E4m3 | Element::E5m2) {
            continue;
        }
        seen += 1;
        match faults(form, &product) {
            Ok(inexact) if inexact >= WARP => {}
            Ok(inexact) => wrong.push(format!("{}: only {inexact} results are inexact", form.name)),
            Err(what) => wrong.push(format!("{}: {what}", form.name)),
        }
    }
    assert!(seen > 60, "{seen} products");
    assert!(wrong.is_empty(), "{} of {seen}:\n{}", wrong.len(), wrong.join("\n"));
    let quads = |p: &Product| matches!(p.layout, Layout::Quads { .. });
    let of = |f: &Form| if let Meaning::Matrix(m) = f.meaning { Product::of(m) } else { None };
    assert!(table().forms().iter().filter_map(of).any(|p| quads(&p)));
}
