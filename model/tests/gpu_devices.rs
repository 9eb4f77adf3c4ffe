//! A model whose layers are on several GPUs gives the bits of the CPU.

mod common;

use common::{
    batch::Walk,
    device::{moe, same_as_the_cpu_on, some_tokens, tied},
};
use ptxgen_dsl::precision::Policy;
use ptxgen_model::{
    KvType,
    batch::BatchRoom,
    cpu::CpuOptions,
    device::{DeviceModel, DeviceOptions},
};
use ptxgen_runtime::Device;

/// # Panics
/// If there are not so many: a run of these tests needs them.
fn gpus(n: usize) -> Vec<Device> {
    (0..n).map(|i| Device::cuda(i).unwrap_or_else(|e| panic!("this test needs {n} NVIDIA GPUs: {e}"))).collect()
}

/// Two handles of one GPU, with a stream each: the same copies and events, without a second GPU.
#[test]
#[ignore = "needs an NVIDIA GPU"]
fn one_gpu_twice_gives_the_cpus_bits() {
    gpus_give_the_cpus_bits(&[gpus(1), gpus(1)].concat());
}

#[test]
#[ignore = "needs two NVIDIA GPUs"]
fn two_gpus_give_the_cpus_bits() {
    gpus_give_the_cpus_bits(&gpus(2));
}

fn gpus_give_the_cpus_bits(devices: &[Device]) {
    for (i, policy) in Policy::EXACT.into_iter().enumerate() {
        let (kv, pass) = ([KvType::F16, KvType::F32][i % 2], [32, 7, 1024, 1][i]);
        let options = DeviceOptions { policy, kv, pass };
        same_as_the_cpu_on(devices, &common::model(), options, &some_tokens(70, 4096), 70);
        same_as_the_cpu_on(devices, &tied(), options, &some_tokens(300, 100), 40);
        let model = DeviceModel::load_on(devices, &moe(), options, 1, &mut |_| ()).unwrap();
        let mut batch = model.new_batch(BatchRoom { sequences: 12, positions: 150, pages: 24 }).unwrap();
        let on_cpu = CpuOptions { policy, kv, ..CpuOptions::default() };
        let walk = Walk { gguf: &moe(), options: on_cpu, longest: 150, piece: 70, steps: 12, seed: i as u64 };
        assert!(walk.go(&mut batch) > 20, "{policy}, KV {kv}");
    }
}
