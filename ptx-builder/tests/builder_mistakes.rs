//! Mistakes in the program that writes a kernel: each is reported at the author's line, in the author's words.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, Location, catch_unwind, set_hook, take_hook};
use std::sync::Mutex;

use ptxgen_builder::build::*;
use ptxgen_builder::ir::Module;
use ptxgen_builder::table::{Mod, Op};
use ptxgen_builder::target::Target;
use ptxgen_builder::testing::Harness;
use ptxgen_builder::types::ScalarType;
use ptxgen_builder::verify::verify;

/// The hook is the process's, and tests are its threads.
static HOOK: Mutex<()> = Mutex::new(());

thread_local! {
    static PLACE: RefCell<Option<(String, u32)>> = const { RefCell::new(None) };
}

/// The message of the panic, which has to name this file and the line where `mistake` stands, or one of its next.
#[track_caller]
fn panic_of(mistake: impl FnOnce()) -> String {
    let here = Location::caller();
    let _one = HOOK.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let before = take_hook();
    set_hook(Box::new(|info| {
        let place = info.location().map(|l| (l.file().to_owned(), l.line()));
        PLACE.with_borrow_mut(|p| *p = place);
    }));
    let outcome = catch_unwind(AssertUnwindSafe(mistake));
    set_hook(before);
    let panic = outcome.expect_err("a mistake panics");
    let (file, line) = PLACE.with_borrow_mut(Option::take).expect("a panic has a place");
    let word = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    let message = word.or_else(|| panic.downcast_ref::<String>().cloned()).expect("a panic has words");
    assert_eq!(file, here.file(), "line {line}: {message}");
    assert!((here.line()..here.line() + 16).contains(&line), "line {line}: {message}");
    message
}

#[test]
fn a_value_ends_with_its_loop() {
    let message = panic_of(|| {
        kernel::<(In<f32>, Out<f32>)>("prefix", ["x", "y"], |k, (x, y)| {
            let sum = Cell::new(Val::from(0.0f32));
            k.for_(0, 4, 1, |k, i, _| sum.set(sum.get() + x.at(i).load(k)));
            y.store(k, sum.get());
        });
    });
    assert!(message.contains("k.var") && message.contains("in the loop at"), "{message}");
    assert_eq!(message.matches("builder_mistakes.rs:").count(), 2, "{message}");
}

#[test]
fn a_value_ends_with_its_branch() {
    let kept = Cell::new(None);
    let message = panic_of(|| {
        kernel::<(u32, Out<u32>)>("branch", ["n", "y"], |k, (n, y)| {
            let i = k.thread_x();
            k.if_else(i.lt(n), |_| kept.set(Some((i + 1).named("next"))), |k| y.store(k, kept.get().unwrap()));
        });
    });
    assert!(
        message.contains("`next`") && message.contains("k.var") && message.contains("in the branch at"),
        "{message}"
    );
}

#[test]
fn a_loops_index_is_a_value_of_its_body() {
    let message = panic_of(|| {
        kernel::<(u32, Out<u32>)>("escapes", ["n", "y"], |k, (n, y)| {
            let last = Cell::new(Val::from(99u32));
            k.for_(0, n, 1, |_, i, _| last.set(i));
            y.store(k, last.get());
        });
    });
    assert!(message.contains("k.var"), "{message}");
}

#[test]
fn predicates_pointers_and_ways_out_end_with_their_loop_too() {
    let message = panic_of(|| {
        kernel::<(u32,)>("predicate", ["n"], |k, (n,)| {
            let kept = Cell::new(None);
            k.while_(|_| n.gt(0), |_, _| kept.set(Some(n.eq(3))));
            k.return_if(kept.get().unwrap());
        });
    });
    assert!(message.starts_with("a predicate made at"), "{message}");
    let message = panic_of(|| {
        kernel::<(u32, Out<u32>)>("pointer", ["n", "y"], |k, (n, y)| {
            let kept = Cell::new(y);
            k.if_(n.gt(0), |_| kept.set(y.at(n)));
            kept.get().store(k, 1);
        });
    });
    assert!(message.starts_with("a pointer made at"), "{message}");
    let message = panic_of(|| {
        kernel::<(u32,)>("control", ["n"], |k, (n,)| {
            let kept = Cell::new(None);
            k.loop_(|k, c| {
                kept.set(Some(c));
                c.break_if(k, n.gt(0));
            });
            kept.get().unwrap().break_if(k, n.gt(1));
        });
    });
    assert!(message.starts_with("a LoopControl made at"), "{message}");
}

