//! The passes of a session: one token, or several.

use super::{
    LoadError,
    place::{Home, Section},
    plan::{Model, Paging, Plan, SHORT},
    slot::Slot,
};
use indexmap::IndexMap;
use std::ops::Range;

/// Tokens that the device has chosen and keeps until the host has read them.
pub(super) const RING: u32 = 64;

/// Tokens of a short pass.
const USUAL: u32 = 32;

/// Maximum number of tokens of a pass.
const MOST: usize = 2048;

/// A plan for passes of up to this many tokens, and its parts.
pub(super) struct Passes<'m> {
    pub(super) plan: Plan<'m>,
    /// The embedding and the layers.
    pub(super) body: Range<usize>,
    /// From the stream to logits.
    pub(super) head: Range<usize>,
    /// From logits to the next pass, the most likely token; in passes of one token.
    pub(super) choice: Range<usize>,
    /// The same with a sampled token.
    pub(super) draw: Range<usize>,
}

impl<'m> Passes<'m> {
    fn new(model: &'m Model, positions: u32, tokens: u32) -> Result<Self, LoadError> {
        let mut plan = Plan::new(model, positions, tokens);
        let graph = &model.graph;
        let body = Self::layers(&mut plan)?;
        // A long pass does not compute the logits of all its tokens at once: they use the kernels of a shorter pass.
        if !plan.is_long() {
            plan.lower(&graph.after, Section::After)?;
        }
        let head = body.end..plan.launches.len();
        if tokens == 1 {
            plan.choose(RING)?;
        }
        let choice = head.end..plan.launches.len();
        if tokens == 1 {
            plan.draw(RING)?;
        }
        let draw = choice.end..plan.launches.len();
        Ok(Self { plan, body, head, choice, draw })
    }

    /// Passes of up to this many rows of a batch's sequences; any of them may have logits and a choice.
    pub(super) fn of_rows(
        model: &'m Model,
        positions: u32,
        (tokens, paging): (u32, Paging),
    ) -> Result<Self, LoadError> {
        let mut plan = Plan::new(model, positions, tokens);
        plan.paging = Some(paging);
        Self::with_choice(plan)
    }

    /// Passes of up to so many tokens of a session: logits and choice are of all of them.
    pub(super) fn of_few(model: &'m Model, positions: u32, tokens: u32) -> Result<Self, LoadError> {
        Self::with_choice(Plan::new(model, positions, tokens))
    }

    fn with_choice(mut plan: Plan<'m>) -> Result<Self, LoadError> {
        let body = Self::layers(&mut plan)?;
        plan.lower(&plan.model.graph.after, Section::After)?;
        let head = body.end..plan.launches.len();
        plan.choose_rows()?;
        let choice = head.end..plan.launches.len();
        Ok(Self { draw: choice.end..choice.end, plan, body, head, choice })
    }

    /// The embedding and the layers.
    fn layers(plan: &mut Plan<'m>) -> Result<Range<usize>, LoadError> {
        let graph = &plan.model.graph;
        plan.lower(&graph.before, Section::Before)?;
        for layer in 0..graph.blocks {
            plan.lower(&graph.layer, Section::Layer(layer))?;
        }
        Ok(0..plan.launches.len())
    }
}

/// All passes of a session.
pub(super) struct Plans<'m> {
    pub(super) one: Passes<'m>,
    /// Of several tokens, if the session has room for them, shortest first.
    pub(super) many: Vec<Passes<'m>>,
}

impl<'m> Plans<'m> {
    /// # Errors
    /// If the model's context has fewer than `capacity` positions, or there is no kernel for a tensor or size.
    pub(super) fn new(model: &'m Model, capacity: usize, pass: usize) -> Result<Self, LoadError> {
        let context = model.config.context;
        if capacity > context {
            return Err(LoadError::Context { asked: capacity, context });
        }
        let positions = u32::try_from(capacity.max(1)).unwrap_or(u32::MAX);
        let one = Passes::new(model, positions, 1)?;
        let sizes = Self::tokens(pass.min(capacity).min(MOST) as u32, model.has_long_passes());
        let many = sizes.into_iter().map(|tokens| Passes::new(model, positions, tokens)).collect::<Result<_, _>>()?;
        Ok(Self { one, many })
    }

    /// The sizes of passes of several tokens, if the maximum is `most`.
    fn tokens(most: u32, has_long: bool) -> Vec<u32> {
        match most {
            ..=1 => vec![],
            2..=SHORT => vec![most],
            // The logits of all tokens are computed in whole short passes.
            _ if has_long => vec![USUAL, most / USUAL * USUAL],
            _ => vec![USUAL],
        }
    }

