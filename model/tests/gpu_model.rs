//! A GPU gives the CPU's bits for whole models.

mod common;

use common::{
    batch::{Walk, queue_gives_what_each_gets_alone},
    bits,
    device::{fed, greedy, same_as_the_cpu, some_tokens, synth},
    mixed::{in_one_type, mixed},
};
use ptxgen_dsl::precision::{Acc, Act, Policy};
use ptxgen_model::{
    Engine, KvType, LoadedModel, LogitRows, RunSpec,
    batch::BatchRoom,
    compare::{CompareOptions, RunSide, Source, Verdict, compare},
    cpu::{CpuModel, CpuOptions},
    device::{DeviceModel, DeviceOptions},
    gguf::{Gguf, TensorType},
    plain::PlainModel,
    synth::{Mix, Preset},
    trace::TraceMeta,
};
use ptxgen_runtime::Device;

/// # Panics
/// Where there is no GPU: a run of these tests needs one.
fn gpu() -> Device {
    Device::cuda(0).unwrap_or_else(|e| panic!("{e}"))
}

/// Every policy with every cache, in passes of several sizes.
fn everything(gguf: &Gguf, tokens: &[u32]) {
    let device = gpu();
    for policy in Policy::EXACT {
        for (kv, pass) in [(KvType::F32, 32), (KvType::F16, 7)] {
            same_as_the_cpu(&device, gguf, DeviceOptions { policy, kv, pass }, tokens, 24);
        }
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn the_bundled_model() {
    everything(&common::model(), &some_tokens(70, 4096));
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn wide_heads_many_experts_and_a_tied_output() {
    let gguf = synth(Mix::Q4KM, 22, |c| {
        (c.blocks, c.vocab, c.hidden, c.tied) = (3, 3001, 512, true);
        (c.heads, c.kv_heads, c.head_dim) = (6, 1, 128);
        (c.experts, c.experts_used, c.expert_ff) = (60, 6, 768);
    });
    everything(&gguf, &some_tokens(70, 3001));
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn q6k_throughout_and_heads_of_40() {
    let gguf = synth(Mix::One(TensorType::Q6_K), 23, |c| {
        (c.blocks, c.vocab, c.experts, c.experts_used) = (2, 1280, 9, 9);
        (c.heads, c.kv_heads, c.head_dim) = (4, 4, 40);
    });
    everything(&gguf, &some_tokens(70, 1280));
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn one_expert_and_a_wide_stream() {
    let gguf = synth(Mix::Q4KM, 24, |c| {
        (c.blocks, c.vocab, c.hidden, c.experts, c.experts_used) = (2, 512, 2048, 128, 8);
        (c.heads, c.kv_heads, c.head_dim, c.expert_ff) = (32, 4, 128, 256);
    });
    everything(&gguf, &some_tokens(40, 512));
}

/// Qwen3 without experts, in short passes and long ones.
#[test]
#[ignore = "needs an NVIDIA GPU"]
fn dense_feed_forwards() {
    let dense = |mix, ff| {
        synth(mix, 28, |c| {
            *c = Preset::TinyDense.config();
            (c.blocks, c.vocab, c.tied, c.ff) = (3, 3001, true, ff);
            (c.hidden, c.heads, c.kv_heads, c.head_dim) = (1024, 16, 8, 128);
        })
    };
    everything(&dense(Mix::Q4KM, 3072), &some_tokens(70, 3001));
    everything(&dense(Mix::One(TensorType::F16), 1056), &some_tokens(40, 3001));
    for (acc, kv) in [(Acc::F32, KvType::F32), (Acc::F64, KvType::F16)] {
        let options = DeviceOptions { policy: Policy::new(Act::Q8K, acc), kv, pass: 512 };
        same_as_the_cpu(&gpu(), &dense(Mix::Q4KM, 3072), options, &some_tokens(700, 3001), 8);
    }
}

/// Passes of hundreds of tokens: products on tensor cores, attention of many queries.
#[test]
#[ignore = "needs an NVIDIA GPU"]
fn long_passes() {
    let gguf = synth(Mix::Q4KM, 27, |c| {
        (c.blocks, c.vocab, c.hidden, c.experts, c.experts_used) = (2, 512, 2048, 128, 8);
        (c.heads, c.kv_heads, c.head_dim, c.expert_ff) = (32, 4, 128, 768);
    });
    for (acc, kv, pass) in [(Acc::F32, KvType::F32, 512), (Acc::F64, KvType::F16, 512), (Acc::F32, KvType::F16, 96)] {
        let options = DeviceOptions { policy: Policy::new(Act::Q8K, acc), kv, pass };
        same_as_the_cpu(&gpu(), &gguf, options, &some_tokens(650, 512), 4);
    }
}

/// Batches: sequences join, take pieces, are taken back and leave at random; queues of greedy and drawn texts.
#[test]
#[ignore = "needs an NVIDIA GPU"]
fn batches_of_sequences() {
    let device = gpu();
    let wide = synth(Mix::Q4KM, 27, |c| {
        (c.blocks, c.vocab, c.hidden, c.experts, c.experts_used) = (2, 512, 2048, 128, 8);
        (c.heads, c.kv_heads, c.head_dim, c.expert_ff) = (32, 4, 128, 768);
    });
    let dense = synth(Mix::Q4KM, 28, |c| {
        *c = Preset::TinyDense.config();
        (c.blocks, c.vocab) = (2, 1001);
    });
    // The CPU's logits of each sequence alone are what takes time.
    for (gguf, longest, policies) in [(&common::model(), 150, 0..4), (&wide, 80, 2..4), (&dense, 150, 1..3)] {
        for i in policies {
            let (policy, kv) = (Policy::EXACT[i], [KvType::F32, KvType::F16][i % 2]);
            let options = DeviceOptions { policy, kv, pass: [128, 37, 16, 1024][i] };
            let model = DeviceModel::load(&device, gguf, options, 1, &mut |_| ()).unwrap();
            let on_cpu = CpuOptions { policy, kv, ..CpuOptions::default() };
            let room = BatchRoom { sequences: 12, positions: longest, pages: 24 };
            let mut batch = model.new_batch(room).unwrap();
            let walk = Walk { gguf, options: on_cpu, longest, piece: 70, steps: 12, seed: i as u64 };
            assert!(walk.go(&mut batch) > 20, "{policy}, KV {kv}");
            queue_gives_what_each_gets_alone(gguf, on_cpu, &mut batch, 8);
        }
    }
}

/// Queries, keys and values have products of their own, which passes of many tokens put together.
#[test]
#[ignore = "needs an NVIDIA GPU"]
fn plain_types_throughout() {
    for (i, ty) in [TensorType::F16, TensorType::BF16, TensorType::Q8_0, TensorType::F32].into_iter().enumerate() {
        let gguf = synth(Mix::One(ty), 26, |c| {
            (c.blocks, c.vocab, c.experts, c.experts_used) = (2, 1000, 12, 5);
            (c.hidden, c.heads, c.kv_heads, c.head_dim, c.expert_ff) = (288, 6, 2, 24, 160);
        });
        for kv in [KvType::F32, KvType::F16] {
            let options = DeviceOptions { policy: Policy::EXACT[i], kv, pass: 32 };
            same_as_the_cpu(&gpu(), &gguf, options, &some_tokens(70, 1000), 8);
        }
    }
}

/// Every tensor type as the only one, and all of them in one model.
#[test]
#[ignore = "needs an NVIDIA GPU"]
fn every_tensor_type() {
    for (i, ty) in TensorType::ALL.into_iter().enumerate() {
        for policy in [Policy::EXACT[i % 4], Policy::EXACT[(i + 2) % 4]] {
            let options = DeviceOptions { policy, kv: KvType::F32, pass: 32 };
            same_as_the_cpu(&gpu(), &in_one_type(ty), options, &some_tokens(40, 100), 4);
        }
    }
    for (policy, seed) in Policy::EXACT.into_iter().zip(1..) {
        let options = DeviceOptions { policy, kv: KvType::F16, pass: 32 };
        same_as_the_cpu(&gpu(), &mixed(seed), options, &some_tokens(40, 100), 4);
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn a_cache_4096_positions_deep() {
    let (gguf, device) = (common::model(), gpu());
    let tokens = some_tokens(4096, 4096);
    for (policy, kv) in Policy::EXACT.into_iter().zip([KvType::F32, KvType::F16, KvType::F16, KvType::F32]) {
        let cpu = CpuModel::load(&gguf, CpuOptions { policy, kv, ..CpuOptions::default() }).unwrap();
        let options = DeviceOptions { policy, kv, ..DeviceOptions::default() };
        let model = DeviceModel::load(&device, &gguf, options, 4096, &mut |_| ()).unwrap();
        let (mut on_cpu, mut session) = (cpu.new_session(4096).unwrap(), model.new_session(4096).unwrap());
        let ends = |session: &mut dyn Engine| {
            session.forward(&tokens[..4050], LogitRows::Last).unwrap();
            let last = fed(session, &tokens[4050..4080], &[1, 13]);
            (last, greedy(session, tokens[4080], 16), session.position())
        };
        let expected = ends(&mut on_cpu);
        assert_eq!(expected.2, 4096);
        assert!(ends(&mut session) == expected, "{policy}, KV {kv}");
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn recorded_passes_do_what_single_launches_do() {
    let (gguf, device) = (common::model(), gpu());
    let model = DeviceModel::load(&device, &gguf, DeviceOptions::default(), 16, &mut |_| ()).unwrap();
    let mut session = model.new_session(16).unwrap();
    let tokens = some_tokens(8, 4096);
    let recorded = fed(&mut session, &tokens, &[1, 1, 1, 1, 1, 1, 1]);
    session.rewind(0);
    let mut trace = |_: ptxgen_model::trace::Block<'_>| ();
    let single = bits(session.forward_traced(&tokens, LogitRows::All, Some(&mut trace)).unwrap());
    assert!(recorded == single);
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn every_stage_is_the_cpus_and_no_kernel_contradicts_itself() {
    let gguf = common::model();
    let plain = PlainModel::new(&gguf).unwrap();
    // A pass of several tokens and one of one.
    let prompts = [some_tokens(33, 4096), some_tokens(1, 4096)];
    for policy in Policy::EXACT {
        for kv in ["f32", "f16"] {
            let specs = ["cpu", "cuda"].map(|d| format!("{d}:{policy},kv={kv}").parse::<RunSpec>().unwrap());
            let models = specs.clone().map(|spec| LoadedModel::load(&gguf, spec, 33, &mut |_| ()).unwrap());
            let [left, right] = [0, 1].map(|i| {
                let session = models[i].session(33).unwrap();
                Source::Run(RunSide { spec: specs[i].clone(), session, plain: &plain, meta: TraceMeta::default() })
            });
            let found = compare(left, right, &prompts, &CompareOptions::default(), &mut |_| ()).unwrap();
            assert_eq!(found.right.faults, [], "{policy}, KV {kv}");
            assert_eq!(found.verdict, Verdict::Equal, "{policy}, KV {kv}: {:?}", found.first);
        }
    }
}

/// Guesses from the text, from a draft model and at random: the text without guesses, greedy and drawn.
#[test]
#[ignore = "needs an NVIDIA GPU"]
fn guesses_change_no_text() {
    let device = gpu();
    let dense = synth(Mix::Q4KM, 28, |c| {
        *c = Preset::TinyDense.config();
        (c.blocks, c.vocab) = (2, 1001);
    });
    for (gguf, runs) in [(&common::model(), 40), (&dense, 60)] {
        for (i, policy) in Policy::EXACT.into_iter().enumerate() {
            let options = DeviceOptions { policy, kv: [KvType::F32, KvType::F16][i % 2], ..DeviceOptions::default() };
            let model = DeviceModel::load(&device, gguf, options, 96, &mut |_| ()).unwrap();
            let [mut plain, mut guessing] = [(); 2].map(|()| model.new_session(96).unwrap());
            let draft = || Box::new(model.new_session(80).unwrap()) as Box<dyn ptxgen_model::Engine>;
            let counts =
                common::speculate::guesses_change_nothing(&mut plain, &mut guessing, &draft, runs, 90 + i as u64);
            assert!(counts.accepted > 0 && counts.guessed > counts.accepted, "{policy}: {counts:?}");
        }
    }
}
