//! Integers, bits and shifts.

use super::{Random, one};

/// (name, width, signed)
const TYPES: [(&str, u32, bool); 6] = [
    ("u16", 16, false),
    ("u32", 32, false),
    ("u64", 64, false),
    ("s16", 16, true),
    ("s32", 32, true),
    ("s64", 64, true),
];

fn mask(bits: u32) -> u64 {
    if bits == 64 { u64::MAX } else { (1 << bits) - 1 }
}

/// The value of bits of a type.
fn value(bits: u64, width: u32, signed: bool) -> i128 {
    let x = i128::from(bits);
    if signed && bits >> (width - 1) & 1 == 1 { x - (1 << width) } else { x }
}

fn samples() -> Vec<u64> {
    let mut random = Random::new();
    let mut all = vec![0, 1, 2, 3, 7, u64::MAX, u64::MAX - 1];
    for width in [8, 16, 32, 64] {
        all.extend([1 << (width - 1), (1 << (width - 1)) - 1, (1 << (width - 1)) + 1, mask(width), mask(width) - 1]);
    }
    all.extend((0..20).map(|_| random.bits()));
    all
}

#[test]
fn arithmetic_wraps() {
    type Expected = fn(i128, i128, i128) -> i128;
    let operations: [(&str, Expected); 8] = [
        ("add", |a, b, _| a + b),
        ("sub", |a, b, _| a - b),
        ("min", |a, b, _| a.min(b)),
        ("max", |a, b, _| a.max(b)),
        ("mul.lo", |a, b, _| a.wrapping_mul(b)),
        ("mad.lo", |a, b, c| a.wrapping_mul(b).wrapping_add(c)),
        ("sad", |a, b, c| c + (a - b).abs()),
        ("div", |a, b, _| if b == 0 { -1 } else { a / b }),
    ];
    for (ty, width, signed) in TYPES {
        for (op, expected) in operations {
            let sources = if matches!(op, "mad.lo" | "sad") { 3 } else { 2 };
            for a in samples() {
                for b in samples() {
                    let operands = [a & mask(width), b & mask(width), (a ^ b) & mask(width)];
                    let [x, y, z] = operands.map(|bits| value(bits, width, signed));
                    let got = one(&format!("{op}.{ty}"), &operands[..sources]);
                    assert_eq!(got, expected(x, y, z) as u64 & mask(width), "{op}.{ty} {x} {y} {z}");
                }
            }
        }
    }
}

#[test]
fn products_and_remainders() {
    for (ty, width, signed) in TYPES {
        for a in samples() {
            for b in samples() {
                let (a, b) = (a & mask(width), b & mask(width));
                let (x, y) = (value(a, width, signed), value(b, width, signed));
                // 64 x 64 bits unsigned does not fit i128, but u128.
                let high = if signed { ((x * y) >> width) as u64 } else { ((x as u128 * y as u128) >> width) as u64 };
                assert_eq!(one(&format!("mul.hi.{ty}"), &[a, b]), high & mask(width), "mul.hi.{ty} {x} {y}");
                let sum = high.wrapping_add(a) & mask(width);
                assert_eq!(one(&format!("mad.hi.{ty}"), &[a, b, a]), sum, "mad.hi.{ty} {x} {y}");
                let rem = if y == 0 { -1 } else { x - y * (x / y) };
                assert_eq!(one(&format!("rem.{ty}"), &[a, b]), rem as u64 & mask(width), "rem.{ty} {x} {y}");
                if width < 64 {
                    let wide = (x * y) as u64 & mask(2 * width);
                    assert_eq!(one(&format!("mul.wide.{ty}"), &[a, b]), wide, "mul.wide.{ty} {x} {y}");
                    let c = !wide & mask(2 * width);
                    let sum = wide.wrapping_add(c) & mask(2 * width);
                    assert_eq!(one(&format!("mad.wide.{ty}"), &[a, b, c]), sum, "mad.wide.{ty} {x} {y}");
                }
            }
        }
    }
}

