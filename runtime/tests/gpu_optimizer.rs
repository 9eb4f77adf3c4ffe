//! What the optimizer does for kernels as users write them: the same bits with and without, on the interpreter and on a
//! GPU; there also the times, and with `ptxas` the registers.
//!
//! `cargo test --release -p ptxgen-runtime --test gpu_optimizer -- --ignored --nocapture --test-threads 1`

use std::time::Duration;

use ptxgen_builder::build::{Args, Body, In, InOut, Kernel, Out, Val, Var, kernel};
use ptxgen_builder::print::{PrintOptions, print};
use ptxgen_builder::ptxas::Ptxas;
use ptxgen_builder::target::Target;
use ptxgen_dsl::device::DeviceExp;
use ptxgen_runtime::{Buffer, Call, Device, Element, Loaded};

/// `y[i] = a * x[i] + y[i]` for `i < n`.
fn saxpy() -> Kernel<(u32, f32, In<f32>, InOut<f32>)> {
    kernel::<(u32, f32, In<f32>, InOut<f32>)>("saxpy", ["n", "a", "x", "y"], |k, (n, a, x, y)| {
        let i = k.global_thread_id();
        k.if_(i.lt(n), |k| {
            let sum = a.fma(x.at(i).load(k), y.at(i).load(k));
            y.at(i).store(k, sum);
        });
    })
    .with_block(256)
}

/// Combines the values of the warp's lanes.
fn reduce(k: &Body, value: Val<f32>, combine: impl Fn(Val<f32>, Val<f32>) -> Val<f32>) -> Val<f32> {
    [16u32, 8, 4, 2, 1].into_iter().fold(value, |value, distance| combine(value, k.shuffle_xor(value, distance)))
}

/// The softmax of rows of `n` values, a warp for each.
fn softmax() -> Kernel<(u32, In<f32>, Out<f32>)> {
    kernel::<(u32, In<f32>, Out<f32>)>("softmax", ["n", "x", "y"], |k, (n, x, y)| {
        let lane = k.lane();
        let row = k.block_x() * n;
        let largest = k.var::<f32>(f32::NEG_INFINITY);
        k.for_(lane, n, 32u32, |k, i, _| {
            let value = x.at(row + i).load(k);
            largest.update(|largest| largest.max(value));
        });
        let largest = reduce(k, largest.get(), |a, b| a.max(b));
        let sum = k.var::<f32>(0.0);
        k.for_(lane, n, 32u32, |k, i, _| sum.add(f32::exponential(x.at(row + i).load(k) - largest)));
        let sum = reduce(k, sum.get(), |a, b| a + b);
        k.for_(lane, n, 32u32, |k, i, _| {
            let power = f32::exponential(x.at(row + i).load(k) - largest);
            y.at(row + i).store(k, power / sum);
        });
    })
    .with_block(32)
}

/// A matrix transposed in tiles of 32 x 32 through shared memory.
fn transpose() -> Kernel<(u32, u32, In<f32>, Out<f32>)> {
    kernel::<(u32, u32, In<f32>, Out<f32>)>("transpose", ["rows", "cols", "x", "y"], |k, (rows, cols, x, y)| {
        let tile = k.shared::<f32>(32 * 33);
        for step in (0..32).step_by(8) {
            let (row, column) = (k.thread_y() + step, k.thread_x());
            let value = x.at((k.block_y() * 32 + row).mad(cols, k.block_x() * 32 + column)).load(k);
            tile.at(row.mad(33, column)).store(k, value);
        }
        k.barrier();
        for step in (0..32).step_by(8) {
            let (row, column) = (k.thread_y() + step, k.thread_x());
            let value = tile.at(column.mad(33, row)).load(k);
            y.at((k.block_x() * 32 + row).mad(rows, k.block_y() * 32 + column)).store(k, value);
        }
    })
    .with_block([32, 8])
}

/// Floats of a head.
const HEAD: u32 = 32;
/// Keys that a block stages at once.
const TILE: u32 = 8;

type Attention = (u32, In<f32>, In<f32>, In<f32>, Out<f32>);

