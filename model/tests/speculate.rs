//! Several tokens a step: the text is the one of a token a step, whatever is guessed.

mod common;

use common::{device::synth, speculate::guesses_change_nothing};
use ptxgen_dsl::precision::{Act, Policy};
use ptxgen_model::{
    Engine, EngineError, KvType, LogitRows, ModelConfig, Sampler, Sampling,
    cpu::{CpuModel, CpuOptions},
    device::{DeviceModel, DeviceOptions},
    gguf::Gguf,
    speculate::{Counts, Draft, Grade, Guesser, Lookup, OtherVocabulary, Speculation},
    synth::{Mix, Preset, Synth, Vocabulary},
    tokenizer::Tokenizer,
};
use ptxgen_runtime::Device;
use std::ops::ControlFlow;

fn small(seed: u64) -> Gguf {
    synth(Mix::Q4KM, seed, |c| {
        (c.blocks, c.vocab, c.experts, c.experts_used) = (1, 96, 4, 2);
        (c.heads, c.kv_heads, c.head_dim) = (4, 2, 32);
    })
}

fn on_cpu(gguf: &Gguf, policy: Policy) -> CpuModel<'_> {
    CpuModel::load(gguf, CpuOptions { policy, kv: KvType::F32, threads: Some(1), simd: None }).unwrap()
}

#[test]
fn a_thousand_texts_are_the_same_with_guesses() {
    let (gguf, other) = (small(71), small(72));
    for (i, policy) in Policy::EXACT.into_iter().enumerate() {
        let (model, draft) = (on_cpu(&gguf, policy), on_cpu(&other, policy));
        let [mut plain, mut guessing] = [(); 2].map(|()| model.new_session(40).unwrap());
        let session = || Box::new(draft.new_session(33).unwrap()) as Box<dyn Engine>;
        let counts = guesses_change_nothing(&mut plain, &mut guessing, &session, 250, i as u64);
        assert!(counts.accepted > 250 && counts.guessed > counts.accepted, "{policy}: {counts:?}");
    }
}

#[test]
fn the_interpreter_writes_the_same_with_guesses() {
    let gguf = small(73);
    for (policy, kv) in [(Policy::EXACT[0], KvType::F32), (Policy::EXACT[3], KvType::F16)] {
        let options = DeviceOptions { policy, kv, ..DeviceOptions::default() };
        let model = DeviceModel::load(&Device::interp(), &gguf, options, 24, &mut |_| ()).unwrap();
        let [mut plain, mut guessing] = [(); 2].map(|()| model.new_session(24).unwrap());
        let session = || Box::new(model.new_session(20).unwrap()) as Box<dyn Engine>;
        let counts = guesses_change_nothing(&mut plain, &mut guessing, &session, 4, 5);
        assert!(counts.guessed > 0, "{policy}: {counts:?}");
    }
}

/// A draft model that is the model itself is always right.
#[test]
fn the_model_itself_guesses_right() {
    let gguf = small(74);
    let model = on_cpu(&gguf, Policy::default());
    let mut session = model.new_session(64).unwrap();
    let mut sampler = Sampler::new(Sampling::default());
    let mut text = vec![3, 1, 4];
    text.push(sampler.next(session.forward(&text, LogitRows::Last).unwrap()));
    let mut speculation = Speculation::with_fixed_length(Draft::new(Box::new(model.new_session(64).unwrap())), 3);
    speculation.generate(&mut session, &text, 40, &mut sampler, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(speculation.counts(), Counts { tokens: 40, steps: 10, guessed: 30, accepted: 30 });
}

/// Always guesses one token.
struct Only(u32);

impl Guesser for Only {
    fn begin(&mut self, _: &[u32]) {}
    fn take(&mut self, _: u32) {}
    fn grade(&mut self) -> Option<Grade> {
        Some(Grade::new(0))
    }
    fn guess(&mut self, most: usize, guesses: &mut Vec<u32>) -> Result<(), EngineError> {
        guesses.extend(std::iter::repeat_n(self.0, most));
        Ok(())
    }
}

/// A guess that the model cannot take does not end a text that has no such token.
#[test]
fn a_guess_that_overflows_does_no_harm() {
    let gguf = common::model_with_nan();
    let model = on_cpu(&gguf, Policy { act: Act::F32, ..Policy::default() });
    let mut session = model.new_session(40).unwrap();
    let text = |session: &mut dyn Engine, speculation: Option<&mut Speculation<'_>>| {
        session.rewind(0);
        let mut sampler = Sampler::new(Sampling::default());
        let first = sampler.next(session.forward(&[30, 31], LogitRows::Last).unwrap());
        let mut written = Vec::new();
        let mut each = |token| {
            written.push(token);
            ControlFlow::Continue(())
        };
        match speculation {
            None => session.generate(first, 20, &mut sampler, &mut each).unwrap(),
            Some(s) => s.generate(session, &[30, 31, first], 20, &mut sampler, &mut each).unwrap(),
        }
        written
    };
    let plain = text(&mut session, None);
    assert!(!plain.contains(&5));
    for mut speculation in [Speculation::new(Only(5)), Speculation::with_fixed_length(Only(5), 4)] {
        assert_eq!(text(&mut session, Some(&mut speculation)), plain);
        assert_eq!(speculation.counts().accepted, 0);
    }
}

#[test]
fn a_text_has_to_go_on_from_the_position() {
    let gguf = small(75);
    let model = on_cpu(&gguf, Policy::default());
    let mut session = model.new_session(8).unwrap();
    let mut sampler = Sampler::new(Sampling::default());
    session.forward(&[1, 2], LogitRows::Last).unwrap();
    let mut speculation = Speculation::new(Lookup::new());
    for text in [&[][..], &[1, 2], &[1, 2, 3, 4]] {
        let error = speculation.generate(&mut session, text, 4, &mut sampler, &mut |_| ControlFlow::Continue(()));
        assert_eq!(error, Err(EngineError::NoTokens), "{text:?}");
    }
    assert_eq!(session.position(), 2);
}

#[test]
fn a_draft_model_has_the_models_vocabulary() {
    let bundled = Tokenizer::from_gguf(&common::model()).unwrap();
    assert_eq!(Draft::check(&bundled, &bundled), Ok(()));
    let config = ModelConfig { vocab: 300, ..Preset::Tiny.config() };
    let synth = Synth { config, mix: Mix::Q4KM, vocabulary: Vocabulary::Bytes, seed: 0 };
    let bytes = synth.writer().to_bytes(&vec![0; synth.writer().data_bytes() as usize]).unwrap();
    let other = Tokenizer::from_gguf(&Gguf::from_bytes("other.gguf", &bytes).unwrap()).unwrap();
    assert_eq!(Draft::check(&other, &bundled), Err(OtherVocabulary::Sizes { draft: 300, model: bundled.len() }));
}
