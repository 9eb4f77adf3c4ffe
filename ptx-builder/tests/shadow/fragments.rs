//! Errors through `wmma`: matrices in memory that are loaded, multiplied and stored, against exact sums.
//!
//! Each element is n / 3, rounded to its type, n from -6 to 6; so each real result is N / 9 for an integer N.

use std::fmt::Write;

use half::f16;
use ptxgen_builder::interp::{Arg, Launch, Memory, Options};
use ptxgen_builder::parse::parse;
use ptxgen_builder::table::table;
use ptxgen_builder::verify::verify;

use crate::paths::LANES;

fn number(seed: usize, at: usize) -> i64 {
    ((7 * at + seed) % 13) as i64 - 6
}

fn bytes(ty: &str) -> usize {
    match ty {
        "f16" | "bf16" => 2,
        "f64" => 8,
        _ => 4,
    }
}

/// What fills an array `name` of shared memory, n elements.
fn fill(text: &mut String, name: &str, ty: &str, seed: usize, n: usize) {
    for first in (0..n).step_by(LANES) {
        writeln!(text, "mad.lo.u32 %r1, %r0, 7, {}; rem.u32 %r1, %r1, 13; sub.s32 %r1, %r1, 6;", 7 * first + seed)
            .unwrap();
        writeln!(text, "mov.u32 %r2, {name}; mad.lo.u32 %r2, %r0, {}, %r2;", bytes(ty)).unwrap();
        let at = first * bytes(ty);
        let third = "cvt.rn.f32.s32 %f1, %r1; div.rn.f32 %f1, %f1, 0f40400000;";
        text.push_str(&match ty {
            "f64" => format!(
                "cvt.rn.f64.s32 %fd1, %r1; div.rn.f64 %fd1, %fd1, 0d4008000000000000; st.shared.f64 [%r2+{at}], %fd1;\n"
            ),
            "f32" => format!("{third} st.shared.f32 [%r2+{at}], %f1;\n"),
            "tf32" => format!("{third} cvt.rna.tf32.f32 %r3, %f1; st.shared.b32 [%r2+{at}], %r3;\n"),
            _ => format!("{third} cvt.rn.{ty}.f32 %h0, %f1; st.shared.b16 [%r2+{at}], %h0;\n"),
        });
    }
}

/// `.reg` type and registers of a lane's fragment of n elements.
fn registers(ty: &str, n: usize, is_factor: bool) -> (&'static str, usize) {
    match ty {
        "f16" if is_factor => ("b32", 8),
        "f16" | "bf16" => ("b32", n / LANES / 2),
        "f64" => ("f64", n / LANES),
        "f32" => ("f32", n / LANES),
        _ => ("b32", n / LANES),
    }
}

struct Case<'a> {
    name: &'a str,
    /// Layouts of a and b.
    layouts: [&'a str; 2],
    shape: &'a str,
    /// Types of d, a, b and c.
    types: [&'a str; 4],
}

fn case(name: &str) -> Option<Case<'_>> {
    let words: Vec<&str> = name.strip_prefix("wmma.mma.sync.aligned.")?.split('.').collect();
    let types: Vec<&str> = words[3..].iter().copied().filter(|w| w.len() > 2).collect();
    let types = match types[..] {
        [d, c] => [d, "f16", "f16", c],
        [d, a, b, c] => [d, a, b, c],
        _ => return None,
    };
    let is_float = types[0].starts_with('f');
    is_float.then_some(Case { name, layouts: [words[0], words[1]], shape: words[2], types })
}

