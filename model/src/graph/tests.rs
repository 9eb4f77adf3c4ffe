//! What holds for every architecture's graph.

use super::*;
use crate::{
    architecture,
    config::{ModelConfig, TensorKind},
    synth::Preset,
};

/// A model of each architecture, and one of each whose output is its embedding.
fn models() -> Vec<ModelConfig> {
    let models: Vec<_> = [Preset::Tiny, Preset::TinyDense].map(Preset::config).into();
    let all: Vec<_> = models.iter().map(|c| c.architecture.name).collect();
    assert_eq!(all, architecture::all().map(|a| a.name).collect::<Vec<_>>(), "a small model of each architecture");
    let tied = models.iter().map(|c| ModelConfig { tied: true, ..c.clone() });
    tied.chain(models.clone()).collect()
}

#[test]
fn stages_stand_in_the_order_of_their_names_each_once_and_where_they_belong() {
    for config in models() {
        let graph = config.graph();
        for (nodes, scope) in
            [(&graph.before, Scope::Before), (&graph.layer, Scope::Layer), (&graph.after, Scope::After)]
        {
            assert!(nodes.windows(2).all(|w| w[0].stage < w[1].stage), "{:?}", config.architecture);
            assert!(nodes.iter().all(|n| n.stage.scope() == scope), "{:?}", config.architecture);
        }
        assert_eq!(graph.stages().count(), graph.before.len() + graph.blocks * graph.layer.len() + graph.after.len());
        let known: Vec<_> = Stage::all_of(graph.blocks).filter(|(s, _)| graph.node(*s).is_some()).collect();
        assert_eq!(graph.stages().collect::<Vec<_>>(), known);
    }
}

#[test]
fn every_stage_of_the_vocabulary_is_some_models() {
    let graphs: Vec<_> = models().iter().map(ModelConfig::graph).collect();
    let unused = Stage::ALL.iter().filter(|s| graphs.iter().all(|g| g.node(**s).is_none()));
    assert_eq!(unused.collect::<Vec<_>>(), Vec::<&Stage>::new());
}

#[test]
fn inputs_come_before_what_they_are_read_by() {
    for config in models() {
        let graph = config.graph();
        let all: Vec<At> = graph.stages().collect();
        for (i, &(stage, layer)) in all.iter().enumerate() {
            let inputs = graph.inputs(stage, layer);
            assert_eq!(inputs.len(), graph.node(stage).unwrap().inputs.len(), "{stage}");
            assert!(inputs.iter().all(|at| all[..i].contains(at)), "{stage} of {layer:?} reads {inputs:?}");
            let between = &graph.node(stage).unwrap().between;
            assert!(between.iter().all(|s| graph.is_aside(*s) && all[..i].contains(&(*s, layer))), "{stage}");
        }
    }
}

/// Widths of inputs, weights and results fit each other.
#[test]
fn sizes_fit() {
    // No two sizes alike, and none a product of others.
    let odd = |c: &ModelConfig| {
        let (experts, experts_used, expert_ff) = if c.experts > 0 { (17, 5, 41) } else { (0, 0, 0) };
        let ff = if c.ff > 0 { 43 } else { 0 };
        ModelConfig {
            hidden: 37,
            heads: 6,
            kv_heads: 2,
            head_dim: 14,
            vocab: 101,
            experts,
            experts_used,
            expert_ff,
            ff,
            ..c.clone()
        }
    };
    for config in models().iter().map(odd) {
        let graph = config.graph();
        let width = |stage: Stage| stage.shape(&config, 7).iter().product::<usize>();
        for (stage, layer) in graph.stages() {
            let node = graph.node(stage).unwrap();
            let inputs: Vec<usize> = graph.inputs(stage, layer).iter().map(|(s, _)| width(*s)).collect();
            let weights = node.operation.weights();
            let dims = weights.map(|role| role.dims(&config));
            let own = width(stage);
            let fits = match (node.operation, dims.as_deref()) {
                (Operation::Embedding(_), Some(&[row, _])) => inputs.is_empty() && row == own,
                (Operation::Norm(_), Some(&[n])) => inputs == [n] && n == own,
                (Operation::HeadNormRope(_), Some(&[n])) => inputs == [own] && stage.shape(&config, 7)[1] == n,
                (Operation::Product(_) | Operation::RouterLogits(_), Some(&[cols, rows])) => {
                    inputs == [cols] && rows == own
                }
                (Operation::ExpertProduct(_), Some(&[cols, rows, n])) => {
                    let used = config.experts_used;
                    n == config.experts
                        && own == used * rows
                        && inputs[1] == used
                        && [cols, cols * used].contains(&inputs[0])
                }
                (Operation::AttentionScores | Operation::AttentionSoftmax, None) => {
                    inputs == [config.query_width(), config.kv_width()] && own == config.heads * 7
                }
                (Operation::Attention, None) => inputs == [own, config.kv_width(), config.kv_width()],
                (Operation::Residual | Operation::SwiGlu, None) => inputs == [own, own],
                (Operation::Silu, None) => inputs == [own],
                (Operation::RouterWeights | Operation::RouterExperts, None) => {
                    inputs == [config.experts] && own == config.experts_used
                }
                (Operation::ExpertsSum, None) => inputs == [config.experts_used * own, config.experts_used],
                _ => false,
            };
            assert!(fits, "{:?}: {stage} of inputs {inputs:?} and {dims:?} is {own}", config.architecture);
            let kind = weights.map(TensorRole::kind);
            let expected = match node.operation {
                Operation::Norm(_) | Operation::HeadNormRope(_) => Some(TensorKind::Norm),
                Operation::RouterLogits(_) => Some(TensorKind::Router),
                Operation::Product(_) | Operation::Embedding(_) => Some(TensorKind::Matrix),
                Operation::ExpertProduct(_) => Some(TensorKind::Experts),
                _ => None,
            };
            assert_eq!(kind, expected, "{stage}");
            let is_id = node.operation == Operation::RouterExperts;
            assert_eq!(
                (stage.ty() == StageType::Id, stage.ty() == StageType::F64),
                (is_id, matches!(node.operation, Operation::RouterLogits(_))),
                "{stage}"
            );
        }
    }
}

#[test]
fn what_nothing_reads_is_aside() {
    for config in models() {
        let graph = config.graph();
        let aside: Vec<_> = graph.nodes().map(|n| n.stage).filter(|s| graph.is_aside(*s)).collect();
        let silu = if config.experts > 0 { Stage::ExpertSilu } else { Stage::FfnSilu };
        assert_eq!(aside, [Stage::AttnScores, Stage::AttnSoftmax, silu]);
    }
}

#[test]
fn a_token_reads_chosen_experts_and_no_table() {
    let config = Preset::Tiny.config();
    let one = config.graph().bytes_of_a_token(&config, |_, _| 16);
    // Of each layer nine tensors whole and of three 4 of 16 experts; norm and matrix of the output.
    assert_eq!(one, 6 * (9 * 16 + 3 * 4) + 2 * 16);
    let tied = ModelConfig { tied: true, ..config };
    assert_eq!(tied.graph().bytes_of_a_token(&tied, |_, _| 16), one);
    let dense = Preset::TinyDense.config();
    assert_eq!(dense.graph().bytes_of_a_token(&dense, |_, _| 16), (6 * 11 + 2) * 16);
}
