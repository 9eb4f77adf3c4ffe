//! What runs find, whole reports of small kernels: `reports/*.ptx` are bodies of kernels, each with a line that says
//! how it is launched, and `reports/*.txt` their reports. `BLESS=1` regenerates those.
//!
//! A body finds `%x` (a buffer of 256 bytes, whose words are 0, 1, 2, ...; `bytes N` says another size), `%y` (a buffer
//! of 256 bytes that nothing has written), `%t`, `%lane`, `%warp` and `%b` (the block).

mod lacking;

use std::fmt::Write;
use std::path::Path;

use ptxgen_builder::interp::{Arg, Blocks, Launch, Memory, Options, Report, WarpOrder};
use ptxgen_builder::parse::parse;
use ptxgen_builder::testing::assert_golden;
use ptxgen_builder::verify::{Validated, verify};

use lacking::{changed, digest, statements};

/// A kernel and how it is launched.
struct Case<'a> {
    name: &'a str,
    words: Vec<&'a str>,
    line: usize,
    body: String,
}

impl Case<'_> {
    fn number(&self, name: &str, otherwise: u32) -> u32 {
        let at = self.words.iter().position(|w| *w == name);
        at.map_or(otherwise, |i| self.words[i + 1].parse().unwrap_or_else(|e| panic!("{}: {e}", self.name)))
    }

    fn has(&self, word: &str) -> bool {
        self.words.contains(&word)
    }
}

/// `// name: words` begins a case.
fn cases(text: &str) -> Vec<Case<'_>> {
    let mut all: Vec<Case<'_>> = Vec::new();
    for (i, line) in text.lines().enumerate() {
        if let Some((name, words)) = line.strip_prefix("// ").and_then(|l| l.split_once(':')) {
            all.push(Case { name, words: words.split_whitespace().collect(), line: i, body: String::new() });
        } else if let Some(case) = all.last_mut() {
            case.body += line;
            case.body.push('\n');
        }
    }
    all
}

/// The report, and what is in `y` (`-` where nothing was written) and, if requested, counted and measured.
fn run(file: &str, case: &Case<'_>, order: WarpOrder) -> String {
    read(file, case).map_or_else(|refused| refused, |module| run_module(case, &module, order))
}

/// The case's module, or why it is refused.
fn read(file: &str, case: &Case<'_>) -> Result<Validated, String> {
    let top = if case.has("dynamic") { ".extern .shared .align 16 .b8 dynamic[];\n" } else { "" };
    // The body's first line has the number that it has in the file.
    let text = format!(
        ".version 9.0 .target sm_90 .address_size 64 {top} .global .align 4 .b32 g[4]; .const .align 4 .b32 c[4] = {{1, 2, 3, 4}};\
         .visible .entry k(.param .u64 x, .param .u64 y, .param .u32 n) {{ .reg .pred %p<9>; .reg .b16 %h<9>; \
         .reg .b32 %r<40>, %t, %lane, %warp, %b; .reg .b64 %d<20>, %x, %y; .reg .f32 %f<20>; .reg .f64 %w<9>; \
         ld.param.u64 %x, [x]; ld.param.u64 %y, [y]; mov.u32 %t, %tid.x; mov.u32 %lane, %laneid; mov.u32 %b, %ctaid.x; \
         shr.u32 %warp, %t, 5; {}{}ret; }}\n",
        "\n".repeat(case.line + 1),
        case.body
    );
    let module = parse(file, &text).map_err(|errors| format!("  not read: {errors}\n"))?;
    verify(module).map_err(|errors| format!("  refused: {errors}\n"))
}

