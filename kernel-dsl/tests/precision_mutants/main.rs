//! The proof of precision under mutation: kernels that keep their policy lose bits in one place,
//! and none of them may pass; or they lose nothing, and those should.
//!
//! Kernels are those of the catalogue under every policy that they have, and random reductions
//! ([`random`]). Into each, one of the ways to lose bits ([`losses`]) is put on an edge between a
//! float sum and an output ([`sites`]), or a sum itself is respelled to round otherwise. What the
//! verifier refuses is no mutant. Everything follows from a seed. `PRECISION_MUTANTS` says how many
//! mutants are made (20,000 is the number that the documentation states).

mod harmless;
mod losses;
mod random;
mod reorder;
mod sites;
mod snippet;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use ptxgen_builder::analysis::precision::{PolicyRule, PolicyViolation, Requirements, check};
use ptxgen_builder::ir::{Module, Operand};
use ptxgen_builder::parse::parse;
use ptxgen_builder::print::{PrintOptions, print};
use ptxgen_builder::table::table;
use ptxgen_builder::target::Target;
use ptxgen_builder::verify::{Validated, verify};
use ptxgen_dsl::catalogue::{Request, TYPICAL};

use harmless::HARMLESS;
use losses::{LOSSES, When};
use random::Random;
use sites::{Place, Site, sites};
use snippet::{Of, Snippet};

/// A kernel that keeps its policy.
struct Host {
    title: String,
    module: Module,
    wanted: Requirements,
    sites: Vec<Site>,
}

impl Host {
    /// None where there is no sum on the way to an output; why it breaks its policy, if it does.
    fn new(title: String, module: Validated, wanted: Requirements) -> Result<Option<Host>, String> {
        if let Err(found) = check(&module, 0, &wanted) {
            if std::env::var("PRECISION_MUTANTS_SHOW").is_ok_and(|k| k == title) {
                println!("{title}:\n{}", print(&module, &PrintOptions::default()));
            }
            return Err(format!("{title} keeps its policy: {}", found[0]));
        }
        let sites = sites(&module.module().kernels[0], &wanted.roles);
        let module = module.into_module();
        Ok((!sites.is_empty()).then_some(Host { title, module, wanted, sites }))
    }
}

/// The catalogue's kernels, each in its smallest schedule that shows everything.
fn catalogue() -> Vec<Result<Option<Host>, String>> {
    let one = |entry: &'static ptxgen_dsl::catalogue::Entry, policy| {
        let built = entry.build(&Request::for_reading(entry, policy, Target::SM_90)).unwrap_or_else(|e| panic!("{e}"));
        let module = built.finish().unwrap_or_else(|e| panic!("{e}"));
        let wanted = built.requirements(policy);
        wanted.accumulator?;
        Some(Host::new(format!("{} under {policy}", entry.name), module, wanted))
    };
    TYPICAL.iter().flat_map(|e| e.policies().into_iter().filter_map(move |p| one(e, p))).collect()
}

fn reductions(count: u64) -> impl Iterator<Item = Result<Option<Host>, String>> {
    let one = |seed| {
        let (text, wanted) = random::reduction(seed);
        let module = parse("random.ptx", &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        let module = verify(module).unwrap_or_else(|e| panic!("{e}\n{text}"));
        Host::new(format!("reduction {seed}"), module, wanted)
    };
    (0..count).map(one)
}

fn hosts() -> &'static [Host] {
    static HOSTS: OnceLock<Vec<Host>> = OnceLock::new();
    HOSTS.get_or_init(|| {
        let catalogue = catalogue();
        let reductions = reductions(3 * catalogue.len() as u64);
        let (held, broken): (Vec<_>, Vec<_>) = catalogue.into_iter().chain(reductions).partition(Result::is_ok);
        let broken: Vec<String> = broken.into_iter().filter_map(Result::err).collect();
        assert!(broken.is_empty(), "{} break their policies:\n{}", broken.len(), broken.join("\n"));
        let all: Vec<Host> = held.into_iter().flatten().flatten().collect();
        assert!(all.len() > 400, "the catalogue has kernels with sums");
        all
    })
}

