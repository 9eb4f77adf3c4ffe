//! The stages of a forward.

use super::{
    LoadError,
    choice::{self, Kind},
    plan::{Place, Plan, place},
    slot::Slot,
};
use crate::{config::TensorRole as T, gguf::TensorType, kv::KvType};
use ptxgen_dsl::catalogue::Dims;

/// Bytes between the layers' words of [`Slot::RouterStatus`].
pub(super) const STATUS_STRIDE: u64 = 16;

/// What kernels read of the pass.
const STATE: (&str, Place) = ("state", place(Slot::State));

/// The router's logits.
const LOGITS: (&str, Place) = ("logits", place(Slot::RouterLogits));

/// The choice of experts.
const IDS: (&str, Place) = ("ids", place(Slot::Experts));
const WEIGHTS: (&str, Place) = ("weights", place(Slot::ExpertWeights));

/// Which tokens each expert has.
const LISTS: [(&str, Place); 2] = [("offsets", place(Slot::ListStarts)), ("pairs", place(Slot::ListPairs))];

/// How a token becomes the next pass.
const NEXT: [(&str, Place); 3] = [STATE, ("next", place(Slot::Tokens)), ("ring", place(Slot::Chosen))];

/// A size for a kernel; one that does not fit is refused as too large.
fn size(n: usize) -> Option<u32> {
    Some(u32::try_from(n).unwrap_or(u32::MAX))
}