#[test]
fn clamping_sums_signs_and_24_bits() {
    let low24 = |x: u64, signed: bool| value(x & 0xff_ffff, 24, signed);
    for a in samples() {
        for b in samples() {
            let (a, b) = (a & mask(32), b & mask(32));
            let (x, y) = (value(a, 32, true), value(b, 32, true));
            let clamp = |v: i128| v.clamp(-(1 << 31), (1 << 31) - 1) as u64 & mask(32);
            assert_eq!(one("add.sat.s32", &[a, b]), clamp(x + y));
            assert_eq!(one("sub.sat.s32", &[a, b]), clamp(x - y));
            for (ty, signed) in [("u32", false), ("s32", true)] {
                let product = low24(a, signed) * low24(b, signed);
                assert_eq!(one(&format!("mul24.lo.{ty}"), &[a, b]), product as u64 & mask(32));
                assert_eq!(one(&format!("mul24.hi.{ty}"), &[a, b]), (product >> 16) as u64 & mask(32));
                assert_eq!(one(&format!("mad24.lo.{ty}"), &[a, b, b]), (product + y) as u64 & mask(32));
                assert_eq!(one(&format!("mad24.hi.{ty}"), &[a, b, b]), ((product >> 16) + y) as u64 & mask(32));
            }
        }
        for (ty, width) in [("s16", 16), ("s32", 32), ("s64", 64)] {
            let x = value(a & mask(width), width, true);
            assert_eq!(one(&format!("abs.{ty}"), &[a & mask(width)]), x.unsigned_abs() as u64 & mask(width));
            assert_eq!(one(&format!("neg.{ty}"), &[a & mask(width)]), -x as u64 & mask(width));
        }
    }
}

/// The pseudocode of PTX ISA 9.7.1.19: bit by bit.
fn bfe(a: u64, b: u64, c: u64, width: u32, signed: bool) -> u64 {
    let (top, pos, len) = (u64::from(width) - 1, b, c);
    let bit = |i: u64| a >> i & 1;
    let sign = if !signed || len == 0 { 0 } else { bit((pos + len - 1).min(top)) };
    (0..=top).map(|i| if i < len && pos + i <= top { bit(pos + i) << i } else { sign << i }).sum()
}

/// The pseudocode of PTX ISA 9.7.1.20.
fn bfi(a: u64, b: u64, c: u64, d: u64, width: u32) -> u64 {
    let top = u64::from(width) - 1;
    (0..d.min(64)).filter(|i| c + i <= top).fold(b, |f, i| f & !(1 << (c + i)) | (a >> i & 1) << (c + i))
}

#[test]
fn fields() {
    let lengths = [0, 1, 4, 5, 8, 16, 31, 32, 33, 60, 63, 64, 65, 128, 255];
    for a in samples() {
        for pos in lengths {
            for len in lengths {
                for (ty, width, signed) in
                    [("u32", 32, false), ("s32", 32, true), ("u64", 64, false), ("s64", 64, true)]
                {
                    let name = format!("bfe.{ty}");
                    let x = a & mask(width);
                    assert_eq!(one(&name, &[x, pos, len]), bfe(x, pos, len, width, signed), "{name} {x:x} {pos} {len}");
                }
                for (ty, width) in [("b32", 32), ("b64", 64)] {
                    let (name, x, y) = (format!("bfi.{ty}"), a & mask(width), !a.rotate_left(9) & mask(width));
                    let expected = bfi(x, y, pos, len, width);
                    assert_eq!(one(&name, &[x, y, pos, len]), expected, "{name} {x:x} {pos} {len}");
                }
            }
        }
    }
    // Beyond 255: modulo 256 in 32 bits, not in 64 (seen on an H200).
    assert_eq!(one("bfe.u32", &[0xfedc_ba98, 0x104, 0x1008]), 0xa9);
    assert_eq!(one("bfe.u64", &[u64::MAX, 0, 0x100_0001]), u64::MAX);
    assert_eq!(one("bfi.b64", &[u64::MAX, 0, 0x100_0001, 0x100_0001]), 0);
}

