//! Any stage of a model, computed from recorded values before it.

use super::{
    Choice, Heads, attention, attention_scores, attention_softmax, embedding, expert_product, experts_sum, product,
    qk_norm_rope, residual, rms_norm, route, router_logits, silu, swiglu,
};
use crate::{
    config::{ConfigError, ModelConfig, TensorRole},
    engine::{EngineError, check_tokens},
    gguf::{Gguf, GgufError, TensorView},
    graph::{At, Graph, Node, Operation},
    trace::{Stage, Tensor, TraceData, Values},
};
use ptxgen_dsl::reference::{RopeTable, Routed};
use std::borrow::Cow;

/// A stage that cannot be computed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlainError {
    /// The file is not a supported model.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A tensor cannot be read.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// A token is outside the vocabulary, there are none, or a router logit is NaN.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A value that the stage needs is missing.
    #[error("{stage} is computed from {needed}, which the trace does not have: record all stages")]
    Missing {
        /// The stage.
        stage: String,
        /// The missing value.
        needed: String,
    },
    /// The model has no such stage.
    #[error("a {title} has no stage {stage}")]
    NoStage {
        /// The stage.
        stage: Stage,
        /// The name of the architecture.
        title: &'static str,
    },
    /// A tensor is not of this model, or does not have all positions from 0 on.
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

/// A model whose stages can be computed individually.
#[derive(Debug)]
pub struct PlainModel<'g> {
    gguf: &'g Gguf,
    config: ModelConfig,
    graph: Graph,
}

impl<'g> PlainModel<'g> {
    /// Checks the file.
    ///
    /// # Errors
    /// If it is not a supported model.
    pub fn new(gguf: &'g Gguf) -> Result<Self, ConfigError> {
        let config = ModelConfig::from_gguf(gguf)?;
        Ok(Self { gguf, graph: config.graph(), config })
    }

    /// The model's hyperparameters.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Its stages.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The numbers of heads.
    fn heads(&self) -> Heads {
        Heads { queries: self.config.heads, keys: self.config.kv_heads, width: self.config.head_dim }
    }

    /// The operation of a stage, if the model has it.
    pub(crate) fn operation(&self, stage: Stage) -> Option<Operation> {
        self.graph.node(stage).map(|node| node.operation)
    }

    /// The matrix of a stage's product, if it has one.
    pub(crate) fn matrix(&self, stage: Stage) -> Option<TensorRole> {
        self.operation(stage)?.matrix()
    }

    /// A tensor of a layer, or of the whole model.
    ///
    /// # Errors
    /// Never for the tensors of a model that was checked.
    pub(crate) fn tensor(&self, role: TensorRole, layer: Option<usize>) -> Result<TensorView<'g>, GgufError> {
        let layer = layer.filter(|_| !role.is_whole());
        self.gguf.tensor(&role.name(layer))
    }

    /// Weights that are always F32.
    fn f32s(&self, role: TensorRole, layer: Option<usize>) -> Result<Cow<'g, [f32]>, GgufError> {
        self.tensor(role, layer)?.f32s()
    }

    /// Computes a stage for `tokens`, which begin at the first position of `before`, from the values of the stages
    /// before it. Attended keys and values have all positions from 0 on.
    ///
    /// # Errors
    /// If the model has no such stage, a required value is missing or has another shape, or a router logit is NaN.
    pub fn stage(
        &self,
        choice: &Choice,
        (stage, layer): At,
        tokens: &[u32],
        before: &TraceData,
    ) -> Result<Tensor, PlainError> {
        let c = &self.config;
        let Some(node) = self.graph.node(stage) else {
            return Err(PlainError::NoStage { stage, title: c.architecture.title });
        };
        let first = before.positions.first().copied().unwrap_or(0);
        let from = Recorded { model: self, node, layer, tokens: tokens.len(), first, before };
        let x = |i: usize| from.floats(i);
        let values = match node.operation {
            Operation::Embedding(role) => {
                check_tokens(tokens, first, first + tokens.len(), c.vocab)?;
                embedding(&self.tensor(role, layer)?, tokens)
            }
            Operation::Norm(role) => rms_norm(choice.acc, &x(0)?, &self.f32s(role, layer)?, c.rms_eps),
            Operation::HeadNormRope(role) => {
                let table = RopeTable::new(c.head_dim, c.rope(), first + tokens.len());
                let heads = stage.shape(c, 0)[0];
                qk_norm_rope(choice, &x(0)?, heads, &self.f32s(role, layer)?, c.rms_eps, (&table, first))
            }
            Operation::Product(role) => product(choice, &self.tensor(role, layer)?, &x(0)?),
            Operation::AttentionScores => attention_scores(choice, self.heads(), &x(0)?, &x(1)?, first),
            Operation::AttentionSoftmax => attention_softmax(choice, self.heads(), &x(0)?, &x(1)?, first),
            Operation::Attention => attention(choice, self.heads(), &x(0)?, &x(1)?, &x(2)?, first),
            Operation::Residual => residual(&x(0)?, &x(1)?),
            Operation::RouterLogits(role) => {
                let logits = router_logits(choice, &self.f32s(role, layer)?, &x(0)?, c.hidden);
                return Ok(self.tensor_of(stage, (first, tokens.len()), Values::F64(logits)));
            }
            Operation::RouterWeights => {
                let routed = self.routed(choice, (layer, first), &from.doubles(0)?)?;
                routed.into_iter().flat_map(|r| r.weights).collect()
            }
            Operation::RouterExperts => {
                let routed = self.routed(choice, (layer, first), &from.doubles(0)?)?;
                let experts = routed.into_iter().flat_map(|r| r.experts).collect();
                return Ok(self.tensor_of(stage, (first, tokens.len()), Values::U32(experts)));
            }
            Operation::ExpertProduct(role) => {
                expert_product(choice, &self.tensor(role, layer)?, from.experts(1)?, &x(0)?)
            }
            Operation::Silu => silu(choice, &x(0)?),
            Operation::SwiGlu => swiglu(choice, &x(0)?, &x(1)?),
            Operation::ExpertsSum => experts_sum(choice, &x(1)?, &x(0)?, c.experts_used, c.hidden),
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
    node: &'a Node,
    layer: Option<usize>,
    tokens: usize,
    /// Position of the first.
    first: usize,
    before: &'a TraceData,
}

impl<'a> Recorded<'a> {
    /// The stage of input `i`.
    fn at(&self, i: usize) -> At {
        self.model.graph.inputs(self.node.stage, self.layer)[i]
    }

    /// Input `i`, in the shape that the model gives it.
    fn tensor(&self, i: usize) -> Result<&'a Tensor, PlainError> {
        let (stage, layer) = self.at(i);
        let missing =
            || PlainError::Missing { stage: self.node.stage.tensor_name(self.layer), needed: stage.tensor_name(layer) };
        let found = self.before.get(stage, layer).ok_or_else(missing)?;
        let dims = stage.shape(&self.model.config, self.tokens);
        let attended = self.node.operation.attends() && i > 0;
        let rows = self.tokens + if attended { self.first } else { 0 };
        // Another program may store the heads of a position in one dimension.
        if found.shape.first() == Some(&rows) && found.width() == dims.iter().product::<usize>() {
            return Ok(found);
        }
        Err(self.wrong(i, format!("{:?}", found.shape), format!("[{rows}] and {dims:?} after it")))
    }

    fn wrong(&self, i: usize, found: String, expected: String) -> PlainError {
        let (stage, layer) = self.at(i);
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
