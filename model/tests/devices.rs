//! A model whose layers are on several devices gives the bits of one device.

mod common;

use common::{
    batch::{Walk, queue_gives_what_each_gets_alone, tight},
    bits,
    device::{moe, same_as_the_cpu_on, some_tokens, tied},
};
use ptxgen_dsl::precision::{Acc, Act, Policy};
use ptxgen_model::{
    Engine, EngineError, KvType, LoadError, LoadedModel, LogitRows, RunSpec,
    batch::BatchRoom,
    compare::{CompareOptions, RunSide, Source, Verdict, compare},
    cpu::{CpuModel, CpuOptions},
    device::{DeviceModel, DeviceOptions},
    plain::PlainModel,
    trace::TraceMeta,
};
use ptxgen_runtime::{Device, InterpOptions};

fn interpreters(n: usize) -> Vec<Device> {
    (0..n).map(|_| Device::interp()).collect()
}

/// Prompts in passes of several sizes, greedy and drawn tokens, rewinds: for any number of devices.
#[test]
fn any_number_of_interpreters_gives_the_cpus_bits() {
    for (i, policy) in Policy::EXACT.into_iter().enumerate() {
        let kv = [KvType::F16, KvType::F32][i % 2];
        let options = DeviceOptions { policy, kv, pass: [4, 3, 1, 7][i] };
        same_as_the_cpu_on(&interpreters([1, 2, 3, 2][i]), &moe(), options, &some_tokens(5, 200), 3);
    }
    let options = DeviceOptions { policy: Policy::EXACT[0], kv: KvType::F32, pass: 4 };
    same_as_the_cpu_on(&interpreters(3), &tied(), options, &some_tokens(5, 100), 2);
}

#[test]
fn the_bundled_model_on_two_interpreters_and_on_three() {
    let policy = Policy::new(Act::Q8K, Acc::F32);
    for n in [2, 3] {
        let options = DeviceOptions { policy, kv: KvType::F32, pass: 32 };
        same_as_the_cpu_on(&interpreters(n), &common::model(), options, &some_tokens(3, 4096), 1);
    }
}

/// Passes of many tokens: products on tensor cores, logits in several pieces.
#[test]
fn long_passes_cross_devices() {
    let options = DeviceOptions { policy: Policy::new(Act::Q8K, Acc::F32), kv: KvType::F16, pass: 96 };
    same_as_the_cpu_on(&interpreters(2), &tied(), options, &some_tokens(101, 100), 1);
}

/// Launches start as early as they may, and each device has its own number of multiprocessors, which schedules follow.
#[test]
fn devices_may_differ() {
    let device = |multiprocessors| {
        Device::interp_with(InterpOptions { multiprocessors, overlap: true, ..InterpOptions::default() })
    };
    let options = DeviceOptions { policy: Policy::new(Act::Q8K, Acc::F32), kv: KvType::F32, pass: 4 };
    same_as_the_cpu_on(&[device(132), device(20), device(4)], &moe(), options, &some_tokens(5, 200), 2);
}

#[test]
fn batches_cross_devices() {
    for (i, n) in [2, 3].into_iter().enumerate() {
        let (policy, kv) = ([Policy::EXACT[2], Policy::EXACT[1]][i], [KvType::F32, KvType::F16][i]);
        let options = DeviceOptions { policy, kv, pass: [6, 20][i] };
        let model = DeviceModel::load_on(&interpreters(n), &moe(), options, 1, &mut |_| ()).unwrap();
        let mut batch = model.new_batch(tight(40)).unwrap();
        let on_cpu = CpuOptions { policy, kv, ..CpuOptions::default() };
        let walk = Walk { gguf: &moe(), options: on_cpu, longest: 40, piece: 20, steps: 8, seed: 7 };
        assert!(walk.go(&mut batch) > 2, "{policy}");
        let room = BatchRoom { sequences: 3, positions: 20, pages: 2 };
        queue_gives_what_each_gets_alone(&moe(), on_cpu, &mut model.new_batch(room).unwrap(), 2);
    }
}

