//! Whatever is written by a method of the builder, and whatever is said of it, has the line of the call.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};

use half::{bf16, f16};
use ptxgen_builder::build::*;
use ptxgen_builder::ir::Loc;
use ptxgen_builder::table::{Mod, Op};
use ptxgen_builder::target::{PtxVersion, Target};
use ptxgen_builder::types::ScalarType;

/// A handle of each kind.
struct Handles {
    u: Val<u32>,
    i: Val<i32>,
    w: Val<u64>,
    f: Val<f32>,
    d: Val<f64>,
    h: Val<f16>,
    b: Val<bf16>,
    hh: Val<F16x2>,
    p: Pred,
    x: ReadOnly<u32>,
    y: Global<u32>,
    s: Shared<u32>,
    l: Local<u32>,
    c: Const<u32>,
    v: Var<u32>,
    vf: Var<f32>,
    vi: Var<i32>,
    m: Mbarrier,
}

type Parameters = (u32, i32, u64, f32, f64, In<u32>, InOut<u32>);
const NAMES: [&str; 7] = ["u", "i", "w", "f", "d", "x", "y"];

fn handles(k: &Body, (u, i, w, f, d, x, y): <Parameters as Args>::Handles) -> Handles {
    let halves = f.to_f16x2(f);
    Handles {
        p: u.lt(3),
        h: halves.split().0,
        b: f.to_bf16x2(f).split().0,
        hh: halves,
        s: k.shared(64),
        l: k.local(4),
        c: k.constants(&[1, 2, 3]),
        v: k.var(u),
        vf: k.var(f),
        vi: k.var(i),
        m: k.mbarrier(),
        u,
        i,
        w,
        f,
        d,
        x,
        y,
    }
}

