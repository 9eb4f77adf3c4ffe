//! Methods of the typed builder that no kernel of this workspace calls: with every type that their bounds allow they
//! give instructions that verify, and where the interpreter can run them by one thread or one warp, the value that
//! their documentation says.

use half::{bf16, f16};
use ptxgen_builder::build::{Bf16x2, Body, F16x2, Global, In, InOut, Kernel, Out, Rounding, Val, Var, kernel};
use ptxgen_builder::target::Target;
use ptxgen_builder::testing::Harness;

const ROUNDINGS: [Rounding; 4] = [Rounding::NearestEven, Rounding::Zero, Rounding::Down, Rounding::Up];

#[track_caller]
fn verifies<A: ptxgen_builder::build::Args>(k: &Kernel<A>) {
    if let Err(errors) = k.verify(Target::SM_90) {
        panic!("{errors}");
    }
}

/// What each lane of one warp gets.
#[track_caller]
fn lanes(write: impl Fn(&Body) -> Val<u32>) -> Vec<u32> {
    let k = kernel::<(Out<u32>,)>("lanes", ["y"], |k, (y,)| {
        let value = write(k);
        y.at(k.lane()).store(k, value);
    });
    verifies(&k);
    // Folding would compute them with the table's functions alone.
    Harness::new(&k.with_block(32).unoptimized()).output::<u32>("y", 32).run().unwrap().read("y").unwrap()
}

/// What one lane gets.
#[track_caller]
fn one(write: impl Fn(&Body) -> Val<u32>) -> u32 {
    lanes(write)[0]
}

#[test]
fn ordered_and_volatile_accesses_of_every_type() {
    macro_rules! all {
        ($($t:ty),*) => {$({
            let k = kernel::<(InOut<u8>,)>("ordered", ["x"], |k, (x,)| {
                let x: Global<$t> = x.cast();
                let (acquired, volatile) = (x.load_acquire(k), x.plus(1).load_volatile(k));
                x.store_release(k, volatile);
                x.plus(1).store(k, acquired);
                x.prefetch_l2(k);
                k.fence_block();
                k.fence_gpu();
                k.fence_async_shared();
            });
            verifies(&k);
        })*};
    }
    all!(u8, u16, u32, u64, i8, i16, i32, i64, f16, bf16, F16x2, Bf16x2, f32, f64);
}

#[test]
fn nan_as_an_integer() {
    let narrow = |k: &Body| -> Val<i32> { k.var(f32::NAN).get().to_int(Rounding::Zero) };
    assert_eq!(one(|k| narrow(k).bitcast()), 0);
    let wide = |k: &Body| -> Val<i32> { k.var(f64::NAN).get().to_int(Rounding::Zero) };
    assert_eq!(one(|k| wide(k).bitcast()) as i32, i32::MIN);
    assert_eq!(one(|k| k.var(300.0f32).get().to_int::<u8>(Rounding::Zero).to()), 255, "clamped");
}

#[test]
fn roundings_of_sums_and_products() {
    let x = 1.0f32 + f32::EPSILON;
    let least = f32::from_bits(1);
    for (rounding, up) in ROUNDINGS.into_iter().zip([0, 0, 0, 1]) {
        let sum = one(|k| k.var(x).get().add_rounded(least, rounding).bitcast());
        assert_eq!(sum, x.to_bits() + up, "{rounding:?}");
        let product = one(|k| k.var(x).get().mul_rounded(x, rounding).bitcast());
        assert_eq!(product, (1.0 + 2.0 * f32::EPSILON).to_bits() + up, "{rounding:?}");
    }
    let k = kernel::<(f64, Out<f64>)>("doubles", ["a", "y"], |k, (a, y)| {
        for rounding in ROUNDINGS {
            y.store(k, a.add_rounded(a, rounding).mul_rounded(a, rounding));
        }
    });
    verifies(&k);
}

#[test]
fn halves_and_pairs_of_them() {
    let pair = |k: &Body| k.var(1.5f32).get().to_f16x2(-2.0);
    assert_eq!(one(|k| pair(k).bitcast()), 0xc000_3e00, "the first is low");
    assert_eq!(one(|k| pair(k).add_rn(pair(k)).mul_rn(pair(k)).bitcast()), 0x4800_4480);
    assert_eq!(one(|k| k.var(1.5f32).get().to_bf16x2(-2.0).bitcast()), 0xc000_3fc0);
    let k = kernel::<(In<f16>, In<bf16>, Out<f16>, Out<bf16>)>("halves", ["a", "b", "x", "y"], |k, (a, b, x, y)| {
        let (a, b) = (a.load(k), b.load(k));
        x.store(k, a.add_rn(a).mul_rn(a));
        y.store(k, b.add_rn(b).mul_rn(b));
        let pair: Val<Bf16x2> = b.pair(b);
        y.store(k, pair.add_rn(pair).mul_rn(pair).split().0);
    });
    verifies(&k);
}

