//! What the writer writes, the reader reads.

use pretty_assertions::assert_eq;
use proptest::{collection::vec, prelude::*, string::string_regex};
use ptxgen_model::gguf::{Array, Gguf, GgufWriter, Strings, TensorType, Value};

fn strings() -> impl Strategy<Value = Strings> {
    vec(any::<String>(), 0..6).prop_map(Strings::from_iter)
}

/// Not NaN, so that values compare.
fn float() -> impl Strategy<Value = f64> {
    any::<f64>().prop_filter("not NaN", |v| !v.is_nan())
}

fn array() -> impl Strategy<Value = Array> {
    let leaf = prop_oneof![
        vec(any::<u8>(), 0..9).prop_map(Array::U8),
        vec(any::<i8>(), 0..9).prop_map(Array::I8),
        vec(any::<u16>(), 0..9).prop_map(Array::U16),
        vec(any::<i16>(), 0..9).prop_map(Array::I16),
        vec(any::<u32>(), 0..9).prop_map(Array::U32),
        vec(any::<i32>(), 0..9).prop_map(Array::I32),
        vec(any::<u64>(), 0..9).prop_map(Array::U64),
        vec(any::<i64>(), 0..9).prop_map(Array::I64),
        vec(any::<bool>(), 0..9).prop_map(Array::Bool),
        vec(float(), 0..9).prop_map(Array::F64),
        vec(float().prop_map(|v| v as f32), 0..9).prop_map(Array::F32),
        strings().prop_map(Array::Str),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| vec(inner, 0..3).prop_map(Array::Array))
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<u8>().prop_map(Value::U8),
        any::<i8>().prop_map(Value::I8),
        any::<u16>().prop_map(Value::U16),
        any::<i16>().prop_map(Value::I16),
        any::<u32>().prop_map(Value::U32),
        any::<i32>().prop_map(Value::I32),
        any::<u64>().prop_map(Value::U64),
        any::<i64>().prop_map(Value::I64),
        any::<bool>().prop_map(Value::Bool),
        float().prop_map(Value::F64),
        float().prop_map(|v| Value::F32(v as f32)),
        any::<String>().prop_map(|s| Value::Str(s.into())),
        array().prop_map(Value::Array),
    ]
}

fn tensor() -> impl Strategy<Value = (Vec<usize>, TensorType)> {
    let ty = (0..TensorType::ALL.len()).prop_map(|i| TensorType::ALL[i]);
    (ty, 1..3usize, vec(1..4usize, 0..4)).prop_map(|(ty, blocks, outer)| {
        let mut dims = vec![blocks * ty.block_len()];
        dims.extend(outer);
        (dims, ty)
    })
}

