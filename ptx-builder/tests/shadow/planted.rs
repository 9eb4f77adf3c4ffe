//! Ten cancellations and ten roundings, each on a line of its own that ends in `// planted: NAME`: the report names exactly
//! that line.

use half::f16;
use ptxgen_builder::build::{AsyncBytes, Body, Global, In, Kernel, Out, ReadOnly, Rounding, Scalar, Val, kernel};
use ptxgen_builder::interp::ErrorLine;
use ptxgen_builder::testing::{Element, Harness, OutputErrors, Random, Shadow};

/// The line of this file with this plant.
fn planted(name: &str) -> u32 {
    let marker = format!("// planted: {name}");
    let found = include_str!("planted.rs").lines().zip(1..).find(|(line, _)| line.trim_end().ends_with(&marker));
    found.unwrap_or_else(|| panic!("nothing is planted as {name}")).1
}

fn lines(all: &[ErrorLine]) -> Vec<u32> {
    all.iter().map(|l| l.site.loc.as_ref().map_or(0, |loc| loc.line)).collect()
}

/// n elements of x to n of y, by a block of n threads.
fn run<X: Element, Y: Element>(x: &[X], write: impl FnOnce(&Body, ReadOnly<X>, Global<Y>)) -> OutputErrors {
    let n = x.len();
    let kernel: Kernel<(In<X>, Out<Y>)> = kernel("k", ["x", "y"], |k, (x, y)| write(k, x, y));
    let shadow = Harness::new(&kernel).input("x", x).output::<Y>("y", n).block(n as u32).shadow();
    shadow.unwrap().output("y").unwrap().clone()
}

/// As [`run`], each thread on its element.
fn each<X: Element, Y: Element>(x: &[X], f: impl FnOnce(&Body, Val<X>) -> Val<Y>) -> OutputErrors
where
    Val<Y>: From<Val<Y>>,
{
    run(x, |k, x, y| {
        let i = k.thread_x();
        let value = f(k, x.at(i).load(k));
        y.at(i).store(k, value);
    })
}

fn numbers() -> Vec<f32> {
    Random::new(7).vector(64).iter().map(|x| x * 0.25 + 1.5).collect()
}

/// All that was introduced was at this line, and nothing was amplified.
#[track_caller]
fn only_introduced(y: &OutputErrors, name: &str) {
    assert!(y.errors.inexact > 0, "{y}");
    assert_eq!(lines(&y.errors.introduced), [planted(name)], "{y}");
    assert!(y.errors.amplified.is_empty(), "{y}");
}

/// Most was introduced at this line.
#[track_caller]
fn introduced(y: &OutputErrors, name: &str) {
    assert_eq!(lines(&y.errors.introduced)[0], planted(name), "{y}");
    assert!(y.errors.introduced[0].share > 0.99, "{y}");
}

/// This line alone amplified, by at least so much.
#[track_caller]
fn amplified(y: &OutputErrors, name: &str, factor: f32) {
    assert_eq!(lines(&y.errors.amplified), [planted(name)], "{y}");
    let found = y.errors.amplified[0].factor.unwrap();
    assert!(found >= factor && found.is_finite(), "{y}");
}

#[test]
fn a_sum_that_loses_a_small_term_and_a_difference_that_shows_it() {
    let y = each::<f32, f32>(&numbers(), |_, x| {
        let small = x * 0.000_000_953_674_3; // 2^-20 and a bit
        let sum = small + 1.0; // planted: small term
        sum - 1.0 // planted: difference
    });
    introduced(&y, "small term");
    amplified(&y, "difference", 1e5);
    assert!(y.errors.relative.as_ref().unwrap().size > 0.01, "{y}");
}

#[test]
fn a_product_less_its_neighbour() {
    // (x + 0.01)(x - 0.01) - x^2, which is -0.0001.
    let y = each::<f32, f32>(&numbers(), |_, x| {
        let product = (x + 0.01) * (x - 0.01);
        product - x * x // planted: neighbour
    });
    amplified(&y, "neighbour", 1000.0);
}

#[test]
fn a_fused_sum_that_cancels() {
    let y = each::<f32, f32>(&numbers(), |_, x| {
        let square = x * x; // planted: rounded square
        x.fma(x, Val::from(-1.0) * square.fma(1.0, 0.0)) + (square - square) // planted: fused
    });
    introduced(&y, "rounded square");
    assert!(y.errors.absolute.as_ref().unwrap().size > 0.0, "{y}");
}

