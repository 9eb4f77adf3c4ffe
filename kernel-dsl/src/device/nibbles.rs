//! Formats of 32 weights in nibbles, as kernels read them: half a block is one of the contract's groups.

use ptxgen_builder::build::{Body, Pred, Ptr, ReadSpace, Rounding, Scalar, Val};

use super::{DeviceFloat, DevicePlain, GroupAt, sixteen_values};
use crate::format::{Factor, NibbleFormat, TensorType, Values};

/// Loads `T`, 0 where there is nothing.
#[track_caller]
fn load<S: ReadSpace, T: Scalar>(k: &Body, at: Ptr<S, T>, here: Option<Pred>, zero: T) -> Val<T> {
    match here {
        None => at.load(k),
        Some(here) => at.load_or(k, here, zero),
    }
}

/// A block's fields, as a lane has loaded them.
struct Fields {
    /// The first byte or two, which are the factor.
    factor: Val<u32>,
    /// What follows them, word by word.
    words: Vec<Val<u32>>,
}

impl Fields {
    /// Those of a block with a factor of one byte, at any address.
    #[track_caller]
    fn of_bytes<S: ReadSpace>(k: &Body, block: Ptr<S, u8>, count: usize, here: Option<Pred>) -> Fields {
        let byte = |n: usize| load(k, block.plus_bytes(n as i64), here, 0u8).to::<u32>();
        let words = (0..count).map(|i| {
            let parts = [1, 2, 3, 4].map(|n| byte(4 * i + n));
            (1..).zip(&parts[1..]).fold(parts[0], |word, (n, &part)| word | (part << (8 * n)))
        });
        Fields { factor: byte(0), words: words.collect() }
    }

    /// Those of a block whose factor is the first half of a pair of 16 bits (the other is a minimum), 4-byte aligned.
    #[track_caller]
    fn of_words<S: ReadSpace>(k: &Body, block: Ptr<S, u8>, count: usize, here: Option<Pred>) -> Fields {
        let word = |i: usize| load(k, block.cast::<u32>().plus(i as i64), here, 0u32);
        Fields { factor: word(0), words: (1..=count).map(word).collect() }
    }

    /// Those of a block with a factor of 16 bits, 2-byte aligned: from aligned words, the last in halves, as the block
    /// may end after the first.
    #[track_caller]
    fn of_halves<S: ReadSpace>(k: &Body, block: Ptr<S, u8>, count: usize, here: Option<Pred>) -> Fields {
        let (start, below) = block.align_down(4);
        let odd = below.ne(0);
        let mut aligned: Vec<_> = (0..count as i64).map(|i| load(k, start.cast::<u32>().plus(i), here, 0u32)).collect();
        let last = start.cast::<u16>().plus(2 * count as i64);
        let low = load(k, last, here, 0u16).to::<u32>();
        let high = load(k, last.plus(1), Some(here.map_or(odd, |here| here & odd)), 0u16).to::<u32>();
        aligned.push(low.prmt(high, 0x5410));
        // The factor is the lower or the upper half of the first.
        let select = Val::from(0x7654u32).select(odd, 0x5432);
        let words = aligned.windows(2).map(|pair| pair[0].prmt(pair[1], select)).collect();
        Fields { factor: aligned[0].prmt(0, Val::from(0x4432u32).select(odd, 0x4410)), words }
    }
}

impl<F: NibbleFormat> DevicePlain for F {
    const TYPE: TensorType = F::TYPE;

    #[track_caller]
    fn group<S: ReadSpace, A: DeviceFloat>(k: &Body, at: &GroupAt<S>) -> [Val<A>; 16] {
        let (layout, bytes) = (F::LAYOUT, F::TYPE.block_bytes() as u32);
        let block = at.row.byte_at((at.group >> 1) * bytes);
        let second = at.group & 1;
        // The nibbles are the last four words.
        let first = if bytes.is_multiple_of(4) { 4 } else { layout.factor.bytes() };
        let count = (bytes as usize - first) / 4;
        let fields = match (layout.factor, first) {
            (Factor::Exponent, _) => Fields::of_bytes(k, block, count, at.here),
            (Factor::Half, 4) => Fields::of_words(k, block, count, at.here),
            (Factor::Half, _) => Fields::of_halves(k, block, count, at.here),
        };
        let word = |offset: usize| fields.words[(offset - first) / 4];
        let half = |bits: Val<u32>| A::of_half(bits.to::<u16>().bitcast());
        let d = match layout.factor {
            Factor::Half => half(fields.factor),
            Factor::Exponent => {
                let e = fields.factor;
                let small = Val::from(0x0020_0000u32).copied() << e.min(1);
                A::widen(((e - 1) << 23).select(e.ge(2), small).bitcast())
            }
        };
        let minimum = layout.minimum.map(|_| half(fields.factor >> 16));
        let packed: [Val<u32>; 4] = std::array::from_fn(|i| word(layout.quants + 4 * i));
        let high = layout.high.map(|offset| word(offset) >> (second << 4));
        let quants: [Val<u32>; 4] = std::array::from_fn(|i| match layout.values {
            Values::Table(table) => {
                // 128 more than the values.
                let [low, upper] = sixteen_values(packed[i], &table.map(|v| v ^ i8::MIN));
                upper.select(second.ne(0), low)
            }
            Values::Less(_) => {
                let nibbles = (packed[i] >> (second << 2)) & 0x0f0f_0f0f;
                // A bit to each byte's fifth.
                let spread = |bits: Val<u32>| ((bits.bfe(4 * i as u32, 4) * 0x0020_4081) & 0x0101_0101) << 4;
                high.map_or(nibbles, |bits| nibbles | spread(bits))
            }
        });
        let less = match layout.values {
            Values::Table(_) => 128,
            Values::Less(less) => u32::from(less),
        };
        std::array::from_fn(|i| {
            let q = A::byte_less(quants[i / 4], i as u32 % 4, less);
            match minimum {
                Some(m) => d.fma_rounded(q, m, Rounding::NearestEven),
                None => A::product(d, q),
            }
        })
    }
}
