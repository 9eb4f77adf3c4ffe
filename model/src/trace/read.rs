//! Reads traces from files: those of this program, and others with known names of stages.

use super::{Fault, Positions, Stage, Tensor, TraceData, TraceError, TraceMeta, Values, names::stage_of};
use crate::mapped::{MapError, map};
use half::{bf16, f16};
use indexmap::IndexMap;
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors, tensor::TensorInfo};
use serde_json::Value;
use std::{
    collections::HashMap,
    ops::Range,
    path::{Path, PathBuf},
};

/// Maximum size of a header: ten times those of a trace of 65,536 layers.
const LONGEST_HEADER: u64 = 64 << 20;

/// An open trace. Its values are read on request.
pub struct TraceFile {
    path: PathBuf,
    map: Mmap,
    /// Where the tensors' bytes begin.
    start: usize,
    meta: TraceMeta,
    positions: Vec<usize>,
    stages: IndexMap<(Stage, Option<usize>), TensorInfo>,
    unknown: Vec<String>,
}

impl std::fmt::Debug for TraceFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TraceFile")
            .field("path", &self.path)
            .field("meta", &self.meta)
            .field("positions", &self.positions)
            .field("tensors", &self.stages.len())
            .finish_non_exhaustive()
    }
}

impl TraceFile {
    /// Maps a safetensors file and finds the stages in it. The file must not be changed in the meantime.
    ///
    /// # Errors
    /// If it is not a safetensors file, no tensor has a stage's name, or the tensors do not have the same positions.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, TraceError> {
        let path = path.as_ref().to_owned();
        let wrong = |reason: String| TraceError::Format { path: path.clone(), reason };
        let map = map(&path).map_err(|e| match e {
            MapError::NotAFile => wrong("is not a regular file; expected a trace, as `ptxgen trace` writes it".into()),
            MapError::Io(action, source) => TraceError::Open { path: path.clone(), action, source },
        })?;
        let length = map.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        // In another kind of file, the first bytes give a header length that exceeds the file.
        if length > LONGEST_HEADER && length <= map.len() as u64 {
            return Err(wrong(format!("has a header of {length} bytes, at most {LONGEST_HEADER} are read")));
        }
        let (header, metadata) = SafeTensors::read_metadata(&map).map_err(|e| {
            wrong(format!("is no safetensors file ({e}); expected a trace, as `ptxgen trace` writes it"))
        })?;
        let start = 8 + header;

        let (mut stages, mut unknown) = (IndexMap::new(), Vec::new());
        let mut others: HashMap<&'static str, TensorInfo> = HashMap::new();
        for (name, info) in sorted(metadata.tensors()) {
            match (stage_of(&name), name.as_str()) {
                (Some(at), _) => {
                    if stages.insert(at, info).is_some() {
                        return Err(wrong(format!("has two tensors for {}", at.0.tensor_name(at.1))));
                    }
                }
                (None, "tokens") => drop(others.insert("tokens", info)),
                (None, "positions") => drop(others.insert("positions", info)),
                (None, _) => unknown.push(name),
            }
        }
        stages.sort_unstable_by_key(|&(stage, layer), _| (stage.scope() as u8, layer, stage));
        if stages.is_empty() {
            let some: Vec<_> = unknown.iter().take(3).map(|n| format!("`{n}`")).collect();
            let has = if some.is_empty() { "no tensors".into() } else { format!("tensors like {}", some.join(", ")) };
            return Err(wrong(format!(
                "has no tensor with a stage's name (`layers.00.attn_norm`, `logits`), but {has}"
            )));
        }
        let mut file = Self { meta: meta(metadata.metadata()), positions: vec![], path, map, start, stages, unknown };
        let ids = |name| others.get(name).map(|info| file.ids(name, info)).transpose();
        let (tokens, positions) = (ids("tokens")?, ids("positions")?);
        file.check_shapes(tokens.as_deref(), positions)?;
        file.meta.tokens = tokens;
        Ok(file)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Information about the run.
    pub fn meta(&self) -> &TraceMeta {
        &self.meta
    }

