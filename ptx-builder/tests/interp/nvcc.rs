//! What nvcc made of small CUDA kernels, run here.

use ptxgen_builder::interp::{Arg, Buffer, Launch, Memory, Options, Report, WarpOrder};
use ptxgen_builder::verify::Validated;

use crate::common::*;

fn fixture(name: &str) -> Validated {
    let path = format!("{}/tests/nvcc/{name}.ptx", env!("CARGO_MANIFEST_DIR"));
    source(&std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}")))
}

struct Run<'a> {
    module: &'a Validated,
    kernel: &'a str,
    grid: [u32; 3],
    block: [u32; 3],
    dynamic_shared: u32,
}

/// Runs under each order of warps, with fresh memory, and checks the results.
fn run(r: Run, setup: impl Fn(&mut Memory) -> (Vec<Arg>, Vec<Buffer>), check: impl Fn(Vec<Vec<u8>>, &Report)) {
    for order in [WarpOrder::RoundRobin, WarpOrder::Seeded(5), WarpOrder::Adversarial] {
        let options = Options { order, count: true, ..Options::default() };
        let mut mem = Memory::new();
        let (args, outputs) = setup(&mut mem);
        let Run { module, kernel, grid, block, dynamic_shared } = r;
        let launch =
            Launch { module, kernel, grid, block, dynamic_shared, args: &args, globals: None, options: &options };
        let report = launch.run(&mut mem).unwrap_or_else(|e| panic!("{e}"));
        assert!(report.is_clean(), "{order:?}\n{report}");
        check(outputs.iter().map(|&b| mem.read(b).unwrap()).collect(), &report);
    }
}

fn floats(mem: &mut Memory, values: &[f32]) -> Buffer {
    mem.alloc(&bytes_of(values, f32::to_le_bytes), 16).unwrap()
}

fn words(mem: &mut Memory, values: &[u32]) -> Buffer {
    mem.alloc(&bytes_of(values, u32::to_le_bytes), 16).unwrap()
}

#[test]
fn saxpy() {
    let m = fixture("saxpy");
    let x: Vec<f32> = (0..300).map(|i| i as f32 * 0.37).collect();
    let y: Vec<f32> = (0..300).map(|i| 1.0 / (1 + i) as f32).collect();
    run(
        Run { module: &m, kernel: "saxpy", grid: [3, 1, 1], block: [128, 1, 1], dynamic_shared: 0 },
        |mem| {
            let (bx, by) = (floats(mem, &x), floats(mem, &y));
            (vec![300u32.into(), 1.25f32.into(), bx.into(), by.into()], vec![by])
        },
        |out, _| {
            let want: Vec<f32> = x.iter().zip(&y).map(|(x, y)| 1.25f32.mul_add(*x, *y)).collect();
            assert_eq!(f32s(&out[0]), want);
        },
    );
}

#[test]
fn block_sum_and_scan() {
    let m = fixture("block_sum");
    let x: Vec<f32> = (0..2000).map(|i| (i % 64) as f32).collect();
    run(
        Run { module: &m, kernel: "block_sum", grid: [3, 1, 1], block: [256, 1, 1], dynamic_shared: 0 },
        |mem| {
            let bx = floats(mem, &x);
            let out = mem.alloc_uninit(12, 4).unwrap();
            (vec![bx.into(), out.into(), 2000i32.into()], vec![out])
        },
        |out, _| {
            let want: Vec<f32> =
                (0..3).map(|b| (0..2000).filter(|i| i / 256 % 3 == b).map(|i| x[i]).sum::<f32>()).collect();
            assert_eq!(f32s(&out[0]), want);
        },
    );
    let x: Vec<u32> = (0..100).map(|i| i * 3 + 1).collect();
    run(
        Run { module: &m, kernel: "warp_scan", grid: [1, 1, 1], block: [128, 1, 1], dynamic_shared: 0 },
        |mem| {
            let bx = words(mem, &x);
            let sums = mem.alloc_uninit(400, 4).unwrap();
            let shifted = mem.alloc_uninit(800, 8).unwrap();
            (vec![bx.into(), sums.into(), shifted.into(), 100i32.into()], vec![sums])
        },
        |out, _| {
            let warp = |i: usize| x[i / 32 * 32..(i / 32 * 32 + 32).min(100)].to_vec();
            let want: Vec<u32> = (0..100).map(|i| warp(i).iter().skip(i % 32 + 1).sum()).collect();
            assert_eq!(u32s(&out[0]), want);
        },
    );
}

