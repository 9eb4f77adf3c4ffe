//! Files made to do harm: each ends in an error, soon and in little memory. Nothing of a file is a command to a
//! terminal, no input is overwritten.
#![cfg(target_os = "linux")]

mod support;

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};
use support::{code, command, ptxgen, synthetic, text, with_metadata, with_template};

/// Templates, and what is said of them; of some of them either of several limits is the first.
const TEMPLATES: &[(&str, &[&str])] = &[
    // Values that hold themselves.
    ("{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}", DEPTH),
    ("{% set ns = namespace() %}{% set ns.a = ns %}{{ ns|tojson }}", DEPTH),
    ("{% set ns = namespace() %}{% set ns.a = [ns] %}{{ ns.a|string }}", DEPTH),
    ("{% set ns = namespace() %}{% set ns.a = ns %}{{ ns.a == ns }}{{ ns|pprint }}", DEPTH),
    ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", DEPTH),
    // Memory.
    ("{{ [1]|batch(10**12) }}", MEMORY),
    ("{{ 'x' * 10**9 }}", MEMORY),
    ("{{ ('x' * 10**8) ~ ('y' * 10**8) }}", MEMORY),
    ("{{ [0] * 10**9 }}", MEMORY),
    ("{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}", MEMORY),
    ("{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}", MEMORY),
    ("{{ 'a'|indent(10**10) }}", MEMORY),
    ("{{ '%1000000000d'|format(1) }}", MEMORY),
    ("{{ [1]|slice(10**12) }}", MEMORY),
    ("{{ ('a' * 1000000).replace('a', 'b' * 100000) }}", MEMORY),
    ("{{ [['a'] * 10000000]|tojson(indent=10**9) }}", MEMORY),
    ("{% for i in range(10**7) %}{{ 'x' * 1000 }}{% endfor %}", MEMORY),
    // Time.
    ("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}", TIME),
    ("{% for i in range(10**18) %}{% endfor %}", TIME),
    ("{% for i in range(100000) %}{% set x = range(100000)|sum %}{% endfor %}", TIME),
    ("{% for i in range(100000) %}{% set x = range(100000)|list|sort|length %}{% endfor %}", TIME),
    ("{% for i in range(100000) %}{% set x = ('a' * 100000).find('b') %}{% endfor %}", TIME),
    ("{{ range(10**12)|sum }}", TIME),
    ("{{ range(10**12)|last }}", TIME),
    ("{{ 10**10**10 }}", TIME),
    ("{% for i in range(100000) %}{% if (range(100000)|list) == (range(100000)|list) %}{% endif %}{% endfor %}", TIME),
    ("{% for x in messages recursive %}{{ loop(messages) }}{% endfor %}", DEPTH),
    // No Jinja, or what templates do not have.
    ("{% if %}", SYNTAX),
    ("{{", SYNTAX),
    ("{% for %}{% endfor", SYNTAX),
    ("{% include 'x' %}", SYNTAX),
    ("{% extends 'tokenizer.chat_template' %}", SYNTAX),
    ("{% import 'tokenizer.chat_template' as t %}{{ t }}", SYNTAX),
    ("{{ raise_exception('no \u{1b}[31mcolours') }}", SYNTAX),
    ("{{ messages[10**30] }}{{ unknown() }}", SYNTAX),
    ("{{ 1 / 0 }}{{ 1 // 0 }}", SYNTAX),
];

const DEPTH: &[&str] =
    &["nest too deep", "recursion", "more memory", "more time", "out of fuel", "invalid operation", "circular"];
const MEMORY: &[&str] =
    &["more memory", "out of fuel", "64 MiB", "invalid operation", "more time", "too large", "too big", "overflow"];
const TIME: &[&str] =
    &["more time", "out of fuel", "invalid operation", "more memory", "too large", "unable", "overflow"];
const SYNTAX: &[&str] =
    &["syntax error", "not found", "invalid operation", "unknown", "recursion", "could not", "undefined"];

