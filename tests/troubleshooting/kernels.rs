//! What the compiler, the builder, the verifier, the parser and a policy say about a kernel.

use ptxgen::{
    builder::{
        analysis::precision::{self, Accumulator, Requirements, Role},
        build::F16x2,
        parse::parse,
        table::{Mod, Op},
    },
    dsl::{precision::Act, proof},
    prelude::*,
};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub fn messages() -> Vec<String> {
    [compiler(), builder(), verifier(), text(), policies()].concat()
}

/// What rustc says, as the tests of compile errors hold it.
fn compiler() -> Vec<String> {
    let recorded = [
        include_str!("../../ptx-builder/tests/ui/mixed_types.stderr"),
        include_str!("../../ptx-builder/tests/ui/assigned_in_loop.stderr"),
        include_str!("../../ptx-builder/tests/ui/added_in_loop.stderr"),
        include_str!("../../ptx-builder/tests/ui/compared_by_sign.stderr"),
        include_str!("../../ptx-builder/tests/ui/variable_as_value.stderr"),
        include_str!("../../ptx-builder/tests/ui/method_of_variable.stderr"),
        include_str!("../../ptx-builder/tests/ui/index_of_usize.stderr"),
        include_str!("../../ptx-builder/tests/ui/index_in_brackets.stderr"),
        include_str!("../../ptx-builder/tests/ui/cast_by_as.stderr"),
        include_str!("../../ptx-builder/tests/ui/half_operators.stderr"),
        include_str!("../../ptx-builder/tests/ui/parameters_no_tuple.stderr"),
        include_str!("../../ptx-builder/tests/ui/store_read_only.stderr"),
        include_str!("../../ptx-builder/tests/ui/unrounded_conversion.stderr"),
        include_str!("../../ptx-builder/tests/ui/shuffle_half.stderr"),
        include_str!("../../ptx-builder/tests/ui/float_atomic.stderr"),
        include_str!("../../runtime/tests/ui/wrong_element.stderr"),
        include_str!("../../runtime/tests/ui/too_few_arguments.stderr"),
    ];
    recorded.iter().filter_map(|text| text.lines().next()).map(str::to_owned).collect()
}

/// What a mistake in the program that writes a kernel panics with.
fn builder() -> Vec<String> {
    let mistakes: [fn(); 13] = [
        || {
            kernel::<(In<f32>, Out<f32>)>("prefix", ["x", "y"], |k, (x, y)| {
                let sum = Cell::new(Val::from(0.0f32));
                k.for_(0, 4, 1, |k, i, _| sum.set(sum.get() + x.at(i).load(k)));
                y.store(k, sum.get());
            });
        },
        || {
            kernel::<(u32,)>("fixed", ["n"], |k, (n,)| {
                let (i, more) = (k.var(0u32), n.gt(0));
                k.while_(|_| more, |_, _| i.add(1));
            });
        },
        || {
            kernel::<(u32,)>("endless", ["n"], |k, _| k.loop_(|k, _| k.barrier()));
        },
        || {
            kernel::<(u32,)>("still", ["n"], |k, (n,)| k.for_(0, n, 0, |k, _, _| k.barrier()));
        },
        || {
            kernel::<(u32,)>("shifted", ["n"], |_, (n,)| _ = n << 40);
        },
        || {
            kernel::<(u32,)>("divided", ["n"], |_, (n,)| _ = n / 0);
        },
        || {
            kernel::<(In<f32>, Out<f32>)>("copy", ["x", "x"], |_, _| {});
        },
        || {
            kernel::<(u32,)>("copy", [""], |_, _| {});
        },
        || {
            kernel::<(u32,)>("twice", ["n"], |k, _| {
                let _ = (k.shared::<f32>(4).named("tile"), k.shared::<f32>(4).named("tile"));
            });
        },
        || {
            let mut kept = None;
            kernel::<(u32,)>("first", ["n"], |_, (n,)| kept = Some(n));
            kernel::<(Out<u32>,)>("second", ["y"], |k, (y,)| y.store(k, kept.expect("the first kernel ran")));
        },
        || {
            let mut kept = None;
            kernel::<(u32,)>("first", ["n"], |_, (n,)| kept = Some(n));
            let _ = kept.expect("the kernel ran") + 1;
        },
        || {
            kernel::<(Out<u32>,)>("far", ["y"], |k, (y,)| y.plus(1i64 << 40).store(k, 0));
        },
        || {
            kernel::<(Out<u32>,)>("odd", ["y"], |k, (y,)| {
                let value = y.load(k);
                let value: Val<u32> = k.compute(Op::Brev, &[Mod::Rn], &[value.operand()]);
                y.store(k, value);
            });
        },
    ];
    mistakes
        .into_iter()
        .map(|mistake| {
            let panic = catch_unwind(AssertUnwindSafe(mistake)).expect_err("a mistake panics");
            let word = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
            word.or_else(|| panic.downcast_ref::<String>().cloned()).expect("a panic has words")
        })
        .collect()
}

