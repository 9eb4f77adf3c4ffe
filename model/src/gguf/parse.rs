//! Parses and validates a header: metadata and the table of tensors.

use super::{
    cursor::Cursor,
    error::{GgufError, GgufErrorKind, Unread},
    metadata::Metadata,
    tensor::TensorInfo,
    types::{TensorType, ValueType},
    value::{Array, Strings, Value},
};
use indexmap::{IndexMap, map::Entry};
use std::{collections::BTreeMap, sync::Arc};

const MAGIC: &[u8; 4] = b"GGUF";
/// Minimum bytes of a key-value pair: key length, value type, one byte of value.
const LEAST_PAIR: u64 = 8 + 4 + 1;
/// Minimum bytes of a tensor's entry: name length, dimension count, one dimension, type, offset.
const LEAST_TENSOR: u64 = 8 + 4 + 8 + 4 + 8;
/// The GGUF specification's limit for a key.
const LONGEST_KEY: u64 = 65535;
/// ggml's `GGML_MAX_NAME`.
const LONGEST_NAME: u64 = 64;
const DEEPEST: usize = 4;
/// Limits for keys, tensors, and nested arrays: each takes more memory than bytes in the file.
const MOST_PAIRS: u64 = 1 << 17;
const MOST_TENSORS: u64 = 1 << 19;
const MOST_ARRAYS: u64 = 1 << 20;

/// The part number of a file of a split model.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Split {
    /// Counted from 0.
    pub(super) no: u32,
    /// More than 1.
    pub(super) count: u32,
}

/// Everything before the tensors' bytes, validated against the file.
pub(super) struct Header {
    pub(super) version: u32,
    pub(super) metadata: Metadata,
    pub(super) tensors: IndexMap<Box<str>, TensorInfo>,
    pub(super) alignment: usize,
    /// Byte offset of the data section.
    pub(super) data_start: usize,
}

impl Header {
    /// The part number, for a split model.
    pub(super) fn split(&self) -> Result<Option<Split>, GgufError> {
        let number = |key| self.metadata.opt_u32(key);
        let (no, count) = (number("split.no")?.unwrap_or(0), number("split.count")?.unwrap_or(1));
        Ok((count > 1).then_some(Split { no, count }))
    }

    /// Reads and validates; allocates in proportion to the bytes read.
    pub(super) fn parse(file: &Arc<str>, bytes: &[u8]) -> Result<Self, GgufError> {
        let mut c = Cursor::new(file, bytes);
        if bytes.is_empty() {
            return Err(c.error(GgufErrorKind::Empty));
        }
        if bytes.get(..4) != Some(MAGIC) {
            let found = bytes[..bytes.len().min(4)].to_vec();
            return Err(c.error(GgufErrorKind::Magic { found }));
        }
        c.take(4, || "the magic".into())?;
        let version = c.u32(|| "the version".into())?;
        match version {
            2 | 3 => {}
            v if matches!(v.swap_bytes(), 1..=3) => return Err(c.error(GgufErrorKind::BigEndian)),
            found => return Err(c.error(GgufErrorKind::Version { found })),
        }
        let tensors = c.u64(|| "the number of tensors".into())?;
        let pairs = c.count(LEAST_PAIR, || "metadata keys".into())?;
        c.check_count(tensors, LEAST_TENSOR, || "tensors".into())?;
        c.check_most(pairs as u64, MOST_PAIRS, || "metadata keys".into())?;
        c.check_most(tensors, MOST_TENSORS, || "tensors".into())?;

        let mut entries = IndexMap::new();
        for i in 0..pairs {
            let (key, value) = pair(&mut c, i)?;
            match entries.entry(Box::from(key)) {
                Entry::Vacant(e) => e.insert(value),
                Entry::Occupied(_) => return Err(c.error(GgufErrorKind::DuplicateKey { key: key.into() })),
            };
        }
        let metadata = Metadata::new(file.clone(), entries);
        let alignment = alignment(&c, &metadata)?;

        let mut table = IndexMap::new();
        let (mut types, mut unread) = (BTreeMap::new(), IndexMap::new());
        for i in 0..tensors {
            let (name, id, info) = tensor(&mut c, i, alignment)?;
            *types.entry(id).or_default() += 1;
            let Some(info) = info else {
                let of_type = unread.entry(id).or_insert_with(|| Unread { id, tensors: 0, first: name.into() });
                of_type.tensors += 1;
                continue;
            };
            match table.entry(Box::from(name)) {
                Entry::Vacant(e) => e.insert(info),
                Entry::Occupied(_) => {
                    let tensor = name.into();
                    return Err(c.error(GgufErrorKind::DuplicateTensor { tensor }));
                }
            };
        }
        if !unread.is_empty() {
            let unread = unread.into_values().collect();
            return Err(c.error(GgufErrorKind::TensorTypes { unread, types }));
        }
        let data_start = c.position().next_multiple_of(alignment);
        place(&c, &mut table, data_start, bytes.len())?;
        Ok(Self { version, metadata, tensors: table, alignment, data_start })
    }
}

