//! The wrapper around `ptxas` with the real one, and nvcc's PTX through it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use ptxgen_builder::parse::parse;
use ptxgen_builder::ptxas::{Ptxas, PtxasError, Severity};
use ptxgen_builder::table::table;
use ptxgen_builder::target::Target;
use ptxgen_builder::verify::{Rule, verify};

fn nvcc_module(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nvcc").join(name).with_extension("ptx");
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn tells_what_each_kernel_of_a_module_uses() {
    let Some(ptxas) = Ptxas::for_tests() else { return };
    let report = ptxas.assemble(&nvcc_module("constant"), Target::SM_90).expect("nvcc's PTX assembles");
    assert_eq!(report.kernels.len(), 2);
    let local = report.kernel("local_array").expect("an entry of the module");
    assert_eq!(local.stack_frame, 64, "int window[16]");
    assert!((8..=255).contains(&local.registers), "{local:?}");
    assert_eq!(report.kernel("polynomial").expect("an entry of the module").stack_frame, 0);

    let report = ptxas.assemble(&nvcc_module("block_sum"), Target::SM_75).expect("nvcc's PTX assembles");
    let sum = report.kernel("block_sum").expect("an entry of the module");
    assert_eq!((sum.shared, sum.barriers), (32, 1), "float partial[8] and __syncthreads()");
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
}

#[test]
fn points_at_the_offending_lines() {
    let Some(ptxas) = Ptxas::for_tests() else { return };
    let ptx = "\
.version 8.0
.target sm_80
.address_size 64
.visible .entry k()
{
    .reg .b32 %r<3>;
    add.s32 %r1, %r2, 0f3F800000;
    griddepcontrol.wait;
    ret;
}
";
    let Err(PtxasError::Rejected { target, diagnostics }) = ptxas.assemble(ptx, Target::SM_90) else {
        panic!("a float in an integer addition, and an instruction of sm_90 for sm_80")
    };
    assert_eq!(target, Target::SM_90);
    let lines: Vec<_> = diagnostics.iter().filter(|d| d.severity == Severity::Error).map(|d| d.line).collect();
    assert!(lines.contains(&Some(7)) && lines.contains(&Some(8)), "{diagnostics:?}");
    assert_eq!(diagnostics[0].source.as_deref(), Some("add.s32 %r1, %r2, 0f3F800000;"));
    let shown = PtxasError::Rejected { target, diagnostics }.to_string();
    assert!(shown.starts_with("ptxas rejects the module for sm_90\n  line 7: "), "{shown}");
}

/// PTX ISA 4.3 reserves the opcodes; assemblers take them as names, and the verifier does. `WARP_SZ` is a number to both.
#[test]
fn only_one_word_is_no_name() {
    let Some(ptxas) = Ptxas::for_tests() else { return };
    let text = |names: &BTreeSet<&str>| {
        let variables: String = names.iter().map(|n| format!(".global .u32 {n};\n")).collect();
        format!(".version 7.8\n.target sm_90\n.address_size 64\n{variables}.visible .entry k()\n{{\n    ret;\n}}\n")
    };
    let opcodes = text(&table().rows().iter().filter_map(|row| row.op.text().split('.').next()).collect());
    assert!(opcodes.contains(".u32 add;\n"), "{opcodes}");
    let module = parse("names.ptx", &opcodes).unwrap_or_else(|e| panic!("{e}"));
    verify(module).unwrap_or_else(|e| panic!("{e}"));
    ptxas.assemble(&opcodes, Target::SM_90).unwrap_or_else(|e| panic!("{e}"));

    let number = text(&BTreeSet::from(["WARP_SZ"]));
    assert!(ptxas.assemble(&number, Target::SM_90).is_err());
    let module = parse("names.ptx", &number).unwrap_or_else(|e| panic!("{e}"));
    assert!(verify(module).is_err_and(|errors| errors.iter().any(|e| e.rule == Rule::Name)));
}

#[test]
fn rejects_an_older_target_than_the_modules() {
    let Some(ptxas) = Ptxas::for_tests() else { return };
    let error = ptxas.assemble(&nvcc_module("bulk_copy"), Target::SM_80).expect_err("the module is for sm_90");
    assert!(matches!(error, PtxasError::Rejected { .. }), "{error}");
}

#[test]
fn tells_its_release() {
    let Some(ptxas) = Ptxas::for_tests() else { return };
    let version = ptxas.version().expect("a release");
    let major: u32 = version.split('.').next().and_then(|m| m.parse().ok()).expect("a number");
    assert!(major >= 12, "{version}");
}

#[test]
fn nvcc_modules_assemble() {
    let Some(ptxas) = Ptxas::for_tests() else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nvcc");
    let mut modules = 0;
    for entry in folder.read_dir().expect("the fixtures") {
        let path = entry.expect("a fixture").path();
        if path.extension().is_none_or(|e| e != "ptx") {
            continue;
        }
        let ptx = fs::read_to_string(&path).expect("a text");
        let report = ptxas.assemble(&ptx, Target::SM_90).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(report.kernels.len(), ptx.matches(".entry ").count(), "{}", path.display());
        modules += 1;
    }
    assert_eq!(modules, 22);
}