/// Attention in one pass: a query a thread, keys and values in tiles, a running maximum and sum.
fn attention() -> Kernel<Attention> {
    kernel::<Attention>("attention", ["n", "queries", "keys", "values", "y"], |k, (n, queries, keys, values, y)| {
        let query = k.global_thread_id();
        let (key_tile, value_tile) = (k.shared::<f32>(TILE * HEAD), k.shared::<f32>(TILE * HEAD));
        let q: Vec<Val<f32>> = (0..HEAD).map(|d| queries.at(query * HEAD + d).load(k)).collect();
        let sums: Vec<Var<f32>> = (0..HEAD).map(|_| k.var::<f32>(0.0)).collect();
        let largest = k.var::<f32>(f32::NEG_INFINITY);
        let whole = k.var::<f32>(0.0);
        k.for_(0u32, n, TILE, |k, first, _| {
            k.barrier();
            for step in (0..TILE * HEAD).step_by(64) {
                let key = keys.at(first * HEAD + k.thread_x() + step).load(k);
                key_tile.at(k.thread_x() + step).store(k, key);
                let value = values.at(first * HEAD + k.thread_x() + step).load(k);
                value_tile.at(k.thread_x() + step).store(k, value);
            }
            k.barrier();
            for j in 0..TILE {
                let mut score = Val::from(0.0f32);
                for d in 0..HEAD {
                    score = q[d as usize].fma(key_tile.at(j * HEAD + d).load(k), score);
                }
                let next = largest.get().max(score);
                let scale = f32::exponential(largest.get() - next);
                let weight = f32::exponential(score - next);
                largest.set(next);
                whole.update(|whole| whole.fma(scale, weight));
                for (d, sum) in sums.iter().enumerate() {
                    let value = value_tile.at(j * HEAD + d as u32).load(k);
                    sum.update(|sum| sum.fma(scale, weight * value));
                }
            }
        });
        for (d, sum) in sums.iter().enumerate() {
            y.at(query * HEAD + d as u32).store(k, sum.get() / whole.get());
        }
    })
    .with_block(64)
}

type Product = (u32, u32, In<u32>, In<u32>, Out<i32>);

/// `c = a * b` of signed bytes, `b` by columns, on the tensor cores: 32 x 32 a warp.
fn product() -> Kernel<Product> {
    kernel::<Product>("product", ["depth", "cols", "a", "b", "c"], |k, (depth, cols, a, b, c)| {
        let (group, place) = (k.lane() >> 2, k.lane() & 3);
        let (top, left) = (k.block_y() * 32, k.block_x() * 32);
        let sums: Vec<[Var<i32>; 4]> = (0..8).map(|_| [(); 4].map(|()| k.var::<i32>(0))).collect();
        k.for_(0u32, depth >> 2, 8u32, |k, word, _| {
            for i in 0..2 {
                let row = |half: u32, quarter: u32| {
                    a.at((top + i * 16 + half * 8 + group).mad(depth >> 2, word + quarter * 4 + place)).load(k)
                };
                let left_half = [row(0, 0), row(1, 0), row(0, 1), row(1, 1)];
                for j in 0..4 {
                    let column =
                        |quarter: u32| b.at((left + j * 8 + group).mad(depth >> 2, word + quarter * 4 + place)).load(k);
                    let sum = &sums[(i * 4 + j) as usize];
                    let next = k.mma_s8(left_half, [column(0), column(1)], sum.each_ref().map(|sum| sum.get()));
                    sum.iter().zip(next).for_each(|(sum, next)| sum.set(next));
                }
            }
        });
        for i in 0..2 {
            for j in 0..4 {
                let [c0, c1, c2, c3] = sums[(i * 4 + j) as usize].each_ref().map(|sum| sum.get());
                let at = |half: u32| c.at((top + i * 16 + half * 8 + group).mad(cols, left + j * 8 + (place << 1)));
                at(0).store_vec(k, [c0, c1]);
                at(1).store_vec(k, [c2, c3]);
            }
        }
    })
    .with_block(32)
}

/// Runs a kernel as it was written and optimized; the results must be the same bits. Gives both times where asked.
fn compare<A: Args, T: Element + PartialEq>(
    device: &Device,
    kernel: &Kernel<A>,
    len: usize,
    timed: bool,
    bind: impl Fn(&Loaded<A>, &mut Buffer<T>) -> Call,
) {
    let name = kernel.name();
    let written = kernel.clone().unoptimized();
    let calls = [(&written, true), (kernel, true), (&written, false), (kernel, false)].map(|(kernel, checked)| {
        let mut result = device.zeroed::<T>(len).unwrap();
        // SAFETY: the kernels above stay inside of their buffers at the sizes that `all` gives them.
        let loaded = if checked { device.load(kernel) } else { unsafe { device.load_unchecked(kernel) } };
        let call = bind(&loaded.unwrap(), &mut result);
        device.run(&call).unwrap();
        (call, result.read().unwrap(), result)
    });
    assert!(calls.iter().all(|c| c.1 == calls[0].1), "{name}: other results when optimized");
    if !timed {
        return;
    }
    let mut times: [Vec<Duration>; 4] = Default::default();
    let runs = 20;
    for _ in 0..15 {
        for (times, (call, ..)) in times.iter_mut().zip(&calls) {
            let start = device.stream().event().unwrap();
            (0..runs).for_each(|_| device.run(call).unwrap());
            let end = device.stream().event().unwrap();
            times.push(end.since(&start).unwrap() / runs);
        }
    }
    let medians = times.map(|mut times| {
        times.sort();
        times[times.len() / 2].as_secs_f64() * 1e6
    });
    let line: Vec<String> = medians
        .chunks(2)
        .map(|m| format!("{:.1} us | {:.1} us | {:+.1}%", m[0], m[1], 100.0 * (m[1] / m[0] - 1.0)))
        .collect();
    println!("| {name} | {} |", line.join(" | "));
}

