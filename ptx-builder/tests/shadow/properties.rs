//! What holds for all kernels: shadows change no bit, exact arithmetic has no error, and a shadow is the real number.

use proptest::prelude::*;
use ptxgen_builder::build::{Body, Kernel, Out, Scalar, Val, kernel};
use ptxgen_builder::interp::{Arg, Launch, Memory, Options};
use ptxgen_builder::random_modules::plans;
use ptxgen_builder::testing::{Element, Harness, Shadow};
use ptxgen_builder::verify::verify;
use rustc_apfloat::ieee::{Double, Quad};
use rustc_apfloat::{Float, FloatConvert};

/// An operation of a random program: on earlier values, by number.
#[derive(Clone, Copy, Debug)]
enum Step {
    Add(usize, usize),
    Sub(usize, usize),
    Mul(usize, usize),
    Fma(usize, usize, usize),
    Div(usize, usize),
    Sqrt(usize),
    Max(usize, usize),
    Neg(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let n = || 0..1000usize;
    let step = prop_oneof![
        (n(), n()).prop_map(|(a, b)| Step::Add(a, b)),
        (n(), n()).prop_map(|(a, b)| Step::Sub(a, b)),
        (n(), n()).prop_map(|(a, b)| Step::Mul(a, b)),
        (n(), n(), n()).prop_map(|(a, b, c)| Step::Fma(a, b, c)),
        (n(), n()).prop_map(|(a, b)| Step::Div(a, b)),
        n().prop_map(Step::Sqrt),
        (n(), n()).prop_map(|(a, b)| Step::Max(a, b)),
        n().prop_map(Step::Neg),
    ];
    prop::collection::vec(step, 1..12)
}

/// An interval of reals that holds the exact result, in f64 with its own rounding as part of it.
#[derive(Clone, Copy, Debug)]
struct Interval(f64, f64);

impl Interval {
    fn of(all: &[f64]) -> Interval {
        let least = all.iter().copied().fold(f64::INFINITY, f64::min);
        let most = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Interval(least.next_down(), most.next_up())
    }