fn pair<'a>(c: &mut Cursor<'a>, i: usize) -> Result<(&'a str, Value), GgufError> {
    let key = c.str(LONGEST_KEY, || format!("metadata key {i}"))?;
    if key.is_empty() {
        let what = format!("metadata key {i}");
        return Err(c.error(GgufErrorKind::EmptyName { what }));
    }
    let ty = value_type(c, key)?;
    Ok((key, value(c, key, ty)?))
}

fn value_type(c: &mut Cursor, key: &str) -> Result<ValueType, GgufError> {
    let id = c.u32(|| format!("the value type of key \"{key}\""))?;
    ValueType::from_id(id).ok_or_else(|| c.error(GgufErrorKind::ValueType { key: key.into(), id }))
}

fn value(c: &mut Cursor, key: &str, ty: ValueType) -> Result<Value, GgufError> {
    let what = || format!("the value of key \"{key}\"");
    Ok(match ty {
        ValueType::U8 => Value::U8(c.u8(what)?),
        ValueType::I8 => Value::I8(c.u8(what)? as i8),
        ValueType::U16 => Value::U16(c.u16(what)?),
        ValueType::I16 => Value::I16(c.u16(what)? as i16),
        ValueType::U32 => Value::U32(c.u32(what)?),
        ValueType::I32 => Value::I32(c.u32(what)? as i32),
        ValueType::F32 => Value::F32(f32::from_bits(c.u32(what)?)),
        ValueType::Bool => Value::Bool(boolean(c, key)?),
        ValueType::Str => Value::Str(c.str(u64::MAX, what)?.into()),
        ValueType::Array => Value::Array(array(c, key, 1)?),
        ValueType::U64 => Value::U64(c.u64(what)?),
        ValueType::I64 => Value::I64(c.u64(what)? as i64),
        ValueType::F64 => Value::F64(f64::from_bits(c.u64(what)?)),
    })
}

fn boolean(c: &mut Cursor, key: &str) -> Result<bool, GgufError> {
    match c.u8(|| format!("the value of key \"{key}\""))? {
        0 => Ok(false),
        1 => Ok(true),
        value => Err(c.error(GgufErrorKind::Bool { key: key.into(), value })),
    }
}

fn array(c: &mut Cursor, key: &str, depth: usize) -> Result<Array, GgufError> {
    if depth > DEEPEST {
        let (key, most) = (key.into(), DEEPEST);
        return Err(c.error(GgufErrorKind::Depth { key, most }));
    }
    let what = || format!("the array of key \"{key}\"");
    let ty = value_type(c, key)?;
    let count = c.count(ty.least_bytes(), || format!("elements of key \"{key}\""))?;
    if ty == ValueType::Array {
        c.check_most(count as u64, MOST_ARRAYS, || format!("arrays in key \"{key}\""))?;
    }
    // The count was checked against the remaining bytes, so collecting allocates no more than those.
    macro_rules! list {
        ($variant:ident, $read:expr) => {
            Array::$variant((0..count).map(|_| $read).collect::<Result<_, GgufError>>()?)
        };
    }
    Ok(match ty {
        ValueType::U8 => Array::U8(c.take(count as u64, what)?.to_vec()),
        ValueType::I8 => list!(I8, c.u8(what).map(|v| v as i8)),
        ValueType::U16 => list!(U16, c.u16(what)),
        ValueType::I16 => list!(I16, c.u16(what).map(|v| v as i16)),
        ValueType::U32 => list!(U32, c.u32(what)),
        ValueType::I32 => list!(I32, c.u32(what).map(|v| v as i32)),
        ValueType::F32 => list!(F32, c.u32(what).map(f32::from_bits)),
        ValueType::Bool => list!(Bool, boolean(c, key)),
        ValueType::Array => list!(Array, array(c, key, depth + 1)),
        ValueType::U64 => list!(U64, c.u64(what)),
        ValueType::I64 => list!(I64, c.u64(what).map(|v| v as i64)),
        ValueType::F64 => list!(F64, c.u64(what).map(f64::from_bits)),
        ValueType::Str => {
            let mut out = Strings::default();
            for i in 0..count {
                out.push(c.str(u64::MAX, || format!("element {i} of key \"{key}\""))?);
            }
            Array::Str(out)
        }
    })
}

