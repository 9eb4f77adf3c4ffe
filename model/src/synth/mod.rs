//! Models with random weights in real shapes, for benchmarks and tests without real weights.

mod weights;

use crate::{
    architecture::{QWEN3, QWEN3_MOE},
    config::{ModelConfig, TensorRole},
    gguf::{Array, GgufError, GgufWriter, Strings, TensorType},
    graph::Operation,
    tokenizer::byte_to_char,
};
use ptxgen_dsl::reference::RopeScaling;
use std::path::Path;

/// Shapes of known models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// The bundled model's.
    Tiny,
    /// Qwen3-30B-A3B's.
    Qwen3_30bA3b,
    /// Small shapes of a dense Qwen3.
    TinyDense,
    /// Qwen3-8B's.
    Qwen3_8b,
}

impl Preset {
    /// The model's hyperparameters.
    pub fn config(self) -> ModelConfig {
        match self {
            Self::Tiny => ModelConfig {
                architecture: &QWEN3_MOE,
                blocks: 6,
                context: 4096,
                hidden: 256,
                heads: 4,
                kv_heads: 2,
                head_dim: 64,
                experts: 16,
                experts_used: 4,
                expert_ff: 256,
                ff: 0,
                vocab: 4096,
                rms_eps: 1e-6,
                rope_base: 1e6,
                rope_scaling: RopeScaling::None,
                tied: false,
            },
            Self::TinyDense => ModelConfig {
                architecture: &QWEN3,
                experts: 0,
                experts_used: 0,
                expert_ff: 0,
                ff: 512,
                ..Self::Tiny.config()
            },
            Self::Qwen3_8b => ModelConfig {
                blocks: 36,
                context: 40960,
                hidden: 4096,
                heads: 32,
                kv_heads: 8,
                head_dim: 128,
                ff: 12288,
                vocab: 151936,
                ..Self::TinyDense.config()
            },
            Self::Qwen3_30bA3b => ModelConfig {
                architecture: &QWEN3_MOE,
                blocks: 48,
                context: 40960,
                hidden: 2048,
                heads: 32,
                kv_heads: 4,
                head_dim: 128,
                experts: 128,
                experts_used: 8,
                expert_ff: 768,
                ff: 0,
                vocab: 151936,
                rms_eps: 1e-6,
                rope_base: 1e6,
                rope_scaling: RopeScaling::None,
                tied: false,
            },
        }
    }
}

/// The types of the matrices. Norms and the router are always F32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    /// The mix of llama.cpp's `Q4_K_M`: Q6_K for the output and, in half of the layers, for values and the experts'
    /// down projections; Q4_K for the rest (llama.cpp `use_more_bits`).
    Q4KM,
    /// One type for all matrices.
    One(TensorType),
}

/// The vocabulary of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vocabulary {
    /// None (`no_vocab`): the model accepts only token ids.
    None,
    /// 256 byte tokens without merges, an end-of-text token, and padding.
    Bytes,
}

/// A model to generate.
#[derive(Debug, Clone)]
pub struct Synth {
    /// Its shapes.
    pub config: ModelConfig,
    /// Its tensor types.
    pub mix: Mix,
    /// Its tokens.
    pub vocabulary: Vocabulary,
    /// The seed: the same one gives the same bytes.
    pub seed: u64,
}

/// Invalid shapes, named like the options of `ptxgen synth`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("--{option} {value}: expected {expected}")]
pub struct SynthError {
    /// The option.
    pub option: &'static str,
    /// Its value.
    pub value: usize,
    /// The valid values.
    pub expected: String,
}

