//! The experts of a layer: their choice, their products, and back onto the stream.

use super::{super::LoadError, STATE, size};
use crate::config::TensorRole as T;
use crate::device::{
    choice::{self, Kind},
    plan::{Place, Plan, place},
    slot::Slot,
};
use ptxgen_dsl::catalogue::Dims;

/// Bytes between the layers' words of [`Slot::RouterStatus`].
pub(in crate::device) const STATUS_STRIDE: u64 = 16;

/// The router's logits.
const LOGITS: (&str, Place) = ("logits", place(Slot::RouterLogits));

/// The choice of experts.
const IDS: (&str, Place) = ("ids", place(Slot::Experts));
const WEIGHTS: (&str, Place) = ("weights", place(Slot::ExpertWeights));

/// Which tokens each expert has.
const LISTS: [(&str, Place); 2] = [("offsets", place(Slot::ListStarts)), ("pairs", place(Slot::ListPairs))];

impl Plan<'_> {
    /// The experts of a layer.
    pub(super) fn experts_of(&mut self, layer: usize) -> Result<(), LoadError> {
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
}
