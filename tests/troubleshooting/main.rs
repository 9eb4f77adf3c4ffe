//! `docs/troubleshooting.md` quotes messages, `..` for what differs. Each is provoked here, so that none is
//! kept that no program says any more, and none is provoked that the page does not explain.

mod command;
mod devices;
mod kernels;
mod runs;
mod testing;

use std::{fs, path::Path};

/// The messages that the page's headings quote.
fn quoted() -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/troubleshooting.md");
    let page = fs::read_to_string(page).unwrap();
    let headings = page.lines().filter_map(|line| line.strip_prefix("### "));
    // A quotation that has backticks itself is within two of them and spaces.
    let unquoted = |h: &str| {
        let double = h.strip_prefix("`` ").and_then(|h| h.strip_suffix(" ``"));
        double.unwrap_or(h.trim_matches('`')).to_owned()
    };
    headings.map(unquoted).collect()
}

/// Whether a message contains a quotation, whose `..` represent anything.
fn says(message: &str, quotation: &str) -> bool {
    let mut rest = message;
    quotation.split("..").all(|part| match rest.split_once(part.trim()) {
        Some((_, behind)) => {
            rest = behind;
            true
        }
        None => false,
    })
}

#[test]
fn every_quoted_message_is_said_and_every_provoked_one_is_explained() {
    let provoked =
        [kernels::messages(), runs::messages(), testing::messages(), devices::messages(), command::messages()].concat();
    let quoted = quoted();
    assert!(quoted.len() > 40, "only {} headings quote a message", quoted.len());
    let unsaid: Vec<_> = quoted.iter().filter(|q| !provoked.iter().any(|m| says(m, q))).collect();
    let unexplained: Vec<_> = provoked.iter().filter(|m| !quoted.iter().any(|q| says(m, q))).collect();
    assert!(
        unsaid.is_empty() && unexplained.is_empty(),
        "nothing says {unsaid:#?}\nand docs/troubleshooting.md does not explain {unexplained:#?}"
    );
}

#[test]
fn a_quotation_is_found_in_order() {
    assert!(says("x.gguf: has 3 parts, join them", "has .. parts, join .."));
    assert!(!says("x.gguf: has 3 parts", "parts .. has"));
    assert!(!says("x.gguf: has 3 parts", "has .. pieces"));
}