fn name() -> impl Strategy<Value = String> {
    string_regex("k[a-z0-9._é]{0,20}").unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn what_is_written_is_read(
        pairs in proptest::collection::btree_map(name(), value(), 0..8),
        tensors in proptest::collection::btree_map(name(), tensor(), 0..6),
        seed in any::<u8>(),
        cut in any::<proptest::sample::Index>(),
    ) {
        let mut w = GgufWriter::new();
        for (k, v) in &pairs {
            w.set(k, v.clone());
        }
        let sizes: Vec<u64> = tensors.iter().map(|(n, (d, t))| w.tensor(n, d, *t)).collect();
        let data: Vec<u8> = (0..w.data_bytes()).map(|i| (i as u8).wrapping_mul(31) ^ seed).collect();
        let bytes = w.to_bytes(&data).unwrap();

        // Through a file too, streamed in two pieces.
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.gguf");
        let mut file = w.create(&path).unwrap();
        let (one, two) = data.split_at(cut.index(data.len() + 1));
        file.write(one).unwrap();
        file.write(two).unwrap();
        file.finish().unwrap();
        prop_assert!(std::fs::read(&path).unwrap() == bytes);

        let mut version_2 = bytes.clone();
        version_2[4] = 2;
        let files = [
            Gguf::open(&path).unwrap(),
            Gguf::from_bytes("x.gguf", &bytes).unwrap(),
            Gguf::from_bytes("x.gguf", &version_2).unwrap(),
        ];
        for gguf in files {
            // Nesting deeper than the reader takes is not generated, so all keys are there.
            let read: Vec<_> = gguf.metadata().iter().map(|(k, v)| (k.to_owned(), v.clone())).collect();
            let written: Vec<_> = pairs.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
            assert_eq!(read, written);
            prop_assert_eq!(gguf.tensors().len(), tensors.len());
            let mut at = 0;
            for ((t, (name, (dims, ty))), size) in gguf.tensors().zip(&tensors).zip(&sizes) {
                prop_assert_eq!((t.name, t.dims, t.ty), (name.as_str(), &dims[..], *ty));
                prop_assert_eq!(t.data.len() as u64, *size);
                prop_assert_eq!(t.rows() * t.row_bytes(), t.data.len());
                prop_assert!(t.data == &data[at..][..t.data.len()]);
                prop_assert!(t.data.as_ptr().addr().is_multiple_of(32));
                at += t.data.len();
            }
        }
    }

    /// Whatever the bytes, the reader answers: it does not panic, and what it accepts is in bounds.
    #[test]
    fn any_damage_is_survived(at in vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6)) {
        let mut w = GgufWriter::new();
        w.set("general.alignment", 64u32);
        w.set("names", Array::Str(Strings::from_iter(["a", "b"])));
        w.set("tree", Array::Array(vec![Array::U8(vec![1]), Array::Bool(vec![true])]));
        w.tensor("t", &[256], TensorType::Q6_K);
        w.tensor("u", &[1, 2, 3], TensorType::F16);
        let mut bytes = w.to_bytes(&[7; 222]).unwrap();
        for (index, byte) in at {
            let i = index.index(bytes.len());
            bytes[i] = byte;
        }
        if let Ok(gguf) = Gguf::from_bytes("x", &bytes) {
            for t in gguf.tensors() {
                prop_assert_eq!(t.rows() * t.row_bytes(), t.data.len());
            }
        }
    }
}

#[test]
fn a_file_appears_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.gguf");
    std::fs::write(&path, b"what was there").unwrap();
    let mut w = GgufWriter::new();
    w.tensor("t", &[4], TensorType::F32);

    let mut dropped = w.create(&path).unwrap();
    dropped.write(&[1; 16]).unwrap();
    drop(dropped);
    for given in [15, 17] {
        let mut file = w.create(&path).unwrap();
        file.write(&vec![1; given]).unwrap();
        let error = file.finish().unwrap_err().to_string();
        assert!(
            error.ends_with(&format!(
                "m.gguf: was given {given} bytes of tensor data, expected 16 for the tensors declared"
            )),
            "{error}"
        );
    }
    assert_eq!(std::fs::read(&path).unwrap(), b"what was there");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "temporary files are removed");

    let mut file = w.create(&path).unwrap();
    file.write(&[1; 16]).unwrap();
    file.finish().unwrap();
    assert_eq!(Gguf::open(&path).unwrap().tensor("t").unwrap().data, [1; 16]);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);

    let missing = w.create(dir.path().join("no/such/folder/m.gguf")).err().unwrap();
    assert!(missing.to_string().ends_with("m.gguf: cannot write the file"), "{missing}");
}

#[test]
fn parts_of_a_tensor() {
    let mut w = GgufWriter::new();
    w.tensor("e", &[2, 3, 2], TensorType::F32);
    let data: Vec<u8> = (0..12).flat_map(|i| (i as f32).to_le_bytes()).collect();
    let gguf = Gguf::from_bytes("x", &w.to_bytes(&data).unwrap()).unwrap();
    let all = gguf.tensor("e").unwrap();
    assert_eq!((all.row_len(), all.rows(), all.elements()), (2, 6, 12));
    let second = all.outer(1);
    assert_eq!(second.dims, [2, 3]);
    assert_eq!(*second.f32s().unwrap(), [6., 7., 8., 9., 10., 11.]);
    assert_eq!(*second.outer(2).f32s().unwrap(), [10., 11.]);
}
