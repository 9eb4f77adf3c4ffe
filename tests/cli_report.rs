//! `ptxgen compare --html`: the page says what the text and the JSON say.

mod support;

use serde_json::Value;
use std::{fs, path::PathBuf};
use support::{code, ptxgen, text};

const SIDES: [&str; 5] = ["compare", "--left", "cpu:act=f32,acc=f64", "--right", "cpu:act=q8k,acc=f32"];

fn tokens() -> String {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("model/tests/data/tiny.tokens-64.i32");
    file.to_str().unwrap().into()
}

#[test]
fn text_json_and_page_carry_the_same_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let page = dir.path().join("report.html");
    let (ids, page_path) = (tokens(), page.to_str().unwrap());
    let common = [&SIDES[..], &["--tokens", &ids, "--first", "12"]].concat();
    let json = ptxgen(&[&common[..], &["--json", "--html", page_path]].concat());
    assert_eq!(code(&json), Some(0), "{}", text(&json.stderr));
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    let page = fs::read_to_string(&page).unwrap();

    let (_, embedded) = page.split_once("<script type=\"application/json\" id=\"comparison\">").unwrap();
    let embedded: Value = serde_json::from_str(embedded.split_once("</script>").unwrap().0).unwrap();
    assert!(embedded == json);

    let written = ptxgen(&common);
    let written = text(&written.stdout);
    let mut rows = 0;
    for line in written.lines() {
        // A stage that differs: its name, the share of values that differ, and four measures.
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, share, cosine, relative, largest, ulp] = words[..] else { continue };
        if !share.ends_with('%') {
            continue;
        }
        let (layer, stage) = match name.strip_prefix("layers.") {
            Some(rest) => rest.split_once('.').map(|(l, s)| (l.parse::<u32>().unwrap().to_string(), s)).unwrap(),
            None => (String::new(), name),
        };
        let row = format!("<tr><td>{stage}</td><td>{layer}</td>");
        let cells = page.lines().find(|l| l.starts_with(&row)).unwrap_or_else(|| panic!("no row of {name}"));
        let measures = [cosine, relative, largest, ulp].map(|m| format!("<td>{m}</td>")).concat();
        assert!(cells.ends_with(&format!("{measures}</tr>")), "{line}\n{cells}");
        rows += 1;
    }
    assert!(rows > 100, "{rows} rows in\n{written}");
    let perplexity = written.lines().find(|l| l.starts_with("perplexity over ")).unwrap();
    let (_, both) = perplexity.split_once(": ").unwrap();
    assert!(page.contains(&format!("perplexity {both} over")), "{perplexity}");
}

#[test]
fn a_report_that_cannot_be_written_is_told() {
    let ids = tokens();
    let output = ptxgen(&[&SIDES[..], &["--tokens", &ids, "--first", "2", "--html", "/nowhere/report.html"]].concat());
    let message = text(&output.stderr);
    assert!(message.starts_with("error: cannot write /nowhere/report.html\n  caused by: No such file"), "{message}");
    assert_eq!(code(&output), Some(1));
}
