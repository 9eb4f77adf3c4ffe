//! What becomes of shadows in memory, in registers and in instructions, as tables in `tests/shadow_tables`.
//!
//! The tests of whole kernels see only the largest errors; here every case of a function has its line. `BLESS=1` writes
//! the tables.

mod errors;

use std::fmt::Write;

use super::bits::{moved, permuted};
use super::pages::{Found, PAGE, Pages};
use super::regs::{Gathered, Held, Regs};
use super::shape::{Format, Granule, Shape};
use super::store::Global;
use super::{Plane, Who};
use crate::interp::program::{Dst, Src};
use crate::table::{Lanes, Parts, WARP};
use crate::types::ScalarType;

fn is_golden(name: &str, text: &str) {
    crate::assert_golden!(format!("tests/shadow_tables/{name}.txt"), text);
}

fn who(w: Who) -> String {
    let introduced = w.introducer().map_or("-".to_owned(), |pc| pc.to_string());
    w.amplifier().map_or(introduced.clone(), |(pc, factor)| format!("{introduced}, {factor} times by {pc}"))
}

fn shape(s: Shape) -> String {
    let granule = |g: Granule| format!("{:?}.{}/{}", g.format, g.at, g.plane);
    let all: Vec<_> = (0..4).map(|i| s.get(i).map_or("_".to_owned(), granule)).collect();
    all.join(" ").trim_end_matches([' ', '_']).to_owned()
}

fn found(f: &Found) -> String {
    let planes: Vec<_> = (0..f.shape.planes()).map(|p| format!("{:e} ({})", f.err[p], who(f.who[p]))).collect();
    format!("{}: {}", shape(f.shape), planes.join("; "))
}

/// A register's shadow with errors 2^-10, 2^-11, ... in its planes, that instructions 1, 2, ... introduced.
fn holding(shape: Shape) -> Found {
    let mut f = Found { shape, err: [0.0; 4], who: [Who::NONE; 4] };
    for p in 0..4 {
        (f.err[p], f.who[p]) = (2f64.powi(-10 - p as i32), Who::introduced(1 + p as u32));
    }
    f
}

fn shapes() -> Vec<(&'static str, Shape)> {
    let pieces = |all: [Option<(Format, u8, u8)>; 4]| {
        let mut s = Shape::NONE;
        for (i, g) in all.into_iter().enumerate() {
            s.set(i, g.map(|(format, at, plane)| Granule { format, at, plane }));
        }
        s
    };
    use Format::{Bf16, F16, F32, F64, Int};
    vec![
        ("f64", Shape::of(F64, 1)),
        ("f32", Shape::of(F32, 1)),
        ("two f32", Shape::of(F32, 2)),
        ("f16", Shape::of(F16, 1)),
        ("two f16", Shape::of(F16, 2)),
        ("four f16", Shape::of(F16, 4)),
        ("two bf16", Shape::of(Bf16, 2)),
        ("integer", Shape::of(Int, 1)),
        ("nothing", Shape::NONE),
        ("second f16", pieces([None, Some((F16, 0, 1)), None, None])),
        ("second f32", pieces([None, None, Some((F32, 0, 2)), Some((F32, 1, 2))])),
        ("upper half of an f32", pieces([Some((F32, 1, 0)), None, None, None])),
        ("upper half of an f64", pieces([Some((F64, 2, 0)), Some((F64, 3, 0)), None, None])),
        ("halves of an f32, swapped", pieces([Some((F32, 1, 0)), Some((F32, 0, 1)), None, None])),
        ("halves of an f32 apart", pieces([Some((F32, 0, 0)), Some((F32, 1, 1)), None, None])),
        ("an f16 and half an f32", pieces([Some((F16, 0, 0)), Some((F32, 0, 1)), None, None])),
        ("an f32 and an f16", pieces([Some((F32, 0, 0)), Some((F32, 1, 0)), Some((F16, 0, 2)), None])),
    ]
}

/// The shapes that are combined.
fn few_shapes() -> Vec<(&'static str, Shape)> {
    let few = ["f64", "f32", "two f32", "four f16", "second f16", "integer", "halves of an f32 apart"];
    shapes().into_iter().filter(|(name, _)| few.contains(name)).collect()
}

const BITS: u64 = 0x8877_6655_4433_2211;

/// What a load finds at once is what it finds piece by piece; whether it does at once.
fn at_once(pages: &mut Pages, at: u64, bytes: u32, value: u64) -> bool {
    let both = pages.quick_and_pieces(at, bytes, value);
    let Some((Some(quick), pieces)) = both else { return false };
    assert_eq!(quick.as_ref().map(found), pieces.as_ref().map(found), "{bytes} bytes at {at}");
    true
}

