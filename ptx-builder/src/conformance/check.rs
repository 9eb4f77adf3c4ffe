//! Comparing what a device left in a buffer with what a case expects.

use half::{bf16, f16};
use thiserror::Error;

use super::{Buffer, Expected};
use crate::types::ScalarType;

/// The first element that differs.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{buffer}[{index}] ({ty}) is {got}, and should be {expected}{}",
    if *.more > 0 { format!(" ({more} more elements differ)") } else { String::new() })]
#[non_exhaustive]
pub struct Mismatch {
    /// The buffer.
    pub buffer: String,
    /// The element.
    pub index: usize,
    /// Its type.
    pub ty: ScalarType,
    /// Its bits.
    pub got: String,
    /// The bits allowed, and the tolerance.
    pub expected: String,
    /// How many further elements differ.
    pub more: usize,
}

/// How far a device's results are from the expected ones.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
#[non_exhaustive]
pub struct Deviation {
    /// The largest error in units in the last place of the expected value.
    pub ulp: f64,
    /// The largest absolute error.
    pub absolute: f64,
}

impl Buffer {
    /// The largest errors of finite results, each against the nearest value
    /// allowed; none for a buffer without a tolerance.
    pub fn deviation(&self, bytes: &[u8]) -> Option<Deviation> {
        let expected = self.expected.as_ref().filter(|e| e.ulp > 0.0 || e.absolute > 0.0)?;
        let mut worst = Deviation::default();
        for (allowed, got) in expected.elements.iter().zip(bytes.chunks_exact(self.ty.bytes() as usize)) {
            let got = numbers(self.ty, word(got)).unwrap_or_default();
            for (i, &got) in got.iter().enumerate().filter(|(_, got)| got.is_finite()) {
                let wanted = allowed.iter().filter_map(|&bits| numbers(self.ty, bits)?.get(i).copied());
                let errors = wanted.filter(|w| w.is_finite()).map(|want| ((got - want).abs(), ulp(self.ty, want)));
                if let Some((error, ulp)) = errors.min_by(|a, b| a.0.total_cmp(&b.0)) {
                    worst.absolute = worst.absolute.max(error);
                    worst.ulp = worst.ulp.max(error / ulp);
                }
            }
        }
        Some(worst)
    }

    /// Compares the buffer's bytes after a launch with what is expected.
    ///
    /// # Errors
    /// The first element that differs. A buffer of another size differs in the
    /// first element that is missing.
    pub fn check(&self, bytes: &[u8]) -> Result<(), Mismatch> {
        let Some(expected) = &self.expected else { return Ok(()) };
        let size = self.ty.bytes() as usize;
        let mut wrong = expected.elements.iter().enumerate().filter_map(|(index, allowed)| {
            let got = bytes.get(index * size..(index + 1) * size).map(word);
            let fits = got.is_some_and(|got| allowed.iter().any(|&want| equals(self.ty, got, want, expected)));
            (!fits).then_some((index, got, allowed))
        });
        let Some((index, got, allowed)) = wrong.next() else { return Ok(()) };
        let show = |bits: u64| match numbers(self.ty, bits) {
            Some(values) => format!("{bits:x} {values:?}"),
            None => format!("{bits:x}"),
        };
        let mut text: Vec<String> = allowed.iter().map(|&bits| show(bits)).collect();
        if expected.ulp > 0.0 || expected.absolute > 0.0 {
            text.push(format!("within {} ulp or {:e}", expected.ulp, expected.absolute));
        }
        Err(Mismatch {
            buffer: self.name.clone(),
            index,
            ty: self.ty,
            got: got.map_or_else(|| "missing".to_owned(), show),
            expected: text.join(" or "),
            more: wrong.count(),
        })
    }
}

fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |bits, &b| bits << 8 | u64::from(b))
}

/// The one or two numbers of a float type's bits.
fn numbers(ty: ScalarType, bits: u64) -> Option<Vec<f64>> {
    let f16 = |bits: u64| f16::from_bits(bits as u16).to_f64();
    let bf16 = |bits: u64| bf16::from_bits(bits as u16).to_f64();
    Some(match ty {
        ScalarType::F16 => vec![f16(bits)],
        ScalarType::Bf16 => vec![bf16(bits)],
        ScalarType::F16x2 => vec![f16(bits), f16(bits >> 16)],
        ScalarType::Bf16x2 => vec![bf16(bits), bf16(bits >> 16)],
        ScalarType::F32 => vec![f64::from(f32::from_bits(bits as u32))],
        ScalarType::F64 => vec![f64::from_bits(bits)],
        _ => return None,
    })
}

