//! Broken GGUF files, each with the message that its reader gives.

use expect_test::{Expect, expect};
use ptxgen_model::gguf::{Array, Gguf, GgufWriter, Strings, TensorType};

/// A small good file: two tensors and a few keys.
fn good() -> Vec<u8> {
    let mut w = GgufWriter::new();
    w.set("general.architecture", "qwen3moe");
    w.set("some.flag", true);
    w.set("some.names", Array::Str(Strings::from_iter(["one", "two"])));
    w.set("some.number", 7u32);
    w.tensor("a.weight", &[4, 2], TensorType::F32);
    w.tensor("b.weight", &[256, 2], TensorType::Q4_K);
    w.to_bytes(&[0; 32 + 288]).unwrap()
}

/// The position after the first occurrence of `text`.
fn after(bytes: &[u8], text: &str) -> usize {
    let at = bytes.windows(text.len()).position(|w| w == text.as_bytes());
    at.unwrap() + text.len()
}

/// The good file with `new` written over the bytes `skip` after the first occurrence of `text`.
fn patched(text: &str, skip: usize, new: &[u8]) -> Vec<u8> {
    let mut bytes = good();
    let at = after(&bytes, text) + skip;
    bytes[at..at + new.len()].copy_from_slice(new);
    bytes
}

/// The good file with `key` set to something else.
fn with(key: &str, value: impl Into<ptxgen_model::gguf::Value>) -> Vec<u8> {
    let mut w = GgufWriter::new();
    w.set(key, value);
    w.to_bytes(&[]).unwrap()
}

fn refused(bytes: &[u8], message: Expect) {
    let error = Gguf::from_bytes("m.gguf", bytes).unwrap_err();
    message.assert_eq(&error.to_string());
}

#[test]
fn the_good_file_is_good() {
    let bytes = good();
    let gguf = Gguf::from_bytes("m.gguf", &bytes).unwrap();
    assert_eq!(gguf.tensors().len(), 2);
    for len in 0..bytes.len() {
        Gguf::from_bytes("m.gguf", &bytes[..len]).unwrap_err();
    }
}