impl Plan<'_> {
    fn tensor(&self, role: T) -> (TensorType, Slot) {
        let layer = if T::WHOLE.contains(&role) { None } else { self.layer() };
        (self.model.ty(role, layer), Slot::Weight(role, layer))
    }

    fn pass(&self) -> Dims {
        Dims { tokens: Some(self.tokens), ..Dims::NONE }
    }

    fn matrix(&self, rows: usize, cols: usize) -> Dims {
        Dims { rows: size(rows), cols: size(cols), ..self.pass() }
    }

    fn heads(&self) -> Dims {
        let c = &self.model.config;
        let (heads, kv_heads, head_dim) = (size(c.heads), size(c.kv_heads), size(c.head_dim));
        Dims { heads, kv_heads, head_dim, ..self.pass() }
    }

    /// The sizes of the experts' kernels; those for one token have no number of tokens.
    fn experts(&self, rows: usize, cols: usize) -> Dims {
        let c = &self.model.config;
        let tokens = if self.tokens == 1 { None } else { Some(self.tokens) };
        Dims { experts: size(c.experts), used: size(c.experts_used), tokens, ..self.matrix(rows, cols) }
    }

    /// The activations that a matrix of this type reads.
    fn input(&self, ty: TensorType, plain: Slot, rounded: Slot) -> Place {
        if self.rounds() && Kind::of(ty) == Kind::Quantized { rounded.into() } else { plain.into() }
    }

    /// Whether one of these matrices reads Q8_K.
    fn any_rounded(&self, types: &[TensorType]) -> bool {
        self.rounds() && types.iter().any(|&t| Kind::of(t) == Kind::Quantized)
    }

    /// The tokens' embeddings become the residual stream.
    pub(super) fn embed(&mut self) -> Result<(), LoadError> {
        let (ty, table) = self.tensor(T::TokenEmbd);
        let c = &self.model.config;
        let dims = self.matrix(c.vocab, c.hidden);
        let places = [("table", table.into()), ("tokens", Slot::Tokens.into()), ("x", Slot::Stream.into())];
        self.push(choice::embedding(ty), dims, &places)
    }

    /// The stream's norm, in the forms that matrices of these types read.
    fn norm(&mut self, weights: T, readers: &[TensorType]) -> Result<(), LoadError> {
        let dims = Dims { cols: size(self.model.config.hidden), ..self.pass() };
        let mut places =
            vec![("x", Slot::Stream.into()), ("w", self.tensor(weights).1.into()), ("y", Slot::Normed.into())];
        if !self.any_rounded(readers) {
            return self.push("rmsnorm", dims, &places);
        }
        places.push(("y_q8k", Slot::NormedQ8K.into()));
        self.push("rmsnorm-q8k", dims, &places)
    }

    /// A product with the vectors of the pass.
    fn product(
        &mut self,
        role: T,
        (rows, cols): (usize, usize),
        x: Place,
        to: Place,
        adds: bool,
    ) -> Result<(), LoadError> {
        let (ty, w) = self.tensor(role);
        let mut places = vec![("w", w.into()), ("x", x)];
        let plain = Kind::of(ty) == Kind::Plain;
        if plain || self.tokens > 1 {
            places.push(STATE);
        }
        places.push((if plain && adds { "stream" } else { "y" }, to));
        let name = if adds { choice::product_added(ty) } else { choice::product(ty) };
        let dims = self.matrix(rows, cols);
        self.push(name, dims, &places)
    }

    /// A layer, from stream to stream.
    pub(super) fn layer_of(&mut self, layer: usize) -> Result<(), LoadError> {
        self.in_layer(Some(layer));
        self.attention(layer)?;
        self.experts_of(layer)?;
        self.in_layer(None);
        Ok(())
    }

    fn attention(&mut self, layer: usize) -> Result<(), LoadError> {
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

    /// The stream and the weights of its norm.
    fn unnormed(&self, norm: T) -> [(&'static str, Place); 2] {
        [("x", Slot::Stream.into()), ("norm", self.tensor(norm).1.into())]
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

    /// The experts of a layer.
    fn experts_of(&mut self, layer: usize) -> Result<(), LoadError> {
        let [gate, up, down] = [T::FfnGateExps, T::FfnUpExps, T::FfnDownExps].map(|role| self.tensor(role).0);
        let kinds = [gate, down].map(Kind::of);
        let fused = match choice::gate_up(gate, up) {
            Some(names) if self.tokens == 1 => self.norm_experts(layer, names.normed)?,
            _ => false,
        };
        if !fused {
            self.norm(T::FfnNorm, &[gate])?;
            self.route(layer)?;
            if self.tokens > 1 && kinds.contains(&Kind::Quantized) {
                let group = Dims { cols: None, rows: None, tokens: Some(self.tokens), ..self.experts(0, 0) };
                self.push("moe-group", group, &[&[IDS, STATE][..], &LISTS].concat())?;
            }
            match kinds[0] {
                Kind::Quantized => self.gate_up(layer)?,
                Kind::Plain => self.plain_gate_up(layer)?,
            }
        }
        match kinds[1] {
            Kind::Quantized => self.down(layer, fused),
            Kind::Plain => {
                self.plain_experts(T::FfnDownExps, Slot::Inner, Slot::Products)?;
                self.sum_experts()
            }
        }
    }

    fn route(&mut self, layer: usize) -> Result<(), LoadError> {
        let dims = Dims { tokens: Some(self.tokens), rows: None, ..self.experts(0, self.model.config.hidden) };
        let w = self.tensor(T::FfnGateInp).1.into();
        let places = [("w", w), ("x", Slot::Normed.into()), STATE, LOGITS, ("counter", Slot::RouterCounter.into())];
        self.push("router", dims, &[&places[..], &self.chosen(layer)].concat())
    }

    /// Where the choice of experts goes.
    fn chosen(&self, layer: usize) -> [(&'static str, Place); 3] {
        [("status", Slot::RouterStatus.at(layer as u64 * STATUS_STRIDE)), IDS, WEIGHTS]
    }

    /// A token's norm, the logits of its experts, the choice among them, and their gate and up
    /// projections of the norm, in two launches, each of which norms for itself; `false`, and nothing,
    /// if that does not fit.
    fn norm_experts(&mut self, layer: usize, name: &'static str) -> Result<bool, LoadError> {
        let c = &self.model.config;
        let router = Dims { tokens: None, rows: None, used: None, ..self.experts(0, c.hidden) };
        let gate_up = self.experts(c.expert_ff, c.hidden);
        let unnormed = self.unnormed(T::FfnNorm);
        let weights = [("w", self.tensor(T::FfnGateInp).1.into()), LOGITS];
        if !self.push_if_it_fits("norm-router-logits", router, &[weights, unnormed].concat())? {
            return Ok(false);
        }
        let matrices = [
            ("gate", self.tensor(T::FfnGateExps).1.into()),
            ("up", self.tensor(T::FfnUpExps).1.into()),
            ("h", Slot::Inner.into()),
            LOGITS,
        ];
        let places = [&matrices[..], &self.chosen(layer), &unnormed].concat();
        let fits = self.push_if_it_fits(name, gate_up, &places)?;
        if !fits {
            self.stages.pop();
        }
        Ok(fits)
    }

    fn gate_up(&mut self, layer: usize) -> Result<(), LoadError> {
        let (gate, gates) = self.tensor(T::FfnGateExps);
        let (up, ups) = self.tensor(T::FfnUpExps);
        let dims = self.experts(self.model.config.expert_ff, self.model.config.hidden);
        let names = choice::gate_up(gate, up)
            .ok_or_else(|| choice::lacking(T::FfnUpExps.name(Some(layer)), up, "the gate projections' type"))?;
        let x = self.input(gate, Slot::Normed, Slot::NormedQ8K);
        let places = [("gate", gates.into()), ("up", ups.into()), ("x", x), ("h", Slot::Inner.into())];
        if self.tokens == 1 {
            return self.push(names.one, dims, &[&places[..], &[IDS]].concat());
        }
        self.push(names.pass, dims, &[&places[..], &LISTS].concat())
    }

    /// The experts' down projections, onto the stream. What is `routed` chooses the experts itself, by
    /// logits that are older than the launch before.
    fn down(&mut self, layer: usize, routed: bool) -> Result<(), LoadError> {
        let c = &self.model.config;
        let (width, dims, used) = (c.expert_ff, self.experts(c.hidden, c.expert_ff), size(c.experts_used));
        let (ty, downs) = self.tensor(T::FfnDownExps);
        let names = choice::down(ty).ok_or_else(|| {
            choice::lacking(T::FfnDownExps.name(Some(layer)), ty, "Q4_K, Q6_K, or a type without superblocks")
        })?;
        let mut x = Slot::Inner;
        if self.rounds() {
            let dims = Dims { cols: size(width), used, ..self.pass() };
            let places = [("x", Slot::Inner.into()), ("y", Slot::InnerQ8K.into()), STATE];
            self.push("quantize-q8k", dims, &places[..if self.tokens > 1 { 3 } else { 2 }])?;
            x = Slot::InnerQ8K;
        }
        let places = [("down", downs.into()), ("x", x.into())];
        if self.tokens > 1 {
            self.push(names.pass, dims, &[&places[..], &LISTS, &[("y", Slot::Products.into())]].concat())?;
            return self.sum_experts();
        }
        let y = ("y", Slot::Stream.into());
        match routed {
            true => self.push(names.routed, dims, &[&places[..], &[LOGITS, y]].concat()),
            false => self.push(names.one, dims, &[&places[..], &[IDS, WEIGHTS, y]].concat()),
        }
    }

    /// The products of the experts, weighted, onto the stream.
    fn sum_experts(&mut self) -> Result<(), LoadError> {
        let c = &self.model.config;
        let dims = Dims { cols: size(c.hidden), used: size(c.experts_used), ..self.pass() };
        self.push("experts-sum", dims, &[("y", Slot::Products.into()), WEIGHTS, STATE, ("x", Slot::Stream.into())])
    }

    /// Gate and up projections without superblocks: two products, and SwiGLU of all elements.
    fn plain_gate_up(&mut self, layer: usize) -> Result<(), LoadError> {
        let (up, _) = self.tensor(T::FfnUpExps);
        if Kind::of(up) == Kind::Quantized {
            return Err(choice::lacking(
                T::FfnUpExps.name(Some(layer)),
                up,
                "a type without superblocks, as the gate has",
            ));
        }
        self.plain_experts(T::FfnGateExps, Slot::Normed, Slot::Gates)?;
        self.plain_experts(T::FfnUpExps, Slot::Normed, Slot::Ups)?;
        let c = &self.model.config;
        let elements = c.expert_ff * c.experts_used * self.tokens as usize;
        let places = [("gate", Slot::Gates.into()), ("up", Slot::Ups.into()), ("h", Slot::Inner.into())];
        self.push("swiglu", Dims { rows: size(elements), ..Dims::NONE }, &places)
    }

    fn plain_experts(&mut self, role: T, x: Slot, to: Slot) -> Result<(), LoadError> {
        let c = &self.model.config;
        let down = role == T::FfnDownExps;
        let (rows, cols) = if down { (c.hidden, c.expert_ff) } else { (c.expert_ff, c.hidden) };
        let dims = Dims { tokens: Some(self.tokens), ..self.experts(rows, cols) };
        let (ty, w) = self.tensor(role);
        let name = choice::plain_experts(ty, down)
            .ok_or_else(|| choice::lacking(role.name(self.layer()), ty, "a type without superblocks"))?;
        self.push(name, dims, &[("w", w.into()), ("x", x.into()), IDS, STATE, ("y", to.into())])
    }

    /// From the stream to logits.
    pub(super) fn head(&mut self) -> Result<(), LoadError> {
        let c = &self.model.config;
        let (vocab, hidden, output) = (c.vocab, c.hidden, self.model.output());
        let (ty, _) = self.tensor(output);
        self.norm(T::OutputNorm, &[ty])?;
        let x = self.input(ty, Slot::Normed, Slot::NormedQ8K);
        self.product(output, (vocab, hidden), x, Slot::Logits.into(), false)
    }

    /// The most likely token becomes the next pass; `ring` of them are kept.
    pub(super) fn choose(&mut self, ring: u32) -> Result<(), LoadError> {
        let dims = Dims { rows: size(self.model.config.vocab), positions: Some(ring), ..self.pass() };
        let places = [("logits", Slot::Logits.into()), ("best", Slot::Best.into())];
        self.push("argmax", dims, &[&places[..], &NEXT].concat())
    }

    /// A token drawn becomes the next pass; `ring` of them are kept.
    pub(super) fn draw(&mut self, ring: u32) -> Result<(), LoadError> {
        let rows = size(self.model.config.vocab);
        let keys = ("keys", Slot::SampleKeys.into());
        let places = [("logits", Slot::Logits.into()), STATE, keys];
        self.push("sample-sort", Dims { rows, ..self.pass() }, &places)?;
        let places = [
            keys,
            ("from", Slot::Distribution.into()),
            ("random", Slot::Random.into()),
            ("sums", Slot::SampleSums.into()),
            ("counter", Slot::SampleCounter.into()),
        ];
        let dims = Dims { rows, positions: Some(ring), ..Dims::NONE };
        self.push("sample-draw", dims, &[&places[..], &NEXT].concat())
    }
}