    /// The positions of every tensor's rows, ascending.
    pub fn positions(&self) -> &[usize] {
        &self.positions
    }

    /// The stages that it has, in the forward's order.
    pub fn stages(&self) -> impl Iterator<Item = (Stage, Option<usize>)> {
        self.stages.keys().copied()
    }

    /// The dimensions of a position in a stage.
    pub fn dims(&self, stage: Stage, layer: Option<usize>) -> Option<&[usize]> {
        Some(&self.stages.get(&(stage, layer))?.shape[1..])
    }

    /// Tensors whose names are not stages.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// The values of every stage at some of its positions, which must be ascending.
    ///
    /// # Errors
    /// If a tensor's type is not supported, or ids are invalid.
    pub fn at(&self, positions: &[usize]) -> Result<TraceData, TraceError> {
        let rows: Vec<usize> = positions.iter().filter_map(|p| self.positions.binary_search(p).ok()).collect();
        let tensor = |(&(stage, layer), info): (&(Stage, Option<usize>), &TensorInfo)| {
            let mut shape = info.shape.clone();
            shape[0] = rows.len();
            let width: usize = shape[1..].iter().product();
            let mut values: Option<Values> = None;
            for run in rows.chunk_by(|a, b| a + 1 == *b) {
                let part = self.values(stage, layer, info, run[0] * width..(run[0] + run.len()) * width)?;
                match &mut values {
                    Some(values) => values.append(part),
                    None => values = Some(part),
                }
            }
            Ok(((stage, layer), Tensor { shape, values: values.unwrap_or(Values::F32(Vec::new())) }))
        };
        let tensors = self.stages.iter().map(tensor).collect::<Result<_, TraceError>>()?;
        let positions = rows.iter().map(|&row| self.positions[row]).collect();
        Ok(TraceData { meta: self.meta.clone(), positions, tensors })
    }

    /// All values.
    ///
    /// # Errors
    /// As [`at`](Self::at).
    pub fn data(&self) -> Result<TraceData, TraceError> {
        self.at(&self.positions)
    }

    fn wrong(&self, reason: String) -> TraceError {
        TraceError::Format { path: self.path.clone(), reason }
    }

    /// Makes every shape [positions, ..], and finds the positions.
    fn check_shapes(&mut self, tokens: Option<&[u32]>, positions: Option<Vec<u32>>) -> Result<(), TraceError> {
        let known = positions.as_ref().map(Vec::len).or(tokens.map(<[u32]>::len));
        let mut count = known;
        for ((stage, layer), info) in &mut self.stages {
            // A leading batch dimension of 1.
            if info.shape.len() > 2 && info.shape[0] == 1 && count != Some(1) {
                info.shape.remove(0);
            }
            let found = info.shape.first().copied().unwrap_or(0);
            let expected = *count.get_or_insert(found);
            if found != expected || found == 0 {
                let (name, shape) = (stage.tensor_name(*layer), info.shape.clone());
                let path = self.path.clone();
                let reason = format!("{name} is {shape:?}, but {expected} positions are expected first");
                return Err(TraceError::Format { path, reason });
            }
        }
        let count = count.unwrap_or(0);
        self.positions = match positions {
            Some(list) => list.into_iter().map(|p| p as usize).collect(),
            None => (0..count).collect(),
        };
        let ascending = self.positions.windows(2).all(|w| w[0] < w[1]);
        let last = self.positions.last().copied().unwrap_or(0);
        if last >= Positions::MOST {
            return Err(self.wrong(format!("has position {last}; positions are below {}", Positions::MOST)));
        }
        if !ascending {
            return Err(self.wrong("has positions that do not ascend".into()));
        }
        if let Some(tokens) = tokens.filter(|t| last >= t.len()) {
            return Err(self.wrong(format!("has position {last}, but {} tokens, counted from 0", tokens.len())));
        }
        Ok(())
    }

