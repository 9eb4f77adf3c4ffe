//! Writes GGUF version 3.

use super::{
    error::{GgufError, GgufErrorKind},
    types::TensorType,
    value::{Array, Value},
};
use crate::WholeFile;
use std::{
    io::{self, BufWriter, IntoInnerError, Write},
    path::Path,
    sync::Arc,
};

const ALIGNMENT: u64 = 32;

/// A GGUF file to be written: its metadata and its tensors' names, shapes and types.
///
/// The tensors' bytes follow in the order of declaration, all at once with
/// [`to_bytes`](Self::to_bytes), or as a stream with [`create`](Self::create).
#[derive(Debug, Clone, Default)]
pub struct GgufWriter {
    pairs: Vec<(String, Value)>,
    tensors: Vec<Declared>,
}

#[derive(Debug, Clone)]
struct Declared {
    name: String,
    dims: Vec<u64>,
    ty: TensorType,
    bytes: u64,
}

impl GgufWriter {
    /// A file without metadata and tensors.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a metadata value, and replaces an earlier one of the same key.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) -> &mut Self {
        let value = value.into();
        match self.pairs.iter_mut().find(|(k, _)| k == key) {
            Some((_, old)) => *old = value,
            None => self.pairs.push((key.into(), value)),
        }
        self
    }

    /// Declares a tensor, dimensions innermost first, and returns its size in bytes.
    ///
    /// # Panics
    /// If there are no dimensions or more than four, if the size overflows, or if the innermost is
    /// not a whole number of the type's blocks.
    pub fn tensor(&mut self, name: &str, dims: &[usize], ty: TensorType) -> u64 {
        assert!((1..=4).contains(&dims.len()), "{name}: {dims:?}");
        let rows = dims[1..].iter().try_fold(1usize, |n, d| n.checked_mul(*d));
        let bytes = ty
            .bytes_of(dims[0])
            .and_then(|row| row.checked_mul(rows?))
            .unwrap_or_else(|| panic!("{name}: {dims:?} do not make a tensor of type {ty}")) as u64;
        self.tensors.push(Declared { name: name.into(), dims: dims.iter().map(|d| *d as u64).collect(), ty, bytes });
        bytes
    }

    /// Bytes of the tensors' data, without padding.
    pub fn data_bytes(&self) -> u64 {
        self.tensors.iter().map(|t| t.bytes).sum()
    }

    /// Header, metadata and table, padded to the data section.
    fn header(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(3u32.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.pairs.len() as u64).to_le_bytes());
        for (key, value) in &self.pairs {
            put_str(&mut out, key);
            out.extend(value.ty().id().to_le_bytes());
            put_value(&mut out, value);
        }
        let mut offset = 0u64;
        for t in &self.tensors {
            put_str(&mut out, &t.name);
            out.extend((t.dims.len() as u32).to_le_bytes());
            for d in &t.dims {
                out.extend(d.to_le_bytes());
            }
            out.extend(t.ty.id().to_le_bytes());
            out.extend(offset.to_le_bytes());
            offset += t.bytes.next_multiple_of(ALIGNMENT);
        }
        out.resize(out.len().next_multiple_of(ALIGNMENT as usize), 0);
        out
    }

    /// The whole file in memory; `data` contains the tensors' bytes one after the other.
    ///
    /// # Errors
    /// If `data` is not as long as the declared tensors.
    pub fn to_bytes(&self, data: &[u8]) -> Result<Vec<u8>, GgufError> {
        let mut body = Body::new(Vec::new(), self);
        let all: io::Result<()> = body.start(&self.header()).and_then(|()| body.put(data));
        let file = Arc::from("(memory)");
        all.map_err(|source| io_error(&file, source))?;
        body.end(&file)
    }

    /// Starts a file at `path`, a [`WholeFile`]: until [`GgufFile::finish`], the old file at `path` stays.
    ///
    /// # Errors
    /// If the temporary file cannot be created or written.
    pub fn create(&self, path: impl AsRef<Path>) -> Result<GgufFile, GgufError> {
        let path = path.as_ref();
        let file: Arc<str> = path.to_string_lossy().into();
        let make = || {
            let out = BufWriter::with_capacity(1 << 20, WholeFile::create(path)?);
            let mut body = Body::new(out, self);
            body.start(&self.header())?;
            Ok(body)
        };
        match make() {
            Ok(body) => Ok(GgufFile { file, body }),
            Err(source) => Err(io_error(&file, source)),
        }
    }
}

fn io_error(file: &Arc<str>, source: io::Error) -> GgufError {
    let action = "write";
    GgufError::new(file, GgufErrorKind::Io { action, source })
}