type Call = (&'static str, fn(&Body, &Handles));

macro_rules! calls {
    ($k:ident, $h:ident: $($call:expr;)*) => {
        vec![$((stringify!($call), |$k: &Body, $h: &Handles| {
            let (_, _) = ($k, $h);
            _ = $call;
        })),*]
    };
}

#[rustfmt::skip] // one call a line
fn calls() -> Vec<Call> {
    calls! { k, h:
        // Operators.
        h.u + h.u; h.u + 1; 1 + h.u; h.f - 2.0; h.d * 2.0; 2.0 / h.d; h.u % h.u; h.u & 1; h.u | 1; h.u ^ 1; !h.u; -h.i; -h.f;
        h.u << 1; h.u >> h.u; h.p & !h.p; h.p | !h.p; h.p ^ !h.p;
        { let mut a = h.u; a += h.u; a -= 1; a *= a; a /= 3; a };
        k.asm_opaque::<Val<u32>>(Opaque::new("newop.u32 %0, %1, %2;").accesses_memory().needs_whole_warp().since(PtxVersion(80), 90), (h.u, 1u32));
        k.asm::<Val<u32>>("{ .reg .pred p; add.u32 %0, %1, %2; setp.eq.u32 p, %0, 1; @p bra on; add.u32 %0, %0, 1; on: }", (h.u, 1u32));
        // Numbers.
        h.u.min(1); h.f.max(h.f); h.i.abs(); h.f.abs(); h.u.mad(h.u, 1); h.u.mul_hi(h.u); h.u.mul_wide(h.u); h.u.mad_wide(h.u, h.w);
        h.u.popc(); h.w.clz(); h.i.brev(); h.u.bfe(1, 2); h.u.bfi(h.u, 1, 2); h.u.prmt(h.u, 1); h.u.lop3(h.u, h.u, 1);
        h.u.funnel_left(h.u, 1); h.u.funnel_right(h.u, 1); h.u.dp4a(h.u, 1); h.u.dp4a_signed(h.i, 1); h.i.dp4a(h.i, 1); h.i.dp2a(h.i, 1, true);
        h.u.pair(h.u); h.h.pair(h.h); h.w.split(); h.hh.split(); h.f.fma(h.f, 1.0); h.h.fma(h.h, h.h); h.f.fma_rounded(h.f, 1.0, Rounding::Up);
        h.f.add_rounded(1.0, Rounding::Up); h.f.mul_rounded(h.f, Rounding::Down); h.f.sqrt(); h.d.recip(); h.h.add_rn(h.h); h.hh.mul_rn(h.hh);
        h.f.ex2_approx(); h.f.lg2_approx(); h.f.recip_approx(); h.f.rsqrt_approx(); h.f.sqrt_approx(); h.f.sin_approx(); h.f.cos_approx();
        h.b.to::<f32>(); h.u.to_rn::<f32>(); h.d.to_rounded::<f32>(Rounding::Zero); h.f.to_int::<i32>(Rounding::Zero); h.f.round(Rounding::Up);
        h.f.to_f16x2(1.0); h.f.to_bf16x2(h.f); h.f.bitcast::<u32>(); h.u.copied(); h.u.select(h.p, 1); h.u.named("a"); h.u.operand(); h.p.operand(); h.p.to_u32();
        h.u.eq(1); h.f.ne(h.f); h.u.lt(1); h.u.le(1); h.u.gt(h.u); h.u.ge(1);
        // Pointers and memory.
        h.y.at(h.u).load(k); h.s.at(h.u).load(k); h.l.at(h.u).load(k); h.c.at(h.u).load(k); h.x.at64(h.w).load(k); h.y.byte_at(h.u).operand(); h.s.operand();
        h.y.plus(1).load(k); h.y.plus_bytes(4).load(k); h.y.align_down(4).0.load(k); h.y.cast::<f32>().load(k); h.y.read_only().load(k); h.y.named("out"); h.y.address(); h.x.address(); h.s.address();
        Global::<u32>::from_address(h.w).load(k); ReadOnly::<u32>::from_address(h.w).load(k); Shared::<u32>::from_address(h.u).load(k);
        h.x.load_hinted(k, LoadHint::Streaming); h.s.cast::<u8>().load_extended(k); h.y.load_or(k, h.p, 0); h.y.load_vec::<4>(k); h.y.load_vec_hinted::<2>(k, LoadHint::Keep);
        h.y.load_vec_or::<2>(k, h.p, 0); h.y.store(k, h.u); h.y.store_if(k, h.p, 1); h.y.store_hinted(k, 1, StoreHint::Streaming); h.y.store_vec(k, [h.u, h.u]);
        h.y.load_acquire(k); h.y.store_release(k, 1); h.y.load_volatile(k); h.y.prefetch_l2(k);
        h.y.atomic_add(k, 1); h.s.atomic_max(k, 1); h.s.atomic_min(k, h.u); h.y.atomic_exchange(k, 1); h.y.atomic_compare_exchange(k, 0, h.u); h.y.atomic_add_unread(k, 1); h.y.atomic_add_acq_rel(k, 1);
        k.shared::<u32>(4).load(k); k.shared_aligned::<u32>(4, 32).load(k); k.dynamic_shared::<u32>().load(k); k.local::<u32>(4).load(k); k.constants(&[1u32]).load(k); k.table(&[1u32]).load(k);
        // Variables and control flow.
        k.var(h.u); h.v.get(); h.v.set(h.u); h.v.set(1); h.v.add(1); h.v.update(|v| v + 1); h.v.eq(1); h.v.ne(1); h.v.lt(h.u); h.v.le(1); h.v.gt(1); h.v.ge(1); h.vf.add_product(h.f, 1.0); h.vi.add_dp4a(h.i, 1);
        k.if_(h.p, |k| h.y.store(k, 1)); k.if_else(h.p, |k| h.y.store(k, 1), |k| h.y.store(k, 2)); k.while_(|_| h.v.get().lt(9), |_, _| h.v.add(1));
        k.for_(0, h.u, 1, |k, i, c| { c.continue_if(k, i.eq(3)); h.y.store(k, i) }); k.loop_(|k, c| c.break_if(k, h.p)); k.return_if(h.p); k.trap_if(h.p);
        k.if_(h.u.gt(7), |k| k.return_()); at_caller(|| h.y.store(k, 1));
        // The thread, its warp and block.
        k.thread_x(); k.thread_y(); k.thread_z(); k.block_dim_x(); k.block_dim_y(); k.block_dim_z(); k.block_x(); k.block_y(); k.block_z();
        k.grid_dim_x(); k.grid_dim_y(); k.grid_dim_z(); k.lane(); k.sm_id(); k.cluster_rank(); k.clock64(); k.global_timer(); k.global_thread_id();
        k.shuffle_xor(h.u, 1); k.shuffle_xor(h.d, 1); k.shuffle_idx(h.w, h.u); k.shuffle_down(h.f, 1); k.shuffle_up(h.hh, 1); k.shuffle_xor_masked(h.u, 1, 3); k.all(h.p); k.any(h.p); k.ballot(h.p);
        k.match_any(h.u); k.redux_add(h.u); k.redux_max(h.i); k.active_mask(); k.barrier(); k.barrier_among(1, 64); k.first_threads(64, |k| k.barrier()); k.barrier_arrive(1, 64); k.sync_warp(3);
        k.fence_block(); k.fence_gpu(); k.fence_async_shared(); k.nanosleep(h.u); k.grid_dependency_wait(); k.launch_dependents();
        // Copies, matrices, and the table's own forms.
        k.copy_async(h.s, h.y, AsyncBytes::B4); k.copy_async_filled(h.s, h.x, AsyncBytes::B16, Some(h.p), Some(h.u)); k.copy_async_commit(); k.copy_async_wait(0);
        k.mbarrier().init(k, 1); h.m.arrive(k); h.m.arrive_expecting(k, h.u); h.m.try_wait(k, 0); h.m.wait(k, h.u); k.copy_bulk(h.s, h.y, 16, h.m);
        k.load_matrix_x4(h.s.cast()); k.mma_s8([h.u; 4], [h.u; 2], [h.i; 4]); k.mma_f16([h.hh; 4], [h.hh; 2], [h.f; 4]); k.mma_bf16([h.hh.bitcast(); 4], [h.hh.bitcast(); 2], [h.f; 4]);
        k.emit(Op::Membar, &[Mod::ScopeCta], &[]); k.compute::<u32>(Op::Popc, &[Mod::Ty(ScalarType::B32)], &[h.u.operand()]); k.test(Op::Not, &[Mod::Ty(ScalarType::Pred)], &[h.p.operand()]);
    }
}

/// What is public and writes nothing, or belongs to the crate.
const SILENT: &[&str] = &[
    // Of kernels that are written already.
    "args",
    "changed",
    "declare",
    "merged",
    "overlaid",
    "part",
    "bounds",
    "eager",
    "erase",
    "kernel",
    "module",
    "name",
    "new",
    "param_names",
    "shared_bytes",
    "unoptimized",
    "verify",
    "waiting",
    "waits",
    "with",
    "with_block",
    "with_bounds",
    // Of private types.
    "anywhere",
    "begin",
    "check",
    "finish",
    "here",
    "is_older",
];

#[test]
fn the_calls_above_are_all_there_are() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/build");
    let mut names = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for line in text.lines().map(str::trim_start) {
            let special = line.split_once(" = read").map(|(name, _)| name.to_owned());
            let name = |rest: &str| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().map(str::to_owned);
            names.extend(line.strip_prefix("pub fn ").and_then(name).filter(|n| !n.is_empty()).or(special));
        }
    }
    assert!(names.len() > 150 && names.contains("thread_x") && names.contains("at64"), "{names:?}");
    let all: String = calls().iter().map(|(text, _)| text.replace([' ', '\n'], "")).collect();
    let called = |n: &str| {
        all.contains(&format!(".{n}("))
            || all.contains(&format!("{n}::<"))
            || all.contains(&format!("::{n}("))
            || n == "at_caller" && all.contains("at_caller(")
    };
    let silent = |n: &str| SILENT.contains(&n);
    let missing: Vec<&String> = names.iter().filter(|n| !called(n) && !silent(n)).collect();
    assert!(missing.is_empty(), "public methods of the builder that `calls` does not call: {missing:?}");
    assert!(SILENT.iter().all(|n| names.contains(*n)), "names that are gone");
}