/// What loads of all widths find at `base` and the seven bytes after it, where memory holds `bits`.
fn loads(pages: &mut Pages, base: u64, bits: u64) -> String {
    let mut text = String::new();
    for bytes in [8, 4, 2, 1] {
        for k in (0..8).step_by(bytes as usize) {
            let value = low_bytes(bits >> (8 * k), bytes);
            let quick = if at_once(pages, base + k, bytes, value) { "" } else { " by its pieces" };
            if let Some(f) = pages.load(base + k, bytes, value) {
                writeln!(text, "  {bytes} at {k}{quick}: {}", found(&f)).expect("text");
            }
        }
    }
    let mut entries: Vec<_> = pages.entries().collect();
    entries.sort_by_key(|(at, e)| (*at, e.size));
    for (at, e) in entries {
        let part = format!("{} bytes of {:?} from {}", e.size, e.format, e.at);
        writeln!(text, "  kept at {at}: {part}, {:x}, {:e} ({})", e.held, e.err, who(e.who)).expect("text");
    }
    text
}

/// Where nothing is near, a load knows at once.
#[test]
fn nothing_is_found_at_once() {
    let all = shapes();
    let named = |n: &str| all.iter().find(|(name, _)| *name == n).expect("a shape").1;
    for (name, size) in [("f32", 4), ("f64", 8)] {
        let mut pages = Pages::default();
        pages.store(16, size, BITS, &holding(named(name)));
        for bytes in [1, 2, 4, 8, 16] {
            for at in (0..48).step_by(bytes as usize) {
                let (far, whole) = (at >= 24 || at + u64::from(bytes) <= 16, at == 16 && bytes == size);
                let value = low_bytes(BITS, bytes);
                assert_eq!(at_once(&mut pages, at, bytes, value), far || whole, "{name} {bytes} at {at}");
                // Another value is there than was stored.
                assert_eq!(at_once(&mut pages, at, bytes, value ^ 1), far, "{name} {bytes} at {at}");
            }
        }
        // Small values may be anywhere in a page.
        pages.store(PAGE - 2, 2, BITS, &holding(named("f16")));
        assert!(!at_once(&mut pages, 0, 4, 0) && at_once(&mut pages, 16, size, low_bytes(BITS, size)));
    }
}

fn low_bytes(bits: u64, bytes: u32) -> u64 {
    bits & (u64::MAX >> (64 - 8 * bytes.min(8)))
}

#[test]
fn memory_holds_what_is_stored() {
    let mut text = String::new();
    let mut show = |title: String, pages: &mut Pages, base: u64, bits: u64| {
        writeln!(text, "{title}\n{}", loads(pages, base, bits)).expect("text");
    };
    let store = |pages: &mut Pages, at: u64, bytes: u32, s: Shape| {
        pages.store(at, bytes, BITS >> (8 * (at % 8)), &holding(s));
    };
    for (name, s) in shapes() {
        for bytes in [1, 2, 4, 8] {
            let mut pages = Pages::default();
            assert!(pages.is_empty());
            store(&mut pages, 16, bytes, s);
            show(format!("{bytes} bytes of {name}"), &mut pages, 16, BITS);
        }
    }
    let all = shapes();
    let named = |n: &str| all.iter().find(|(name, _)| *name == n).expect("a shape").1;
    // At the end of a page, and in several.
    let mut pages = Pages::default();
    store(&mut pages, PAGE - 8, 8, named("f64"));
    store(&mut pages, PAGE, 4, named("f32"));
    store(&mut pages, 5 * PAGE + 6, 2, named("f16"));
    for base in [PAGE - 8, PAGE, 5 * PAGE, 6 * PAGE] {
        show(format!("several pages, at {base}"), &mut pages, base, BITS);
    }
    // Adjacent pieces form one value again.
    let mut pages = Pages::default();
    pages.store(0, 4, BITS, &holding(named("f32")));
    let upper = Found { err: [2f64.powi(-10); 4], ..holding(named("upper half of an f32")) };
    pages.store(2, 2, BITS >> 16, &upper);
    show("a half stored again, with the same error".to_owned(), &mut pages, 0, BITS);
    // But not of two formats, nor another part.
    for (format, at) in [(Format::F64, 1), (Format::F32, 0), (Format::F64, 2)] {
        let mut pages = Pages::default();
        let piece = |format, at| {
            let mut shape = Shape::NONE;
            shape.set(0, Some(Granule { format, at, plane: 0 }));
            Found { shape, ..holding(Shape::NONE) }
        };
        pages.store(0, 2, BITS, &piece(if at == 2 { Format::F64 } else { Format::F32 }, 0));
        pages.store(2, 2, BITS >> 16, &piece(format, at));
        show(format!("a half beside piece {at} of an {format:?}"), &mut pages, 0, BITS);
    }
    pages.store(0, 2, BITS, &holding(named("f16")));
    show("the other half another value".to_owned(), &mut pages, 0, BITS);
    for (first, second, at, bytes) in [
        ("f64", "f32", 0, 4),
        ("f64", "f32", 4, 4),
        ("f64", "f16", 2, 2),
        ("f64", "f16", 6, 2),
        ("f64", "integer", 3, 1),
        ("two f32", "two f16", 4, 4),
        ("four f16", "f32", 0, 4),
        ("four f16", "f64", 0, 8),
        ("two f32", "nothing", 0, 4),
        ("two f32", "nothing", 4, 2),
        ("four f16", "nothing", 2, 4),
        ("four f16", "nothing", 0, 8),
        ("integer", "f32", 0, 4),
    ] {
        let mut pages = Pages::default();
        store(&mut pages, 0, 8, named(first));
        store(&mut pages, at, bytes, named(second));
        show(format!("{first}, then {bytes} bytes of {second} at {at}"), &mut pages, 0, BITS);
        show("  where the bits at 4 changed".to_owned(), &mut pages, 0, BITS ^ 1 << 33);
        pages.store(at, bytes, BITS >> (8 * at), &Found { err: [0.0; 4], ..holding(named(second)) });
        show("  the second exact".to_owned(), &mut pages, 0, BITS);
        pages.clear(at, bytes);
        pages.clear(PAGE, 8);
        show("  the second cleared".to_owned(), &mut pages, 0, BITS);
    }
    is_golden("memory", &text);
}

