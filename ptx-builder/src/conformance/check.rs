//! Comparing what a device left in a buffer with what a case expects.

use half::{bf16, f16};
use thiserror::Error;

use super::{Buffer, Expected};
use crate::types::ScalarType;

/// The first element that differs.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{buffer}[{index}] ({ty}) is {got}, and should be {expected}{}",
    if *.more > 0 { format!(" ({more} more elements differ)") } else { String::new() })]
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

impl Buffer {
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
    let (mantissa, least) = precision(ty);
    let exponent = if want == 0.0 { least } else { (want.abs().log2().floor() as i32).max(least) };
    let ulp = 2f64.powi(exponent - mantissa);
    let error = (got - want).abs();
    error > 0.0 && (error <= expected.ulp * ulp || error <= expected.absolute)
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
}
