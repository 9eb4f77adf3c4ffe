//! What the verifier says of indices that certainly wrap or lead out of an array, against the interpreter.

use proptest::prelude::*;
use ptxgen_builder::build::*;
use ptxgen_builder::interp::FindingKind;
use ptxgen_builder::target::Target;
use ptxgen_builder::testing::Harness;
use ptxgen_builder::verify::{Rule, verify};

/// The messages about a kernel that reads `x` and `tile` as `read` does.
fn told(read: impl Fn(&Body, Val<u32>, ReadOnly<f32>, Shared<f32>) -> Val<f32>, block: u32) -> Vec<(Rule, String)> {
    let k = kernel::<(u32, In<f32>, Out<f32>)>("k", ["n", "x", "y"], |k, (_, x, y)| {
        let tile = k.shared::<f32>(64).named("tile");
        let i = k.thread_x();
        y.at(i).store(k, read(k, i, x, tile));
    });
    let k = if block == 0 { k } else { k.with_block(block) };
    match k.verify(Target::SM_90) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(|e| (e.rule, e.to_string())).collect(),
    }
}

#[track_caller]
fn says(found: &[(Rule, String)], rule: Rule, words: &[&str]) {
    let [(told, text)] = found else { panic!("not one: {found:?}") };
    assert_eq!(*told, rule, "{text}");
    for word in words.iter().chain(&["indices.rs:"]) {
        assert!(text.contains(word), "no `{word}` in {text}");
    }
}

#[test]
fn products_that_wrap() {
    let found = told(|k, i, x, _| x.at(i * 0x4000_0000).load(k), 64);
    says(&found, Rule::IndexWraps, &["in thread (4, 0, 0)", "index of x is 4294967296", "which is 0", "at64"]);
    let found = told(|k, i, x, _| x.at(Val::from(0x1_0000u32) * 0x1_0000 + i).load(k), 64);
    says(&found, Rule::IndexWraps, &["in thread (0, 0, 0)", "4294967296"]);
    let found = told(|k, i, x, _| x.at((i << 27) + i).load(k), 64);
    says(&found, Rule::IndexWraps, &["in thread (32, 0, 0)", "4294967328"]);
    let found = told(|k, i, x, _| x.at(i.mad(0x0800_0000, 3)).load(k), 33);
    says(&found, Rule::IndexWraps, &["in thread (32, 0, 0)", "4294967299"]);
    // The same in 64 bits, masked on purpose, or wrapped back.
    assert!(told(|k, i, x, _| x.at64(i.mul_wide(0x4000_0000)).load(k), 64).is_empty());
    assert!(told(|k, i, x, _| x.at((i * 0x9e37_79b1) >> 20).load(k), 64).is_empty());
    assert!(told(|k, i, x, _| x.at((i * 0x4000_0000) & 15).load(k), 64).is_empty());
    assert!(told(|k, i, x, _| x.at((i - 1) + 1).load(k), 64).is_empty());
    assert!(told(|k, i, x, _| x.at(i * 0x0400_0000).load(k), 64).is_empty());
}

