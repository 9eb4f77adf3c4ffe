//! Formats of 32 weights in nibbles, as kernels read them: half a block is one of the contract's groups.

use ptxgen_builder::build::{Body, Pred, Ptr, ReadSpace, Rounding, Scalar, Val};

use super::{DeviceFloat, DevicePlain, GroupAt, bytes_less, sixteen_values};
use crate::format::{Factor, NibbleFormat, TensorType, Values};

/// Loads `T`, 0 where there is nothing.
#[track_caller]
fn load<S: ReadSpace, T: Scalar>(k: &Body, at: Ptr<S, T>, here: Option<Pred>, zero: T) -> Val<T> {
    match here {
        None => at.load(k),
        Some(here) => at.load_or(k, here, zero),
    }
}

/// `N` words from a pointer that is a multiple of `align` bytes, 1, 2 or 4.
#[track_caller]
fn words<S: ReadSpace, const N: usize>(k: &Body, at: Ptr<S, u8>, align: u32, here: Option<Pred>) -> [Val<u32>; N] {
    std::array::from_fn(|i| {
        let at = at.plus_bytes(4 * i as i64);
        let join = |parts: &[Val<u32>], bits: u32| {
            let shifted = parts.iter().zip(0u32..).map(|(&part, n)| if n == 0 { part } else { part << (bits * n) });
            shifted.reduce(|all, part| all | part).unwrap_or_else(|| unreachable!("a word has parts"))
        };
        match align {
            1 => join(&[0, 1, 2, 3].map(|n| load(k, at.plus_bytes(n), here, 0u8).to::<u32>()), 8),
            2 => join(&[0, 1].map(|n| load(k, at.cast::<u16>().plus(n), here, 0u16).to::<u32>()), 16),
            _ => load(k, at.cast::<u32>(), here, 0u32),
        }
    })
}

impl<F: NibbleFormat> DevicePlain for F {
    const TYPE: TensorType = F::TYPE;

    #[track_caller]
    fn group<S: ReadSpace, A: DeviceFloat>(k: &Body, at: &GroupAt<S>) -> [Val<A>; 16] {
        let (layout, bytes) = (F::LAYOUT, F::TYPE.block_bytes() as u32);
        let align = 1 << bytes.trailing_zeros().min(2);
        let block = at.row.byte_at((at.group >> 1) * bytes);
        let second = at.group & 1;
        let half = |offset: usize| A::of_half(load(k, block.plus_bytes(offset as i64).cast(), at.here, 0u16).bitcast());
        let d = match layout.factor {
            Factor::Half => half(0),
            Factor::Exponent => {
                let e: Val<u32> = load(k, block, at.here, 0u8).to();
                let small = Val::from(0x0020_0000u32).copied() << e.min(1);
                A::widen(((e - 1) << 23).select(e.ge(2), small).bitcast())
            }
        };
        let minimum = layout.minimum.map(half);
        let packed: [Val<u32>; 4] = words(k, block.plus_bytes(layout.quants as i64), align, at.here);
        let high = layout.high.map(|offset| {
            let [bits] = words(k, block.plus_bytes(offset as i64), align, at.here);
            bits >> (second << 4)
        });
        let quants: [Val<u32>; 4] = std::array::from_fn(|i| match layout.values {
            Values::Table(table) => {
                let [low, upper] = sixteen_values(packed[i], table);
                upper.select(second.ne(0), low)
            }
            Values::Less(less) => {
                let nibbles = (packed[i] >> (second << 2)) & 0x0f0f_0f0f;
                // A bit to each byte's fifth.
                let spread = |bits: Val<u32>| ((bits.bfe(4 * i as u32, 4) * 0x0020_4081) & 0x0101_0101) << 4;
                let all = high.map_or(nibbles, |bits| nibbles | spread(bits));
                if less == 0 { all } else { bytes_less(all, less) }
            }
        });
        std::array::from_fn(|i| {
            let q = A::of_int(quants[i / 4].bitcast::<i32>().bfe(8 * (i as u32 % 4), 8));
            match minimum {
                Some(m) => d.fma_rounded(q, m, Rounding::NearestEven),
                None => A::product(d, q),
            }
        })
    }
}