fn refused<A: Args>(target: Target, kernel: &Kernel<A>) -> String {
    kernel.verify(target).err().unwrap_or_else(|| panic!("{} is not refused", kernel.name())).to_string()
}

fn copying(write: impl FnOnce(&Body, ReadOnly<f32>, Global<f32>)) -> String {
    refused(Target::SM_90, &kernel::<(In<f32>, InOut<f32>)>("k", ["x", "y"], |k, (x, y)| write(k, x, y)).with_block(64))
}

fn verifier() -> Vec<String> {
    let dependent = kernel::<(u32,)>("k", ["n"], |k, (_,)| k.grid_dependency_wait());
    let hyphen = kernel::<(u32,)>("row-sums", ["n"], |_, _| {});
    vec![
        copying(|k, _, _| {
            let t = k.thread_x();
            k.if_(t.lt(40), Body::barrier);
        }),
        copying(|k, x, y| {
            let lane = k.lane();
            k.if_(lane.lt(8), |k| {
                let value = x.load(k);
                let sum = k.shuffle_xor_masked(value, 1, 0x1ff);
                y.store(k, sum);
            });
        }),
        copying(|k, x, y| {
            let i = k.global_thread_id();
            k.if_(i.lt(50), |k| {
                let value = x.at(i).load(k);
                let sum = k.shuffle_xor(value, 1);
                y.at(i).store(k, sum);
            });
        }),
        copying(|k, x, y| {
            let lane = k.lane();
            k.if_(lane.lt(8), |k| {
                let value = x.load(k);
                let sum = k.shuffle_xor_masked(value, 1, 0x1ff);
                y.store(k, sum);
            });
            k.barrier();
        }),
        copying(|k, x, y| {
            let i = k.global_thread_id();
            k.if_(i.lt(50), |k| {
                let value = x.at(i).load(k);
                let sum = k.shuffle_xor(value, 1);
                y.at(i).store(k, sum);
            });
            k.barrier();
        }),
        copying(|k, _, _| {
            let i = k.global_thread_id();
            k.if_(i.lt(50), Body::barrier);
        }),
        copying(|k, x, y| {
            let value = x.load(k);
            let other = k.shuffle_xor_masked(value, 1, 0xffff);
            y.store(k, other);
        }),
        copying(|k, _, y| {
            let tile = k.shared::<f32>(64);
            let four = tile.plus(2).load_vec::<4>(k);
            y.store(k, four[0]);
        }),
        copying(|k, _, y| {
            let tile = k.shared::<f32>(64);
            let value = tile.plus(64).load(k);
            y.store(k, value);
        }),
        copying(|k, x, y| {
            let i = k.thread_x();
            y.at(i).store(k, x.at(i - 1).load(k));
        }),
        copying(|k, _, y| {
            let (tile, i) = (k.shared::<f32>(64), k.thread_x());
            tile.at(i).store(k, 0.0);
            k.barrier();
            y.at(i).store(k, tile.at(i + 1).load(k));
        }),
        copying(|k, _, y| {
            let value = y.read_only().load(k);
            y.plus(1).store(k, value);
        }),
        copying(|k, x, y| {
            let tile = k.shared_aligned::<f32>(64, 16);
            k.copy_async(tile, x, AsyncBytes::B4);
            k.copy_async_wait(0);
            k.copy_async_commit();
            let value = tile.load(k);
            y.store(k, value);
        }),
        copying(|k, _, _| {
            let full = k.mbarrier();
            full.arrive(k);
        }),
        copying(|k, _, y| {
            let large = k.shared::<f32>(20_000);
            large.store(k, 0.0);
            let value = large.load(k);
            y.store(k, value);
        }),
        refused(
            Target::SM_90,
            &kernel::<(In<F16x2>, Out<f32>)>("k", ["a", "y"], |k, (a, y)| {
                let lane = k.lane();
                let pair = a.at(lane).load(k);
                k.if_(lane.lt(16), |k| {
                    let c = k.mma_f16([pair; 4], [pair; 2], [Val::from(0.0f32); 4]);
                    y.at(lane).store(k, c[0]);
                });
            }),
        ),
        refused(Target::SM_80, &dependent),
        refused(Target::SM_80, &hyphen),
    ]
}