/// Global memory is pages under locks; what nothing was stored in holds nothing.
#[test]
fn global_memory_is_spread() {
    let global = Global::default();
    let f = holding(Shape::of(Format::F32, 1));
    let places: Vec<u64> = (0..130).map(|i| i * PAGE).chain([1 << 26, 3 << 26, (5 << 26) + 8, (1 << 26) - 4]).collect();
    for (i, &at) in places.iter().enumerate() {
        let value = i as u64 + 1;
        assert!(global.load(at, 4, value).is_none());
        global.store(at, 4, value, &f);
        assert_eq!(global.load(at, 4, value).map(|f| found(&f)), Some(found(&f)));
        assert!(global.load(at, 4, value + 1).is_none(), "other bits");
    }
    let mut sorted = places.clone();
    sorted.sort_unstable();
    assert_eq!(global.entries().iter().map(|(at, _)| *at).collect::<Vec<_>>(), sorted);
    for piece in 0..64 {
        assert_eq!(global.may_hold(piece << 26), [0, 1, 3, 5].contains(&piece), "{piece}");
        assert_eq!(global.may_hold((piece << 26) + (1 << 26) - 1), [0, 1, 3, 5].contains(&piece), "{piece}");
    }
    // Accesses of different pages are under different locks, 64 in all.
    let held = global.pages(0);
    for i in 1..64 {
        drop(global.pages(i * PAGE));
    }
    drop(held);
    global.clear(0, 4);
    global.clear(2 << 26, 4);
    assert!(!global.may_hold(2 << 26));
    assert_eq!(global.entries().len(), places.len() - 1);
}

/// Errors `2^-10 * (lane + 1) * k` of instruction `10 k`.
fn plane(k: u32) -> Plane {
    Plane {
        err: std::array::from_fn(|lane| 2f64.powi(-10) * (lane + 1) as f64 * f64::from(k)),
        who: [Who::introduced(10 * k); WARP],
    }
}

fn held(shape: Shape) -> Held {
    Held { shape, planes: (1..=shape.planes() as u32).map(plane).collect() }
}

/// Lanes 0 to 4 and 31 of a register's shadow, in units of 2^-10.
fn lanes(h: Option<&Held>) -> String {
    let Some(h) = h else { return "exact".to_owned() };
    let planes = h.planes.iter().take(h.shape.planes()).map(|p| {
        let all: Vec<_> = [0, 1, 2, 3, 31].map(|l| format!("{} ({})", p.err[l] * 1024.0, who(p.who[l]))).into();
        all.join(" ")
    });
    format!("{}: {}", shape(h.shape), planes.collect::<Vec<_>>().join("; "))
}