#[test]
fn histogram() {
    let m = fixture("histogram");
    let bytes: Vec<u8> = (0..5000u32).map(|i| (i.wrapping_mul(2654435761) >> 24) as u8 & 0x7f).collect();
    run(
        Run { module: &m, kernel: "histogram", grid: [4, 1, 1], block: [128, 1, 1], dynamic_shared: 0 },
        |mem| {
            let data = mem.alloc(&bytes, 1).unwrap();
            let bins = words(mem, &[0; 256]);
            (vec![data.into(), 5000u32.into(), bins.into()], vec![bins])
        },
        |out, _| {
            let mut want = vec![0; 256];
            bytes.iter().for_each(|&b| want[usize::from(b)] += 1);
            assert_eq!(u32s(&out[0]), want);
        },
    );
}

#[test]
fn dot_i8() {
    let m = fixture("dot_i8");
    let a: Vec<u8> = (0..1600u32).map(|i| (i * 37 % 251) as u8).collect();
    let b: Vec<u8> = (0..1600u32).map(|i| (i * 91 % 241) as u8).collect();
    run(
        Run { module: &m, kernel: "dot_i8", grid: [1, 1, 1], block: [32, 1, 1], dynamic_shared: 0 },
        |mem| {
            let (pa, pb) = (mem.alloc(&a, 16).unwrap(), mem.alloc(&b, 16).unwrap());
            let out = mem.alloc_uninit(4, 4).unwrap();
            (vec![pa.into(), pb.into(), out.into(), 100i32.into()], vec![out])
        },
        |out, _| {
            let want: i32 = a.iter().zip(&b).map(|(&a, &b)| i32::from(a as i8) * i32::from(b as i8)).sum();
            assert_eq!(u32s(&out[0]), [want as u32]);
        },
    );
}

#[test]
fn transpose_with_padding_has_no_conflicts() {
    let m = fixture("transpose");
    let (rows, columns) = (70u32, 50u32);
    let x: Vec<u32> = (0..rows * columns).collect();
    run(
        Run { module: &m, kernel: "_Z9transposeIfEvPT_PKS0_ii", grid: [2, 3, 1], block: [32, 8, 1], dynamic_shared: 0 },
        |mem| {
            let input = words(mem, &x);
            let out = mem.alloc_uninit(u64::from(rows * columns * 4), 4).unwrap();
            (vec![out.into(), input.into(), rows.into(), columns.into()], vec![out])
        },
        |out, report| {
            let want: Vec<u32> = (0..rows * columns).map(|i| i % rows * columns + i / rows).collect();
            assert_eq!(u32s(&out[0]), want);
            assert!(report.counters.total.shared_passes > 0);
            assert_eq!(report.counters.total.bank_conflicts, 0);
        },
    );
}

#[test]
fn dynamic_shared_memory_and_block_votes() {
    let m = fixture("dynamic_shared");
    let x: Vec<f32> = (0..96).map(|i| if i % 3 == 0 { -1.0 } else { i as f32 }).collect();
    run(
        Run { module: &m, kernel: "dynamic_shared", grid: [1, 1, 1], block: [128, 1, 1], dynamic_shared: 96 * 6 },
        |mem| {
            let bx = floats(mem, &x);
            let y = mem.alloc_uninit(512, 4).unwrap();
            let counts = mem.alloc_uninit(512, 4).unwrap();
            (vec![bx.into(), y.into(), counts.into(), 96i32.into()], vec![y, counts])
        },
        |out, _| {
            let want: Vec<f32> = (0..128).map(|t| if t < 96 { x[95 - t] } else { 0.0 }).collect();
            assert_eq!(f32s(&out[0]), want);
            // 64 positive values; __syncthreads_or holds for all 128 threads.
            assert_eq!(u32s(&out[1]), [128 + 64; 128]);
        },
    );
}

#[test]
fn divergent_loops() {
    let m = fixture("divergent");
    let starts: Vec<u64> = (1..=64).collect();
    run(
        Run { module: &m, kernel: "collatz", grid: [1, 1, 1], block: [64, 1, 1], dynamic_shared: 0 },
        |mem| {
            let s = mem.alloc(&bytes_of(&starts, u64::to_le_bytes), 8).unwrap();
            let steps = mem.alloc_uninit(256, 4).unwrap();
            (vec![s.into(), steps.into(), 1000u32.into()], vec![steps])
        },
        |out, _| {
            let length = |mut v: u64| {
                let mut n = 0;
                while v != 1 {
                    v = if v & 1 == 1 { 3 * v + 1 } else { v / 2 };
                    n += 1;
                }
                n
            };
            assert_eq!(u32s(&out[0]), starts.iter().map(|&v| length(v)).collect::<Vec<u32>>());
        },
    );
}

