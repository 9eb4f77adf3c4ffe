//! Writes docs/stages.md, in a test: the stages of every architecture, and the rules for the launches of a device.

use crate::{
    architecture::{self, Architecture},
    device::rules,
    graph::{Graph, Node, Source, StageType},
    synth::Preset,
};
use std::{fmt::Write, path::Path};

/// The beginning of the page.
const INTRODUCTION: &str = "\
# Stages

<!-- Written by `BLESS=1 cargo test -p ptxgen-model --lib documentation`. -->

An architecture is a function from a configuration to a graph of stages (`model/src/architecture/`). A test generates this
page from these graphs. The names are those of traces, comparison and bisection. *Stream* is the residual stream that enters a
layer: `embedding`, or `layer_out` of the previous layer. Weights are named as in GGUF files, without `blk.N.` and `.weight`.
The last column lists what a result depends on in addition to its inputs: `act`, `acc` and `math` are parts of the
[policy](policies.md), `kv` is the cache's type, `f64` is fixed. The [numerics contract](numerics.md) defines the operations.
";

const LAUNCHES: &str = "
## What a device launches

For the next stages of the graph, the first of these rules that fits is used (`model/src/device/rules/`). Stages joined by + are
one group, which becomes one launch or a few. If a rule is for several groups, they are listed one below the other. A test leaves
out each rule that has an alternative below it, and gets the same bits.

| rule | stages | needs |
|---|---|---|
";

fn document() -> String {
    let mut text = INTRODUCTION.to_owned();
    for architecture in architecture::all() {
        stages(&mut text, architecture);
    }
    text += LAUNCHES;
    for rule in rules::rules() {
        let group =
            |stages: &&[crate::graph::Stage]| stages.iter().map(|s| format!("`{s}`")).collect::<Vec<_>>().join(" + ");
        let groups: Vec<_> = rule.stages.iter().map(group).collect();
        writeln!(text, "| {} | {} | {} |", rule.name, groups.join("<br>"), rule.needs).unwrap();
    }
    text
}

fn stages(text: &mut String, architecture: &Architecture) {
    let presets = [Preset::Tiny, Preset::TinyDense].map(Preset::config);
    let config =
        presets.into_iter().find(|c| c.architecture == architecture).expect("a small model of each architecture");
    let graph = config.graph();
    writeln!(text, "\n## {} (`{}`)\n", architecture.title, architecture.name).unwrap();
    text.push_str(
        "| stage | operation | inputs | weights | shape per position | depends on |\n|---|---|---|---|---|---|\n",
    );
    for (part, nodes) in [("before", &graph.before), ("layer", &graph.layer), ("after", &graph.after)] {
        let title = match part {
            "before" => "**once, before the layers**",
            "layer" => "**in each layer**",
            _ => "**once, after the layers**",
        };
        writeln!(text, "| {title} | | | | | |").unwrap();
        nodes.iter().for_each(|node| row(text, &graph, node));
    }
}

fn row(text: &mut String, graph: &Graph, node: &Node) {
    let input = |source: &Source| match source {
        Source::Stream => "stream".to_owned(),
        Source::Stage(stage) => format!("`{stage}`"),
    };
    let inputs: Vec<_> = node.inputs.iter().map(input).collect();
    let weights = node
        .operation
        .weights()
        .map_or(String::new(), |role| format!("`{}`", role.name(None).trim_end_matches(".weight")));
    let dims: Vec<_> = node.stage.dims().iter().map(|d| d.to_string()).collect();
    let ty = match node.stage.ty() {
        StageType::F32 => "",
        StageType::F64 => ", f64",
        StageType::Id => ", ids",
    };
    let concerns: Vec<_> = node.operation.concerns().iter().map(|c| format!("`{c}`")).collect();
    let aside = if graph.is_aside(node.stage) { " (nothing reads it)" } else { "" };
    writeln!(
        text,
        "| `{}`{aside} | {} | {} | {weights} | {}{ty} | {} |",
        node.stage,
        node.operation.summary(),
        inputs.join(", "),
        dims.join(" x "),
        concerns.join(", ")
    )
    .unwrap();
}

#[test]
fn the_table_of_stages_is_that_of_the_graphs() {
    let text = document();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/stages.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    pretty_assertions::assert_eq!(text, expected, "BLESS=1 writes docs/stages.md");
}
