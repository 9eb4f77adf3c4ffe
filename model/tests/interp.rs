//! The generated kernels in the interpreter give the CPU's bits for a whole model.

use ptxgen_dsl::precision::Policy;
use ptxgen_model::{
    Engine, LogitRows, bundled,
    cpu::{CpuModel, CpuOptions, KvType},
    interp::InterpModel,
};

#[test]
fn the_interpreter_gives_the_cpus_logits_on_every_policy() {
    let gguf = bundled().expect("the repository has the model").expect("it is sound");
    for (policy, kv) in Policy::EXACT.into_iter().zip([KvType::F32, KvType::F16, KvType::F32, KvType::F16]) {
        let cpu = CpuModel::load(&gguf, CpuOptions { policy, kv, ..CpuOptions::default() }).unwrap();
        let interp = InterpModel::load(&gguf, policy, kv).unwrap();
        let tokens = [17, 300, 4095];
        let (mut on_cpu, mut interpreted) = (cpu.new_session(8).unwrap(), interp.new_session(8).unwrap());
        let expected: Vec<u32> = on_cpu.forward(&tokens, LogitRows::All).unwrap().iter().map(|v| v.to_bits()).collect();
        let got = interpreted.forward(&tokens, LogitRows::All).unwrap();
        let got: Vec<u32> = got.iter().map(|v| v.to_bits()).collect();
        assert!(got == expected, "{policy}: logits differ");
    }
}
