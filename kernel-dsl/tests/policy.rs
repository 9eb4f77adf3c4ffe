//! Every kernel of the catalogue keeps the policy that it was made for, and
//! breaks the others, as proved on its code.

use ptxgen_builder::target::Target;
use ptxgen_dsl::catalogue::{Dims, Entry, Family, Request, TYPICAL};
use ptxgen_dsl::precision::{Math, Policy};

/// The violations of `policy` by the kernel made for `made`, as text.
fn violations(entry: &'static Entry, made: Policy, policy: Policy) -> Vec<String> {
    violations_in(entry, Dims::NONE, made, policy)
}

fn violations_in(entry: &'static Entry, dims: Dims, made: Policy, policy: Policy) -> Vec<String> {
    let request = Request { dims, pdl: true, ..Request::new(made, Target::SM_90) };
    let built = entry.build(&request).unwrap_or_else(|e| panic!("{e}"));
    let module = built.finish().unwrap_or_else(|e| panic!("{e}"));
    let checked = built.prove(&module, policy);
    checked.err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[test]
fn every_kernel_keeps_its_policy() {
    for entry in TYPICAL {
        for policy in entry.policies() {
            let found = violations(entry, policy, policy);
            assert!(found.is_empty(), "{} under {policy:?}:\n{}", entry.name, found.join("\n"));
        }
    }
}

/// Matrix kernels for one token are other kernels than those for several.
#[test]
fn kernels_for_several_tokens_keep_their_policy() {
    let matrix = |e: &&Entry| e.family == Family::Matrix && e.dims.tokens == Some(1);
    for entry in TYPICAL.iter().filter(matrix) {
        let dims = Dims { tokens: Some(4), ..Dims::NONE };
        for policy in entry.policies() {
            let found = violations_in(entry, dims, policy, policy);
            assert!(found.is_empty(), "{} under {policy:?}:\n{}", entry.name, found.join("\n"));
        }
    }
}

#[test]
fn every_kernel_breaks_the_other_policies() {
    for entry in TYPICAL {
        for made in entry.policies() {
            for policy in entry.policies() {
                // What is exact is allowed where approximate functions are.
                let other = (policy.act, policy.acc) != (made.act, made.acc);
                let looser = made.math == Math::Approx && policy.math == Math::Exact;
                if other || looser {
                    let found = violations(entry, made, policy);
                    assert!(!found.is_empty(), "{} made for {made:?} passes as {policy:?}", entry.name);
                }
            }
        }
    }
}
