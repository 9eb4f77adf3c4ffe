//! Any stage of a model, of recorded values before it.

use super::{
    Choice, Heads, attention, attention_scores, attention_softmax, embedding, expert_product, experts_sum, product,
    qk_norm_rope, residual, rms_norm, route, router_logits, silu, swiglu,
};
use crate::{
    config::{ConfigError, Qwen3MoeConfig, TensorRole},
    engine::{EngineError, check_tokens},
    gguf::{Gguf, GgufError, TensorView},
    trace::{Stage, Tensor, TraceData, Values},
};
use ptxgen_dsl::reference::{RopeTable, Routed};
use std::borrow::Cow;

/// A stage that cannot be computed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlainError {
    /// The file is not a Qwen3-MoE that is supported.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A tensor cannot be read.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// A token is outside the vocabulary, there are none, or a router logit is NaN.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Something before the stage is not there.
    #[error("{stage} is computed from {needed}, which the trace does not have: record all stages")]
    Missing {
        /// The stage.
        stage: String,
        /// What it needs.
        needed: String,
    },
    /// A tensor is not of this model, or not of whole positions from 0 on.
    #[error("{tensor} is {found}, but {expected} is needed")]
    Shape {
        /// The tensor.
        tensor: String,
        /// Its shape or type.
        found: String,
        /// What was expected.
        expected: String,
    },
}

/// A model whose stages can be computed one by one.
#[derive(Debug)]
pub struct PlainModel<'g> {
    gguf: &'g Gguf,
    config: Qwen3MoeConfig,
}

impl<'g> PlainModel<'g> {
    /// Checks the file.
    ///
    /// # Errors
    /// If it is not a supported model.
    pub fn new(gguf: &'g Gguf) -> Result<Self, ConfigError> {
        Ok(Self { gguf, config: Qwen3MoeConfig::from_gguf(gguf)? })
    }

    /// The model's hyperparameters.
    pub fn config(&self) -> &Qwen3MoeConfig {
        &self.config
    }

    /// How queries and keys are divided.
    fn heads(&self) -> Heads {
        Heads { queries: self.config.heads, keys: self.config.kv_heads, width: self.config.head_dim }
    }

    /// The matrix that a stage multiplies with, if it is such a stage.
    pub(crate) fn matrix(&self, stage: Stage) -> Option<TensorRole> {
        Some(match stage {
            Stage::Q => TensorRole::AttnQ,
            Stage::K => TensorRole::AttnK,
            Stage::V => TensorRole::AttnV,
            Stage::AttnOut => TensorRole::AttnOutput,
            Stage::ExpertGate => TensorRole::FfnGateExps,
            Stage::ExpertUp => TensorRole::FfnUpExps,
            Stage::ExpertOut => TensorRole::FfnDownExps,
            Stage::Logits if self.config.tied => TensorRole::TokenEmbd,
            Stage::Logits => TensorRole::Output,
            _ => return None,
        })
    }