    fn bytes(&self, info: &TensorInfo) -> &[u8] {
        &self.map[self.start + info.data_offsets.0..self.start + info.data_offsets.1]
    }

    fn ids(&self, name: &str, info: &TensorInfo) -> Result<Vec<u32>, TraceError> {
        let bytes = self.bytes(info);
        let id = |id: i64| {
            u32::try_from(id).map_err(|_| self.wrong(format!("{name} has {id}; ids are from 0 to {}", u32::MAX)))
        };
        match info.dtype {
            Dtype::I32 => bytes.as_chunks().0.iter().map(|b| id(i64::from(i32::from_le_bytes(*b)))).collect(),
            Dtype::U32 => Ok(bytes.as_chunks().0.iter().map(|b| u32::from_le_bytes(*b)).collect()),
            Dtype::I64 => bytes.as_chunks().0.iter().map(|b| id(i64::from_le_bytes(*b))).collect(),
            other => Err(self.wrong(format!("{name} is {other:?}; expected I32, U32 or I64"))),
        }
    }

    /// Elements of a stage's tensor.
    fn values(
        &self,
        stage: Stage,
        layer: Option<usize>,
        info: &TensorInfo,
        elements: Range<usize>,
    ) -> Result<Values, TraceError> {
        let name = || stage.tensor_name(layer);
        let size = info.dtype.bitsize() / 8;
        let offsets = info.data_offsets.0 + elements.start * size..info.data_offsets.0 + elements.end * size;
        let part = TensorInfo { data_offsets: (offsets.start, offsets.end), ..info.clone() };
        if !stage.is_number() {
            return self.ids(&name(), &part).map(Values::U32);
        }
        let bytes = self.bytes(&part);
        Ok(match info.dtype {
            Dtype::F32 => Values::F32(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
            Dtype::F64 => Values::F64(bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect()),
            Dtype::F16 => Values::F32(bytes.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect()),
            Dtype::BF16 => Values::F32(bytes.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32()).collect()),
            other => return Err(self.wrong(format!("{} is {other:?}; expected F32, F64, F16 or BF16", name()))),
        })
    }
}

/// Tensors by name; a header has them in any order.
fn sorted(tensors: HashMap<String, &TensorInfo>) -> Vec<(String, TensorInfo)> {
    let mut all: Vec<_> = tensors.into_iter().map(|(name, info)| (name, info.clone())).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// The metadata of a header; unreadable parts are treated as unknown.
fn meta(metadata: &Option<HashMap<String, String>>) -> TraceMeta {
    let text = |name: &str| metadata.as_ref()?.get(name).cloned();
    let derived = text("derived").unwrap_or_default();
    TraceMeta {
        model: text("model"),
        model_sha256: text("model_sha256"),
        policy: text("policy").and_then(|p| p.parse().ok()),
        kv: text("kv").and_then(|kv| kv.parse().ok()),
        device: text("device"),
        version: text("version"),
        tokens: None,
        derived: derived.split(',').filter_map(|s| s.parse().ok()).collect(),
        faults: text("fault_list").map_or(Vec::new(), |list| faults(&list)),
    }
}

fn faults(list: &str) -> Vec<Fault> {
    let fault = |v: &Value| {
        let number = |name: &str| v[name].as_u64().and_then(|n| usize::try_from(n).ok());
        // NaN is null in JSON.
        let value = |name: &str| v[name].as_f64().unwrap_or(f64::NAN);
        Some(Fault {
            stage: v["stage"].as_str()?.parse().ok()?,
            layer: number("layer"),
            position: number("position")?,
            index: number("index")?,
            recorded: value("recorded"),
            expected: value("expected"),
            differing: number("differing")?,
        })
    };
    let list: Value = serde_json::from_str(list).unwrap_or_default();
    list.as_array().map_or(Vec::new(), |list| list.iter().filter_map(fault).collect())
}
