//! Attention: projections, heads and the cache.

use super::{Dims, KernelId, LoadError, Node, P, Part, Plan, Rule, S, STATE, choice, part, size};
use crate::device::{choice::Reader, slot::Slot};
use crate::kv::KvType;
use ptxgen_dsl::catalogue::CacheType;

const PROJECTIONS: &[S] = &[S::Q, S::K, S::V];
const HEADS: &[S] = &[S::QPostRope, S::KPostRope, S::AttnScores, S::AttnSoftmax, S::Attention];

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "norm into projections",
        stages: &[&[S::AttnNorm, S::Q, S::K, S::V]],
        needs: "one token; a fused kernel for the three types; room in shared memory",
        push: norm_qkv,
    },
    Rule {
        name: "projections together",
        stages: &[PROJECTIONS],
        needs: "a fused kernel for the three types",
        push: qkv,
    },
    Rule { name: "projections apart", stages: &[PROJECTIONS], needs: "", push: apart },
    Rule { name: "attention of rows", stages: &[HEADS], needs: "rows of several sequences", push: of_rows },
    Rule { name: "attention of a token", stages: &[HEADS], needs: "one token", push: of_a_token },
    Rule { name: "attention of many", stages: &[HEADS], needs: "more than 64 tokens", push: of_many },
    Rule { name: "attention by chunks", stages: &[HEADS], needs: "", push: by_chunks },
];

/// Normed and turned queries.
const QUERIES: (P, Part) = (P::Q, part(Slot::Queries));

/// A layer's keys and values.
fn cache(layer: usize) -> [(P, Part); 2] {
    [(P::Keys, Slot::Keys(layer).into()), (P::Values, Slot::Values(layer).into())]
}

/// A token's norm and projections in one launch.
fn norm_qkv(plan: &mut Plan<'_>, nodes: &[Node]) -> Result<bool, LoadError> {
    let [norm, projections @ ..] = nodes else { return Ok(false) };
    let Some(Reader { normed, .. }) = plan.merged(projections).filter(|_| plan.tokens == 1) else { return Ok(false) };
    let dims = Dims { tokens: None, cols: size(plan.model.config.hidden), ..plan.heads() };
    let places = [&plan.matrices(projections)[..], &plan.unnormed(norm)].concat();
    let fits = plan.push_if_it_fits(normed, dims, &places)?;
    if fits {
        plan.makes(PROJECTIONS);
    }
    Ok(fits)
}

/// The projections of a normed stream in one launch.
fn qkv(plan: &mut Plan<'_>, nodes: &[Node]) -> Result<bool, LoadError> {
    let Some(names) = plan.merged(nodes) else { return Ok(false) };
    let x = plan.input(plan.weights(&nodes[0]).0, Slot::Normed);
    let mut places = plan.matrices(nodes);
    places.push((P::X, x.into()));
    if plan.tokens > 1 {
        places.push(STATE);
    }
    let dims = Dims { cols: size(plan.model.config.hidden), ..plan.heads() };
    plan.push(if plan.tokens > 1 { names.pass } else { names.one }, dims, &places)?;
    plan.makes(PROJECTIONS);
    Ok(true)
}

/// Three products. A token's results are adjacent; those of several tokens are joined by another launch.
fn apart(plan: &mut Plan<'_>, nodes: &[Node]) -> Result<bool, LoadError> {
    let mut first = 0;
    for node in nodes {
        let (ty, w) = plan.weights(node);
        let Slot::Weight(role, _) = w else { return Ok(false) };
        let to = if plan.tokens == 1 { Slot::Projected.at(first as u64 * 4) } else { Slot::Apart(role).into() };
        plan.product(node, plan.input(ty, Slot::Normed), to, false)?;
        first += node.stage.shape(&plan.model.config, 0).iter().product::<usize>();
    }
    if plan.tokens > 1 {
        let slots = nodes.iter().filter_map(|n| n.operation.weights()).map(|role| Slot::Apart(role).into());
        let mut places: Vec<(P, Part)> = [P::Q, P::K, P::V].into_iter().zip(slots).collect();
        places.extend([STATE, (P::Qkv, Slot::Projected.into())]);
        plan.push(KernelId::QkvJoin, plan.heads(), &places)?;
    }
    plan.makes(PROJECTIONS);
    Ok(true)
}

/// Norm and RoPE of heads, the append to the cache, and attention chunk by chunk, in one launch; then the combination
/// of the chunks.
fn of_a_token(plan: &mut Plan<'_>, nodes: &[Node]) -> Result<bool, LoadError> {
    let Some(layer) = plan.layer().filter(|_| plan.tokens == 1 && plan.paging.is_none()) else { return Ok(false) };
    plan.push(
        KernelId::DecodeAttention(plan.cache_type()),
        plan.cached(),
        &[&plan.projected(nodes)[..], &cache(layer), &CHUNKS].concat(),
    )?;
    plan.makes(&[S::KPostRope]);
    combine(plan)
}

