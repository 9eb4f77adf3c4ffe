//! `ptxgen check`: kernels against the verifier and a policy.

mod file;
mod measure;

use super::{
    Outcome, Status, Usage,
    kernels::{self, Choice, Size, Switch, Variant},
};
use anstream::stdout;
use clap::ValueEnum;
use ptxgen_builder::{
    analysis::precision::{self, Accumulator, Facts, FloatSum, Meeting, PolicyViolation, Reduction, Requirements},
    types::ScalarType,
    verify::Validated,
};
use ptxgen_dsl::{
    catalogue::{Entry, Request, TYPICAL, find},
    precision::{Acc, Math, Policy},
    proof,
};
use std::{
    io::{self, Write},
    path::Path,
};

/// Verify kernels, and prove on the generated code that they follow a policy
///
/// A kernel of the catalogue is checked against its own policy unless --policy names another. Without --act, --acc,
/// --math and --policy every variant is checked. A file is checked against --policy. It does not say what its
/// parameters are, so name them with --roles if the policy has an act.
///
/// With --measure, it also runs each kernel in the interpreter with shadow precision, which computes for each float
/// what it would be without rounding. Inputs are random, with at most 64 rows unless you give --rows, as in `stats`.
/// For each output it prints the largest errors, and the lines that introduced and amplified them.
///
/// Exit code 1 if a check fails.
#[derive(clap::Args)]
pub struct Args {
    /// A kernel, as `ptxgen list` names it, or a PTX file
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "KERNEL|FILE.ptx")]
    subject: Option<String>,
    /// Every kernel that `ptxgen list` shows
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    size: Size,
    /// What to prove: any of act=f32|q8k, acc=f32|f64, math=exact|approx, separated by commas
    #[arg(long)]
    policy: Option<Choice>,
    /// What the parameters of a file's kernels are, in order
    #[arg(long, value_enum, value_delimiter = ',')]
    roles: Vec<RoleArg>,
    /// Number of stages of a file's kernels under acc=f64: how often a value is rounded to f32 on the longest path to
    /// an output; without this, at most one is assumed
    #[arg(long, value_name = "N")]
    stages: Option<u32>,
    /// Reject what only a run can decide, such as a barrier under a condition that may differ within a block; without
    /// this it is a warning
    #[arg(long)]
    strict: bool,
    /// Check what `dump` writes with this option
    #[arg(long, value_enum, default_value = "on")]
    optimize: Switch,
    /// Also run each kernel, and measure the errors of its outputs
    #[arg(long)]
    measure: bool,
    /// Print the measurements as JSON
    #[arg(long, requires = "measure")]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RoleArg {
    /// Quantized weights
    Weights,
    /// Activations, f32 or Q8_K
    Activations,
    /// Buffers that the kernel writes
    Output,
    /// Anything else
    Other,
}

impl From<RoleArg> for precision::Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Weights => proof::WEIGHTS,
            RoleArg::Activations => proof::ACTIVATIONS,
            RoleArg::Output => Self::Output,
            RoleArg::Other => Self::Other,
        }
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let mut out = stdout().lock();
    let wanted = args.policy.unwrap_or_default();
    let choice = args.choice.or(wanted);
    let is_file = |name: &String| Path::new(name).extension().is_some_and(|e| e == "ptx");
    if !args.roles.is_empty() && !args.subject.as_ref().is_some_and(is_file) {
        let message = "--roles says what a file's parameters are; the catalogue's kernels say it themselves";
        return Err(Usage(message.into()).into());
    }
    let rounds = args.subject.as_ref().is_some_and(is_file) && wanted.acc == Some(Acc::F64);
    if args.stages.is_some() && !rounds {
        let message = "--stages says how often a file's kernels round under acc=f64; give it with FILE.ptx and \
                       --policy acc=f64";
        return Err(Usage(message.into()).into());
    }
    match &args.subject {
        Some(file) if is_file(file) && args.measure => Err(Usage(format!(
            "--measure runs a kernel on inputs, and {file} does not say which it takes; give them in a test, \
             `Harness::new(&module).input(..).output(..).shadow()` of ptxgen::testing, or name a kernel of the catalogue"
        ))
        .into()),
        Some(file) if is_file(file) => check_file(args, file, &mut out),
        Some(name) if find(name).is_err() && Path::new(name).exists() => {
            Err(Usage(format!("{name} is there, but a file of PTX to check is named *.ptx, and no kernel is named so"))
                .into())
        }
        Some(name) => {
            let entry = kernels::entry(name)?;
            let policies = kernels::variants(entry, choice, false, args.size.target())?;
            check_all(args, policies.into_iter().map(|p| (entry, p)), wanted, &mut out)
        }
        None => {
            let all = TYPICAL.iter().flat_map(|e| choice.variants(e).into_iter().map(move |p| (e, p)));
            check_all(args, all, wanted, &mut out)
        }
    }
}

