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
    assert_eq!(
        error(&other, &text()),
        "b has other tokens than the command line: bisect needs two runs on the same tokens"
    );
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

/// Traces are files of others: their tensors may have any shape.
#[test]
fn stages_without_values_are_refused() {
    let gguf = model();
    let whole = run(&gguf, F64, KvType::F32, &text(), &[]);
    let config = PlainModel::new(&gguf).unwrap().config().clone();
    for stage in config.graph().nodes().map(|n| &n.stage) {
        let layers: Vec<_> = if stage.in_layer() { (0..config.blocks).map(Some).collect() } else { vec![None] };
        let [mut left, mut right] = [&whole, &whole].map(TraceData::clone);
        for trace in [&mut left, &mut right] {
            for layer in &layers {
                if let Some(tensor) = trace.tensors.get_mut(&(*stage, *layer)) {
                    tensor.shape = vec![tensor.shape[0], 0];
                    tensor.values = match tensor.values {
                        Values::U32(_) => Values::U32(vec![]),
                        _ => Values::F32(vec![]),
                    };
                }
            }
        }
        // Of a run that differs, so that stages are recomputed.
        let Some(Tensor { values: Values::F32(values), .. }) = right.tensors.get_mut(&(Stage::Embedding, None)) else {
            panic!("embeddings are f32");
        };
        values.iter_mut().for_each(|v| *v += 1.0);
        let (a, b) = (Run { name: "a", trace: &left }, Run { name: "b", trace: &right });
        let found = bisect(&gguf, &text(), a, b, Swapped::default(), &mut |_, _| ());
        let error = found.err().map(|e| e.to_string());
        assert!(error.is_none_or(|e| e.contains("a: ") || e.contains("a and b")), "{stage:?}");
    }
}