/// The lines of a kernel's instructions.
fn lines<A>(k: &Kernel<A>) -> Vec<Loc> {
    let module = k.module(Target::SM_90);
    module.kernels[0].insts().map(|(.., inst)| inst.loc.clone().expect("an instruction has a line")).collect()
}

#[test]
fn every_instruction_has_its_callers_line() {
    for (text, call) in calls() {
        let k = kernel::<Parameters>("one", NAMES, |k, p| call(k, &handles(k, p)));
        for loc in lines(&k) {
            assert_eq!(&*loc.file, file!(), "{text}: {loc}");
        }
    }
}

thread_local! {
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// With handles of another kernel every call that takes one panics, at the call.
#[test]
fn every_panic_has_its_callers_line() {
    let foreign = RefCell::new(None);
    kernel::<Parameters>("first", NAMES, |k, p| *foreign.borrow_mut() = Some(handles(k, p)));
    let foreign = foreign.into_inner().unwrap();
    let before = take_hook();
    set_hook(Box::new(|info| {
        let place = info.location().map(|l| l.file().to_owned());
        PLACE.with_borrow_mut(|p| *p = place);
    }));
    let mut wrong = Vec::new();
    for (text, call) in calls() {
        let outcome =
            catch_unwind(AssertUnwindSafe(|| kernel::<(u32,)>("second", ["n"], |k, _| call(k, &foreign)))).err();
        let place = PLACE.with_borrow_mut(Option::take);
        let message = outcome.and_then(|e| e.downcast_ref::<String>().cloned());
        let right = match message {
            Some(message) => message.contains("of one kernel was used in another") && place.as_deref() == Some(file!()),
            None => !text.replace(' ', "").contains("h.") && place.is_none(),
        };
        if !right {
            wrong.push(format!("{text} panics at {place:?}"));
        }
    }
    set_hook(before);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A helper with a loop, whose closure has no caller's line.
#[track_caller]
fn sum(k: &Body, x: ReadOnly<u32>, n: Val<u32>) -> Val<u32> {
    at_caller(|| {
        let sum = k.var(0u32);
        k.for_(0, n, 1, |k, i, _| sum.add(doubled(x.at(i).load(k))));
        sum.get()
    })
}

#[track_caller]
fn doubled(v: Val<u32>) -> Val<u32> {
    at_caller(|| v + v)
}

#[test]
fn helpers_have_the_line_of_the_outermost_call() {
    let mut line = 0;
    let k = kernel::<(u32, In<u32>, Out<u32>)>("helped", ["n", "x", "y"], |k, (n, x, y)| {
        line = line!() + 1;
        let total = sum(k, x, n);
        y.store(k, total);
    });
    let found: Vec<u32> = lines(&k).iter().map(|loc| loc.line).collect();
    assert!(found.iter().all(|l| (line - 2..line + 3).contains(l)), "{found:?}, not near {line}");
    assert!(found.iter().filter(|&&l| l == line).count() > 6, "{found:?}");
}

#[test]
fn a_mistake_in_a_helper_names_the_call() {
    #[track_caller]
    fn leaks(k: &Body, n: Val<u32>) -> Val<u32> {
        at_caller(|| {
            let kept = std::cell::Cell::new(n);
            k.if_(n.gt(1), |_| kept.set(n + 1));
            kept.get() + 1
        })
    }
    let mut line = 0;
    let panic = catch_unwind(AssertUnwindSafe(|| {
        kernel::<(u32, Out<u32>)>("leaks", ["n", "y"], |k, (n, y)| {
            line = line!() + 1;
            y.store(k, leaks(k, n));
        })
    }));
    let message = panic.err().and_then(|e| e.downcast_ref::<String>().cloned()).expect("a panic");
    assert!(message.contains(&format!("(in a helper called at {}:{line}:", file!())), "{message}");
}
