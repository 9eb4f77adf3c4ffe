use super::*;

#[test]
fn the_activation_format_at_one_class_of_tensors() {
    let plant = Plant { stage: Stage::ExpertOut, layer: None, change: Change::Act(Act::Q8K) };
    let found = planted(&model(), F64, &text(), &[plant]);
    let Cause::Undeclared { side, factor, sites } = &found.verdict.cause else { panic!("{:?}", found.verdict) };
    assert_eq!((side.as_str(), factor.as_str()), ("right", "activation format"));
    assert_eq!(*sites, [0, 1, 2, 3, 4, 5].map(|l| format!("layers.{l:02}.expert_out")));
    assert_eq!(found.attributions[0].explains, 1.0);
    let expected = "the right run (right.safetensors) computes expert_out (ffn_down_exps.weight, Q4_K and Q6_K) of all \
                    layers with a different activation format from what it says: q8k instead of f32; this explains 100% of \
                    the divergence";
    assert_eq!(found.verdict.sentence, expected);
}

#[test]
fn an_accumulator_of_f32_in_one_layer() {
    let plant = Plant { stage: Stage::ExpertGate, layer: Some(4), change: Change::Acc(Acc::F32) };
    let found = planted(&model(), Policy::new(Act::Q8K, Acc::F64), &text(), &[plant]);
    let Cause::Undeclared { factor, sites, .. } = &found.verdict.cause else { panic!("{:?}", found.verdict) };
    assert_eq!((factor.as_str(), &sites[..]), ("accumulator", &["layers.04.expert_gate".to_owned()][..]));
}

#[test]
fn a_format_and_an_accumulator_planted_in_different_places() {
    let format = Plant { stage: Stage::V, layer: None, change: Change::Act(Act::Q8K) };
    let sum = Plant { stage: Stage::AttnOut, layer: Some(2), change: Change::Acc(Acc::F32) };
    let found = planted(&model(), F64, &text(), &[format, sum]);
    let kinds: Vec<_> = found.attributions.iter().map(|a| a.kind).collect();
    assert_eq!(kinds, ["activation_format", "accumulator"]);
    assert_eq!(found.attributions[1].sites, ["layers.02.attn_out"]);
}

#[test]
fn q6_k_decoded_as_q4_k_in_one_layer() {
    // What Q4_K takes for its scales must be small numbers, or the run ends in NaN at the next router.
    let gguf = edited(&model(), |name, data| {
        if name == "blk.2.attn_v.weight" {
            data.chunks_exact_mut(210).for_each(|block| block[..4].copy_from_slice(&[0, 4, 0, 4]));
        }
    });
    assert_eq!(gguf.tensor("blk.2.attn_v.weight").unwrap().ty, TensorType::Q6_K);
    let plant = |stage, layer| Plant { stage, layer: Some(layer), change: Change::Mistake(Mistake::Q6kAsQ4k) };
    for policy in [F64, Policy::new(Act::Q8K, Acc::F32)] {
        let found = planted(&gguf, policy, &text(), &[plant(Stage::V, 2)]);
        names_mistake(&found, Mistake::Q6kAsQ4k, &["layers.02.v"]);
        let sentence = "the right run (right.safetensors) makes a mistake in v (attn_v.weight, Q6_K) of layer 2: Q6_K \
                        bytes decoded as Q4_K; this explains 100% of the divergence";
        assert_eq!(found.verdict.sentence, sentence);
    }
    // Behind the last router there may be NaN.
    let found = planted(&model(), F64, &text(), &[plant(Stage::ExpertOut, 5)]);
    names_mistake(&found, Mistake::Q6kAsQ4k, &["layers.05.expert_out"]);
}

#[test]
fn a_lane_left_out_of_a_reduction() {
    let mistake = Mistake::LeftOut(Lane::Group(5));
    for (policy, stage) in [(F64, Stage::ExpertUp), (Policy::new(Act::Q8K, Acc::F32), Stage::AttnOut)] {
        let plant = Plant { stage, layer: Some(3), change: Change::Mistake(mistake) };
        let found = planted(&model(), policy, &text(), &[plant]);
        names_mistake(&found, mistake, &[&format!("layers.03.{stage}")]);
    }
}

#[test]
fn rope_pairs_interleaved() {
    let plants = [Stage::QPostRope, Stage::KPostRope].map(|stage| Plant {
        stage,
        layer: None,
        change: Change::Mistake(Mistake::RopeInterleaved),
    });
    let found = planted(&model(), F64, &text(), &plants);
    let Cause::Mistake { mistake, sites, .. } = &found.verdict.cause else { panic!("{:?}", found.verdict) };
    assert_eq!((mistake.as_str(), sites.len()), ("RoPE pairs interleaved (2i with 2i + 1)", 12));
}

