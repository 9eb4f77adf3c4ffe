//! The experts of a layer: their choice, their products, and back onto the stream.

use super::{super::LoadError, STATE, size};
use crate::config::TensorRole as T;
use crate::device::{
    choice::{self, Kind, Reader},
    plan::{Place, Plan, place},
    slot::Slot,
};
use ptxgen_dsl::catalogue::{Dims, Role};

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
        let together = choice::gate_up(gate, up);
        let fused = match &together {
            Some(names) if self.tokens == 1 => self.norm_experts(layer, names.normed)?,
            _ => false,
        };
        if !fused {
            self.norm(T::FfnNorm, &[gate, up])?;
            self.route(layer)?;
            // Whether kernels by expert follow.
            let apart = together.is_none() && [gate, up].map(Kind::of).contains(&Kind::Quantized);
            let several = self.tokens > 1 && [gate, down].map(Kind::of).contains(&Kind::Quantized);
            if apart || several {
                let group = Dims { cols: None, rows: None, ..self.pairs(0, 0) };
                self.push("moe-group", group, &[&[IDS, STATE][..], &LISTS].concat())?;
            }
            match &together {
                Some(names) => self.gate_up(names)?,
                None => self.gate_and_up(layer)?,
            }
        }
        match Kind::of(down) {
            Kind::Quantized => self.down(layer, fused),
            Kind::Plain => {
                self.plain_experts(T::FfnDownExps, Slot::Inner, Slot::Products)?;
                self.sum_experts()
            }
        }
    }

    /// The sizes of the experts' kernels of a pass, also where it is of one token.
    fn pairs(&self, rows: usize, cols: usize) -> Dims {
        Dims { tokens: Some(self.tokens), ..self.experts(rows, cols) }
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

    fn gate_up(&mut self, names: &Reader) -> Result<(), LoadError> {
        let (gate, gates) = self.tensor(T::FfnGateExps);
        let (_, ups) = self.tensor(T::FfnUpExps);
        let dims = self.experts(self.model.config.expert_ff, self.model.config.hidden);
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
        let kernel = |role| choice::kernel(role, ty, || T::FfnDownExps.name(Some(layer)));
        let mut x = Slot::Inner;
        if self.rounds() {
            let dims = Dims { cols: size(width), used, ..self.pass() };
            let places = [("x", Slot::Inner.into()), ("y", Slot::InnerQ8K.into()), STATE];
            self.push("quantize-q8k", dims, &places[..if self.tokens > 1 { 3 } else { 2 }])?;
            x = Slot::InnerQ8K;
        }
        let places = [("down", downs.into()), ("x", x.into())];
        if self.tokens > 1 {
            let y = ("y", Slot::Products.into());
            self.push(kernel(Role::GroupedDown)?, dims, &[&places[..], &LISTS, &[y]].concat())?;
            return self.sum_experts();
        }
        let y = ("y", Slot::Stream.into());
        match routed {
            true => self.push(kernel(Role::RoutedDownAdded)?, dims, &[&places[..], &[LOGITS, y]].concat()),
            false => self.push(kernel(Role::DownAdded)?, dims, &[&places[..], &[IDS, WEIGHTS, y]].concat()),
        }
    }

    /// The products of the experts, weighted, onto the stream.
    fn sum_experts(&mut self) -> Result<(), LoadError> {
        let c = &self.model.config;
        let dims = Dims { cols: size(c.hidden), used: size(c.experts_used), ..self.pass() };
        self.push("experts-sum", dims, &[("y", Slot::Products.into()), WEIGHTS, STATE, ("x", Slot::Stream.into())])
    }

    /// Gate and up projections that no kernel takes together: two products, and SwiGLU of all elements.
    fn gate_and_up(&mut self, layer: usize) -> Result<(), LoadError> {
        for (role, to) in [(T::FfnGateExps, Slot::Gates), (T::FfnUpExps, Slot::Ups)] {
            match Kind::of(self.tensor(role).0) {
                Kind::Plain => self.plain_experts(role, Slot::Normed, to)?,
                Kind::Quantized => self.grouped_experts(layer, role, to)?,
            }
        }
        let c = &self.model.config;
        let elements = c.expert_ff * c.experts_used * self.tokens as usize;
        let places = [("gate", Slot::Gates.into()), ("up", Slot::Ups.into()), ("h", Slot::Inner.into())];
        self.push("swiglu", Dims { rows: size(elements), ..Dims::NONE }, &places)
    }

    /// The products of the tokens' vectors with the matrices of their experts, by expert.
    fn grouped_experts(&mut self, layer: usize, role: T, to: Slot) -> Result<(), LoadError> {
        let (ty, w) = self.tensor(role);
        let name = choice::kernel(Role::GroupedExperts, ty, || role.name(Some(layer)))?;
        let dims = self.pairs(self.model.config.expert_ff, self.model.config.hidden);
        let x = self.input(ty, Slot::Normed, Slot::NormedQ8K);
        let places = [("w", w.into()), ("x", x), ("y", to.into())];
        self.push(name, dims, &[&places[..], &LISTS].concat())
    }

    fn plain_experts(&mut self, role: T, x: Slot, to: Slot) -> Result<(), LoadError> {
        let c = &self.model.config;
        let down = role == T::FfnDownExps;
        let (rows, cols) = if down { (c.hidden, c.expert_ff) } else { (c.expert_ff, c.hidden) };
        let dims = self.pairs(rows, cols);
        let (ty, w) = self.tensor(role);
        let does = if down { Role::ExpertsDown } else { Role::Experts };
        let name = choice::kernel(does, ty, || role.name(self.layer()))?;
        self.push(name, dims, &[("w", w.into()), ("x", x.into()), IDS, STATE, ("y", to.into())])
    }
}
