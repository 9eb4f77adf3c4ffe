//! Moving bits, and addresses.

use ptxgen_builder::table::window;
use ptxgen_builder::types::Space;

use super::{all, one};

#[test]
fn packing() {
    assert_eq!(one("mov.b32", &[0x1234, 0xabcd]), 0xabcd_1234);
    assert_eq!(one("mov.b64", &[0x1234_5678, 0x9abc_def0]), 0x9abc_def0_1234_5678);
    assert_eq!(one("mov.b64", &[1, 2, 3, 4]), 0x0004_0003_0002_0001);
}

#[test]
fn bytes() {
    let (a, b) = (0x8382_8180, 0x0706_0504);
    for (selector, expected) in [
        (0x3210, a),
        (0x7654, b),
        (0x0123, 0x8081_8283),
        (0x4040, 0x0480_0480),
        (0x9d8c, 0xff00_ff00),
        (0x8fff, 0xff00_0000),
    ] {
        assert_eq!(one("prmt.b32", &[a, b, selector]), expected, "{selector:x}");
    }
    // The PTX ISA's table: for each mode and selector, the bytes of the result from high to low.
    for (mode, rows) in [
        ("f4e", [[3, 2, 1, 0], [4, 3, 2, 1], [5, 4, 3, 2], [6, 5, 4, 3]]),
        ("b4e", [[5, 6, 7, 0], [6, 7, 0, 1], [7, 0, 1, 2], [0, 1, 2, 3]]),
        ("rc8", [[0, 0, 0, 0], [1, 1, 1, 1], [2, 2, 2, 2], [3, 3, 3, 3]]),
        ("ecl", [[3, 2, 1, 0], [3, 2, 1, 1], [3, 2, 2, 2], [3, 3, 3, 3]]),
        ("ecr", [[0, 0, 0, 0], [1, 1, 1, 0], [2, 2, 1, 0], [3, 2, 1, 0]]),
        ("rc16", [[1, 0, 1, 0], [3, 2, 3, 2], [1, 0, 1, 0], [3, 2, 3, 2]]),
    ] {
        for (selector, row) in (0..).zip(rows) {
            let expected = row.iter().fold(0, |all, i| all << 8 | ((b << 32 | a) >> (8 * i) & 0xff));
            assert_eq!(one(&format!("prmt.b32.{mode}"), &[a, b, selector | 0xf0]), expected, "{mode} {selector}");
        }
    }
}

#[test]
fn generic_addresses() {
    for (name, space) in [("shared", Space::Shared), ("local", Space::Local), ("const", Space::Const)] {
        let generic = one(&format!("cvta.{name}.u64"), &[64]);
        assert_eq!(generic, window::base(space) + 64);
        assert_eq!(one(&format!("cvta.to.{name}.u64"), &[generic]), 64);
        assert_eq!(one(&format!("isspacep.{name}"), &[generic]), 1);
        assert_eq!(one("isspacep.global", &[generic]), 0);
        assert_eq!(one(&format!("isspacep.{name}"), &[64]), 0);
    }
    assert_eq!(one("cvta.global.u64", &[1 << 40]), 1 << 40);
    assert_eq!(one("isspacep.global", &[1 << 40]), 1);
}

#[test]
fn unpacking() {
    let form = |len: usize| {
        let named = ptxgen_builder::table::table().named("mov.b64").iter().map(|id| id.get());
        named.into_iter().find(|f| f.slots[0].width() == len).expect("an unpacking mov")
    };
    for len in [2usize, 4] {
        let ptxgen_builder::table::Meaning::Lane(eval) = form(len).meaning else { panic!("a pure form") };
        let mut parts = vec![[0; 32]; len];
        eval(&mut parts, &[[0x4444_3333_2222_1111; 32]]);
        let parts: Vec<u64> = parts.iter().map(|p| p[0]).collect();
        let expected: &[u64] = if len == 2 { &[0x2222_1111, 0x4444_3333] } else { &[0x1111, 0x2222, 0x3333, 0x4444] };
        assert_eq!(parts, expected);
    }
    assert_eq!(all("mov.pred", &[1]), [1]);
}
