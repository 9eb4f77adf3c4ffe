//! Traces as safetensors files, written while the forward runs.

use super::{Block, Fault, Selected, Slice, Stage, Tap, TraceError, TraceMeta, collect::padded};
use crate::{config::ModelConfig, graph::StageType};
use indexmap::IndexMap;
use safetensors::{Dtype, tensor::TensorInfo};
use serde_json::{Map, Value};
use std::io::{self, Seek, SeekFrom, Write};

/// Bytes reserved in the header for information that is known only after the run.
const RESERVED: usize = 8192;

/// Maximum number of faults that are written; the others are only counted.
const FAULTS: usize = 16;

/// Writes the selected values of a forward: each block to its offset when it arrives.
#[derive(Debug)]
pub struct TraceWriter<'a, W> {
    to: W,
    config: &'a ModelConfig,
    selected: &'a Selected,
    keys: usize,
    meta: TraceMeta,
    tensors: IndexMap<String, TensorInfo>,
    /// Bytes of the header, including the reserved space.
    header: usize,
    failure: Option<io::Error>,
}

impl<'a, W: Write + Seek> TraceWriter<'a, W> {
    /// Lays out the file. `meta.tokens` are the tokens of the forward.
    ///
    /// # Errors
    /// If the file would be larger than `limit` bytes, before anything is written.
    pub fn new(
        to: W,
        config: &'a ModelConfig,
        selected: &'a Selected,
        meta: TraceMeta,
        limit: u64,
    ) -> Result<Self, TraceError> {
        let keys = meta.tokens.as_ref().map_or(0, Vec::len);
        let mut tensors = IndexMap::new();
        let mut end = 0usize;
        let mut add = |name: String, dtype: Dtype, shape: Vec<usize>| {
            let bytes = shape.iter().fold(dtype.bitsize() / 8, |n, d| n.saturating_mul(*d));
            let data_offsets = (end, end.saturating_add(bytes));
            end = data_offsets.1;
            tensors.insert(name, TensorInfo { dtype, shape, data_offsets });
        };
        // Wide elements come first, so that all of them are aligned.
        let positions = selected.positions.len();
        let mut stages: Vec<_> = selected.stages.iter().collect();
        stages.sort_by_key(|(stage, _)| stage.ty() != StageType::F64);
        for &&(stage, layer) in &stages {
            let shape = std::iter::once(positions).chain(stage.shape(config, keys)).collect();
            add(stage.tensor_name(layer), dtype(stage), shape);
        }
        add("positions".into(), Dtype::I32, vec![positions]);
        add("tokens".into(), Dtype::I32, vec![keys]);
        let mut writer = Self { to, config, selected, keys, meta, tensors, header: 0, failure: None };
        writer.header = (writer.header_text().len() + RESERVED).next_multiple_of(8);
        let bytes = (writer.header + 8) as u64 + end as u64;
        if bytes > limit {
            return Err(TraceError::TooLarge { bytes, limit });
        }
        Ok(writer)
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        (8 + self.header + self.tensors.values().map(|t| t.data_offsets.1).max().unwrap_or(0)) as u64
    }

    /// Writes the header, with the results of the run.
    ///
    /// # Errors
    /// If this or an earlier write failed.
    pub fn finish(mut self, derived: Vec<Stage>, faults: Vec<Fault>) -> Result<W, TraceError> {
        (self.meta.derived, self.meta.faults) = (derived, faults);
        let words = |values: &mut dyn Iterator<Item = u32>| values.flat_map(u32::to_le_bytes).collect::<Vec<u8>>();
        let tokens = words(&mut self.meta.tokens.iter().flatten().copied());
        let positions = words(&mut self.selected.positions.iter().map(|&p| p as u32));
        self.put("tokens", 0, &tokens);
        self.put("positions", 0, &positions);
        let mut text = self.header_text();
        text.extend(std::iter::repeat_n(b' ', self.header.saturating_sub(text.len())));
        let whole = [&(text.len() as u64).to_le_bytes()[..], &text].concat();
        let written = match self.failure.take() {
            Some(e) => Err(e),
            None if text.len() != self.header => Err(io::Error::other("the trace's header outgrew its place")),
            None => self.to.seek(SeekFrom::Start(0)).and_then(|_| self.to.write_all(&whole)),
        };
        written.and_then(|()| self.to.flush()).map_err(TraceError::Write)?;
        Ok(self.to)
    }

    fn header_text(&self) -> Vec<u8> {
        let mut header = Map::new();
        header.insert("__metadata__".into(), Value::Object(metadata(&self.meta)));
        for (name, info) in &self.tensors {
            header.insert(name.clone(), serde_json::to_value(info).unwrap_or_default());
        }
        Value::Object(header).to_string().into_bytes()
    }

    /// Writes bytes of a tensor, from byte `at` on.
    fn put(&mut self, name: &str, at: usize, bytes: &[u8]) {
        let Some(info) = self.tensors.get(name).filter(|_| self.failure.is_none()) else { return };
        let at = (8 + self.header + info.data_offsets.0 + at) as u64;
        self.failure = self.to.seek(SeekFrom::Start(at)).and_then(|_| self.to.write_all(bytes)).err();
    }
}

impl<W: Write + Seek + Send> Tap for TraceWriter<'_, W> {
    fn take(&mut self, block: Block<'_>) {
        let name = block.stage.tensor_name(block.layer);
        let Some(info) = self.tensors.get(&name) else { return };
        let row = info.shape[1..].iter().product::<usize>() * (info.dtype.bitsize() / 8);
        let at = self.selected.rows(block.position, block.tokens).start * row;
        match block.values {
            Slice::F32(v) => {
                let v = padded(&block, v, self.config.heads, self.keys);
                self.put(&name, at, bytemuck::cast_slice(&v));
            }
            Slice::F64(v) => self.put(&name, at, bytemuck::cast_slice(v)),
            Slice::U32(v) => self.put(&name, at, bytemuck::cast_slice(v)),
            Slice::F16(v) => self.put(&name, at, bytemuck::cast_slice(v)),
        }
    }
}

fn dtype(stage: Stage) -> Dtype {
    match stage.ty() {
        StageType::F64 => Dtype::F64,
        StageType::Id => Dtype::U32,
        StageType::F32 => Dtype::F32,
    }
}

/// The metadata, which are strings in safetensors.
fn metadata(meta: &TraceMeta) -> Map<String, Value> {
    let faults = &meta.faults[..meta.faults.len().min(FAULTS)];
    let derived: Vec<_> = meta.derived.iter().map(|s| s.name()).collect();
    let known = [
        ("format", Some("ptxgen-trace-1".to_owned())),
        ("model", meta.model.clone()),
        ("model_sha256", meta.model_sha256.clone()),
        ("policy", meta.policy.map(|p| p.to_string())),
        ("kv", meta.kv.map(|kv| kv.to_string())),
        ("device", meta.device.clone()),
        ("version", meta.version.clone()),
        ("derived", Some(derived.join(","))),
        ("faults", Some(meta.faults.len().to_string())),
        ("fault_list", (!faults.is_empty()).then(|| serde_json::to_string(faults).unwrap_or_default())),
    ];
    known.into_iter().filter_map(|(name, text)| Some((name.to_owned(), Value::String(text?)))).collect()
}
