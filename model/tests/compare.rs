//! Comparisons: equal where the contract says so, and what differs where it does not.

mod common;

use common::{
    data,
    device::{some_tokens, synth},
    model, tokens,
};
use ptxgen_model::{
    LoadedModel, RunSpec,
    compare::{CompareError, CompareOptions, Comparison, RunSide, Source, Thresholds, Verdict, compare},
    gguf::Gguf,
    plain::PlainModel,
    synth::Mix,
    trace::{Recorder, Selection, Stage, TraceFile, TraceMeta, TraceWriter},
};
use safetensors::SafeTensors;
use std::{collections::BTreeSet, path::Path};

/// Heads of 40 and 3 KV heads, so that nothing divides evenly.
fn odd() -> Gguf {
    synth(Mix::Q4KM, 31, |c| {
        (c.blocks, c.vocab, c.experts, c.experts_used) = (2, 200, 5, 2);
        (c.heads, c.kv_heads, c.head_dim) = (6, 3, 40);
    })
}

fn meta(gguf: &Gguf) -> TraceMeta {
    TraceMeta { model: Some("the model".into()), model_sha256: Some(gguf.sha256()), ..TraceMeta::default() }
}

/// Runs or opens two sides and compares them.
fn compared(
    gguf: &Gguf,
    [left, right]: [&str; 2],
    prompts: &[Vec<u32>],
    options: &CompareOptions,
) -> Result<Comparison, CompareError> {
    let plain = PlainModel::new(gguf).unwrap();
    let capacity = prompts.iter().map(Vec::len).max().unwrap_or(80);
    let loaded = [left, right].map(|side| {
        let spec: Option<RunSpec> = side.parse().ok();
        spec.map(|spec| (spec.clone(), LoadedModel::load(gguf, spec, capacity, &mut |_| ()).unwrap()))
    });
    let [left, right] = [(left, &loaded[0]), (right, &loaded[1])].map(|(name, loaded)| match loaded {
        Some((spec, model)) => {
            let session = model.session(capacity).unwrap();
            Source::Run(RunSide { spec: spec.clone(), session, plain: &plain, meta: meta(gguf) })
        }
        None => Source::File(TraceFile::open(name).unwrap()),
    });
    compare(left, right, prompts, options, &mut |_| ())
}

/// Writes a trace of what is selected.
fn traced(gguf: &Gguf, spec: &str, tokens: &[u32], selection: &Selection, path: &Path) {
    let plain = PlainModel::new(gguf).unwrap();
    let spec: RunSpec = spec.parse().unwrap();
    let model = LoadedModel::load(gguf, spec.clone(), tokens.len(), &mut |_| ()).unwrap();
    let selected = selection.of(plain.config(), tokens.len()).unwrap();
    let meta = TraceMeta { tokens: Some(tokens.to_vec()), policy: Some(spec.policy), ..meta(gguf) };
    let file = std::fs::File::create(path).unwrap();
    let mut writer = TraceWriter::new(file, plain.config(), &selected, meta, u64::MAX).unwrap();
    let mut recorder = Recorder::new(&plain, spec.kv, tokens, &selected);
    recorder.advance(&mut *model.session(tokens.len()).unwrap(), tokens.len(), &mut writer).unwrap();
    writer.finish(recorder.derived(), recorder.faults()).unwrap();
}