#[test]
fn handles_belong_to_one_kernel() {
    let kept = Cell::new(None);
    kernel::<(u32, Out<u32>)>("first", ["n", "y"], |_, (n, y)| kept.set(Some((n, y, n.eq(1)))));
    let (n, y, p) = kept.get().unwrap();
    #[allow(clippy::type_complexity)]
    let uses: [(&str, &dyn Fn(&Body)); 4] = [
        ("a value", &|k| _ = n + k.thread_x()),
        ("a pointer", &|k| y.store(k, 1)),
        ("a predicate", &|k| k.return_if(p)),
        ("a value", &|k| _ = k.mma_s8([n; 4], [n; 2], [Val::from(0); 4])),
    ];
    for (what, mistake) in uses {
        let inner = catch_unwind(AssertUnwindSafe(|| kernel::<(u32,)>("second", ["n"], |k, _| mistake(k))));
        let panic = inner.expect_err("another kernel's");
        let message = panic.downcast_ref::<String>().unwrap();
        assert!(message.starts_with(what) && message.contains("of one kernel was used in another"), "{message}");
        assert!(message.contains("builder_mistakes.rs"), "{message}");
    }
    let message = panic_of(|| _ = n + 1);
    assert!(message.contains("outside of the closure that writes the kernel"), "{message}");
}

/// Wrong calls, each of which has to name the line of the call.
#[test]
fn panics_name_the_callers_line() {
    let write = |wrong: fn(&Body, Global<u32>)| {
        kernel::<(Out<u32>,)>("wrong", ["y"], |k, (y,)| wrong(k, y));
    };
    let form = panic_of(|| {
        write(|k, y| {
            let v: Val<u32> = k.compute(Op::Popc, &[Mod::Ty(ScalarType::B16)], &[k.thread_x().operand()]);
            y.store(k, v);
        });
    });
    assert!(form.contains("the instruction table has no"), "{form}");
    panic_of(|| write(|k, _| k.emit(Op::Bra, &[Mod::Rn, Mod::Rn], &[])));
    panic_of(|| write(|k, _| _ = k.test(Op::Setp, &[Mod::Rn], &[])));
    panic_of(|| write(|_, y| _ = y.plus(1i64 << 40)));
    panic_of(|| write(|_, y| _ = y.plus_bytes(1i64 << 40)));
    panic_of(|| write(|k, _| _ = k.shared_aligned::<u32>(4, 3)));
    panic_of(|| {
        write(|k, _| {
            let _ = k.shared::<u32>(4).named("tile");
            let _ = k.shared::<u32>(4).named("tile");
        });
    });
}

/// Loops that can be seen not to end.
#[test]
fn a_loop_has_an_end() {
    let write = |wrong: fn(&Body, Val<u32>)| {
        kernel::<(u32,)>("endless", ["n"], |k, (n,)| wrong(k, n));
    };
    let fixed = panic_of(|| {
        write(|k, n| {
            let i = k.var(0u32);
            let more = i.lt(n);
            k.while_(|_| more, |_, _| i.add(1));
        });
    });
    assert!(fixed.contains("computed before the loop"), "{fixed}");
    let endless = panic_of(|| write(|k, _| k.loop_(|k, _| k.nanosleep(8))));
    assert!(endless.contains("nothing ends this loop_"), "{endless}");
    let still = panic_of(|| write(|k, n| k.for_(0, n, 0, |k, _, _| k.nanosleep(8))));
    assert!(still.contains("the step of this for_ is 0"), "{still}");
    // These end.
    write(|k, n| k.for_(0, n, n, |k, _, _| k.nanosleep(8)));
    write(|k, n| {
        let (i, more) = (k.var(0u32), n.gt(7));
        k.while_(|_| !more & i.lt(3), |_, _| i.add(1));
        k.while_(|_| more, |k, _| k.return_if(n.gt(9)));
        k.while_(|_| more, |k, out| k.loop_(|k, _| out.break_if(k, n.gt(9))));
        k.loop_(|k, _| k.if_(n.gt(8), |k| k.emit(Op::Exit, &[], &[])));
    });
}

