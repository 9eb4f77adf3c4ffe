//! `ptxgen run --speculate`: the same text, with guesses.

use super::support::{code, fails, ptxgen, synthetic, text};
use expect_test::expect;
use std::path::Path;

const CPU: [&str; 6] = ["--device", "cpu", "--act", "q8k", "-n", "48"];

/// Code that repeats itself.
const PROMPT: &str = "struct A { x: u32 }\nstruct B { y: u32 }\nimpl A {\n    fn x(&self) -> u32 {\n        self.x\n    }\n}\nimpl B {\n";

/// The text, and what is said of guesses.
fn run(options: &[&str]) -> (String, Option<String>) {
    let output = ptxgen(&[&["run", "--prompt", PROMPT], options, &CPU].concat());
    let said = text(&output.stderr);
    assert_eq!(code(&output), Some(0), "{said}");
    (text(&output.stdout), said.lines().find(|l| l.contains(" guesses accepted, ")).map(str::to_owned))
}

/// The bundled model's file.
fn bundled() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("model/data/tiny-rust-moe-Q4_K_M.gguf");
    file.to_str().unwrap().to_owned()
}

#[test]
fn guesses_do_not_change_the_text() {
    let draft = bundled();
    for options in [&[][..], &["--temp", "0.7", "--top-k", "20", "--seed", "3"], &["--repeat-penalty", "1.2"]] {
        let (plain, said) = run(options);
        assert_eq!(said, None);
        assert_eq!(run(&[options, &["--speculate", "off"]].concat()), (plain.clone(), None));
        for guesses in
            [&["--speculate", "lookup"][..], &["--draft", &draft], &["--speculate", "draft", "--draft", &draft]]
        {
            let (with, said) = run(&[options, guesses].concat());
            assert_eq!(with, plain, "{options:?} {guesses:?}");
            let said = said.expect("what was guessed");
            assert!(said.ends_with(" tokens a step") && said.contains(" of "), "{said}");
        }
    }
}

#[test]
fn what_cannot_guess_is_refused() {
    let refused =
        |options: &[&str], code, expected| fails(&[&["run", "--prompt", "a"], options].concat(), code, expected);
    let draft = bundled();
    refused(
        &["--speculate", "draft"],
        2,
        expect![[r#"
            error: --speculate draft needs a model that guesses: --draft MODEL
        "#]],
    );
    refused(
        &["--speculate", "lookup", "--draft", &draft],
        2,
        expect![[r#"
            error: --draft has no effect: it is for --speculate draft
        "#]],
    );
    fails(
        &["bench", "speculate", "--prompt-file", "README.md", "--speculate", "off"],
        2,
        expect![[r#"
            error: --speculate off guesses nothing: give lookup, or draft with --draft
        "#]],
    );
    let dir = tempfile::tempdir().unwrap();
    let other = synthetic(dir.path(), "other.gguf", &[]);
    let output = ptxgen(&["run", "--prompt", "a", "--draft", &other]);
    assert_eq!(code(&output), Some(1));
    expect![[r#"
        error: DIR/other.gguf: the draft model has 300 tokens and the model 4096: a draft model needs the same vocabulary
    "#]]
    .assert_eq(&text(&output.stderr).replace(dir.path().to_str().unwrap(), "DIR"));
}
