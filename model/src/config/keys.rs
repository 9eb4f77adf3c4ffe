//! The hyperparameters' keys (llama.cpp `LLM_KV_*`, prefix `qwen3moe.`).

use super::{ARCHITECTURE, ConfigError, Qwen3MoeConfig};
use crate::gguf::{Gguf, Metadata, Value};
use ptxgen_dsl::reference::RopeScaling;

/// Keys that are read here, or that do not change what is computed.
const KNOWN: [&str; 24] = [
    "context_length",
    "embedding_length",
    "block_count",
    "feed_forward_length",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.value_length",
    "attention.layer_norm_rms_epsilon",
    "rope.freq_base",
    "rope.dimension_count",
    "expert_count",
    "expert_used_count",
    "expert_feed_forward_length",
    "vocab_size",
    "rope.scaling.type",
    "rope.scaling.factor",
    "rope.scaling.original_context_length",
    "rope.scaling.attn_factor",
    "rope.scaling.yarn_attn_factor",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
    "rope.scaling.yarn_ext_factor",
    // Told by converters for information.
    "rope.scaling.finetuned",
];

/// A value with which a key changes nothing.
enum Neutral {
    /// One of these numbers.
    Number(&'static [f64]),
    Bool(bool),
}

/// Keys that would change what is computed; only these values are accepted.
const NEUTRAL: [(&str, Neutral); 21] = [
    ("rope.scale_linear", Neutral::Number(&[1.0])),
    ("attention.sliding_window", Neutral::Number(&[0.0])),
    ("attention.causal", Neutral::Bool(true)),
    ("attention.scale", Neutral::Number(&[0.0])),
    ("attention.clamp_kqv", Neutral::Number(&[0.0])),
    ("attention.max_alibi_bias", Neutral::Number(&[0.0])),
    ("attn_logit_softcapping", Neutral::Number(&[0.0])),
    ("router_logit_softcapping", Neutral::Number(&[0.0])),
    ("final_logit_softcapping", Neutral::Number(&[0.0])),
    ("logit_scale", Neutral::Number(&[0.0, 1.0])),
    ("embedding_scale", Neutral::Number(&[0.0, 1.0])),
    ("residual_scale", Neutral::Number(&[0.0, 1.0])),
    ("expert_weights_scale", Neutral::Number(&[0.0, 1.0])),
    ("expert_weights_norm", Neutral::Bool(true)),
    // llama.cpp: 0 is the architecture's own, 1 softmax.
    ("expert_gating_func", Neutral::Number(&[0.0, 1.0])),
    ("expert_shared_count", Neutral::Number(&[0.0])),
    ("expert_shared_feed_forward_length", Neutral::Number(&[0.0])),
    ("expert_group_count", Neutral::Number(&[0.0, 1.0])),
    ("leading_dense_block_count", Neutral::Number(&[0.0])),
    ("nextn_predict_layers", Neutral::Number(&[0.0])),
    ("pooling_type", Neutral::Number(&[0.0])),
];

/// Refuses another architecture, of which nothing else can be said.
pub(super) fn architecture(gguf: &Gguf) -> Result<(), ConfigError> {
    let found = gguf.metadata().str("general.architecture")?;
    if found == ARCHITECTURE {
        return Ok(());
    }
    let (file, found) = (gguf.file().to_owned(), found.into());
    Err(ConfigError::Architecture { file, found })
}

fn full(key: &str) -> String {
    format!("{ARCHITECTURE}.{key}")
}

/// Keys of the architecture that are not known, or that would change what is computed.
pub(super) fn faults(gguf: &Gguf) -> Vec<ConfigError> {
    let own = |key: &'_ str| key.strip_prefix(ARCHITECTURE).and_then(|k| k.strip_prefix('.')).map(str::to_owned);
    let keys = gguf.metadata().iter().filter_map(|(key, value)| Some((own(key)?, value)));
    let file = || gguf.file().to_owned();
    let fault = |(short, value): (String, &Value)| {
        let key = full(&short);
        match known(&short, value).err()? {
            Problem::Unknown => Some(ConfigError::UnknownKey { file: file(), key }),
            Problem::Value(expected) => Some(ConfigError::Key { file: file(), key, found: show(value), expected }),
        }
    };
    keys.filter_map(fault).collect()
}

/// Reads the keys; `vocab` and `tied` come from the tensors.
pub(super) fn read(gguf: &Gguf) -> Result<Qwen3MoeConfig, ConfigError> {
    let (file, m) = (|| gguf.file().to_owned(), gguf.metadata());
    let wrong =
        |key: &str, found: String, expected: String| ConfigError::Key { file: file(), key: full(key), found, expected };
    let optional = |key: &str| match m.opt_u32(&full(key)) {
        Ok(Some(0)) => Err(wrong(key, "0".into(), "1 or more".into())),
        other => Ok(other?.map(|v| v as usize)),
    };
    let number = |key: &str| match optional(key)? {
        Some(v) => Ok(v),
        None => Ok::<_, ConfigError>(m.u32(&full(key))? as usize),
    };
    let hidden = number("embedding_length")?;
    let heads = number("attention.head_count")?;
    let kv_heads = optional("attention.head_count_kv")?.unwrap_or(heads);
    if !heads.is_multiple_of(kv_heads) {
        let expected = format!("a divisor of attention.head_count, {heads}");
        return Err(wrong("attention.head_count_kv", kv_heads.to_string(), expected));
    }
    let head_dim = optional("attention.key_length")?.unwrap_or(hidden / heads);
    if head_dim == 0 || !head_dim.is_multiple_of(2) {
        let expected = "an even number (RoPE turns pairs)".into();
        return Err(wrong("attention.key_length", head_dim.to_string(), expected));
    }
    for key in ["attention.value_length", "rope.dimension_count"] {
        let found = optional(key)?.unwrap_or(head_dim);
        if found != head_dim {
            let expected = format!("attention.key_length, {head_dim}");
            return Err(wrong(key, found.to_string(), expected));
        }
    }
    let experts = number("expert_count")?;
    let experts_used = number("expert_used_count")?;
    if experts_used > experts {
        let expected = format!("at most expert_count, {experts}");
        return Err(wrong("expert_used_count", experts_used.to_string(), expected));
    }
    let expert_ff = match optional("expert_feed_forward_length")? {
        Some(v) => v,
        // What llama.cpp takes for older files.
        None => number("feed_forward_length")? / experts_used,
    };
    let float = |key: &str, value: f32, least: f32| {
        if value.is_finite() && value >= least {
            return Ok(value);
        }
        let expected = format!("a finite number of at least {least}");
        Err(wrong(key, value.to_string(), expected))
    };
    let eps = "attention.layer_norm_rms_epsilon";
    let base = "rope.freq_base";
    let rms_eps = float(eps, m.f32(&full(eps))?, 0.0)?;
    let rope_base = float(base, m.opt_f32(&full(base))?.unwrap_or(10000.0), 1.0)?;

    let rope_scaling = scaling(m, number("context_length")?, &wrong)?;

    // The embedding's shape is checked with that of the others.
    let vocab = gguf.tensor("token_embd.weight")?.rows();
    if let Some(found) = optional("vocab_size")?
        && found != vocab
    {
        let expected = format!("the rows of token_embd.weight, {vocab}");
        return Err(wrong("vocab_size", found.to_string(), expected));
    }
    if let Some(tokens) = m.opt_strings("tokenizer.ggml.tokens")?
        && tokens.len() != vocab
    {
        return Err(ConfigError::Key {
            file: file(),
            key: "tokenizer.ggml.tokens".into(),
            found: format!("a list of {} tokens", tokens.len()),
            expected: format!("one for each of the {vocab} rows of token_embd.weight"),
        });
    }
    Ok(Qwen3MoeConfig {
        blocks: number("block_count")?,
        context: number("context_length")?,
        hidden,
        heads,
        kv_heads,
        head_dim,
        experts,
        experts_used,
        expert_ff,
        vocab,
        rms_eps,
        rope_base,
        rope_scaling,
        tied: gguf.find("output.weight").is_none(),
    })
}

/// How the context is stretched (llama.cpp `LLM_KV_ROPE_SCALING_*`). As there, a factor without a type is linear, and the
/// original context is the whole one where the file does not tell.
fn scaling(
    m: &Metadata,
    context: usize,
    wrong: &dyn Fn(&str, String, String) -> ConfigError,
) -> Result<RopeScaling, ConfigError> {
    let key = |name: &str| format!("rope.scaling.{name}");
    let number = |name: &str, usual: f64, most: f64| {
        let found = m.opt_f32(&format!("{ARCHITECTURE}.{}", key(name)))?.map_or(usual, f64::from);
        if found > 0.0 && found <= most {
            return Ok(found);
        }
        Err(wrong(&key(name), found.to_string(), format!("a number above 0, at most {most}")))
    };
    let factor = number("factor", 1.0, 4096.0)?;
    let ty = m.opt_str(&format!("{ARCHITECTURE}.{}", key("type")))?.unwrap_or("linear");
    match ty {
        "none" => Ok(RopeScaling::None),
        "linear" if factor == 1.0 => Ok(RopeScaling::None),
        "linear" => Ok(RopeScaling::Linear { factor }),
        "yarn" => {
            let extrapolation = number("yarn_ext_factor", 1.0, 4096.0)?;
            if extrapolation != 1.0 {
                return Err(wrong(&key("yarn_ext_factor"), extrapolation.to_string(), "1".into()));
            }
            let original = m.opt_u32(&format!("{ARCHITECTURE}.{}", key("original_context_length")))?;
            Ok(RopeScaling::Yarn {
                factor,
                original: original.filter(|n| *n > 0).map_or(context as f64, f64::from),
                beta_fast: number("yarn_beta_fast", 32.0, 1e6)?,
                beta_slow: number("yarn_beta_slow", 1.0, 1e6)?,
                attention: number("attn_factor", 1.0, 4096.0)? * number("yarn_attn_factor", 1.0, 4096.0)?,
            })
        }
        other => Err(wrong(&key("type"), format!("\"{other}\""), "\"none\", \"linear\" or \"yarn\"".into())),
    }
}

enum Problem {
    Unknown,
    Value(String),
}

fn known(key: &str, value: &Value) -> Result<(), Problem> {
    if KNOWN.contains(&key) {
        return Ok(());
    }
    let Some((_, neutral)) = NEUTRAL.iter().find(|(k, _)| *k == key) else {
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