#[test]
fn counts_and_places() {
    for a in samples() {
        for (width, b, u, s) in [(32, "b32", "u32", "s32"), (64, "b64", "u64", "s64")] {
            let x = a & mask(width);
            let ones = (0..width).filter(|i| x >> i & 1 == 1);
            assert_eq!(one(&format!("popc.{b}"), &[x]), ones.clone().count() as u64);
            let highest = ones.clone().max();
            assert_eq!(one(&format!("clz.{b}"), &[x]), u64::from(highest.map_or(width, |h| width - 1 - h)));
            assert_eq!(one(&format!("brev.{b}"), &[x]), ones.map(|i| 1 << (width - 1 - i)).sum::<u64>());
            let top = |bits: Option<u32>, shift: bool| match bits {
                None => 0xffff_ffff,
                Some(h) if shift => u64::from(width - 1 - h),
                Some(h) => u64::from(h),
            };
            // The highest bit that differs from the sign.
            let sign = x >> (width - 1) & 1;
            let differs = (0..width).filter(|i| x >> i & 1 != sign).max();
            for (shift, name) in [(false, "bfind"), (true, "bfind.shiftamt")] {
                assert_eq!(one(&format!("{name}.{u}"), &[x]), top(highest, shift), "{name}.{u} {x:x}");
                assert_eq!(one(&format!("{name}.{s}"), &[x]), top(differs, shift), "{name}.{s} {x:x}");
            }
        }
    }
}

#[test]
fn logic_and_shifts() {
    for lut in [0x00, 0x96, 0xe8, 0xd2, 0x1b, 0xff] {
        let (a, b, c) = (0xdead_beef, 0x0123_4567, 0xf0f0_cc0a);
        let expected: u64 =
            (0..32).map(|i| (lut >> ((a >> i & 1) * 4 + (b >> i & 1) * 2 + (c >> i & 1)) & 1) << i).sum();
        assert_eq!(one("lop3.b32", &[a, b, c, lut]), expected, "{lut:x}");
    }
    for a in samples() {
        for n in [0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 0x8000_0000, 0xffff_ffff] {
            for width in [16, 32, 64] {
                let x = a & mask(width);
                let left = if n < 64 { x << n } else { 0 };
                let right = if n < 64 { x >> n } else { 0 };
                let signed = value(x, width, true) >> n.min(100);
                assert_eq!(one(&format!("shl.b{width}"), &[x, n]), left & mask(width), "{x:x} {n}");
                assert_eq!(one(&format!("shr.u{width}"), &[x, n]), right, "{x:x} {n}");
                assert_eq!(one(&format!("shr.s{width}"), &[x, n]), signed as u64 & mask(width), "{x:x} {n}");
            }
            let (low, high) = (a & mask(32), !a >> 7 & mask(32));
            let both = u128::from(high << 32 | low);
            for (wrap, n, name) in [(true, n % 32, "wrap"), (false, n.min(32), "clamp")] {
                let shift = if wrap { n + 32 * 5 } else { n };
                assert_eq!(one(&format!("shf.r.{name}.b32"), &[low, high, shift]), (both >> n) as u64 & mask(32));
                assert_eq!(one(&format!("shf.l.{name}.b32"), &[low, high, shift]), (both << n >> 32) as u64 & mask(32));
            }
        }
    }
    assert_eq!(one("shf.l.clamp.b32", &[1, 2, 33]), 1);
    assert_eq!(one("cnot.b16", &[0]), 1);
    assert_eq!(one("cnot.b64", &[1 << 63]), 0);
    assert_eq!(one("not.b16", &[0xff]), 0xff00);
    assert_eq!(one("not.pred", &[1]), 0);
}

#[test]
fn dot_products() {
    let byte = |x: u64, i: u32, signed: bool| value(x >> (8 * i) & 0xff, 8, signed);
    let half = |x: u64, i: u32, signed: bool| value(x >> (16 * i) & 0xffff, 16, signed);
    for a in samples() {
        for b in samples() {
            let (a, b, c) = (a & mask(32), b & mask(32), (a ^ b) & mask(32));
            for (x, sx) in [("u32", false), ("s32", true)] {
                for (y, sy) in [("u32", false), ("s32", true)] {
                    let dot: i128 = (0..4).map(|i| byte(a, i, sx) * byte(b, i, sy)).sum();
                    let expected = (dot + i128::from(c)) as u64 & mask(32);
                    assert_eq!(one(&format!("dp4a.{x}.{y}"), &[a, b, c]), expected, "{a:x} {b:x}");
                    for (mode, first) in [("lo", 0), ("hi", 2)] {
                        let dot: i128 = (0..2).map(|i| half(a, i, sx) * byte(b, first + i, sy)).sum();
                        let expected = (dot + i128::from(c)) as u64 & mask(32);
                        assert_eq!(one(&format!("dp2a.{mode}.{x}.{y}"), &[a, b, c]), expected, "{a:x} {b:x}");
                    }
                }
            }
        }
    }
}
