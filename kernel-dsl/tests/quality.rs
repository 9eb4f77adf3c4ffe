//! What the matrix kernels cost at K = 2048, against what leaves the memory as the limit:
//! `docs/costs.md`. `BLESS=1` regenerates it.

use std::fmt::Write as _;

use ptxgen_builder::target::Target;
use ptxgen_builder::testing::assert_golden;
use ptxgen_dsl::catalogue::{Built, Contents, Dims, Family, Profile, Request, TYPICAL};
use ptxgen_dsl::format::TensorType;
use ptxgen_dsl::precision::{Acc, Act};

fn profile(built: &Built) -> Profile {
    let module = built.finish().unwrap_or_else(|e| panic!("{e}"));
    built.profile(&module).unwrap_or_else(|e| panic!("{}: {e}", built.title()))
}

/// Executed lane-instructions a weight, at most: the aim, and where it is not reached the best so far.
fn instructions(built: &Built) -> (f64, f64) {
    let q4k = built.params[0].contents == Contents::Weights(TensorType::Q4_K);
    let aim = match (built.policy.act, q4k) {
        (Act::Q8K, true) => 3.0,
        (Act::Q8K, false) => 4.5,
        (Act::F32, true) => 5.0,
        (Act::F32, false) => 7.0,
    };
    // A warp of these stages a vector for its own few rows.
    let stages_alone = built.entry.name.starts_with("moe-down");
    let best = match (built.policy.act, built.policy.acc, q4k) {
        (Act::F32, Acc::F64, true) if stages_alone => 6.6,
        (Act::F32, Acc::F64, true) => 6.3,
        (Act::F32, Acc::F64, false) if stages_alone => 7.3,
        _ => aim,
    };
    (aim, best)
}

/// Share of the bytes of global sectors that is used, at least.
const SECTORS: f64 = 0.95;

const HEAD: &str = "\
# Cost of the matrix kernels

Executed lane-instructions per weight, and the used share of the bytes in loaded global sectors, from trials
in the interpreter at K = 2048 with 64 rows (and 2 of 4 experts), as shown by `ptxgen
stats KERNEL --cols 2048`.

An H200 issues about 33 T lane-instructions per second and reads 4.3 TB/s, so a kernel that reads Q4_K
is memory-bound below 4.4 instructions per weight, and one that reads Q6_K below 6.4. The targets are
3 with q8k and 5 with f32 activations for Q4_K, 4.5 and 7 for Q6_K, and 95% of the sectors.

Kernels with f64 sums of f32 activations (marked *) exceed the target. A weight becomes an f64 by
placing its bits in a pair of 32-bit registers. This costs a `mov` per weight, which f32 does not
need because a 32-bit register is already a float. That `mov` is executed: for the 256 weights of a lane,
ptxas 13.5 (sm_90) generates 526 moves (`MOV` and `IMAD`) in addition to 520 `DFMA` and 264 `PRMT`; under f32
there are 253, with 520 `FFMA` and as many `PRMT`. The alternative, a conversion per weight, costs the
same and runs at a fraction of the rate. In `moe-down` each warp stages its own vector, for
the few rows of a tile. With f32 activations, warps take single rows of large matrices, which costs
more instructions per weight and is faster on an H200. Kernels that add, or that process several vectors,
cost the same as the plain ones.

Written by `BLESS=1 cargo test -p ptxgen-dsl --test quality`.

| Kernel | sm_75 | sm_90 | target | sectors used |
|---|---|---|---|---|
";

#[test]
fn the_matrix_kernels_cost_what_they_should() {
    let mut table = HEAD.to_owned();
    for entry in TYPICAL.iter().filter(|e| e.family == Family::Matrix) {
        for policy in entry.policies() {
            let [old, new] = [Target::SM_75, Target::SM_90].map(|target| {
                let trial = Request::for_trial(entry, policy, target);
                let dims = Dims { cols: Some(2048), ..Dims::NONE }.or(trial.dims);
                let request = Request { dims, ..trial };
                let built = entry.build(&request).unwrap_or_else(|e| panic!("{e}"));
                let profile = profile(&built);
                let (title, used) = (built.title(), profile.sectors_used());
                let found = profile.instructions_per_weight();
                assert!(found <= instructions(&built).1, "{title} {target}: {found:.2} lane-instructions a weight");
                assert!(used >= SECTORS, "{title} {target}: {:.1}% of the sectors used", 100.0 * used);
                (built, found, used)
            });
            let aim = instructions(&old.0).0;
            let mark = if old.1.max(new.1) > aim { "*" } else { "" };
            let used = 100.0 * old.2.min(new.2);
            let title = old.0.title();
            let _ = writeln!(table, "| {title} | {:.2} | {:.2} | {aim}{mark} | {used:.1}% |", old.1, new.1);
        }
    }
    assert_golden!("../docs/costs.md", table);
}

/// Sectors are used as well in the kernels' own shapes, such as the down projections' short rows.
#[test]
fn sectors_are_used_in_every_shape() {
    for entry in TYPICAL.iter().filter(|e| e.family == Family::Matrix && e.dims.cols != Some(2048)) {
        for policy in entry.policies() {
            let built = entry.build(&Request::for_trial(entry, policy, Target::SM_90)).unwrap();
            let used = profile(&built).sectors_used();
            assert!(used >= SECTORS, "{}: {:.1}% of the sectors used", built.title(), 100.0 * used);
        }
    }
}