/// A command, with what it took.
fn measured(args: &[&str], input: &str) -> (Output, Duration, u64) {
    use std::io::Write;
    let start = Instant::now();
    let mut child = command(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        most = most.max(resident(child.id()));
        std::thread::sleep(Duration::from_millis(2));
    }
    (child.wait_with_output().unwrap(), start.elapsed(), most)
}

/// Bytes that a process and those that it started have in memory.
fn resident(id: u32) -> u64 {
    let of = |id: u32| {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        line.and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) << 10
    };
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    of(id) + children.split_whitespace().filter_map(|child| child.parse().ok()).map(of).sum::<u64>()
}

#[test]
fn hostile_templates_end_in_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = synthetic(dir.path(), "m.gguf", &["--context", "4096"]);
    let chain = format!("{{{{ {}1 }}}}", "1 + ".repeat(10_000));
    let nested = format!("{{{{ {}1{} }}}}", "[".repeat(10_000), "]".repeat(10_000));
    let attributes = format!("{{{{ x{} }}}}", ".a".repeat(10_000));
    let filters = format!("{{{{ 'x'{} }}}}", "|upper".repeat(10_000));
    let ifs = format!("{}{}", "{% if 1 %}".repeat(5_000), "{% endif %}".repeat(5_000));
    let long = "x".repeat(300_000);
    let more = [
        (nested.as_str(), SYNTAX),
        (attributes.as_str(), SYNTAX),
        (ifs.as_str(), &["syntax error", "recursion", "nest too deep"][..]),
        (long.as_str(), &["it is 300000 bytes long, at most 262144 are read"][..]),
    ];
    assert!(TEMPLATES.len() + more.len() >= 40);
    let mut wrong = Vec::new();
    for (template, expected) in TEMPLATES.iter().copied().chain(more) {
        let short: String = template.chars().take(80).collect();
        let model = with_template(&path, template);
        let (output, took, most) = measured(&["run", &model, "--chat", "-n", "1", "--device", "cpu"], "hi\n");
        let said = text(&output.stderr);
        let named = said.contains(&format!("error: {model}: "));
        let why = expected.iter().any(|e| said.contains(e));
        let harmless = !said.contains('\u{1b}') && said.len() < 2000;
        // Two seconds and 256 MB on a machine that does nothing else; this is a build for tests.
        let soon = took < Duration::from_secs(10) && most < 400 << 20;
        if code(&output) != Some(1) || !named || !why || !harmless || !soon {
            let said: String = said.chars().take(400).collect();
            wrong.push(format!("{short}: {:?}, {took:?}, {most} bytes: {said}", code(&output)));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // What only looks so is rendered.
    for (template, prompt) in [(&*chain, "10001"), (&*filters, "X"), ("{% generation %}a{% endgeneration %}", "a")] {
        let model = with_template(&path, template);
        let run = ptxgen(&["tokenize", &model, "--chat", "--prompt", "hi"]);
        let ids = ptxgen(&["tokenize", &path, "--prompt", prompt]);
        assert_eq!((text(&run.stdout), code(&run)), (text(&ids.stdout), Some(0)), "{}", text(&run.stderr));
    }
}

#[test]
fn files_that_are_none_or_have_no_end_are_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo").to_str().unwrap().to_owned();
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let folder = dir.path().to_str().unwrap();
    let kernel = dir.path().join("k.ptx").to_str().unwrap().to_owned();
    assert!(Command::new("mkfifo").arg(&kernel).status().unwrap().success());
    let (output, _, _) = measured(&["check", &kernel], "");
    assert_eq!(code(&output), Some(1));
    assert!(text(&output.stderr).contains("it is not a regular file"), "{}", text(&output.stderr));
    for place in [&*fifo, "/dev/zero", "/dev/tty", folder] {
        for args in [
            &["inspect", place][..],
            &["run", place, "--prompt", "x"],
            &["run", "--prompt-file", place],
            &["perplexity", "--text", place],
            &["perplexity", "--tokens", place],
            &["logits", "--tokens", place, "--out", "/dev/null"],
            &["tokenize", "--prompt-file", place],
            &["tokenize", "--tokens", place],
            &["compare", "--left", "cpu", "--right", "interp", "--prompts", place],
        ] {
            let (output, took, _) = measured(args, "");
            let said = text(&output.stderr);
            assert!(matches!(code(&output), Some(1 | 2)), "{args:?}: {said}");
            assert!(said.contains(place) && said.contains("regular file"), "{args:?}: {said}");
            assert!(took < Duration::from_secs(5), "{args:?}: {took:?}");
        }
    }
}