#[test]
fn copies_in_stages() {
    let m = fixture("async_copy");
    let tiles = 5usize;
    let x: Vec<f32> = (0..2 * tiles * 512).map(|i| (i % 97) as f32).collect();
    run(
        Run { module: &m, kernel: "async_copy", grid: [2, 1, 1], block: [128, 1, 1], dynamic_shared: 0 },
        |mem| {
            let bx = floats(mem, &x);
            let out = mem.alloc_uninit(1024, 4).unwrap();
            (vec![bx.into(), out.into(), (tiles as i32).into()], vec![out])
        },
        |out, _| {
            let at = |b: usize, i: usize, t: usize| ((b * tiles + i) * 128 + t) * 4;
            let want: Vec<f32> = (0..256)
                .map(|k| {
                    let (b, t) = (k / 128, (k % 128) ^ 1);
                    (0..tiles).map(|i| x[at(b, i, t)..][..4].iter().sum::<f32>()).sum()
                })
                .collect();
            assert_eq!(f32s(&out[0]), want);
        },
    );
}

#[test]
fn a_bulk_copy() {
    let m = fixture("bulk_copy");
    let x: Vec<f32> = (0..2048).map(|i| i as f32).collect();
    run(
        Run { module: &m, kernel: "bulk_copy", grid: [2, 1, 1], block: [96, 1, 1], dynamic_shared: 0 },
        |mem| {
            let bx = floats(mem, &x);
            let out = mem.alloc_uninit(8192, 4).unwrap();
            (vec![bx.into(), out.into()], vec![out])
        },
        |out, _| assert_eq!(f32s(&out[0]), (0..2048).map(|i| (i ^ 1) as f32).collect::<Vec<_>>()),
    );
}

#[test]
fn votes_matches_and_reductions() {
    let m = fixture("warp_vote");
    let x: Vec<u32> = (0..32).map(|i| i / 2).collect();
    let wide: Vec<u64> = (0..32).map(|i| 1 << (i % 8 * 7)).collect();
    run(
        Run { module: &m, kernel: "warp_vote", grid: [1, 1, 1], block: [32, 1, 1], dynamic_shared: 0 },
        |mem| {
            let bx = words(mem, &x);
            let bw = mem.alloc(&bytes_of(&wide, u64::to_le_bytes), 8).unwrap();
            let out = mem.alloc_uninit(128, 4).unwrap();
            (vec![bx.into(), bw.into(), out.into(), 9i32.into()], vec![out])
        },
        |out, _| {
            let want: Vec<u32> = (0..32u32)
                .map(|lane| {
                    let v = x[lane as usize];
                    let mask = |f: &dyn Fn(u32) -> bool| (0..32).filter(|&l| f(l)).fold(0u32, |m, l| m | 1 << l);
                    let mut r = mask(&|l| x[l as usize] > 9);
                    // No lane is negative; lanes 14 and 15 hold 7, so "all are not 7" is false; not all are the same.
                    r = r.wrapping_add(mask(&|l| x[l as usize] == v));
                    r = r.wrapping_add(mask(&|l| l % 8 == lane % 8));
                    r = r.wrapping_add(240).wrapping_add(15);
                    // The minimum is 0, the xor of pairs is 0, the or is 15 and the and 0.
                    if v & 1 == 1 {
                        r = r.wrapping_add(16);
                    }
                    r
                })
                .collect();
            assert_eq!(u32s(&out[0]), want);
        },
    );
}

/// A flag stored with release and read with acquire, within one warp.
#[test]
fn ordered_accesses() {
    let m = fixture("line_info");
    run(
        Run { module: &m, kernel: "ordered", grid: [1, 1, 1], block: [2, 1, 1], dynamic_shared: 0 },
        |mem| {
            let (flag, data) = (words(mem, &[0]), words(mem, &[0]));
            (vec![flag.into(), data.into()], vec![flag])
        },
        |out, _| assert_eq!(u32s(&out[0]), [18]),
    );
}

/// Blocks that take a lock in turn.
#[test]
fn a_lock_between_blocks() {
    let m = fixture("atomics");
    run(
        Run { module: &m, kernel: "locked_add", grid: [6, 1, 1], block: [32, 1, 1], dynamic_shared: 0 },
        |mem| {
            let (lock, sum) = (words(mem, &[0]), floats(mem, &[0.5]));
            (vec![lock.into(), sum.into(), 2.0f32.into()], vec![lock, sum])
        },
        |out, _| assert_eq!((u32s(&out[0]), f32s(&out[1])), (vec![0], vec![12.5])),
    );
}
