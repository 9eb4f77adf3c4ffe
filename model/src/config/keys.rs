//! The keys of the hyperparameters (llama.cpp `LLM_KV_*`, each with the architecture's name as prefix).

use super::{Architecture, ConfigError, FeedForward, ModelConfig};
use crate::gguf::{Gguf, Value};
use ptxgen_dsl::reference::RopeScaling;

/// Keys that are read here, or that do not change the result; an architecture has more.
const KNOWN: [&str; 20] = [
    "context_length",
    "embedding_length",
    "block_count",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.value_length",
    "attention.layer_norm_rms_epsilon",
    "rope.freq_base",
    "rope.dimension_count",
    "vocab_size",
    "rope.scaling.type",
    "rope.scaling.factor",
    "rope.scaling.original_context_length",
    "rope.scaling.attn_factor",
    "rope.scaling.yarn_attn_factor",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
    "rope.scaling.yarn_ext_factor",
    // Informational keys of converters.
    "rope.scaling.finetuned",
];

/// The values with which a key has no effect.
pub(crate) enum Neutral {
    /// One of these numbers.
    Number(&'static [f64]),
    /// This value.
    Bool(bool),
}

/// Keys that would change the result; only these values are accepted. An architecture has more.
const NEUTRAL: [(&str, Neutral); 13] = [
    ("rope.scale_linear", Neutral::Number(&[1.0])),
    ("attention.sliding_window", Neutral::Number(&[0.0])),
    ("attention.causal", Neutral::Bool(true)),
    ("attention.scale", Neutral::Number(&[0.0])),
    ("attention.clamp_kqv", Neutral::Number(&[0.0])),
    ("attention.max_alibi_bias", Neutral::Number(&[0.0])),
    ("attn_logit_softcapping", Neutral::Number(&[0.0])),
    ("final_logit_softcapping", Neutral::Number(&[0.0])),
    ("logit_scale", Neutral::Number(&[0.0, 1.0])),
    ("embedding_scale", Neutral::Number(&[0.0, 1.0])),
    ("residual_scale", Neutral::Number(&[0.0, 1.0])),
    ("nextn_predict_layers", Neutral::Number(&[0.0])),
    ("pooling_type", Neutral::Number(&[0.0])),
];

/// A file's keys under its architecture's prefix.
#[derive(Clone, Copy)]
pub(crate) struct Keys<'g> {
    pub(super) gguf: &'g Gguf,
    pub(super) architecture: &'static Architecture,
}

