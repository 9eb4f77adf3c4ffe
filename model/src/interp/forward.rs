//! The forward of one token: kernels where the catalogue has them, the
//! contract's scalar reference elsewhere.

use super::kernels::{Input, Kernels};
use crate::{
    config::{Qwen3MoeConfig, TensorRole},
    cpu::KvType,
    engine::EngineError,
    gguf::{Gguf, TensorView},
    trace::{LayerTrace, Trace},
};
use half::f16;
use ptxgen_dsl::{
    catalogue::Dims,
    format::TensorType,
    precision::Act,
    reference::{self, Accumulator, NanInRouter, RopeTable},
};

pub(super) struct Forward<'f> {
    pub(super) gguf: &'f Gguf,
    pub(super) config: &'f Qwen3MoeConfig,
    pub(super) kv: KvType,
    pub(super) kernels: &'f mut Kernels,
    pub(super) rope: &'f RopeTable,
    pub(super) cache: &'f mut [(Vec<f32>, Vec<f32>)],
    pub(super) position: usize,
}

/// The configuration has checked every tensor, so a fault here is the file
/// changing under us.
fn broken(e: impl ToString) -> EngineError {
    EngineError::Kernel { kernel: "reading the model".into(), message: e.to_string() }
}

fn bytes(v: &[f32]) -> Vec<u8> {
    v.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

impl Forward<'_> {
    /// Takes a token at the position; its logits if they are wanted.
    pub(super) fn token<A: Accumulator>(
        &mut self,
        token: u32,
        wanted: bool,
        mut trace: Option<&mut Trace<'_>>,
    ) -> Result<Vec<f32>, EngineError> {
        let gguf = self.gguf;
        let tensor = |role: TensorRole, block| gguf.tensor(&role.name(block)).map_err(broken);
        let embedding = tensor(TensorRole::TokenEmbd, None)?;
        let mut x = vec![0.0; self.config.hidden];
        embedding.ty.dequantize(embedding.outer(token as usize).data, &mut x).map_err(broken)?;
        for layer in 0..self.config.blocks {
            let get = |role| tensor(role, Some(layer));
            let input = self.norm::<A>(&x, &get(TensorRole::AttnNorm)?)?;
            let heads = self.attention::<A>(layer, &input)?;
            let y = self.multiply::<A>(&get(TensorRole::AttnOutput)?, &heads)?;
            add(&mut x, &y);
            let input = self.norm::<A>(&x, &get(TensorRole::FfnNorm)?)?;
            let router = get(TensorRole::FfnGateInp)?;
            let logits = reference::router_logits(router.ty, router.data, &input).map_err(broken)?;
            let routed = reference::route(&logits, self.config.experts_used).map_err(|NanInRouter { expert }| {
                EngineError::NanInRouter { layer, expert, position: self.position }
            })?;
            let inner = self.gate_up::<A>(layer, &input, &routed.experts)?;
            let y = self.down::<A>(layer, &inner, &routed)?;
            add(&mut x, &y);
            if let Some(trace) = trace.as_deref_mut() {
                trace(LayerTrace {
                    layer,
                    position: self.position,
                    tokens: 1,
                    experts: &routed.experts,
                    weights: &routed.weights,
                    moe_ffn_out: &y,
                    out: &x,
                });
            }
        }
        if !wanted {
            return Ok(Vec::new());
        }
        let input = self.norm::<A>(&x, &tensor(TensorRole::OutputNorm, None)?)?;
        let output = if self.config.tied { TensorRole::TokenEmbd } else { TensorRole::Output };
        self.multiply::<A>(&tensor(output, None)?, &input)
    }

    fn norm<A: Accumulator>(&self, x: &[f32], w: &TensorView<'_>) -> Result<Vec<f32>, EngineError> {
        let y = reference::rms_norm::<A>(x, &w.f32s().map_err(broken)?, self.config.rms_eps);
        Ok(y.into_iter().map(A::to_f32).collect())
    }

    /// An activation vector as the kernels of the policy read it.
    fn vector(&mut self, x: &[f32]) -> Result<Vec<u8>, EngineError> {
        match self.kernels.act() {
            Act::F32 => Ok(bytes(x)),
            Act::Q8K => self
                .kernels
                .run(("quantize-q8k", Dims { cols: size(x.len()), ..Dims::NONE }), vec![Input::Bytes(bytes(x))]),
        }
    }

    fn multiply<A: Accumulator>(&mut self, w: &TensorView<'_>, x: &[f32]) -> Result<Vec<f32>, EngineError> {
        let name = match w.ty {
            TensorType::Q4_K => "q4k-gemv",
            TensorType::Q6_K => "q6k-gemv",
            ty => return reference::gemv::<A>(self.kernels.act(), ty, w.data, x).map_err(broken),
        };
        let vector = self.vector(x)?;
        let inputs = vec![Input::Tensor(w), Input::Bytes(vector)];
        Ok(floats(&self.kernels.run((name, matrix(w.rows(), x.len())), inputs)?))
    }

    fn attention<A: Accumulator>(&mut self, layer: usize, input: &[f32]) -> Result<Vec<f32>, EngineError> {
        let (gguf, c, eps) = (self.gguf, self.config, self.config.rms_eps);
        let get = |role: TensorRole| gguf.tensor(&role.name(Some(layer))).map_err(broken);
        let q = self.multiply::<A>(&get(TensorRole::AttnQ)?, input)?;
        let k = self.multiply::<A>(&get(TensorRole::AttnK)?, input)?;
        let v = self.multiply::<A>(&get(TensorRole::AttnV)?, input)?;
        let table = self.rope.at(self.position);
        let turned = |x: &[f32], norm: &TensorView<'_>| -> Result<Vec<f32>, EngineError> {
            let w = norm.f32s().map_err(broken)?;
            Ok(x.chunks(c.head_dim).flat_map(|h| reference::qk_norm_rope::<A>(h, &w, eps, table)).collect())
        };
        let q = turned(&q, &get(TensorRole::AttnQNorm)?)?;
        let k = turned(&k, &get(TensorRole::AttnKNorm)?)?;
        let stored = |x: f32| match self.kv {
            KvType::F32 => x,
            KvType::F16 => f16::from_f32(x).to_f32(),
        };
        let (keys, values) = &mut self.cache[layer];
        keys.extend(k.into_iter().map(stored));
        values.extend(v.into_iter().map(stored));
        let heads = q.chunks(c.head_dim).enumerate().flat_map(|(h, q)| {
            let kv_head = h / (c.heads / c.kv_heads);
            let part = kv_head * c.head_dim..(kv_head + 1) * c.head_dim;
            let keys: Vec<&[f32]> = keys.chunks(c.kv_width()).map(|p| &p[part.clone()]).collect();
            let values: Vec<&[f32]> = values.chunks(c.kv_width()).map(|p| &p[part.clone()]).collect();
            reference::attention::<A>(q, &keys, &values)
        });
        Ok(heads.collect())
    }

    /// The inner vectors of the chosen experts, [used, expert width].
    fn gate_up<A: Accumulator>(&mut self, layer: usize, x: &[f32], ids: &[u32]) -> Result<Vec<f32>, EngineError> {
        let (gguf, c) = (self.gguf, self.config);
        let get = |role: TensorRole| gguf.tensor(&role.name(Some(layer))).map_err(broken);
        let (gate, up) = (get(TensorRole::FfnGateExps)?, get(TensorRole::FfnUpExps)?);
        if gate.ty == up.ty && Kernels::multiplies(gate.ty) {
            let name = match gate.ty {
                TensorType::Q4_K => "fused-gate-up-swiglu",
                _ => "fused-gate-up-swiglu-q6k",
            };
            let key = (name, of_experts(matrix(c.expert_ff, c.hidden), c.experts, ids.len()));
            let vector = self.vector(x)?;
            let ids = ids.iter().flat_map(|i| i.to_le_bytes()).collect();
            let inputs = vec![Input::Tensor(&gate), Input::Tensor(&up), Input::Bytes(vector), Input::Bytes(ids)];
            return Ok(floats(&self.kernels.run(key, inputs)?));
        }
        let act = self.kernels.act();
        let mut inner = Vec::with_capacity(ids.len() * c.expert_ff);
        for &e in ids {
            let product = |w: &TensorView<'_>| {
                let w = w.outer(e as usize);
                reference::gemv::<A>(act, w.ty, w.data, x).map_err(broken)
            };
            let (g, u) = (product(&gate)?, product(&up)?);
            inner.extend(g.into_iter().zip(u).map(|(g, u)| reference::swiglu::<A>(g, u)));
        }
        Ok(inner)
    }

    /// The experts' sum, [hidden].
    fn down<A: Accumulator>(
        &mut self,
        layer: usize,
        inner: &[f32],
        routed: &reference::Routed,
    ) -> Result<Vec<f32>, EngineError> {
        let (gguf, c) = (self.gguf, self.config);
        let down = gguf.tensor(&TensorRole::FfnDownExps.name(Some(layer))).map_err(broken)?;
        let (ids, weights) = (&routed.experts, &routed.weights);
        if Kernels::multiplies(down.ty) {
            let name = if down.ty == TensorType::Q4_K { "moe-down" } else { "moe-down-q6k" };
            let key = (name, of_experts(matrix(c.hidden, c.expert_ff), c.experts, ids.len()));
            let mut vectors = Vec::new();
            for x in inner.chunks(c.expert_ff) {
                vectors.extend(self.vector(x)?);
            }
            let ids = ids.iter().flat_map(|i| i.to_le_bytes()).collect();
            let inputs =
                vec![Input::Tensor(&down), Input::Bytes(vectors), Input::Bytes(ids), Input::Bytes(bytes(weights))];
            return Ok(floats(&self.kernels.run(key, inputs)?));
        }
        let act = self.kernels.act();
        let products = ids.iter().zip(inner.chunks(c.expert_ff)).map(|(&e, x)| {
            let w = down.outer(e as usize);
            reference::gemv::<A>(act, w.ty, w.data, x).map_err(broken)
        });
        let products = products.collect::<Result<Vec<_>, _>>()?;
        let sum = |i: usize| reference::experts_sum::<A>(weights.iter().copied().zip(products.iter().map(|p| p[i])));
        Ok((0..c.hidden).map(sum).collect())
    }
}

/// A size for a kernel; one that does not fit is refused as too large.
fn size(n: usize) -> Option<u32> {
    Some(u32::try_from(n).unwrap_or(u32::MAX))
}

fn matrix(rows: usize, cols: usize) -> Dims {
    Dims { rows: size(rows), cols: size(cols), ..Dims::NONE }
}

fn of_experts(matrix: Dims, experts: usize, used: usize) -> Dims {
    Dims { experts: size(experts), used: size(used), ..matrix }
}

fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x = reference::residual(*x, *y);
    }
}