fn extent(shape: &str) -> [usize; 3] {
    let mut numbers = shape.split(|c: char| !c.is_ascii_digit()).filter(|n| !n.is_empty());
    [(); 3].map(|()| numbers.next().and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{shape} is no shape")))
}

fn check(case: &Case, stored_by: &str) -> Result<(), String> {
    let [m, n, k] = extent(case.shape);
    let [d, a, b, c] = case.types;
    let sizes = [("a", a, m * k, true), ("b", b, k * n, true), ("c", c, m * n, false), ("d", d, m * n, false)];
    let mut text = String::from(
        ".version 9.0\n.target sm_90\n.address_size 64\n.visible .entry k(.param .u64 y) {\n\
         .reg .b16 %h<2>; .reg .b32 %r<4>; .reg .b64 %rd<2>; .reg .f32 %f<2>; .reg .f64 %fd<2>;\n",
    );
    let mut lists = Vec::new();
    for (name, ty, n, is_factor) in sizes {
        let (class, count) = registers(ty, n, is_factor);
        writeln!(text, ".reg .{class} %{name}<{count}>; .shared .align 32 .b8 s{name}[{}];", n * bytes(ty)).unwrap();
        lists.push((0..count).map(|i| format!("%{name}{i}")).collect::<Vec<_>>().join(", "));
    }
    text.push_str("mov.u32 %r0, %tid.x; ld.param.u64 %rd0, [y];\n");
    fill(&mut text, "sa", a, 1, m * k);
    fill(&mut text, "sb", b, 4, k * n);
    fill(&mut text, "sc", c, 9, m * n);
    let [la, lb] = case.layouts;
    let (shape, name) = (case.shape, case.name);
    writeln!(
        text,
        "bar.warp.sync -1;
         wmma.load.a.sync.aligned.{la}.{shape}.shared.{a} {{{}}}, [sa];
         wmma.load.b.sync.aligned.{lb}.{shape}.shared.{b} {{{}}}, [sb];
         wmma.load.c.sync.aligned.row.{shape}.shared.{c} {{{}}}, [sc];
         {name} {{{}}}, {{{}}}, {{{}}}, {{{}}};
         wmma.store.d.sync.aligned.{stored_by}.{shape}.global.{d} [%rd0], {{{}}}; ret; }}",
        lists[0], lists[1], lists[2], lists[3], lists[0], lists[1], lists[2], lists[3]
    )
    .unwrap();
    let module = parse("test.ptx", &text).map_err(|e| format!("{e}\n{text}"))?;
    let module = verify(module).map_err(|e| format!("{e}\n{text}"))?;
    let mut memory = Memory::new();
    let y = memory.alloc(&vec![0; m * n * bytes(d)], 256).unwrap();
    let launch = Launch {
        module: &module,
        kernel: "k",
        grid: [1; 3],
        block: [LANES as u32, 1, 1],
        dynamic_shared: 0,
        args: &[Arg::from(y)],
        globals: None,
        options: &Options::default(),
    };
    let (report, measured) = launch.measure(&mut memory).map_err(|e| e.to_string())?;
    if !report.is_clean() {
        return Err(report.to_string());
    }
    let held = memory.read(y).unwrap();
    if measured.elements.len() < m * n / 4 {
        return Err(format!("only {} of {} are inexact", measured.elements.len(), m * n));
    }
    for (row, column) in (0..m).flat_map(|row| (0..n).map(move |column| (row, column))) {
        let in_a = |k_: usize| if la == "row" { row * k + k_ } else { k_ * m + row };
        let in_b = |k_: usize| if lb == "row" { k_ * n + column } else { column * k + k_ };
        let products: i64 = (0..k).map(|k| number(1, in_a(k)) * number(4, in_b(k))).sum();
        let ninths = products + 3 * number(9, row * n + column);
        let at = bytes(d) * if stored_by == "row" { row * n + column } else { column * m + row };
        let bits = &held[at..at + bytes(d)];
        let value = match d {
            "f16" => f16::from_le_bytes([bits[0], bits[1]]).to_f64(),
            "f64" => f64::from_le_bytes(bits.try_into().unwrap()),
            _ => f64::from(f32::from_le_bytes(bits.try_into().unwrap())),
        };
        let error = measured.elements.iter().find(|e| e.at == at as u64).map_or(0.0, |e| e.error);
        // N / 9 - value, without cancelling.
        let want = value.mul_add(-9.0, ninths as f64) / 9.0;
        if (want - error).abs() > if d == "f64" { 1e-28 } else { 1e-13 } {
            return Err(format!("({row}, {column}): {value:e} is off by {want:e}, and the shadow says {error:e}"));
        }
    }
    Ok(())
}

#[test]
fn matrices_in_memory() {
    let cases: Vec<Case> = table().forms().iter().filter_map(|f| case(&f.name)).collect();
    assert!(cases.len() > 60, "{} products", cases.len());
    let wrong: Vec<String> = (cases.iter().flat_map(|case| ["row", "col"].map(|by| (case, by))))
        .filter_map(|(case, by)| check(case, by).err().map(|what| format!("{} stored by {by}: {what}", case.name)))
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), 2 * cases.len(), wrong.join("\n"));
}
