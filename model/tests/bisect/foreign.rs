//! Runs of other programs: files with other names, in f32 throughout, summed in other orders, that say nothing
//! of how they were made.

use super::*;
use ptxgen_model::trace::TraceFile;
use safetensors::{Dtype, tensor::TensorView};
use std::path::Path;

/// llama.cpp's names.
fn llama_cpp(stage: Stage, layer: Option<usize>) -> Option<String> {
    let name = match stage {
        Stage::Embedding => return Some("inp_embd".into()),
        Stage::FinalNorm => return Some("result_norm".into()),
        Stage::Logits => return Some("result_output".into()),
        Stage::AttnNorm => "attn_norm",
        Stage::Q => "Qcur",
        Stage::K => "Kcur",
        Stage::V => "Vcur",
        Stage::Attention => "kqv_out",
        Stage::AttnOut => "attn_out",
        Stage::PostAttnResidual => "ffn_inp",
        Stage::FfnNorm => "ffn_norm",
        Stage::RouterLogits => "ffn_moe_logits",
        Stage::RouterExperts => "ffn_moe_topk",
        Stage::RouterWeights => "ffn_moe_weights_norm",
        Stage::ExpertGate => "ffn_moe_gate",
        Stage::ExpertUp => "ffn_moe_up",
        Stage::ExpertSwiglu => "ffn_moe_swiglu",
        Stage::ExpertOut => "ffn_moe_down",
        Stage::MoeFfnOut => "ffn_moe_out",
        Stage::LayerOut => "l_out",
        _ => return None,
    };
    Some(format!("{name}-{}", layer?))
}

/// Names as a Python program's hooks give them.
fn python(stage: Stage, layer: Option<usize>) -> Option<String> {
    let name = match stage {
        Stage::Embedding => return Some("model.embed_tokens".into()),
        Stage::FinalNorm => return Some("model.norm".into()),
        Stage::Logits => return Some("lm_head".into()),
        Stage::AttnNorm => "input_layernorm",
        Stage::Q => "self_attn.q_proj",
        Stage::K => "self_attn.k_proj",
        Stage::V => "self_attn.v_proj",
        Stage::AttnOut => "self_attn.o_proj",
        Stage::FfnNorm => "post_attention_layernorm",
        Stage::MoeFfnOut => "mlp",
        _ => return None,
    };
    Some(format!("model.layers.{}.{name}", layer?))
}

/// What another program would have: each value off by up to 1e-6 of itself, since it sums in an order of its
/// own.
fn off(values: &mut [f32]) {
    for (i, value) in values.iter_mut().enumerate() {
        let noise = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        *value *= 1.0 + 1e-6 * (noise as f32 / (1 << 23) as f32 - 1.0);
    }
}

/// A run as another program computes and writes it: stage by stage from values that are off.
fn run_of_others(gguf: &Gguf, choice: impl Fn(Stage, Option<usize>) -> Choice, tokens: &[u32]) -> TraceData {
    let model = PlainModel::new(gguf).unwrap();
    let mut data = TraceData { positions: (0..tokens.len()).collect(), ..TraceData::default() };
    for (stage, layer) in model.graph().stages() {
        let mut tensor = model.stage(&choice(stage, layer), (stage, layer), tokens, &data).unwrap();
        match &mut tensor.values {
            Values::F32(values) if stage != Stage::Embedding => off(values),
            _ => {}
        }
        data.tensors.insert((stage, layer), tensor);
    }
    data
}

/// Writes and reads a run under other names: what has none is left out. Ids are i64, all else f32.
fn through_a_file(data: &TraceData, name: fn(Stage, Option<usize>) -> Option<String>, folder: &Path) -> TraceData {
    let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
    for ((stage, layer), tensor) in &data.tensors {
        let Some(name) = name(*stage, *layer) else { continue };
        let (ty, bytes) = match &tensor.values {
            Values::U32(v) => (Dtype::I64, v.iter().flat_map(|&v| i64::from(v).to_le_bytes()).collect()),
            values => (Dtype::F32, (0..values.len()).flat_map(|i| (values.at(i) as f32).to_le_bytes()).collect()),
        };
        tensors.push((name, ty, tensor.shape.clone(), bytes));
    }
    let views = tensors
        .iter()
        .map(|(name, ty, shape, bytes)| (name.clone(), TensorView::new(*ty, shape.clone(), bytes).unwrap()));
    let path = folder.join("foreign.safetensors");
    std::fs::write(&path, safetensors::serialize(views.collect::<Vec<_>>(), None).unwrap()).unwrap();
    let file = TraceFile::open(&path).unwrap();
    assert_eq!(file.unknown(), [""; 0]);
    file.data().unwrap()
}