#[test]
fn header() {
    refused(b"", expect!["m.gguf: is empty; expected a GGUF file: fetch it again"]);
    refused(b"GG", expect![[r#"m.gguf: is not a GGUF file: it starts with "GG", expected "GGUF""#]]);
    refused(
        b"PK\x03\x04 a zip file",
        expect![[r#"m.gguf: is not a GGUF file: it starts with "PK\x03\x04", expected "GGUF""#]],
    );
    refused(
        b"GGUF",
        expect![
            "m.gguf: ends inside the version: 4 bytes are needed at offset 4, 0 are left; the file is truncated, fetch it again"
        ],
    );
    refused(
        &patched("GGUF", 0, &[0, 0, 0, 3]),
        expect![
            "m.gguf: is a big-endian GGUF file; only little-endian files are read: convert the model again on, or for, a little-endian machine"
        ],
    );
    refused(
        &patched("GGUF", 0, &1u32.to_le_bytes()),
        expect![
            "m.gguf: is GGUF version 1; versions 2 and 3 are read: convert the model again with a current llama.cpp"
        ],
    );
    refused(
        &patched("GGUF", 0, &4u32.to_le_bytes()),
        expect![
            "m.gguf: is GGUF version 4; versions 2 and 3 are read: convert the model again with a current llama.cpp"
        ],
    );
    refused(
        &patched("GGUF", 4, &[0xFF; 8]),
        expect![
            "m.gguf: claims to have 18446744073709551615 tensors, but 584 bytes hold at most 18; the file is corrupt or truncated, fetch it again"
        ],
    );
    refused(
        &patched("GGUF", 4, &3u64.to_le_bytes()),
        expect!["m.gguf: tensor 2 has an empty name; the file is corrupt"],
    );
    refused(
        &patched("GGUF", 12, &1000u64.to_le_bytes()),
        expect![
            "m.gguf: claims to have 1000 metadata keys, but 584 bytes hold at most 44; the file is corrupt or truncated, fetch it again"
        ],
    );
    refused(
        &good()[..30],
        expect![
            "m.gguf: claims to have 4 metadata keys, but 6 bytes hold at most 0; the file is corrupt or truncated, fetch it again"
        ],
    );
}

#[test]
fn keys() {
    // A key's length stands in front of it.
    let key = |len: u64| {
        let mut bytes = good();
        bytes[24..32].copy_from_slice(&len.to_le_bytes());
        bytes
    };
    refused(&key(0), expect!["m.gguf: metadata key 0 has an empty name; the file is corrupt"]);
    refused(&key(400), expect!["m.gguf: metadata key 1 has an empty name; the file is corrupt"]);
    refused(
        &key(1 << 16),
        expect!["m.gguf: metadata key 0 is 65536 bytes long, at most 65535 are allowed; the file is corrupt"],
    );
    refused(
        &key(u64::MAX),
        expect![
            "m.gguf: metadata key 0 is 18446744073709551615 bytes long, at most 65535 are allowed; the file is corrupt"
        ],
    );
    refused(
        &patched("general.arch", 0, b"\xFF"),
        expect!["m.gguf: metadata key 0 is not UTF-8 from its byte 12 on; the file is corrupt"],
    );
    refused(
        &patched("qwen", 0, b"\xC3"),
        expect![[
            r#"m.gguf: the value of key "general.architecture" is not UTF-8 from its byte 4 on; the file is corrupt"#
        ]],
    );
    refused(
        &patched("some.flag", 0, &13u32.to_le_bytes()),
        expect![[
            r#"m.gguf: key "some.flag" has value type 13; GGUF has 0 to 12, so the file is corrupt or newer than this program"#
        ]],
    );
    refused(
        &patched("some.flag", 4, &[2]),
        expect![[r#"m.gguf: key "some.flag" is a bool of value 2, expected 0 or 1; the file is corrupt"#]],
    );
    refused(
        &patched("some.names", 4, &99u32.to_le_bytes()),
        expect![[
            r#"m.gguf: key "some.names" has value type 99; GGUF has 0 to 12, so the file is corrupt or newer than this program"#
        ]],
    );
    refused(
        &patched("some.names", 8, &[0xFF; 8]),
        expect![[
            r#"m.gguf: claims to have 18446744073709551615 elements of key "some.names", but 480 bytes hold at most 60; the file is corrupt or truncated, fetch it again"#
        ]],
    );
    refused(
        &patched("some.names", 16, &[0xFF; 8]),
        expect![[
            r#"m.gguf: ends inside element 0 of key "some.names": 18446744073709551615 bytes are needed at offset 136, 472 are left; the file is truncated, fetch it again"#
        ]],
    );
    refused(
        &patched("some.names", 24, b"\xF0\x9F\x00"),
        expect![[r#"m.gguf: element 0 of key "some.names" is not UTF-8 from its byte 0 on; the file is corrupt"#]],
    );
    refused(
        &good()[..after(&good(), "some.number") + 6],
        expect![[
            r#"m.gguf: ends inside the value of key "some.number": 4 bytes are needed at offset 173, 2 are left; the file is truncated, fetch it again"#
        ]],
    );

    let mut twice = GgufWriter::new();
    twice.set("some.key1", 1u8).set("some.key2", 2u8);
    let mut twice = twice.to_bytes(&[]).unwrap();
    let at = after(&twice, "some.key2");
    twice[at - 1] = b'1';
    refused(&twice, expect![[r#"m.gguf: key "some.key1" appears twice; the file is corrupt"#]]);

    let deep = (0..5).fold(Array::U8(vec![1]), |a, _| Array::Array(vec![a]));
    refused(
        &with("some.tree", deep),
        expect![[r#"m.gguf: key "some.tree" nests arrays deeper than 4; the file is corrupt"#]],
    );
    refused(
        &with("general.alignment", 24u32),
        expect![[r#"m.gguf: key "general.alignment" is 24, expected a power of two from 8 to 65536"#]],
    );
    refused(
        &with("general.alignment", 0u32),
        expect![[r#"m.gguf: key "general.alignment" is 0, expected a power of two from 8 to 65536"#]],
    );
    refused(
        &with("general.alignment", 1u32 << 31),
        expect![[r#"m.gguf: key "general.alignment" is 2147483648, expected a power of two from 8 to 65536"#]],
    );
    refused(
        &with("general.alignment", "32"),
        expect![[r#"m.gguf: key "general.alignment" is of type string, expected an integer"#]],
    );
    refused(
        &with("general.alignment", -32i32),
        expect![[r#"m.gguf: key "general.alignment" is -32, expected 0 to 4294967295"#]],
    );
    refused(
        &with("split.count", 3u16),
        expect![
            "m.gguf: is one of 3 parts of a split model, which are found by their names, NAME-00001-of-00003.gguf and so on; give them those, or join them with `llama-gguf-split --merge FIRST-PART OUT.gguf` and use the result"
        ],
    );
}

#[test]
fn tensors() {
    // An entry: name, rank, dimensions, type, offset.
    let rank = |n: u32| patched("b.weight", 0, &n.to_le_bytes());
    let dims = |a: u64, b: u64| patched("b.weight", 4, &[a.to_le_bytes(), b.to_le_bytes()].concat());
    let ty = |n: u32| patched("b.weight", 20, &n.to_le_bytes());
    let offset = |n: u64| patched("b.weight", 24, &n.to_le_bytes());
    let name = |len: u64| {
        let mut bytes = good();
        let at = after(&bytes, "a.weight");
        bytes[at - 16..at - 8].copy_from_slice(&len.to_le_bytes());
        bytes
    };
    refused(&name(0), expect!["m.gguf: tensor 0 has an empty name; the file is corrupt"]);
    refused(
        &name(65),
        expect!["m.gguf: the name of tensor 0 is 65 bytes long, at most 64 are allowed; the file is corrupt"],
    );
    refused(&rank(0), expect![[r#"m.gguf: tensor "b.weight" has 0 dimensions, expected 1 to 4; the file is corrupt"#]]);
    refused(&rank(5), expect![[r#"m.gguf: tensor "b.weight" has 5 dimensions, expected 1 to 4; the file is corrupt"#]]);
    refused(
        &dims(0, 2),
        expect![[
            r#"m.gguf: tensor "b.weight" has dimensions [0, 2], whose size is zero or overflows; the file is corrupt"#
        ]],
    );
    refused(
        &dims(1 << 40, 1 << 40),
        expect![[
            r#"m.gguf: tensor "b.weight" has dimensions [1099511627776, 1099511627776], whose size is zero or overflows; the file is corrupt"#
        ]],
    );
    refused(
        &dims(u64::MAX, 1),
        expect![[
            r#"m.gguf: tensor "b.weight" has dimensions [18446744073709551615, 1], whose size is zero or overflows; the file is corrupt"#
        ]],
    );
    refused(
        &dims(128, 2),
        expect![[
            r#"m.gguf: tensor "b.weight" has rows of 128 weights, but Q4_K needs a multiple of 256; the file is corrupt"#
        ]],
    );
    refused(
        &dims(256, 3),
        expect![[
            r#"m.gguf: tensor "b.weight" takes 432 bytes from offset 320, but the file has 608 bytes; the file is truncated, fetch it again"#
        ]],
    );
    refused(
        &ty(26),
        expect![[
            r#"m.gguf: ptxgen does not read tensors of type I32 (number 26: tensor "b.weight"); by type the file has 1 F32, 1 I32; supported are F32, F16, BF16, Q8_0, Q4_K, Q6_K, Q4_0, Q4_1, Q5_0, Q5_1, IQ4_NL, MXFP4, Q2_K, Q3_K, Q5_K, IQ4_XS, IQ3_S, IQ3_XXS, IQ2_S, IQ2_XS, IQ2_XXS, IQ1_S, IQ1_M, TQ1_0, TQ2_0"#
        ]],
    );
    refused(
        &ty(1000),
        expect![[
            r#"m.gguf: ptxgen does not read tensors of type unknown (number 1000: tensor "b.weight"); by type the file has 1 F32, 1 unknown; supported are F32, F16, BF16, Q8_0, Q4_K, Q6_K, Q4_0, Q4_1, Q5_0, Q5_1, IQ4_NL, MXFP4, Q2_K, Q3_K, Q5_K, IQ4_XS, IQ3_S, IQ3_XXS, IQ2_S, IQ2_XS, IQ2_XXS, IQ1_S, IQ1_M, TQ1_0, TQ2_0"#
        ]],
    );
    refused(
        &offset(8),
        expect![[
            r#"m.gguf: tensor "b.weight" starts at data offset 8, expected a multiple of the alignment 32; the file is corrupt"#
        ]],
    );
    refused(&offset(0), expect![[r#"m.gguf: tensors "a.weight" and "b.weight" share bytes; the file is corrupt"#]]);
    refused(
        &offset(1 << 40),
        expect![[
            r#"m.gguf: tensor "b.weight" takes 288 bytes from offset 1099511628064, but the file has 608 bytes; the file is truncated, fetch it again"#
        ]],
    );
    refused(
        &offset(u64::MAX - 31),
        expect![[
            r#"m.gguf: tensor "b.weight" takes 288 bytes from offset 18446744073709551615, but the file has 608 bytes; the file is truncated, fetch it again"#
        ]],
    );
    refused(
        &patched("b.weight", 24, &[0xFF; 8]),
        expect![[
            r#"m.gguf: tensor "b.weight" starts at data offset 18446744073709551615, expected a multiple of the alignment 32; the file is corrupt"#
        ]],
    );
    refused(
        &patched("a.w", 0, b"\xFF"),
        expect!["m.gguf: the name of tensor 0 is not UTF-8 from its byte 3 on; the file is corrupt"],
    );

    let mut twice = good();
    let at = after(&twice, "b.weight") - 8;
    twice[at] = b'a';
    refused(&twice, expect![[r#"m.gguf: tensor "a.weight" appears twice; the file is corrupt"#]]);

    let mut short = good();
    short.truncate(after(&good(), "b.weight") + 32);
    refused(
        &short,
        expect![[
            r#"m.gguf: tensor "a.weight" takes 32 bytes from offset 288, but the file has 273 bytes; the file is truncated, fetch it again"#
        ]],
    );
    let len = good().len();
    refused(
        &good()[..len - 300],
        expect![[
            r#"m.gguf: tensor "a.weight" takes 32 bytes from offset 288, but the file has 308 bytes; the file is truncated, fetch it again"#
        ]],
    );
    refused(
        &good()[..after(&good(), "b.weight") + 6],
        expect![[
            r#"m.gguf: ends inside the entry of tensor "b.weight": 8 bytes are needed at offset 245, 2 are left; the file is truncated, fetch it again"#
        ]],
    );
}

#[test]
fn files() {
    let dir = tempfile::tempdir().unwrap();
    let open = |name: &str, message: Expect| {
        let path = dir.path().join(name);
        let error = Gguf::open(&path).unwrap_err();
        let text = error.to_string().replace(&path.display().to_string(), name);
        let cause = std::error::Error::source(&error).map(|e| format!(" <- {e}"));
        message.assert_eq(&(text + &cause.unwrap_or_default()));
    };
    std::fs::create_dir(dir.path().join("folder.gguf")).unwrap();
    std::fs::write(dir.path().join("empty.gguf"), b"").unwrap();
    #[cfg(unix)]
    open("none.gguf", expect!["none.gguf: cannot open the file <- No such file or directory (os error 2)"]);
    open("folder.gguf", expect!["folder.gguf: is not a regular file; expected a .gguf file"]);
    open("empty.gguf", expect!["empty.gguf: is empty; expected a GGUF file: fetch it again"]);
}

#[test]
fn lookups() {
    let gguf = Gguf::from_bytes("m.gguf", &good()).unwrap();
    let m = gguf.metadata();
    let text = |e: ptxgen_model::gguf::GgufError| e.to_string();
    expect![[r#"m.gguf: has no key "some.numbr", which is needed; there is "some.number""#]]
        .assert_eq(&text(m.u32("some.numbr").unwrap_err()));
    expect![[r#"m.gguf: has no key "entirely.else", which is needed"#]]
        .assert_eq(&text(m.u32("entirely.else").unwrap_err()));
    expect![[r#"m.gguf: key "some.flag" is of type bool, expected an integer"#]]
        .assert_eq(&text(m.u32("some.flag").unwrap_err()));
    expect![[r#"m.gguf: key "some.number" is of type u32, expected a float"#]]
        .assert_eq(&text(m.f32("some.number").unwrap_err()));
    expect![[r#"m.gguf: key "some.names" is of type array of string, expected a string"#]]
        .assert_eq(&text(m.str("some.names").unwrap_err()));
    expect![[r#"m.gguf: key "some.number" is of type u32, expected an array of strings"#]]
        .assert_eq(&text(m.strings("some.number").unwrap_err()));
    expect![[r#"m.gguf: has no tensor "a.weigth", which is needed; there is "a.weight""#]]
        .assert_eq(&text(gguf.tensor("a.weigth").unwrap_err()));
    let q4k = gguf.tensor("b.weight").unwrap();
    expect![[r#"m.gguf: tensor "b.weight" has type Q4_K, expected F32"#]].assert_eq(&text(q4k.f32s().unwrap_err()));
    let negative = Gguf::from_bytes("m.gguf", &with("some.number", -1i64)).unwrap();
    expect![[r#"m.gguf: key "some.number" is -1, expected 0 to 4294967295"#]]
        .assert_eq(&text(negative.metadata().u32("some.number").unwrap_err()));
}
