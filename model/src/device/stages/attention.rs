//! Attention of a layer: projections, heads, the cache, and back onto the stream.

use super::{super::LoadError, STATE, size};
use crate::device::{
    choice,
    plan::{Place, Plan},
    slot::Slot,
};
use crate::{config::TensorRole as T, kv::KvType};
use ptxgen_dsl::catalogue::Dims;

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
        let chunks = [("sums", Slot::ChunkSums.into()), ("outputs", Slot::ChunkOutputs.into())];
        self.attend(layer, &chunks)?;
        let [sums, outputs] = chunks;
        let dims = Dims { positions: Some(self.positions), ..self.heads() };
        let (ty, _) = self.tensor(T::AttnOutput);
        let mut places = vec![sums, outputs, STATE, ("y", Slot::Attended.into())];
        if self.any_rounded(&[ty]) {
            places.push(("y_q8k", Slot::AttendedQ8K.into()));
            self.push("attention-combine-q8k", dims, &places)?;
        } else {
            self.push("attention-combine", dims, &places)?;
        }
        let x = self.input(ty, Slot::Attended, Slot::AttendedQ8K);
        self.product(T::AttnOutput, (hidden, query), x, Slot::Stream.into(), true)
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
        let projected = [
            ("qkv", Slot::Projected.into()),
            ("q_norm", self.tensor(T::AttnQNorm).1.into()),
            ("k_norm", self.tensor(T::AttnKNorm).1.into()),
            ("rope", Slot::Rope.into()),
            STATE,
        ];
        let queries = ("q", Slot::Queries.into());
        let cache = [("keys", Slot::Keys(layer).into()), ("values", Slot::Values(layer).into())];
        let (one, append, attend) = match self.model.kv {
            KvType::F32 => ("decode-attention-kv-f32", "qk-norm-rope-kv-f32", "attention-kv-f32"),
            KvType::F16 => ("decode-attention-kv-f16", "qk-norm-rope-kv-f16", "attention-kv-f16"),
        };
        if self.tokens == 1 {
            return self.push(one, dims, &[&projected[..], &cache, chunks].concat());
        }
        self.push(append, dims, &[&projected[..], &[queries], &cache].concat())?;
        self.push(attend, dims, &[&[queries, STATE][..], &cache, chunks].concat())
    }
}