impl Synth {
    /// Checks that the shapes are those of a model.
    ///
    /// # Errors
    /// Names the option that is wrong.
    pub fn check(&self) -> Result<(), SynthError> {
        let c = &self.config;
        let wrong = |option, value, expected: String| Err(SynthError { option, value, expected });
        let experts = [("experts", c.experts, 1 << 12), ("topk", c.experts_used, c.experts)];
        let bounds = [
            ("layers", c.blocks, 10_000),
            ("hidden", c.hidden, 1 << 20),
            ("heads", c.heads, 1 << 12),
            ("kv", c.kv_heads, 1 << 12),
            ("hd", c.head_dim, 1 << 12),
            ("ff", c.inner_width(), 1 << 20),
            ("vocab", c.vocab, 1 << 24),
            ("context", c.context, 1 << 30),
        ];
        let has_experts = self.has_experts();
        for (option, value, _) in experts.into_iter().filter(|_| !has_experts) {
            if value != 0 {
                return wrong(option, value, format!("none: the layers of a {} are dense", c.architecture.title));
            }
        }
        for (option, value, most) in experts.into_iter().filter(|_| has_experts).chain(bounds) {
            if value == 0 || value > most {
                return wrong(option, value, format!("1 to {most}"));
            }
        }
        if !c.heads.is_multiple_of(c.kv_heads) {
            return wrong("kv", c.kv_heads, format!("a divisor of --heads {}", c.heads));
        }
        if !c.head_dim.is_multiple_of(2) {
            return wrong("hd", c.head_dim, "an even number".into());
        }
        if self.vocabulary == Vocabulary::Bytes && c.vocab < 257 {
            return wrong("vocab", c.vocab, "at least 257 for --byte-vocabulary".into());
        }
        Ok(())
    }

    /// Whether the architecture has experts.
    fn has_experts(&self) -> bool {
        self.config.graph().nodes().any(|n| n.operation == Operation::RouterExperts)
    }

    /// The type of a tensor. A matrix whose rows are not whole blocks of the mix's type becomes Q8_0 or, if that does
    /// not fit either, F16.
    pub fn tensor_type(&self, role: TensorRole, block: Option<usize>) -> TensorType {
        if role.is_f32() {
            return TensorType::F32;
        }
        let wanted = match self.mix {
            Mix::One(ty) => ty,
            Mix::Q4KM => match (role, block) {
                (TensorRole::Output, _) => TensorType::Q6_K,
                (TensorRole::AttnV | TensorRole::FfnDownExps | TensorRole::FfnDown, Some(b)) if self.more_bits(b) => {
                    TensorType::Q6_K
                }
                _ => TensorType::Q4_K,
            },
        };
        let row = role.dims(&self.config)[0];
        let fits = |t: &TensorType| row.is_multiple_of(t.block_len());
        let choice = [wanted, TensorType::Q8_0].into_iter().find(fits);
        choice.unwrap_or(TensorType::F16)
    }

    /// llama.cpp's `use_more_bits`.
    fn more_bits(&self, block: usize) -> bool {
        let n = self.config.blocks;
        block < n / 8 || block >= 7 * n / 8 || (block - n / 8) % 3 == 2
    }

    /// The file's metadata and tensor table.
    ///
    /// # Panics
    /// If [`check`](Self::check) fails.
    pub fn writer(&self) -> GgufWriter {
        let c = &self.config;
        let mut w = GgufWriter::new();
        let architecture = c.architecture.name;
        w.set("general.architecture", architecture);
        w.set("general.name", format!("synthetic-{}", c.architecture.title.to_lowercase()));
        let numbers = [
            ("context_length", c.context),
            ("embedding_length", c.hidden),
            ("block_count", c.blocks),
            ("feed_forward_length", c.inner_width() * c.inner_vectors()),
            ("attention.head_count", c.heads),
            ("attention.head_count_kv", c.kv_heads),
            ("attention.key_length", c.head_dim),
            ("attention.value_length", c.head_dim),
        ];
        let experts = [
            ("expert_count", c.experts),
            ("expert_used_count", c.experts_used),
            ("expert_feed_forward_length", c.expert_ff),
        ];
        let has_experts = self.has_experts();
        let experts = experts.into_iter().filter(|_| has_experts);
        for (key, value) in numbers.into_iter().chain(experts).chain([("vocab_size", c.vocab)]) {
            // `check` limits each to well below 2^32.
            w.set(&format!("{architecture}.{key}"), value as u32);
        }
        let eps = format!("{architecture}.attention.layer_norm_rms_epsilon");
        w.set(&eps, c.rms_eps);
        w.set(&format!("{architecture}.rope.freq_base"), c.rope_base);
        w.set("general.quantization_version", 2u32);
        if let Some(id) = self.file_type() {
            w.set("general.file_type", id);
        }
        self.set_vocabulary(&mut w);
        for (role, block) in c.tensors() {
            let ty = self.tensor_type(role, block);
            w.tensor(&role.name(block), &role.dims(c), ty);
        }
        w
    }