#[test]
fn one_policy_on_the_cpu_and_in_the_interpreter_is_equal_in_every_value() {
    let gguf = odd();
    let prompts = [some_tokens(5, 200), some_tokens(3, 200)];
    for (policy, kv) in [("act=q8k,acc=f32", "f16"), ("act=f32,acc=f64", "f32")] {
        let sides = [format!("cpu:{policy},kv={kv}"), format!("interp:{policy},kv={kv}")];
        let found = compared(&gguf, [&sides[0], &sides[1]], &prompts, &CompareOptions::default()).unwrap();
        assert_eq!(found.verdict, Verdict::Equal);
        assert_eq!((found.differing, found.first, found.first_past), (0, None, None));
        assert_eq!((found.prompts, found.positions), (2, 8));
        assert_eq!(found.stages.len(), 3 + 22 * 2, "every stage was compared");
        assert_eq!(found.missing, []);
        assert!(found.left.faults.is_empty() && found.right.faults.is_empty());
        // Keys after a position are no values: 1 + 2 + .. for each of six heads.
        let scores = found.stage(Stage::AttnScores, Some(1)).unwrap();
        assert_eq!(scores.values, 6 * (15 + 6));
        assert_eq!((scores.cosine, scores.relative, scores.largest_ulp), (Some(1.0), Some(0.0), Some(0)));
        let top = found.top.unwrap();
        assert_eq!((top.positions, top.same, top.prompts, top.same_at_the_end), (8, 8, 2, 2));
        let perplexity = found.perplexity.unwrap();
        assert_eq!((perplexity.tokens, perplexity.left), (6, perplexity.right));
        assert!(
            found.experts.iter().all(|e| e.same == 8 && e.choices.len() == 8 && e.least_margin_of_same > Some(0.0))
        );
        // What differs between the sides is only who wrote it.
        assert!(found.right.derived.contains(&Stage::AttnOut) && !found.left.derived.contains(&Stage::AttnOut));
    }
}

#[test]
fn the_activation_formats_divergence_is_placed() {
    let (gguf, tokens) = (model(), tokens("tiny.tokens-64.i32"));
    let sides = ["cpu:act=f32,acc=f64", "cpu:act=q8k,acc=f64"];
    let thresholds = Thresholds { min_cos: None, max_rel: Some(0.02) };
    let options = CompareOptions { thresholds, ..CompareOptions::default() };
    let found = compared(&gguf, sides, std::slice::from_ref(&tokens), &options).unwrap();
    assert_eq!(found.verdict, Verdict::Past);
    // Until the first product all is equal; q is the first stage of the forward that reads Q8_K.
    let first = found.first.unwrap();
    assert_eq!((first.stage, first.layer, first.position), (Stage::Q, Some(0), 0));
    for stage in [(Stage::Embedding, None), (Stage::AttnNorm, Some(0))] {
        assert_eq!(found.stage(stage.0, stage.1).unwrap().differing, 0);
    }
    let q = found.stage(Stage::Q, Some(0)).unwrap();
    assert!(q.relative > Some(1e-3) && q.relative < Some(2e-2), "{q:?}");
    assert!(q.cosine > Some(0.9999) && q.cosine < Some(1.0));
    let past = found.first_past.unwrap();
    assert!(found.stage(past.stage, past.layer).unwrap().relative > Some(0.02));
    let growth = found.growth.unwrap();
    assert!(growth.after > growth.before);
    // The choice of experts turns over where it was close.
    let flips: usize = found.experts.iter().map(|e| 64 - e.same).sum();
    assert!(flips > 0 && flips < 64, "{flips}");
    for layer in &found.experts {
        for choice in layer.choices.iter().filter(|c| c.shared < layer.used) {
            assert!(choice.margin <= choice.shift.map(|s| 2.0 * s), "{choice:?}");
        }
    }
    // An expert is compared with itself, so that choices that turn over do not look like wrong products.
    for layer in &found.experts {
        let shared: usize = layer.choices.iter().map(|c| c.shared).sum();
        let out = found.stage(Stage::ExpertOut, Some(layer.layer)).unwrap();
        assert_eq!(out.values, shared as u64 * 256);
        assert!(out.relative < Some(0.2), "{out:?}");
    }
    let perplexity = found.perplexity.unwrap();
    assert_eq!(format!("{:.4}", perplexity.left), "4.2356");
    assert!((perplexity.right / perplexity.left - 1.0).abs() < 0.02);
    let text = serde_json::to_string(&found).unwrap();
    assert!(text.contains("\"verdict\":{\"kind\":\"past\"}"));

    // The accumulator does far less.
    let other = ["cpu:act=f32,acc=f64", "cpu:act=f32,acc=f32"];
    let found = compared(&gguf, other, &[tokens], &CompareOptions::default()).unwrap();
    assert_eq!((found.verdict, found.first_past), (Verdict::Differs, None));
    assert!(found.stage(Stage::Logits, None).unwrap().relative < Some(1e-5));
}