/// The same in three launches, for rows of several sequences, whose keys and values are in pages.
fn of_rows(plan: &mut Plan<'_>, nodes: &[Node]) -> Result<bool, LoadError> {
    let Some((layer, paging)) = plan.layer().zip(plan.paging) else { return Ok(false) };
    let paged = Dims { sequences: Some(paging.sequences), pages: Some(paging.pages), ..plan.cached() };
    let [turn, attend] = [KernelId::RowsNormRope, KernelId::RowsAttention].map(|of| of(plan.cache_type()));
    let (cache, at) = (cache(layer), [ROWS, (P::Tables, Slot::Tables.into())]);
    plan.push(turn, paged, &[&plan.projected(nodes)[..], &at, &[QUERIES], &cache].concat())?;
    plan.makes(&[S::QPostRope]);
    plan.push(attend, paged, &[&[QUERIES, STATE][..], &at, &cache, &CHUNKS].concat())?;
    combine(plan)
}

/// The same in two launches, for tokens of one sequence.
fn by_chunks(plan: &mut Plan<'_>, nodes: &[Node]) -> Result<bool, LoadError> {
    let Some(layer) = plan.layer().filter(|_| plan.paging.is_none()) else { return Ok(false) };
    append(plan, nodes, layer)?;
    plan.push(
        KernelId::Attention(plan.cache_type()),
        plan.cached(),
        &[&[QUERIES, STATE][..], &cache(layer), &CHUNKS].concat(),
    )?;
    combine(plan)
}

/// The same for hundreds of tokens, without results of chunks in memory.
fn of_many(plan: &mut Plan<'_>, nodes: &[Node]) -> Result<bool, LoadError> {
    let Some(layer) = plan.layer().filter(|_| plan.is_long()) else { return Ok(false) };
    append(plan, nodes, layer)?;
    plan.push(
        KernelId::PromptAttention(plan.cache_type()),
        plan.cached(),
        &[&[QUERIES, STATE, (P::Y, Slot::Attended.into())][..], &cache(layer)].concat(),
    )?;
    plan.makes(&[S::Attention]);
    Ok(true)
}

/// The rows of a pass of several sequences.
const ROWS: (P, Part) = (P::Rows, part(Slot::Rows));

/// What chunks of attention give.
const CHUNKS: [(P, Part); 2] = [(P::Sums, part(Slot::ChunkSums)), (P::Outputs, part(Slot::ChunkOutputs))];

/// Combines the chunks' results, in the forms that the output projection needs.
fn combine(plan: &mut Plan<'_>) -> Result<bool, LoadError> {
    let [sums, outputs] = CHUNKS;
    let mut places = vec![sums, outputs, STATE, (P::Y, Slot::Attended.into())];
    let [plain, rounded] = match plan.paging {
        None => [KernelId::AttentionCombine, KernelId::AttentionCombineQ8K],
        Some(_) => {
            places.push(ROWS);
            [KernelId::RowsCombine, KernelId::RowsCombineQ8K]
        }
    };
    let readers = plan.readers(S::Attention);
    if plan.any_rounded(&readers) {
        places.push((P::YQ8K, Slot::AttendedQ8K.into()));
        plan.push(rounded, plan.cached(), &places)?;
        plan.is_rounded(Slot::Attended);
    } else {
        plan.push(plain, plan.cached(), &places)?;
    }
    plan.makes(&[S::Attention]);
    Ok(true)
}

/// Norm and RoPE of heads, and the append to the cache.
fn append(plan: &mut Plan<'_>, nodes: &[Node], layer: usize) -> Result<(), LoadError> {
    plan.push(
        KernelId::QkNormRope(plan.cache_type()),
        plan.cached(),
        &[&plan.projected(nodes)[..], &[QUERIES], &cache(layer)].concat(),
    )?;
    plan.makes(&[S::QPostRope, S::KPostRope]);
    Ok(())
}

impl Plan<'_> {
    /// The fused kernels for the projections' types.
    fn merged(&self, projections: &[Node]) -> Option<Reader> {
        let [q, k, v] = projections else { return None };
        choice::merged_projections([q, k, v].map(|node| self.weights(node).0))
    }

    /// The projections' matrices, and where their products go.
    fn matrices(&self, projections: &[Node]) -> Vec<(P, Part)> {
        let weights = projections.iter().map(|node| self.weights(node).1.into());
        [P::Q, P::K, P::V].into_iter().zip(weights).chain([(P::Y, Slot::Projected.into())]).collect()
    }

    /// The cache's type in kernel ids.
    fn cache_type(&self) -> CacheType {
        match self.model.kv {
            KvType::F32 => CacheType::F32,
            KvType::F16 => CacheType::F16,
        }
    }

    fn heads(&self) -> Dims {
        let c = &self.model.config;
        let (heads, kv_heads, head_dim) = (size(c.heads), size(c.kv_heads), size(c.head_dim));
        Dims { heads, kv_heads, head_dim, ..self.pass() }
    }

    /// The sizes of kernels that work with the cache.
    fn cached(&self) -> Dims {
        Dims { positions: Some(self.positions), ..self.heads() }
    }

    /// What becomes queries, keys and values.
    fn projected(&self, nodes: &[Node]) -> [(P, Part); 5] {
        [
            (P::Qkv, Slot::Projected.into()),
            (P::QNorm, self.weights(&nodes[0]).1.into()),
            (P::KNorm, self.weights(&nodes[1]).1.into()),
            (P::Rope, Slot::Rope.into()),
            STATE,
        ]
    }
}
