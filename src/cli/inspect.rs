//! `ptxgen inspect`: the contents of a model file.

use super::{Outcome, Status, shown::on_a_line, text};
use anstream::stdout;
use indicatif::{ProgressBar, ProgressStyle};
use ptxgen_dsl::precision::Policy;
use ptxgen_model::{
    KvType, LoadError, ModelConfig,
    device::{DeviceModel, DeviceOptions},
    gguf::{Array, Gguf, Value},
    scan::{Damage, scan},
};
use serde::Serialize;
use serde_json::{Map, Value as Json, json};
use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::PathBuf,
};

/// Show a GGUF file's metadata, its tensor types by layer, the memory it needs and what can run it
///
/// Exit code 1 if the file is readable but not a model that ptxgen runs.
#[derive(clap::Args)]
pub struct Args {
    /// The file; without it, the bundled model
    model: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Also read all weights and name the tensors with damaged blocks, which contain NaN or infinity
    #[arg(long)]
    scan: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let gguf = super::open_model(args.model.as_deref())?;
    let mut report = Report::new(&gguf);
    if args.scan {
        report.damage = Some(damage(&gguf)?);
    }
    let mut out = stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
    } else {
        report.print(&gguf, &mut out)?;
    }
    let damaged = report.damage.is_some_and(|found| !found.is_empty());
    Ok(if report.fault.is_some() || damaged { Status::Fault } else { Status::Well })
}

/// The damaged tensors; shows the progress.
fn damage(gguf: &Gguf) -> anyhow::Result<Vec<Damage>> {
    let style = "scanning {wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}";
    let bar = ProgressBar::new(gguf.tensors().map(|t| t.data.len() as u64).sum());
    let bar = bar.with_style(ProgressStyle::with_template(style)?);
    let found = scan(gguf, &|bytes| bar.inc(bytes));
    bar.finish_and_clear();
    Ok(found)
}

#[derive(Serialize)]
struct Report {
    file: String,
    version: u32,
    alignment: usize,
    metadata: Map<String, Json>,
    tensors: Vec<Tensor>,
    /// Bytes of weights by tensor type.
    types: BTreeMap<&'static str, u64>,
    memory: Memory,
    /// What each device can compute; empty for a file that cannot be run.
    runs_on: BTreeMap<&'static str, String>,
    /// Why the file cannot be run.
    fault: Option<String>,
    /// Tensors with damaged blocks; with `--scan` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    damage: Option<Vec<Damage>>,
}

#[derive(Serialize)]
struct Tensor {
    name: String,
    dims: Vec<usize>,
    #[serde(rename = "type")]
    ty: &'static str,
    bytes: usize,
}

#[derive(Serialize)]
struct Memory {
    /// Used in place in the mapped file, for every policy.
    weight_bytes: u64,
    kv_cache: Option<KvBytes>,
    device: Option<DeviceBytes>,
}

/// Bytes that a GPU needs: weights, f32 cache and buffers between the kernels.
#[derive(Serialize)]
struct DeviceBytes {
    /// Length of the sequence.
    tokens: usize,
    by_policy: BTreeMap<String, u64>,
}

impl DeviceBytes {
    fn new(gguf: &Gguf, config: &ModelConfig) -> Result<Self, LoadError> {
        let (tokens, target) = (config.context.min(1000), ptxgen_runtime::Device::interp().target());
        let bytes = |policy| {
            let options = DeviceOptions { policy, ..DeviceOptions::default() };
            Ok((policy.to_string(), DeviceModel::bytes_needed(gguf, options, target, tokens)?))
        };
        Ok(Self { tokens, by_policy: Policy::EXACT.into_iter().map(bytes).collect::<Result<_, LoadError>>()? })
    }
}

/// Bytes of the KV cache, which depend on `--kv` but not on activation format and accumulator.
#[derive(Serialize)]
struct KvBytes {
    f32_per_1000_tokens: u64,
    f16_per_1000_tokens: u64,
    /// The longest sequence, in tokens.
    context: u64,
    f32_of_context: u64,
    f16_of_context: u64,
}

