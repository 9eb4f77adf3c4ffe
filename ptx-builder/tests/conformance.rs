//! Runs the conformance cases (`tests/conformance/cases`) through parser,
//! verifier, printer and interpreter: one test a folder, and one that counts.
//!
//! `cargo test --test conformance -- cvt` runs the folders with `cvt` in their
//! names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};
use ptxgen_builder::conformance::{Case, Failure, Param};
use ptxgen_builder::interp::{Arg, FindingKind, Launch, Memory, Options, WarpOrder};
use ptxgen_builder::parse::parse;
use ptxgen_builder::print::{PrintOptions, print};
use ptxgen_builder::table::{Form, Meaning, table};
use ptxgen_builder::verify::{Validated, verify};

/// Failures shown of one folder.
const SHOWN: usize = 12;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/cases")
}

/// A form's file; where one spelling has several forms, the variant too.
fn path(form: &Form) -> PathBuf {
    let alone = table().forms().iter().filter(|f| f.name == form.name).count() == 1;
    let variant = if alone { String::new() } else { format!("~{:?}", form.op).to_lowercase() };
    root().join(form.op.text()).join(format!("{}{variant}.ptx", form.name.replace("::", "-")))
}

/// Those that a program can run by itself.
fn forms() -> impl Iterator<Item = &'static Form> {
    table().forms().iter().filter(|f| !matches!(f.meaning, Meaning::Foreign))
}

fn main() {
    let arguments = Arguments::from_args();
    let mut folders: BTreeMap<&str, Vec<&'static Form>> = BTreeMap::new();
    for form in forms() {
        folders.entry(form.op.text()).or_default().push(form);
    }
    let mut trials: Vec<Trial> =
        folders.into_iter().map(|(folder, forms)| Trial::test(folder.to_owned(), move || run_folder(&forms))).collect();
    trials.push(Trial::test("every_form_has_its_file", every_form_has_its_file));
    libtest_mimic::run(&arguments, trials).exit();
}

fn run_folder(forms: &[&Form]) -> Result<(), Failed> {
    let failures: Vec<String> =
        forms.iter().filter_map(|form| run(form).err().map(|why| format!("{}: {why}", form.name))).collect();
    if failures.is_empty() {
        return Ok(());
    }
    let shown = &failures[..failures.len().min(SHOWN)];
    Err(format!("{} of {} cases fail:\n{}", failures.len(), forms.len(), shown.join("\n")).into())
}

/// A case for each form, and no other file.
fn every_form_has_its_file() -> Result<(), Failed> {
    let wanted: BTreeSet<PathBuf> = forms().map(path).collect();
    let mut found = BTreeSet::new();
    for folder in fs::read_dir(root())? {
        for file in fs::read_dir(folder?.path())? {
            found.insert(file?.path());
        }
    }
    let name = |p: &PathBuf| p.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let missing: Vec<String> = wanted.difference(&found).take(SHOWN).map(name).collect();
    let extra: Vec<String> = found.difference(&wanted).take(SHOWN).map(name).collect();
    if missing.is_empty() && extra.is_empty() && found.len() == wanted.len() {
        return Ok(());
    }
    let (files, forms) = (found.len(), wanted.len());
    Err(format!(
        "{files} files for {forms} forms; missing {missing:?}, left over {extra:?}: run tests/conformance/generate.py"
    )
    .into())
}

fn run(form: &Form) -> Result<(), String> {
    let path = path(form);
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let case = Case::parse(&name, &text).map_err(|e| e.to_string())?;
    let module = parse(&name, &case.ptx).map_err(|e| e.to_string())?;
    if case.form != form.name || !module.kernels.iter().flat_map(|k| k.insts()).any(|(.., i)| i.form == form.id) {
        return Err(format!("{name} does not contain the form"));
    }
    let module = verify(module).map_err(|e| e.to_string())?;
    round_trip(&module)?;
    for order in [WarpOrder::RoundRobin, WarpOrder::Adversarial, WarpOrder::Seeded(7)] {
        interpret(&case, &module, order).map_err(|why| format!("{order:?}: {why}"))?;
    }
    Ok(())
}

/// What is printed reads back as the same module, and prints the same.
fn round_trip(module: &Validated) -> Result<(), String> {
    let text = print(module, &PrintOptions::default());
    let again = parse("printed", &text).map_err(|e| format!("its print does not parse: {e}"))?;
    if again != *module.module() {
        return Err(format!("its print reads back as another module:\n{text}"));
    }
    Ok(())
}

fn interpret(case: &Case, module: &Validated, order: WarpOrder) -> Result<(), String> {
    let mut memory = Memory::new();
    let mut args = Vec::new();
    let mut buffers = Vec::new();
    for param in &case.params {
        match param {
            Param::Value(bytes) => args.push(Arg::bytes(bytes)),
            Param::Buffer(buffer) => {
                let allocated = memory.alloc(&buffer.initial, 256).map_err(|e| e.to_string())?;
                args.push(Arg::from(allocated));
                buffers.push((buffer, allocated));
            }
        }
    }
    let launch = Launch {
        module,
        kernel: "test",
        grid: [1, 1, 1],
        block: [case.block, 1, 1],
        dynamic_shared: 0,
        args: &args,
        globals: None,
        options: &Options { order, ..Options::default() },
    };
    let report = launch.run(&mut memory).map_err(|e| e.to_string())?;
    let trapped = report.fault().is_some_and(|f| f.kind == FindingKind::Trap);
    match (case.fails, report.findings.first()) {
        (Some(Failure::Trap), _) if !trapped => return Err("it did not trap".to_owned()),
        (None, Some(finding)) => return Err(finding.to_string()),
        _ => {}
    }
    for (buffer, allocated) in buffers {
        let bytes = memory.read(allocated).map_err(|e| e.to_string())?;
        buffer.check(&bytes).map_err(|e| e.to_string())?;
    }
    Ok(())
}
