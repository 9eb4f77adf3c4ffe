//! A comparison made up for tests of its report: three layers, sixteen positions.

use ptxgen_model::{
    ModelConfig,
    compare::{
        Choice, Comparison, Difference, Distribution, Growth, LayerChoices, Perplexities, Place, Side, Thresholds,
        TopTokens, Verdict,
    },
    synth::Preset,
    trace::{Histogram, Stage, Statistics},
};

const LAYERS: usize = 3;

pub fn comparison() -> Comparison {
    let side = |name: &str, policy: &str| Side {
        name: name.into(),
        device: Some("cpu (avx2, 2 threads)".into()),
        policy: Some(policy.into()),
        kv: Some("f32".into()),
        model: Some("tiny.gguf".into()),
        model_sha256: Some("00ff".repeat(16)),
        version: Some("0.1.0".into()),
        derived: vec![Stage::AttnScores],
        faults: Vec::new(),
    };
    let place = |stage, layer| Place { stage, layer, prompt: 0, position: 0, index: 3 };
    let graph = ModelConfig { blocks: LAYERS, ..Preset::Tiny.config() }.graph();
    let stages: Vec<_> = graph.stages().map(|(stage, layer)| difference(stage, layer)).collect();
    Comparison {
        left: side("cpu:act=f32,acc=f64", "act=f32,acc=f64"),
        right: side("interp:act=q8k,acc=f32", "act=q8k,acc=f32"),
        prompts: 1,
        positions: 16,
        values: stages.iter().map(|d| d.values).sum(),
        differing: stages.iter().map(|d| d.differing).sum(),
        stages,
        missing: vec![Stage::ExpertSilu],
        distributions: graph.nodes().map(|n| n.stage).filter(|s| is_float(*s)).map(distribution).collect(),
        experts: (0..LAYERS).map(choices).collect(),
        top: Some(TopTokens { positions: 16, same: 15, prompts: 1, same_at_the_end: 1, first: None }),
        perplexity: Some(Perplexities { tokens: 15, left: 4.2356, right: 4.3012 }),
        first: Some(place(Stage::AttnOut, Some(0))),
        first_past: Some(place(Stage::AttnOut, Some(0))),
        growth: Some(Growth { layer: 1, before: 0.0125, after: 0.0317 }),
        thresholds: Thresholds::default(),
        verdict: Verdict::Differs,
    }
}

/// Ids have no size.
fn is_float(stage: Stage) -> bool {
    stage != Stage::RouterExperts
}

fn difference(stage: Stage, layer: Option<usize>) -> Difference {
    // The embedding is equal; a stage with an infinite error is drawn, too.
    let step = (stage as usize as f64 + 1.0) * (layer.map_or(3.0, |l| l as f64 + 1.0));
    let relative = match stage {
        Stage::Embedding => 0.0,
        Stage::ExpertGate if layer == Some(2) => f64::INFINITY,
        _ => 1.37e-4 * step,
    };
    let of_float = |value: f64| is_float(stage).then_some(value);
    Difference {
        stage,
        layer,
        values: 4096,
        differing: if relative == 0.0 { 0 } else { 4000 },
        not_finite: 0,
        cosine: of_float(1.0 - relative.min(1.0) * relative.min(1.0) / 2.0),
        relative: of_float(relative),
        largest: of_float(if relative == 0.0 { 0.0 } else { 1.25e-3 * step }),
        largest_ulp: is_float(stage).then_some(if relative == 0.0 { 0 } else { 12_345 }),
        first: None,
    }
}

fn distribution(stage: Stage) -> Distribution {
    let statistics = |shift: i32| Statistics {
        values: 4096,
        mean: 0.01,
        deviation: 0.5,
        min: -3.0,
        max: 4.0,
        histogram: Histogram {
            least: shift - 8,
            negative: vec![1, 10, 100, 400, 500, 300, 100, 10],
            zero: 5,
            positive: vec![2, 12, 110, 380, 520, 310, 90, 8],
        },
        ..Statistics::default()
    };
    Distribution { stage, left: statistics(stage as i32 % 5), right: statistics(stage as i32 % 5 + 1) }
}

fn choices(layer: usize) -> LayerChoices {
    let choice = |position: usize| {
        let shared = if (position + layer).is_multiple_of(5) { 3 - position % 2 } else { 4 };
        Choice { prompt: 0, position, shared, same_order: shared == 4, margin: Some(0.1), shift: Some(0.2) }
    };
    let choices: Vec<_> = (0..16).map(choice).collect();
    LayerChoices {
        layer,
        used: 4,
        same: choices.iter().filter(|c| c.shared == 4).count(),
        least_margin_of_same: Some(1.5e-3),
        largest_margin_of_other: if layer == 0 { None } else { Some(0.125) },
        choices,
    }
}
