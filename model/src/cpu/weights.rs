//! A model's tensors in the form that the forward needs.

#[cfg(all(feature = "plants", debug_assertions))]
use super::planted::OfLayer;
use super::{
    LoadError,
    matrix::{Forms, Lanes, Matrix, spread},
};
use crate::{
    config::{ModelConfig, TensorRole},
    gguf::Gguf,
};
use ptxgen_dsl::{format::SUPERBLOCK, precision::Act};
use std::borrow::Cow;

pub(super) struct Layer<'a> {
    pub(super) attn_norm: Cow<'a, [f32]>,
    pub(super) q_norm: Cow<'a, [f32]>,
    pub(super) k_norm: Cow<'a, [f32]>,
    pub(super) q: Matrix<'a>,
    pub(super) k: Matrix<'a>,
    pub(super) v: Matrix<'a>,
    pub(super) o: Matrix<'a>,
    pub(super) ffn_norm: Cow<'a, [f32]>,
    /// `None` if the feed-forward is dense.
    pub(super) router: Option<Router>,
    /// All experts' rows, one expert after the other; also `up` and `down`. A dense feed-forward is one expert.
    pub(super) gate: Matrix<'a>,
    pub(super) up: Matrix<'a>,
    pub(super) down: Matrix<'a>,
    #[cfg(all(feature = "plants", debug_assertions))]
    pub(super) planted: OfLayer,
}

/// The router's weights, transposed once: [experts, blocks].
pub(super) struct Router {
    pub(super) blocks: usize,
    pub(super) weights: Vec<Lanes<f32>>,
}

/// The required forms of each input, over all layers.
pub(super) struct InputForms {
    pub(super) attention: Forms,
    pub(super) attention_out: Forms,
    /// Without the router, which needs lanes.
    pub(super) experts: Forms,
    pub(super) down: Forms,
    pub(super) output: Forms,
}

pub(super) struct Weights<'a> {
    pub(super) embedding: Matrix<'a>,
    pub(super) output_norm: Cow<'a, [f32]>,
    pub(super) output: Matrix<'a>,
    pub(super) layers: Vec<Layer<'a>>,
    pub(super) forms: InputForms,
}

impl<'a> Weights<'a> {
    pub(super) fn load(gguf: &'a Gguf, config: &ModelConfig, act: Act) -> Result<Self, LoadError> {
        let matrix = |role: TensorRole, block| Ok::<_, LoadError>(Matrix::new(&gguf.tensor(&role.name(block))?));
        let vector = |role: TensorRole, block| Ok::<_, LoadError>(gguf.tensor(&role.name(block))?.f32s()?);
        let has_experts = config.experts > 0;
        let [gate, up, down] = match has_experts {
            true => [TensorRole::FfnGateExps, TensorRole::FfnUpExps, TensorRole::FfnDownExps],
            false => [TensorRole::FfnGate, TensorRole::FfnUp, TensorRole::FfnDown],
        };
        let layers = (0..config.blocks)
            .map(|i| {
                let (matrix, vector) = (|role| matrix(role, Some(i)), |role| vector(role, Some(i)));
                Ok(Layer {
                    attn_norm: vector(TensorRole::AttnNorm)?,
                    q_norm: vector(TensorRole::AttnQNorm)?,
                    k_norm: vector(TensorRole::AttnKNorm)?,
                    q: matrix(TensorRole::AttnQ)?,
                    k: matrix(TensorRole::AttnK)?,
                    v: matrix(TensorRole::AttnV)?,
                    o: matrix(TensorRole::AttnOutput)?,
                    ffn_norm: vector(TensorRole::FfnNorm)?,
                    router: match has_experts {
                        true => Some(Router::new(&vector(TensorRole::FfnGateInp)?, config.hidden)),
                        false => None,
                    },
                    gate: matrix(gate)?,
                    up: matrix(up)?,
                    down: matrix(down)?,
                    #[cfg(all(feature = "plants", debug_assertions))]
                    planted: OfLayer::default(),
                })
            })
            .collect::<Result<Vec<_>, LoadError>>()?;
        let embedding = matrix(TensorRole::TokenEmbd, None)?;
        let output = if config.tied { embedding } else { matrix(TensorRole::Output, None)? };
        let over = |of: fn(&Layer<'a>) -> Vec<Matrix<'a>>| Forms::of(act, layers.iter().flat_map(of).map(|m| m.ty));
        let forms = InputForms {
            attention: over(|l| vec![l.q, l.k, l.v]),
            attention_out: over(|l| vec![l.o]),
            experts: over(|l| vec![l.gate, l.up]),
            down: over(|l| vec![l.down]),
            output: Forms::of(act, [output.ty]),
        };
        Ok(Self { embedding, output_norm: vector(TensorRole::OutputNorm, None)?, output, layers, forms })
    }
}

impl Router {
    fn new(w: &[f32], width: usize) -> Self {
        let mut weights = vec![[[0.0; 16]; 16]; w.len() / width * width.div_ceil(SUPERBLOCK)];
        let blocks = w.chunks_exact(width).flat_map(|row| row.chunks(SUPERBLOCK));
        weights.iter_mut().zip(blocks).for_each(|(out, block)| spread(block, out));
        Self { blocks: width.div_ceil(SUPERBLOCK), weights }
    }
}