impl KvBytes {
    fn new(config: &ModelConfig) -> Self {
        let bytes = |kv: KvType, tokens| (config.kv_bytes_per_token(kv.bytes()) as u64).saturating_mul(tokens);
        let context = config.context as u64;
        Self {
            f32_per_1000_tokens: bytes(KvType::F32, 1000),
            f16_per_1000_tokens: bytes(KvType::F16, 1000),
            context,
            f32_of_context: bytes(KvType::F32, context),
            f16_of_context: bytes(KvType::F16, context),
        }
    }
}

impl Report {
    fn new(gguf: &Gguf) -> Self {
        let config = ModelConfig::from_gguf(gguf);
        let mut types = BTreeMap::new();
        for t in gguf.tensors() {
            *types.entry(t.ty.name()).or_default() += t.data.len() as u64;
        }
        let device = config.as_ref().ok().map(|config| DeviceBytes::new(gguf, config));
        let runs_on = device.as_ref().map(runs_on).unwrap_or_default();
        let metadata = gguf.metadata().iter();
        Self {
            file: gguf.file().into(),
            version: gguf.version(),
            alignment: gguf.alignment(),
            metadata: metadata.map(|(k, v)| (k.into(), to_json(v))).collect(),
            tensors: gguf
                .tensors()
                .map(|t| Tensor { name: t.name.into(), dims: t.dims.to_vec(), ty: t.ty.name(), bytes: t.data.len() })
                .collect(),
            memory: Memory {
                weight_bytes: types.values().sum(),
                kv_cache: config.as_ref().ok().map(KvBytes::new),
                device: device.and_then(Result::ok),
            },
            runs_on,
            types,
            fault: config.err().map(|e| e.to_string()),
            damage: None,
        }
    }

    fn print(&self, gguf: &Gguf, out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            "{}: GGUF version {}, {}, {} tensors, aligned to {}",
            on_a_line(&self.file),
            self.version,
            text::bytes(gguf.file_bytes() as u64),
            self.tensors.len(),
            self.alignment
        )?;
        writeln!(out, "\nMetadata")?;
        for (key, value) in gguf.metadata().iter() {
            writeln!(out, "  {} = {}", on_a_line(key), on_a_line(&brief(value)))?;
        }
        writeln!(out, "\nTypes")?;
        for (layers, types) in by_layer(gguf) {
            writeln!(out, "  {layers}")?;
            for (ty, names) in types {
                writeln!(out, "    {ty:<5} {}", on_a_line(&names.join(" ")))?;
            }
        }
        writeln!(out, "\nMemory")?;
        let weights = text::bytes(self.memory.weight_bytes);
        let types = self.types.iter();
        let types: Vec<_> = types.map(|(ty, n)| format!("{ty} {}", text::bytes(*n))).collect();
        writeln!(out, "  weights  {weights} ({})", types.join(", "))?;
        if let Some(kv) = &self.memory.kv_cache {
            let line = |tokens: &str, wide, narrow| {
                format!("{} in f32, {} in f16, for {tokens}", text::bytes(wide), text::bytes(narrow))
            };
            let context = format!("the whole context of {}", kv.context);
            writeln!(out, "  KV cache {}", line("1000 tokens", kv.f32_per_1000_tokens, kv.f16_per_1000_tokens))?;
            writeln!(out, "           {}", line(&context, kv.f32_of_context, kv.f16_of_context))?;
        }
        if let Some(device) = &self.memory.device {
            writeln!(out, "  on a GPU, for {} tokens:", device.tokens)?;
            for (policy, bytes) in &device.by_policy {
                writeln!(out, "           {} with {policy}", text::bytes(*bytes))?;
            }
        }
        writeln!(out, "\nRuns on")?;
        for (device, what) in &self.runs_on {
            writeln!(out, "  {device:<7} {}", on_a_line(what))?;
        }
        if let Some(fault) = &self.fault {
            writeln!(out, "  nothing here: {}", on_a_line(fault))?;
        }
        let Some(damage) = &self.damage else { return Ok(()) };
        writeln!(out, "\nDamage")?;
        if damage.is_empty() {
            writeln!(out, "  none: every weight is a number")?;
        }
        for Damage { tensor, damaged, blocks, row, block } in damage {
            let tensor = on_a_line(tensor);
            writeln!(
                out,
                "  {tensor}: {damaged} of {blocks} blocks hold NaN or infinity, first block {block} of row {row}; \
                 fetch the file again"
            )?;
        }
        Ok(())
    }
}

