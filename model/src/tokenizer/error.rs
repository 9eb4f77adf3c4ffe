//! Errors in a vocabulary.

use crate::gguf::GgufError;
use std::{fmt, sync::Arc};

/// A vocabulary or chat template that cannot be used, with the file's name and the reason.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
pub struct TokenizerError(Reason);

impl From<GgufError> for TokenizerError {
    fn from(error: GgufError) -> Self {
        Self(Reason::Gguf(error))
    }
}

#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Reason {
    /// A key is missing or of the wrong type.
    #[error(transparent)]
    Gguf(GgufError),
    /// The values are not a valid tokenizer.
    #[error("{file}: {kind}")]
    Tokenizer { file: Arc<str>, kind: Kind },
}

/// The fault in the values.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum Kind {
    /// The file has no tokenizer.
    #[error(
        "has no vocabulary (tokenizer.ggml.model {}), so it takes token ids, not text: give them with --tokens to logits, perplexity, trace or compare",
        found.as_ref().map_or("is missing".into(), |f| format!("is \"{f}\""))
    )]
    NoVocabulary {
        /// `tokenizer.ggml.model`.
        found: Option<String>,
    },
    /// An unsupported kind of vocabulary.
    #[error(
        "key \"tokenizer.ggml.model\" is \"{found}\", expected \"gpt2\" (byte-level BPE), the one that is supported"
    )]
    Model {
        /// `tokenizer.ggml.model`.
        found: String,
    },
    /// An unsupported pre-tokenizer.
    #[error("key \"tokenizer.ggml.pre\" is \"{found}\", expected \"qwen2\", the one that is supported")]
    Pre {
        /// `tokenizer.ggml.pre`.
        found: String,
    },
    /// A token that appears twice.
    #[error("tokens {first} and {second} are both \"{token}\"; the file is corrupt")]
    DuplicateToken {
        /// The lower id.
        first: u32,
        /// The higher id.
        second: u32,
        /// The token.
        token: String,
    },
    /// A byte that no normal token represents.
    #[error("no normal token stands for byte {byte:#04x} alone, so some texts cannot be encoded; the file is corrupt")]
    NoByte {
        /// The byte.
        byte: u8,
    },
    /// A normal token with a character that does not represent a byte.
    #[error("token {id}, \"{token}\", is not spelled in GPT-2's byte characters; the file is corrupt")]
    Spelling {
        /// Its id.
        id: u32,
        /// The token.
        token: String,
    },
    /// The numbers of token types and tokens differ.
    #[error("key \"tokenizer.ggml.token_type\" has {found} entries, expected {expected}, one for each token")]
    TokenTypes {
        /// The number of types.
        found: usize,
        /// The number of tokens.
        expected: usize,
    },
    /// Control and user-defined tokens that are too long.
    #[error(
        "control and user-defined tokens have {bytes} bytes together, at most {most} are read; the file is corrupt"
    )]
    Whole {
        /// Their bytes.
        bytes: usize,
        /// The maximum.
        most: usize,
    },
    /// A merge that is not two normal tokens.
    #[error(
        "merge {index}, \"{merge}\", is not two normal tokens with a space between whose union is one too; the file is corrupt"
    )]
    Merge {
        /// Its index in the list.
        index: usize,
        /// The merge.
        merge: String,
    },
    /// A special token's id outside the vocabulary.
    #[error("key \"{key}\" is {id}, expected less than the {tokens} tokens")]
    SpecialId {
        /// The key.
        key: String,
        /// The id.
        id: u32,
        /// The number of tokens.
        tokens: usize,
    },
    /// A beginning-of-sequence token is required but not defined.
    #[error(
        "asks for a beginning-of-sequence token (tokenizer.ggml.add_bos_token) but names none (tokenizer.ggml.bos_token_id)"
    )]
    NoBos,
    /// A token after every text is required, which is not supported.
    #[error("key \"{key}\" is true, expected false: a token after every text is not supported")]
    Ending {
        /// The key.
        key: String,
    },
    /// An empty vocabulary.
    #[error("key \"tokenizer.ggml.tokens\" is empty")]
    Empty,
    /// A run of white space that the pre-tokenizer cannot split.
    #[error("the text has a run of more than {most} white-space characters, which cannot be encoded: shorten it")]
    WhiteSpace {
        /// The maximum length.
        most: usize,
    },
    /// The tokenizer failed.
    #[error("the text cannot be encoded: {reason}")]
    Encode {
        /// The `tokenizers` crate's reason.
        reason: String,
    },
    /// An id outside the vocabulary.
    #[error("token id {id} is outside the vocabulary of {tokens} tokens")]
    Id {
        /// The id.
        id: u32,
        /// The number of tokens.
        tokens: usize,
    },
    /// The file has no chat template.
    #[error("has no chat template (tokenizer.chat_template): use a plain prompt")]
    NoTemplate,
    /// The chat template is broken or rejects the messages.
    #[error("its chat template fails: {reason}")]
    Template {
        /// The template engine's reason, with the line.
        reason: String,
    },
}

/// Creates errors of one file.
#[derive(Clone)]
pub(super) struct Fail(pub(super) Arc<str>);

impl Fail {
    pub(super) fn with(&self, kind: Kind) -> TokenizerError {
        let file = self.0.clone();
        TokenizerError(Reason::Tokenizer { file, kind })
    }
}

impl fmt::Debug for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