#[test]
fn the_variance_as_mean_of_squares_less_square_of_mean() {
    let x: Vec<f32> = Random::new(3).vector(64).iter().map(|x| 1000.0 + x).collect();
    let y = run::<f32, f32>(&x, |k, x, y| {
        let (sum, squares) = (k.var(0.0f32), k.var(0.0f32));
        k.for_(0u32, 64u32, 1u32, |k, i, _| {
            let v = x.at(i).load(k);
            sum.add(v); // planted: sum
            squares.add_product(v, v); // planted: squares
        });
        let mean = sum.get() * (1.0 / 64.0);
        let variance = squares.get() * (1.0 / 64.0) - mean * mean; // planted: variance
        y.at(k.thread_x()).store(k, variance);
    });
    let found = lines(&y.errors.introduced);
    assert!([planted("sum"), planted("squares")].contains(&found[0]), "{y}");
    amplified(&y, "variance", 1e5);
}

#[test]
fn a_quadratic_formula() {
    // b^2 - 4ac with b^2 next to 4ac.
    let y = each::<f32, f32>(&numbers(), |_, x| {
        let b = x * 1.000_1;
        let squared = b * b;
        let product = x * x;
        let discriminant = squared - product; // planted: discriminant
        discriminant.sqrt()
    });
    amplified(&y, "discriminant", 1000.0);
}

#[test]
fn an_f64_difference() {
    let x: Vec<f64> = numbers().iter().map(|&x| f64::from(x)).collect();
    let y = each::<f64, f64>(&x, |_, x| {
        let third = x / 3.0; // planted: third
        let more = third + 1e6; // planted: millions
        more - 1e6 // planted: less millions
    });
    introduced(&y, "millions");
    amplified(&y, "less millions", 1e5);
    let relative = y.errors.relative.as_ref().unwrap().size;
    assert!(relative > 1e-12 && relative < 1e-9, "{y}");
    assert!(planted("third") > 0);
}

#[test]
fn a_logarithm_next_to_one() {
    let y = each::<f32, f32>(&numbers(), |_, x| {
        let near = (x * 0.000_1) + 1.0; // planted: next to one
        near.lg2_approx() // planted: logarithm
    });
    introduced(&y, "next to one");
    amplified(&y, "logarithm", 1000.0);
}

#[test]
fn a_power_of_a_large_number() {
    let y = each::<f32, f32>(&numbers(), |_, x| {
        let exponent = x * 33.3; // planted: exponent
        exponent.ex2_approx() // planted: power
    });
    introduced(&y, "exponent");
    amplified(&y, "power", 10.0);
}

#[test]
fn a_sine_of_many_turns() {
    let y = each::<f32, f32>(&numbers(), |_, x| {
        let angle = x * 1000.1; // planted: angle
        angle.sin_approx() // planted: sine
    });
    introduced(&y, "angle");
    amplified(&y, "sine", 100.0);
}

#[test]
fn a_cancellation_across_lanes() {
    let y = each::<f32, f32>(&numbers(), |k, x| {
        let third = x / 3.0; // planted: lanes' third
        let left = k.shuffle_xor(third, 1);
        let whole = third + 4096.0; // planted: lanes' whole
        (whole - left) - 4096.0 // planted: lanes' difference
    });
    assert_eq!(lines(&y.errors.introduced)[0], planted("lanes' whole"), "{y}");
    amplified(&y, "lanes' difference", 1000.0);
    assert!(planted("lanes' third") > 0);
}

#[test]
fn a_rounding_to_f16_in_the_middle() {
    let y = each::<f32, f32>(&numbers(), |_, x| {
        let half: Val<f16> = x.to_rn(); // planted: to f16
        half.to::<f32>() * 2.0
    });
    only_introduced(&y, "to f16");
    // Half a unit of f16 in the last place.
    assert!((2f64.powi(-13)..2f64.powi(-11)).contains(&y.errors.relative.as_ref().unwrap().size), "{y}");
}

#[test]
fn a_rounding_to_f32_inside_an_f64_sum() {
    let x: Vec<f64> = Random::new(5).vector(64).iter().map(|&x| f64::from(x) / 3.0).collect();
    let y = run::<f64, f64>(&x, |k, x, y| {
        let sum = k.var(0.0f64);
        k.for_(0u32, 64u32, 1u32, |k, i, _| {
            sum.add(x.at(i).load(k));
            sum.set(sum.get().to_rn::<f32>().to::<f64>()); // planted: to f32
        });
        y.at(k.thread_x()).store(k, sum.get());
    });
    introduced(&y, "to f32");
}

#[test]
fn a_directed_rounding() {
    let y = each::<f32, f32>(&numbers(), |_, x| {
        let third = x.mul_rounded(1.0 / 3.0, Rounding::Zero); // planted: towards zero
        third * 0.5
    });
    only_introduced(&y, "towards zero");
    // The real number is never less.
    assert!(y.errors.ulps.as_ref().unwrap().size > 0.5, "{y}");
}

#[test]
fn an_approximate_reciprocal() {
    let y = each::<f32, f32>(&numbers(), |_, x| {
        let inverse = x.recip_approx(); // planted: reciprocal
        inverse * 4.0
    });
    only_introduced(&y, "reciprocal");
}