    /// llama.cpp's `LLAMA_FTYPE_*` of the mix.
    fn file_type(&self) -> Option<u32> {
        Some(match self.mix {
            Mix::Q4KM => 15,
            Mix::One(ty) => match ty {
                TensorType::F32 => 0,
                TensorType::F16 => 1,
                TensorType::Q4_0 => 2,
                TensorType::Q4_1 => 3,
                TensorType::Q8_0 => 7,
                TensorType::Q5_0 => 8,
                TensorType::Q5_1 => 9,
                TensorType::Q2_K => 10,
                TensorType::Q6_K => 18,
                TensorType::IQ2_XXS => 19,
                TensorType::IQ2_XS => 20,
                TensorType::IQ3_XXS => 23,
                TensorType::IQ1_S => 24,
                TensorType::IQ4_NL => 25,
                TensorType::IQ3_S => 26,
                TensorType::IQ2_S => 28,
                TensorType::IQ4_XS => 30,
                TensorType::IQ1_M => 31,
                TensorType::BF16 => 32,
                TensorType::TQ1_0 => 36,
                TensorType::TQ2_0 => 37,
                // llama.cpp has a number only for these mixes.
                _ => return None,
            },
        })
    }

    fn set_vocabulary(&self, w: &mut GgufWriter) {
        if self.vocabulary == Vocabulary::None {
            w.set("tokenizer.ggml.model", "no_vocab");
            return;
        }
        let n = self.config.vocab;
        let mut tokens: Strings = (0..=255u8).map(|b| byte_to_char(b).to_string()).collect();
        tokens.push("<|endoftext|>");
        (257..n).for_each(|i| tokens.push(&format!("[PAD{i}]")));
        // Token types of llama.cpp: 1 normal, 3 control, 5 unused.
        let types = (0..n).map(|i| match i {
            0..256 => 1,
            256 => 3,
            _ => 5,
        });
        w.set("tokenizer.ggml.model", "gpt2");
        w.set("tokenizer.ggml.pre", "qwen2");
        w.set("tokenizer.ggml.tokens", Array::Str(tokens));
        w.set("tokenizer.ggml.token_type", Array::I32(types.collect()));
        w.set("tokenizer.ggml.merges", Array::Str(Strings::default()));
        w.set("tokenizer.ggml.eos_token_id", 256u32);
        w.set("tokenizer.ggml.padding_token_id", 256u32);
        w.set("tokenizer.ggml.add_bos_token", false);
    }

    /// Writes the file, completely or not at all, in constant memory and on all threads of rayon's pool. `progress`
    /// receives the number of bytes of weights written so far.
    ///
    /// # Errors
    /// If the system cannot write the file.
    ///
    /// # Panics
    /// If [`check`](Self::check) fails.
    pub fn write(&self, path: impl AsRef<Path>, mut progress: impl FnMut(u64) + Send) -> Result<(), GgufError> {
        let mut file = self.writer().create(path)?;
        let mut written = 0;
        weights::generate(self, |bytes| {
            file.write(bytes)?;
            written += bytes.len() as u64;
            progress(written);
            Ok(())
        })?;
        file.finish()
    }

    /// The file's bytes, for small models.
    ///
    /// # Errors
    /// Only if writing to memory fails.
    ///
    /// # Panics
    /// If [`check`](Self::check) fails.
    pub fn to_bytes(&self) -> Result<Vec<u8>, GgufError> {
        let mut data = Vec::new();
        weights::generate(self, |bytes| {
            data.extend_from_slice(bytes);
            Ok(())
        })?;
        self.writer().to_bytes(&data)
    }
}
