//! `ptxgen synth`: a model with random weights.

use super::{Outcome, Status, Usage, interrupt, output, text};
use clap::{
    ValueEnum,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use indicatif::{ProgressBar, ProgressStyle};
use ptxgen_model::{
    gguf::TensorType,
    synth::{Mix, Preset, Synth, Vocabulary},
};
use std::{path::PathBuf, time::Instant};

/// Write a GGUF file with random weights in real shapes, for benchmarks and tests
///
/// The types are those of llama.cpp's Q4_K_M unless --types says otherwise. A matrix whose row length is not a multiple
/// of 256 becomes Q8_0 or F16. The same options and seed give the same bytes.
#[derive(clap::Args)]
pub struct Args {
    /// The file to write
    model: PathBuf,
    /// Shapes to start from; the other options change them
    #[arg(long, value_enum, default_value = "tiny")]
    preset: PresetArg,
    /// Number of layers
    #[arg(long, value_name = "N")]
    layers: Option<u32>,
    /// Width of the residual stream
    #[arg(long, value_name = "N")]
    hidden: Option<u32>,
    /// Query heads
    #[arg(long, value_name = "N")]
    heads: Option<u32>,
    /// Key and value heads
    #[arg(long, value_name = "N")]
    kv: Option<u32>,
    /// Width of a head
    #[arg(long, value_name = "N")]
    hd: Option<u32>,
    /// Experts in a layer
    #[arg(long, value_name = "N")]
    experts: Option<u32>,
    /// Experts that a token uses
    #[arg(long, value_name = "N")]
    topk: Option<u32>,
    /// Inner width of an expert, or of a dense feed-forward
    #[arg(long, value_name = "N")]
    ff: Option<u32>,
    /// Tokens in the vocabulary
    #[arg(long, value_name = "N")]
    vocab: Option<u32>,
    /// Maximum length of a sequence
    #[arg(long, value_name = "N")]
    context: Option<u32>,
    /// Use the embedding as the output projection
    #[arg(long)]
    tied: bool,
    /// Tensor types of the matrices
    #[arg(long, default_value = Q4_K_M, value_parser = mixes())]
    types: Mix,
    /// Include a tokenizer with one token per byte, so that the model accepts text
    #[arg(long)]
    byte_vocabulary: bool,
    /// Seed of the weights
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum PresetArg {
    /// The bundled model's shapes
    Tiny,
    /// Qwen3-30B-A3B: 18.6 GB
    #[value(name = "qwen3-30b-a3b")]
    Qwen3_30bA3b,
    /// A small dense Qwen3, without experts
    TinyDense,
    /// Qwen3-8B, dense: 5 GB
    #[value(name = "qwen3-8b")]
    Qwen3_8b,
}

/// Q4_K and Q6_K as llama.cpp mixes them.
const Q4_K_M: &str = "q4-k-m";

/// The option value of a type: `q4-k` for Q4_K.
fn option_name(ty: TensorType) -> String {
    ty.name().to_lowercase().replace('_', "-")
}

/// The mixes by their names.
fn mixes() -> impl TypedValueParser<Value = Mix> {
    let q4_k_m = PossibleValue::new(Q4_K_M).help("Q4_K and Q6_K as llama.cpp mixes them");
    let types = TensorType::ALL.into_iter().map(|ty| PossibleValue::new(option_name(ty)));
    PossibleValuesParser::new(std::iter::once(q4_k_m).chain(types))
        .map(|name| TensorType::ALL.into_iter().find(|ty| option_name(*ty) == name).map_or(Mix::Q4KM, Mix::One))
}

impl Args {
    fn synth(&self) -> Synth {
        let mut config = match self.preset {
            PresetArg::Tiny => Preset::Tiny,
            PresetArg::Qwen3_30bA3b => Preset::Qwen3_30bA3b,
            PresetArg::TinyDense => Preset::TinyDense,
            PresetArg::Qwen3_8b => Preset::Qwen3_8b,
        }
        .config();
        let ff = if config.ff > 0 { &mut config.ff } else { &mut config.expert_ff };
        *ff = self.ff.map_or(*ff, |v| v as usize);
        let given = [
            (&mut config.blocks, self.layers),
            (&mut config.hidden, self.hidden),
            (&mut config.heads, self.heads),
            (&mut config.kv_heads, self.kv),
            (&mut config.head_dim, self.hd),
            (&mut config.experts, self.experts),
            (&mut config.experts_used, self.topk),
            (&mut config.vocab, self.vocab),
            (&mut config.context, self.context),
        ];
        for (field, value) in given {
            if let Some(v) = value {
                *field = v as usize;
            }
        }
        config.tied = self.tied;
        Synth {
            config,
            mix: self.types,
            vocabulary: match self.byte_vocabulary {
                true => Vocabulary::Bytes,
                false => Vocabulary::None,
            },
            seed: self.seed,
        }
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let synth = args.synth();
    synth.check().map_err(|e| Usage(e.to_string()))?;
    let total = synth.writer().data_bytes();
    let style = ProgressStyle::with_template("{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left")?;
    let bar = ProgressBar::new(total).with_style(style);
    let start = Instant::now();
    interrupt::watch();
    let done = synth.write(&args.model, |written| bar.set_position(written));
    bar.finish_and_clear();
    done?;
    let seconds = start.elapsed().as_secs_f64();
    output::line(format_args!(
        "{}: {} of weights in {seconds:.1} s ({}/s), seed {}",
        args.model.display(),
        text::bytes(total),
        text::bytes((total as f64 / seconds) as u64),
        args.seed,
    ))?;
    Ok(Status::Well)
}
