//! The tokenizer built from a GGUF file against the Hugging Face one, and what it refuses.

use expect_test::{Expect, expect};
use proptest::prelude::*;
use ptxgen_model::{
    bundled,
    gguf::{Array, Gguf, GgufWriter, Strings, Value},
    synth::{Mix, Preset, Synth, Vocabulary},
    tokenizer::{ChatTemplate, Message, Tokenizer},
};
use std::{path::PathBuf, sync::LazyLock};

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

static OURS: LazyLock<Tokenizer> = LazyLock::new(|| Tokenizer::from_gguf(&bundled().unwrap().unwrap()).unwrap());

static THEIRS: LazyLock<tokenizers::Tokenizer> =
    LazyLock::new(|| tokenizers::Tokenizer::from_file(data("tiny-rust-moe.tokenizer.json")).unwrap());

fn same(text: &str) {
    let ours = OURS.encode(text).unwrap();
    let theirs = THEIRS.encode_fast(text, true).unwrap();
    assert_eq!(ours, theirs.get_ids(), "{text:?}");
    assert_eq!(OURS.decode(&ours).unwrap(), text);
    assert_eq!(THEIRS.decode(&ours, false).unwrap(), text);
}

fn held_out() -> Vec<u32> {
    let bytes = std::fs::read(data("tiny.tokens-4096.i32")).unwrap();
    let (ids, _) = bytes.as_chunks();
    ids.iter().map(|b| u32::from_le_bytes(*b)).collect()
}

#[test]
fn held_out_text_gives_the_reference_ids() {
    let ids = held_out();
    assert_eq!(ids.len(), 4096);
    let text = OURS.decode(&ids).unwrap();
    assert_eq!(text, THEIRS.decode(&ids, false).unwrap());
    assert_eq!(OURS.encode(&text).unwrap(), ids);
    same(&text);
}

