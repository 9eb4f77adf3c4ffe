//! Names of tensors in traces, of this program and others.

use crate::graph::Stage;

/// The names of a stage's tensor in other programs: in llama.cpp's graph, in Python modules, and in this project's
/// oracle.
const ALIASES: &[(&str, Stage)] = &[
    ("inp_embd", Stage::Embedding),
    ("embed_tokens", Stage::Embedding),
    ("input_layernorm", Stage::AttnNorm),
    ("Qcur", Stage::Q),
    ("q_proj", Stage::Q),
    ("Kcur", Stage::K),
    ("k_proj", Stage::K),
    ("Vcur", Stage::V),
    ("v_proj", Stage::V),
    ("kqv_out", Stage::Attention),
    ("o_proj", Stage::AttnOut),
    ("ffn_inp", Stage::PostAttnResidual),
    ("post_attention_layernorm", Stage::FfnNorm),
    ("ffn_moe_logits", Stage::RouterLogits),
    ("ffn_moe_topk", Stage::RouterExperts),
    ("experts", Stage::RouterExperts),
    ("ffn_moe_weights_norm", Stage::RouterWeights),
    ("router", Stage::RouterWeights),
    ("mlp.gate_proj", Stage::FfnGate),
    ("mlp.up_proj", Stage::FfnUp),
    ("mlp.down_proj", Stage::FfnOut),
    ("ffn_down", Stage::FfnOut),
    ("ffn_moe_gate", Stage::ExpertGate),
    ("ffn_moe_up", Stage::ExpertUp),
    ("ffn_moe_swiglu", Stage::ExpertSwiglu),
    ("ffn_moe_down", Stage::ExpertOut),
    ("ffn_moe_out", Stage::MoeFfnOut),
    ("mlp", Stage::MoeFfnOut),
    ("l_out", Stage::LayerOut),
    ("out", Stage::LayerOut),
    ("norm", Stage::FinalNorm),
    ("result_norm", Stage::FinalNorm),
    ("lm_head", Stage::Logits),
    ("result_output", Stage::Logits),
];

/// The stage and layer of a tensor's name: `layers.3.attn_norm`, `model.layers.3.mlp`, `l3.out`, `attn_norm-3`,
/// `logits`.
pub(super) fn stage_of(name: &str) -> Option<(Stage, Option<usize>)> {
    let name = name.strip_prefix("model.").unwrap_or(name);
    let (layer, stage) = layer_of(name);
    let stage = stage.strip_prefix("self_attn.").unwrap_or(stage);
    let known = stage.parse().ok();
    let stage = known.or_else(|| ALIASES.iter().find(|(alias, _)| *alias == stage).map(|(_, stage)| *stage))?;
    (stage.in_layer() == layer.is_some()).then_some((stage, layer))
}

/// A layer's number, and the rest of the name. Numbers from 65,536 on are rejected, because a reader iterates over all
/// layers up to the last.
fn layer_of(name: &str) -> (Option<usize>, &str) {
    let number = |layer: &str| layer.parse::<u16>().ok().map(usize::from);
    if let Some((stage, layer)) = name.rsplit_once('-')
        && let Some(layer) = number(layer)
    {
        return (Some(layer), stage);
    }
    for prefix in ["layers.", "layer.", "blk.", "l"] {
        if let Some((layer, stage)) = name.strip_prefix(prefix).and_then(|rest| rest.split_once('.'))
            && let Some(layer) = number(layer)
        {
            return (Some(layer), stage);
        }
    }
    (None, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_names_are_read_back() {
        for (stage, layer) in Stage::all_of(12) {
            assert_eq!(stage_of(&stage.tensor_name(layer)), Some((stage, layer)));
        }
    }

    #[test]
    fn others_names_are_understood() {
        assert_eq!(stage_of("l0.experts"), Some((Stage::RouterExperts, Some(0))));
        assert_eq!(stage_of("l11.out"), Some((Stage::LayerOut, Some(11))));
        assert_eq!(stage_of("ffn_inp-3"), Some((Stage::PostAttnResidual, Some(3))));
        assert_eq!(stage_of("model.layers.7.self_attn.q_proj"), Some((Stage::Q, Some(7))));
        assert_eq!(stage_of("blk.2.attn_norm"), Some((Stage::AttnNorm, Some(2))));
        assert_eq!(stage_of("model.norm"), Some((Stage::FinalNorm, None)));
        for name in ["tokens", "logits-2", "l0.", "layers.x.q", "q", "layers.1.logits"] {
            assert_eq!(stage_of(name), None, "{name}");
        }
    }
}
