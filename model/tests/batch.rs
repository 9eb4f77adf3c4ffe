//! Several sequences at once: each gets the bits that it gets alone.

mod common;

use common::{
    batch::{Walk, queue_gives_what_each_gets_alone, tight},
    bits,
    device::{some_tokens, synth},
};
use proptest::prelude::*;
use ptxgen_dsl::precision::{Acc, Act, Policy};
use ptxgen_model::{
    Engine, EngineError, KvType, LoadError, LogitRows, NotFinite, Sampler, Sampling,
    batch::{BatchError, BatchRoom, BatchSession, Part, Queue, Request, SequenceId, Stop, Wants},
    cpu::{CpuModel, CpuOptions},
    device::{DeviceModel, DeviceOptions},
    gguf::Gguf,
    synth::{Mix, Preset},
    trace::Stage,
};
use ptxgen_runtime::Device;

fn small() -> Gguf {
    synth(Mix::Q4KM, 41, |c| {
        (c.blocks, c.vocab, c.experts, c.experts_used) = (2, 300, 6, 2);
        (c.heads, c.kv_heads, c.head_dim) = (4, 2, 64);
    })
}

fn dense() -> Gguf {
    synth(Mix::Q4KM, 42, |c| {
        *c = Preset::TinyDense.config();
        (c.blocks, c.vocab) = (2, 200);
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn a_batch_of_any_mix_gives_each_sequence_its_own_bits(
        is_dense: bool, policy in 0usize..4, half: bool, threads in 1usize..4, piece in 1usize..90, seed: u64,
    ) {
        let gguf = if is_dense { dense() } else { small() };
        let kv = if half { KvType::F16 } else { KvType::F32 };
        let options = CpuOptions { policy: Policy::EXACT[policy], kv, threads: Some(threads), simd: None };
        let model = CpuModel::load(&gguf, options).unwrap();
        let longest = 150;
        let mut batch = model.new_batch(tight(longest)).unwrap();
        let looked = Walk { gguf: &gguf, options, longest, piece, steps: 24, seed }.go(&mut batch);
        prop_assert!(looked > 5, "{looked} answers");
    }
}

/// Generated kernels: passes of several sizes, both caches, every policy.
#[test]
fn the_interpreter_gives_each_sequence_the_cpus_bits() {
    let gguf = synth(Mix::Q4KM, 43, |c| {
        (c.blocks, c.vocab, c.experts, c.experts_used) = (1, 64, 4, 2);
        (c.heads, c.kv_heads, c.head_dim) = (4, 2, 32);
    });
    for (i, policy) in Policy::EXACT.into_iter().enumerate() {
        let kv = [KvType::F32, KvType::F16][i % 2];
        let options = DeviceOptions { policy, kv, pass: [20, 3, 6, 1][i] };
        let model = DeviceModel::load(&Device::interp(), &gguf, options, 1, &mut |_| ()).unwrap();
        let longest = [90, 12, 70, 5][i];
        let mut batch = model.new_batch(tight(longest)).unwrap();
        let options = CpuOptions { policy, kv, ..CpuOptions::default() };
        let walk = Walk { gguf: &gguf, options, longest, piece: longest / 2, steps: [6, 8, 6, 8][i], seed: 5 };
        assert!(walk.go(&mut batch) > 2, "{policy}");
    }
}

#[test]
fn the_interpreter_goes_on_when_a_sequence_fails_and_runs_a_queue() {
    let gguf = common::model_with_nan();
    let policy = Policy::new(Act::Q8K, Acc::F32);
    let options = DeviceOptions { policy, kv: KvType::F32, pass: 4 };
    let model = DeviceModel::load(&Device::interp(), &gguf, options, 1, &mut |_| ()).unwrap();
    let mut batch = model.new_batch(BatchRoom::new(3, 20)).unwrap();
    let [good, bad] = [(); 2].map(|()| batch.join(4).unwrap());
    let last = Wants::Logits(LogitRows::Last);
    let parts = [
        Part { sequence: bad, tokens: &[2, 5], wants: Wants::Token },
        Part { sequence: good, tokens: &[3], wants: last },
    ];
    let step = batch.step(&parts).unwrap();
    let error = EngineError::NanInRouter { layer: 0, expert: 0, position: 1 };
    assert_eq!(step.answer(0).unwrap_err(), BatchError::Sequence { sequence: bad, error });
    let cpu = CpuModel::load(&gguf, CpuOptions { policy, ..CpuOptions::default() }).unwrap();
    let expected = bits(cpu.new_session(4).unwrap().forward(&[3], LogitRows::Last).unwrap());
    assert!(bits(step.answer(1).unwrap().logits) == expected);
    assert_eq!((batch.position(bad), batch.position(good)), (Ok(0), Ok(1)));
    assert!(batch.leave(good) && batch.leave(bad));

    let small = small();
    let model = DeviceModel::load(&Device::interp(), &small, options, 1, &mut |_| ()).unwrap();
    let mut batch = model.new_batch(BatchRoom { sequences: 3, positions: 20, pages: 2 }).unwrap();
    let options = CpuOptions { policy, ..CpuOptions::default() };
    queue_gives_what_each_gets_alone(&small, options, &mut batch, 2);
}

#[test]
fn a_queue_gives_each_text_what_it_gets_alone() {
    let gguf = small();
    for policy in [Policy::new(Act::Q8K, Acc::F32), Policy::new(Act::F32, Acc::F64)] {
        let options = CpuOptions { policy, ..CpuOptions::default() };
        let model = CpuModel::load(&gguf, options).unwrap();
        // The last ones fill the context.
        let mut batch = model.new_batch(BatchRoom { sequences: 3, positions: 20, pages: 2 }).unwrap();
        queue_gives_what_each_gets_alone(&gguf, options, &mut batch, 9);
        assert_eq!((batch.sequences(), batch.free_pages()), (0, 2));
    }
}

#[test]
fn texts_end_for_a_reason() {
    let gguf = small();
    let model = CpuModel::load(&gguf, CpuOptions::default()).unwrap();
    let ended = |most: usize, tokens: &[u32], is_end: fn(u32) -> bool| {
        let mut batch = model.new_batch(BatchRoom { sequences: 2, positions: 10, pages: 1 }).unwrap();
        let mut queue = Queue::new(&mut batch, is_end);
        let sampler = Sampler::new(Sampling::default());
        assert_eq!(queue.push(Request { tokens: tokens.to_vec(), most, sampler }), 0);
        let mut found = None;
        while queue.step(&mut |ended| found = Some(ended)).unwrap() {}
        let found = found.unwrap();
        (found.tokens.len(), found.stop, queue.totals())
    };
    let (n, stop, totals) = ended(3, &[1, 2], |_| false);
    assert_eq!((n, stop), (3, Ok(Stop::Length)));
    assert_eq!((totals.steps, totals.read, totals.written, totals.ended), (3, 2, 3, 1));
    assert_eq!(ended(0, &[1], |_| false).1, Ok(Stop::Length));
    assert_eq!(ended(50, &[1, 2], |_| true).1, Ok(Stop::End));
    let (n, stop, _) = ended(50, &[1, 2], |_| false);
    assert_eq!((n, stop), (9, Ok(Stop::Context)));
    assert_eq!(ended(5, &[], |_| false).1, Err(BatchError::Step(EngineError::NoTokens)));
    assert_eq!(ended(5, &[1; 11], |_| false).1, Err(BatchError::Positions { asked: 11, most: 10 }));

    let mut batch = model.new_batch(BatchRoom { sequences: 1, positions: 100, pages: 1 }).unwrap();
    let mut queue = Queue::new(&mut batch, |_| false);
    let request = |n| Request { tokens: vec![1; n], most: 5, sampler: Sampler::new(Sampling::default()) };
    // More pages than there are; then two that go one after the other; stopped in the middle of the first.
    for n in [90, 3, 4] {
        queue.push(request(n));
    }
    let mut found = Vec::new();
    assert!(queue.step(&mut |e| found.push(e)).unwrap());
    assert_eq!((found[0].index, found[0].stop.clone()), (0, Err(BatchError::Pages { needed: 2, free: 1 })));
    assert_eq!((queue.running(), found.len()), (1, 1));
    queue.stop(&mut |e| found.push(e));
    assert_eq!((found[1].index, found[1].tokens.len(), found[1].stop.clone()), (1, 1, Ok(Stop::Stopped)));
    assert!(!queue.step(&mut |_| panic!("nothing is left")).unwrap());
    drop(queue);
    assert_eq!(batch.free_pages(), 1);
}

/// The logits of tokens in one step, alone.
fn alone(batch: &mut BatchSession<'_>, sequence: SequenceId, tokens: &[u32]) -> Vec<u32> {
    let part = Part { sequence, tokens, wants: Wants::Logits(LogitRows::All) };
    bits(batch.step(&[part]).unwrap().answer(0).unwrap().logits)
}

#[test]
fn nan_in_one_sequence_stops_that_one() {
    let gguf = common::model_with_nan();
    let options = CpuOptions { policy: Policy::new(Act::Q8K, Acc::F32), ..CpuOptions::default() };
    let model = CpuModel::load(&gguf, options).unwrap();
    let mut batch = model.new_batch(BatchRoom::new(3, 64)).unwrap();
    let [good, bad, other] = [(); 3].map(|()| batch.join(20).unwrap());
    alone(&mut batch, bad, &[7]);
    let tokens = some_tokens(9, 4096);
    let expected = bits(model.new_session(20).unwrap().forward(&tokens, LogitRows::All).unwrap());
    let all = Wants::Logits(LogitRows::All);
    let part = |sequence, tokens, wants| Part { sequence, tokens, wants };
    let parts = [part(bad, &[2, 5, 2][..], all), part(good, &tokens, all), part(other, &[5], Wants::Token)];
    let step = batch.step(&parts).unwrap();
    for (i, sequence, position) in [(0, bad, 2), (2, other, 0)] {
        let error = EngineError::NanInRouter { layer: 0, expert: 0, position };
        assert_eq!(step.answer(i).unwrap_err(), BatchError::Sequence { sequence, error });
    }
    assert!(bits(step.answer(1).unwrap().logits) == expected);
    let positions = [good, bad, other].map(|id| batch.position(id).unwrap());
    assert_eq!(positions, [9, 1, 0]);
    // They go on where they were.
    assert!(alone(&mut batch, other, &tokens) == expected);
    let mut session = model.new_session(4).unwrap();
    session.forward(&[7], LogitRows::Last).unwrap();
    let expected = bits(session.forward(&[8, 9], LogitRows::All).unwrap());
    assert!(alone(&mut batch, bad, &[8, 9]) == expected);
}

/// Without a router, NaN comes to light in the logits.
#[test]
fn logits_that_are_none_name_the_sequence() {
    let gguf = dense();
    let mut bytes = Vec::new();
    let table = gguf.tensor("token_embd.weight").unwrap();
    let row = table.outer(5).data.as_ptr().addr() - gguf.tensor_bytes().as_ptr().addr();
    let synth = ptxgen_model::synth::Synth {
        config: {
            let mut c = Preset::TinyDense.config();
            (c.blocks, c.vocab) = (2, 200);
            c
        },
        mix: Mix::Q4KM,
        vocabulary: ptxgen_model::synth::Vocabulary::None,
        seed: 42,
    };
    bytes.extend(synth.to_bytes().unwrap());
    let header = bytes.len() - gguf.tensor_bytes().len();
    bytes[header + row..][..2].copy_from_slice(&0x7e00u16.to_le_bytes());
    let gguf = Gguf::from_bytes("nan.gguf", &bytes).unwrap();
    let model = CpuModel::load(&gguf, CpuOptions::default()).unwrap();
    let mut batch = model.new_batch(BatchRoom::new(2, 64)).unwrap();
    let (one, other) = (batch.join(8).unwrap(), batch.join(8).unwrap());
    for wants in [Wants::Token, Wants::Logits(LogitRows::All)] {
        let parts = [
            Part { sequence: one, tokens: &[1, 5], wants },
            Part { sequence: other, tokens: &[1, 2], wants: Wants::Token },
        ];
        let step = batch.step(&parts).unwrap();
        let found = NotFinite { stage: Stage::Logits, layer: None, position: 1, index: 0, nan: true };
        let error = step.answer(0).unwrap_err();
        assert_eq!(error, BatchError::Sequence { sequence: one, error: EngineError::NotFinite(found) });
        assert!(error.to_string().starts_with("sequence 0: stage logits: value 0 is NaN at position 1"), "{error}");
        assert!(step.answer(1).unwrap().token.is_some());
        assert_eq!((batch.position(one), batch.position(other)), (Ok(0), Ok(2)));
        batch.rewind(other, 0).unwrap();
    }
}

#[test]
fn what_cannot_be_is_refused_and_nothing_moves() {
    let gguf = small();
    let model = CpuModel::load(&gguf, CpuOptions::default()).unwrap();
    assert!(matches!(model.new_batch(BatchRoom::new(1, 5000)), Err(LoadError::Context { asked: 5000, context: 4096 })));
    assert!(matches!(model.new_batch(BatchRoom::new(0, 8)), Err(LoadError::EmptyBatch)));
    let mut batch = model.new_batch(BatchRoom { sequences: 2, positions: 128, pages: 2 }).unwrap();
    let a = batch.join(3).unwrap();
    assert_eq!(batch.join(65), Err(BatchError::Pages { needed: 2, free: 1 }));
    let b = batch.join(1).unwrap();
    assert_eq!(batch.join(1), Err(BatchError::Sequences { most: 2 }));
    let part = |sequence, tokens| Part { sequence, tokens, wants: Wants::Token };
    let mut refused = |parts: &[Part<'_>]| batch.step(parts).map(|_| ()).unwrap_err();
    let of_a = |error| BatchError::Sequence { sequence: a, error };
    assert_eq!(refused(&[]), BatchError::Step(EngineError::NoTokens));
    assert_eq!(refused(&[part(b, &[1]), part(a, &[])]), of_a(EngineError::NoTokens));
    assert_eq!(refused(&[part(a, &[1]), part(b, &[1]), part(a, &[1])]), BatchError::Twice(a));
    let full = EngineError::Full { tokens: 4, position: 0, capacity: 3 };
    assert_eq!(refused(&[part(b, &[1]), part(a, &[1; 4])]), of_a(full));
    let token = EngineError::Token { token: 300, position: 1, vocab: 300 };
    assert_eq!(refused(&[part(b, &[1]), part(a, &[1, 300])]), of_a(token));
    assert_eq!((batch.position(a), batch.position(b)), (Ok(0), Ok(0)));
    assert!(batch.leave(b) && !batch.leave(b));
    assert_eq!(batch.position(b), Err(BatchError::Unknown(b)));
    assert_eq!(batch.step(&[part(b, &[1])]).map(|_| ()).unwrap_err(), BatchError::Unknown(b));
    let c = batch.join(64).unwrap();
    assert_eq!((b.to_string(), c.to_string()), ("1".into(), "2".into()));
}
