//! What a file may say of its model, and what is refused by name.

use expect_test::{Expect, expect};
use ptxgen_dsl::reference::RopeScaling;
use ptxgen_model::{
    ModelConfig, TensorRole,
    gguf::{Array, Gguf, GgufWriter, TensorType, Value},
    synth::{Mix, Preset, Synth, Vocabulary},
};

/// A model small enough to be written in every test.
fn small() -> Synth {
    let config = ModelConfig {
        blocks: 1,
        context: 64,
        hidden: 32,
        heads: 3,
        kv_heads: 1,
        head_dim: 32,
        experts: 3,
        experts_used: 2,
        expert_ff: 64,
        vocab: 260,
        ..Preset::Tiny.config()
    };
    Synth { config, mix: Mix::One(TensorType::Q8_0), vocabulary: Vocabulary::None, seed: 0 }
}

type Tensors = Vec<(String, Vec<usize>, TensorType)>;

/// The file of [`small`] with changed keys and tensors, the weights zero.
fn changed(keys: &[(&str, Option<Value>)], edit: impl FnOnce(&mut Tensors)) -> Gguf {
    let synth = small();
    let bytes = synth.writer().to_bytes(&vec![0; synth.writer().data_bytes() as usize]);
    let original = Gguf::from_bytes("m.gguf", &bytes.unwrap()).unwrap();
    let mut w = GgufWriter::new();
    for (key, value) in original.metadata().iter() {
        if !keys.iter().any(|(k, v)| *k == key && v.is_none()) {
            w.set(key, value.clone());
        }
    }
    for (key, value) in keys {
        if let Some(v) = value {
            w.set(key, v.clone());
        }
    }
    let mut tensors: Tensors = original.tensors().map(|t| (t.name.into(), t.dims.to_vec(), t.ty)).collect();
    edit(&mut tensors);
    for (name, dims, ty) in &tensors {
        w.tensor(name, dims, *ty);
    }
    let bytes = w.to_bytes(&vec![0; w.data_bytes() as usize]).unwrap();
    Gguf::from_bytes("m.gguf", &bytes).unwrap()
}

fn with(key: &str, value: impl Into<Value>) -> Gguf {
    changed(&[(key, Some(value.into()))], |_| {})
}

fn refused(gguf: &Gguf, message: Expect) {
    message.assert_eq(&ModelConfig::from_gguf(gguf).unwrap_err().to_string());
}

#[test]
fn what_synth_writes_is_read() {
    let shapes = [
        (Preset::Tiny, 256, false),
        (Preset::Tiny, 288, true),
        (Preset::TinyDense, 256, false),
        (Preset::TinyDense, 288, true),
    ];
    for (preset, hidden, tied) in shapes {
        let mut synth = small();
        synth.config = ModelConfig { hidden, tied, blocks: 2, vocab: 64, ..preset.config() };
        let gguf = Gguf::from_bytes("m.gguf", &synth.to_bytes().unwrap()).unwrap();
        assert_eq!(ModelConfig::from_gguf(&gguf).unwrap(), synth.config);
    }
    let c = small().config;
    assert_eq!((c.query_width(), c.kv_width(), c.kv_bytes_per_token(2)), (96, 32, 128));
}

#[test]
fn defaults_of_llama_cpp() {
    let gguf = changed(
        &[
            ("qwen3moe.rope.freq_base", None),
            ("qwen3moe.expert_feed_forward_length", None),
            ("qwen3moe.attention.head_count_kv", Some(Value::U32(1))),
            ("qwen3moe.vocab_size", None),
            ("qwen3moe.rope.dimension_count", Some(Value::U32(32))),
            ("qwen3moe.rope.scaling.type", Some("none".into())),
            ("qwen3moe.rope.scaling.factor", Some(Value::F32(1.0))),
            ("qwen3moe.expert_weights_norm", Some(true.into())),
            ("qwen3moe.expert_gating_func", Some(Value::U32(1))),
            ("qwen3moe.attention.sliding_window", Some(Value::U32(0))),
            ("general.license", Some("apache-2.0".into())),
        ],
        |_| {},
    );
    let config = ModelConfig::from_gguf(&gguf).unwrap();
    assert_eq!(config, ModelConfig { rope_base: 10000.0, ..small().config });
}

