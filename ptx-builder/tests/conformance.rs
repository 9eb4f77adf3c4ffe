//! Runs the conformance cases (`tests/conformance/cases`) through parser,
//! verifier, printer and interpreter: one test a file, and one that counts.
//!
//! `cargo test --test conformance -- cvt` runs the files with `cvt` in their
//! names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};
use ptxgen_builder::conformance::{Case, Failure, Param};
use ptxgen_builder::interp::{Arg, FindingKind, Launch, Memory, Options, WarpOrder};
use ptxgen_builder::parse::parse;
use ptxgen_builder::print::{PrintOptions, print};
use ptxgen_builder::table::{Form, table};
use ptxgen_builder::verify::{Validated, verify};

/// Failures shown of one file.
const SHOWN: usize = 12;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/cases")
}

/// The name of a form's case; where one spelling has several forms, with the variant.
fn name(form: &Form) -> String {
    let alone = table().named(&form.name).len() == 1;
    if alone { form.name.to_string() } else { format!("{}~{}", form.name, format!("{:?}", form.op).to_lowercase()) }
}

/// The cases of an instruction's file, by name.
fn read(instruction: &str) -> Result<BTreeMap<String, Case>, String> {
    let path = root().join(format!("{instruction}.ptx"));
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let cases = Case::parse_all(&path.to_string_lossy(), &text).map_err(|e| e.to_string())?;
    Ok(cases.into_iter().map(|c| (c.name(), c)).collect())
}

/// Those that a program can run by itself.
fn forms() -> impl Iterator<Item = &'static Form> {
    table().forms().iter().filter(|f| f.is_run())
}

fn main() {
    let arguments = Arguments::from_args();
    let mut files: BTreeMap<&str, Vec<&'static Form>> = BTreeMap::new();
    for form in forms() {
        files.entry(form.op.text()).or_default().push(form);
    }
    let one = |(file, forms): (&'static str, Vec<_>)| Trial::test(file.to_owned(), move || run_file(file, &forms));
    let mut trials: Vec<Trial> = files.into_iter().map(one).collect();
    trials.push(Trial::test("every_form_has_its_case", every_form_has_its_case));
    libtest_mimic::run(&arguments, trials).exit();
}

fn run_file(file: &str, forms: &[&Form]) -> Result<(), Failed> {
    let cases = read(file)?;
    let failures: Vec<String> =
        forms.iter().filter_map(|form| run(&cases, form).err().map(|why| format!("{}: {why}", name(form)))).collect();
    if failures.is_empty() {
        return Ok(());
    }
    let shown = &failures[..failures.len().min(SHOWN)];
    Err(format!("{} of {} cases fail:\n{}", failures.len(), forms.len(), shown.join("\n")).into())
}

/// A case for each form, and no other file or case.
fn every_form_has_its_case() -> Result<(), Failed> {
    let wanted: BTreeSet<(String, String)> = forms().map(|f| (f.op.text().to_owned(), name(f))).collect();
    let mut found = BTreeSet::new();
    for file in fs::read_dir(root())? {
        let file = file?.path();
        let instruction = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        found.extend(read(&instruction)?.into_keys().map(|name| (instruction.clone(), name)));
    }
    let missing: Vec<_> = wanted.difference(&found).take(SHOWN).collect();
    let extra: Vec<_> = found.difference(&wanted).take(SHOWN).collect();
    if missing.is_empty() && extra.is_empty() {
        return Ok(());
    }
    let (cases, forms) = (found.len(), wanted.len());
    Err(format!(
        "{cases} cases for {forms} forms; missing {missing:?}, left over {extra:?}: run tests/conformance/generate.py"
    )
    .into())
}

fn run(cases: &BTreeMap<String, Case>, form: &Form) -> Result<(), String> {
    let name = name(form);
    let case = cases.get(&name).ok_or("no case")?;
    let module = parse(&name, &case.ptx).map_err(|e| e.to_string())?;
    if !module.kernels.iter().flat_map(|k| k.insts()).any(|(.., i)| i.form == form.id) {
        return Err(format!("{name} does not contain the form"));
    }
    let module = verify(module).map_err(|e| e.to_string())?;
    round_trip(&module)?;
    for order in [WarpOrder::RoundRobin, WarpOrder::Adversarial, WarpOrder::Seeded(7)] {
        interpret(case, &module, order).map_err(|why| format!("{order:?}: {why}"))?;
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
