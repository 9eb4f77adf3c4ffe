//! Small files with the right answer, `tests/cases/expect.tsv`: `legal` and
//! `illegal` are the verifier's, and, where it has one to give, the assembler's;
//! `race` and `clean` what a run finds, `holds P` and `loses P` what the proof of
//! a policy says.

use std::fs;
use std::path::{Path, PathBuf};

use ptxgen_builder::analysis::precision::{Accumulator, Requirements, check};
use ptxgen_builder::interp::{Arg, FindingKind, Launch, Memory, Options, Report, WarpOrder};
use ptxgen_builder::parse::parse;
use ptxgen_builder::ptxas::Ptxas;
use ptxgen_builder::target::Target;
use ptxgen_builder::verify::{Doubts, Rule, Validated, verify, verify_with};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

fn text(name: &str) -> String {
    let path = folder().join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Names and right answers.
fn cases() -> Vec<(String, String)> {
    let all = text("expect.tsv");
    let cases = all.lines().map(|line| line.split_once('\t').unwrap_or_else(|| panic!("no tab: {line}")));
    cases.map(|(name, right)| (name.to_owned(), right.to_owned())).collect()
}

fn verdict(name: &str, doubts: Doubts) -> Result<Validated, String> {
    let module = parse(name, &text(name)).map_err(|e| e.to_string())?;
    verify_with(module, doubts).map_err(|e| e.to_string())
}

#[test]
fn every_case_is_judged_right() {
    let mut wrong = Vec::new();
    for (name, right) in cases() {
        match (verdict(&name, Doubts::Warn), right.as_str()) {
            (Ok(_), "illegal") => wrong.push(format!("{name} is taken")),
            (Err(why), "legal" | "race" | "clean") => wrong.push(format!("{name} is refused: {why}")),
            (Ok(module), "race" | "clean") => {
                for order in [WarpOrder::RoundRobin, WarpOrder::Seeded(5), WarpOrder::Adversarial] {
                    let report = run(&module, order);
                    let raced = report.of(FindingKind::Race).count() > 0;
                    if raced != (right == "race") || (right == "clean" && !report.is_clean()) {
                        wrong.push(format!("{name} is {right}, and a run ({order:?}) finds: {report}"));
                    }
                }
            }
            (_, "legal" | "illegal") => {}
            (Ok(module), other) if other.contains(" acc=") => {
                let (holds, policy) = other.split_once(' ').unwrap_or_default();
                let proved = check(&module, 0, &wanted(policy)).is_ok();
                if proved != (holds == "holds") {
                    wrong.push(format!("{name} {other}, and the proof says otherwise"));
                }
            }
            (_, other) => panic!("{name}: unknown answer {other}"),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn wanted(policy: &str) -> Requirements {
    let accumulator = Some(match policy {
        "acc=f32,math=exact" => Accumulator::F32,
        "acc=f64,math=exact" => Accumulator::F64,
        other => panic!("unknown policy {other}"),
    });
    Requirements { accumulator, ..Requirements::default() }
}

fn run(module: &Validated, order: WarpOrder) -> Report {
    let mut memory = Memory::new();
    let a = memory.alloc(&[0; 4096], 16).expect("a buffer");
    let args = [Arg::from(a)];
    let launch = Launch {
        module,
        kernel: "k",
        grid: [1, 1, 1],
        block: [32, 1, 1],
        dynamic_shared: 0,
        args: &args,
        globals: None,
        options: &Options { order, ..Options::default() },
    };
    launch.run(&mut memory).unwrap_or_else(|e| panic!("{e}"))
}

/// The assembler looks at no addresses and no flow.
#[test]
fn the_assembler_agrees() {
    let Some(ptxas) = Ptxas::for_tests() else { return };
    let ours_alone = [
        "ldmatrix_out_of_bounds.ptx",
        "bar_number_in_register.ptx",
        "bar_count_beyond_block.ptx",
        "divergent_barrier.ptx",
        "half_a_warp_waits_for_the_other.ptx",
    ];
    for (name, right) in cases() {
        let text = text(&name);
        let target = text.lines().find_map(|l| l.strip_prefix(".target ")).expect("a target").trim();
        let target: Target = target.parse().unwrap_or_else(|e| panic!("{name}: {e}"));
        let taken = ptxas.assemble(&text, target).map(|_| ());
        let expected = right != "illegal" || ours_alone.contains(&name.as_str());
        assert_eq!(taken.is_ok(), expected, "{name}: {taken:?}");
    }
}

/// What only a run can decide is a warning, and an error where that is requested.
#[test]
fn doubts() {
    for (name, rule) in [
        ("barrier_under_a_parameter.ptx", Rule::DivergentBarrier),
        ("tidy_uniform_return_noreq.ptx", Rule::LaneMask),
        ("undefined_used.ptx", Rule::UseBeforeDefinition),
    ] {
        let module = verdict(name, Doubts::Warn).unwrap_or_else(|e| panic!("{name}: {e}"));
        let rules: Vec<Rule> = module.warnings().iter().map(|w| w.rule).collect();
        assert_eq!(rules, [rule], "{name}");
        let strict = parse(name, &text(name)).map(|m| verify_with(m, Doubts::Refuse)).expect("parses");
        let errors = strict.err().unwrap_or_else(|| panic!("{name} is taken"));
        assert_eq!(errors.iter().map(|e| e.rule).collect::<Vec<_>>(), [rule], "{name}");
    }
    for name in ["exit_then_shfl.ptx", "undefined_unused.ptx", "barrier_of_all_by_shape.ptx", "bar_red_loop.ptx"] {
        let module = verdict(name, Doubts::Refuse).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(module.warnings().is_empty(), "{name}");
    }
}

#[test]
fn a_version_knows_its_target_and_instructions() {
    let text = |version: &str, target: &str, body: &str| {
        format!(
            ".version {version}\n.target {target}\n.address_size 64\n.visible .entry k(.param .u64 a)\n{{\n.reg .b64 %a; .reg .b32 %r;\nld.param.u64 %a, [a];\n{body}\nret;\n}}\n"
        )
    };
    let refused = |version: &str, target: &str, body: &str| {
        let module = parse("v.ptx", &text(version, target, body)).map_err(|e| e.to_string());
        module.and_then(|m| verify(m).map_err(|e| e.to_string())).err()
    };
    let evict = "ld.global.L1::evict_first.u32 %r, [%a];";
    for (version, target, body, message) in [
        ("6.3", "sm_80", "", "PTX 6.3 does not know sm_80, which came with PTX 7.0"),
        ("8.5", "sm_100", "", "state `.version 8.6`"),
        ("8.6", "sm_120", "", "sm_120"),
        ("7.7", "sm_90", "", "sm_90"),
        ("7.0", "sm_80", evict, "ld.global.L1::evict_first.u32 needs PTX 7.4 and the file states 7.0"),
        ("7.0", "sm_80", "prefetch.global.L2::evict_last [%a];", "PTX 7.4"),
        ("9.9", "sm_90", "", "there is no PTX version '9.9'; known are those up to 9.5"),
        ("7.9", "sm_90", "", "there is no PTX version '7.9'"),
        ("10.0", "sm_90", "", "there is no PTX version '10.0'"),
    ] {
        let error = refused(version, target, body).unwrap_or_else(|| panic!("{version} {target} {body} is taken"));
        assert!(error.contains(message), "{error}");
    }
    for (version, target, body) in [
        ("7.4", "sm_80", evict),
        ("7.0", "sm_80", ""),
        ("6.3", "sm_75", ""),
        ("9.5", "sm_121", ""),
        ("8.6", "sm_100", ""),
    ] {
        assert_eq!(refused(version, target, body), None);
    }
}
