//! The terminal picture of the README is what the commands print. To record it again, with the speed of a
//! release build: `cargo build --release`, then `BLESS=1 PTXGEN=target/release/ptxgen cargo test --test picture`.

use anstyle_svg::Term;
use std::{env, fs, path::Path, process::Command};

const PICTURE: &str = "docs/images/terminal.svg";

/// Columns of the terminal.
const WIDTH: usize = 100;

/// Commands, and how many of their last lines are shown, where not all are.
const COMMANDS: &[(&[&str], Option<usize>)] = &[
    (&["run", "--device", "cpu", "--act", "q8k", "--prompt", "pub fn add(a: i32, b: i32) -> i32", "-n", "44"], None),
    (&["check", "q4k-gemv", "--policy", "act=q8k,acc=f64,math=exact"], None),
    (&["check", "swiglu", "--acc", "f32", "--math", "approx", "--policy", "math=exact"], None),
    (&["compare", "--left", "cpu:act=q8k", "--right", "interp:act=q8k", "--prompt", "fn main"], Some(1)),
];

/// A command line as one would type it.
fn typed(args: &[&str], last: Option<usize>) -> String {
    let quoted = |arg: &&str| if arg.contains(' ') { format!("\"{arg}\"") } else { (*arg).to_owned() };
    let tail = last.map_or(String::new(), |n| format!(" | tail -n {n}"));
    format!("ptxgen {}{tail}", args.iter().map(quoted).collect::<Vec<_>>().join(" "))
}

/// What a terminal shows of the commands, colours as escape codes.
fn session() -> String {
    let program = env::var_os("PTXGEN").unwrap_or_else(|| env!("CARGO_BIN_EXE_ptxgen").into());
    let mut shown = String::new();
    for &(args, last) in COMMANDS {
        let output = Command::new(&program).args(args).env("CLICOLOR_FORCE", "1").output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.contains("error") && !said.contains("note"), "{args:?}: {said}");
        shown += &format!("\x1b[1m$ {}\x1b[0m\n", typed(args, last));
        let text = String::from_utf8(output.stdout).unwrap() + &said;
        let lines: Vec<&str> = text.trim_end().lines().collect();
        for line in &lines[last.map_or(0, |n| lines.len() - n)..] {
            shown += &wrapped(line);
            shown.push('\n');
        }
        shown.push('\n');
    }
    shown.trim_end().to_owned()
}

/// A line broken where the terminal ends; escape codes have no width.
fn wrapped(line: &str) -> String {
    let (mut text, mut column, mut escape) = (String::new(), 0, false);
    for c in line.chars() {
        escape |= c == '\x1b';
        if !escape && column == WIDTH {
            text.push('\n');
            column = 0;
        }
        text.push(c);
        column += usize::from(!escape);
        escape &= !c.is_ascii_alphabetic();
    }
    text
}

/// The text of a picture, without what differs between machines and versions: speeds, the CPU's name and
/// threads, numbers of lines.
fn steady(svg: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for row in svg.split("<tspan x=").skip(1) {
        let (mut text, mut tag) = (String::new(), false);
        for c in row.split_once('>').map_or("", |(_, row)| row).chars() {
            tag = (tag || c == '<') && c != '>';
            if !tag && c != '>' && c != '\n' {
                text.push(c);
            }
        }
        let text = text.replace("&gt;", ">").replace("&lt;", "<").replace("&quot;", "\"").replace("&amp;", "&");
        lines.push(match text.split_once(" tokens, ") {
            Some((count, rest)) => format!("{count} tokens, {}", rest.rsplit(", ").next().unwrap_or("")),
            None => match text.split_once(".rs:") {
                Some((file, rest)) => format!("{file}.rs:{}", rest.trim_start_matches(|c: char| c != ' ')),
                None => text.trim_end().to_owned(),
            },
        });
    }
    lines
}

#[test]
fn the_picture_is_what_the_commands_print() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PICTURE);
    let svg = Term::new().min_width_px(860).render_svg(&session());
    if env::var_os("BLESS").is_some() {
        fs::write(&path, svg).unwrap();
        return;
    }
    let recorded = fs::read_to_string(&path).unwrap_or_default();
    assert!(steady(&svg).len() > 15 && steady(&svg).iter().any(|l| l.contains("does not hold")));
    assert_eq!(steady(&recorded), steady(&svg), "BLESS=1 cargo test --test picture records it anew");
}
