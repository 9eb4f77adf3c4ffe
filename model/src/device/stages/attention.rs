//! Attention of a layer: projections, heads, the cache, and back onto the stream.

use super::{super::LoadError, STATE, size};
use crate::device::{
    choice,
    plan::{Place, Plan, place},
    slot::Slot,
};
use crate::{config::TensorRole as T, gguf::TensorType, kv::KvType};
use ptxgen_dsl::catalogue::Dims;

/// Normed and turned queries.
const QUERIES: (&str, Place) = ("q", place(Slot::Queries));

/// A layer's keys and values.
fn cache(layer: usize) -> [(&'static str, Place); 2] {
    [("keys", Slot::Keys(layer).into()), ("values", Slot::Values(layer).into())]
}

impl Plan<'_> {
    pub(super) fn attention(&mut self, layer: usize) -> Result<(), LoadError> {
        let c = &self.model.config;
        let (hidden, query, kv) = (c.hidden, c.query_width(), c.kv_width());
        let projections = [T::AttnQ, T::AttnK, T::AttnV];
        let types = projections.map(|role| self.tensor(role).0);
        let merged = choice::merged_projections(types);
        let fused = match &merged {
            Some(names) if self.tokens == 1 => self.norm_qkv(names.normed)?,
            _ => false,
        };
        if !fused {
            self.norm(T::AttnNorm, &types)?;
        }
        match merged {
            _ if fused => (),
            Some(names) => {
                let x = self.input(types[0], Slot::Normed, Slot::NormedQ8K);
                let mut places = self.projections().to_vec();
                places.push(("x", x));
                if self.tokens > 1 {
                    places.push(STATE);
                }
                let dims = Dims { cols: size(hidden), ..self.heads() };
                self.push(if self.tokens > 1 { names.pass } else { names.one }, dims, &places)?;
            }
            None => {
                let parts = [(query, 0), (kv, query), (kv, query + kv)];
                for ((role, ty), (rows, first)) in projections.into_iter().zip(types).zip(parts) {
                    let x = self.input(ty, Slot::Normed, Slot::NormedQ8K);
                    let one = Slot::Projected.at(first as u64 * 4);
                    let to = if self.tokens == 1 { one } else { Slot::Apart(role).into() };
                    self.product(role, (rows, hidden), x, to, false)?;
                }
                if self.tokens > 1 {
                    let [q, k, v] = projections.map(|role| Slot::Apart(role).into());
                    let places = [("q", q), ("k", k), ("v", v), STATE, ("qkv", Slot::Projected.into())];
                    self.push("qkv-join", self.heads(), &places)?;
                }
            }
        }
        let (ty, _) = self.tensor(T::AttnOutput);
        if self.is_long() {
            self.attend_many(layer)?;
            if self.any_rounded(&[ty]) {
                let dims = Dims { cols: size(query), used: Some(1), ..self.pass() };
                let places = [("x", Slot::Attended.into()), ("y", Slot::AttendedQ8K.into()), STATE];
                self.push("quantize-q8k", dims, &places)?;
            }
        } else {
            self.attend_by_chunks(layer, ty)?;
        }
        let x = self.input(ty, Slot::Attended, Slot::AttendedQ8K);
        self.product(T::AttnOutput, (hidden, query), x, Slot::Stream.into(), true)
    }

    /// Attention whose chunks' results go through memory.
    fn attend_by_chunks(&mut self, layer: usize, output: TensorType) -> Result<(), LoadError> {
        let chunks = [("sums", Slot::ChunkSums.into()), ("outputs", Slot::ChunkOutputs.into())];
        self.attend(layer, &chunks)?;
        let [sums, outputs] = chunks;
        let dims = Dims { positions: Some(self.positions), ..self.heads() };
        let mut places = vec![sums, outputs, STATE, ("y", Slot::Attended.into())];
        if self.any_rounded(&[output]) {
            places.push(("y_q8k", Slot::AttendedQ8K.into()));
            self.push("attention-combine-q8k", dims, &places)
        } else {
            self.push("attention-combine", dims, &places)
        }
    }

    /// Attention's matrices, and where their products go.
    fn projections(&self) -> [(&'static str, Place); 4] {
        let [q, k, v] = [T::AttnQ, T::AttnK, T::AttnV].map(|role| self.tensor(role).1.into());
        [("q", q), ("k", k), ("v", v), ("y", Slot::Projected.into())]
    }

    /// A token's norm and projections in one launch, if they fit one.
    fn norm_qkv(&mut self, name: &'static str) -> Result<bool, LoadError> {
        let dims = Dims { tokens: None, cols: size(self.model.config.hidden), ..self.heads() };
        let places = [&self.projections()[..], &self.unnormed(T::AttnNorm)].concat();
        self.push_if_it_fits(name, dims, &places)
    }

    /// Heads normed, turned, appended to the cache, and attended chunk by chunk; for one token all
    /// of it is one launch.
    fn attend(&mut self, layer: usize, chunks: &[(&'static str, Place)]) -> Result<(), LoadError> {
        let dims = Dims { positions: Some(self.positions), ..self.heads() };
        let (one, attend) = match self.model.kv {
            KvType::F32 => ("decode-attention-kv-f32", "attention-kv-f32"),
            KvType::F16 => ("decode-attention-kv-f16", "attention-kv-f16"),
        };
        if self.tokens == 1 {
            return self.push(one, dims, &[&self.projected()[..], &cache(layer), chunks].concat());
        }
        self.append(layer)?;
        self.push(attend, dims, &[&[QUERIES, STATE][..], &cache(layer), chunks].concat())
    }

    /// The same for hundreds of tokens, without results of chunks in memory.
    fn attend_many(&mut self, layer: usize) -> Result<(), LoadError> {
        self.append(layer)?;
        let dims = Dims { positions: Some(self.positions), ..self.heads() };
        let name = match self.model.kv {
            KvType::F32 => "attention-prompt-kv-f32",
            KvType::F16 => "attention-prompt-kv-f16",
        };
        self.push(name, dims, &[&[QUERIES, STATE, ("y", Slot::Attended.into())][..], &cache(layer)].concat())
    }

    /// Heads normed, turned and appended to the cache.
    fn append(&mut self, layer: usize) -> Result<(), LoadError> {
        let dims = Dims { positions: Some(self.positions), ..self.heads() };
        let name = match self.model.kv {
            KvType::F32 => "qk-norm-rope-kv-f32",
            KvType::F16 => "qk-norm-rope-kv-f16",
        };
        self.push(name, dims, &[&self.projected()[..], &[QUERIES], &cache(layer)].concat())
    }

    /// What becomes queries, keys and values.
    fn projected(&self) -> [(&'static str, Place); 5] {
        [
            ("qkv", Slot::Projected.into()),
            ("q_norm", self.tensor(T::AttnQNorm).1.into()),
            ("k_norm", self.tensor(T::AttnKNorm).1.into()),
            ("rope", Slot::Rope.into()),
            STATE,
        ]
    }
}
