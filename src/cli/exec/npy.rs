//! Arrays as numpy writes them (its format 1.0 to 3.0).

use crate::cli::Usage;
use ptxgen_builder::types::{Kind, ScalarType};
use std::path::Path;

const MAGIC: &[u8] = b"\x93NUMPY";

/// Whether a file is a numpy array, by its name.
pub fn is_npy(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy"))
}

/// numpy's name of the type; `None` if numpy does not have it.
fn descr(ty: ScalarType) -> Option<String> {
    let kind = match (ty, ty.kind()) {
        (ScalarType::F16 | ScalarType::F32 | ScalarType::F64, _) => 'f',
        (_, Kind::Unsigned | Kind::Bits) => 'u',
        (_, Kind::Signed) => 'i',
        (_, Kind::Float | Kind::Pred) => return None,
    };
    let order = if ty.bytes() == 1 { '|' } else { '<' };
    Some(format!("{order}{kind}{}", ty.bytes()))
}

/// The data and the shape of an array, whose elements must have this type.
pub fn data(file: &[u8], ty: ScalarType) -> anyhow::Result<(Vec<u8>, Vec<u64>)> {
    let wrong = |why: String| Usage(format!("the .npy file {why}"));
    let rest = file.strip_prefix(MAGIC).ok_or_else(|| wrong("does not begin as one".into()))?;
    let (len, from) = match rest {
        [1, _, a, b, ..] => (usize::from(u16::from_le_bytes([*a, *b])), 4),
        [2 | 3, _, a, b, c, d, ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, 6),
        _ => return Err(wrong("is of a version that is not known".into()).into()),
    };
    let header = rest.get(from..).and_then(|r| r.get(..len)).ok_or_else(|| wrong("ends in its header".into()))?;
    let header = String::from_utf8_lossy(header).into_owned();
    let found = field(&header, "descr").unwrap_or_default();
    let wanted = descr(ty).ok_or_else(|| wrong(format!("cannot hold {ty}; give its bits as u{}", ty.bits())))?;
    // Booleans are bytes.
    let same = found == wanted || wanted == "|u1" && found == "|b1" || found.replacen('=', "<", 1) == wanted;
    if !same {
        return Err(wrong(format!("has elements '{found}', and {ty} is '{wanted}'")).into());
    }
    if field(&header, "fortran_order").as_deref() != Some("False") {
        return Err(wrong("is in Fortran's order; save it with numpy.ascontiguousarray".into()).into());
    }
    let shape = field(&header, "shape").unwrap_or_default();
    let extents: Result<Vec<u64>, _> =
        shape.trim_matches(['(', ')']).split(',').map(str::trim).filter(|e| !e.is_empty()).map(str::parse).collect();
    let extents = extents.map_err(|_| wrong(format!("has a shape that is none: {shape}")))?;
    let count = extents.iter().try_fold(u64::from(ty.bytes()), |n, &e| n.checked_mul(e));
    let bytes = &rest[from + len..];
    if count != Some(bytes.len() as u64) || bytes.is_empty() {
        let n = bytes.len();
        return Err(wrong(format!("has the shape {shape} of {ty} and {n} bytes of data")).into());
    }
    Ok((bytes.to_vec(), extents))
}

/// The value of a field of the header, without quotes.
fn field(header: &str, name: &str) -> Option<String> {
    let rest = &header[header.find(&format!("'{name}'"))? + name.len() + 2..];
    let rest = rest.trim_start().strip_prefix(':')?.trim_start();
    let end = match rest.chars().next()? {
        '(' => rest.find(')')? + 1,
        '\'' => return rest[1..].split('\'').next().map(str::to_owned),
        _ => rest.find([',', '}'])?,
    };
    Some(rest[..end].trim().to_owned())
}

/// The header of an array.
pub fn header(ty: ScalarType, shape: &[u64]) -> anyhow::Result<Vec<u8>> {
    let no_type = || Usage(format!("a .npy file cannot hold {ty}; give its bits as u{}", ty.bits()));
    let descr = descr(ty).ok_or_else(no_type)?;
    let extents: Vec<String> = shape.iter().map(|e| format!("{e},")).collect();
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}), }}", extents.join(" "));
    // The data begins at a multiple of 64 bytes.
    let whole = (MAGIC.len() + 4 + text.len() + 1).next_multiple_of(64);
    text.push_str(&" ".repeat(whole - MAGIC.len() - 4 - text.len() - 1));
    text.push('\n');
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut file = header(ScalarType::F32, &[2, 3]).expect("a header");
        assert_eq!(file.len() % 64, 0);
        file.extend([0; 24]);
        assert_eq!(data(&file, ScalarType::F32).expect("data"), (vec![0; 24], vec![2, 3]));
        for (ty, why) in [(ScalarType::U32, "'<u4'"), (ScalarType::F64, "'<f8'")] {
            let error = data(&file, ty).expect_err("another type").to_string();
            assert!(error.contains(why), "{error}");
        }
        file.pop();
        assert!(data(&file, ScalarType::F32).is_err_and(|e| e.to_string().contains("23 bytes")));
        assert!(data(b"no", ScalarType::F32).is_err() && header(ScalarType::Bf16, &[1]).is_err());
    }
}