fn put_str(out: &mut Vec<u8>, s: &str) {
    out.extend((s.len() as u64).to_le_bytes());
    out.extend(s.as_bytes());
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::U8(v) => out.push(*v),
        Value::I8(v) => out.extend(v.to_le_bytes()),
        Value::U16(v) => out.extend(v.to_le_bytes()),
        Value::I16(v) => out.extend(v.to_le_bytes()),
        Value::U32(v) => out.extend(v.to_le_bytes()),
        Value::I32(v) => out.extend(v.to_le_bytes()),
        Value::F32(v) => out.extend(v.to_le_bytes()),
        Value::Bool(v) => out.push((*v).into()),
        Value::Str(v) => put_str(out, v),
        Value::Array(v) => put_array(out, v),
        Value::U64(v) => out.extend(v.to_le_bytes()),
        Value::I64(v) => out.extend(v.to_le_bytes()),
        Value::F64(v) => out.extend(v.to_le_bytes()),
    }
}

fn put_array(out: &mut Vec<u8>, array: &Array) {
    out.extend(array.element().id().to_le_bytes());
    out.extend((array.len() as u64).to_le_bytes());
    match array {
        Array::U8(v) => out.extend(v),
        Array::I8(v) => out.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Array::U16(v) => out.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Array::I16(v) => out.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Array::U32(v) => out.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Array::I32(v) => out.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Array::F32(v) => out.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Array::Bool(v) => out.extend(v.iter().map(|x| u8::from(*x))),
        Array::Str(v) => v.iter().for_each(|s| put_str(out, s)),
        Array::Array(v) => v.iter().for_each(|a| put_array(out, a)),
        Array::U64(v) => out.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Array::I64(v) => out.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Array::F64(v) => out.extend(v.iter().flat_map(|x| x.to_le_bytes())),
    }
}

/// Splits a stream of tensor bytes at the tensors' ends and adds padding there.
struct Body<W> {
    out: W,
    sizes: std::vec::IntoIter<u64>,
    /// Remaining bytes of the current tensor.
    left: u64,
    /// Padding after the current tensor.
    padding: u64,
    expected: u64,
    given: u64,
}

impl<W: Write> Body<W> {
    fn new(out: W, of: &GgufWriter) -> Self {
        let sizes: Vec<u64> = of.tensors.iter().map(|t| t.bytes).collect();
        Self { out, sizes: sizes.into_iter(), left: 0, padding: 0, expected: of.data_bytes(), given: 0 }
    }

    fn start(&mut self, header: &[u8]) -> io::Result<()> {
        self.out.write_all(header)
    }

    fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.given += bytes.len() as u64;
        while !bytes.is_empty() {
            if self.left == 0 {
                // Surplus bytes are reported by `end`.
                let Some(size) = self.sizes.next() else {
                    return Ok(());
                };
                self.left = size;
                self.padding = size.next_multiple_of(ALIGNMENT) - size;
            }
            let n = usize::try_from(self.left).map_or(bytes.len(), |l| l.min(bytes.len()));
            let (now, rest) = bytes.split_at(n);
            self.out.write_all(now)?;
            self.left -= n as u64;
            if self.left == 0 {
                self.out.write_all(&[0; ALIGNMENT as usize][..self.padding as usize])?;
            }
            bytes = rest;
        }
        Ok(())
    }

    fn end(self, file: &Arc<str>) -> Result<W, GgufError> {
        if self.given != self.expected {
            return Err(GgufError::new(
                file,
                GgufErrorKind::WrittenSize { expected: self.expected, given: self.given },
            ));
        }
        Ok(self.out)
    }
}

/// A GGUF file being written.
pub struct GgufFile {
    file: Arc<str>,
    body: Body<BufWriter<WholeFile>>,
}

impl std::fmt::Debug for GgufFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GgufFile").field("file", &self.file).finish_non_exhaustive()
    }
}

impl GgufFile {
    /// Appends tensor bytes, in the order of the tensors' declaration and without padding.
    ///
    /// # Errors
    /// If the system cannot write them.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), GgufError> {
        let done = self.body.put(bytes);
        done.map_err(|source| io_error(&self.file, source))
    }

    /// Renames the file to its final name, and replaces an existing file.
    ///
    /// # Errors
    /// If the number of written bytes is wrong, or the system reports an error; then the old file at `path` stays.
    pub fn finish(self) -> Result<(), GgufError> {
        let out = self.body.end(&self.file)?;
        let done = out.into_inner().map_err(IntoInnerError::into_error).and_then(WholeFile::finish);
        done.map_err(|source| io_error(&self.file, source))
    }
}