fn run_module(case: &Case<'_>, module: &Validated, order: WarpOrder) -> String {
    let mut memory = Memory::new();
    let words: Vec<u8> = (0u32..).flat_map(u32::to_le_bytes).take(case.number("bytes", 256) as usize).collect();
    let x = memory.alloc(&words, 16).expect("room");
    let y = memory.alloc_uninit(256, 16).expect("room");
    let options = Options {
        order,
        // Blocks that wait for each other meet in another order in each run of several threads.
        schedule: Blocks::Interleaved,
        wraps: case.has("wraps"),
        count: case.has("count"),
        max_steps: u64::from(case.number("steps", 100_000)),
        perturb: case.has("perturb").then(|| u64::from(case.number("perturb", 0))),
        ..Options::default()
    };
    let launch = Launch {
        module,
        kernel: "k",
        grid: [case.number("grid", 1), case.number("grid.y", 1), case.number("grid.z", 1)],
        block: [case.number("block", 32), case.number("block.y", 1), case.number("block.z", 1)],
        dynamic_shared: case.number("dynamic", 0),
        args: &[Arg::from(x), Arg::from(y), Arg::bytes(&case.number("n", 0).to_le_bytes())],
        globals: None,
        options: &options,
    };
    let mut text = String::new();
    module.warnings().iter().for_each(|w| writeln!(text, "  perhaps: {w}").expect("text"));
    let report: Report = if case.has("measure") {
        let (report, measured) = launch.measure(&mut memory).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        for e in &measured.elements {
            let by = format!("{:?} {:?}", e.introduced, e.amplified);
            writeln!(text, "  {} at {}: {:e}, error {:e} {by}", e.ty, e.at, e.value, e.error).expect("text");
        }
        writeln!(text, "  y: {}", measured.of(y)).expect("text");
        measured.integers.iter().for_each(|i| writeln!(text, "  {i}").expect("text"));
        measured.decisions.iter().for_each(|d| writeln!(text, "  {d}").expect("text"));
        report
    } else {
        launch.run(&mut memory).unwrap_or_else(|e| panic!("{}: {e}", case.name))
    };
    write!(text, "{report}").expect("text");
    if case.has("count") {
        writeln!(text, "{:?}", report.counters).expect("text");
    }
    let bytes = memory.read(y).expect("its bytes");
    let word = |i: u64| match memory.is_written(y, 4 * i, 4) {
        Ok(true) => format!("{:x}", u32::from_le_bytes(bytes[4 * i as usize..][..4].try_into().expect("four bytes"))),
        _ => "-".to_owned(),
    };
    let shown: Vec<_> = (0..64).map(word).collect();
    writeln!(text, "  y: {}", shown.join(" ").trim_end_matches([' ', '-'])).expect("text");
    text
}

fn told(name: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = format!("{name}.ptx");
    let text = std::fs::read_to_string(root.join("tests/reports").join(&file)).expect("a file");
    let mut all = String::new();
    for case in cases(&text) {
        let (first, adverse) = (run(&file, &case, WarpOrder::RoundRobin), run(&file, &case, WarpOrder::Adversarial));
        writeln!(all, "{}\n{first}", case.name).expect("text");
        if adverse != first {
            writeln!(all, "  in the adversarial order\n{adverse}").expect("text");
        }
    }
    assert_golden!(format!("tests/reports/{name}.txt"), all);
}

#[test]
fn of_waiting() {
    told("waiting");
}

#[test]
fn of_lanes() {
    told("lanes");
}

#[test]
fn of_copies() {
    told("copies");
}

#[test]
fn of_races() {
    told("races");
}

#[test]
fn of_places() {
    told("places");
}

#[test]
fn of_memory_and_matrices() {
    told("memory");
}

#[test]
fn of_shadows() {
    told("shadows");
}

/// The lines of a report without their numbers, which are told by one number for all.
fn in_short(report: &str) -> String {
    let mut kinds = Vec::new();
    for line in report.lines() {
        let kind = line.strip_prefix("k: ").and_then(|l| l.split_once(':')).map(|(kind, _)| kind);
        kinds.extend(kind.or_else(|| line.strip_prefix("  ")?.split_once(": ").map(|(what, _)| what)));
    }
    kinds.dedup();
    format!("{} {:08x}", kinds.join(", "), digest(report.bytes().filter(u8::is_ascii_digit)))
}

/// The same kernels, each without one of its statements: what is missing is found, or nothing is.
#[test]
fn of_kernels_that_lack_a_statement() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = String::new();
    for name in ["copies", "lanes", "memory", "places", "races", "shadows", "waiting"] {
        let file = format!("{name}.ptx");
        let text = std::fs::read_to_string(root.join("tests/reports").join(&file)).expect("a file");
        for mut case in cases(&text) {
            writeln!(all, "{}", case.name).expect("text");
            let whole = std::mem::take(&mut case.body);
            for lacking in statements(&whole) {
                // Lines stay where they are.
                let lines = "\n".repeat(whole[lacking.clone()].matches('\n').count());
                case.body = format!("{}{lines}{}", &whole[..lacking.start], &whole[lacking.end..]);
                let report = run(&file, &case, WarpOrder::RoundRobin);
                writeln!(all, "  {} - {}", whole[lacking].trim(), in_short(&report)).expect("text");
            }
        }
    }
    assert_golden!("tests/reports/lacking.txt", all);
}

/// And with another number or guard.
#[test]
fn of_kernels_with_another_number() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["copies", "lanes", "memory", "places", "races", "shadows", "waiting"] {
        let file = format!("{name}.ptx");
        let text = std::fs::read_to_string(root.join("tests/reports").join(&file)).expect("a file");
        let mut all = String::new();
        for mut case in cases(&text) {
            writeln!(all, "{}", case.name).expect("text");
            for (what, body) in changed(&std::mem::take(&mut case.body)) {
                case.body = body;
                writeln!(all, "  {what}: {}", in_short(&run(&file, &case, WarpOrder::RoundRobin))).expect("text");
            }
        }
        assert_golden!(format!("tests/reports/{name}-changed.txt"), all);
    }
}
