//! Executed lane-instructions a weight of the matrix kernels.
use ptxgen_builder::interp::Options;
use ptxgen_builder::target::Target;
use ptxgen_dsl::catalogue::{CATALOGUE, Request};

fn main() {
    let sm: u16 = std::env::args().nth(1).and_then(|s| s.parse().ok()).unwrap_or(75);
    for entry in CATALOGUE.iter().filter(|e| e.name.ends_with("gemv")) {
        for policy in entry.policies() {
            let request = Request { rows: Some(64), ..Request::new(policy, Target::new(sm).unwrap()) };
            let built = entry.build(&request).unwrap();
            let module = built.verify().unwrap_or_else(|e| panic!("{e}"));
            let options = Options { count: true, ..Options::default() };
            let trial = built.try_out(&module, &built.sample_inputs(1), &options).unwrap();
            assert!(trial.report.is_clean(), "{:#?}", trial.report.findings);
            let c = trial.report.counters.total;
            println!(
                "{} {policy}: {:.2} lane-instructions a weight, sectors used {:.1}%, conflicts {} of {} passes, {} static",
                entry.name,
                c.lanes as f64 / built.weights as f64,
                100.0 * c.sector_bytes as f64 / (32 * c.sectors) as f64,
                c.bank_conflicts,
                c.shared_passes,
                module.module().kernels[0].insts().count(),
            );
            let mut by_name: Vec<_> =
                trial.report.counters.sites.iter().map(|s| (s.form.get().op.text(), s.counts.lanes)).collect();
            by_name.sort();
            let mut sums: Vec<(&str, u64)> = Vec::new();
            for (n, l) in by_name {
                match sums.last_mut() {
                    Some(s) if s.0 == n => s.1 += l,
                    _ => sums.push((n, l)),
                }
            }
            sums.sort_by_key(|s| std::cmp::Reverse(s.1));
            let line: Vec<String> =
                sums.iter().take(14).map(|(n, l)| format!("{n} {:.2}", *l as f64 / built.weights as f64)).collect();
            println!("    {}", line.join(", "));
        }
    }
}