/// What is done to a kernel.
enum Change {
    /// Put in on an edge.
    Insert(Snippet, When),
    /// The instruction that sums, spelled otherwise.
    Respell { of: Of, to: &'static str },
}

struct Kind {
    name: String,
    change: Change,
    text: String,
}

fn kinds_of_loss() -> Vec<Kind> {
    let inserted = LOSSES.iter().map(|l| Kind {
        name: l.name.to_owned(),
        change: Change::Insert(Snippet::new(l.name, l.of, l.text), l.when),
        text: l.text.to_owned(),
    });
    let respelled = [
        (Of::F32, ".rz"),
        (Of::F32, ".rm"),
        (Of::F32, ".rp"),
        (Of::F32, ".rn.ftz"),
        (Of::F32, ".rn.sat"),
        (Of::F32, ""),
        (Of::F64, ".rz"),
        (Of::F64, ".rm"),
        (Of::F64, ".rp"),
        (Of::F64, ""),
    ];
    let respelled = respelled.into_iter().map(|(of, to)| Kind {
        name: format!("{of:?} sum with '{to}' for .rn"),
        change: Change::Respell { of, to },
        text: String::new(),
    });
    inserted.chain(respelled).collect()
}

impl Kind {
    /// Whether this is a loss (or can be done) at a site.
    fn fits(&self, host: &Host, site: &Site) -> bool {
        match &self.change {
            Change::Insert(snippet, when) => {
                snippet.of == site.of
                    && match when {
                        When::Always => true,
                        When::Wide => site.wide,
                        When::Exact => !host.wanted.allow_approximate,
                    }
            }
            Change::Respell { of, .. } => {
                let inst = &host.module.kernels[0].blocks[site.block].insts[site.inst];
                // With constants a sum may be exact, and all roundings alike.
                let open = inst.operands.iter().all(|o| matches!(o, Operand::Reg(_)));
                *of == site.of && site.place == Place::Definition && open && inst.form().name.contains(".rn.")
            }
        }
    }

    fn apply(&self, host: &Host, site: &Site) -> Option<Module> {
        match &self.change {
            Change::Insert(snippet, _) => Some(snippet.insert(&host.module, site)),
            Change::Respell { to, .. } => {
                let mut module = host.module.clone();
                let inst = &mut module.kernels[0].blocks[site.block].insts[site.inst];
                inst.form = *table().named(&inst.form().name.replacen(".rn", to, 1)).first()?;
                Some(module)
            }
        }
    }
}

/// What became of the mutants of one kind.
#[derive(Default)]
struct Tally {
    passed: usize,
    refused: usize,
    /// Not mutants: the verifier refused them.
    discarded: usize,
    examples: Vec<String>,
    /// How many were refused by which rule first.
    rules: BTreeMap<PolicyRule, usize>,
    refusal: Option<String>,
}

impl Tally {
    fn take(&mut self, fate: Fate) {
        match fate {
            Fate::Discarded => self.discarded += 1,
            Fate::Passed(example) => {
                self.passed += 1;
                self.examples.push(example);
                self.examples.sort();
                self.examples.truncate(3);
            }
            Fate::Refused(by) => {
                self.refused += 1;
                *self.rules.entry(by.rule).or_default() += 1;
                self.refusal.get_or_insert_with(|| by.to_string());
            }
        }
    }
}

/// What became of one mutant.
enum Fate {
    Discarded,
    Refused(PolicyViolation),
    Passed(String),
}

/// Changes a host in a way that fits somewhere, the first that verifies; number `n` of a seed is
/// always the same. Gives every kind that was tried with what became of it.
fn mutate(kinds: &[Kind], hosts: &[Host], n: usize, seed: u64) -> Vec<(usize, Fate)> {
    let host = &hosts[n % hosts.len()];
    let mut random = Random(seed << 32 | n as u64);
    let mut fates = Vec::new();
    for _ in 0..100 * kinds.len() {
        let kind = random.below(kinds.len());
        let fitting: Vec<&Site> = host.sites.iter().filter(|s| kinds[kind].fits(host, s)).collect();
        if fitting.is_empty() {
            continue;
        }
        let site = fitting[random.below(fitting.len())];
        let Some(mutant) = kinds[kind].apply(host, site) else { continue };
        let Ok(mutant) = verify(mutant) else {
            fates.push((kind, Fate::Discarded));
            continue;
        };
        fates.push(match check(&mutant, 0, &host.wanted) {
            Ok(_) => {
                // What passes can be read: `PRECISION_MUTANTS_SHOW=f16`.
                if std::env::var("PRECISION_MUTANTS_SHOW").is_ok_and(|k| k == kinds[kind].name) {
                    println!("{}: {}\n{}", kinds[kind].name, host.title, print(&mutant, &PrintOptions::default()));
                }
                (kind, Fate::Passed(example(host, site)))
            }
            Err(mut found) => (kind, Fate::Refused(found.swap_remove(0))),
        });
        return fates;
    }
    panic!("{}: nothing that is done to it verifies", host.title)
}

/// What became of mutants number 0 to `count`, by kind; made on all cores.
fn run(kinds: &[Kind], hosts: &[Host], count: usize, seed: u64) -> Vec<Tally> {
    let next = AtomicUsize::new(0);
    let tallies: Mutex<Vec<Tally>> = Mutex::new(kinds.iter().map(|_| Tally::default()).collect());
    let work = || {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= count {
                return;
            }
            let fates = mutate(kinds, hosts, n, seed);
            let mut tallies = tallies.lock().unwrap_or_else(|e| e.into_inner());
            fates.into_iter().for_each(|(kind, fate)| tallies[kind].take(fate));
        }
    };
    std::thread::scope(|scope| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        (0..cores).for_each(|_| {
            scope.spawn(work);
        });
    });
    tallies.into_inner().unwrap_or_else(|e| e.into_inner())
}