fn check_all(
    args: &Args,
    kernels: impl Iterator<Item = (&'static Entry, Policy)>,
    wanted: Choice,
    out: &mut impl Write,
) -> Outcome {
    let (mut count, mut faults) = (0, 0);
    let mut measurements = Vec::new();
    // JSON is the only output.
    let mut nothing = io::sink();
    let text: &mut dyn Write = if args.json { &mut nothing } else { &mut *out };
    for (entry, policy) in kernels {
        count += 1;
        let request = args.size.over(entry, args.all, Request::new(policy, args.size.target()))?;
        let built = kernels::build(entry, &request)?;
        let title = format!("{}{}", entry.name, Variant::of_policy(entry, policy));
        let module = match built.finish_with(&args.optimize.passes()) {
            Ok(module) => module,
            Err(errors) => {
                faults += 1;
                fault(text, &title, "does not verify", &[errors.to_string()])?;
                continue;
            }
        };
        let proof = built.prove(&module, wanted.over(policy));
        let holds = proof.is_ok();
        match proof {
            Ok(facts) => pass(text, &title, &format!("verified; {}", sentence(&facts, &built.requirements(policy))))?,
            Err(violations) => {
                faults += 1;
                let title_of_policy = Variant::of_policy(entry, wanted.over(policy));
                fault(text, &title, &format!("does not hold{title_of_policy}"), &first_of_each(&violations))?;
            }
        }
        if args.measure {
            let trial = Request::for_trial(entry, policy, args.size.target());
            let measured = measure::run(entry, &args.size.over(entry, args.all, trial)?, args.optimize, holds)?;
            measured.print(text)?;
            measurements.push(measured);
        }
    }
    if count != 1 {
        writeln!(text, "{} of {count} kernels hold", count - faults)?;
    }
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &measurements)?;
        writeln!(out)?;
    }
    Ok(if faults == 0 { Status::Well } else { Status::Fault })
}

fn pass(out: &mut (impl Write + ?Sized), title: &str, text: &str) -> io::Result<()> {
    let green = anstyle::AnsiColor::Green.on_default();
    writeln!(out, "{green}ok{green:#}    {title}: {text}")
}

fn fault(out: &mut (impl Write + ?Sized), title: &str, what: &str, messages: &[String]) -> io::Result<()> {
    let red = anstyle::AnsiColor::Red.on_default().bold();
    writeln!(out, "{red}fault{red:#} {title} {what}")?;
    for message in messages {
        for line in message.lines() {
            writeln!(out, "      {line}")?;
        }
    }
    Ok(())
}

fn warn(out: &mut impl Write, message: &str) -> io::Result<()> {
    let yellow = anstyle::AnsiColor::Yellow.on_default();
    let mut lines = message.lines();
    writeln!(out, "{yellow}warn{yellow:#}  {}", lines.next().unwrap_or_default())?;
    lines.try_for_each(|line| writeln!(out, "      {line}"))
}

/// Unrolled code breaks a rule many times at one line of Rust: shows the first violation of each line, with their
/// number.
fn first_of_each(violations: &[PolicyViolation]) -> Vec<String> {
    let mut groups: Vec<(&PolicyViolation, usize)> = Vec::new();
    for v in violations {
        let same = |g: &PolicyViolation| g.rule == v.rule && g.loc == v.loc && g.inst.is_some() == v.inst.is_some();
        match groups.iter_mut().find(|(g, _)| same(g)) {
            Some((_, n)) => *n += 1,
            None => groups.push((v, 1)),
        }
    }
    let times = |n| if n == 1 { String::new() } else { format!(" (and {} more from this line)", n - 1) };
    groups.iter().map(|(v, n)| format!("{v}{}", times(*n))).collect()
}

