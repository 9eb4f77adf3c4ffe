//! Templates against Jinja itself, in the environment of transformers. `data/templates.py` makes the cases.

use ptxgen_model::{
    ModelConfig,
    gguf::{Gguf, GgufWriter},
    synth::{Mix, Preset, Synth, Vocabulary},
    tokenizer::{ChatTemplate, Conversation, Message, Tokenizer},
};
use serde::Deserialize;
use std::collections::BTreeSet;

#[derive(Deserialize)]
struct Fixture {
    messages: Vec<Message>,
    /// JSON.
    tools: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    template: String,
    /// None where Jinja fails.
    text: Option<String>,
}

/// What is otherwise, and why. `docs/commands.md` says so, too.
const OTHERWISE: &[(&str, &[&str])] = &[
    (
        "keys that Python takes for one, or for none",
        &["{{ {1: 'a', none: 2, true: 3} }}", "{{ {1: 2, true: 3, none: 4, 1.5: 5}|tojson }}", "{{ {[1]: 2} }}"],
    ),
    ("a method is no value", &["{{ 'a'.upper is callable }}"]),
    ("bytes and tables of characters", &["{{ 'abc'.encode() }}", "{{ 'abc'.translate({}) }}"]),
    ("a view of a dictionary has places", &["{{ tools.d.keys()[0] }}"]),
    (
        "filters that make web pages or draw lots",
        &[
            "{{ '<a>b</a>'|striptags }}",
            "{{ 'hello world'|wordwrap(5) }}",
            "{{ 123|filesizeformat }}",
            "{{ 12345678|filesizeformat }}",
            "{{ 12345678|filesizeformat(true) }}",
            "{{ tools.l|random is number }}",
            "{{ {'class': 'x', 'id': none, 'n': 1}|xmlattr }}",
            "{{ 'see http://x.org/a now'|urlize }}",
            "{{ [1, 2]|batch(0)|list }}",
            "{{ tools.d|pprint }}",
        ],
    ),
    ("a generator is a list", &["{{ tools.words|map('upper')|tojson }}"]),
    (
        "a namespace is a dictionary",
        &["{{ namespace(a=1) }}", "{% set ns = namespace() %}{{ ns is defined }}{{ ns is mapping }}"],
    ),
    (
        "functions that nobody uses in prompts",
        &[
            "{{ cycler('a', 'b').next() }}",
            "{{ joiner(',')() }}",
            "{{ lipsum is defined }}",
            "{{ lipsum(n=1) is string }}",
            "{{ cycler is defined }}",
            "{{ joiner is defined }}",
            "{{ self is defined }}",
        ],
    ),
    ("what Jinja computes before it runs is otherwise than what it runs", &["{{ 5[1:] }}"]),
    ("keywords are no names", &["{{ if }}", "{% set loop = 1 %}{{ loop }}"]),
    (
        "a macro takes what it names, and a default does not see other parameters",
        &[
            "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, a=2) }}",
            "{% macro m(a, b=a) %}{{ b }}{% endmacro %}{{ m(1) }}",
            "{% macro m(x) %}{% endmacro %}{{ m.name }}{{ m.arguments }}",
        ],
    ),
    ("names of one `with` see each other", &["{% with x = 1, y = x %}{{ y }}{% endwith %}"]),
    ("what is open at the end is an error", &["{#", "{% raw %}"]),
];

/// The smallest vocabulary.
fn vocabulary() -> Gguf {
    let config = ModelConfig { vocab: 260, ..Preset::Tiny.config() };
    let synth = Synth { config, mix: Mix::Q4KM, vocabulary: Vocabulary::Bytes, seed: 0 };
    let bytes = synth.writer().to_bytes(&vec![0; synth.writer().data_bytes() as usize]);
    Gguf::from_bytes("m.gguf", &bytes.unwrap()).unwrap()
}

/// A file with a template and nothing else.
fn file(template: &str) -> Gguf {
    let mut w = GgufWriter::new();
    w.set("tokenizer.chat_template", template);
    Gguf::from_bytes("m.gguf", &w.to_bytes(&[]).unwrap()).unwrap()
}

#[test]
fn templates_give_what_jinja_gives() {
    let fixture: Fixture = serde_json::from_slice(include_bytes!("data/templates.json")).unwrap();
    assert!(fixture.cases.len() > 1400);
    let otherwise: BTreeSet<&str> = OTHERWISE.iter().flat_map(|(_, templates)| *templates).copied().collect();
    let conversation = Conversation { messages: fixture.messages, thinking: None, tools: Some(fixture.tools) };
    let tokenizer = Tokenizer::from_gguf(&vocabulary()).unwrap();
    let mut wrong = Vec::new();
    for Case { template, text } in &fixture.cases {
        let ours = ChatTemplate::from_gguf(&file(template), &tokenizer);
        let ours = ours.and_then(|t| t.render_conversation(&conversation)).map_err(|e| e.to_string());
        let is_same = ours.as_ref().ok() == text.as_ref();
        if is_same == otherwise.contains(&**template) {
            wrong.push(format!("{template}\n  Jinja: {text:?}\n  here:  {ours:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), fixture.cases.len(), wrong.join("\n"));
}