/// Constants that rustc refuses of its own integers, as it does here.
#[test]
fn constants_that_say_nothing() {
    fn of<T: Integer>(wrong: fn(Val<T>) -> Val<T>) {
        let _ = kernel::<(InOut<T>,)>("constants", ["x"], |k, (x,)| x.store(k, wrong(x.load(k))));
    }
    let shifts = [
        (panic_of(|| of::<u32>(|n| n << 40)), "`<< 40` of 32 bits: nothing is left; shift by 0 to 31"),
        (panic_of(|| of::<u64>(|n| n << 64)), "`<< 64` of 64 bits"),
        (panic_of(|| of::<u16>(|n| n >> 16)), "`>> 16` of 16 bits: nothing is left"),
        (panic_of(|| of::<i32>(|n| n >> 32)), "`>> 32` of 32 bits: only copies of the sign are left"),
        (panic_of(|| of::<i32>(|n| n << Val::from(32u32))), "`<< 32` of 32 bits: nothing is left"),
        (panic_of(|| of::<u32>(|n| n / 0)), "divided by the constant 0"),
        (panic_of(|| of::<i64>(|n| n % 0)), "divided by the constant 0"),
        (panic_of(|| of::<u16>(|n| 7 / (n / Val::from(0u16)))), "divided by the constant 0"),
    ];
    for (message, expected) in shifts {
        assert!(message.contains(expected), "{message}");
    }
    // These mean something.
    of::<u64>(|n| (n << 63) >> 40);
    of::<i32>(|n| (n >> 31) / -1 % 2);
    of::<u32>(|n| (n << n) / (n - n));
    let _ = kernel::<(InOut<f32>,)>("infinity", ["x"], |k, (x,)| x.store(k, x.load(k) / 0.0));
}

#[test]
fn parameters_have_names_of_their_own() {
    let twice = panic_of(|| _ = kernel::<(In<f32>, Out<f32>)>("copy", ["x", "x"], |_, _| {}));
    assert!(twice.contains("two parameters named 'x'") && twice.contains("'copy'"), "{twice}");
    let none = panic_of(|| _ = kernel::<(u32, Out<f32>)>("copy", ["n", ""], |_, _| {}));
    assert!(none.contains("parameter 1 of kernel 'copy' has no name"), "{none}");
}

fn table(name: &str, values: [u32; 4]) -> Kernel<(Out<u32>,)> {
    let write = |k: &Body, y: Global<u32>| {
        let i = k.thread_x();
        y.at(i).store(k, k.constants(&values).at(i).load(k));
    };
    kernel::<(Out<u32>,)>(name, ["y"], |k, (y,)| write(k, y)).with_block(4)
}

fn tables_of(module: Module) -> [Vec<u32>; 2] {
    let module = verify(module).unwrap();
    ["one", "two"].map(|name| {
        let run = Harness::new(&module).kernel(name).output::<u32>("y", 4).run().unwrap();
        run.read("y").unwrap()
    })
}

#[test]
fn kernels_of_one_module_have_their_own_constants() {
    let (one, two) = (table("one", [5, 6, 7, 8]), table("two", [1, 2, 3, 4]));
    let right = [vec![5, 6, 7, 8], vec![1, 2, 3, 4]];
    assert_eq!(tables_of(Module::new(Target::SM_90).with(&one).with(&two)), right);
    // By the fields, too.
    let mut module = one.module(Target::SM_90);
    let other = two.module(Target::SM_90);
    module.kernels.extend(other.kernels);
    module.variables.extend(other.variables);
    assert_eq!(tables_of(module), right);
}

