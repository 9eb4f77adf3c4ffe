//! The same of a model without experts: what bisection tries comes from its graph.

use super::*;
use ptxgen_model::{
    device::{DeviceModel, DeviceOptions},
    synth::Preset,
};
use ptxgen_runtime::Device;

fn dense() -> Gguf {
    synth(Mix::One(TensorType::Q6_K), 52, |c| {
        *c = Preset::TinyDense.config();
        (c.blocks, c.vocab) = (2, 300);
    })
}

fn tokens() -> Vec<u32> {
    some_tokens(6, 300)
}

#[test]
fn choices_and_mistakes_in_a_dense_feed_forward() {
    let gguf = dense();
    let plant = Plant { stage: Stage::FfnOut, layer: Some(1), change: Change::Mistake(Mistake::Q6kAsQ4k) };
    let found = planted(&gguf, F64, &tokens(), &[plant]);
    names_mistake(&found, Mistake::Q6kAsQ4k, &["layers.01.ffn_out"]);

    let changes = [
        (Stage::FfnSwiglu, Change::Inner(Inner::F16), "SwiGLU intermediate"),
        (Stage::FfnGate, Change::Act(Act::Q8K), "activation format"),
    ];
    for (stage, change, name) in changes {
        let found = planted(&gguf, F64, &tokens(), &[Plant { stage, layer: Some(0), change }]);
        let Cause::Undeclared { factor, sites, .. } = &found.verdict.cause else { panic!("{:?}", found.verdict) };
        assert_eq!((factor.as_str(), &sites[..]), (name, &[stage.tensor_name(Some(0))][..]));
    }
}

#[test]
fn policies_and_devices() {
    let gguf = dense();
    let (left, right) = (
        run(&gguf, F64, KvType::F32, &tokens(), &[]),
        run(&gguf, Policy::new(Act::Q8K, Acc::F32), KvType::F32, &tokens(), &[]),
    );
    let found = runs(&gguf, &tokens(), &left, &right);
    assert!(found.left.reproduced && found.right.reproduced);
    let factors: Vec<_> = found.attributions.iter().map(|a| a.factor.as_str()).collect();
    assert!(factors.contains(&"activation format") && factors.contains(&"accumulator"), "{factors:?}");

    let options = DeviceOptions { policy: F64, kv: KvType::F32, pass: 4 };
    let device = DeviceModel::load(&Device::interp(), &gguf, options, 6, &mut |_| ()).unwrap();
    let on_device = recorded(&mut device.new_session(6).unwrap(), &gguf, KvType::F32, &tokens());
    assert_eq!(runs(&gguf, &tokens(), &left, &on_device).verdict.cause, Cause::NoDivergence);
}