/// The kernel and the instruction that a change was made at.
fn example(host: &Host, site: &Site) -> String {
    let inst = &host.module.kernels[0].blocks[site.block].insts[site.inst];
    format!("{}, {} at {:?} of `{}`", host.title, site.reg, site.place, inst.form().name)
}

fn asked(default: usize) -> usize {
    std::env::var("PRECISION_MUTANTS").ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// Where the kinds' fates are written, if `PRECISION_MUTANTS_REPORT` names a file.
fn report(name: &str, kinds: &[Kind], tallies: &[Tally]) {
    use std::fmt::Write;
    let Ok(path) = std::env::var("PRECISION_MUTANTS_REPORT") else { return };
    let mut text = format!("# {name}\n");
    for (kind, t) in kinds.iter().zip(tallies) {
        let Tally { passed, refused, discarded, .. } = t;
        writeln!(text, "\n## {}: {passed} passed, {refused} refused, {discarded} not verified\n", kind.name)
            .expect("text");
        if !kind.text.is_empty() {
            writeln!(text, "    {}", kind.text).expect("text");
        }
        t.examples.iter().for_each(|e| writeln!(text, "- passed: {e}").expect("text"));
        t.rules.iter().for_each(|(rule, n)| writeln!(text, "- refused {n}: {rule}").expect("text"));
        t.refusal.iter().for_each(|e| writeln!(text, "- refused, such as: {e}").expect("text"));
    }
    std::fs::write(format!("{path}.{name}.md"), text).expect("the report can be written");
}

#[test]
fn what_loses_bits_is_refused() {
    let kinds = kinds_of_loss();
    let tallies = run(&kinds, hosts(), asked(20_000), 1);
    report("losses", &kinds, &tallies);
    let sum = |of: fn(&Tally) -> usize| tallies.iter().map(of).sum::<usize>();
    let used = tallies.iter().filter(|t| t.passed + t.refused > 0).count();
    println!(
        "{} mutants of {used} kinds in {} kernels: {} refused, {} passed ({} did not verify)",
        sum(|t| t.passed + t.refused),
        hosts().len(),
        sum(|t| t.refused),
        sum(|t| t.passed),
        sum(|t| t.discarded)
    );
    let passed: Vec<String> = (kinds.iter().zip(&tallies))
        .filter(|(_, t)| t.passed > 0)
        .map(|(k, t)| format!("{}: {} passed, as in {}", k.name, t.passed, t.examples[0]))
        .collect();
    let all = sum(|t| t.passed + t.refused);
    assert!(passed.is_empty(), "{} of {all} pass:\n{}", sum(|t| t.passed), passed.join("\n"));
    assert!(used >= 25, "{used} of {} kinds of loss have mutants", kinds.len());
}

#[test]
fn what_loses_nothing_passes() {
    let kinds: Vec<Kind> = HARMLESS
        .iter()
        .map(|h| Kind {
            name: h.name.to_owned(),
            change: Change::Insert(Snippet::new(h.name, h.of, h.text), When::Always),
            text: h.text.to_owned(),
        })
        .collect();
    let tallies = run(&kinds, hosts(), asked(20_000) / 10, 2);
    report("harmless", &kinds, &tallies);
    let count = |idiom: bool, of: fn(&Tally) -> usize| {
        HARMLESS.iter().zip(&tallies).filter(|(h, _)| h.idiom == idiom).map(|(_, t)| of(t)).sum::<usize>()
    };
    for (idiom, name) in [(true, "the catalogue's idioms"), (false, "others")] {
        let (refused, all) = (count(idiom, |t| t.refused), count(idiom, |t| t.refused + t.passed));
        println!("harmless, {name}: {refused} of {all} refused");
    }
    let refused: Vec<String> = (HARMLESS.iter().zip(&tallies))
        .filter(|(_, t)| t.refused > 0)
        .map(|(h, t)| {
            format!("{}: {} refused, such as {}", h.name, t.refused, t.refusal.as_deref().unwrap_or_default())
        })
        .collect();
    println!("{}", refused.join("\n"));
    let (idioms, idioms_refused) = (count(true, |t| t.refused + t.passed), count(true, |t| t.refused));
    assert!(idioms_refused == 0, "{idioms_refused} of {idioms} idioms are refused:\n{}", refused.join("\n"));
    let (others, others_refused) = (count(false, |t| t.refused + t.passed), count(false, |t| t.refused));
    assert!(others_refused * 100 <= others, "{others_refused} of {others} others are refused:\n{}", refused.join("\n"));
}

#[test]
fn the_order_of_independent_instructions_and_the_names_of_registers_are_free() {
    for (n, host) in hosts().iter().enumerate() {
        let mut module = host.module.clone();
        let moved = reorder::shuffle(&mut module.kernels[0], &mut Random(n as u64));
        let module = verify(module).unwrap_or_else(|e| panic!("{}: {e}", host.title));
        let found = check(&module, 0, &host.wanted);
        assert!(found.is_ok(), "{} with {moved} instructions elsewhere: {}", host.title, found.unwrap_err()[0]);
    }
}
