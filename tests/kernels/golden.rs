//! Every kernel of each kind in every variant is the text in `tests/golden/sm_90/`; of those of other tensor types, the
//! products. For sm_75 the difference from that text is kept: a file for each kernel whose code differs, and one list of those
//! that differ in `.version` and `.target` alone. `BLESS=1` regenerates them.

use crate::cases::{self, Case};
use ptxgen::{
    builder::target::Target,
    testing::{GoldenFolder, blessing},
};
use similar::TextDiff;

fn folder(name: &str) -> GoldenFolder {
    GoldenFolder::new(env!("CARGO_MANIFEST_DIR"), format!("tests/golden/{name}"), blessing())
}

fn finish(folder: GoldenFolder) {
    folder.finish().unwrap_or_else(|e| panic!("{e}\n\nTo write them: BLESS=1 cargo test --test kernels golden"));
}

#[test]
fn sm_90() {
    let mut folder = folder("sm_90");
    for case in cases::all(Target::SM_90).chain(cases::by_type(Target::SM_90)) {
        folder.check(&format!("{}.ptx", case.built.title()), &case.text);
    }
    finish(folder);
}

/// The directives `.version` and `.target` at a text's start, and the rest.
fn parts(text: &str) -> (String, &str) {
    let end = text.match_indices('\n').nth(1).map_or(text.len(), |(at, _)| at + 1);
    let (head, rest) = text.split_at(end);
    let mut words = head.split_whitespace();
    let mut value = |directive| {
        assert_eq!(words.next(), Some(directive), "{head}");
        words.next().unwrap_or_default().to_owned()
    };
    (format!("{} {}", value(".version"), value(".target")), rest)
}

#[test]
fn sm_75() {
    let mut folder = folder("sm_75");
    let mut versions = String::new();
    // All kernels are made for both targets, in one order.
    for (Case { built, text, .. }, newer) in cases::all(Target::SM_75).zip(cases::all(Target::SM_90)) {
        let name = built.title();
        assert_eq!(name, newer.built.title());
        let ((head, code), (_, newer)) = (parts(&text), parts(&newer.text));
        let code_is = if code == newer { "the same code" } else { "see its file" };
        versions.push_str(&format!("{name}: {head}, {code_is}\n"));
        if code != newer {
            let diff = TextDiff::from_lines(newer, code).unified_diff().context_radius(0).to_string();
            folder.check(&format!("{name}.diff"), &diff);
        }
    }
    folder.check("all.txt", &versions);
    finish(folder);
}
