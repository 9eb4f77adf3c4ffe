//! The code books of the IQ formats: a number in the file represents four or eight magnitudes.

mod iq1s;
mod iq2s;
mod iq2xs;
mod iq2xxs;
mod iq3s;
mod iq3xxs;

pub(super) use iq1s::CODES as IQ1S;
pub(super) use iq2s::CODES as IQ2S;
pub(super) use iq2xs::CODES as IQ2XS;
pub(super) use iq2xxs::CODES as IQ2XXS;
pub(super) use iq3s::CODES as IQ3S;
pub(super) use iq3xxs::CODES as IQ3XXS;

/// Eight values for each point of a grid of 2-bit codes, one byte each, the first in the low byte.
pub(super) const fn eights<const N: usize>(codes: &[u16; N], values: [u8; 4]) -> [u64; N] {
    let mut table = [0; N];
    let mut point = 0;
    while point < N {
        let mut i = 0;
        while i < 8 {
            let value = values[(codes[point] >> (2 * i) & 3) as usize];
            table[point] |= (value as u64) << (8 * i);
            i += 1;
        }
        point += 1;
    }
    table
}

/// Four values for each point of a grid of 4-bit codes, of which three bits are used.
pub(super) const fn fours<const N: usize>(codes: &[u16; N], values: [u8; 8]) -> [u32; N] {
    let mut table = [0; N];
    let mut point = 0;
    while point < N {
        let mut i = 0;
        while i < 4 {
            let value = values[(codes[point] >> (4 * i) & 7) as usize];
            table[point] |= (value as u32) << (8 * i);
            i += 1;
        }
        point += 1;
    }
    table
}

/// Points of eight values in the form that kernels use, two words each.
pub(super) fn pairs(points: &[u64]) -> Vec<u32> {
    points.iter().flat_map(|p| [*p as u32, (p >> 32) as u32]).collect()
}

/// The eight signs of a seven-bit code: the last sign makes the number of minus signs even (ggml `ksigns_iq2xs`).
#[inline(always)]
pub(super) const fn even_signs(bits: u32) -> u8 {
    let bits = bits & 127;
    (bits | (bits.count_ones() & 1) << 7) as u8
}

/// Writes magnitudes with their signs: a set bit is a minus.
#[inline(always)]
pub(super) fn signed(magnitudes: &[u8], signs: u8, out: &mut [i8]) {
    for (i, (out, &m)) in out.iter_mut().zip(magnitudes).enumerate() {
        *out = if signs >> i & 1 == 1 { -m.cast_signed() } else { m.cast_signed() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_even_in_number() {
        assert_eq!([0, 1, 2, 3, 127].map(even_signs), [0, 0x81, 0x82, 3, 0xff]);
        assert!((0..128).all(|bits| even_signs(bits).count_ones().is_multiple_of(2)));
    }

    #[test]
    fn codes_are_expanded_from_the_low_end() {
        assert_eq!(eights(&[0b10_01_00_00_00_00_00_01], [8, 25, 43, 0])[0], 0x2b19_0808_0808_0819);
        assert_eq!(fours(&[0x7210], [4, 12, 20, 28, 36, 44, 52, 62])[0], 0x3e14_0c04);
    }
}