#[test]
fn odd_text_gives_the_reference_ids() {
    same("");
    same("I'll say: it's THEY'RE  'Ll\u{17F}");
    same("    let x: [u8; 4096] = *b\"\\0\";\r\n\r\n\t\t  // 12345 six\n  \n");
    same("<|im_start|>user\nHi<|im_end|><|endoftext|> <|im_start |>");
    same("Ünïcödé ﬁ Å A\u{30A} 中文 हिन्दी 👩\u{200D}🔬 \u{0}\u{7F}\u{AD}\u{FFFD}");
    same(&" ".repeat(5000));
    same(&format!("{}x\n", " \t".repeat(3000)));
    same(include_str!("tokenizer.rs"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn any_text_gives_the_reference_ids(text in any::<String>(), code in "[a-zA-Z0-9_ .,;:(){}<>|'\\n\\r\\t\"]{0,200}") {
        same(&text);
        same(&code);
    }

    /// Whatever the ids, the pieces of a stream are the text of them all.
    #[test]
    fn streaming_is_decoding(ids in proptest::collection::vec(0..4096u32, 0..60)) {
        let mut stream = OURS.decode_stream();
        let mut text = String::new();
        let mut bytes = Vec::new();
        for id in &ids {
            text += &stream.push(*id).unwrap();
            bytes.extend_from_slice(OURS.piece(*id).unwrap());
        }
        text += &stream.finish();
        prop_assert_eq!(&text, &String::from_utf8_lossy(&bytes));
        prop_assert_eq!(&text, &OURS.decode(&ids).unwrap());
    }
}

#[test]
fn a_character_comes_when_it_is_whole() {
    let text = "a€😀";
    let bytes = Tokenizer::from_gguf(&synthetic(&[])).unwrap();
    let ids = bytes.encode(text).unwrap();
    assert_eq!(ids, text.bytes().map(u32::from).collect::<Vec<_>>());
    let mut stream = bytes.decode_stream();
    let pieces: Vec<_> = ids.iter().map(|id| stream.push(*id).unwrap()).collect();
    assert_eq!(pieces, ["a", "", "", "€", "", "", "", "😀"]);
    let mut cut = bytes.decode_stream();
    assert_eq!(cut.push(0xE2).unwrap() + &cut.push(0x82).unwrap(), "");
    assert_eq!(cut.finish(), "\u{FFFD}");
}

#[test]
fn special_tokens() {
    assert_eq!(OURS.len(), 4096);
    assert_eq!(OURS.eos(), Some(4093));
    let end: Vec<_> = (0..4096).filter(|id| OURS.is_end(*id)).collect();
    assert_eq!(end, [4093, 4095]);
    let control: Vec<_> = (0..5000).filter(|id| OURS.is_control(*id)).collect();
    assert_eq!(control, [4093, 4094, 4095]);
    let bos = synthetic(&[
        ("tokenizer.ggml.bos_token_id", Some(Value::U32(256))),
        ("tokenizer.ggml.add_bos_token", Some(true.into())),
    ]);
    assert_eq!(Tokenizer::from_gguf(&bos).unwrap().encode("A").unwrap(), [256, 65]);
}

#[test]
fn texts_and_ids_that_are_refused() {
    let space = format!("x{}", " ".repeat(100_001));
    expect!["tiny-rust-moe-Q4_K_M.gguf (bundled): the text has a run of more than 100000 white-space characters, which cannot be encoded: shorten it"].assert_eq(&OURS.encode(&space).unwrap_err().to_string());
    expect!["tiny-rust-moe-Q4_K_M.gguf (bundled): token id 4096 is outside the vocabulary of 4096 tokens"]
        .assert_eq(&OURS.decode(&[1, 4096]).unwrap_err().to_string());
}

/// A file with a byte vocabulary, changed.
fn synthetic(keys: &[(&str, Option<Value>)]) -> Gguf {
    let mut config = Preset::Tiny.config();
    config.vocab = 260;
    let synth = Synth { config, mix: Mix::Q4KM, vocabulary: Vocabulary::Bytes, seed: 0 };
    let bytes = synth.writer().to_bytes(&vec![0; synth.writer().data_bytes() as usize]);
    let original = Gguf::from_bytes("m.gguf", &bytes.unwrap()).unwrap();
    let mut w = GgufWriter::new();
    for (key, value) in original.metadata().iter() {
        if !keys.iter().any(|(k, _)| *k == key) {
            w.set(key, value.clone());
        }
    }
    for (key, value) in keys {
        if let Some(v) = value {
            w.set(key, v.clone());
        }
    }
    Gguf::from_bytes("m.gguf", &w.to_bytes(&[]).unwrap()).unwrap()
}

fn refused(key: &str, value: Option<Value>, message: Expect) {
    let gguf = synthetic(&[(key, value)]);
    message.assert_eq(&Tokenizer::from_gguf(&gguf).unwrap_err().to_string());
}

fn merges(list: &[&str]) -> Option<Value> {
    Some(Array::Str(Strings::from_iter(list)).into())
}

/// The byte vocabulary's tokens with one of them replaced.
fn tokens(id: usize, new: &str) -> Option<Value> {
    let gguf = synthetic(&[]);
    let old = gguf.metadata().strings("tokenizer.ggml.tokens").unwrap();
    let list = old.iter().enumerate().map(|(i, t)| if i == id { new } else { t });
    Some(Array::Str(list.collect()).into())
}

#[test]
fn vocabularies_that_are_refused() {
    let key = |name: &str| format!("tokenizer.ggml.{name}");
    refused(
        &key("model"),
        None,
        expect![
            "m.gguf: has no vocabulary (tokenizer.ggml.model is missing), so it takes token ids, not text: give them with --tokens to logits, perplexity, trace or compare"
        ],
    );
    refused(
        &key("model"),
        Some("no_vocab".into()),
        expect![[
            r#"m.gguf: has no vocabulary (tokenizer.ggml.model is "no_vocab"), so it takes token ids, not text: give them with --tokens to logits, perplexity, trace or compare"#
        ]],
    );
    refused(
        &key("model"),
        Some("llama".into()),
        expect![[
            r#"m.gguf: key "tokenizer.ggml.model" is "llama", expected "gpt2" (byte-level BPE), the one that is supported"#
        ]],
    );
    refused(
        &key("model"),
        Some(Value::U8(1)),
        expect![[r#"m.gguf: key "tokenizer.ggml.model" is of type u8, expected a string"#]],
    );
    refused(
        &key("pre"),
        Some("llama-bpe".into()),
        expect![[r#"m.gguf: key "tokenizer.ggml.pre" is "llama-bpe", expected "qwen2", the one that is supported"#]],
    );
    refused(
        &key("pre"),
        None,
        expect![[r#"m.gguf: has no key "tokenizer.ggml.pre", which is needed; there is "tokenizer.ggml.merges""#]],
    );
    refused(
        &key("tokens"),
        None,
        expect![[
            r#"m.gguf: has no key "tokenizer.ggml.tokens", which is needed; there is "tokenizer.ggml.token_type""#
        ]],
    );
    refused(&key("tokens"), merges(&[]), expect![[r#"m.gguf: key "tokenizer.ggml.tokens" is empty"#]]);
    refused(
        &key("tokens"),
        merges(&["a"; 260]),
        expect![[r#"m.gguf: tokens 0 and 1 are both "a"; the file is corrupt"#]],
    );
    refused(
        &key("tokens"),
        tokens(66, "A"),
        expect![[r#"m.gguf: tokens 65 and 66 are both "A"; the file is corrupt"#]],
    );
    refused(
        &key("tokens"),
        tokens(66, "BB"),
        expect![
            "m.gguf: no normal token stands for byte 0x42 alone, so some texts cannot be encoded; the file is corrupt"
        ],
    );
    refused(
        &key("token_type"),
        Some(Array::I32(vec![1; 9]).into()),
        expect![[r#"m.gguf: key "tokenizer.ggml.token_type" has 9 entries, expected 260, one for each token"#]],
    );
    let spelled = synthetic(&[("tokenizer.ggml.token_type", None), ("tokenizer.ggml.tokens", tokens(258, "x 中"))]);
    expect![[r#"m.gguf: token 258, "x 中", is not spelled in GPT-2's byte characters; the file is corrupt"#]]
        .assert_eq(&Tokenizer::from_gguf(&spelled).unwrap_err().to_string());
    refused(
        &key("token_type"),
        Some(Array::I32(vec![3; 260]).into()),
        expect![
            "m.gguf: no normal token stands for byte 0x00 alone, so some texts cannot be encoded; the file is corrupt"
        ],
    );
    refused(
        &key("token_type"),
        Some(Array::F32(vec![1.0; 260]).into()),
        expect![[r#"m.gguf: key "tokenizer.ggml.token_type" is of type array of f32, expected an array of i32"#]],
    );
    refused(
        &key("merges"),
        None,
        expect![[r#"m.gguf: has no key "tokenizer.ggml.merges", which is needed; there is "tokenizer.ggml.pre""#]],
    );
    refused(
        &key("merges"),
        merges(&["A"]),
        expect![[
            r#"m.gguf: merge 0, "A", is not two normal tokens with a space between whose union is one too; the file is corrupt"#
        ]],
    );
    refused(
        &key("merges"),
        merges(&["A B"]),
        expect![[
            r#"m.gguf: merge 0, "A B", is not two normal tokens with a space between whose union is one too; the file is corrupt"#
        ]],
    );
    refused(
        &key("merges"),
        merges(&[""]),
        expect![[
            r#"m.gguf: merge 0, "", is not two normal tokens with a space between whose union is one too; the file is corrupt"#
        ]],
    );
    refused(
        &key("merges"),
        merges(&["é "]),
        expect![[
            r#"m.gguf: merge 0, "é ", is not two normal tokens with a space between whose union is one too; the file is corrupt"#
        ]],
    );
    refused(
        &key("eos_token_id"),
        Some(Value::U32(260)),
        expect![[r#"m.gguf: key "tokenizer.ggml.eos_token_id" is 260, expected less than the 260 tokens"#]],
    );
    refused(
        &key("add_bos_token"),
        Some(true.into()),
        expect![
            "m.gguf: asks for a beginning-of-sequence token (tokenizer.ggml.add_bos_token) but names none (tokenizer.ggml.bos_token_id)"
        ],
    );
    refused(
        &key("add_eos_token"),
        Some(true.into()),
        expect![[
            r#"m.gguf: key "tokenizer.ggml.add_eos_token" is true, expected false: a token after every text is not supported"#
        ]],
    );
}

/// What text is encoded to is decoded to the same text only where it is made of normal tokens.
#[test]
fn text_is_made_of_normal_tokens() {
    let file = |merge: &str, id: usize, ty: i32| {
        let types = (0..260).map(|i| if i == id { ty } else { 1 }).collect();
        let changes = [
            ("tokens", tokens(257, "AB")),
            ("merges", merges(&[merge])),
            ("token_type", Some(Array::I32(types).into())),
        ];
        let changes = changes.map(|(key, value)| (format!("tokenizer.ggml.{key}"), value));
        let changes = changes.each_ref().map(|(key, value)| (key.as_str(), value.clone()));
        Tokenizer::from_gguf(&synthetic(&changes)).map_err(|e| e.to_string())
    };
    let tokenizer = file("A B", 258, 4).unwrap();
    assert_eq!(tokenizer.decode(&tokenizer.encode("xAB").unwrap()).unwrap(), "xAB");
    for ty in [2, 3, 4, 5, 6] {
        let expected = "m.gguf: merge 0, \"A B\", is not two normal tokens with a space between whose union is one too; the file is corrupt";
        assert_eq!(file("A B", 257, ty).err().as_deref(), Some(expected));
        let expected =
            "m.gguf: no normal token stands for byte 0x00 alone, so some texts cannot be encoded; the file is corrupt";
        assert_eq!(file("A B", 0, ty).err().as_deref(), Some(expected));
    }
}

/// A vocabulary with this token, of this type, and this key.
fn with_token(token: &str, ty: i32, key: &str, id: Option<u32>) -> Result<Tokenizer, String> {
    let types = (0..260).map(|i| if i == 257 { ty } else { 1 }).collect();
    let changes = [
        ("tokenizer.ggml.tokens", tokens(257, token)),
        ("tokenizer.ggml.token_type", Some(Array::I32(types).into())),
        (key, id.map(Value::U32)),
    ];
    Tokenizer::from_gguf(&synthetic(&changes)).map_err(|e| e.to_string())
}

#[test]
fn a_generation_ends_where_llama_cpp_ends_it() {
    for token in ["<|im_end|>", "<|eot_id|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", "<end_of_turn>"] {
        for (ty, ends) in [(3, true), (4, true), (1, false)] {
            assert_eq!(with_token(token, ty, "unused", None).unwrap().is_end(257), ends, "{token} {ty}");
        }
    }
    for name in ["eos", "eot", "eom", "fim_pad", "fim_rep", "fim_sep"] {
        let tokenizer = with_token("any", 3, &format!("tokenizer.ggml.{name}_token_id"), Some(258)).unwrap();
        assert!(tokenizer.is_end(258) && !tokenizer.is_end(257), "{name}");
    }
}

#[test]
fn control_tokens_of_megabytes_are_refused() {
    let error = with_token(&"x".repeat(2 << 20), 3, "unused", None).unwrap_err();
    assert_eq!(
        error,
        "m.gguf: control and user-defined tokens have 2097152 bytes together, at most 1048576 are read; the file is corrupt"
    );
}

fn template(source: &str) -> Result<ChatTemplate, String> {
    let gguf = synthetic(&[("tokenizer.chat_template", Some(source.into()))]);
    let tokenizer = Tokenizer::from_gguf(&gguf).unwrap();
    ChatTemplate::from_gguf(&gguf, &tokenizer).map_err(|e| e.to_string())
}

fn chat(source: &str, messages: &[Message], thinking: Option<bool>) -> String {
    let text = template(source).and_then(|t| t.render(messages, thinking).map_err(|e| e.to_string()));
    text.unwrap_or_else(|e| format!("error: {e}"))
}

/// The conversations of `data/chat-template.py` with the text that Jinja gives.
fn conversations(json: &[u8]) -> Vec<(Vec<Message>, Option<bool>, String)> {
    let cases: Vec<serde_json::Value> = serde_json::from_slice(json).unwrap();
    let text = |v: &serde_json::Value| v.as_str().unwrap().to_owned();
    let message = |m: &serde_json::Value| Message { role: text(&m["role"]), content: text(&m["content"]) };
    let talk = |c: &serde_json::Value| {
        let messages = c["messages"].as_array().unwrap();
        (messages.iter().map(message).collect(), c["thinking"].as_bool(), text(&c["text"]))
    };
    cases.iter().map(talk).collect()
}

#[test]
fn chat_templates_give_what_jinja_gives() {
    let source = include_str!("data/chat-template.jinja");
    let talks = conversations(include_bytes!("data/chat-template.json"));
    assert_eq!(talks.len(), 39);
    let ours = template(source).unwrap();
    for (messages, thinking, expected) in &talks {
        assert_eq!(&ours.render(messages, *thinking).unwrap(), expected, "{messages:?} {thinking:?}");
    }
    // Lines may end as on Windows.
    let (messages, thinking, expected) = &talks[9];
    assert_eq!(&chat(&source.replace('\n', "\r\n"), messages, *thinking), expected);
}

#[test]
fn chat_templates_that_fail_are_told() {
    let talk = [Message { role: "system".into(), content: "Be brief.".into() }];
    let chat = |source: &str| chat(source, &talk, None);
    expect![[r#"{"role": "system", "content": "Be brief."} <|endoftext|>"#]]
        .assert_eq(&chat("{{ messages[0] | tojson }} {{ eos_token }}{{ bos_token }}"));
    expect![
        "error: m.gguf: its chat template fails: invalid operation: only users speak (in tokenizer.chat_template:1)"
    ]
    .assert_eq(&chat("{{ raise_exception('only users speak') }}"));
    expect!["error: m.gguf: its chat template fails: syntax error: unexpected end of input, expected end of block (in tokenizer.chat_template:1)"].assert_eq(&chat("{% for m in messages %}"));
    expect!["error: m.gguf: its chat template fails: undefined value (in tokenizer.chat_template:1)"]
        .assert_eq(&chat("{{ messages[9].content.upper() }}"));
    expect!["error: m.gguf: its chat template fails: engine ran out of fuel (in tokenizer.chat_template:1)"]
        .assert_eq(&chat("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}"));
    expect!["error: m.gguf: its chat template fails: failed to write output: I/O error during rendering: the text is longer than 64 MiB"].assert_eq(&chat("{% set s = 'x' * 100000 %}{% for i in range(1000) %}{{ s }}{% endfor %}"));
    let none = bundled().unwrap().unwrap();
    expect!["tiny-rust-moe-Q4_K_M.gguf (bundled): has no chat template (tokenizer.chat_template): use a plain prompt"]
        .assert_eq(&ChatTemplate::from_gguf(&none, &OURS).unwrap_err().to_string());
}
