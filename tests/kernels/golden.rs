//! Every kernel in every variant is the text in `tests/golden/`. `BLESS=1` writes it anew.

use crate::cases;
use ptxgen::builder::target::Target;
use similar::TextDiff;
use std::{collections::BTreeSet, env, fs, path::Path};

/// Lines of a difference that are shown.
const SHOWN: usize = 60;

fn check(target: Target) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(target.to_string());
    let bless = env::var_os("BLESS").is_some();
    fs::create_dir_all(&folder).unwrap();
    let mut names = BTreeSet::new();
    let mut wrong = Vec::new();
    for case in cases::all(target) {
        let name = format!("{}.ptx", case.built.title());
        let path = folder.join(&name);
        let golden = fs::read_to_string(&path).unwrap_or_default();
        if golden != case.text {
            if bless {
                fs::write(&path, &case.text).unwrap();
            } else {
                wrong.push(difference(&format!("{target}/{name}"), &golden, &case.text));
            }
        }
        names.insert(name);
    }
    for file in fs::read_dir(&folder).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        if !names.contains(&name) {
            match bless {
                true => fs::remove_file(file.path()).unwrap(),
                false => wrong.push(format!("tests/golden/{target}/{name} is no kernel's")),
            }
        }
    }
    let hint = "if the change is meant: BLESS=1 cargo test --test kernels golden";
    assert!(wrong.is_empty(), "{} of {} goldens differ; {hint}\n\n{}", wrong.len(), names.len(), wrong.join("\n\n"));
}

fn difference(name: &str, golden: &str, found: &str) -> String {
    let diff = TextDiff::from_lines(golden, found);
    let text = diff.unified_diff().context_radius(3).header(&format!("tests/golden/{name}"), "generated").to_string();
    let more = text.lines().count().saturating_sub(SHOWN);
    let mut shown: String = text.lines().take(SHOWN).map(|l| format!("{l}\n")).collect();
    if more > 0 {
        shown += &format!("... and {more} lines more\n");
    }
    shown
}

#[test]
fn sm_75() {
    check(Target::SM_75);
}

#[test]
fn sm_90() {
    check(Target::SM_90);
}

#[test]
fn a_difference_is_shown_with_its_lines() {
    let shown = difference("sm_75/k.ptx", "a\nb\nc\n", "a\nB\nc\n");
    assert_eq!(shown, "--- tests/golden/sm_75/k.ptx\n+++ generated\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n");
}