#[test]
fn registers_hold_what_is_put() {
    let mut text = String::new();
    let dst = |reg: u32| Dst { reg, ty: ScalarType::B64, extend: None };
    for (first, a) in few_shapes() {
        for (second, b) in few_shapes() {
            for mask in [u32::MAX, 0b101] {
                let mut regs = Regs::new(2);
                regs.put(&dst(1), u32::MAX, a, &held(a).planes);
                let planes: Vec<_> = (5..9).map(plane).collect();
                regs.put(&dst(1), mask, b, &planes);
                assert!(regs.source(Some(&Src::Reg(0))).is_none());
                writeln!(text, "{first}, then {second} in {mask:x}: {}", lanes(regs.source(Some(&Src::Reg(1)))))
                    .expect("text");
                regs.clear(&dst(1), 0b11);
                let cleared = regs.source(Some(&Src::Reg(1)));
                writeln!(text, "  without lanes 0 and 1: {}", lanes(cleared)).expect("text");
                // An exact value in some lanes.
                regs.put(&dst(1), 0b100, b, &[Plane::EXACT, Plane::EXACT, Plane::EXACT, Plane::EXACT]);
                writeln!(text, "  without lane 2: {}", lanes(regs.source(Some(&Src::Reg(1))))).expect("text");
                let taken = regs.take(Some(&Src::Reg(1)));
                assert!(regs.source(Some(&Src::Reg(1))).is_none());
                if let Some((register, held)) = taken {
                    let before = lanes(Some(&held));
                    regs.give_back(register, held);
                    assert_eq!(lanes(regs.source(Some(&Src::Reg(1)))), before);
                }
                regs.reset();
                assert!(regs.source(Some(&Src::Reg(1))).is_none());
            }
        }
    }
    is_golden("registers", &text);
}

#[test]
fn lanes_are_gathered() {
    let mut text = String::new();
    for (first, a) in few_shapes() {
        for (second, b) in few_shapes() {
            for granule in 0..4 {
                let mut gathered = Gathered::default();
                gathered.add(0, 0, &holding(a));
                gathered.add(1, granule, &holding(b));
                gathered.add(2, 0, &holding(a));
                let held = Held { shape: gathered.shape, planes: gathered.planes };
                writeln!(text, "{first}, {second} from {granule}, {first}: {}", lanes(Some(&held))).expect("text");
            }
        }
    }
    is_golden("gathered", &text);
}

#[test]
fn bits_are_moved() {
    let mut text = String::new();
    let bits = |x: u64| -> Lanes { std::array::from_fn(|lane| x + lane as u64) };
    let (a, b) = (0x1111_2222_3333_4444, 0x5555_6666_7777_8888);
    for (name, s) in shapes() {
        let (first, second) = (held(s), Held { shape: s, planes: (5..9).map(plane).collect() });
        let (la, lb) = (bits(a), bits(b));
        for (width, count) in [(64, 1), (32, 2), (16, 4)] {
            for index in 0..count {
                let result = bits(a >> (width as usize * index));
                let made = moved(Parts::Unpack, &[(&la, Some(&first))], (index, width), &result, u32::MAX);
                let held = Held { shape: made.shape, planes: made.planes };
                writeln!(text, "{name}, part {index} of {width} bits: {}", lanes(Some(&held))).expect("text");
            }
        }
        for (what, sources) in [
            ("two", vec![(&la, Some(&first)), (&lb, Some(&second))]),
            ("the first exact", vec![(&la, None), (&lb, Some(&second))]),
            ("of one", vec![(&la, Some(&first)), (&la, Some(&first))]),
            ("four", vec![(&la, Some(&first)), (&lb, Some(&second)), (&la, Some(&first)), (&lb, None)]),
        ] {
            for width in [32, 64] {
                let made = moved(Parts::Pack, &sources, (0, width), &la, u32::MAX);
                let held = Held { shape: made.shape, planes: made.planes };
                writeln!(text, "{name}, {what} packed to {width}: {}", lanes(Some(&held))).expect("text");
            }
            for (how, result) in [
                ("as it was", a),
                ("shifted right by 16", a >> 16),
                ("shifted left by 16", a << 16),
                ("halves of both", (a & 0xffff_ffff) | (b & 0xffff_ffff_0000_0000)),
                ("changed", a ^ 1),
                ("all changed", 0x0101_0101_0101_0101),
            ] {
                for mask in if how == "changed" { vec![u32::MAX, 1] } else { vec![u32::MAX] } {
                    let result: Lanes = std::array::from_fn(|lane| match how {
                        "as it was" => la[lane],
                        "shifted right by 16" => la[lane] >> 16,
                        "shifted left by 16" => la[lane] << 16,
                        "halves of both" => (la[lane] & 0xffff_ffff) | (lb[lane] & 0xffff_ffff_0000_0000),
                        _ => result,
                    });
                    let made = moved(Parts::Mix, &sources, (0, 64), &result, mask);
                    let held = Held { shape: made.shape, planes: made.planes };
                    if held.shape.is_none() {
                        continue;
                    }
                    writeln!(text, "{name}, {what}, {how} in {mask:x}: {}", lanes(Some(&held))).expect("text");
                }
            }
        }
        let from: [u32; WARP] = std::array::from_fn(|lane| (lane as u32 ^ 1) + if lane > 2 { 32 } else { 0 });
        let other = Held { shape: s, planes: permuted(&first, &from) };
        writeln!(text, "{name} of the neighbour: {}", lanes(Some(&other))).expect("text");
    }
    is_golden("bits", &text);
}
