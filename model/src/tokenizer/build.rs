//! Builds a tokenizer from metadata.

use super::{
    Special, Tokenizer, Vocabulary,
    bytes::{CharToByte, byte_to_char},
    error::{Fail, Kind, TokenizerError},
    parts::{Encoder, Qwen2},
    vocabulary::Pieces,
};
use crate::gguf::{Gguf, Metadata, Strings};
use std::collections::{HashMap, hash_map::Entry};
use tokenizers::{
    AddedToken,
    models::bpe::{BPE, Vocab},
};

/// llama.cpp's token types that matter here. Normal tokens are spelled in byte characters, all others literally.
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;

/// Total bytes of control and user-defined tokens; models have a few thousand.
const MOST_WHOLE: usize = 1 << 20;

/// Keys of tokens that end a generation, in addition to `eos` (llama.cpp's `special_eog_ids`).
const ENDING: [&str; 5] = ["eot", "eom", "fim_pad", "fim_rep", "fim_sep"];

/// Names of tokens that end a generation, as in llama.cpp.
const ENDS: [&str; 20] = [
    "<|endoftext|>",
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<|end_of_text|>",
    "<end_of_turn>",
    "<end_of_utterance>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "</s>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
];

pub(super) fn build(gguf: &Gguf) -> Result<Tokenizer, TokenizerError> {
    let fail = Fail(gguf.file().into());
    let m = gguf.metadata();
    match m.opt_str("tokenizer.ggml.model")? {
        Some("gpt2") => {}
        found @ (None | Some("no_vocab" | "none")) => {
            let found = found.map(Into::into);
            return Err(fail.with(Kind::NoVocabulary { found }));
        }
        Some(found) => {
            let found = found.into();
            return Err(fail.with(Kind::Model { found }));
        }
    }
    let pre = m.str("tokenizer.ggml.pre")?;
    if pre != "qwen2" {
        return Err(fail.with(Kind::Pre { found: pre.into() }));
    }
    let tokens = m.strings("tokenizer.ggml.tokens")?;
    if tokens.is_empty() {
        return Err(fail.with(Kind::Empty));
    }
    let types = m.opt_i32s("tokenizer.ggml.token_type")?;
    if let Some(t) = types
        && t.len() != tokens.len()
    {
        let (found, expected) = (t.len(), tokens.len());
        return Err(fail.with(Kind::TokenTypes { found, expected }));
    }
    let ty = |id: usize| types.map_or(NORMAL, |t| t[id]);

    // The literal tokens become an automaton many times their size.
    let whole: usize = tokens.iter().enumerate().filter(|(i, _)| is_whole(ty(*i))).map(|(_, token)| token.len()).sum();
    if whole > MOST_WHOLE {
        return Err(fail.with(Kind::Whole { bytes: whole, most: MOST_WHOLE }));
    }
    let ids = ids(&fail, tokens)?;
    let pieces = pieces(&fail, tokens, &ids, ty)?;
    let merges = merges(&fail, m.strings("tokenizer.ggml.merges")?, &ids, ty)?;
    let special = special(&fail, m, tokens, ty)?;

    let library = |e: tokenizers::Error| {
        let reason = e.to_string();
        fail.with(Kind::Encode { reason })
    };
    let vocabulary: Vocab = ids.iter().map(|(t, i)| ((*t).into(), *i)).collect();
    let bpe = BPE::builder().vocab_and_merges(vocabulary, merges);
    let mut inner = Encoder::new(bpe.build().map_err(library)?);
    inner.with_pre_tokenizer(Some(Qwen2::new().map_err(library)?));
    let whole = tokens.iter().enumerate();
    let whole: Vec<AddedToken> = whole
        .filter(|(i, t)| is_whole(ty(*i)) && !t.is_empty())
        .map(|(i, t)| AddedToken::from(t, ty(i) == CONTROL).normalized(false))
        .collect();
    inner.add_tokens(&whole);
    let control = (0..tokens.len()).map(|i| ty(i) == CONTROL).collect();
    Ok(Tokenizer { vocabulary: Vocabulary { fail, pieces, control, special }, inner })
}

/// Whether a token is matched literally in the text, before any splitting.
fn is_whole(ty: i32) -> bool {
    matches!(ty, CONTROL | USER_DEFINED)
}