/// Stored mantissa bits and the exponent of the least normal number.
fn precision(ty: ScalarType) -> (i32, i32) {
    match ty {
        ScalarType::F16 | ScalarType::F16x2 => (10, -14),
        ScalarType::Bf16 | ScalarType::Bf16x2 => (7, -126),
        ScalarType::F32 => (23, -126),
        _ => (52, -1022),
    }
}

fn equals(ty: ScalarType, got: u64, want: u64, expected: &Expected) -> bool {
    if got == want {
        return true;
    }
    let (Some(a), Some(b)) = (numbers(ty, got), numbers(ty, want)) else { return false };
    a.iter().zip(&b).all(|(&a, &b)| close(ty, a, b, expected))
}

fn close(ty: ScalarType, got: f64, want: f64, expected: &Expected) -> bool {
    if got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan() {
        return true;
    }
    if !got.is_finite() || !want.is_finite() {
        return false;
    }
    let error = (got - want).abs();
    error > 0.0 && (error <= expected.ulp * ulp(ty, want) || error <= expected.absolute)
}

/// A unit in the last place of a finite value.
fn ulp(ty: ScalarType, value: f64) -> f64 {
    let (mantissa, least) = precision(ty);
    let exponent = if value == 0.0 { least } else { (value.abs().log2().floor() as i32).max(least) };
    2f64.powi(exponent - mantissa)
}

#[cfg(test)]
mod tests {
    use super::super::{Case, Param};

    fn differs(ty: &str, tolerance: &str, words: &str, got: &[u8]) -> Option<usize> {
        let text = format!("//@ form x\n//@ out d {ty} {tolerance}\n//@   {words}\n");
        let case = Case::parse("case", &text).unwrap();
        let Some(Param::Buffer(buffer)) = case.params.first() else { panic!("one buffer") };
        buffer.check(got).err().map(|m| m.index)
    }

    #[test]
    fn exact_values_nans_alternatives_and_tolerances() {
        let f = |x: f32| x.to_le_bytes();
        assert_eq!(differs("u16", "", "0102 0304", &[2, 1, 4, 3]), None);
        assert_eq!(differs("u16", "", "0102 0304", &[2, 1, 5, 3]), Some(1));
        assert_eq!(differs("u16", "", "0102*2", &[2, 1]), Some(1), "a missing element differs");
        assert_eq!(differs("f32", "", "7fffffff", &f(f32::from_bits(0xffc0_0001))), None, "a NaN is a NaN");
        assert_eq!(differs("b32", "", "7fffffff", &f(f32::from_bits(0xffc0_0001))), Some(0));
        assert_eq!(differs("f32", "", "80000000", &f(0.0)), Some(0), "zeros have signs");
        assert_eq!(differs("f32", "", "80000000|00000000", &f(0.0)), None);
        let next = f(f32::from_bits(1f32.to_bits() + 2));
        assert_eq!(differs("f32", "ulp 1.5", "3f800000", &next), Some(0));
        assert_eq!(differs("f32", "ulp 2", "3f800000", &next), None);
        assert_eq!(differs("f32", "abs 1e-6", "3f800000", &next), None);
        assert_eq!(differs("f32", "ulp 2", "7f800000", &f(f32::MAX)), Some(0), "infinity is exact");
        assert_eq!(differs("f16x2", "ulp 1", "3c003c00", &[1, 0x3c, 2, 0x3c]), Some(0), "each half by itself");
    }

    #[test]
    fn deviations_of_results() {
        let text =
            "//@ form x\n//@ out d f32 ulp 2\n//@   3f800000|40000000 7f800000 40000000\n//@ out e f32\n//@   0\n";
        let case = Case::parse("case", text).unwrap();
        let [Param::Buffer(d), Param::Buffer(e)] = &case.params[..] else { panic!("two buffers") };
        let bytes: Vec<u8> = [0x3f800002u32, 0x7f800000, 0x40000001].iter().flat_map(|b| b.to_le_bytes()).collect();
        let deviation = d.deviation(&bytes).unwrap();
        assert_eq!((deviation.ulp, deviation.absolute), (2.0, 2f64.powi(-22)));
        assert_eq!(e.deviation(&[0; 4]), None, "exact");
    }
}
