//! `ptxgen completions` and `ptxgen man`.

mod support;

use expect_test::expect;
use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    process::{Command, Stdio},
};
use support::{code, fails, ptxgen, text};

/// The commands that the help lists.
fn commands() -> BTreeSet<String> {
    let help = text(&ptxgen(&["--help"]).stdout);
    let (_, list) = help.split_once("Commands:\n").unwrap();
    // Longer summaries go on in lines that begin further to the right.
    let lines = list.lines().take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("   "));
    let names = lines.map(|line| line.split_whitespace().next().unwrap());
    let commands: BTreeSet<_> = names.filter(|name| *name != "help").map(str::to_owned).collect();
    assert!(commands.len() > 10 && commands.contains("completions"), "{commands:?}");
    commands
}

#[test]
fn every_shell_learns_every_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = ptxgen(&["completions", shell]);
        assert_eq!(code(&output), Some(0), "{}", text(&output.stderr));
        let script = text(&output.stdout);
        for command in commands() {
            assert!(script.contains(&command), "{shell} is not told of {command}");
        }
        assert!(script.contains("max-rel"), "{shell} is not told of options");
    }
}

#[cfg(unix)]
#[test]
fn bash_completes() {
    let script = ptxgen(&["completions", "bash"]).stdout;
    let ask = "COMP_WORDS=(ptxgen perp) COMP_CWORD=1\n_ptxgen ptxgen perp ptxgen\necho \"${COMPREPLY[@]}\"\n";
    let mut bash = Command::new("bash").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = bash.stdin.take().unwrap();
    stdin.write_all(&[&script, ask.as_bytes()].concat()).unwrap();
    drop(stdin);
    assert_eq!(text(&bash.wait_with_output().unwrap().stdout), "perplexity\n");
}

#[test]
fn every_command_has_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let man = folder.path().join("share/man1");
    let output = ptxgen(&["man", man.to_str().unwrap()]);
    assert_eq!(code(&output), Some(0), "{}", text(&output.stderr));
    let mut pages: BTreeSet<_> =
        fs::read_dir(&man).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(text(&output.stdout), format!("{} pages in {}\n", pages.len(), man.display()));
    for command in commands() {
        let name = format!("ptxgen-{command}.1");
        let page = fs::read_to_string(man.join(&name)).unwrap();
        assert!(page.contains(&format!(".TH ptxgen-{command} 1")), "{page}");
        assert!(page.contains(".SH SYNOPSIS"), "{page}");
        pages.remove(&name);
    }
    let bench = ["decode", "kernels", "policies", "prefill", "speculate"].map(|name| format!("ptxgen-bench-{name}.1"));
    assert_eq!(pages, bench.into_iter().chain(["ptxgen.1".to_owned()]).collect());
}

#[test]
fn wrong_use_is_told() {
    fails(
        &["completions", "tcsh"],
        2,
        expect![[r#"
        error: invalid value 'tcsh' for '<SHELL>'
          [possible values: bash, elvish, fish, powershell, zsh]

          tip: a similar value exists: 'zsh'

        For more information, try '--help'.
    "#]],
    );
    fails(
        &["man", "/dev/null/man1"],
        1,
        expect![[r#"
        error: cannot make the folder /dev/null/man1
          caused by: Not a directory (os error 20)
    "#]],
    );
}