#[test]
fn an_output_that_is_an_input_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let model = synthetic(dir.path(), "m.gguf", &[]);
    let ids = at("ids.i32");
    fs::write(&ids, [1i32, 2].map(i32::to_le_bytes).concat()).unwrap();
    symlink(&ids, at("link.i32")).unwrap();
    fs::hard_link(&ids, at("hard.i32")).unwrap();
    let before = (fs::read(&model).unwrap(), fs::read(&ids).unwrap());
    for (out, input) in [(&ids, &ids), (&at("link.i32"), &ids), (&at("hard.i32"), &ids), (&model, &model)] {
        for args in [
            &["logits", &model, "--tokens", &ids, "--device", "cpu", "--out", out][..],
            &["trace", &model, "--tokens", &ids, "--device", "cpu", "-o", out],
            &["compare", &model, "--left", "cpu", "--right", "cpu", "--tokens", &ids, "--html", out],
            &["tokenize", &model, "--prompt-file", &ids, "-o", out],
        ] {
            let output = ptxgen(args);
            let said = text(&output.stderr);
            let expected = format!("error: {out} is to be written and is read, too (as {input}): name another file\n");
            assert_eq!((code(&output), said), (Some(2), expected), "{args:?}");
        }
    }
    assert_eq!((fs::read(&model).unwrap(), fs::read(&ids).unwrap()), before);
}

#[test]
fn a_file_that_is_replaced_keeps_its_permissions() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("ids.i32");
    for mode in [0o600, 0o640, 0o666] {
        fs::write(&out, "old").unwrap();
        fs::set_permissions(&out, fs::Permissions::from_mode(mode)).unwrap();
        let output = ptxgen(&["tokenize", "--prompt", "fn", "-o", out.to_str().unwrap()]);
        assert_eq!(code(&output), Some(0), "{}", text(&output.stderr));
        let found = fs::metadata(&out).unwrap();
        assert_eq!((found.mode() & 0o777, found.len() % 4), (mode, 0));
    }
}

#[test]
fn no_text_of_a_file_is_a_command_to_a_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let path = synthetic(dir.path(), "m.gguf", &[]);
    let evil = "\u{1b}]0;title\u{7}\u{9b}31m\r";
    let model = with_metadata(
        &path,
        &[
            (&format!("key{evil}"), "a".into()),
            ("general.name", evil.into()),
            ("general.architecture", evil.into()),
            ("tokenizer.chat_template", format!("{{{{ raise_exception('{evil}') }}}}").into()),
        ],
    );
    let renamed = dir.path().join(format!("x{evil}.gguf"));
    fs::rename(&model, &renamed).unwrap();
    let none = dir.path().join(format!("none{evil}.gguf"));
    let plain = |path: &Path, args: &[&str]| {
        let output = ptxgen(&[args, &[path.to_str().unwrap()]].concat());
        let all = [output.stdout, output.stderr].concat();
        let all = text(&all);
        assert!(!all.contains(|c: char| c.is_control() && c != '\n'), "{args:?}: {all:?}");
        assert!(all.contains("\\u{1b}]0;title"), "{args:?}: {all:?}");
    };
    plain(&renamed, &["inspect"]);
    plain(&renamed, &["run", "--prompt", "x"]);
    plain(&none, &["inspect"]);
    plain(&none, &["perplexity", "--text"]);
    plain(&none, &["check"]);
}

#[test]
fn more_threads_than_cores_are_not_started() {
    let cores = std::thread::available_parallelism().unwrap().get();
    let output = ptxgen(&["run", "-n", "1", "--device", "cpu", "--threads", "1024"]);
    let said = text(&output.stderr);
    assert_eq!(code(&output), Some(0), "{said}");
    assert!(said.starts_with(&format!("note: 1024 threads on {cores} cores would wait: {cores} are used\n")), "{said}");
}