#[test]
fn lanes_of_a_warp() {
    assert_eq!(lanes(|k| k.active_mask()), [u32::MAX; 32]);
    let odd = |lane: usize| if lane % 2 == 1 { 0xaaaa_aaaa } else { 0x5555_5555 };
    assert_eq!(lanes(|k| k.match_any(k.lane() & 1)), std::array::from_fn::<u32, 32, _>(odd));
    let above: Vec<u32> = (0..32).map(|lane| if lane + 3 < 32 { lane + 3 } else { lane }).collect();
    assert_eq!(lanes(|k| k.shuffle_down(k.lane(), 3)), above);
    let signed = |k: &Body| -> Val<i32> { k.lane().bitcast::<i32>() - 16 };
    assert_eq!(lanes(|k| k.redux_max(signed(k)).bitcast()), [15; 32]);
    assert_eq!(lanes(|k| k.redux_add(signed(k)).bitcast()), [-16i32 as u32; 32]);
    assert_eq!(lanes(|k| k.redux_max(signed(k).bitcast::<u32>())), [u32::MAX; 32]);
}

#[test]
fn integers() {
    assert_eq!(one(|k| k.var(0x8765_4321u32).get().funnel_right(0xabu32, 8u32)), 0xab87_6543);
    let dot = |k: &Body| -> Val<u32> {
        let sum: Var<i32> = k.var(7);
        sum.add_dp4a(0x0403_02ff, 0x0101_0101);
        sum.get().bitcast()
    };
    assert_eq!(one(dot), 7 - 1 + 2 + 3 + 4);
}

#[test]
fn approximations_keep_to_their_documented_errors() {
    let near = |found: u32, expected: f64, error: f64| {
        let found = f64::from(f32::from_bits(found));
        assert!((found - expected).abs() <= error, "{found} for {expected}, within {error}");
    };
    for x in [0.6f32, 1.9, 7.25] {
        let (wide, of) = (f64::from(x), |f: fn(Val<f32>) -> Val<f32>| one(|k| f(k.var(x).get()).bitcast()));
        near(of(Val::lg2_approx), wide.log2(), 2f64.powi(-22) * wide.log2().abs().max(1.0));
        near(of(Val::rsqrt_approx), wide.sqrt().recip(), 2f64.powf(-22.9) * wide.sqrt().recip());
        near(of(Val::sqrt_approx), wide.sqrt(), 2f64.powi(-23) * wide.sqrt());
    }
    for x in [-3.0f32, 0.5, 6.0] {
        let (wide, of) = (f64::from(x), |f: fn(Val<f32>) -> Val<f32>| one(|k| f(k.var(x).get()).bitcast()));
        near(of(Val::sin_approx), wide.sin(), 2f64.powf(-20.5));
        near(of(Val::cos_approx), wide.cos(), 2f64.powf(-20.5));
    }
}

#[test]
fn a_return_leaves_the_rest_of_the_kernel() {
    let k = kernel::<(InOut<u32>,)>("early", ["y"], |k, (y,)| {
        let i = k.thread_x();
        k.if_(i.ge(16), |k| k.return_());
        y.at(i).store(k, 1u32);
    });
    let found: Vec<u32> = Harness::new(&k.with_block(32)).inout("y", &[0u32; 32]).run().unwrap().read("y").unwrap();
    assert_eq!(found.iter().sum::<u32>(), 16);
    assert!(found[..16].iter().all(|&y| y == 1));
}

#[test]
fn matrices_and_copies() {
    let k = kernel::<(In<f32>, Out<f32>)>("matrices", ["x", "y"], |k, (x, y)| {
        let tile = k.shared_aligned::<f32>(256, 16);
        let done = k.mbarrier();
        let thread = k.thread_x();
        k.if_(thread.eq(0), |k| done.init(k, 1u32));
        k.barrier();
        k.if_(thread.eq(0), |k| {
            done.arrive_expecting(k, 1024u32);
            k.copy_bulk(tile, x, 1024u32, done);
        });
        done.wait(k, 0u32);
        let words = k.load_matrix_x4(tile.cast::<u16>().at(k.lane() * 8));
        let (a, b): ([Val<Bf16x2>; 4], _) = (words.map(Val::bitcast), [words[0].bitcast(), words[1].bitcast()]);
        let zero = [(); 4].map(|()| Val::from(0.0f32).copied());
        let sums = k.mma_bf16(a, b, zero);
        y.at(thread * 4).store_vec(k, sums);
        k.barrier_arrive(1u32, 64u32);
    });
    verifies(&k);
}
