//! The stages of a forward.

use super::{
    LoadError,
    choice::{self, Kind},
    plan::{Place, Plan, place},
    slot::Slot,
};
use crate::{config::TensorRole as T, gguf::TensorType};
use ptxgen_dsl::catalogue::{Dims, Role};

mod attention;
mod experts;

pub(super) use experts::STATUS_STRIDE;

/// What kernels read of the pass.
const STATE: (&str, Place) = ("state", place(Slot::State));

/// How a token becomes the next pass.
const NEXT: [(&str, Place); 3] = [STATE, ("next", place(Slot::Tokens)), ("ring", place(Slot::Chosen))];

/// A size for a kernel; one that does not fit is refused as too large.
fn size(n: usize) -> Option<u32> {
    Some(u32::try_from(n).unwrap_or(u32::MAX))
}

impl Plan<'_> {
    fn tensor(&self, role: T) -> (TensorType, Slot) {
        let layer = if role.is_whole() { None } else { self.layer() };
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
        let name = choice::kernel(Role::Embedding, ty, || T::TokenEmbd.name(None))?;
        self.push(name, dims, &places)
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
        let does = if adds { Role::ProductAdded } else { Role::Product };
        let name = choice::kernel(does, ty, || role.name(self.layer()))?;
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

    /// The stream and the weights of its norm.
    fn unnormed(&self, norm: T) -> [(&'static str, Place); 2] {
        [("x", Slot::Stream.into()), ("norm", self.tensor(norm).1.into())]
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