    /// Bytes of a session's buffers, each as large as the most that a stage needs.
    pub(super) fn sizes(&self) -> IndexMap<Home, u64> {
        sizes(std::iter::once(&self.one).chain(&self.many))
    }

    /// Bytes of a session.
    #[cfg(test)]
    pub(super) fn session_bytes(&self) -> u64 {
        self.sizes().values().sum()
    }
}

/// Bytes of the buffers of some passes, each as large as the most that a stage needs.
pub(super) fn sizes<'p, 'm: 'p>(all: impl Iterator<Item = &'p Passes<'m>>) -> IndexMap<Home, u64> {
    let mut sizes = IndexMap::new();
    for passes in all {
        passes.plan.sizes(&mut sizes);
    }
    sizes.retain(|home, _| !matches!(home.slot, Slot::Weight(..)));
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::TensorRole as T, device::listing, gguf::TensorType, kv::KvType, synth::Preset};
    use ptxgen_dsl::{
        catalogue::KernelId,
        precision::{Act, Policy},
    };

    fn model(preset: Preset, policy: Policy, ty: impl Fn(T) -> TensorType) -> Model {
        listing::model(&preset.config(), policy, KvType::F32, ty)
    }

    #[test]
    fn a_layer_is_at_most_eight_launches_for_a_token() {
        for policy in Policy::EXACT {
            let model = model(Preset::Qwen3_30bA3b, policy, |role| match role {
                _ if role.is_f32() => TensorType::F32,
                T::Output | T::FfnDownExps => TensorType::Q6_K,
                _ => TensorType::Q4_K,
            });
            let plans = Plans::new(&model, 4096, 32).unwrap();
            let launches = plans.one.plan.launches.iter().filter(|s| s.layer == Some(5)).count();
            assert_eq!(launches, if policy.act == Act::Q8K { 8 } else { 7 }, "{policy}");
            assert_eq!(plans.many.len(), 1);
            // Apart from the KV cache a session takes less than a twentieth of the model's 18.6 GB.
            let cache = model.config.kv_bytes_per_token(4) as u64 * 4096;
            assert!(plans.session_bytes() - cache < 900 << 20, "{}", plans.session_bytes() - cache);
        }
    }

    #[test]
    fn projections_of_any_types_go_in_passes() {
        use TensorType::{F16, F32, Q4_K, Q6_K, Q8_0};
        for [q, k, v] in [[Q4_K, Q4_K, Q6_K], [Q6_K, Q4_K, Q4_K], [Q8_0; 3], [F16, Q4_K, F32]] {
            for policy in Policy::EXACT {
                let model = model(Preset::Tiny, policy, |role| match role {
                    _ if role.is_f32() => F32,
                    T::AttnQ => q,
                    T::AttnK => k,
                    T::AttnV => v,
                    _ => Q4_K,
                });
                let plans = Plans::new(&model, 64, 32).unwrap();
                let joins = |p: &Plan<'_>| p.kernels.keys().filter(|(id, ..)| *id == KernelId::QkvJoin).count();
                assert_eq!(joins(&plans.one.plan), 0, "a token's parts lie side by side: {q} {k} {v} {policy}");
                let expected = usize::from([q, k, v] != [Q4_K, Q4_K, Q6_K]);
                assert_eq!(joins(&plans.many[0].plan), expected, "{q} {k} {v} {policy}");
            }
        }
    }

    #[test]
    fn experts_of_any_types_go_in_passes() {
        use TensorType::{F16, F32, IQ2_XS, MXFP4, Q4_K, Q5_K, Q6_K};
        for [gate, up, down] in [[Q4_K, Q6_K, Q5_K], [F16, Q4_K, MXFP4], [Q6_K, MXFP4, Q4_K], [IQ2_XS; 3]] {
            for policy in Policy::EXACT {
                let model = model(Preset::Tiny, policy, |role| match role {
                    _ if role.is_f32() => F32,
                    T::FfnGateExps => gate,
                    T::FfnUpExps => up,
                    T::FfnDownExps => down,
                    _ => Q4_K,
                });
                let plans = Plans::new(&model, 64, 32).unwrap();
                let swiglu = |p: &Plan<'_>| p.kernels.keys().filter(|(id, ..)| *id == KernelId::Swiglu).count();
                let apart = usize::from(gate != up);
                assert_eq!(swiglu(&plans.one.plan), apart, "{gate} {up} {policy}");
                assert_eq!(swiglu(&plans.many[0].plan), apart, "{gate} {up} {policy}");
            }
        }
    }
}