    /// A tensor of a layer, or of the whole model.
    ///
    /// # Errors
    /// Never for the tensors of a model that was checked.
    pub(crate) fn tensor(&self, role: TensorRole, layer: Option<usize>) -> Result<TensorView<'g>, GgufError> {
        let layer = layer.filter(|_| !TensorRole::WHOLE.contains(&role));
        self.gguf.tensor(&role.name(layer))
    }

    fn norm(&self, role: TensorRole, layer: Option<usize>) -> Result<Cow<'g, [f32]>, GgufError> {
        self.tensor(role, layer)?.f32s()
    }

    /// The stages whose values a stage is computed from, with their layers; the embedding has none.
    pub(crate) fn inputs(&self, stage: Stage, layer: Option<usize>) -> Vec<(Stage, Option<usize>)> {
        let own: &[Stage] = match stage {
            Stage::Embedding => return Vec::new(),
            Stage::AttnNorm => return vec![self.stream(layer.unwrap_or(0))],
            Stage::FinalNorm => return vec![self.stream(self.config.blocks)],
            Stage::PostAttnResidual => return vec![self.stream(layer.unwrap_or(0)), (Stage::AttnOut, layer)],
            Stage::Q | Stage::K | Stage::V => &[Stage::AttnNorm],
            Stage::QPostRope => &[Stage::Q],
            Stage::KPostRope => &[Stage::K],
            Stage::AttnScores | Stage::AttnSoftmax => &[Stage::QPostRope, Stage::KPostRope],
            Stage::Attention => &[Stage::QPostRope, Stage::KPostRope, Stage::V],
            Stage::AttnOut => &[Stage::Attention],
            Stage::FfnNorm => &[Stage::PostAttnResidual],
            Stage::RouterLogits => &[Stage::FfnNorm],
            Stage::RouterWeights | Stage::RouterExperts => &[Stage::RouterLogits],
            Stage::ExpertGate | Stage::ExpertUp => &[Stage::FfnNorm, Stage::RouterExperts],
            Stage::ExpertSilu => &[Stage::ExpertGate],
            Stage::ExpertSwiglu => &[Stage::ExpertGate, Stage::ExpertUp],
            Stage::ExpertOut => &[Stage::ExpertSwiglu, Stage::RouterExperts],
            Stage::MoeFfnOut => &[Stage::ExpertOut, Stage::RouterWeights],
            Stage::LayerOut => &[Stage::PostAttnResidual, Stage::MoeFfnOut],
            Stage::Logits => &[Stage::FinalNorm],
        };
        own.iter().map(|&s| (s, layer)).collect()
    }

    /// The residual stream that goes into a layer.
    fn stream(&self, layer: usize) -> (Stage, Option<usize>) {
        match layer.checked_sub(1) {
            None => (Stage::Embedding, None),
            Some(before) => (Stage::LayerOut, Some(before)),
        }
    }

    /// Computes a stage for `tokens`, which begin at the first position of `before`, from the values of
    /// the stages before it. Keys and values that are attended to have all positions from 0 on.
    ///
    /// # Errors
    /// If a value that it needs is missing or has another model's shape, or a router logit is NaN.
    pub fn stage(
        &self,
        choice: &Choice,
        (stage, layer): (Stage, Option<usize>),
        tokens: &[u32],
        before: &TraceData,
    ) -> Result<Tensor, PlainError> {
        let c = &self.config;
        let first = before.positions.first().copied().unwrap_or(0);
        let from = Recorded { model: self, stage: (stage, layer), tokens: tokens.len(), first, before };
        let x = |i: usize| from.floats(i);
        let norm = |role| Ok::<_, PlainError>(rms_norm(choice.acc, &x(0)?, &self.norm(role, layer)?, c.rms_eps));
        let rope = |role, heads| {
            let table = RopeTable::new(c.head_dim, c.rope(), first + tokens.len());
            let w = self.norm(role, layer)?;
            Ok::<_, PlainError>(qk_norm_rope(choice, &x(0)?, heads, &w, c.rms_eps, (&table, first)))
        };
        let matrix = || Ok::<_, PlainError>(self.tensor(self.matrix(stage).expect("a product's stage"), layer)?);
        let values = match stage {
            Stage::Embedding => {
                check_tokens(tokens, first, first + tokens.len(), c.vocab)?;
                embedding(&self.tensor(TensorRole::TokenEmbd, None)?, tokens)
            }
            Stage::AttnNorm => norm(TensorRole::AttnNorm)?,
            Stage::FfnNorm => norm(TensorRole::FfnNorm)?,
            Stage::FinalNorm => norm(TensorRole::OutputNorm)?,
            Stage::Q | Stage::K | Stage::V | Stage::AttnOut | Stage::Logits => product(choice, &matrix()?, &x(0)?),
            Stage::QPostRope => rope(TensorRole::AttnQNorm, c.heads)?,
            Stage::KPostRope => rope(TensorRole::AttnKNorm, c.kv_heads)?,
            Stage::AttnScores => attention_scores(choice, self.heads(), &x(0)?, &x(1)?, first),
            Stage::AttnSoftmax => attention_softmax(choice, self.heads(), &x(0)?, &x(1)?, first),
            Stage::Attention => attention(choice, self.heads(), &x(0)?, &x(1)?, &x(2)?, first),
            Stage::PostAttnResidual | Stage::LayerOut => residual(&x(0)?, &x(1)?),
            Stage::RouterLogits => {
                let logits = router_logits(choice, &self.norm(TensorRole::FfnGateInp, layer)?, &x(0)?, c.hidden);
                return Ok(self.tensor_of(stage, (first, tokens.len()), Values::F64(logits)));
            }
            Stage::RouterWeights => {
                let routed = self.routed(choice, (layer, first), &from.doubles(0)?)?;
                routed.into_iter().flat_map(|r| r.weights).collect()
            }
            Stage::RouterExperts => {
                let routed = self.routed(choice, (layer, first), &from.doubles(0)?)?;
                let experts = routed.into_iter().flat_map(|r| r.experts).collect();
                return Ok(self.tensor_of(stage, (first, tokens.len()), Values::U32(experts)));
            }
            Stage::ExpertGate | Stage::ExpertUp | Stage::ExpertOut => {
                expert_product(choice, &matrix()?, from.experts(1)?, &x(0)?)
            }
            Stage::ExpertSilu => silu(choice, &x(0)?),
            Stage::ExpertSwiglu => swiglu(choice, &x(0)?, &x(1)?),
            Stage::MoeFfnOut => experts_sum(choice, &x(1)?, &x(0)?, c.experts_used, c.hidden),
        };
        Ok(self.tensor_of(stage, (first, tokens.len()), Values::F32(values)))
    }

    fn tensor_of(&self, stage: Stage, (first, tokens): (usize, usize), values: Values) -> Tensor {
        let shape = std::iter::once(tokens).chain(stage.shape(&self.config, first + tokens)).collect();
        Tensor { shape, values }
    }

    fn routed(
        &self,
        choice: &Choice,
        (layer, first): (Option<usize>, usize),
        logits: &[f64],
    ) -> Result<Vec<Routed>, EngineError> {
        let tokens = logits.chunks_exact(self.config.experts).enumerate();
        tokens
            .map(|(i, logits)| {
                let nan = |expert| EngineError::NanInRouter { layer: layer.unwrap_or(0), expert, position: first + i };
                route(choice, logits, self.config.experts_used).map_err(|e| nan(e.expert))
            })
            .collect()
    }
}

