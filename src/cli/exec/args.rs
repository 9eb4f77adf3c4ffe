//! Parses `--arg`.

use super::npy;
use crate::cli::{Usage, inputs};
use ptxgen_builder::{exec::Value, types::ScalarType};
use std::{
    io::Write,
    path::{Path, PathBuf},
};

/// The maximum size of a buffer.
const MOST: u64 = 1 << 32;

/// An argument.
pub struct Given {
    /// The text of the argument.
    pub text: String,
    /// The value of the parameter.
    pub value: Value,
    /// The elements' type.
    pub ty: ScalarType,
    /// The array's shape.
    pub shape: Vec<u64>,
    /// Where the output is written.
    pub file: Option<PathBuf>,
}

impl Given {
    /// Writes the output in the format of the file's name.
    pub fn write(&self, to: &mut dyn Write, bytes: &[u8]) -> anyhow::Result<()> {
        if self.file.as_deref().is_some_and(npy::is_npy) {
            to.write_all(&npy::header(self.ty, &self.shape)?)?;
        }
        Ok(to.write_all(bytes)?)
    }
}

/// Parses an argument.
pub fn given(text: &str) -> anyhow::Result<Given> {
    let wrong = |why: String| Usage(format!("--arg {text}: {why}"));
    let (kind, rest) = text.split_once(':').ok_or_else(|| {
        wrong("expected TYPE:VALUE, in:TYPE:FILE, inout:TYPE:FILE, out:TYPE:COUNT[:FILE] or zero:TYPE:COUNT".into())
    })?;
    let ty_of = |name: &str| {
        let ty = ScalarType::from_name(name).filter(|ty| (1..=8).contains(&ty.bytes()));
        ty.ok_or_else(|| wrong(format!("'{name}' is not the type of a value, such as u32 or f32")))
    };
    if !matches!(kind, "in" | "inout" | "out" | "zero") {
        let ty = ty_of(kind)?;
        let bytes = scalar(ty, rest).ok_or_else(|| wrong(format!("'{rest}' is not a {ty}")))?;
        let value = Value::Scalar(bytes);
        return Ok(Given { text: text.to_owned(), value, ty, shape: Vec::new(), file: None });
    }
    let (name, rest) = rest.split_once(':').ok_or_else(|| wrong("expected a type and more after it".into()))?;
    let ty = ty_of(name)?;
    let made = |value, shape, file| Given { text: text.to_owned(), value, ty, shape, file };
    if kind == "in" || kind == "inout" {
        let path = Path::new(rest);
        let (bytes, shape) = read(path, ty, kind == "in").map_err(|e| e.context(format!("--arg {text}")))?;
        return Ok(match kind {
            "in" => made(Value::In(bytes), shape, None),
            _ => made(Value::InOut(bytes), shape, Some(path.to_owned())),
        });
    }
    let (count, file) = match rest.split_once(':') {
        Some((count, file)) if kind == "out" => (count, Some(PathBuf::from(file))),
        _ => (rest, None),
    };
    let count: u64 = count.parse().map_err(|_| wrong(format!("'{count}' is not a number of elements")))?;
    let bytes = count.checked_mul(ty.bytes().into()).filter(|b| (1..=MOST).contains(b));
    let bytes = bytes.ok_or_else(|| wrong(format!("a buffer has 1 to {MOST} bytes")))?;
    Ok(made(if kind == "out" { Value::Out(bytes) } else { Value::Zero(bytes) }, vec![count], file))
}

/// A file's data and its shape.
fn read(path: &Path, ty: ScalarType, is_only_read: bool) -> anyhow::Result<(Vec<u8>, Vec<u64>)> {
    let bytes = inputs::read_bytes(path, is_only_read)?;
    if npy::is_npy(path) {
        return npy::data(&bytes, ty);
    }
    let size = ty.bytes() as usize;
    if bytes.is_empty() || !bytes.len().is_multiple_of(size) {
        let n = bytes.len();
        return Err(Usage(format!("{} has {n} bytes, which is not a whole number of {ty}", path.display())).into());
    }
    let count = (bytes.len() / size) as u64;
    Ok((bytes, vec![count]))
}

/// A number as the bytes of a type.
fn scalar(ty: ScalarType, text: &str) -> Option<Vec<u8>> {
    let size = ty.bytes() as usize;
    let float = |text: &str| text.parse::<f64>().ok();
    Some(match ty {
        ScalarType::F32 => text.parse::<f32>().ok()?.to_le_bytes().to_vec(),
        ScalarType::F64 => float(text)?.to_le_bytes().to_vec(),
        ScalarType::F16 => half(float(text)?, 10, 15).to_le_bytes().to_vec(),
        ScalarType::Bf16 => half(float(text)?, 7, 127).to_le_bytes().to_vec(),
        _ => {
            let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
            let hex = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
            let magnitude = match hex {
                Some(hex) => u64::from_str_radix(hex, 16).ok()?,
                None => digits.parse::<u64>().ok()?,
            };
            let value = if negative { -i128::from(magnitude) } else { i128::from(magnitude) };
            let bits = ty.bits();
            let (least, most) = match ty.is_signed() {
                true => (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1),
                false => (0, (1i128 << bits) - 1),
            };
            if !(least..=most).contains(&value) {
                return None;
            }
            (value as u64).to_le_bytes()[..size].to_vec()
        }
    })
}

/// The nearest 16-bit float with this number of mantissa bits, ties to even.
fn half(x: f64, mantissa: i32, bias: i32) -> u16 {
    let sign = u16::from(x.is_sign_negative()) << 15;
    let top = ((1u16 << (15 - mantissa)) - 1) << mantissa;
    if x.is_nan() {
        return top | 1 << (mantissa - 1);
    }
    let exponent = if x == 0.0 { 1 - bias } else { (x.abs().log2().floor() as i32).clamp(1 - bias, bias + 1) };
    let steps = (x.abs() / 2f64.powi(exponent - mantissa)).round_ties_even();
    let bits = f64::from(exponent + bias - 1) * 2f64.powi(mantissa) + steps;
    sign | if bits >= f64::from(top) { top } else { bits as u16 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_types() {
        let of = |text: &str| given(text).map(|g| g.value).map_err(|e| e.to_string());
        assert_eq!(of("u32:7"), Ok(Value::Scalar(vec![7, 0, 0, 0])));
        assert_eq!(of("s16:-2"), Ok(Value::Scalar(vec![0xfe, 0xff])));
        assert_eq!(of("b64:0xff"), Ok(Value::Scalar(vec![255, 0, 0, 0, 0, 0, 0, 0])));
        assert_eq!(of("f32:0.5"), Ok(Value::Scalar(0.5f32.to_le_bytes().to_vec())));
        assert_eq!(of("f16:1.5"), Ok(Value::Scalar(vec![0x00, 0x3e])));
        assert_eq!(of("f16:65520"), Ok(Value::Scalar(vec![0x00, 0x7c])));
        assert_eq!(of("bf16:-1"), Ok(Value::Scalar(vec![0x80, 0xbf])));
        assert_eq!(of("out:f32:10"), Ok(Value::Out(40)));
        assert_eq!(of("zero:u8:3"), Ok(Value::Zero(3)));
        for wrong in ["7", "u32:x", "u8:256", "s8:128", "out:f32:x", "out:f33:1", "zero:u32:0", "pred:1", "u32:-1"] {
            assert!(of(wrong).is_err_and(|e| e.contains(wrong)), "{wrong}");
        }
    }
}
