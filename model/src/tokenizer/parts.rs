//! The parts of the `tokenizers` crate that are used. Its own wrappers would include every kind of normalizer, model
//! and decoder in the program, with tables that need relocations.

use tokenizers::{
    Decoder, Encoding, NormalizedString, Normalizer, PostProcessor, PreTokenizedString, PreTokenizer, Result,
    SplitDelimiterBehavior, TokenizerImpl,
    models::bpe::BPE,
    normalizers::ByteLevel,
    pre_tokenizers::split::{Split, SplitPattern},
};

/// The encoder: without normalization and post-processing; it does not decode.
pub(super) type Encoder = TokenizerImpl<BPE, Absent, Qwen2, Absent, Absent>;

/// The `qwen2` pre-tokenizer (Qwen2's `tokenizer.json`; llama.cpp `LLAMA_VOCAB_PRE_TYPE_QWEN2`).
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Splits a text into words, and maps their bytes to characters.
pub(super) struct Qwen2(Split);

impl Qwen2 {
    pub(super) fn new() -> Result<Self> {
        let pattern = SplitPattern::Regex(QWEN2.into());
        Split::new(pattern, SplitDelimiterBehavior::Isolated, false).map(Self)
    }
}

impl PreTokenizer for Qwen2 {
    fn pre_tokenize(&self, text: &mut PreTokenizedString) -> Result<()> {
        self.0.pre_tokenize(text)?;
        // The crate's pre-tokenizer of this name compiles a regular expression first, which is not needed here.
        text.normalize(|word| ByteLevel.normalize(word))
    }
}

/// A part that is not used.
pub(super) enum Absent {}

impl Normalizer for Absent {
    fn normalize(&self, _: &mut NormalizedString) -> Result<()> {
        match *self {}
    }
}

impl PostProcessor for Absent {
    fn added_tokens(&self, _: bool) -> usize {
        match *self {}
    }

    fn process_encodings(&self, _: Vec<Encoding>, _: bool) -> Result<Vec<Encoding>> {
        match *self {}
    }
}

impl Decoder for Absent {
    fn decode_chain(&self, _: Vec<String>) -> Result<Vec<String>> {
        match *self {}
    }
}