fn ids<'a>(fail: &Fail, tokens: &'a Strings) -> Result<HashMap<&'a str, u32>, TokenizerError> {
    let mut ids = HashMap::new();
    for (token, id) in tokens.iter().zip(0u32..) {
        match ids.entry(token) {
            Entry::Vacant(e) => e.insert(id),
            Entry::Occupied(e) => {
                return Err(fail.with(Kind::DuplicateToken { first: *e.get(), second: id, token: token.into() }));
            }
        };
    }
    Ok(ids)
}

/// The bytes of each token: those that its characters represent, or its own for tokens that are not normal, such as
/// literal ones and padding.
fn pieces(
    fail: &Fail,
    tokens: &Strings,
    ids: &HashMap<&str, u32>,
    ty: impl Fn(usize) -> i32,
) -> Result<Pieces, TokenizerError> {
    let spelled = CharToByte::new();
    for byte in 0..=255 {
        let single = byte_to_char(byte).to_string();
        match ids.get(single.as_str()) {
            Some(id) if ty(*id as usize) == NORMAL => {}
            _ => return Err(fail.with(Kind::NoByte { byte })),
        }
    }
    let mut pieces = Pieces::default();
    for (token, id) in tokens.iter().zip(0..) {
        if ty(id as usize) != NORMAL {
            pieces.push(token.as_bytes());
            continue;
        }
        let bytes = spelled.bytes(token).ok_or_else(|| {
            let token = token.into();
            fail.with(Kind::Spelling { id, token })
        })?;
        pieces.push(&bytes);
    }
    Ok(pieces)
}

fn merges(
    fail: &Fail,
    merges: &Strings,
    ids: &HashMap<&str, u32>,
    ty: impl Fn(usize) -> i32,
) -> Result<Vec<(String, String)>, TokenizerError> {
    let mut joined = String::new();
    // Another token would be decoded to different bytes.
    let is_normal = |token: &str| ids.get(token).is_some_and(|id| ty(*id as usize) == NORMAL);
    let mut one = |(index, merge): (usize, &str)| {
        // As in llama.cpp, the space is searched after the first character.
        let first = merge.chars().next().map_or(0, char::len_utf8);
        let parts = merge[first..].find(' ').map(|at| {
            let (a, b) = merge.split_at(first + at);
            (a, &b[1..])
        });
        if let Some((a, b)) = parts {
            joined.clear();
            joined.push_str(a);
            joined.push_str(b);
            if [a, b, &joined].into_iter().all(is_normal) {
                return Ok((a.into(), b.into()));
            }
        }
        let merge = merge.into();
        Err(fail.with(Kind::Merge { index, merge }))
    };
    merges.iter().enumerate().map(&mut one).collect()
}

fn special(fail: &Fail, m: &Metadata, tokens: &Strings, ty: impl Fn(usize) -> i32) -> Result<Special, TokenizerError> {
    let id = |name: &str| {
        let key = format!("tokenizer.ggml.{name}_token_id");
        match m.opt_u32(&key)? {
            Some(id) if id as usize >= tokens.len() => {
                let tokens = tokens.len();
                Err(fail.with(Kind::SpecialId { key, id, tokens }))
            }
            id => Ok(id),
        }
    };
    let text = |id: Option<u32>| {
        let token = id.and_then(|i| tokens.get(i as usize));
        token.unwrap_or_default().to_owned()
    };
    let (bos, eos) = (id("bos")?, id("eos")?);
    let mut end = Vec::from_iter(eos);
    for name in ENDING {
        end.extend(id(name)?);
    }
    id("padding")?;
    let add_bos = m.opt_bool("tokenizer.ggml.add_bos_token")?.unwrap_or(false);
    if add_bos && bos.is_none() {
        return Err(fail.with(Kind::NoBos));
    }
    for name in ["add_eos_token", "add_sep_token"] {
        let key = format!("tokenizer.ggml.{name}");
        if m.opt_bool(&key)? == Some(true) {
            return Err(fail.with(Kind::Ending { key }));
        }
    }
    let named = tokens.iter().zip(0u32..).filter(|(token, id)| ENDS.contains(token) && is_whole(ty(*id as usize)));
    end.extend(named.map(|(_, id)| id));
    end.sort_unstable();
    end.dedup();
    Ok(Special { bos: bos.filter(|_| add_bos), bos_text: text(bos), eos, eos_text: text(eos), end })
}