#[test]
fn a_trace_stands_for_its_run() {
    let gguf = odd();
    let tokens = some_tokens(70, 200);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let selection = |stages: &str, positions: &str| Selection {
        stages: stages.parse().unwrap(),
        positions: positions.parse().unwrap(),
        ..Selection::default()
    };
    let (all, some) = (path("all.safetensors"), path("some.safetensors"));
    traced(&gguf, "cpu:act=q8k", &tokens, &Selection::default(), all.as_ref());
    traced(&gguf, "cpu:act=q8k", &tokens, &selection("q,attn_softmax,logits", "0,63..66,69"), some.as_ref());
    // Against a run on the trace's own tokens, and against each other.
    for (sides, positions) in [([all.as_str(), "cpu:act=q8k"], 70), ([&some, &all], 5), (["cpu:act=q8k", &some], 5)] {
        let found = compared(&gguf, sides, &[], &CompareOptions::default()).unwrap();
        assert_eq!((found.verdict, found.positions), (Verdict::Equal, positions), "{sides:?}");
    }
    let found = compared(&gguf, [&some, &all], &[], &CompareOptions::default()).unwrap();
    assert!(found.missing.contains(&Stage::AttnOut) && !found.missing.contains(&Stage::Q));
    assert_eq!(found.stages.len(), 2 * 2 + 1);

    // What does not belong together is refused, by name.
    let refused = |sides: [&str; 2], prompts: &[Vec<u32>], options: &CompareOptions| {
        compared(&gguf, sides, prompts, options).unwrap_err().to_string()
    };
    let other = [tokens[..69].to_vec()];
    assert!(
        refused([&all, "cpu"], &other, &CompareOptions::default()).contains("are of different tokens: position 69")
    );
    let two = [tokens.clone(), tokens.clone()];
    assert!(refused([&all, "cpu"], &two, &CompareOptions::default()).contains("which is of one text, and 2 prompts"));
    let stages = CompareOptions { selection: selection("q,attn_out", "all"), ..CompareOptions::default() };
    let error = refused([&some, &all], &[], &stages);
    assert!(
        error.contains("lacks layers.00.attn_out, which is to be compared: it has q, attn_softmax, logits"),
        "{error}"
    );
    let last = CompareOptions { selection: selection("all", "1"), ..CompareOptions::default() };
    let error = refused([&some, &all], &[], &last);
    assert!(error.contains("they have none in common"), "{error}");
    let one = path("one.safetensors");
    traced(&gguf, "cpu:act=q8k", &tokens, &selection("attn_out", "all"), one.as_ref());
    assert!(refused([&some, &one], &[], &CompareOptions::default()).contains("have no stage in common"));
    assert!(refused(["cpu", "cpu"], &[], &CompareOptions::default()).contains("nothing to run"));

    // Another model's trace, by its hash; and by its shapes where one insists.
    let another = synth(Mix::Q4KM, 32, |c| {
        (c.blocks, c.vocab, c.experts, c.experts_used) = (2, 200, 5, 2);
        (c.heads, c.kv_heads, c.head_dim) = (6, 3, 48);
    });
    let others = path("other.safetensors");
    traced(&another, "cpu:act=q8k", &tokens, &Selection::default(), others.as_ref());
    assert!(refused([&others, "cpu"], &[], &CompareOptions::default()).contains("the sides are of different models"));
    let any = CompareOptions { any_model: true, ..CompareOptions::default() };
    let error = refused([&others, "cpu"], &[], &any);
    assert!(error.contains("layers.00.q has [6, 48] values a position in") && error.contains("[6, 40]"), "{error}");
    let same = CompareOptions { selection: selection("attn_norm,logits", "all"), ..any };
    assert_eq!(compared(&gguf, [&others, "cpu"], &[], &same).unwrap().verdict, Verdict::Differs);
}

