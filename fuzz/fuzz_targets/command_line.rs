//! Any bytes as a file of token ids, and any text as the values of the command line's options: each is
//! refused, or means what it says when it is written out again.
#![no_main]

use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};
use ptxgen_model::{
    KvType, RunSpec, SideSpec, bundled,
    tokenizer::{TokenIdsError, Tokenizer, Vocabulary, token_ids},
    trace::{Layers, Positions, Selection, Stages},
};
use std::sync::LazyLock;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    file: &'a [u8],
    run: &'a str,
    stages: &'a str,
    layers: &'a str,
    positions: &'a str,
    tokens: u16,
}

static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(|| {
    let gguf = bundled().expect("the source has it").expect("it is whole");
    Tokenizer::from_gguf(&gguf).expect("it has one").into_vocabulary()
});

fuzz_target!(|input: Input| {
    match token_ids(input.file) {
        Ok(ids) => {
            let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
            assert_eq!(bytes, input.file);
            let known = ids.iter().all(|id| (*id as usize) < VOCABULARY.len());
            assert_eq!(VOCABULARY.decode(&ids).is_ok(), known);
        }
        Err(TokenIdsError::Size { bytes }) => assert!(bytes == input.file.len() && !bytes.is_multiple_of(4)),
        Err(TokenIdsError::Negative { index, id }) => {
            assert!(id < 0);
            assert_eq!(input.file[4 * index..4 * index + 4], id.to_le_bytes());
        }
        Err(other) => panic!("an error of a kind that is not checked here: {other}"),
    }
    if let Ok(run) = input.run.parse::<RunSpec>() {
        assert_eq!(run.to_string().parse::<RunSpec>().ok(), Some(run));
    }
    let _ = input.run.parse::<SideSpec>();
    let _ = input.run.parse::<KvType>();
    let (stages, layers, positions) =
        (input.stages.parse::<Stages>(), input.layers.parse::<Layers>(), input.positions.parse::<Positions>());
    let selection = Selection {
        stages: stages.unwrap_or_default(),
        layers: layers.unwrap_or_default(),
        positions: positions.unwrap_or_default(),
    };
    let config = ptxgen_model::synth::Preset::Tiny.config();
    let tokens = usize::from(input.tokens);
    if let Ok(selected) = selection.of(&config, tokens) {
        assert!(selected.positions.iter().all(|p| *p < tokens));
        assert!(selected.stages.iter().all(|(_, layer)| layer.is_none_or(|l| l < config.blocks)));
    }
});
