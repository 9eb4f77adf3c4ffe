//! What holds for every kernel: long rows, and early starts.

use crate::support::{Rng, all_bits, floats};
use crate::ways::{FORMATS, product, vectors, weights};
use ptxgen_builder::interp::Options;
use ptxgen_builder::target::Target;
use ptxgen_dsl::catalogue::{Dims, Family, Request, TYPICAL, find};
use ptxgen_dsl::format::SUPERBLOCK;
use ptxgen_dsl::precision::Policy;

/// Rows that are too long to be staged, on every policy.
#[test]
fn long_rows_are_read_where_they_lie() {
    let (rows, cols) = (3, 8192);
    for (ty, prefix, _) in FORMATS {
        let mut rng = Rng::new(25);
        let w = weights(ty, &mut rng, rows * cols / SUPERBLOCK);
        let x = rng.vector(cols);
        for policy in Policy::EXACT {
            let entry = find(&format!("{prefix}gemv")).unwrap();
            let dims = Dims { rows: Some(rows as u32), cols: Some(cols as u32), ..Dims::NONE };
            let built = entry.build(&Request { dims, ..Request::new(policy, Target::SM_90) }).unwrap();
            let inputs = [w.clone(), vectors(policy.act, &x, cols), vec![]];
            let trial = built.try_out(&built.finish().unwrap(), &inputs, &Options::default()).unwrap();
            assert!(trial.report.is_clean(), "{ty} {policy}: {}", trial.report);
            assert_eq!(all_bits(&floats(&trial.outputs[0])), all_bits(&product(policy, ty, &w, &x)), "{ty} {policy}");
        }
    }
}

/// Rows longer than any model's have a kernel under every policy.
#[test]
fn very_long_rows_fit() {
    for entry in TYPICAL.iter().filter(|e| e.family == Family::Matrix) {
        for policy in entry.policies() {
            let dims = Dims { cols: Some(16_384), ..entry.trial };
            let built = entry.build(&Request { dims, ..Request::new(policy, Target::SM_75) });
            assert!(built.is_ok(), "{} {policy}: {}", entry.name, built.unwrap_err());
        }
    }
}

/// Every kernel of the catalogue can be launched early from sm_90 on, and no kernel is otherwise.
#[test]
fn every_kernel_waits_where_it_is_asked_to() {
    for entry in TYPICAL {
        for (target, pdl) in [(Target::SM_80, true), (Target::SM_90, true), (Target::SM_90, false)] {
            let policy = entry.policies()[0];
            let request = Request { pdl, ..Request::for_reading(entry, policy, target) };
            let built = entry.build(&request).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(built.starts_early(), pdl && target == Target::SM_90, "{} {target}", entry.name);
            let module = built.finish().unwrap_or_else(|e| panic!("{}: {e}", entry.name));
            if built.starts_early() {
                let options = Options::default();
                let trial = built.try_out(&module, &built.sample_inputs(1), &options).unwrap();
                assert!(trial.report.is_clean(), "{}: {}", entry.name, trial.report);
            }
        }
    }
}