#[test]
fn the_activation_format_of_another_program_is_found() {
    let (gguf, folder) = (small(3), tempfile::tempdir().unwrap());
    let q8k = Choice::of(Policy::new(Act::Q8K, Acc::F32), KvType::F32);
    let ran = run_of_others(&gguf, |_, _| q8k, &some_tokens(6, 300));
    let right = run(&gguf, F64, KvType::F32, &some_tokens(6, 300), &[]);
    let left = through_a_file(&ran, llama_cpp, folder.path());
    let found = runs(&gguf, &some_tokens(6, 300), &left, &right);
    // It said nothing of its format, so it is not wrong.
    let Cause::Choices { factors } = &found.verdict.cause else { panic!("{:?}", found.verdict) };
    assert_eq!(factors[0], "activation format");
    let act = &found.attributions[0];
    assert_eq!((act.left.as_str(), act.right.as_str()), ("q8k", "f32"));
    assert!(act.explains > 0.5, "{act:?}");
    // Of Python's names too few stages are known to say what each computes, but those that are say it.
    let left = through_a_file(&ran, python, folder.path());
    let found = runs(&gguf, &some_tokens(6, 300), &left, &right);
    assert_eq!(found.attributions[0].factor, "activation format", "{:?}", found.left.findings);
    assert!(found.attributions[0].sites.contains(&"layers.00.q".to_owned()));
}

#[test]
fn a_mistake_of_another_program_is_found() {
    let (gguf, folder) = (small(3), tempfile::tempdir().unwrap());
    let choice = Choice::of(F64, KvType::F32);
    let mistake = Mistake::LeftOut(Lane::Group(9));
    let planted = |stage, layer| match (stage, layer) {
        (Stage::ExpertGate, Some(2)) => Choice { mistake: Some(mistake), ..choice },
        _ => choice,
    };
    let left = through_a_file(&run_of_others(&gguf, planted, &some_tokens(6, 300)), llama_cpp, folder.path());
    let right = run(&gguf, F64, KvType::F32, &some_tokens(6, 300), &[]);
    let found = runs(&gguf, &some_tokens(6, 300), &left, &right);
    let Cause::Mistake { side, mistake: named, sites } = &found.verdict.cause else { panic!("{:?}", found.verdict) };
    assert_eq!((side.as_str(), named.as_str()), ("left", mistake.to_string().as_str()));
    assert_eq!(*sites, ["layers.02.expert_gate"]);
}

#[test]
fn a_narrow_intermediate_of_another_program_is_found() {
    let (gguf, folder) = (small(3), tempfile::tempdir().unwrap());
    for inner in [Inner::F16, Inner::BF16] {
        let choice = Choice { inner, ..Choice::of(F64, KvType::F32) };
        let left = through_a_file(&run_of_others(&gguf, |_, _| choice, &some_tokens(6, 300)), llama_cpp, folder.path());
        let right = run(&gguf, F64, KvType::F32, &some_tokens(6, 300), &[]);
        let found = runs(&gguf, &some_tokens(6, 300), &left, &right);
        let Cause::Choices { factors } = &found.verdict.cause else { panic!("{:?}", found.verdict) };
        assert_eq!(factors[0], "SwiGLU intermediate");
        assert_eq!(found.attributions[0].left, inner.to_string());
    }
}

#[test]
fn two_programs_that_differ_in_their_orders_only_have_no_cause() {
    let (gguf, folder) = (small(3), tempfile::tempdir().unwrap());
    let choice = Choice::of(F64, KvType::F32);
    let left = through_a_file(&run_of_others(&gguf, |_, _| choice, &some_tokens(6, 300)), llama_cpp, folder.path());
    let right = run(&gguf, F64, KvType::F32, &some_tokens(6, 300), &[]);
    let found = runs(&gguf, &some_tokens(6, 300), &left, &right);
    assert!(!found.verdict.is_fault(), "{:?}", found.verdict);
    assert!(found.attributions.is_empty(), "{:?}", found.attributions);
    assert!(found.divergence.unwrap().relative < 1e-4);
}
