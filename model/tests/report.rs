//! The page that a comparison becomes.

mod common;

use common::comparison::comparison;
use ptxgen_model::{
    compare::{Comparison, Verdict},
    report,
};
use serde_json::Value;

/// The text between two words.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(start).unwrap_or_else(|| panic!("no {start}"));
    rest.split_once(end).unwrap_or_else(|| panic!("no {end}")).0
}

/// The cells of a table, row by row.
fn cells(page: &str, table: &str) -> Vec<Vec<String>> {
    let body = between(between(page, &format!("<table id=\"{table}\">"), "</table>"), "<tbody>", "</tbody>");
    let rows = body.split("<tr>").skip(1);
    rows.map(|row| row.split("<td>").skip(1).map(|cell| cell.split("</td>").next().unwrap().to_owned()).collect())
        .collect()
}

fn embedded(page: &str) -> &str {
    between(page, "<script type=\"application/json\" id=\"comparison\">", "</script>")
}

/// A cell is a number of the JSON, to the digits that it shows; an empty cell is null.
#[track_caller]
fn same(cell: &str, number: &Value) {
    match number.as_f64() {
        Some(n) => {
            let shown: f64 = cell.parse().unwrap_or_else(|_| panic!("{cell} for {n}"));
            // The largest difference has three digits, as in the text.
            assert!((shown - n).abs() <= 5.1e-3 * n.abs(), "{cell} for {n}");
        }
        None => assert!(["", "inf"].contains(&cell), "{cell}"),
    }
}

#[test]
fn page_and_json_carry_the_same_numbers() {
    let comparison = comparison();
    let page = report::html(&comparison).unwrap();
    assert!(embedded(&page) == serde_json::to_string(&comparison).unwrap());
    let json: Value = serde_json::from_str(embedded(&page)).unwrap();
    let rows = cells(&page, "stages");
    assert_eq!(rows.len(), comparison.stages.len());
    for (row, stage) in rows.iter().zip(json["stages"].as_array().unwrap()) {
        assert_eq!(row[0], stage["stage"].as_str().unwrap());
        let keys = ["layer", "values", "differing", "cosine", "relative", "largest", "largest_ulp"];
        for (cell, key) in row[1..].iter().zip(keys) {
            same(cell, &stage[key]);
        }
    }
    let rows = cells(&page, "experts");
    for (row, layer) in rows.iter().zip(json["experts"].as_array().unwrap()) {
        same(&row[0], &layer["layer"]);
        same(&row[1], &layer["same"]);
        assert_eq!(row[2], layer["choices"].as_array().unwrap().len().to_string());
        same(&row[3], &layer["least_margin_of_same"]);
        same(&row[4], &layer["largest_margin_of_other"]);
    }
    assert!(!rows.is_empty());
    assert!(page.contains("perplexity 4.2356 and 4.3012 over 15 tokens"));
    assert!(page.contains("first difference: attn_out of layer 0, position 0, value 3"));
    for title in ["Cosine distance by layer", "Relative error by layer", "Experts by layer", "Relative error by stage"]
    {
        assert!(page.contains(&format!("<b>{title}")), "{title}");
    }
    assert_eq!(page.matches("<svg ").count(), 5);
}

/// Names come from files, which anybody may have made.
#[test]
fn names_of_files_are_escaped() {
    let mut comparison = comparison();
    let evil = "</script><script>alert(1)</script><img src=x onerror=\"alert('2')\">&amp;";
    comparison.left.name = evil.into();
    comparison.right.model = Some(evil.into());
    comparison.right.device = Some(evil.into());
    let page = report::html(&comparison).unwrap();
    assert_eq!(page.matches("<script").count(), 1);
    assert_eq!(page.matches("</script").count(), 1);
    assert!(!page.contains("<img"));
    assert!(page.contains("&lt;script&gt;alert(1)"));
    let json: Value = serde_json::from_str(embedded(&page)).unwrap();
    assert_eq!(json["left"]["name"], evil);
}

#[test]
fn nothing_is_fetched_from_outside() {
    let page = report::html(&comparison()).unwrap();
    let page = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for word in ["http:", "https:", "//", "src=", "url(", "@import", "<link"] {
        assert!(!page.contains(word), "{word}");
    }
}

#[test]
fn equal_runs_and_parts_of_a_forward_are_drawn_too() {
    let mut equal = comparison();
    for d in &mut equal.stages {
        (d.differing, d.not_finite, d.first) = (0, 0, None);
        (d.cosine, d.relative) = (d.cosine.and(Some(1.0)), d.relative.and(Some(0.0)));
        (d.largest, d.largest_ulp) = (d.largest.and(Some(0.0)), d.largest_ulp.and(Some(0)));
    }
    (equal.differing, equal.verdict) = (0, Verdict::Equal);
    let page = report::html(&equal).unwrap();
    assert!(page.contains(&format!("no divergence: all {} values have the same bits", equal.values)));
    assert_eq!(page.matches("<svg ").count(), 5);

    // Only stages outside of layers, and nothing at all.
    let mut logits = comparison();
    logits.stages.retain(|d| d.layer.is_none());
    (logits.experts, logits.distributions) = (Vec::new(), Vec::new());
    assert_eq!(report::html(&logits).unwrap().matches("<svg ").count(), 1);
    let nothing = Comparison { stages: Vec::new(), ..logits };
    assert_eq!(report::html(&nothing).unwrap().matches("<svg ").count(), 0);
}