fn alignment(c: &Cursor, metadata: &Metadata) -> Result<usize, GgufError> {
    let value = metadata.opt_u32("general.alignment")?.unwrap_or(32);
    if !value.is_power_of_two() || !(8..=65536).contains(&value) {
        let value = value.into();
        return Err(c.error(GgufErrorKind::Alignment { value }));
    }
    Ok(value as usize)
}

/// One entry of the table: the name, the type's number, and the rest if ptxgen supports the type. `start` is relative
/// to the data section until [`place`] has run.
fn tensor<'a>(c: &mut Cursor<'a>, i: u64, alignment: usize) -> Result<(&'a str, u32, Option<TensorInfo>), GgufError> {
    let name = c.str(LONGEST_NAME, || format!("the name of tensor {i}"))?;
    if name.is_empty() {
        let what = format!("tensor {i}");
        return Err(c.error(GgufErrorKind::EmptyName { what }));
    }
    let what = || format!("the entry of tensor \"{name}\"");
    let rank = c.u32(what)?;
    if !(1..=4).contains(&rank) {
        let (tensor, found) = (name.into(), rank);
        return Err(c.error(GgufErrorKind::Dimensions { tensor, found }));
    }
    let mut dims = Vec::with_capacity(rank as usize);
    for _ in 0..rank {
        dims.push(c.u64(what)?);
    }
    let id = c.u32(what)?;
    let offset = c.u64(what)?;
    let tensor = || String::from(name);
    let Some(ty) = TensorType::from_id(id) else { return Ok((name, id, None)) };
    let size = || c.error(GgufErrorKind::Size { tensor: tensor(), dims: dims.clone() });
    let elements = dims
        .iter()
        .try_fold(1u64, |n, d| n.checked_mul(*d))
        .filter(|n| *n != 0 && i64::try_from(*n).is_ok())
        .ok_or_else(size)?;
    let blocks = ty.block_len() as u64;
    if !dims[0].is_multiple_of(blocks) {
        let (tensor, row) = (tensor(), dims[0]);
        return Err(c.error(GgufErrorKind::Block { tensor, ty, row }));
    }
    let len = (elements / blocks)
        .checked_mul(ty.block_bytes() as u64)
        .and_then(|n| usize::try_from(n).ok())
        .ok_or_else(size)?;
    if !offset.is_multiple_of(alignment as u64) {
        let (tensor, alignment) = (tensor(), alignment as u64);
        return Err(c.error(GgufErrorKind::Misaligned { tensor, offset, alignment }));
    }
    let start = usize::try_from(offset).map_err(|_| {
        let (tensor, len, have) = (tensor(), len as u64, c.position() as u64 + c.left());
        c.error(GgufErrorKind::OutOfFile { tensor, start: offset, len, have })
    })?;
    // No dimension exceeds the element count, which was checked.
    let dims = dims.iter().map(|d| *d as usize).collect();
    Ok((name, id, Some(TensorInfo { dims, ty, part: 0, start, len })))
}

/// Makes the offsets relative to the file, and checks that each tensor is inside it and overlaps no other.
fn place(
    c: &Cursor,
    table: &mut IndexMap<Box<str>, TensorInfo>,
    data_start: usize,
    file_len: usize,
) -> Result<(), GgufError> {
    for (name, t) in table.iter_mut() {
        let start = data_start.checked_add(t.start);
        match start.and_then(|s| s.checked_add(t.len)) {
            Some(end) if end <= file_len => t.start += data_start,
            _ => {
                return Err(c.error(GgufErrorKind::OutOfFile {
                    tensor: name.to_string(),
                    start: (data_start as u64).saturating_add(t.start as u64),
                    len: t.len as u64,
                    have: file_len as u64,
                }));
            }
        }
    }
    let mut order: Vec<_> = table.iter().collect();
    order.sort_by_key(|(_, t)| t.start);
    for pair in order.windows(2) {
        let [(first, a), (second, b)] = [pair[0], pair[1]];
        if a.start + a.len > b.start {
            return Err(c.error(GgufErrorKind::Overlap { first: first.to_string(), second: second.to_string() }));
        }
    }
    Ok(())
}
