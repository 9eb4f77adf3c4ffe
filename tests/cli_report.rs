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
    let number = |value: &Value| value.as_f64().unwrap();
    // Every stage that differs is a row of the text and of the page, with the numbers of the JSON.
    let differing = json["stages"].as_array().unwrap().iter().filter(|d| d["differing"] != 0);
    let mut rows = 0;
    for d in differing {
        let (stage, layer) = (d["stage"].as_str().unwrap(), d["layer"].as_u64());
        let name = layer.map_or(stage.to_owned(), |layer| format!("layers.{layer:02}.{stage}"));
        let share = format!("{:.1}%", 100.0 * number(&d["differing"]) / number(&d["values"]));
        let measures = match d["cosine"].as_f64() {
            Some(cosine) => vec![
                format!("{cosine:.8}"),
                format!("{:.3e}", number(&d["relative"])),
                format!("{:.2e}", number(&d["largest"])),
                d["largest_ulp"].to_string(),
            ],
            None => vec![],
        };
        let line = written.lines().find(|l| l.split_whitespace().next() == Some(&name));
        let words: Vec<&str> = line.unwrap_or_else(|| panic!("no row of {name}")).split_whitespace().collect();
        assert_eq!(words[1..], [&[share][..], &measures].concat());
        let layer = layer.map_or(String::new(), |layer| layer.to_string());
        let counts = format!("<td>{}</td><td>{}</td>", d["values"], d["differing"]);
        let cells = [measures, vec![String::new(); 4]].concat()[..4]
            .iter()
            .map(|m| format!("<td>{m}</td>"))
            .collect::<String>();
        let row = format!("<tr><td>{stage}</td><td>{layer}</td>{counts}{cells}</tr>");
        assert!(page.contains(&row), "{row}");
        rows += 1;
    }
    assert!(rows > 100, "{rows} rows in\n{written}");

    // So is what is said in short.
    let says = |text: String| assert!(written.contains(&text), "`{text}` is not in\n{written}");
    let shows = |text: String| assert!(page.contains(&text), "`{text}` is not in the page");
    says(format!("{} of {} values differ\n", json["differing"], json["values"]));
    shows(format!("{} of {} values differ</p>", json["differing"], json["values"]));
    for (key, line) in [("first", "first stage that differs"), ("first_past", "first stage past relative error 0.001")]
    {
        let (place, layer) = (&json[key], json[key]["layer"].as_u64().unwrap());
        let at = format!("position {}, value {}", place["position"], place["index"]);
        says(format!("{line}: layers.{layer:02}.{} ({at})\n", place["stage"].as_str().unwrap()));
    }
    let (layer, from, to) =
        (&json["growth"]["layer"], number(&json["growth"]["before"]), number(&json["growth"]["after"]));
    says(format!("the error grows most in layer {layer}: from {from:.3e} to {to:.3e}\n"));
    shows(format!("the error grows most in layer {layer}, from {from:.3e} to {to:.3e}</li>"));
    let top = &json["top"];
    says(format!(
        "the same at {} of {} positions, {} of 1 prompt",
        top["same"], top["positions"], top["same_at_the_end"]
    ));
    shows(format!(
        "is the same at {} of {} positions, and after {} of 1",
        top["same"], top["positions"], top["same_at_the_end"]
    ));
    let perplexity = &json["perplexity"];
    let (left, right) = (number(&perplexity["left"]), number(&perplexity["right"]));
    says(format!("perplexity over {} tokens: {left:.4} and {right:.4}\n", perplexity["tokens"]));
    shows(format!("perplexity {left:.4} and {right:.4} over {} tokens", perplexity["tokens"]));
    let experts = json["experts"].as_array().unwrap();
    let same: u64 = experts.iter().map(|e| e["same"].as_u64().unwrap()).sum();
    says(format!("experts: the same at {same} of {} choices\n", 12 * experts.len()));
    for e in experts {
        shows(format!("<tr><td>{}</td><td>{}</td><td>12</td>", e["layer"], e["same"]));
    }
}

#[test]
fn a_report_that_cannot_be_written_is_told() {
    let ids = tokens();
    let output = ptxgen(&[&SIDES[..], &["--tokens", &ids, "--first", "2", "--html", "/nowhere/report.html"]].concat());
    let message = text(&output.stderr);
    assert!(message.starts_with("error: cannot write /nowhere/report.html\n  caused by: No such file"), "{message}");
    assert_eq!(code(&output), Some(1));
}