/// What is said about PTX from elsewhere.
fn text() -> Vec<String> {
    let module = |body: &str| {
        format!(
            ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 k_y)\n{{\n\
             .shared .b32 kept;\n.reg .b32 %r<9>;\n.reg .pred %p<2>;\n{body}\nret;\n}}\n"
        )
    };
    let read = |body: &str| parse("k.ptx", &module(body)).map_err(|e| e.to_string());
    let undefined = read(
        "setp.eq.u32 %p0, 1, 2;\n@%p0 mov.u32 %r1, 1;\n@%p0 bra L;\nadd.u32 %r2, %r1, %r1;\nst.shared.u32 [kept], %r2;\nL:",
    );
    vec![
        read("ad.u32 %r1, %r2, %r3;").expect_err("no such instruction"),
        read("mov.u32 %r1, %q1;").expect_err("no such register"),
        parse("k.ptx", ".target sm_80\n.address_size 64\n").expect_err("no version").to_string(),
        verify(undefined.expect("it can be read")).expect("a warning").warnings()[0].to_string(),
    ]
}

type Product = (In<f32>, In<f32>, Out<f32>);

/// What a policy says about `y = w x + ..`, written in one way or another.
fn violations(
    accumulator: Accumulator,
    act: Option<Act>,
    write: impl FnOnce(&Body, Val<f32>, Val<f32>, Global<f32>),
) -> Vec<String> {
    let kernel = kernel::<Product>("k", ["w", "x", "y"], |k, (w, x, y)| {
        let (w, x) = (w.load(k), x.load(k));
        write(k, w, x, y);
    });
    let module = kernel.verify(Target::SM_80).unwrap_or_else(|e| panic!("{e}"));
    let wanted = Requirements {
        accumulator: Some(accumulator),
        own_types: Vec::new(),
        factors: proof::FACTORS,
        products: act.map(proof::products),
        allow_approximate: false,
        stages: None,
        stages_of: Vec::new(),
        roles: vec![proof::WEIGHTS, proof::ACTIVATIONS, Role::Output],
    };
    let found = precision::check(&module, 0, &wanted);
    found.expect_err("the policy does not hold").iter().map(ToString::to_string).collect()
}

fn policies() -> Vec<String> {
    [
        violations(Accumulator::F64, None, |k, w, x, y| y.store(k, w.fma(x, 1.0))),
        violations(Accumulator::F32, None, |k, w, x, y| {
            let sum = w.to::<f64>().fma(x.to::<f64>(), 1.0);
            y.store(k, sum.to_rn::<f32>());
        }),
        violations(Accumulator::F64, None, |k, w, x, y| {
            let sum = k.var(0.0f32);
            k.for_(0, 4, 1, |_, _, _| {
                let next = w.to::<f64>().fma(x.to::<f64>(), sum.get().to::<f64>());
                sum.set(next.to_rn::<f32>());
            });
            y.store(k, sum.get());
        }),
        violations(Accumulator::F32, Some(Act::Q8K), |k, w, x, y| y.store(k, w.fma(x, 1.0))),
        violations(Accumulator::F32, None, |k, w, _, y| y.store(k, w.ex2_approx())),
    ]
    .concat()
}
