//! The embedding, norms, and products without another rule; and the choice of the next token, which is not a stage.

use super::{Dims, KernelId, LoadError, Node, P, Part, Plan, Role, Rule, S, STATE, part, size, slot};
use crate::device::slot::Slot;

pub(super) const RULES: &[Rule] = &[
    Rule { name: "embedding", stages: &[&[S::Embedding]], needs: "", push: embedding },
    Rule { name: "norm", stages: &[&[S::AttnNorm], &[S::FfnNorm], &[S::FinalNorm]], needs: "", push: norm },
    Rule {
        name: "product onto the stream",
        stages: &[&[S::AttnOut, S::PostAttnResidual], &[S::FfnOut, S::LayerOut]],
        needs: "",
        push: product_added,
    },
    Rule { name: "logits", stages: &[&[S::Logits]], needs: "", push: logits },
];

/// How a token becomes the next pass.
const NEXT: [(P, Part); 3] = [STATE, (P::Next, part(Slot::Tokens)), (P::Ring, part(Slot::Chosen))];

/// Copies the tokens' embeddings to the residual stream.
fn embedding(plan: &mut Plan<'_>, nodes: &[Node]) -> Result<bool, LoadError> {
    let table = plan.weights(&nodes[0]).1;
    let places = [(P::Table, table.into()), (P::Tokens, Slot::Tokens.into()), (P::X, Slot::Stream.into())];
    plan.push(plan.kernel(Role::Embedding, &nodes[0])?, plan.product_dims(&nodes[0]), &places)?;
    plan.makes(&[S::Embedding]);
    Ok(true)
}

/// The stream's norm, in the forms that the matrices which read it need.
fn norm(plan: &mut Plan<'_>, nodes: &[Node]) -> Result<bool, LoadError> {
    let dims = Dims { cols: size(plan.model.config.hidden), ..plan.pass() };
    let w = plan.weights(&nodes[0]).1;
    let mut places = vec![(P::X, Slot::Stream.into()), (P::W, w.into()), (P::Y, Slot::Normed.into())];
    let readers = plan.readers(nodes[0].stage);
    if plan.any_rounded(&readers) {
        places.push((P::YQ8K, Slot::NormedQ8K.into()));
        plan.push(KernelId::RmsNormQ8K, dims, &places)?;
    } else {
        plan.push(KernelId::RmsNorm, dims, &places)?;
    }
    plan.makes(&[nodes[0].stage]);
    Ok(true)
}

/// A product whose result is added to the residual stream.
fn product_added(plan: &mut Plan<'_>, nodes: &[Node]) -> Result<bool, LoadError> {
    let (ty, _) = plan.weights(&nodes[0]);
    let [crate::graph::Source::Stage(from)] = nodes[0].inputs[..] else { return Ok(false) };
    let Some(plain) = slot(from, plan.layer()) else { return Ok(false) };
    let x = plan.input(ty, plain);
    if x != plain && !plan.has_rounded(plain) {
        let width = from.shape(&plan.model.config, 0).iter().product();
        plan.quantize(plain, 1, width)?;
    }
    plan.product(&nodes[0], x, Slot::Stream.into(), true)?;
    plan.makes(&[nodes[1].stage]);
    Ok(true)
}

/// From the normalized stream to logits.
fn logits(plan: &mut Plan<'_>, nodes: &[Node]) -> Result<bool, LoadError> {
    let x = plan.input(plan.weights(&nodes[0]).0, Slot::Normed);
    plan.product(&nodes[0], x, Slot::Logits.into(), false)?;
    plan.makes(&[S::Logits]);
    Ok(true)
}

impl Plan<'_> {
    /// The most likely token becomes the input of the next pass; the last `ring` tokens are kept.
    pub(in crate::device) fn choose(&mut self, ring: u32) -> Result<(), LoadError> {
        let dims = Dims { rows: size(self.model.config.vocab), positions: Some(ring), ..self.pass() };
        let places = [(P::Logits, Slot::Logits.into()), (P::Best, Slot::Best.into())];
        self.push(KernelId::Argmax, dims, &[&places[..], &NEXT].concat())
    }

    /// The most likely token of each row.
    pub(in crate::device) fn choose_rows(&mut self) -> Result<(), LoadError> {
        let dims = Dims { rows: size(self.model.config.vocab), ..self.pass() };
        let places = [
            (P::Logits, Slot::Logits.into()),
            STATE,
            (P::Best, Slot::RowBest.into()),
            (P::Chosen, Slot::RowChosen.into()),
        ];
        self.push(KernelId::ArgmaxRows, dims, &places)
    }

    /// A sampled token becomes the input of the next pass; the last `ring` tokens are kept.
    pub(in crate::device) fn draw(&mut self, ring: u32) -> Result<(), LoadError> {
        let rows = size(self.model.config.vocab);
        let keys = (P::Keys, Slot::SampleKeys.into());
        let places = [(P::Logits, Slot::Logits.into()), STATE, keys];
        self.push(KernelId::SampleSort, Dims { rows, ..self.pass() }, &places)?;
        let places = [
            keys,
            (P::From, Slot::Distribution.into()),
            (P::Random, Slot::Random.into()),
            (P::Sums, Slot::SampleSums.into()),
            (P::Counter, Slot::SampleCounter.into()),
        ];
        let dims = Dims { rows, positions: Some(ring), ..Dims::NONE };
        self.push(KernelId::SampleDraw, dims, &[&places[..], &NEXT].concat())
    }
}