#[test]
fn indices_below_zero() {
    let found = told(|k, i, x, _| x.at(i - 1).load(k), 64);
    says(&found, Rule::IndexWraps, &["in thread (0, 0, 0)", "index of x is -1, which is 4294967295", "load_or"]);
    let found = told(
        |k, i, x, _| {
            let signed: Val<i32> = i.bitcast::<i32>() - 40;
            x.at(signed.to::<u32>()).load(k)
        },
        64,
    );
    says(&found, Rule::IndexWraps, &["index of x is -40"]);
    // A block of an unknown shape has a thread 0, and block 0 is in every grid.
    let found = told(|k, i, x, _| x.at(i - 1).load(k), 0);
    says(&found, Rule::IndexWraps, &["in thread (0, 0, 0)"]);
    let found = told(|k, _, x, _| x.at(k.global_thread_id() - 1).load(k), 0);
    says(&found, Rule::IndexWraps, &["in thread (0, 0, 0) of block 0", "is -1"]);
    let found = told(|k, _, x, _| x.at(k.block_x() * k.grid_dim_x() - 2).load(k), 0);
    says(&found, Rule::IndexWraps, &["of block 0", "is -2"]);
    // In the first round of a loop.
    let found = told(
        |k, i, x, _| {
            let sum = k.var(0.0f32);
            k.for_(0, 8, 1, |k, r, _| sum.add(x.at(i + r - 1).load(k)));
            sum.get()
        },
        64,
    );
    says(&found, Rule::IndexWraps, &["is -1"]);
    // In rounds of a loop that are kept away from it, or come to it with another number.
    let rounds = |write: fn(&Body, &Var<f32>, Val<u32>, ReadOnly<f32>)| {
        told(
            |k, _, x, _| {
                let sum = k.var(0.0f32);
                k.for_(0, 8, 1, |k, r, _| write(k, &sum, r, x));
                sum.get()
            },
            64,
        )
    };
    assert!(rounds(|k, sum, r, x| k.if_(r.gt(0), |k| sum.add(x.at(r - 1).load(k)))).is_empty());
    assert!(rounds(|k, sum, r, x| sum.add(x.at(r.max(1) - 1).load(k))).is_empty());
    assert!(rounds(|k, sum, r, x| k.for_(1, r, 1, |k, s, _| sum.add(x.at(r - s).load(k)))).is_empty());
    let early = |k: &Body, sum: &Var<f32>, r: Val<u32>, x: ReadOnly<f32>| {
        let at = k.var(0u32);
        k.loop_(|k, c| {
            k.if_(r.eq(3), |_| at.add(1));
            sum.add(x.at(at.get() + r - 1).load(k));
            at.add(1);
            c.break_if(k, at.gt(8));
        });
    };
    assert!(rounds(early).is_empty());
    let skipped =
        |k: &Body, sum: &Var<f32>, r: Val<u32>, x: ReadOnly<f32>| sum.add(x.at(r - 1).load_or(k, r.gt(0), 0.0));
    assert!(rounds(skipped).is_empty());
    // Threads that are kept away.
    assert!(told(|k, i, x, _| x.at(i - 1).load_or(k, i.gt(0), 0.0), 64).is_empty());
    assert!(told(|k, i, x, _| x.at(i.max(1) - 1).load(k), 64).is_empty());
    let kept = |k: &Body, i: Val<u32>, holds: Pred, x: ReadOnly<f32>| {
        let v = k.var(0.0f32);
        k.if_(holds, |k| v.set(x.at(i - 1).load(k)));
        v.get()
    };
    assert!(told(|k, i, x, _| kept(k, i, i.gt(0), x), 64).is_empty());
    assert!(told(|k, i, x, _| kept(k, i, i.gt(k.block_dim_y()), x), 0).is_empty());
    assert!(told(|k, _, x, _| kept(k, k.block_x(), k.block_x().gt(0), x), 0).is_empty());
    let found = told(|k, i, x, _| kept(k, i, i.lt(5), x), 64);
    says(&found, Rule::IndexWraps, &["in thread (0, 0, 0)"]);
}

#[test]
fn threads_outside_of_an_array() {
    let found = told(|k, i, _, tile| tile.at(i + 1).load(k), 64);
    says(&found, Rule::OutOfBounds, &["in thread (63, 0, 0)", "tile[64] of 64", "ld.shared.f32"]);
    let found = told(|k, i, _, tile| tile.at(i - 1).load(k), 64);
    says(&found, Rule::OutOfBounds, &["in thread (0, 0, 0)", "tile[-1] of 64"]);
    let found = told(|k, i, _, tile| tile.at(i).plus(1).load(k), 64);
    says(&found, Rule::OutOfBounds, &["in thread (63, 0, 0)", "tile[64] of 64"]);
    let found = told(|k, i, _, tile| tile.byte_at(i * 4 + 2).cast::<u16>().plus(1).load(k).to::<u32>().bitcast(), 64);
    says(&found, Rule::OutOfBounds, &["in thread (63, 0, 0)", "tile[64] of 64"]);
    let found = told(|k, i, _, _| k.constants(&[1f32; 3]).at(i & 3).load(k), 64);
    says(&found, Rule::OutOfBounds, &["in thread (3, 0, 0)", "k_const0[3] of 3"]);
    let found = told(|k, i, _, _| k.local::<f32>(4).at(i).load(k), 64);
    says(&found, Rule::OutOfBounds, &["in thread (4, 0, 0)", "[4] of 4"]);
    assert!(told(|k, i, _, tile| tile.at(i).load(k), 64).is_empty());
    assert!(told(|k, i, _, tile| tile.at(63 - i).load(k), 64).is_empty());
    assert!(told(|k, i, _, tile| tile.at(i - 1).plus(1).load(k), 64).is_empty());
    assert!(told(|k, i, _, tile| tile.at(i + 1).load_or(k, i.lt(63), 0.0), 64).is_empty());
    // Nothing promises that a block has this many threads.
    assert!(told(|k, i, _, tile| tile.at(i + 60).load(k), 0).is_empty());
}

