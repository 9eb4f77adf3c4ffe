//! Shadow precision on the catalogue: a second witness of what `docs/accuracy.md` says.

mod support;

use ptxgen_builder::interp::Options;
use ptxgen_builder::target::Target;
use ptxgen_dsl::catalogue::{Dims, Request, TYPICAL, find};
use ptxgen_dsl::format::{Q8KPlanar, SUPERBLOCK, TensorType};
use ptxgen_dsl::precision::{Acc, Act, Policy};
use ptxgen_dsl::reference::quantize_q8k;
use support::{Kind, Rng, q4k, q6k, to_bytes};

const ROWS: usize = 128;

/// The cell of `docs/accuracy.md` for these weights, this policy and this many columns.
fn documented(ty: TensorType, policy: Policy, cols: usize) -> String {
    let text = include_str!("../../docs/accuracy.md");
    let cells = |line: &str| line.split('|').map(|c| c.trim().to_owned()).collect::<Vec<_>>();
    let heads = text.lines().find(|l| l.starts_with("| Weights")).map(cells).unwrap();
    let row = format!("| {ty} | {policy} |");
    let row = text.lines().find(|l| l.starts_with(&row)).map(cells).unwrap();
    let column = heads.iter().position(|h| *h == format!("K = {cols}")).unwrap();
    row[column].clone()
}

/// The largest error of a row of the kernel against its shadow, relative to `sum |w x|`, of the matrices of `accuracy.rs`; and
/// the largest distance of a shadow from that file's exact sum.
fn measured(policy: Policy, ty: TensorType, cols: usize) -> (f64, f64) {
    let mut rng = Rng::new(cols as u64);
    let blocks = ROWS * cols / SUPERBLOCK;
    let (name, w) = match ty {
        TensorType::Q4_K => ("q4k-gemv", q4k(&mut rng, blocks, Kind::Plain)),
        _ => ("q6k-gemv", q6k(&mut rng, blocks, Kind::Plain)),
    };
    let x = rng.vector(cols);
    let quantized: Vec<_> = x.as_chunks::<SUPERBLOCK>().0.iter().map(quantize_q8k).collect();
    let (bytes, x): (_, Vec<f64>) = match policy.act {
        Act::F32 => (to_bytes(&x), x.iter().map(|&x| f64::from(x)).collect()),
        Act::Q8K => {
            let x = quantized.iter().flat_map(|b| b.q.map(|q| f64::from(b.d) * f64::from(q))).collect();
            (Q8KPlanar::pack(&quantized), x)
        }
    };
    let dims = Dims { rows: Some(ROWS as u32), cols: Some(cols as u32), ..Dims::NONE };
    let request = Request { dims, ..Request::new(policy, Target::SM_90) };
    let built = find(name).unwrap().build(&request).unwrap();
    let mut weights = vec![0.0; ROWS * cols];
    ty.dequantize(&w, &mut weights).unwrap();
    let inputs = [w, bytes, vec![0; ROWS * 4]];
    let run = built.measure(&built.finish().unwrap(), &inputs, &Options::default()).unwrap();
    assert!(run.trial.report.is_clean(), "{}", run.trial.report);
    let [y] = &run.outputs[..] else { panic!("{:?}", run.outputs) };
    let mut errors = vec![0.0; ROWS];
    run.measured.elements.iter().filter(|e| e.buffer == y.buffer).for_each(|e| errors[e.at as usize / 4] = e.error);
    let (mut worst, mut apart) = (0f64, 0f64);
    for ((bytes, error), row) in run.trial.outputs[0].chunks(4).zip(errors).zip(weights.chunks_exact(cols)) {
        let y = f64::from(f32::from_le_bytes(bytes.try_into().unwrap()));
        let products = || row.iter().zip(&x).map(|(&w, x)| f64::from(w) * x);
        let (exact, magnitude): (f64, f64) = (products().sum(), products().map(f64::abs).sum());
        worst = worst.max(error.abs() / magnitude);
        apart = apart.max((y + error - exact).abs() / magnitude);
    }
    (worst, apart)
}

/// The numbers are those of the page, in every digit that it has: the page computes with the reference's code and exact sums,
/// this runs the emitted kernels and follows errors.
#[test]
fn errors_agree_with_the_documented_ones() {
    for ty in [TensorType::Q4_K, TensorType::Q6_K] {
        for policy in Policy::EXACT {
            for cols in [256, 512, 768, 1024, 2048, 4096] {
                let (error, apart) = measured(policy, ty, cols);
                assert_eq!(format!("{error:.1e}"), documented(ty, policy, cols), "{ty} {policy} K={cols}");
                let bound = if policy.acc == Acc::F32 { 1e-7 } else { 2f64.powi(-24) };
                assert!(error <= bound, "{ty} {policy} K={cols}: {error:e} is beyond {bound:e}");
                // The exact sum is itself one in f64.
                assert!(apart < 1e-15, "{ty} {policy} K={cols}: the shadow is {apart:e} from the exact sum");
            }
        }
    }
}

/// Seconds of a processor that this process's threads have used (Linux).
fn processor_time() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let of = |path: std::path::PathBuf| std::fs::read_to_string(path.join("schedstat")).unwrap_or_default();
    let nanoseconds = |text: String| text.split(' ').next().and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0);
    tasks.flatten().map(|task| nanoseconds(of(task.path())) / 1e9).sum()
}

/// What shadows cost, on the kernels of the catalogue: at most five times the plain interpreter, each (in time of the
/// processor, best of 7). It runs when it is requested:
/// `SHADOW_COST=NAME` takes those whose names begin so.
/// `CARGO_PROFILE_TEST_OPT_LEVEL=3 cargo test -p ptxgen-dsl --test shadow -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn shadows_cost_at_most_five_times_the_plain_interpreter() {
    let wanted = std::env::var("SHADOW_COST").unwrap_or_default();
    let (mut all, mut plain_total, mut measured_total) = (Vec::new(), 0.0, 0.0);
    for entry in TYPICAL {
        for policy in entry.policies() {
            let built = entry.build(&Request::for_trial(entry, policy, Target::SM_90)).unwrap();
            if !built.title().starts_with(&wanted) {
                continue;
            }
            let (module, inputs) = (built.finish().unwrap(), built.sample_inputs(1));
            let options = Options::default();
            let fastest = |run: &dyn Fn() -> bool| {
                let once = |_| {
                    let start = processor_time();
                    assert!(run());
                    processor_time() - start
                };
                (0..7).map(once).fold(f64::INFINITY, f64::min)
            };
            let plain = fastest(&|| built.try_out(&module, &inputs, &options).unwrap().report.is_clean());
            let measured = fastest(&|| built.measure(&module, &inputs, &options).unwrap().trial.report.is_clean());
            plain_total += plain;
            measured_total += measured;
            all.push((measured / plain, format!("{} ({:.2} ms plain)", built.title(), 1e3 * plain)));
        }
    }
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    all.iter().take(15).for_each(|(ratio, name)| println!("{ratio:.2} {name}"));
    let median = all[all.len() / 2].0;
    println!("{} variants: median {median:.2}, all together {:.2}", all.len(), measured_total / plain_total);
    assert!(all[0].0 <= 5.0, "{} costs {:.2} times as much", all[0].1, all[0].0);
}
