//! GGUF files: a validating, memory-mapped reader and an atomic writer.
//!
//! The reader accepts versions 2 and 3, little-endian, with all metadata types and the tensor types of [`TensorType`].
//! Everything is validated when a file is opened; later accesses need no further checks. Format: the GGUF specification
//! in ggml's `docs/gguf.md`.
//!
//! ```
//! use ptxgen_model::gguf::{Gguf, GgufWriter, TensorType};
//!
//! let mut w = GgufWriter::new();
//! w.set("general.architecture", "qwen3moe");
//! w.tensor("output_norm.weight", &[4], TensorType::F32);
//! let bytes = w.to_bytes(&[0; 16])?;
//!
//! let gguf = Gguf::from_bytes("example.gguf", &bytes)?;
//! assert_eq!(gguf.metadata().str("general.architecture")?, "qwen3moe");
//! assert_eq!(gguf.tensor("output_norm.weight")?.dims, [4]);
//! # Ok::<(), ptxgen_model::gguf::GgufError>(())
//! ```

mod cursor;
mod error;
mod metadata;
mod parse;
mod split;
mod storage;
mod tensor;
mod types;
mod value;
mod writer;

pub use error::GgufError;
use error::GgufErrorKind;
pub use metadata::Metadata;
pub use tensor::TensorView;
pub use types::{TensorType, ValueType};
pub use value::{Array, Strings, Value};
pub use writer::{GgufFile, GgufWriter};

use crate::mapped::{MapError, map};
use parse::Header;
use sha2::Digest;
use std::{path::Path, sync::Arc};
use storage::Storage;
use tensor::TensorInfo;

/// An open, validated GGUF file, or all files of a split model.
pub struct Gguf {
    file: Arc<str>,
    /// One file, or the files of a split model in order.
    parts: Vec<Storage>,
    header: Header,
}

impl Gguf {
    /// Maps and validates a file. Its bytes are paged in when tensors are read. For a split model
    /// (`NAME-00001-of-00003.gguf`) name any part; the others are found by their names.
    ///
    /// The file must not be changed while it is open: changes are visible through the map, and truncating the file
    /// kills the process.
    ///
    /// # Errors
    /// If the file cannot be mapped, or violates a rule of the format.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, GgufError> {
        let path = path.as_ref();
        let (file, storage, header) = open_part(path)?;
        let (parts, header) = match header.split()? {
            None => (vec![storage], header),
            Some(split) => split::join(path, (&file, storage, header), split)?,
        };
        Ok(Self { file, parts, header })
    }

    /// Validates bytes with static lifetime and uses them in place. They should be aligned to 64 bytes so that
    /// [`TensorView::f32s`] can borrow them.
    ///
    /// # Errors
    /// As [`open`](Self::open); `name` is the file's name in messages.
    pub(crate) fn from_static(name: &str, bytes: &'static [u8]) -> Result<Self, GgufError> {
        Self::new(name.into(), Storage::Static(bytes))
    }

    /// Validates a copy of `bytes`.
    ///
    /// # Errors
    /// As [`open`](Self::open); `name` is the file's name in messages.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, GgufError> {
        Self::new(name.into(), Storage::copy_of(bytes))
    }

    fn new(file: Arc<str>, storage: Storage) -> Result<Self, GgufError> {
        let header = parse(&file, &storage)?;
        if let Some(split) = header.split()? {
            return Err(GgufError::new(&file, GgufErrorKind::Split { count: split.count.into() }));
        }
        Ok(Self { file, parts: vec![storage], header })
    }

    /// The file's name as it was opened.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The format's version, 2 or 3.
    pub fn version(&self) -> u32 {
        self.header.version
    }

    /// The alignment of tensors in the file, in bytes.
    pub fn alignment(&self) -> usize {
        self.header.alignment
    }

    /// The file's size in bytes; for a split model, that of all parts.
    pub fn file_bytes(&self) -> usize {
        self.parts.iter().map(|part| part.bytes().len()).sum()
    }

    /// SHA-256 of the file, in hexadecimal; for a split model, of all parts one after the other. Reads the whole file.
    pub fn sha256(&self) -> String {
        let mut hash = sha2::Sha256::new();
        self.parts.iter().for_each(|part| hash.update(part.bytes()));
        format!("{:x}", hash.finalize())
    }

    /// Everything after the header: the tensors and the padding between them; for a split model, those of the first
    /// part.
    pub fn tensor_bytes(&self) -> &[u8] {
        self.parts[0].bytes().get(self.header.data_start..).unwrap_or_default()
    }

    /// The key-value pairs.
    pub fn metadata(&self) -> &Metadata {
        &self.header.metadata
    }

    /// All tensors, in the order of the file's table.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = TensorView<'_>> {
        let tensors = self.header.tensors.iter();
        tensors.map(|(name, info)| self.view(name, info))
    }

    /// The tensor `name`, if present.
    pub fn find(&self, name: &str) -> Option<TensorView<'_>> {
        let (_, name, info) = self.header.tensors.get_full(name)?;
        Some(self.view(name, info))
    }

    /// The tensor `name`.
    ///
    /// # Errors
    /// If there is no such tensor; the error suggests a similar name.
    pub fn tensor(&self, name: &str) -> Result<TensorView<'_>, GgufError> {
        self.find(name).ok_or_else(|| {
            let names = self.header.tensors.keys().map(|k| &**k);
            let kind = GgufErrorKind::MissingTensor {
                tensor: name.into(),
                near: crate::suggest::nearest(name, names).map(Into::into),
            };
            GgufError::new(&self.file, kind)
        })
    }

    fn view<'a>(&'a self, name: &'a str, info: &'a TensorInfo) -> TensorView<'a> {
        TensorView {
            file: &self.file,
            name,
            dims: &info.dims,
            ty: info.ty,
            data: &self.parts[info.part].bytes()[info.start..][..info.len],
        }
    }
}

/// Maps and validates one file.
fn open_part(path: &Path) -> Result<(Arc<str>, Storage, Header), GgufError> {
    let file: Arc<str> = path.to_string_lossy().into();
    let map = map(path).map_err(|e| {
        let kind = match e {
            MapError::NotAFile => GgufErrorKind::NotAFile,
            MapError::Io(action, source) => GgufErrorKind::Io { action, source },
        };
        GgufError::new(&file, kind)
    })?;
    let storage = Storage::Mapped(map);
    let header = parse(&file, &storage)?;
    Ok((file, storage, header))
}

fn parse(file: &Arc<str>, storage: &Storage) -> Result<Header, GgufError> {
    let header = Header::parse(file, storage.bytes())?;
    // Everything was copied.
    storage.forget(header.data_start.min(storage.bytes().len()));
    Ok(header)
}

impl std::fmt::Debug for Gguf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gguf")
            .field("file", &self.file)
            .field("version", &self.header.version)
            .field("tensors", &self.header.tensors.len())
            .finish_non_exhaustive()
    }
}