    fn each(self, other: Interval, f: impl Fn(f64, f64) -> f64) -> Interval {
        Interval::of(&[f(self.0, other.0), f(self.0, other.1), f(self.1, other.0), f(self.1, other.1)])
    }
}

/// The reals that a program computes; none where it divides by what may be 0, or takes the root of what may be negative.
fn interpret(steps: &[Step], inputs: &[f64]) -> Option<Vec<Interval>> {
    let mut all: Vec<Interval> = inputs.iter().map(|&x| Interval(x, x)).collect();
    for step in steps {
        let at = |i: usize| all[i % all.len()];
        let next = match *step {
            Step::Add(a, b) => at(a).each(at(b), |a, b| a + b),
            Step::Sub(a, b) => at(a).each(at(b), |a, b| a - b),
            Step::Mul(a, b) => at(a).each(at(b), |a, b| a * b),
            Step::Fma(a, b, c) => at(a).each(at(b), |a, b| a * b).each(at(c), |p, c| p + c),
            Step::Div(_, b) if at(b).0 <= 0.0 && at(b).1 >= 0.0 => return None,
            Step::Div(a, b) => at(a).each(at(b), |a, b| a / b),
            Step::Sqrt(a) if at(a).0 < 0.0 => return None,
            Step::Sqrt(a) => at(a).each(at(a), |a, _| a.sqrt()),
            // Which is chosen must not depend on rounding.
            Step::Max(a, b) if at(a).0.max(at(b).0) <= at(a).1.min(at(b).1) => return None,
            Step::Max(a, b) => {
                if at(a).0 > at(b).0 {
                    at(a)
                } else {
                    at(b)
                }
            }
            Step::Neg(a) => Interval(-at(a).1, -at(a).0),
        };
        all.push(next);
    }
    Some(all)
}

/// The same in numbers of 113 bits.
fn in_quad(steps: &[Step], inputs: &[f64]) -> Vec<Quad> {
    let mut all: Vec<Quad> = inputs.iter().map(|&x| quad(x)).collect();
    for step in steps {
        let at = |i: usize| all[i % all.len()];
        let next = match *step {
            Step::Add(a, b) => (at(a) + at(b)).value,
            Step::Sub(a, b) => (at(a) - at(b)).value,
            Step::Mul(a, b) => (at(a) * at(b)).value,
            Step::Fma(a, b, c) => at(a).mul_add(at(b), at(c)).value,
            Step::Neg(a) => -at(a),
            Step::Div(..) | Step::Sqrt(_) | Step::Max(..) => unreachable!("taken out"),
        };
        all.push(next);
    }
    all
}

fn quad(x: f64) -> Quad {
    Double::from_bits(u128::from(x.to_bits())).convert(&mut false).value
}

fn to_f64(x: Quad) -> f64 {
    let narrow: Double = x.convert(&mut false).value;
    f64::from_bits(narrow.to_bits() as u64)
}

/// The program as a kernel of one thread that stores every value.
fn program<T: Scalar + Element>(steps: &[Step], inputs: &[T]) -> Shadow
where
    Val<T>: From<T> + std::ops::Add<Output = Val<T>> + std::ops::Sub<Output = Val<T>>,
    Val<T>: std::ops::Mul<Output = Val<T>> + std::ops::Div<Output = Val<T>> + std::ops::Neg<Output = Val<T>> + Ops,
{
    let write = |k: &Body, y: ptxgen_builder::build::Global<T>| {
        let mut all: Vec<Val<T>> = inputs.iter().map(|&x| Val::from(x).copied()).collect();
        for step in steps {
            let at = |i: usize| all[i % all.len()];
            let next = match *step {
                Step::Add(a, b) => at(a) + at(b),
                Step::Sub(a, b) => at(a) - at(b),
                Step::Mul(a, b) => at(a) * at(b),
                Step::Fma(a, b, c) => at(a).fused(at(b), at(c)),
                Step::Div(a, b) => at(a) / at(b),
                Step::Sqrt(a) => at(a).root(),
                Step::Max(a, b) => at(a).greater(at(b)),
                Step::Neg(a) => -at(a),
            };
            all.push(next);
        }
        for (i, value) in all.iter().enumerate() {
            y.at(i as u32).store(k, *value);
        }
    };
    let kernel: Kernel<(Out<T>,)> = kernel("k", ["y"], |k, (y,)| write(k, y)).unoptimized();
    Harness::new(&kernel).output::<T>("y", inputs.len() + steps.len()).block(1).shadow().unwrap()
}

/// Methods that f32 and f64 values have by the same names.
trait Ops: Sized {
    fn fused(self, b: Self, c: Self) -> Self;
    fn root(self) -> Self;
    fn greater(self, b: Self) -> Self;
}

macro_rules! ops {
    ($($t:ty),*) => {$(
        impl Ops for Val<$t> {
            fn fused(self, b: Self, c: Self) -> Self { self.fma(b, c) }
            fn root(self) -> Self { self.sqrt() }
            fn greater(self, b: Self) -> Self { self.max(b) }
        }
    )*};
}
ops!(f32, f64);

/// The errors by element, 0 where it is exact.
fn errors(shadow: &Shadow, n: usize, size: u64) -> Vec<f64> {
    let mut all = vec![0.0; n];
    shadow.measured().elements.iter().for_each(|e| all[(e.at / size) as usize] = e.error);
    all
}

fn numbers() -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(prop_oneof![-4.0f32..4.0, 0.5f32..2.0, Just(1.0f32), Just(-0.125f32), 1e-6f32..1e-3], 2..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// f64 intervals hold what an f32's shadow says: it has more digits than they.
    #[test]
    fn a_shadow_is_the_real_number(steps in steps(), inputs in numbers()) {
        let wide: Vec<f64> = inputs.iter().map(|&x| f64::from(x)).collect();
        if let Some(reals) = interpret(&steps, &wide) {
            let shadow = program(&steps, &inputs);
            let values = shadow.outcome().read::<f32>("y").unwrap();
            let errors = errors(&shadow, values.len(), 4);
            for (i, (value, real)) in values.iter().zip(&reals).enumerate() {
                if !value.is_finite() {
                    break;
                }
                let shadow = f64::from(*value) + errors[i];
                let slack = 1e-12 * (real.0.abs().max(real.1.abs()));
                prop_assert!(shadow >= real.0 - slack && shadow <= real.1 + slack, "{i}: {value} + {:e}, {real:?}", errors[i]);
            }
        }
    }

    /// The same in f64, against 113 bits.
    #[test]
    fn an_f64_has_a_shadow_too(steps in steps(), inputs in prop::collection::vec(0.5f32..2.0, 2..5)) {
        let steps: Vec<Step> =
            steps.into_iter().filter(|s| !matches!(s, Step::Div(..) | Step::Sqrt(_) | Step::Max(..))).collect();
        let inputs: Vec<f64> = inputs.iter().map(|&x| f64::from(x) / 3.0).collect();
        let shadow = program(&steps, &inputs);
        let values = shadow.outcome().read::<f64>("y").unwrap();
        let errors = errors(&shadow, values.len(), 8);
        let mut scale = 1f64;
        for (i, (value, real)) in values.iter().zip(in_quad(&steps, &inputs)).enumerate() {
            scale = scale.max(value.abs()).max(value * value);
            if scale > 1e100 {
                break;
            }
            let error = to_f64((real - quad(*value)).value);
            prop_assert!((error - errors[i]).abs() <= 1e-28 * scale, "{i}: {value:e} + {:e}, and {error:e}", errors[i]);
        }
    }

    /// Small integers, and halves of them, are summed and multiplied without error.
    #[test]
    fn exact_arithmetic_has_no_error(steps in steps(), inputs in prop::collection::vec(-8i8..8, 2..5)) {
        let exact: Vec<Step> =
            steps.into_iter().filter(|s| matches!(s, Step::Add(..) | Step::Sub(..) | Step::Max(..) | Step::Neg(_))).collect();
        let inputs: Vec<f32> = inputs.iter().map(|&x| f32::from(x) / 2.0).collect();
        let shadow = program(&exact, &inputs);
        prop_assert_eq!(shadow.output("y").unwrap().errors.inexact, 0, "{}", shadow);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Random modules of all instructions end alike, with and without shadows.
    #[test]
    fn shadows_change_no_bit(plan in plans(), seed: u64) {
        let Ok(module) = verify(plan.module()) else { return Ok(()) };
        let kernel = &module.module().kernels[0];
        let go = |measure: bool| {
            let mut memory = Memory::new();
            let mut state = seed;
            let mut word = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 32) as u32
            };
            let bytes: Vec<u8> = (0..1024).flat_map(|_| word().to_le_bytes()).collect();
            let mut buffers = Vec::new();
            let mut args = Vec::new();
            for param in &kernel.params {
                if param.pointer.is_some() || param.ty.bytes() == 8 && param.len.is_none() {
                    buffers.push(memory.alloc(&bytes, 256).unwrap());
                    args.push(Arg::from(buffers[buffers.len() - 1]));
                } else {
                    let n = param.ty.bytes() * param.len.unwrap_or(1);
                    args.push(Arg::bytes(&bytes[..n as usize]));
                }
            }
            let block = kernel.bounds.required.unwrap_or([64, 1, 1]);
            let options = Options { max_steps: 20_000, ..Options::default() };
            let launch = Launch {
                module: &module, kernel: &kernel.name, grid: [1; 3], block, dynamic_shared: 256, args: &args, globals: None,
                options: &options,
            };
            let report = match measure {
                true => launch.measure(&mut memory).map(|(report, _)| report),
                false => launch.run(&mut memory),
            };
            let memory: Vec<Vec<u8>> = buffers.iter().map(|&b| memory.read(b).unwrap()).collect();
            (report.map(|r| r.to_string()).map_err(|e| e.to_string()), memory)
        };
        prop_assert_eq!(go(false), go(true));
    }
}