fn floats(n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7919 + 13) % 1000) as f32 / 250.0 - 2.0).collect()
}

fn words(n: usize) -> Vec<u32> {
    (0..n as u32).map(|i| i.wrapping_mul(0x9e37_79b9) ^ i >> 3).collect()
}

/// All kernels at one size: 1 for the interpreter.
fn all(device: &Device, scale: u32, timed: bool) {
    let n = 1000 * scale * scale;
    let x = device.upload(&floats(n as usize)).unwrap();
    compare(device, &saxpy(), n as usize, timed, |f, y| f.bind(n.div_ceil(256), (n, 1.5f32, &x, y)).unwrap());

    let (rows, cols) = (4 * scale, 100 * scale.min(20));
    let x = device.upload(&floats((rows * cols) as usize)).unwrap();
    compare(device, &softmax(), (rows * cols) as usize, timed, |f, y| f.bind(rows, (cols, &x, y)).unwrap());

    let side = 32 * scale;
    let x = device.upload(&floats((side * side) as usize)).unwrap();
    let len = (side * side) as usize;
    compare(device, &transpose(), len, timed, |f, y| f.bind([scale, scale], (side, side, &x, y)).unwrap());

    let (queries, keys) = (64 * scale, 8 * scale);
    let [q, key, value] = [queries, keys, keys].map(|n| device.upload(&floats((n * HEAD) as usize)).unwrap());
    let len = (queries * HEAD) as usize;
    compare(device, &attention(), len, timed, |f, y| f.bind(scale, (keys, &q, &key, &value, y)).unwrap());

    let depth = 32 * scale;
    let [a, b] = [(); 2].map(|()| device.upload(&words((side * depth / 4) as usize)).unwrap());
    let len = (side * side) as usize;
    compare(device, &product(), len, timed, |f, c| f.bind([scale, scale], (depth, side, &a, &b, c)).unwrap());
}

#[test]
fn the_interpreter_gives_the_same_bits() {
    all(&Device::interp(), 1, false);
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn a_gpu_gives_the_same_bits() {
    let device = Device::cuda(0).unwrap_or_else(|e| panic!("this test needs an NVIDIA GPU: {e}"));
    println!(
        "| kernel | checked: as written | optimized | difference | unchecked: as written | optimized | difference |"
    );
    println!("|---|---|---|---|---|---|---|");
    all(&device, 128, true);
}

/// Instructions, registers and spilled bytes on a target.
fn cost<A: Args>(ptxas: &Ptxas, kernel: &Kernel<A>, target: Target) -> (usize, u32, u32) {
    let module = kernel.verify(target).unwrap_or_else(|e| panic!("{e}"));
    let report = ptxas.assemble(&print(&module, &PrintOptions::default()), target).unwrap_or_else(|e| panic!("{e}"));
    let used = report.kernel(kernel.name()).expect("the kernel is in the report");
    (module.module().kernels[0].insts().count(), used.registers, used.spill_stores + used.spill_loads)
}

fn row<A: Args>(ptxas: &Ptxas, kernel: &Kernel<A>) {
    let written = kernel.clone().unoptimized();
    let mut line = format!("| {} |", kernel.name());
    for target in Target::TESTED.into_iter().filter(|t| *t >= Target::SM_80) {
        let [(before, r0, s0), (after, r1, s1)] = [&written, kernel].map(|k| cost(ptxas, k, target));
        assert!(after <= before && s1 <= s0, "{} {target}: {after} of {before} instructions", kernel.name());
        line += &format!(" {before} to {after}, {r0} to {r1} |");
    }
    println!("{line}");
}

#[test]
fn registers_with_and_without() {
    let Some(ptxas) = Ptxas::for_tests() else { return };
    row(&ptxas, &saxpy());
    row(&ptxas, &softmax());
    row(&ptxas, &transpose());
    row(&ptxas, &attention());
    row(&ptxas, &product());
}
