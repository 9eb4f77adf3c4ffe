//! Every kernel of the catalogue keeps the policy that it was made for, and
//! breaks the others, as proved on its code.

use ptxgen_builder::analysis::precision::{self, Accumulator, ActivationFormat, Requirements, check};
use ptxgen_builder::target::Target;
use ptxgen_dsl::catalogue::{Built, CATALOGUE, Entry, Request, Role};
use ptxgen_dsl::precision::{Acc, Act, Math, Policy};

/// What a policy demands of a kernel's code.
fn requirements(entry: &Entry, built: &Built, policy: Policy) -> Requirements {
    let role = |r: &Role| match r {
        Role::Weights(_) => precision::Role::Weights,
        Role::Activations(_) => precision::Role::Activations,
        Role::Output => precision::Role::Output,
        _ => precision::Role::Other,
    };
    let acc = match policy.acc {
        Acc::F32 => Accumulator::F32,
        Acc::F64 => Accumulator::F64,
    };
    let act = match policy.act {
        Act::F32 => ActivationFormat::F32,
        Act::Q8K => ActivationFormat::Q8K,
    };
    Requirements {
        accumulator: (!entry.accs.is_empty()).then_some(acc),
        activations: (!entry.acts.is_empty()).then_some(act),
        allow_approximate: policy.math == Math::Approx,
        // A matrix product is a stage; so is what follows it in the same kernel.
        stages: if entry.name.contains("gate-up") || entry.name.contains("down") { 2 } else { 1 },
        roles: built.params.iter().map(|p| role(&p.role)).collect(),
    }
}

/// The violations of `policy` by the kernel made for `made`, as text.
fn violations(entry: &Entry, made: Policy, policy: Policy) -> Vec<String> {
    let built = entry.build(&Request::new(made, Target::SM_90)).unwrap_or_else(|e| panic!("{e}"));
    let module = built.kernel().verify(Target::SM_90).unwrap_or_else(|e| panic!("{e}"));
    let wanted = requirements(entry, &built, policy);
    let checked = check(module.module(), &module.module().kernels[0], module.info(0), &wanted);
    checked.err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[test]
fn every_kernel_keeps_its_policy() {
    for entry in CATALOGUE {
        for policy in entry.policies() {
            let found = violations(entry, policy, policy);
            assert!(found.is_empty(), "{} under {policy:?}:\n{}", entry.name, found.join("\n"));
        }
    }
}

#[test]
fn every_kernel_breaks_the_other_policies() {
    for entry in CATALOGUE {
        for made in entry.policies() {
            for policy in entry.policies() {
                // What is exact is allowed where approximate functions are.
                let other = (policy.act, policy.acc) != (made.act, made.acc);
                let looser = made.math == Math::Approx && policy.math == Math::Exact;
                // Without sums, an approximate kernel is in f32 under every accumulator.
                let same = entry.name == "swiglu" && policy.math == Math::Approx;
                if (other || looser) && !same {
                    let found = violations(entry, made, policy);
                    assert!(!found.is_empty(), "{} made for {made:?} passes as {policy:?}", entry.name);
                }
            }
        }
    }
}