#[test]
fn kernels_of_one_module_have_their_own_tables_in_global_memory() {
    let table = |name: &str, values: [u32; 4]| {
        let write = |k: &Body, y: Global<u32>| {
            let i = k.thread_x();
            let (once, again) = (k.table(&values).at(i).load(k), k.table(&values).at(i).load(k));
            y.at(i).store(k, once * 10 + again);
        };
        kernel::<(Out<u32>,)>(name, ["y"], |k, (y,)| write(k, y)).with_block(4)
    };
    let (one, two) = (table("one", [5, 6, 7, 8]), table("two", [1, 2, 3, 4]));
    assert_eq!(one.module(Target::SM_90).variables.len(), 1, "a table is in the module once");
    let right = [vec![55, 66, 77, 88], vec![11, 22, 33, 44]];
    assert_eq!(tables_of(Module::new(Target::SM_90).with(&one).with(&two)), right);
}

#[test]
fn a_variable_is_set_in_both_arms_and_read_in_a_condition() {
    let k = kernel::<(u32, Out<u32>)>("vars", ["n", "y"], |k, (n, y)| {
        let i = k.thread_x();
        let v = k.var::<u32>(0u32);
        k.if_else(i.lt(n), |_| v.set(i + 1), |_| v.set(i - 1));
        let j = k.var::<u32>(i + 1);
        k.while_(|_| j.get().lt(n), |_, _| j.update(|j| j * 2));
        y.at(i).store(k, v.get() * 100 + j.get());
    });
    let run = Harness::new(&k.with_block(4)).scalar("n", 3u32).output::<u32>("y", 4).run().unwrap();
    assert_eq!(run.read::<u32>("y").unwrap(), [104, 204, 303, 204]);
}

fn horner<F: Float>(x: Val<F>, y: Val<F>) -> Val<F> {
    let product = (x * y + x - y * F::from(0.5f32)) / y;
    (-product).abs().max(x.min(y)).select(x.lt(y), product.fma(x, y))
}

#[test]
fn generic_code_has_operators() {
    let k = kernel::<(f32, f64, Out<f32>, Out<f64>)>("generic", ["a", "b", "x", "y"], |k, (a, b, x, y)| {
        x.store(k, horner(a, a + 1.0));
        y.store(k, horner(b, 1.0 + b));
    });
    let harness = Harness::new(&k.with_block(1)).scalar("a", 3f32).scalar("b", 3f64);
    let run = harness.output::<f32>("x", 1).output::<f64>("y", 1).run().unwrap();
    assert_eq!(run.read::<f32>("x").unwrap(), [3.25]);
    assert_eq!(run.read::<f64>("y").unwrap(), [3.25]);
}

/// Generic in its parameters too, with sums that Rust unrolls.
fn scaled<F: Float>(name: &str) -> Kernel<(F, In<F>, Out<F>)> {
    kernel::<(F, In<F>, Out<F>)>(name, ["a", "x", "y"], |k, (a, x, y)| {
        let mut sum = a * x.load(k);
        for i in 1..4u32 {
            sum += x.plus(i).load(k);
            sum *= F::from(2.0);
        }
        sum -= a;
        sum /= a;
        y.store(k, sum);
    })
    .with_block(1)
}

#[test]
fn generic_kernels_take_numbers() {
    let single = Harness::new(&scaled::<f32>("single")).scalar("a", 2f32).input("x", &[1f32, 2., 3., 4.]);
    assert_eq!(single.output::<f32>("y", 1).run().unwrap().read::<f32>("y").unwrap(), [25.0]);
    let double = Harness::new(&scaled::<f64>("double")).scalar("a", 2f64).input("x", &[1f64, 2., 3., 4.]);
    assert_eq!(double.output::<f64>("y", 1).run().unwrap().read::<f64>("y").unwrap(), [25.0]);
}

#[test]
fn bank_conflicts_are_asserted_with_their_line() {
    let transposed = |row: u32| {
        kernel::<(Out<f32>,)>("columns", ["y"], move |k, (y,)| {
            let tile = k.shared::<f32>(32 * row).named("tile");
            let i = k.thread_x();
            tile.at(i * row).store(k, 1.0);
            y.at(i).store(k, tile.at(i * row).load(k));
        })
        .with_block(32)
    };
    let run = |row| Harness::new(&transposed(row)).output::<f32>("y", 32).run().unwrap();
    run(33).assert_no_bank_conflicts();
    let run = run(32);
    let message = panic_of(|| _ = run.assert_no_bank_conflicts());
    assert!(message.contains("32-way") && message.contains("builder_mistakes.rs"), "{message}");
}