/// Every stage of a trace, of a pass of several tokens and of one.
#[test]
fn traces_are_those_of_the_cpu() {
    let gguf = moe();
    let plain = PlainModel::new(&gguf).unwrap();
    let specs =
        ["cpu", "interp,interp"].map(|devices| format!("{devices}:act=q8k,acc=f32").parse::<RunSpec>().unwrap());
    let models = specs.clone().map(|spec| LoadedModel::load(&gguf, spec, 5, &mut |_| ()).unwrap());
    let [left, right] = [0, 1].map(|i| {
        let session = models[i].session(5).unwrap();
        Source::Run(RunSide { spec: specs[i].clone(), session, plain: &plain, meta: TraceMeta::default() })
    });
    let prompts = [some_tokens(5, 200), some_tokens(1, 200)];
    let found = compare(left, right, &prompts, &CompareOptions::default(), &mut |_| ()).unwrap();
    assert_eq!((&found.right.faults[..], found.verdict), (&[][..], Verdict::Equal), "{:?}", found.first);
}

/// What guesses are checked with: passes with logits or tokens of all rows.
#[test]
fn passes_of_a_few_tokens_cross_devices() {
    let (gguf, policy) = (moe(), Policy::new(Act::Q8K, Acc::F32));
    let options = DeviceOptions { policy, kv: KvType::F32, pass: 32 };
    let model = DeviceModel::load_on(&interpreters(2), &gguf, options, 32, &mut |_| ()).unwrap();
    let cpu = CpuModel::load(&gguf, CpuOptions { policy, ..CpuOptions::default() }).unwrap();
    let (mut session, mut on_cpu) = (model.new_session(32).unwrap(), cpu.new_session(32).unwrap());
    for tokens in [&[1, 2, 3][..], &[4], &[5, 6, 7, 8, 9]] {
        let expected = bits(on_cpu.forward_few(tokens).unwrap());
        assert!(bits(session.forward_few(tokens).unwrap()) == expected);
        let start = on_cpu.position() - tokens.len();
        session.rewind(start);
        on_cpu.rewind(start);
        assert_eq!(session.most_likely(tokens).unwrap(), on_cpu.most_likely(tokens).unwrap());
    }
    let times = session.stage_times(1).unwrap();
    assert!(times.iter().any(|stage| stage.launches == 3), "a stage of every layer, on both devices: {times:?}");
}

/// A router of the first device finds NaN, and so do those after it: the first one is reported, and the session goes on.
#[test]
fn a_router_that_finds_nan_is_reported_from_its_device() {
    let gguf = common::model_with_nan();
    let policy = Policy::new(Act::Q8K, Acc::F32);
    let options = DeviceOptions { policy, kv: KvType::F32, pass: 4 };
    let model = DeviceModel::load_on(&interpreters(2), &gguf, options, 4, &mut |_| ()).unwrap();
    let cpu = CpuModel::load(&gguf, CpuOptions { policy, ..CpuOptions::default() }).unwrap();
    let mut session = model.new_session(4).unwrap();
    let error = session.forward(&[2, 5], LogitRows::Last).unwrap_err();
    assert_eq!(error, EngineError::NanInRouter { layer: 0, expert: 0, position: 1 });
    let expected = bits(cpu.new_session(4).unwrap().forward(&[3], LogitRows::Last).unwrap());
    assert!(bits(session.forward(&[3], LogitRows::Last).unwrap()) == expected);
}

#[test]
fn every_device_needs_a_layer() {
    let load = |n| DeviceModel::load_on(&interpreters(n), &moe(), DeviceOptions::default(), 4, &mut |_| ());
    let model = load(3).unwrap();
    assert_eq!(model.devices().count(), 3);
    let session = model.new_session(4).unwrap();
    assert_eq!(session.device(), "interp (generated kernels in 3 interpreters)");
    for n in [0, 4] {
        let error = load(n).unwrap_err();
        assert!(matches!(error, LoadError::Devices { devices, layers: 3 } if devices == n), "{error}");
    }
    assert_eq!(
        load(4).unwrap_err().to_string(),
        "4 devices cannot divide the model's layers: it has 3, and every device needs at least one"
    );
    assert_eq!(
        DeviceModel::fitting(&interpreters(2), &moe(), DeviceOptions::default()).unwrap(),
        model.config().context
    );
}
