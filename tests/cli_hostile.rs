//! Files made to do harm: each ends in an error, soon and in little memory. Nothing of a file is a command to a
//! terminal, no input is overwritten.
#![cfg(target_os = "linux")]

mod support;

use std::{
    fs,
    io::{Read, Write},
    mem::MaybeUninit,
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
    ("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}", ENDLESS),
    ("{% for i in range(10**18) %}{% endfor %}", ENDLESS),
    ("{% for i in range(100000) %}{% set x = range(100000)|sum %}{% endfor %}", ENDLESS),
    ("{% for i in range(100000) %}{% set x = range(100000)|list|sort|length %}{% endfor %}", ENDLESS),
    ("{% for i in range(100000) %}{% set x = ('a' * 100000).find('b') %}{% endfor %}", ENDLESS),
    ("{{ range(10**12)|sum }}", ENDLESS),
    ("{{ range(10**12)|last }}", ENDLESS),
    ("{{ 10**10**10 }}", ENDLESS),
    (
        "{% for i in range(100000) %}{% if (range(100000)|list) == (range(100000)|list) %}{% endif %}{% endfor %}",
        ENDLESS,
    ),
    ("{% for x in messages recursive %}{{ loop(messages) }}{% endfor %}", DEPTH),
    // What was added to be Python's.
    ("{{ '%1000000000s' % 'x' }}", MEMORY),
    ("{{ '%*d' % (10**9, 1) }}", MEMORY),
    ("{{ '%.1000000000f' % 1.5 }}", MEMORY),
    ("{{ '{:>1000000000}'.format(1) }}", MEMORY),
    ("{{ 'x'.center(10**10) }}", MEMORY),
    ("{{ '1'.zfill(10**10) }}", MEMORY),
    ("{{ ('\\t' * 10**6).expandtabs(10**6) }}", MEMORY),
    ("{{ ('x' * 10**7).join('y' * 10**3) }}", MEMORY),
    ("{{ [1]|tojson(indent=10**12) }}", MEMORY),
    ("{{ range(100000)|list * 100000 }}", MEMORY),
    (
        "{% set ns = namespace(l=[]) %}{% for i in range(100) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
        MEMORY,
    ),
    (
        "{% set ns = namespace(l=[]) %}{% for i in range(1000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l|string }}",
        DEPTH,
    ),
    (
        "{% set ns = namespace(l=[]) %}{% for i in range(1000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l == [ns.l] }}",
        DEPTH,
    ),
    (
        "{% set ns = namespace(d={}) %}{% for i in range(9999) %}{% set ns.d = {'a': ns.d} %}{% endfor %}{{ ns.d|tojson }}",
        DEPTH,
    ),
    ("{% for i in range(100000) %}{% set x = ('a' * 100000)|upper|lower|title %}{% endfor %}", ENDLESS),
    ("{% for i in range(100000) %}{% set x = range(100000)|unique|list %}{% endfor %}", ENDLESS),
    ("{{ '{0.a.b[c]}'.format(1) }}{{ '{'.format() }}", SYNTAX),
    ("{{ ''.__class__.__mro__[1].__subclasses__() }}", SYNTAX),
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
    &["nest too deep", "recursion", "memory limit", "CPU time", "out of fuel", "invalid operation", "circular"];
const MEMORY: &[&str] =
    &["memory limit", "out of fuel", "64 MiB", "invalid operation", "CPU time", "too large", "too big", "overflow"];
const ENDLESS: &[&str] =
    &["CPU time", "out of fuel", "invalid operation", "memory limit", "too large", "unable", "overflow"];
const SYNTAX: &[&str] =
    &["syntax error", "not found", "invalid operation", "unknown", "recursion", "could not", "undefined"];

/// A command that has ended, with what it took.
struct Measured {
    output: Output,
    /// Processor time, of the processes that it started, too: a busy machine changes little of it.
    time: Duration,
    /// Bytes in memory at most, of those together.
    memory: u64,
}

/// What a hostile file may take, also where the program is built for tests.
const TIME: Duration = Duration::from_secs(2);
const BYTES: u64 = 256_000_000;

impl Measured {
    /// Whether it took no more than it may; tells what it took.
    fn is_harmless(&self) -> bool {
        println!("{:.2} s, {} MB", self.time.as_secs_f64(), self.memory / 1_000_000);
        self.time <= TIME && self.memory <= BYTES
    }
}

/// Runs a command to its end, or until it has taken far more than it may.
#[allow(clippy::zombie_processes)] // `wait4` waits for it, and says what it took
fn measured(args: &[&str], input: &str) -> Measured {
    let mut child = command(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    fn all(mut from: impl Read) -> Vec<u8> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        bytes
    }
    let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (start, id) = (Instant::now(), child.id());
    let mut memory = 0;
    let (mut status, mut usage) = (0, MaybeUninit::<libc::rusage>::zeroed());
    std::thread::scope(|scope| {
        let (out, err) = (scope.spawn(|| all(out)), scope.spawn(|| all(err)));
        // SAFETY: both places are there and of the types that are written.
        while unsafe { libc::wait4(id as i32, &mut status, libc::WNOHANG, usage.as_mut_ptr()) } == 0 {
            memory = resident(id).max(memory);
            if memory > 4 * BYTES || start.elapsed() > Duration::from_secs(60) {
                // SAFETY: takes no pointer; the child has not been waited for.
                unsafe { libc::kill(id as i32, libc::SIGKILL) };
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let (stdout, stderr) = (out.join().unwrap(), err.join().unwrap());
        // SAFETY: `wait4` has written it.
        let usage = unsafe { usage.assume_init() };
        let of = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
        let status = std::os::unix::process::ExitStatusExt::from_raw(status);
        Measured { output: Output { status, stdout, stderr }, time: of(usage.ru_utime) + of(usage.ru_stime), memory }
    })
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
        let ran = measured(&["run", &model, "--chat", "-n", "1", "--device", "cpu"], "hi\n");
        let said = text(&ran.output.stderr);
        let named = said.contains(&format!("error: {model}: "));
        let why = expected.iter().any(|e| said.contains(e));
        let harmless = !said.contains('\u{1b}') && said.len() < 2000;
        if code(&ran.output) != Some(1) || !named || !why || !harmless || !ran.is_harmless() {
            let said: String = said.chars().take(400).collect();
            wrong.push(format!("{short}: {:?}, {:?}, {} bytes: {said}", code(&ran.output), ran.time, ran.memory));
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

/// The beginning of a GGUF file.
fn gguf(tensors: u64, pairs: u64, rest: &[&[u8]]) -> Vec<u8> {
    let head = [&b"GGUF"[..], &3u32.to_le_bytes(), &tensors.to_le_bytes(), &pairs.to_le_bytes()];
    [head.concat(), rest.concat()].concat()
}

/// A text as GGUF has it.
fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

/// A key with an array of this many elements of a type, whose bytes are still to come.
fn array(ty: u32, count: u64) -> Vec<u8> {
    [string("a.b"), 9u32.to_le_bytes().to_vec(), ty.to_le_bytes().to_vec(), count.to_le_bytes().to_vec()].concat()
}

/// A tensor's entry of F32.
fn tensor(name: &str, dims: &[u64], offset: u64) -> Vec<u8> {
    let dims_bytes: Vec<u8> = dims.iter().flat_map(|d| d.to_le_bytes()).collect();
    let rank = (dims.len() as u32).to_le_bytes();
    [&string(name)[..], &rank, &dims_bytes, &0u32.to_le_bytes(), &offset.to_le_bytes()].concat()
}

/// Files as models, whether they are continued with zeros to a terabyte, and what is said of them.
fn models() -> Vec<(&'static str, Vec<u8>, bool, &'static str)> {
    let alignment = |n: u32| {
        let key = [string("general.alignment"), 4u32.to_le_bytes().to_vec(), n.to_le_bytes().to_vec()].concat();
        gguf(0, 1, &[&key])
    };
    let keys: Vec<u8> =
        (0..200_000u32).flat_map(|i| [string(&format!("k{i}")), vec![0, 0, 0, 0, 1]].concat()).collect();
    let tables: Vec<u8> = (0..600_000u32).flat_map(|i| tensor(&format!("t{i}"), &[1], 0)).collect();
    let level = [&9u32.to_le_bytes()[..], &1u64.to_le_bytes()].concat();
    vec![
        ("no tensors end", gguf(u64::MAX, 0, &[]), false, "tensors, but 0 bytes hold at most 0"),
        ("no keys end", gguf(0, u64::MAX, &[]), false, "metadata keys, but 0 bytes"),
        ("a key of 2^64 bytes", gguf(0, 1, &[&[0xff; 8], &[0; 64]]), false, "at most 65535 are allowed"),
        (
            "a text of 2^63 bytes",
            gguf(0, 1, &[&string("a"), &8u32.to_le_bytes(), &(1u64 << 63).to_le_bytes(), &[0; 64]]),
            false,
            "ends inside",
        ),
        ("an array of 2^60 bytes", gguf(0, 1, &[&array(0, 1 << 60)]), false, "bytes hold at most"),
        ("an array of 2^61 texts", gguf(0, 1, &[&array(8, 1 << 61)]), false, "bytes hold at most"),
        ("arrays in arrays in arrays", gguf(0, 1, &[&array(9, 1), &level.repeat(100_000)]), false, "nest"),
        (
            "a million empty arrays",
            gguf(0, 1, &[&array(9, 2_000_000), &[&0u32.to_le_bytes()[..], &[0; 8]].concat().repeat(2_000_000)]),
            false,
            "arrays in key",
        ),
        ("a million empty texts", gguf(1, 1, &[&array(8, 5_000_000), &vec![0; 40_000_000]]), false, "ends inside"),
        ("more keys than anybody needs", gguf(0, 200_000, &[&keys]), false, "at most 131072 are read"),
        ("more tensors than anybody needs", gguf(600_000, 0, &[&tables]), false, "at most 524288 are read"),
        ("a tensor of 2^120 values", gguf(1, 0, &[&tensor("t", &[1 << 40; 3], 0)]), false, "t"),
        ("a tensor at 2^63", gguf(1, 0, &[&tensor("t", &[1], 1 << 63)]), false, "t"),
        ("an alignment of 0", alignment(0), false, "alignment"),
        ("an alignment of 2^31", alignment(1 << 31), false, "alignment"),
        ("a terabyte of nothing", Vec::new(), true, "it starts with"),
        ("a terabyte of keys", gguf(0, 1 << 36, &[]), true, "at most 131072 are read"),
        ("a terabyte of tensors", gguf(1 << 34, 0, &[]), true, "at most 524288 are read"),
        ("a terabyte of empty texts", gguf(0, 1, &[&array(8, 1 << 33)]), true, "before its tensors"),
        ("half a terabyte of bytes", gguf(0, 1, &[&array(0, 1 << 39)]), true, "before its tensors"),
        ("half a terabyte of numbers", gguf(0, 1, &[&array(12, 1 << 36)]), true, "before its tensors"),
        ("a terabyte of empty arrays", gguf(0, 1, &[&array(9, 1 << 35)]), true, "at most 1048576 are read"),
        (
            "a text of half a terabyte",
            gguf(0, 1, &[&string("a"), &8u32.to_le_bytes(), &(1u64 << 39).to_le_bytes()]),
            true,
            "before its tensors",
        ),
    ]
}

#[test]
fn hostile_files_end_in_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let write = |name: &str, bytes: &[u8], length: u64| {
        fs::write(at(name), bytes).unwrap();
        if length > 0 {
            fs::File::options().write(true).open(at(name)).unwrap().set_len(length).unwrap();
        }
        at(name)
    };
    let mut wrong = Vec::new();
    let mut ends = |what: &str, args: &[&str], expected: &str| {
        let ran = measured(args, "");
        let said = text(&[&ran.output.stderr[..], &ran.output.stdout].concat());
        if !matches!(code(&ran.output), Some(1 | 2)) || !said.contains(expected) || !ran.is_harmless() {
            let said: String = said.chars().take(400).collect();
            wrong.push(format!("{what}: {:?}, {:?}, {} bytes: {said}", code(&ran.output), ran.time, ran.memory));
        }
    };
    for (what, bytes, endless, expected) in models() {
        let file = write("m.gguf", &bytes, if endless { 1 << 40 } else { 0 });
        ends(what, &["inspect", &file], expected);
    }
    let header = |length: u64, json: &[u8]| [&length.to_le_bytes()[..], json].concat();
    let deep = [b"{\"a\":".repeat(1_000_000), b"1".to_vec(), b"}".repeat(1_000_000)].concat();
    let traces = [
        ("a header of 2^64 bytes", header(u64::MAX, b"{}"), 0, "no safetensors file"),
        ("a header of a terabyte", header(1 << 39, b"{}"), 1 << 40, "at most 67108864 are read"),
        ("a header of nothing", header(60 << 20, b""), 64 << 20, "no safetensors file"),
        ("objects in objects", header(deep.len() as u64, &deep), 0, "no safetensors file"),
    ];
    for (what, bytes, length, expected) in traces {
        let file = write("t.safetensors", &bytes, length);
        ends(what, &["compare", "--left", &file, "--right", &file], expected);
    }
    let model = synthetic(dir.path(), "m2.gguf", &["--context", "4096"]);
    let long = write("long.txt", b"x", 1 << 40);
    let most = write("most.txt", &b"word ".repeat(13_000_000), 0);
    let space = write("space.txt", " ".repeat(60 << 20).as_bytes(), 0);
    let other = write("other.txt", &[0xff; 1000], 0);
    for (what, file, expected) in [
        ("a text of a terabyte", &long, "longer than 64 MiB"),
        ("a prompt of 62 MiB", &most, "which do not fit the model's context of 4096"),
        ("a prompt of white space", &space, "tokens"),
        ("no text", &other, "UTF-8"),
    ] {
        ends(what, &["run", &model, "--device", "cpu", "--prompt-file", file], expected);
    }
    let ids = write("ids.i32", b"", 1 << 40);
    ends("a terabyte of token ids", &["perplexity", &model, "--device", "cpu", "--tokens", &ids], "longer than 64 MiB");
    let ids = write("ids.i32", &[0xff; 4000], 0);
    ends("token ids of -1", &["perplexity", &model, "--device", "cpu", "--tokens", &ids], "ids start at 0");
    let with_tools = with_template(&model, "{{ tools }}");
    let json = write("deep.json", &[b"[".repeat(1_000_000), b"]".repeat(1_000_000)].concat(), 0);
    ends("tools in tools", &["run", &with_tools, "--chat", "--prompt", "x", "--tools", &json], "tools");
    let kernel = write("k.ptx", b".version 8.0\n", 1 << 40);
    ends("a kernel of a terabyte", &["check", &kernel], "longer than 64 MiB");
    let kernel =
        write("k.ptx", &[b".version 8.0\n.target sm_80\n.address_size 64\n", &b"{".repeat(1_000_000)[..]].concat(), 0);
    ends("blocks in blocks", &["check", &kernel], "k.ptx");
    let tokens = |text: &str| {
        let array = ptxgen::model::gguf::Array::Str([text].into_iter().collect());
        with_metadata(&model, &[("tokenizer.ggml.tokens", array.into())])
    };
    ends("a token of 40 MB", &["run", &tokens(&"x".repeat(40_000_000)), "--prompt", "x"], "token");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Of eight times the layers no more than sixteen times the work: what takes all layers for each would be 64 times.
#[test]
fn many_layers_take_linear_time() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let trace = |layers: usize| {
        let entry = |i: usize, name: String| {
            format!("\"{name}\":{{\"dtype\":\"F32\",\"shape\":[2,4],\"data_offsets\":[{},{}]}}", i * 32, i * 32 + 32)
        };
        let names = (0..layers).map(|l| format!("layers.{l:02}.layer_out")).chain(["logits".to_owned()]);
        let json = format!("{{{}}}", names.enumerate().map(|(i, name)| entry(i, name)).collect::<Vec<_>>().join(","));
        let file = at(&format!("{layers}.safetensors"));
        fs::write(
            &file,
            [&(json.len() as u64).to_le_bytes()[..], json.as_bytes(), &vec![0; (layers + 1) * 32]].concat(),
        )
        .unwrap();
        file
    };
    let model = |layers: usize| {
        let pairs: Vec<u8> = (0..layers as u32)
            .flat_map(|i| [string(&format!("key.{i}")), 4u32.to_le_bytes().to_vec(), i.to_le_bytes().to_vec()].concat())
            .collect();
        let tensors: Vec<u8> =
            (0..layers).flat_map(|i| tensor(&format!("blk.{i}.attn_norm.weight"), &[8], i as u64 * 32)).collect();
        let mut bytes = gguf(layers as u64, layers as u64, &[&pairs, &tensors]);
        bytes.resize(bytes.len().next_multiple_of(32) + layers * 32, 0);
        let file = at(&format!("{layers}.gguf"));
        fs::write(&file, bytes).unwrap();
        file
    };
    let (few, many) = (5_000, 40_000);
    let cost = |args: &[&str]| {
        let ran = measured(args, "");
        // `inspect` says that the model does not run.
        assert!(matches!(code(&ran.output), Some(0 | 1)), "{}", text(&ran.output.stderr));
        assert!(!ran.output.stdout.is_empty(), "{}", text(&ran.output.stderr));
        ran.time.as_secs_f64()
    };
    let compare = |layers: usize| {
        let file = trace(layers);
        cost(&["compare", "--left", &file, "--right", &file])
    };
    let inspect = |layers: usize| cost(&["inspect", &model(layers)]);
    for (what, few, many) in [("compare", compare(few), compare(many)), ("inspect", inspect(few), inspect(many))] {
        println!("{what}: {few:.3} s, {many:.3} s");
        assert!(many <= 16.0 * few.max(0.02), "{what}: {few} s of 5,000 layers, {many} s of 40,000");
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
    let Measured { output, .. } = measured(&["check", &kernel], "");
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
            let ran = measured(args, "");
            let said = text(&ran.output.stderr);
            assert!(matches!(code(&ran.output), Some(1 | 2)), "{args:?}: {said}");
            assert!(said.contains(place) && said.contains("regular file"), "{args:?}: {said}");
            assert!(ran.is_harmless(), "{args:?}: {:?}, {} bytes", ran.time, ran.memory);
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
            let expected = format!("error: {out} is an output and also an input (as {input}): name another file\n");
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