#[test]
fn keys() {
    refused(
        &with("general.architecture", "llama"),
        expect![[r#"m.gguf: architecture "llama" is not supported; "qwen3moe" (Qwen3-MoE) and "qwen3" (Qwen3) are"#]],
    );
    refused(
        &changed(&[("general.architecture", None)], |_| {}),
        expect![[r#"m.gguf: has no key "general.architecture", which is needed"#]],
    );
    refused(
        &changed(&[("qwen3moe.block_count", None)], |_| {}),
        expect![[r#"m.gguf: has no key "qwen3moe.block_count", which is needed"#]],
    );
    refused(
        &with("qwen3moe.attention.head_count", Array::U32(vec![3, 3])),
        expect![[r#"m.gguf: key "qwen3moe.attention.head_count" is of type array of u32, expected an integer"#]],
    );
    refused(
        &with("qwen3moe.block_count", 0u32),
        expect![[r#"m.gguf: key "qwen3moe.block_count" is 0, expected 1 or more"#]],
    );
    refused(
        &with("qwen3moe.block_count", u32::MAX),
        expect![[
            r#"100 or more problems keep ptxgen from running it: m.gguf: has no tensor "blk.1.attn_norm.weight", which is needed; there is "blk.0.attn_norm.weight"; m.gguf: has no tensor "blk.1.ffn_norm.weight", which is needed; there is "blk.0.ffn_norm.weight"; m.gguf: has no tensor "blk.1.attn_q_norm.weight", which is needed; there is "blk.0.attn_q_norm.weight"; m.gguf: has no tensor "blk.1.attn_k_norm.weight", which is needed; there is "blk.0.attn_k_norm.weight"; m.gguf: has no tensor "blk.1.attn_q.weight", which is needed; there is "blk.0.attn_q.weight"; m.gguf: has no tensor "blk.1.attn_k.weight", which is needed; there is "blk.0.attn_k.weight"; m.gguf: has no tensor "blk.1.attn_v.weight", which is needed; there is "blk.0.attn_v.weight"; m.gguf: has no tensor "blk.1.attn_output.weight", which is needed; there is "blk.0.attn_output.weight"; m.gguf: has no tensor "blk.1.ffn_gate_inp.weight", which is needed; there is "blk.0.ffn_gate_inp.weight"; m.gguf: has no tensor "blk.1.ffn_gate_exps.weight", which is needed; there is "blk.0.ffn_gate_exps.weight"; and others"#
        ]],
    );
    refused(
        &with("qwen3moe.attention.head_count_kv", 2u32),
        expect![[
            r#"m.gguf: key "qwen3moe.attention.head_count_kv" is 2, expected a divisor of attention.head_count, 3"#
        ]],
    );
    refused(
        &with("qwen3moe.attention.key_length", 31u32),
        expect![[r#"m.gguf: key "qwen3moe.attention.key_length" is 31, expected an even number (RoPE turns pairs)"#]],
    );
    refused(
        &with("qwen3moe.attention.value_length", 64u32),
        expect![[r#"m.gguf: key "qwen3moe.attention.value_length" is 64, expected attention.key_length, 32"#]],
    );
    refused(
        &with("qwen3moe.rope.dimension_count", 16u32),
        expect![[r#"m.gguf: key "qwen3moe.rope.dimension_count" is 16, expected attention.key_length, 32"#]],
    );
    refused(
        &with("qwen3moe.expert_used_count", 4u32),
        expect![[r#"m.gguf: key "qwen3moe.expert_used_count" is 4, expected at most expert_count, 3"#]],
    );
    refused(
        &with("qwen3moe.attention.layer_norm_rms_epsilon", f32::NAN),
        expect![[
            r#"m.gguf: key "qwen3moe.attention.layer_norm_rms_epsilon" is NaN, expected a finite number of at least 0"#
        ]],
    );
    refused(
        &with("qwen3moe.rope.freq_base", 0f32),
        expect![[r#"m.gguf: key "qwen3moe.rope.freq_base" is 0, expected a finite number of at least 1"#]],
    );
    refused(
        &with("qwen3moe.vocab_size", 100u32),
        expect![[r#"m.gguf: key "qwen3moe.vocab_size" is 100, expected the rows of token_embd.weight, 260"#]],
    );
    let tokens = Array::Str(["a", "b"].into_iter().collect());
    refused(
        &with("tokenizer.ggml.tokens", tokens),
        expect![[
            r#"m.gguf: key "tokenizer.ggml.tokens" is a list of 2 tokens, expected one for each of the 260 rows of token_embd.weight"#
        ]],
    );
}

#[test]
fn stretched_contexts() {
    let scaling = |keys: &[(&str, Value)]| {
        let keys: Vec<_> = keys.iter().map(|(k, v)| (format!("qwen3moe.rope.scaling.{k}"), v.clone())).collect();
        let keys: Vec<_> = keys.iter().map(|(k, v)| (&**k, Some(v.clone()))).collect();
        ModelConfig::from_gguf(&changed(&keys, |_| {})).unwrap().rope_scaling
    };
    assert_eq!(scaling(&[("type", "linear".into()), ("factor", Value::F32(1.0))]), RopeScaling::None);
    // A factor alone is linear, as in llama.cpp.
    assert_eq!(scaling(&[("factor", Value::F32(4.0))]), RopeScaling::Linear { factor: 4.0 });
    assert_eq!(scaling(&[("type", "none".into()), ("factor", Value::F32(4.0))]), RopeScaling::None);
    let context = small().config.context as f64;
    let usual = RopeScaling::Yarn { factor: 4.0, original: context, beta_fast: 32.0, beta_slow: 1.0, attention: 1.0 };
    let yarn = [("type", "yarn".into()), ("factor", Value::F32(4.0))];
    assert_eq!(scaling(&yarn), usual);
    let more = [
        ("original_context_length", Value::U32(32768)),
        ("yarn_beta_fast", Value::F32(16.0)),
        ("yarn_beta_slow", Value::F32(2.0)),
        ("attn_factor", Value::F32(0.5)),
    ];
    assert_eq!(
        scaling(&[&yarn[..], &more].concat()),
        RopeScaling::Yarn { factor: 4.0, original: 32768.0, beta_fast: 16.0, beta_slow: 2.0, attention: 0.5 }
    );
}

#[test]
fn keys_that_change_the_function() {
    refused(
        &with("qwen3moe.rope.scaling.type", "longrope"),
        expect![[r#"m.gguf: key "qwen3moe.rope.scaling.type" is "longrope", expected "none", "linear" or "yarn""#]],
    );
    refused(
        &with("qwen3moe.rope.scaling.factor", 0f32),
        expect![[r#"m.gguf: key "qwen3moe.rope.scaling.factor" is 0, expected a number above 0, at most 4096"#]],
    );
    refused(
        &with("qwen3moe.attention.sliding_window", 4096u32),
        expect![[
            r#"m.gguf: key "qwen3moe.attention.sliding_window" is 4096, expected 0; another value would change what the model computes, which is not supported"#
        ]],
    );
    refused(
        &with("qwen3moe.attention.causal", false),
        expect![[
            r#"m.gguf: key "qwen3moe.attention.causal" is false, expected true; another value would change what the model computes, which is not supported"#
        ]],
    );
    refused(
        &with("qwen3moe.expert_weights_norm", false),
        expect![[
            r#"m.gguf: key "qwen3moe.expert_weights_norm" is false, expected true; another value would change what the model computes, which is not supported"#
        ]],
    );
    refused(
        &with("qwen3moe.expert_weights_scale", 2.5f32),
        expect![[
            r#"m.gguf: key "qwen3moe.expert_weights_scale" is 2.5, expected 0 or 1; another value would change what the model computes, which is not supported"#
        ]],
    );
    refused(
        &with("qwen3moe.expert_gating_func", 2u32),
        expect![[
            r#"m.gguf: key "qwen3moe.expert_gating_func" is 2, expected 0 or 1; another value would change what the model computes, which is not supported"#
        ]],
    );
    refused(
        &with("qwen3moe.expert_shared_count", 1u32),
        expect![[
            r#"m.gguf: key "qwen3moe.expert_shared_count" is 1, expected 0; another value would change what the model computes, which is not supported"#
        ]],
    );
    refused(
        &with("qwen3moe.final_logit_softcapping", 30f32),
        expect![[
            r#"m.gguf: key "qwen3moe.final_logit_softcapping" is 30, expected 0; another value would change what the model computes, which is not supported"#
        ]],
    );
    refused(
        &with("qwen3moe.leading_dense_block_count", 1u32),
        expect![[
            r#"m.gguf: key "qwen3moe.leading_dense_block_count" is 1, expected 0; another value would change what the model computes, which is not supported"#
        ]],
    );
    refused(
        &with("qwen3moe.rope.scaling.yarn_log_multiplier", 0.1f32),
        expect![[
            r#"m.gguf: key "qwen3moe.rope.scaling.yarn_log_multiplier" is not known and could change what the model computes; not supported"#
        ]],
    );
}

/// The keys of the architecture that llama.cpp knows (`LLM_KV_NAMES`), but for those that are read:
/// whatever such a key says, either it says nothing or the file is refused by its name.
#[test]
fn every_key_of_llama_cpp_is_read_or_refused() {
    let keys = "embedding_length_out embedding_length_per_layer_input features_length leading_dense_block_count \
        expert_shared_feed_forward_length expert_chunk_feed_forward_length swiglu_clamp_exp swiglu_clamp_shexp \
        use_parallel_residual tensor_data_layout expert_shared_count expert_group_count expert_group_used_count \
        expert_weights_scale expert_weights_norm expert_gating_func expert_group_scale experts_per_group \
        moe_every_n_layers moe_latent_size nextn_predict_layers n_deepstack_layers deepstack_mapping \
        hidden_activation pooling_type logit_scale decoder_start_token_id decoder_block_count \
        attn_logit_softcapping router_logit_softcapping final_logit_softcapping swin_norm rescale_every_n_layers \
        residual_scale embedding_scale token_shift_count interleave_moe_layer_step full_attention_interval \
        attention.max_alibi_bias attention.clamp_kqv attention.layer_norm_epsilon attention.group_norm_epsilon \
        attention.group_norm_groups attention.causal attention.q_lora_rank attention.kv_lora_rank \
        attention.relative_buckets_count attention.sliding_window attention.sliding_window_pattern attention.scale \
        attention.output_scale attention.value_scale attention.temperature_length attention.temperature_scale \
        attention.key_length_mla attention.value_length_mla attention.key_length_swa attention.value_length_swa \
        attention.indexer.head_count attention.indexer.top_k attention.output_lora_rank \
        attention.compress_rope_freq_base attention.shared_kv_layers attention.recurrent_layers \
        hyper_connection.count hash_layer_count rope.dimension_count_swa rope.dimension_sections \
        rope.freq_base_swa rope.scale_linear rope.scaling.alpha rope.scaling.yarn_log_multiplier ssm.conv_kernel \
        wkv.head_size shortconv.l_cache target_layers norm_before_residual";
    let values: [Value; 5] =
        [Value::U32(3), Value::F32(0.5), false.into(), "linear".into(), Array::U32(vec![0, 1]).into()];
    for key in keys.split_whitespace() {
        let key = format!("qwen3moe.{key}");
        for value in &values {
            let e = ModelConfig::from_gguf(&with(&key, value.clone())).expect_err(&key).to_string();
            assert!(e.starts_with(&format!("m.gguf: key \"{key}\" is ")), "{e}");
        }
    }
}

/// A key that is read, with a value that makes another model, is refused by name.
#[test]
fn keys_that_are_read_must_fit() {
    let integers = ["embedding_length", "block_count", "attention.head_count", "attention.head_count_kv"];
    let more = ["attention.key_length", "attention.value_length", "rope.dimension_count", "expert_count"];
    let rest = ["expert_used_count", "expert_feed_forward_length", "vocab_size", "context_length"];
    for key in integers.into_iter().chain(more).chain(rest) {
        let key = format!("qwen3moe.{key}");
        for value in [Value::U32(0), Value::F32(1.0), Value::I64(-1), Value::U64(1 << 32), "x".into()] {
            let e = ModelConfig::from_gguf(&with(&key, value)).expect_err(&key).to_string();
            assert!(e.starts_with(&format!("m.gguf: key \"{key}\" is ")), "{e}");
        }
    }
    for key in ["rope.freq_base", "attention.layer_norm_rms_epsilon"] {
        let key = format!("qwen3moe.{key}");
        for value in [Value::U32(1), Value::F32(-1.0), Value::F64(f64::INFINITY), Value::F32(f32::NAN), "x".into()] {
            let e = ModelConfig::from_gguf(&with(&key, value)).expect_err(&key).to_string();
            assert!(e.starts_with(&format!("m.gguf: key \"{key}\" is ")), "{e}");
        }
    }
}

#[test]
fn tensors() {
    let rename = |from: &'static str, to: &'static str| {
        changed(&[], move |t| t.iter_mut().filter(|t| t.0 == from).for_each(|t| t.0 = to.into()))
    };
    let add = |name: &str| changed(&[], |t| t.push((name.into(), vec![32], TensorType::F32)));
    let reshape = |name: &'static str, dims: &[usize], ty| {
        let new = (name.into(), dims.to_vec(), ty);
        changed(&[], move |t| t.iter_mut().filter(|t| t.0 == name).for_each(|t| *t = new.clone()))
    };
    refused(
        &rename("blk.0.attn_q.weight", "blk.0.attn_qq.weight"),
        expect![[
            r#"2 problems keep ptxgen from running it: m.gguf: has no tensor "blk.0.attn_q.weight", which is needed; there is "blk.0.attn_qq.weight"; m.gguf: tensor "blk.0.attn_qq.weight" is not part of a Qwen3-MoE of block_count 1 and could change what the model computes; not supported"#
        ]],
    );
    refused(
        &rename("token_embd.weight", "embedding"),
        expect![[r#"m.gguf: has no tensor "token_embd.weight", which is needed"#]],
    );
    refused(
        &rename("output.weight", "outputs.weight"),
        expect![[
            r#"m.gguf: tensor "outputs.weight" is not part of a Qwen3-MoE of block_count 1 and could change what the model computes; not supported"#
        ]],
    );
    refused(
        &add("rope_freqs.weight"),
        expect![[
            r#"m.gguf: tensor "rope_freqs.weight" is not part of a Qwen3-MoE of block_count 1 and could change what the model computes; not supported"#
        ]],
    );
    refused(
        &add("blk.0.attn_q.bias"),
        expect![[
            r#"m.gguf: tensor "blk.0.attn_q.bias" is not part of a Qwen3-MoE of block_count 1 and could change what the model computes; not supported"#
        ]],
    );
    refused(
        &add("blk.1.attn_norm.weight"),
        expect![[
            r#"m.gguf: tensor "blk.1.attn_norm.weight" is not part of a Qwen3-MoE of block_count 1 and could change what the model computes; not supported"#
        ]],
    );
    refused(
        &reshape("blk.0.attn_output.weight", &[32, 96], TensorType::Q8_0),
        expect![[
            r#"m.gguf: tensor "blk.0.attn_output.weight" has dimensions [32, 96], expected [96, 32] (innermost first)"#
        ]],
    );
    refused(
        &reshape("blk.0.ffn_up_exps.weight", &[32, 64], TensorType::Q8_0),
        expect![[
            r#"m.gguf: tensor "blk.0.ffn_up_exps.weight" has dimensions [32, 64], expected [32, 64, 3] (innermost first)"#
        ]],
    );
    refused(
        &reshape("blk.0.ffn_gate_inp.weight", &[32, 3], TensorType::F16),
        expect![[r#"m.gguf: tensor "blk.0.ffn_gate_inp.weight" has type F16, expected F32"#]],
    );
    refused(
        &reshape("token_embd.weight", &[64, 260], TensorType::Q8_0),
        expect![[
            r#"m.gguf: tensor "token_embd.weight" has dimensions [64, 260], expected [32, 260] (innermost first)"#
        ]],
    );
}

/// What belongs to another architecture is refused by name.
#[test]
fn a_dense_model_has_no_experts() {
    let mut synth = small();
    synth.config = ModelConfig { blocks: 1, vocab: 64, tied: true, ..Preset::TinyDense.config() };
    let build = |edit: fn(&mut GgufWriter), tensors: &[&str]| {
        let mut w = GgufWriter::new();
        for (key, value) in Gguf::from_bytes("m.gguf", &synth.to_bytes().unwrap()).unwrap().metadata().iter() {
            w.set(key, value.clone());
        }
        edit(&mut w);
        for (role, block) in synth.config.tensors() {
            w.tensor(&role.name(block), &role.dims(&synth.config), synth.tensor_type(role, block));
        }
        for name in tensors {
            w.tensor(name, &[256, 4], TensorType::F32);
        }
        let bytes = w.to_bytes(&vec![0; w.data_bytes() as usize]).unwrap();
        Gguf::from_bytes("m.gguf", &bytes).unwrap()
    };
    let config = ModelConfig::from_gguf(&build(|_| (), &[])).unwrap();
    assert_eq!((config.architecture.name, config.ff, config.experts, config.tied), ("qwen3", 512, 0, true));
    refused(
        &build(
            |w| {
                w.set("qwen3.expert_count", 8u32);
            },
            &[],
        ),
        expect![[
            r#"m.gguf: key "qwen3.expert_count" is not known and could change what the model computes; not supported"#
        ]],
    );
    refused(
        &build(|_| (), &["blk.0.ffn_gate_inp.weight"]),
        expect![[
            r#"m.gguf: tensor "blk.0.ffn_gate_inp.weight" is not part of a Qwen3 of block_count 1 and could change what the model computes; not supported"#
        ]],
    );
}

#[test]
fn an_absent_output_is_the_embedding() {
    let gguf = changed(&[], |t| t.retain(|t| t.0 != TensorRole::Output.name(None)));
    assert!(ModelConfig::from_gguf(&gguf).unwrap().tied);
}