#[test]
fn a_quantization_to_bytes_through_shared_memory() {
    let y = run::<f32, f32>(&numbers(), |k, x, y| {
        let i = k.thread_x();
        let tile = k.shared::<i8>(64);
        let quant: Val<i8> = (x.at(i).load(k) * 64.0).to_int(Rounding::NearestEven); // planted: quantization
        tile.at(i).store(k, quant);
        k.barrier();
        let back = tile.at(i).load_extended(k).to_rn::<f32>() * (1.0 / 64.0);
        y.at(i).store(k, back);
    });
    only_introduced(&y, "quantization");
    let most = y.errors.absolute.as_ref().unwrap().size;
    assert!((0.25 / 64.0..=0.5 / 64.0).contains(&most), "{y}");
}

#[test]
fn halves_in_a_pair() {
    let y = each::<f32, f32>(&numbers(), |_, x| {
        let pair = x.to_f16x2(x * 0.5); // planted: pair
        let (low, high) = pair.split();
        low.to::<f32>() + high.to::<f32>() * 4.0
    });
    introduced(&y, "pair");
}

#[test]
fn half_precision_arithmetic() {
    let x: Vec<f16> = numbers().iter().map(|&x| f16::from_f32(x)).collect();
    let y = each::<f16, f32>(&x, |_, x| {
        let product = x.mul_rn(x); // planted: f16 product
        product.to::<f32>() * 8.0
    });
    only_introduced(&y, "f16 product");
}

#[test]
fn a_root_and_its_square() {
    let y = each::<f32, f32>(&numbers(), |_, x| {
        let root = x.sqrt(); // planted: root
        root.to::<f64>().fma(root.to::<f64>(), 0.0).to_rn::<f32>() * 1.0 // planted: its square
    });
    let found = lines(&y.errors.introduced);
    assert_eq!(found[0], planted("root"), "{y}");
    assert!(found.iter().all(|l| [planted("root"), planted("its square")].contains(l)), "{y}");
}

#[test]
fn a_copy_that_arrives_later() {
    // Rounded, stored to global memory, copied back by cp.async.
    let kernel = kernel::<(In<f32>, Out<f32>, Out<f32>)>("k", ["x", "t", "y"], |k, (x, t, y)| {
        let i = k.thread_x();
        let tile = k.shared_aligned::<f32>(64, 16);
        let third = x.at(i).load(k) / 3.0; // planted: copied
        t.at(i).store(k, third);
        k.barrier();
        k.copy_async(tile.at(i), t.at(i), AsyncBytes::B4);
        k.copy_async_commit();
        k.copy_async_wait(0);
        k.barrier();
        let other = tile.at(i ^ 1).load(k);
        y.at(i).store(k, other * 2.0);
    });
    let shadow: Shadow = Harness::new(&kernel)
        .input("x", &numbers())
        .output::<f32>("t", 64)
        .output::<f32>("y", 64)
        .block(64)
        .shadow()
        .unwrap();
    for name in ["t", "y"] {
        only_introduced(shadow.output(name).unwrap(), "copied");
    }
}

#[test]
fn sums_that_are_exact_have_no_error() {
    fn exact<T: Scalar>(_: &Val<T>) {}
    let y = each::<f32, f32>(&numbers(), |_, x| {
        exact(&x);
        (x + x) * 0.5 - x
    });
    assert_eq!((y.errors.inexact, y.not_finite), (0, 0), "{y}");
    assert_eq!(y.to_string(), "y: 0 of 64 elements are inexact");
}

#[test]
fn a_decision_that_rounding_made() {
    // x / 3 times 3 is x, but not always in f32.
    let kernel = kernel::<(In<f32>, Out<f32>)>("k", ["x", "y"], |k, (x, y)| {
        let i = k.thread_x();
        let x = x.at(i).load(k);
        let near = x / 3.0 * 3.0 + 0.000_000_1;
        let holds = near.gt(x); // planted: decision
        y.at(i).store(k, Val::from(1.0).select(holds, 0.0));
        let clear = near.gt(0.0);
        y.at(i).store_if(k, !clear, 2.0);
    });
    let shadow = Harness::new(&kernel).input("x", &numbers()).output::<f32>("y", 64).block(64).shadow().unwrap();
    let [decision] = shadow.decisions() else { panic!("{shadow}") };
    assert_eq!(decision.site.loc.as_ref().map(|l| l.line), Some(planted("decision")), "{shadow}");
    let y = shadow.outcome().read::<f32>("y").unwrap();
    assert_eq!(decision.count, y.iter().filter(|&&y| y == 0.0).count() as u64, "{shadow}");
    assert!(decision.count > 0 && decision.count < 60, "{shadow}");
    assert!(shadow.integers().is_empty());
}
