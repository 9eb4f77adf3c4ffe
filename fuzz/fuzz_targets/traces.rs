//! Any two files as traces: each is refused with its name, or has the values that it says; and what
//! two traces differ in is told, or why they cannot be compared; also why they do, with a model. A trace is
//! equal to itself.
#![no_main]

use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};
use ptxgen_model::{
    bisect::{Run, Swapped, bisect},
    compare::{CompareOptions, Source, compare},
    config::ModelConfig,
    gguf::{Gguf, TensorType},
    report,
    synth::{Mix, Preset, Synth, Vocabulary},
    trace::{Stage, TraceData, TraceFile},
};
use std::{fmt::Write, path::PathBuf, sync::OnceLock};

/// A file: bytes as they come, or a header with tensors whose offsets are right.
#[derive(Debug, Arbitrary)]
enum File<'a> {
    Raw(&'a [u8]),
    Made { tensors: Vec<Tensor<'a>>, metadata: Vec<(Key, &'a str)>, data: &'a [u8] },
}

#[derive(Debug, Arbitrary)]
struct Tensor<'a> {
    name: Name<'a>,
    dtype: u8,
    shape: Vec<u8>,
}

#[derive(Debug, Arbitrary)]
enum Name<'a> {
    Stage { stage: u8, layer: u8 },
    Far { stage: u8, layer: usize },
    Tokens,
    Positions,
    Other(&'a str),
}

#[derive(Debug, Arbitrary)]
enum Key {
    ModelSha256,
    Policy,
    Kv,
    Derived,
    FaultList,
    Model,
}

impl File<'_> {
    fn bytes(&self) -> Vec<u8> {
        let Self::Made { tensors, metadata, data } = self else {
            let Self::Raw(bytes) = self else { unreachable!() };
            return bytes.to_vec();
        };
        let mut header = serde_json::Map::new();
        let mut end = 0;
        for t in tensors.iter().take(32) {
            let dtypes = ["F32", "F64", "F16", "BF16", "I32", "U32", "I64", "U8", "F4", "BOOL"];
            let dtype = dtypes[usize::from(t.dtype) % dtypes.len()];
            let bits = [32, 64, 16, 16, 32, 32, 64, 8, 4, 8][usize::from(t.dtype) % dtypes.len()];
            let shape: Vec<usize> = t.shape.iter().take(4).map(|d| usize::from(*d % 8)).collect();
            let size = shape.iter().product::<usize>() * bits / 8;
            let stage = |i: u8| Stage::ALL[usize::from(i) % Stage::ALL.len()];
            let name = match t.name {
                Name::Stage { stage: i, layer } => stage(i).tensor_name(stage(i).in_layer().then_some(layer.into())),
                Name::Far { stage: i, layer } => stage(i).tensor_name(stage(i).in_layer().then_some(layer)),
                Name::Tokens => "tokens".into(),
                Name::Positions => "positions".into(),
                Name::Other(name) => name.into(),
            };
            let info = serde_json::json!({ "dtype": dtype, "shape": shape, "data_offsets": [end, end + size] });
            // Of two with one name the first stays, so that the offsets have no hole.
            if !header.contains_key(&name) {
                header.insert(name, info);
                end += size;
            }
        }
        let keys = metadata.iter().map(|(key, value)| {
            let key = match key {
                Key::ModelSha256 => "model_sha256",
                Key::Policy => "policy",
                Key::Kv => "kv",
                Key::Derived => "derived",
                Key::FaultList => "fault_list",
                Key::Model => "model",
            };
            (key.to_owned(), (*value).into())
        });
        header.insert("__metadata__".into(), serde_json::Value::Object(keys.collect()));
        let header = serde_json::Value::Object(header).to_string().into_bytes();
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header);
        file.extend(data.iter().copied().chain(std::iter::repeat(1)).take(end));
        file
    }
}

/// The reader maps files, so there has to be one.
fn path(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("ptxgen-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for the traces");
        folder
    });
    folder.join(name)
}

fn open(name: &str) -> Option<TraceFile> {
    match TraceFile::open(path(name)) {
        Ok(trace) => Some(trace),
        Err(e) => {
            assert!(e.to_string().contains(name), "{e}");
            None
        }
    }
}

fn read(name: &str, file: &File<'_>) -> Option<TraceFile> {
    // Not over the old one, which is mapped.
    let _ = std::fs::remove_file(path(name));
    std::fs::write(path(name), file.bytes()).expect("a file that is to be read");
    let trace = open(name)?;
    if let Ok(data) = trace.data() {
        assert_eq!(data.positions, trace.positions());
        assert_eq!(data.tensors.len(), trace.stages().count());
        for ((stage, layer), tensor) in &data.tensors {
            assert_eq!(tensor.shape.iter().product::<usize>(), tensor.values.len());
            assert_eq!(trace.dims(*stage, *layer), Some(&tensor.shape[1..]));
        }
    }
    Some(trace)
}

/// A model whose forward takes no time, for traces of 8 positions at most.
fn model() -> &'static Gguf {
    static MODEL: OnceLock<Gguf> = OnceLock::new();
    MODEL.get_or_init(|| {
        let config = ModelConfig {
            blocks: 1,
            hidden: 4,
            heads: 2,
            kv_heads: 1,
            head_dim: 2,
            experts: 3,
            experts_used: 2,
            expert_ff: 4,
            vocab: 5,
            ..Preset::Tiny.config()
        };
        let synth = Synth { config, mix: Mix::One(TensorType::F32), vocabulary: Vocabulary::None, seed: 1 };
        Gguf::from_bytes("model", &synth.to_bytes().expect("a small model")).expect("a model")
    })
}

fn bisected(left: &TraceData, right: &TraceData) {
    let tokens: Vec<u32> = (0..left.positions.len().min(8) as u32).map(|t| t % 5).collect();
    let (left, right) = (Run { name: "left", trace: left }, Run { name: "right", trace: right });
    match bisect(model(), &tokens, left, right, Swapped::default(), &mut |_, _| ()) {
        Ok(found) => assert!(serde_json::to_string(&found).is_ok()),
        Err(e) => assert!(write!(String::new(), "{e}").is_ok()),
    }
}

fuzz_target!(|files: [File; 2]| {
    let [Some(left), Some(right)] = [("left", &files[0]), ("right", &files[1])].map(|(name, file)| read(name, file))
    else {
        return;
    };
    if let (Ok(left), Ok(right)) = (left.data(), right.data()) {
        bisected(&left, &right);
    }
    let options = CompareOptions { any_model: true, ..CompareOptions::default() };
    let compared = |left, right| compare(Source::File(left), Source::File(right), &[], &options, &mut |_| ());
    match compared(left, right) {
        Ok(found) => {
            assert!(serde_json::to_string(&found).is_ok());
            assert!(report::html(&found).is_ok());
        }
        Err(e) => assert!(write!(String::new(), "{e}").is_ok()),
    }
    if let (Some(left), Some(again)) = (open("left"), open("left"))
        && let Ok(found) = compared(left, again)
    {
        assert_eq!(found.differing, 0);
    }
});