#[test]
fn thresholds_out_of_range_are_refused() {
    let gguf = odd();
    for (min_cos, max_rel, text) in [
        (Some(1.5), None, "the least cosine is 1.5: expected from -1 to 1"),
        (Some(f64::NAN), None, "the least cosine is NaN"),
        (None, Some(-1.0), "the largest relative error is -1: expected 0 or more, and finite"),
        (None, Some(f64::INFINITY), "the largest relative error is inf"),
    ] {
        let options = CompareOptions { thresholds: Thresholds { min_cos, max_rel }, ..CompareOptions::default() };
        let error = compared(&gguf, ["cpu", "cpu"], &[vec![1]], &options).unwrap_err().to_string();
        assert!(error.starts_with(text), "{error}");
    }
}

#[test]
fn the_oracles_trace_is_met_to_a_millionth() {
    let gguf = model();
    let oracle = data("tiny-64.f64.safetensors").display().to_string();
    let thresholds = Thresholds { min_cos: Some(0.999_999), max_rel: Some(1e-6) };
    let options = CompareOptions { thresholds, ..CompareOptions::default() };
    let found = compared(&gguf, [&oracle, "cpu:act=f32,acc=f64"], &[], &options).unwrap();
    assert_eq!(found.verdict, Verdict::Differs, "{:?}", found.first_past);
    assert_eq!(found.stages.len(), 6 * 4 + 1);
    assert!(found.experts.iter().all(|e| e.same == 64 && e.choices.iter().all(|c| c.same_order)));
    let top = found.top.unwrap();
    assert_eq!((top.positions, top.same), (64, 64));
    // Under Q8_K it is the same file that is far away.
    let found = compared(&gguf, [&oracle, "cpu:act=q8k"], &[], &options).unwrap();
    assert_eq!(found.verdict, Verdict::Past);
}

/// Two files of another program: what the comparison says is what their bytes say.
#[test]
fn two_files_of_others_are_compared() {
    let [exact, rounded] = ["tiny-64.f64.safetensors", "tiny-64.q8k.safetensors"].map(data);
    let open = |path: &Path| Source::File(TraceFile::open(path).unwrap());
    let found = compare(open(&exact), open(&rounded), &[], &CompareOptions::default(), &mut |_| ()).unwrap();
    assert_eq!((found.positions, found.missing.len()), (64, 0));
    assert_eq!((found.left.policy.as_ref(), found.left.model_sha256.as_ref()), (None, None));

    let bytes = [exact, rounded].map(|path| std::fs::read(path).unwrap());
    let files = bytes.each_ref().map(|bytes| SafeTensors::deserialize(bytes).unwrap());
    let numbers = |name: &str| {
        files.each_ref().map(|file| {
            let words = file.tensor(name).unwrap().data().as_chunks().0.iter();
            words.map(|b| f64::from_le_bytes(*b)).collect::<Vec<f64>>()
        })
    };
    for (name, stage, layer) in [
        ("logits", Stage::Logits, None),
        ("l3.moe_ffn_out", Stage::MoeFfnOut, Some(3)),
        ("l5.out", Stage::LayerOut, Some(5)),
    ] {
        let [left, right] = numbers(name);
        let relative = common::relative_error(right, left);
        let said = found.stage(stage, layer).unwrap().relative.unwrap();
        assert!((said / relative - 1.0).abs() < 1e-9, "{name}: {said} and {relative}");
    }
    for layer in &found.experts {
        let sets = files.each_ref().map(|file| {
            let ids = file.tensor(&format!("l{}.experts", layer.layer)).unwrap();
            let ids: Vec<i64> = ids.data().as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect();
            ids.chunks(4).map(|ids| ids.iter().copied().collect::<BTreeSet<_>>()).collect::<Vec<_>>()
        });
        let same = sets[0].iter().zip(&sets[1]).filter(|(a, b)| a == b).count();
        assert_eq!(layer.same, same, "layer {}", layer.layer);
    }
    let best = |logits: &[f64]| -> Vec<usize> {
        let rows = logits.chunks(logits.len() / 64);
        rows.map(|row| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap()).collect()
    };
    let [left, right] = numbers("logits").map(|logits| best(&logits));
    let same = left.iter().zip(&right).filter(|(a, b)| a == b).count();
    assert_eq!(found.top.unwrap().same, same as u64);
    // The oracle's files say which tokens they are of.
    assert_eq!(format!("{:.4}", found.perplexity.unwrap().left), "4.2356");
}
