//! Comparisons and selections.

use std::cmp::Ordering::{Equal, Greater, Less};

use super::{all, one};

const COMPARISONS: [&str; 14] =
    ["eq", "ne", "lt", "le", "gt", "ge", "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan"];

/// By the ISA's table: the ordered ones ask for two numbers, the others hold for a NaN too.
fn holds(comparison: &str, a: f64, b: f64) -> bool {
    let ordering = a.partial_cmp(&b);
    match (comparison, ordering) {
        ("num", o) => o.is_some(),
        ("nan", o) => o.is_none(),
        (c, None) => c.ends_with('u'),
        ("eq" | "equ", Some(o)) => o == Equal,
        ("ne" | "neu", Some(o)) => o != Equal,
        ("lt" | "ltu", Some(o)) => o == Less,
        ("le" | "leu", Some(o)) => o != Greater,
        ("gt" | "gtu", Some(o)) => o == Greater,
        (_, Some(o)) => o != Less,
    }
}

const VALUES: [f64; 6] = [0.0, -0.0, 1.0, -1.5, f64::INFINITY, f64::NAN];

#[test]
fn floats() {
    let f16 = |x: f64| u64::from(half::f16::from_f64(x).to_bits());
    let bf16 = |x: f64| u64::from(half::bf16::from_f64(x).to_bits());
    for c in COMPARISONS {
        for a in VALUES {
            for b in VALUES {
                let expected = u64::from(holds(c, a, b));
                let (x, y) = (u64::from((a as f32).to_bits()), u64::from((b as f32).to_bits()));
                assert_eq!(all(&format!("setp.{c}.f32"), &[x, y]), [expected, 1 - expected], "{c} {a} {b}");
                assert_eq!(one(&format!("setp.{c}.f64"), &[a.to_bits(), b.to_bits()]), expected);
                assert_eq!(one(&format!("setp.{c}.f16"), &[f16(a), f16(b)]), expected);
                assert_eq!(one(&format!("setp.{c}.bf16"), &[bf16(a), bf16(b)]), expected);
                let pair = [f16(a) << 16 | f16(b), f16(b) << 16 | f16(b)];
                let low = u64::from(holds(c, b, b));
                assert_eq!(all(&format!("setp.{c}.f16x2"), &pair), [low, expected]);
                assert_eq!(one(&format!("set.{c}.u32.f16x2"), &pair), low * 0xffff + expected * 0xffff_0000);
                assert_eq!(one(&format!("set.{c}.f16x2.f16x2"), &pair), low * 0x3c00 + expected * 0x3c00_0000);
                assert_eq!(one(&format!("set.{c}.f32.f32"), &[x, y]), expected * 0x3f80_0000);
                assert_eq!(one(&format!("set.{c}.s32.f64"), &[a.to_bits(), b.to_bits()]), expected * 0xffff_ffff);
                for z in [0, 1] {
                    for (op, p, q) in [
                        ("and", expected & z, (1 - expected) & z),
                        ("or", expected | z, (1 - expected) | z),
                        ("xor", expected ^ z, (1 - expected) ^ z),
                    ] {
                        assert_eq!(all(&format!("setp.{c}.{op}.f32"), &[x, y, z]), [p, q], "{c}.{op} {a} {b} {z}");
                    }
                }
            }
        }
    }
    assert_eq!(one("setp.eq.f32", &[1, 0]), 0);
    assert_eq!(one("setp.eq.ftz.f32", &[1, 1 << 31]), 1);
}

#[test]
fn integers() {
    let values = [0u64, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
    for a in values {
        for b in values {
            let (x, y) = (a as u32 as i32, b as u32 as i32);
            for (c, unsigned, signed) in [
                ("eq", a == b, x == y),
                ("ne", a != b, x != y),
                ("lt", a < b, x < y),
                ("le", a <= b, x <= y),
                ("gt", a > b, x > y),
                ("ge", a >= b, x >= y),
            ] {
                assert_eq!(one(&format!("setp.{c}.u32"), &[a, b]), u64::from(unsigned), "{c} {a:x} {b:x}");
                assert_eq!(one(&format!("setp.{c}.s32"), &[a, b]), u64::from(signed), "{c} {x} {y}");
                assert_eq!(one(&format!("setp.{c}.u64"), &[a << 32, b << 32]), u64::from(unsigned));
                assert_eq!(one(&format!("setp.{c}.s64"), &[a << 32, b << 32]), u64::from(signed));
                assert_eq!(one(&format!("set.{c}.u32.s32"), &[a, b]), if signed { 0xffff_ffff } else { 0 });
            }
            for (alias, name) in [("lo", "lt"), ("ls", "le"), ("hi", "gt"), ("hs", "ge")] {
                assert_eq!(one(&format!("setp.{alias}.u32"), &[a, b]), one(&format!("setp.{name}.u32"), &[a, b]));
            }
        }
    }
}

#[test]
fn selections() {
    assert_eq!(one("selp.b64", &[5, 6, 1]), 5);
    assert_eq!(one("selp.f32", &[0xffc0_0001, 6, 1]), 0xffc0_0001, "a NaN keeps its bits");
    assert_eq!(one("selp.u16", &[5, 6, 0]), 6);
    for (c, expected) in [(0.0f32, 5), (-0.0, 5), (2.0, 5), (-1.0, 6), (f32::NAN, 6), (f32::from_bits(0x8000_0001), 6)]
    {
        assert_eq!(one("slct.u32.f32", &[5, 6, c.to_bits().into()]), expected, "{c}");
    }
    assert_eq!(one("slct.ftz.u32.f32", &[5, 6, 0x8000_0001]), 5);
    assert_eq!(one("slct.f64.s32", &[5, 6, 0xffff_ffff]), 6);
}