/// A term over the thread's number.
#[derive(Clone, Debug)]
enum Term {
    Thread,
    Lane,
    Constant(u32),
    Plus(Box<Term>, Box<Term>),
    Minus(Box<Term>, Box<Term>),
    Times(Box<Term>, u32),
    Shifted(Box<Term>, u32),
    Masked(Box<Term>, u32),
    Signed(Box<Term>),
}

impl Term {
    fn write(&self, k: &Body) -> Val<u32> {
        match self {
            Term::Thread => k.thread_x(),
            Term::Lane => k.lane(),
            Term::Constant(c) => Val::from(*c).copied(),
            Term::Plus(a, b) => a.write(k) + b.write(k),
            Term::Minus(a, b) => a.write(k) - b.write(k),
            Term::Times(a, c) => a.write(k) * *c,
            Term::Shifted(a, c) => a.write(k) << *c,
            Term::Masked(a, c) => a.write(k) & *c,
            Term::Signed(a) => (a.write(k).bitcast::<i32>() - 3).to::<u32>(),
        }
    }
}

fn terms() -> impl Strategy<Value = Term> {
    let constant = prop_oneof![0u32..70, Just(1 << 16), Just(1 << 26), Just(1 << 30), Just(u32::MAX)];
    let leaf =
        prop_oneof![2 => Just(Term::Thread), 1 => Just(Term::Lane), 1 => constant.clone().prop_map(Term::Constant)];
    // Of a number that wrapped before it was taken for a signed one, the two keep different things: the verifier all of
    // it, the interpreter what the register holds.
    let signed = leaf.clone().prop_map(|t| Term::Signed(Box::new(t)));
    prop_oneof![3 => leaf, 1 => signed].prop_recursive(4, 12, 2, move |inner| {
        let inner = inner.prop_map(Box::new);
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Term::Plus(a, b)),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Term::Minus(a, b)),
            (inner.clone(), constant.clone()).prop_map(|(a, c)| Term::Times(a, c)),
            (inner.clone(), 0u32..30).prop_map(|(a, c)| Term::Shifted(a, c)),
            (inner, 0u32..128).prop_map(|(a, c)| Term::Masked(a, c)),
        ]
    })
}

fn reading(term: &Term, shared: bool, block: u32, below: u32) -> Kernel<(In<f32>, InOut<f32>)> {
    kernel::<(In<f32>, InOut<f32>)>("reads", ["x", "y"], |k, (x, y)| {
        let tile = k.shared::<f32>(64).named("tile");
        let after = k.shared::<f32>(64).named("after");
        let i = k.thread_x();
        k.if_(i.lt(64), |k| {
            tile.at(i).store(k, 1.0);
            after.at(i).store(k, 2.0);
        });
        k.barrier();
        k.if_(i.lt(below), |k| {
            let index = term.write(k);
            let value = if shared { tile.at(index).load(k) } else { x.at(index).load(k) };
            y.at(i).store(k, value);
        });
    })
    .with_block(block)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    /// What the verifier is certain of, a run finds; and where a run finds something in the first or last warp,
    /// it was certain.
    #[test]
    fn the_verifier_and_the_interpreter_agree(
        term in terms(), shared: bool, block in prop_oneof![Just(64u32), Just(33), Just(20)], below in 1u32..70,
    ) {
        let k = reading(&term, shared, block, below);
        let certain = match k.verify(Target::SM_90) {
            Ok(_) => false,
            Err(errors) => {
                let about = |e: &&ptxgen_builder::verify::VerifyError| matches!(e.rule, Rule::IndexWraps | Rule::OutOfBounds);
                prop_assert!(errors.iter().all(|e| about(&e)), "{errors}");
                true
            }
        };
        let module = verify(k.module(Target::SM_90));
        prop_assume!(module.is_ok());
        let harness = Harness::new(&module.unwrap()).input("x", &[1f32; 64]).inout("y", &[0f32; 64]).allow_findings();
        let run = harness.run().unwrap();
        let kinds = [FindingKind::OutOfBounds, FindingKind::IndexWrapped];
        let found = run.report().findings.iter().filter(|f| kinds.contains(&f.kind)).count() > 0;
        if shared {
            prop_assert_eq!(certain, found, "{:?}", run.report());
        } else if certain {
            // Past the end of a buffer is not the verifier's to know.
            prop_assert!(found);
        }
    }
}
