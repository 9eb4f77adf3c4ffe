//! PTX text in the middle of a kernel.

use std::panic::catch_unwind;

use ptxgen_builder::build::*;
use ptxgen_builder::print::{PrintOptions, print};
use ptxgen_builder::target::{PtxVersion, Target};
use ptxgen_builder::testing::Harness;

type Words = (In<u32>, Out<u32>);

/// A kernel of 64 threads that stores what `f` makes of each word.
fn words(f: impl Fn(&Body, Val<u32>) -> Val<u32>) -> Kernel<Words> {
    kernel::<Words>("k", ["x", "y"], |k, (x, y)| {
        let i = k.thread_x();
        let value = f(k, x.at(i).load(k));
        y.at(i).store(k, value);
    })
    .with_block(64)
}

fn run(k: &Kernel<Words>) -> Vec<u32> {
    let x: Vec<u32> = (0..64u32).map(|i| i.wrapping_mul(0x9e37_79b9)).collect();
    let ran = Harness::new(k).block(64).input("x", &x).output::<u32>("y", 64).run().expect("a clean run");
    ran.read("y").expect("the results")
}

fn word(i: usize) -> u32 {
    (i as u32).wrapping_mul(0x9e37_79b9)
}

#[test]
fn results_operands_and_constants() {
    let k = words(|k, x| k.asm("lop3.b32 %0, %1, %2, %3, 0x96;", (x, 0xffu32, x)));
    assert_eq!(run(&k), (0..64).map(|i| word(i) ^ 0xff ^ word(i)).collect::<Vec<_>>());
    let k = words(|k, x| {
        let (low, high) = k.asm::<(Val<u32>, Val<u32>)>("mul.lo.u32 %0, %2, %3; mul.hi.u32 %1, %2, %3;", (x, 77u32));
        low ^ high
    });
    let wide = |i| u64::from(word(i)) * 77;
    assert_eq!(run(&k), (0..64).map(|i| wide(i) as u32 ^ (wide(i) >> 32) as u32).collect::<Vec<_>>());
}

#[test]
fn predicates_registers_of_its_own_and_loops() {
    let k = words(|k, x| {
        let odd = (x & 1).eq(1);
        k.asm(
            "{ .reg .b32 n; .reg .pred more;
               mov.u32 %0, 0; mov.u32 n, 5;
               @%2 bra done;
               again: add.u32 %0, %0, %1; sub.u32 n, n, 1; setp.ne.u32 more, n, 0; @more bra again;
               done: }",
            (x, !odd),
        )
    });
    let wanted = |i| if word(i) & 1 == 1 { word(i).wrapping_mul(5) } else { 0 };
    assert_eq!(run(&k), (0..64).map(wanted).collect::<Vec<_>>());
    // Twice in one kernel, and in a loop: labels and registers are each text's own.
    let step = "{ .reg .pred big; setp.gt.u32 big, %1, 1000; @big bra over; add.u32 %0, %1, 7; bra end; over: shr.u32 %0, %1, 1; end: }";
    let k = words(|k, x| {
        let sum = k.var(x);
        k.for_(0, 3, 1, |k, _, _| sum.set(k.asm::<Val<u32>>(step, (sum.get(),))));
        k.asm(step, (sum.get(),))
    });
    let one = |v: u32| if v > 1000 { v >> 1 } else { v.wrapping_add(7) };
    assert_eq!(run(&k), (0..64).map(|i| one(one(one(one(word(i)))))).collect::<Vec<_>>());
}

#[test]
fn memory_and_special_registers() {
    let k = kernel::<Words>("k", ["x", "y"], |k, (x, y)| {
        let lane: Val<u32> = k.asm("mov.u32 %0, %laneid;", ());
        let loaded: Val<u32> = k.asm("ld.global.nc.u32 %0, [%1+4];", (x.at(lane).address(),));
        k.asm::<()>("st.global.u32 [%0], %1;", (y.at(lane).address(), loaded));
    })
    .with_block(32);
    let x: Vec<u32> = (0..33u32).map(|i| i * i).collect();
    let ran = Harness::new(&k).block(32).input("x", &x).output::<u32>("y", 32).run().expect("a clean run");
    assert_eq!(ran.read::<u32>("y").expect("the results"), (1..33u32).map(|i| i * i).collect::<Vec<_>>());
}

/// What goes wrong in a text is reported at the line of its call.
#[test]
fn faults_have_the_callers_line() {
    let line = line!() + 2;
    let k = kernel::<Words>("k", ["x", "y"], |k, (x, y)| {
        let loaded: Val<u32> = k.asm("ld.global.u32 %0, [%1+4000];", (x.at(k.thread_x()).address(),));
        y.at(k.thread_x()).store(k, loaded);
    })
    .with_block(32);
    let run = Harness::new(&k).block(32).input("x", &[0u32; 32]).output::<u32>("y", 32).allow_findings().run();
    let told = match &run {
        Ok(outcome) => outcome.report().to_string(),
        Err(error) => error.to_string(),
    };
    assert!(told.contains("OutOfBounds") && told.contains(&format!("asm.rs:{line}:")), "{told}");
    let k = words(|k, x| k.asm("add.u32 %0, %1, 1;", (x,)));
    let text = print(&k.verify(Target::SM_90).expect("it is sound"), &PrintOptions::default());
    assert!(text.contains("add.u32") && !text.contains("asm"), "{text}");
}

#[track_caller]
fn refused(write: impl Fn(&Body, Val<u32>) -> Val<u32> + std::panic::UnwindSafe, words_of: &[&str]) {
    let caught = catch_unwind(move || words(write)).map(drop).expect_err("it panics");
    let message = caught.downcast_ref::<String>().map(String::as_str).or(caught.downcast_ref::<&str>().copied());
    let message = message.expect("a message");
    for word in words_of {
        assert!(message.contains(word), "no `{word}` in: {message}");
    }
}

