use super::*;

#[test]
fn runs_that_cannot_be_bisected() {
    let gguf = model();
    let whole = run(&gguf, F64, KvType::F32, &text(), &[]);
    let error = |right: &TraceData, text: &[u32]| {
        let (left, right) = (Run { name: "a", trace: &whole }, Run { name: "b", trace: right });
        bisect(&gguf, text, left, right, Swapped::default(), &mut |_, _| ()).unwrap_err().to_string()
    };
    let mut other = whole.clone();
    other.positions = vec![9];
    assert_eq!(
        error(&other, &text()),
        "b has 1 of 10 positions: attention needs all of them, so record with --positions all"
    );
    let mut other = whole.clone();
    other.meta.tokens = Some(vec![1, 2]);
    assert_eq!(error(&other, &text()), "b is a run on other tokens than was asked for: bisect runs on the same tokens");
    let mut other = whole.clone();
    other.tensors.clear();
    assert_eq!(
        error(&other, &text()),
        "a and b have no stage in common that can be measured: record all stages of both"
    );
    let mut known = whole.clone();
    known.meta.model_sha256 = Some("11".into());
    let mut other = whole.clone();
    other.meta.model_sha256 = Some("22".into());
    let (left, right) = (Run { name: "a", trace: &known }, Run { name: "b", trace: &other });
    let error = bisect(&gguf, &text(), left, right, Swapped::default(), &mut |_, _| ()).unwrap_err();
    assert!(matches!(error, BisectError::Models { .. }), "{error}");
}
