//! Models in every tensor type: a device gives the CPU's bits.

mod common;

use common::{
    device::{same_as_the_cpu, some_tokens},
    mixed::{in_one_type, mixed},
};
use ptxgen_dsl::precision::Policy;
use ptxgen_model::{KvType, device::DeviceOptions, gguf::TensorType};
use ptxgen_runtime::Device;

#[test]
fn models_of_one_type_are_the_cpus_in_the_interpreter() {
    for (i, ty) in TensorType::ALL.into_iter().enumerate() {
        let options = DeviceOptions { policy: Policy::EXACT[i % 4], kv: KvType::F32, pass: 4 };
        same_as_the_cpu(&Device::interp(), &in_one_type(ty), options, &some_tokens(3, 100), 1);
    }
}

#[test]
fn a_model_of_all_types_is_the_cpus_in_the_interpreter() {
    for (policy, seed) in Policy::EXACT.into_iter().zip(1..) {
        let options = DeviceOptions { policy, kv: KvType::F16, pass: 3 };
        same_as_the_cpu(&Device::interp(), &mixed(seed), options, &some_tokens(4, 100), 2);
    }
}