#[test]
fn what_cannot_be_written_says_why() {
    refused(|k, x| k.asm("add.u32 %0, %1, %2;", (x,)), &["%2 is not an operand", "the last is %1"]);
    refused(|k, x| k.asm("mov.u32 %0, 3;", (x,)), &["the text has no %1"]);
    refused(|k, x| k.asm("ad.u32 %0, %1, 1;", (x,)), &["line 1, column 1 of the text", "unknown instruction 'ad.u32'"]);
    refused(|k, x| k.asm("mov.u32 %0, %1;\n  ad.f32 %0, %1, %1;", (x,)), &["line 2, column 3", "`ad.f32 %0, %1, %1;`"]);
    refused(|k, x| k.asm("mov.u32 %0, %1; add.u32 %1, %1, 1;", (x,)), &["writes %1, an operand"]);
    refused(|k, x| k.asm("st.global.u32 [%1], %0;", (x.to::<u64>(),)), &["does not write %0"]);
    refused(|k, x| k.asm(".shared .b32 s[4]; mov.u32 %0, %1;", (x,)), &["declares an array", "k.shared"]);
    refused(|k, x| k.asm("mov.u32 %0, %1", (x,)), &["line 1 of the text: expected", "found its end"]);
    refused(|k, x| k.asm("} mov.u32 %0, %1; {", (x,)), &["of the text"]);
}

/// Types are the verifier's, as of every instruction.
#[test]
fn types_are_verified_at_the_callers_line() {
    let line = line!() + 1;
    let k = words(|k, x| k.asm::<Val<f32>>("add.u32 %0, %1, 1;", (x,)).bitcast());
    let told = k.verify(Target::SM_90).expect_err("an f32 is no result of add.u32").to_string();
    assert!(told.contains("operand-type") && told.contains(&format!("asm.rs:{line}:")), "{told}");
}

/// Text that the table does not know is printed as it is, with registers and constants in their places, and keeps its
/// place and version; nothing is proved of it and nobody runs it.
#[test]
fn text_that_the_table_does_not_know() {
    let unknown = || Opaque::new("{ .reg .b32 t; newop.f32 t, %1, %2; othr.b32 %0, t, {%3, %1}; }");
    let with = |text: Opaque<'static>| {
        words(move |k, x| {
            // A result that nothing uses: the text stays, for what it may do.
            let _ = k.asm_opaque::<Val<u32>>(text, (x, 1.5f32, 7u32));
            k.asm_opaque::<Val<u32>>(text, (x, 1.5f32, 7u32))
        })
    };
    let k = with(unknown().since(PtxVersion(86), 90));
    let text = print(&k.verify(Target::SM_90).expect("it verifies"), &PrintOptions::default());
    assert!(text.starts_with(".version 8.6\n"), "{text}");
    let written = "newop.f32 t, %r";
    assert_eq!(text.matches(written).count(), 2, "{text}");
    assert!(text.contains(", 0f3FC00000; othr.b32 %r") && text.contains(", {0x7, %r"), "{text}");
    // Refused: by an older target, where launches are to be checked, and by the interpreter, which names it.
    let errors = k.verify(Target::SM_80).expect_err("it is for sm_90").to_string();
    assert!(errors.contains("newop.f32 t") && errors.contains("sm_90"), "{errors}");
    let x = [0u32; 64];
    let run = |k: &Kernel<Words>| Harness::new(k).block(64).input("x", &x).output::<u32>("y", 64).run().map(|_| ());
    let refused = format!("{:?}", run(&with(unknown())).expect_err("nobody runs it"));
    assert!(refused.contains("newop.f32 t") && refused.contains("does not know"), "{refused}");
    let module = with(unknown().accesses_memory()).verify(Target::SM_90).expect("it verifies");
    let refused = ptxgen_builder::guard::guard(&module, |_, _| true).expect_err("its accesses are unknown").to_string();
    assert!(refused.contains("newop.f32"), "{refused}");
    // What the whole warp must come to may not stand where a part of it comes.
    let divergent = kernel::<Words>("k", ["x", "y"], |k, (x, y)| {
        let i = k.thread_x();
        k.if_(i.lt(7), |k| {
            let value = k.asm_opaque::<Val<u32>>(Opaque::new("warpop.aligned.u32 %0, %1;").needs_whole_warp(), (i,));
            y.at(i).store(k, x.at(i).load(k) + value);
        });
    })
    .with_block(64);
    let errors = divergent.verify(Target::SM_90).expect_err("lanes 7 and on do not come").to_string();
    assert!(errors.contains("warpop.aligned"), "{errors}");
}

#[test]
fn opaque_text_with_places_that_do_not_fit() {
    for (text, wanted) in [
        ("newop.u32 %0, %3;", "%3 is not an operand"),
        ("newop.u32 %0;", "it has no %1"),
        ("{ newop.u32 %0, %1;", "braces"),
        ("newop.u32 %0, %1; } {", "braces"),
    ] {
        let made = catch_unwind(|| words(|k, x| k.asm_opaque::<Val<u32>>(Opaque::new(text), (x,))));
        let Err(panic) = made else { panic!("{text} was written") };
        let message = panic.downcast_ref::<String>().cloned().unwrap_or_default();
        let message =
            if message.is_empty() { panic.downcast_ref::<&str>().unwrap_or(&"").to_string() } else { message };
        assert!(message.contains(wanted), "{text}: {message}");
    }
}
