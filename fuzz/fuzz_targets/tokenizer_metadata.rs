//! Any vocabulary, merges, token types, special ids and chat template, and any text: a tokenizer
//! is refused, or encodes and decodes without losing a byte, and a template ends.
#![no_main]

use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};
use ptxgen_model::{
    gguf::{Array, Gguf, GgufWriter, Strings},
    tokenizer::{ChatTemplate, Message, Tokenizer, byte_to_char},
};

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    tokens: Vec<&'a str>,
    types: Option<Vec<u8>>,
    merges: Vec<(u16, u16)>,
    raw_merges: Vec<&'a str>,
    bos: Option<u16>,
    eos: Option<u32>,
    add_bos: bool,
    /// Whether the 256 byte tokens, without which a vocabulary is refused, come first.
    bytes: bool,
    template: Option<&'a str>,
    text: &'a str,
    ids: Vec<u16>,
}

fuzz_target!(|input: Input| {
    // With the byte tokens in front the others are spelled and distinct, so that most inputs make a
    // tokenizer; without, they are as they come.
    let mut tokens: Vec<String> = match input.bytes {
        true => (0..=255u8).map(|b| byte_to_char(b).to_string()).collect(),
        false => input.tokens.iter().map(|t| (*t).to_owned()).collect(),
    };
    let whole = tokens.len();
    for token in input.tokens.iter().filter(|_| input.bytes) {
        let spelled: String = token.bytes().map(byte_to_char).collect();
        if !tokens.contains(&spelled) {
            tokens.push(spelled);
        }
    }
    let mut merges: Vec<String> = input.raw_merges.iter().map(|m| (*m).to_owned()).collect();
    if !tokens.is_empty() {
        // Merges of tokens that are there, the union added where it is missing.
        for (a, b) in &input.merges {
            let pick = |i: u16| tokens[usize::from(i) % tokens.len()].clone();
            let (a, b) = (pick(*a), pick(*b));
            let union = format!("{a}{b}");
            if union.len() < 64 {
                if !tokens.contains(&union) {
                    tokens.push(union);
                }
                merges.push(format!("{a} {b}"));
            }
        }
    }
    let mut w = GgufWriter::new();
    w.set("tokenizer.ggml.model", "gpt2").set("tokenizer.ggml.pre", "qwen2");
    if let Some(types) = &input.types {
        let given = types.iter().map(|t| i32::from(*t % 7));
        let bytes = if input.bytes { whole } else { 0 };
        let all = std::iter::repeat_n(1, bytes).chain(given).chain(std::iter::repeat(1)).take(tokens.len());
        w.set("tokenizer.ggml.token_type", Array::I32(all.collect()));
    }
    w.set("tokenizer.ggml.tokens", Array::Str(Strings::from_iter(&tokens)));
    w.set("tokenizer.ggml.merges", Array::Str(Strings::from_iter(&merges)));
    w.set("tokenizer.ggml.add_bos_token", input.add_bos);
    if let Some(id) = input.bos {
        w.set("tokenizer.ggml.bos_token_id", id);
    }
    if let Some(id) = input.eos {
        w.set("tokenizer.ggml.eos_token_id", id);
    }
    if let Some(template) = input.template {
        w.set("tokenizer.chat_template", template);
    }
    let file = w.to_bytes(&[]).expect("no tensors, no bytes");
    let gguf = Gguf::from_bytes("fuzz.gguf", &file).expect("what was written is read");
    let Ok(tokenizer) = Tokenizer::from_gguf(&gguf) else {
        return;
    };
    assert_eq!(tokenizer.len(), tokens.len());
    if let Ok(ids) = tokenizer.encode(input.text) {
        let skip = usize::from(input.add_bos);
        assert_eq!(tokenizer.decode(&ids[skip..]).as_deref().ok(), Some(input.text));
    }
    let ids: Vec<u32> = input.ids.iter().map(|i| u32::from(*i)).collect();
    let known = ids.iter().all(|i| (*i as usize) < tokens.len());
    assert_eq!(tokenizer.decode(&ids).is_ok(), known);
    if let Ok(template) = ChatTemplate::from_gguf(&gguf, &tokenizer) {
        let message = Message { role: "user".into(), content: input.text.into() };
        let _ = template.render(&[message], None);
    }
});