/// A summary of what was proved.
fn sentence(facts: &Facts, held: &Requirements) -> String {
    let mut parts = Vec::new();
    if held.accumulator.is_some() {
        parts.push(sums(&facts.accumulations));
        if let Some(Accumulator::F64) = held.accumulator {
            parts.push(format!("rounded to f32 {} on the way to a result", times(facts.stages)));
        }
    }
    match held.products.map(|p| p.meeting) {
        Some(Meeting::Integers) => {
            parts.push(format!("{} integer products, no float product of weights", facts.integer_products.len()));
        }
        Some(Meeting::Floats) => {
            parts.push(format!("{} float products of weights, no integer ones", facts.decoded_products.len()));
        }
        None => {}
    }
    if !facts.read_back.is_empty() {
        let loads = facts.read_back.len();
        parts.push(match held.accumulator {
            Some(_) => format!("{loads} loads of values that it wrote to global memory itself, followed"),
            None => format!(
                "{loads} loads of values that it wrote to global memory itself: it has no accumulator, and no sum is proved"
            ),
        });
    }
    parts.push(approximations(facts));
    parts.join("; ")
}

fn times(n: u32) -> String {
    if n == 1 { "once".into() } else { format!("{n} times") }
}

fn approximations(facts: &Facts) -> String {
    match facts.approximate.len() {
        0 => "nothing approximate".into(),
        n => format!("{n} approximate instructions"),
    }
}

/// `584 sums in f64 (28 across lanes)`.
fn sums(all: &[FloatSum]) -> String {
    let of = |ty| {
        let these: Vec<_> = all.iter().filter(|a| a.ty == ty).collect();
        let count = |r: Reduction| these.iter().filter(|a| a.reduction == r).count();
        let kinds = [
            (Reduction::Loop, "in loops"),
            (Reduction::Lanes, "across lanes"),
            (Reduction::Shared, "through shared memory"),
        ];
        let kinds = kinds.iter().filter(|(r, _)| count(*r) > 0).map(|(r, word)| format!("{} {word}", count(*r)));
        let kinds: Vec<_> = kinds.collect();
        let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
        (!these.is_empty()).then(|| format!("{} sums in {ty}{kinds}", these.len()))
    };
    let parts: Vec<_> = ScalarType::ALL.into_iter().filter_map(of).collect();
    if parts.is_empty() { "no sums".into() } else { parts.join(", ") }
}

fn check_file(args: &Args, file: &str, out: &mut impl Write) -> Outcome {
    let chosen = args.choice;
    if chosen.act.is_some() || chosen.acc.is_some() || chosen.math.is_some() {
        return Err(Usage(
            "--act, --acc and --math choose variants of catalogue kernels; a file takes --policy".into(),
        )
        .into());
    }
    if args.size.is_given() || args.optimize == Switch::Off {
        let message = "sizes, --sm, --pdl and --optimize are for kernels of the catalogue; a file is checked unchanged";
        return Err(Usage(message.into()).into());
    }
    let text = super::inputs::read_text(file.as_ref())?;
    file::check(args, file, &text, out)
}

/// Checks a file's kernel against the policy, and names what could not be checked.
fn check_kernel(args: &Args, file: &str, module: &Validated, i: usize, out: &mut impl Write) -> anyhow::Result<bool> {
    let kernel = &module.module().kernels[i];
    let title = format!("{file}: {}", kernel.name);
    let roles: Vec<precision::Role> = args.roles.iter().map(|&r| r.into()).collect();
    if roles.len() > kernel.params.len() {
        return Err(Usage(format!(
            "--roles names {} parameters, and kernel '{}' has {}",
            roles.len(),
            kernel.name,
            kernel.params.len()
        ))
        .into());
    }
    let Some(policy) = args.policy else {
        let facts = precision::facts(module, i, &roles, &proof::FACTORS);
        let text = format!("verified; {}; {}", sums(&facts.accumulations), approximations(&facts));
        pass(out, &title, &text)?;
        return Ok(true);
    };
    let known = !roles.is_empty();
    let requirements = Requirements {
        accumulator: policy.acc.map(Into::into),
        own_types: Vec::new(),
        factors: proof::FACTORS,
        products: policy.act.filter(|_| known).map(proof::products),
        allow_approximate: policy.math == Some(Math::Approx),
        stages: args.stages,
        stages_of: Vec::new(),
        roles,
    };
    let held = match precision::check(module, i, &requirements) {
        Ok(facts) => {
            pass(out, &title, &format!("verified; {}", sentence(&facts, &requirements)))?;
            true
        }
        Err(violations) => {
            fault(out, &title, "does not hold the policy", &first_of_each(&violations))?;
            false
        }
    };
    if policy.act.is_some() && !known {
        writeln!(
            out,
            "      act not checked: a file does not say which parameters are weights and activations; name them with --roles"
        )?;
    }
    Ok(held)
}