impl Keys<'_> {
    fn full(self, key: &str) -> String {
        format!("{}.{key}", self.architecture.name)
    }

    /// The error of a key with a value that is not supported.
    pub(crate) fn wrong(self, key: &str, found: String, expected: String) -> ConfigError {
        ConfigError::Key { file: self.gguf.file().to_owned(), key: self.full(key), found, expected }
    }

    /// A number of at least 1, if the key exists.
    pub(crate) fn optional(self, key: &str) -> Result<Option<usize>, ConfigError> {
        match self.gguf.metadata().opt_u32(&self.full(key)) {
            Ok(Some(0)) => Err(self.wrong(key, "0".into(), "1 or more".into())),
            other => Ok(other?.map(|v| v as usize)),
        }
    }

    /// A number of at least 1.
    pub(crate) fn number(self, key: &str) -> Result<usize, ConfigError> {
        match self.optional(key)? {
            Some(v) => Ok(v),
            None => Ok(self.gguf.metadata().u32(&self.full(key))? as usize),
        }
    }

    fn float(self, key: &str, usual: Option<f32>, least: f32) -> Result<f32, ConfigError> {
        let (m, key_in_full) = (self.gguf.metadata(), self.full(key));
        let value = match usual {
            Some(usual) => m.opt_f32(&key_in_full)?.unwrap_or(usual),
            None => m.f32(&key_in_full)?,
        };
        if value.is_finite() && value >= least {
            return Ok(value);
        }
        Err(self.wrong(key, value.to_string(), format!("a finite number of at least {least}")))
    }

    /// Keys of the architecture that are not known, or that would change what is computed. It has these more.
    pub(super) fn faults(self, more: &[&str], neutral: &[(&str, Neutral)]) -> Vec<ConfigError> {
        let own = |key: &'_ str| {
            key.strip_prefix(self.architecture.name).and_then(|k| k.strip_prefix('.')).map(str::to_owned)
        };
        let keys = self.gguf.metadata().iter().filter_map(|(key, value)| Some((own(key)?, value)));
        let fault = |(short, value): (String, &Value)| match known((more, neutral), &short, value).err()? {
            Problem::Unknown => {
                Some(ConfigError::UnknownKey { file: self.gguf.file().to_owned(), key: self.full(&short) })
            }
            Problem::Value(expected) => Some(self.wrong(&short, show(value), expected)),
        };
        keys.filter_map(fault).collect()
    }

    /// Reads the keys, those of the feed-forward as the architecture does; `vocab` and `tied` come from the tensors.
    pub(super) fn read(
        self,
        feed_forward: fn(Keys<'_>) -> Result<FeedForward, ConfigError>,
    ) -> Result<ModelConfig, ConfigError> {
        let hidden = self.number("embedding_length")?;
        let heads = self.number("attention.head_count")?;
        let kv_heads = self.optional("attention.head_count_kv")?.unwrap_or(heads);
        if !heads.is_multiple_of(kv_heads) {
            let expected = format!("a divisor of attention.head_count, {heads}");
            return Err(self.wrong("attention.head_count_kv", kv_heads.to_string(), expected));
        }
        let head_dim = self.optional("attention.key_length")?.unwrap_or(hidden / heads);
        if head_dim == 0 || !head_dim.is_multiple_of(2) {
            let expected = "an even number (RoPE turns pairs)".into();
            return Err(self.wrong("attention.key_length", head_dim.to_string(), expected));
        }
        for key in ["attention.value_length", "rope.dimension_count"] {
            let found = self.optional(key)?.unwrap_or(head_dim);
            if found != head_dim {
                let expected = format!("attention.key_length, {head_dim}");
                return Err(self.wrong(key, found.to_string(), expected));
            }
        }
        let FeedForward { experts, experts_used, expert_ff, ff } = feed_forward(self)?;
        let rms_eps = self.float("attention.layer_norm_rms_epsilon", None, 0.0)?;
        let rope_base = self.float("rope.freq_base", Some(10000.0), 1.0)?;
        let rope_scaling = self.scaling(self.number("context_length")?)?;
        Ok(ModelConfig {
            architecture: self.architecture,
            vocab: self.vocabulary()?,
            blocks: self.number("block_count")?,
            context: self.number("context_length")?,
            hidden,
            heads,
            kv_heads,
            head_dim,
            experts,
            experts_used,
            expert_ff,
            ff,
            rms_eps,
            rope_base,
            rope_scaling,
            tied: self.gguf.find("output.weight").is_none(),
        })
    }

    /// Size of the vocabulary. The embedding's shape is checked together with the others.
    fn vocabulary(self) -> Result<usize, ConfigError> {
        let vocab = self.gguf.tensor("token_embd.weight")?.rows();
        if let Some(found) = self.optional("vocab_size")?
            && found != vocab
        {
            let expected = format!("the rows of token_embd.weight, {vocab}");
            return Err(self.wrong("vocab_size", found.to_string(), expected));
        }
        if let Some(tokens) = self.gguf.metadata().opt_strings("tokenizer.ggml.tokens")?
            && tokens.len() != vocab
        {
            return Err(ConfigError::Key {
                file: self.gguf.file().to_owned(),
                key: "tokenizer.ggml.tokens".into(),
                found: format!("a list of {} tokens", tokens.len()),
                expected: format!("one for each of the {vocab} rows of token_embd.weight"),
            });
        }
        Ok(vocab)
    }

    /// The scaling of the context (llama.cpp `LLM_KV_ROPE_SCALING_*`). As in llama.cpp, a factor without a type means
    /// linear, and the original context defaults to the whole context.
    fn scaling(self, context: usize) -> Result<RopeScaling, ConfigError> {
        let m = self.gguf.metadata();
        let key = |name: &str| format!("rope.scaling.{name}");
        let number = |name: &str, usual: f64, most: f64| {
            let found = m.opt_f32(&self.full(&key(name)))?.map_or(usual, f64::from);
            if found > 0.0 && found <= most {
                return Ok(found);
            }
            Err(self.wrong(&key(name), found.to_string(), format!("a number above 0, at most {most}")))
        };
        let factor = number("factor", 1.0, 4096.0)?;
        let ty = m.opt_str(&self.full(&key("type")))?.unwrap_or("linear");
        match ty {
            "none" => Ok(RopeScaling::None),
            "linear" if factor == 1.0 => Ok(RopeScaling::None),
            "linear" => Ok(RopeScaling::Linear { factor }),
            "yarn" => {
                let extrapolation = number("yarn_ext_factor", 1.0, 4096.0)?;
                if extrapolation != 1.0 {
                    return Err(self.wrong(&key("yarn_ext_factor"), extrapolation.to_string(), "1".into()));
                }
                let original = m.opt_u32(&self.full(&key("original_context_length")))?;
                Ok(RopeScaling::Yarn {
                    factor,
                    original: original.filter(|n| *n > 0).map_or(context as f64, f64::from),
                    beta_fast: number("yarn_beta_fast", 32.0, 1e6)?,
                    beta_slow: number("yarn_beta_slow", 1.0, 1e6)?,
                    attention: number("attn_factor", 1.0, 4096.0)? * number("yarn_attn_factor", 1.0, 4096.0)?,
                })
            }
            other => Err(self.wrong(&key("type"), format!("\"{other}\""), "\"none\", \"linear\" or \"yarn\"".into())),
        }
    }
}

enum Problem {
    Unknown,
    Value(String),
}

fn known((more, neutral): (&[&str], &[(&str, Neutral)]), key: &str, value: &Value) -> Result<(), Problem> {
    if KNOWN.iter().chain(more).any(|k| *k == key) {
        return Ok(());
    }
    let Some((_, neutral)) = NEUTRAL.iter().chain(neutral).find(|(k, _)| *k == key) else {
        return Err(Problem::Unknown);
    };
    let number = match value {
        Value::F32(v) => Some(f64::from(*v)),
        Value::F64(v) => Some(*v),
        v => v.integer().map(|i| i as f64),
    };
    let (same, expected) = match neutral {
        Neutral::Number(values) => (
            number.is_some_and(|n| values.contains(&n)),
            values.iter().map(f64::to_string).collect::<Vec<_>>().join(" or "),
        ),
        Neutral::Bool(b) => (*value == Value::Bool(*b), b.to_string()),
    };
    if same {
        return Ok(());
    }
    Err(Problem::Value(format!(
        "{expected}; another value would change what the model computes, which is not supported"
    )))
}

fn show(value: &Value) -> String {
    match value {
        Value::Str(s) => format!("\"{s}\""),
        Value::F32(v) => v.to_string(),
        Value::F64(v) => v.to_string(),
        Value::Bool(v) => v.to_string(),
        v => v.integer().map_or_else(|| format!("of type {}", v.ty()), |i| i.to_string()),
    }
}