/// What each device can compute of a model.
fn runs_on(device: &Result<DeviceBytes, LoadError>) -> BTreeMap<&'static str, String> {
    let kernels = |place: &str| match device {
        Ok(_) => format!("everything, by generated kernels {place}"),
        Err(e) => format!("nothing: {e}"),
    };
    BTreeMap::from([
        ("cpu", "everything".into()),
        ("cuda", kernels("on an NVIDIA GPU")),
        ("interp", kernels("in the interpreter")),
    ])
}

/// Layers that have the same types, in order: `layers 0 to 5`, and for each type its tensors.
fn by_layer(gguf: &Gguf) -> Vec<(String, BTreeMap<&'static str, Vec<String>>)> {
    let mut layers: BTreeMap<Option<usize>, BTreeMap<&'static str, Vec<String>>> = BTreeMap::new();
    for t in gguf.tensors() {
        let (layer, rest) = match t.name.strip_prefix("blk.").and_then(|s| s.split_once('.')) {
            Some((n, rest)) if n.parse::<usize>().is_ok() => (n.parse().ok(), rest),
            _ => (None, t.name),
        };
        let stem = rest.strip_suffix(".weight").unwrap_or(rest).to_owned();
        let types = layers.entry(layer).or_default();
        types.entry(t.ty.name()).or_default().push(stem);
    }
    for types in layers.values_mut() {
        types.values_mut().for_each(|names| names.sort());
    }
    let mut groups: Vec<(Vec<usize>, BTreeMap<_, _>)> = Vec::new();
    let mut out = Vec::new();
    for (layer, types) in layers {
        match layer {
            None => out.push(("whole model".into(), types)),
            Some(n) => match groups.iter_mut().find(|(_, t)| *t == types) {
                Some((numbers, _)) => numbers.push(n),
                None => groups.push((vec![n], types)),
            },
        }
    }
    let named = groups.into_iter().map(|(n, types)| (ranges(&n), types));
    out.extend(named);
    out
}

/// `layers 0-2, 5`.
fn ranges(numbers: &[usize]) -> String {
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for &n in numbers {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == n => *last = n,
            _ => parts.push((n, n)),
        }
    }
    let parts: Vec<_> = parts
        .iter()
        .map(|(a, b)| match a == b {
            true => a.to_string(),
            false => format!("{a}-{b}"),
        })
        .collect();
    let word = if numbers.len() == 1 { "layer" } else { "layers" };
    format!("{word} {}", parts.join(", "))
}

/// A value on one line, truncated if it is long.
fn brief(value: &Value) -> String {
    match value {
        Value::Str(s) => {
            let cut: String = s.chars().take(60).collect();
            let more = if cut.len() < s.len() { ".." } else { "" };
            format!("{cut:?}{more}")
        }
        Value::Array(Array::Str(a)) => {
            let first: Vec<_> = a.iter().take(4).collect();
            let more = if a.len() > 4 { ", .." } else { "" };
            format!("{} strings: {}{more}", a.len(), first.join(", "))
        }
        Value::Array(a) => format!("{} {}", a.len(), a.element()),
        other => to_json(other).to_string(),
    }
}

/// A value as JSON; an array as its type and length only, because vocabularies are long.
fn to_json(value: &Value) -> Json {
    match value {
        Value::U8(v) => json!(v),
        Value::I8(v) => json!(v),
        Value::U16(v) => json!(v),
        Value::I16(v) => json!(v),
        Value::U32(v) => json!(v),
        Value::I32(v) => json!(v),
        Value::F32(v) => json!(v),
        Value::Bool(v) => json!(v),
        Value::Str(v) => json!(v),
        Value::Array(v) => json!({ "type": v.element().name(), "len": v.len() }),
        Value::U64(v) => json!(v),
        Value::I64(v) => json!(v),
        Value::F64(v) => json!(v),
    }
}
