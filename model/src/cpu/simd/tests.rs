//! Every level's integer and conversion primitives against the scalar ones.

use super::*;
use proptest::prelude::*;

struct Everything<'a> {
    q4k: [Q4K<'a>; TILE],
    q6k: [Q6K<'a>; TILE],
    x: &'a [Q8KBlock; 4],
    bytes: &'a [u8; 256],
    halves: [u16; 24],
}

type Results = (
    [Sums; 1],
    [Sums; 2],
    [Sums; 4],
    [Sums; 1],
    [Sums; 2],
    [Sums; 4],
    [[u8; 16]; 16],
    Vec<u32>,
    [[[f32; 16]; 16]; 2],
    [[f32; 16]; 2],
);

impl Kernel for Everything<'_> {
    type Output = Results;
    #[inline(always)]
    fn run<I: Isa>(self) -> Results {
        let [a, b, c, d] = self.x;
        let widened = I::f16(self.halves).into_iter().chain(I::f16([self.halves[0], self.halves[1]]));
        (
            I::q4k(self.q4k, [a]),
            I::q4k(self.q4k, [a, b]),
            I::q4k(self.q4k, [a, b, c, d]),
            I::q6k(self.q6k, [d]),
            I::q6k(self.q6k, [c, d]),
            I::q6k(self.q6k, [a, b, c, d]),
            I::transpose(self.bytes),
            widened.map(|v| if v.is_nan() { f32::NAN.to_bits() } else { v.to_bits() }).collect(),
            [I::nibbles(self.q4k[0]), I::sixes(self.q6k[0])],
            [I::floats(I::scales(self.q4k[0]).0), I::floats(I::scales(self.q4k[0]).1)],
        )
    }
}

fn bytes<const N: usize>() -> impl Strategy<Value = [u8; N]> {
    let any = proptest::collection::vec(any::<u8>(), N);
    let extreme = proptest::collection::vec(prop_oneof![Just(0u8), Just(255), Just(127), Just(128)], N);
    prop_oneof![any, extreme].prop_map(|v| v.try_into().unwrap())
}

fn q8k() -> impl Strategy<Value = Q8KBlock> {
    bytes::<256>().prop_map(|b| {
        let q = b.map(u8::cast_signed);
        let sums = std::array::from_fn(|j| q[16 * j..16 * j + 16].iter().map(|&q| i16::from(q)).sum());
        Q8KBlock { q, sums, d: 1.0 }
    })
}

proptest! {
    #[test]
    fn levels_agree(
        q4k in [bytes::<144>(), bytes::<144>(), bytes::<144>(), bytes::<144>()],
        q6k in [bytes::<210>(), bytes::<210>(), bytes::<210>(), bytes::<210>()],
        x in [q8k(), q8k(), q8k(), q8k()],
        block in bytes::<256>(),
        halves in any::<[u16; 24]>(),
    ) {
        let run = |level| {
            Simd::new(level).map(|s| s.run(Everything {
                q4k: q4k.each_ref().map(Q4K::new),
                q6k: q6k.each_ref().map(Q6K::new),
                x: &x,
                bytes: &block,
                halves,
            }))
        };
        let expected = run(SimdLevel::Scalar).unwrap();
        for level in SimdLevel::ALL {
            if let Some(found) = run(level) {
                prop_assert_eq!(&found, &expected, "{}", level);
            }
        }
    }
}