/// The recorded inputs of a stage.
struct Recorded<'a> {
    model: &'a PlainModel<'a>,
    stage: (Stage, Option<usize>),
    tokens: usize,
    /// Position of the first.
    first: usize,
    before: &'a TraceData,
}

impl<'a> Recorded<'a> {
    /// Input `i`, in the shape that the model gives it.
    fn tensor(&self, i: usize) -> Result<&'a Tensor, PlainError> {
        let (stage, layer) = self.model.inputs(self.stage.0, self.stage.1)[i];
        let missing =
            || PlainError::Missing { stage: self.stage.0.tensor_name(self.stage.1), needed: stage.tensor_name(layer) };
        let found = self.before.get(stage, layer).ok_or_else(missing)?;
        let dims = stage.shape(&self.model.config, self.tokens);
        let attends = matches!(self.stage.0, Stage::AttnScores | Stage::AttnSoftmax | Stage::Attention);
        let attended = attends && matches!(stage, Stage::KPostRope | Stage::V);
        let rows = self.tokens + if attended { self.first } else { 0 };
        // Another program may have the heads of a position in one dimension.
        if found.shape.first() == Some(&rows) && found.width() == dims.iter().product::<usize>() {
            return Ok(found);
        }
        Err(self.wrong(i, format!("{:?}", found.shape), format!("[{rows}] and {dims:?} behind it")))
    }

    fn wrong(&self, i: usize, found: String, expected: String) -> PlainError {
        let (stage, layer) = self.model.inputs(self.stage.0, self.stage.1)[i];
        PlainError::Shape { tensor: stage.tensor_name(layer), found, expected }
    }

    fn floats(&self, i: usize) -> Result<Cow<'a, [f32]>, PlainError> {
        match &self.tensor(i)?.values {
            Values::F32(v) => Ok(Cow::Borrowed(v)),
            Values::F64(v) => Ok(v.iter().map(|&v| v as f32).collect()),
            Values::U32(_) => Err(self.wrong(i, "of ids".into(), "numbers".into())),
        }
    }

    fn doubles(&self, i: usize) -> Result<Cow<'a, [f64]>, PlainError> {
        match &self.tensor(i)?.values {
            Values::F64(v) => Ok(Cow::Borrowed(v)),
            Values::F32(v) => Ok(v.iter().map(|&v| f64::from(v)).collect()),
            Values::U32(_) => Err(self.wrong(i, "of ids".into(), "numbers".into())),
        }
    }

    /// Ids of experts that the model has.
    fn experts(&self, i: usize) -> Result<&'a [u32], PlainError> {
        let experts = self.model.config.experts;
        match &self.tensor(i)?.values {
            Values::U32(v) if v.iter().all(|&e| (e as usize) < experts) => Ok(v),
            Values::U32(_) => Err(self.wrong(i, "with other ids".into(), format!("ids of {experts} experts"))),
            _ => Err(self.wrong(i, "of numbers".into(), "ids".into())),
        }
    }
}