#[test]
fn ties_broken_to_the_higher_id() {
    let plain = synth(Mix::Q4KM, 41, |c| (c.blocks, c.vocab, c.experts, c.experts_used) = (3, 300, 6, 3));
    // Experts 0 and 3 of each layer get the same router weights, so that they tie at every token.
    let gguf = edited(&plain, |name, data| {
        if name.ends_with("ffn_gate_inp.weight") {
            let row = data.len() / 6;
            data.copy_within(..row, 3 * row);
        }
    });
    let text = some_tokens(16, 300);
    let plant = |layer| Plant { stage: Stage::RouterExperts, layer, change: Change::Mistake(Mistake::TiesToHigher) };
    // Two equal experts at the edge of the choice: one of them goes in.
    let found = planted(&gguf, F64, &text, &[plant(Some(1))]);
    names_mistake(&found, Mistake::TiesToHigher, &["layers.01.router_experts"]);
    assert!(found.divergence.unwrap().flips > 0);
    // Without ties the mistake changes nothing.
    let (left, right) =
        (run(&plain, F64, KvType::F32, &text, &[]), run(&plain, F64, KvType::F32, &text, &[plant(None)]));
    assert_eq!(runs(&plain, &text, &left, &right).verdict.cause, Cause::NoDivergence);
}

#[test]
fn what_is_not_known_is_placed() {
    let gguf = model();
    let left = run(&gguf, F64, KvType::F32, &text(), &[]);
    let mut right = left.clone();
    // A kernel that writes one value wrongly, and everything after it computed from that.
    let Some(Tensor { values: Values::F32(values), shape }) = right.tensors.get_mut(&(Stage::Attention, Some(5)))
    else {
        panic!("it is recorded")
    };
    let width: usize = shape[1..].iter().product();
    values[7 * width + 9] *= 1.5;
    let model = PlainModel::new(&gguf).unwrap();
    let choice = Choice::of(F64, KvType::F32);
    for (stage, layer) in model.graph().stages() {
        let behind = layer == Some(5) && stage > Stage::Attention || layer.is_none() && stage > Stage::LayerOut;
        if behind && right.tensors.contains_key(&(stage, layer)) {
            let tensor = model.stage(&choice, (stage, layer), &text(), &right).unwrap();
            right.tensors.insert((stage, layer), tensor);
        }
    }
    let found = runs(&gguf, &text(), &left, &right);
    let expected = Cause::Unknown { side: "right".into(), stage: Stage::Attention, layer: Some(5) };
    assert_eq!(found.verdict.cause, expected);
    assert!(found.verdict.sentence.contains("first at position 7, value 9"), "{}", found.verdict.sentence);
    assert!(!found.right.reproduced && found.unexplained > 0.9);
}

#[test]
fn another_type_between_swiglu_and_the_down_projection() {
    for inner in [Inner::F16, Inner::BF16] {
        let plant = Plant { stage: Stage::ExpertSwiglu, layer: None, change: Change::Inner(inner) };
        let found = planted(&model(), F64, &text(), &[plant]);
        let Cause::Undeclared { side, factor, sites } = &found.verdict.cause else { panic!("{:?}", found.verdict) };
        assert_eq!((side.as_str(), factor.as_str()), ("right", "SwiGLU intermediate"));
        assert_eq!(*sites, [0, 1, 2, 3, 4, 5].map(|l| format!("layers.{l:02}.expert_swiglu")));
        let [found] = &found.attributions[..] else { panic!("one factor") };
        assert_eq!((found.left.as_str(), &found.right, found.explains), ("f32", &inner.to_string(), 1.0));
    }
}

#[test]
fn a_router_in_f32() {
    let plant = Plant { stage: Stage::RouterLogits, layer: Some(3), change: Change::RouterInF32 };
    let found = planted(&model(), F64, &text(), &[plant]);
    let Cause::Undeclared { factor, sites, .. } = &found.verdict.cause else { panic!("{:?}", found.verdict) };
    assert_eq!(factor, "router precision");
    let expected = ["layers.03.router_logits", "layers.03.router_weights"].map(str::to_owned);
    assert_eq!(*sites, expected);
    assert_eq!(found.attributions[0].kind, "router_precision");
    assert_eq!((found.attributions[0].left.as_str(), found.attributions[0].right.as_str()), ("f64", "f32"));
}
