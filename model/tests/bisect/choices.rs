use super::*;

#[test]
fn a_clean_pair_has_no_divergence() {
    let gguf = model();
    let (left, right) = (run(&gguf, F64, KvType::F32, &text(), &[]), run(&gguf, F64, KvType::F32, &text(), &[]));
    let found = runs(&gguf, &text(), &left, &right);
    assert_eq!(found.verdict.cause, Cause::NoDivergence);
    assert!(found.verdict.sentence.starts_with("no divergence: all "), "{}", found.verdict.sentence);
    assert!(found.divergence.is_none() && found.attributions.is_empty());
}

#[test]
fn the_activation_format_is_told_from_the_accumulator() {
    let gguf = model();
    let of = |act, acc| run(&gguf, Policy::new(act, acc), KvType::F32, &text(), &[]);
    let exact = of(Act::F32, Acc::F64);
    let factors = |right: &TraceData| {
        let found = runs(&gguf, &text(), &exact, right);
        assert!(found.left.reproduced && found.right.reproduced && found.unexplained == 0.0);
        assert!(found.left.findings.is_empty() && found.right.findings.is_empty());
        let kinds: Vec<_> = found.attributions.iter().map(|a| a.kind).collect();
        let Cause::Choices { factors } = &found.verdict.cause else { panic!("{:?}", found.verdict) };
        (kinds, factors.clone(), found)
    };

    let (kinds, named, _) = factors(&of(Act::F32, Acc::F32));
    assert_eq!((kinds, named), (vec!["accumulator"], vec!["accumulator".to_owned()]));

    let (kinds, named, found) = factors(&of(Act::Q8K, Acc::F64));
    assert_eq!((kinds, named), (vec!["activation_format"], vec!["activation format".to_owned()]));
    // Each class of matrices, and each layer, has its part.
    let act = &found.attributions[0];
    assert_eq!(act.layers.len(), 6);
    assert_eq!(act.stages.len(), 8);
    assert!(act.stages.iter().chain(&act.layers).all(|p| p.alone > 0.0 && p.alone < 1.0));
}

#[test]
fn a_format_and_an_accumulator_are_ranked() {
    let (gguf, text) = (model(), tokens("tiny.tokens-64.i32"));
    let left = run(&gguf, F64, KvType::F32, &text, &[]);
    let right = run(&gguf, Policy::new(Act::Q8K, Acc::F32), KvType::F32, &text, &[]);
    let found = runs(&gguf, &text, &left, &right);
    // The format first; the accumulator after it, since under q8k it moves roundings to 8 bits.
    assert_eq!(found.verdict.cause, Cause::Choices { factors: vec!["activation format".into(), "accumulator".into()] });
    let [act, acc] = &found.attributions[..] else { panic!("two factors") };
    assert!(act.alone > 1000.0 * acc.alone, "{} {}", act.alone, acc.alone);
    assert!(acc.last > 0.01 && acc.first < 0.01, "{acc:?}");
    assert!((act.explains + acc.explains - 1.0).abs() < 1e-9);
    assert!(found.left.reproduced && found.right.reproduced && found.unexplained == 0.0);
}

#[test]
fn the_caches_type_is_named() {
    let gguf = model();
    let left = run(&gguf, F64, KvType::F32, &text(), &[]);
    let right = run(&gguf, F64, KvType::F16, &text(), &[]);
    let found = runs(&gguf, &text(), &left, &right);
    assert_eq!(found.verdict.cause, Cause::Choices { factors: vec!["KV cache".into()] });
    assert_eq!(found.attributions[0].explains, 1.0);
}
