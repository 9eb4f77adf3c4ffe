//! The reader of conformance cases: what it takes, and where it finds faults.

use ptxgen_builder::conformance::{Case, Failure, Param};

#[test]
fn a_case_has_its_parameters_in_order() {
    let text = "//@ form st.u8\n//@ block 2\n//@ fails trap\n//@ in a u8\n//@   01 ff*2\n//@ value v b32\n//@   0000000a\n\
                //@ out a u8\n//@   02|03 00*2\n//@ out d f32 ulp 2 abs 1e-3\n//@   3f800000\n.version 6.3\n";
    let case = Case::parse("case.ptx", text).unwrap();
    assert_eq!((case.form.as_str(), case.block, case.fails), ("st.u8", 2, Some(Failure::Trap)));
    let [Param::Buffer(a), Param::Value(v), Param::Buffer(d)] = &case.params[..] else { panic!("{case:?}") };
    assert_eq!((&a.initial[..], &v[..], &d.initial[..]), (&[1, 255, 255][..], &[10, 0, 0, 0][..], &[0xa5; 4][..]));
    assert_eq!(a.expected.as_ref().unwrap().elements, [vec![2, 3], vec![0], vec![0]]);
    assert_eq!(d.expected.as_ref().map(|e| (e.ulp, e.absolute)), Some((2.0, 1e-3)));
}

#[test]
fn a_file_holds_cases() {
    let text = "//@ form add.u32\n.version 6.3\n// no case\n//@ form add.s32 addb32\n//@ block 64\n.version 6.4\n";
    let cases = Case::parse_all("add.ptx", text).unwrap();
    let told: Vec<_> = cases.iter().map(|c| (c.name(), c.block, c.ptx.lines().count())).collect();
    assert_eq!(told, [("add.u32".to_owned(), 32, 3), ("add.s32~addb32".to_owned(), 64, 3)]);
    assert_eq!(Case::parse_all("add.ptx", "").unwrap(), []);
    let wrong = format!("{text}//@ form x\n//@ block 0\n");
    let error = Case::parse_all("add.ptx", &wrong).unwrap_err().to_string();
    assert_eq!(error, "add.ptx:8: a block has 1 to 1024 threads, not `0`");
    assert_eq!(Case::parse_all("add.ptx", ".version 6.3\n").unwrap_err().to_string(), "add.ptx:1: no `//@ form` line");
}

#[test]
fn faults_name_their_line() {
    for (text, at) in [
        (".version 6.3\n", "case.ptx:1: no `//@ form` line"),
        ("//@ form x\n//@ out d f33\n", "case.ptx:2: `out d f33` names no type of 8 to 64 bits"),
        ("//@ form x\n//@ in a u8\n//@   100\n", "case.ptx:3: 100 has more bits than u8"),
        ("//@ form x\n//@ in a u8\n//@   0g\n", "case.ptx:3: `0g` is no hexadecimal word"),
        ("//@ form x\n//@   00\n", "case.ptx:2: words before the directive that they belong to"),
        ("//@ form x\n//@ block 0\n", "case.ptx:2: a block has 1 to 1024 threads, not `0`"),
        ("//@ form x\n//@ in a u8\n//@   00*0\n", "case.ptx:3: `00*0` repeats a word, but not 1 to 65536 times"),
        (
            "//@ form x\n//@ in a u8\n//@   00\n//@ out a u8\n//@   00 01\n",
            "case.ptx:5: buffer `a` has an `in` and an `out` of different lengths",
        ),
        ("//@ form x\n//@ out d f32 within 3\n", "case.ptx:2: `within 3` is no tolerance; write `ulp N` or `abs N`"),
        (
            "//@ form x\n//@ inout a u8\n",
            "case.ptx:2: unknown directive `inout`; there are form, block, fails, in, out, value",
        ),
    ] {
        assert_eq!(Case::parse("case.ptx", text).unwrap_err().to_string(), at);
    }
}
