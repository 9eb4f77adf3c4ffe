//! Errors in a GGUF file.

use super::types::{TensorType, type_name};
use std::{collections::BTreeMap, error::Error, fmt, io, sync::Arc};

/// A GGUF file that cannot be read, written or used, with the file's name and the reason. If the system reported an
/// error, that is the [source](Error::source).
#[derive(Debug, Clone)]
pub struct GgufError {
    file: Arc<str>,
    kind: Arc<GgufErrorKind>,
}

impl GgufError {
    pub(crate) fn new(file: &Arc<str>, kind: GgufErrorKind) -> Self {
        Self { file: file.clone(), kind: Arc::new(kind) }
    }

    /// The file, by the name with which it was opened.
    pub fn file(&self) -> &str {
        &self.file
    }
}

impl fmt::Display for GgufError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.kind)
    }
}

impl Error for GgufError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.kind.source()
    }
}

/// The reason of a [`GgufError`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum GgufErrorKind {
    /// The system could not open, map or write the file.
    #[error("cannot {action} the file")]
    Io {
        /// The operation.
        action: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// The path is a directory or a device.
    #[error("is not a regular file; expected a .gguf file")]
    NotAFile,
    /// There are no bytes.
    #[error("is empty; expected a GGUF file: fetch it again")]
    Empty,
    /// The first four bytes are not `GGUF`.
    #[error(
        "is not a GGUF file: it starts with \"{}\", expected \"GGUF\"",
        found.escape_ascii()
    )]
    Magic {
        /// The first bytes.
        found: Vec<u8>,
    },
    /// The bytes of the version are in big-endian order.
    #[error(
        "is a big-endian GGUF file; only little-endian files are read: convert the model again on, or for, a little-endian machine"
    )]
    BigEndian,
    /// An unsupported version.
    #[error("is GGUF version {found}; versions 2 and 3 are read: convert the model again with a current llama.cpp")]
    Version {
        /// The version in the file.
        found: u32,
    },
    /// The file ends inside an item.
    #[error(
        "ends inside {what}: {need} bytes are needed at offset {offset}, {have} are left; the file is truncated, fetch it again"
    )]
    Truncated {
        /// The item.
        what: String,
        /// Byte offset of the read.
        offset: u64,
        /// Bytes needed.
        need: u64,
        /// Bytes left in the file.
        have: u64,
    },
    /// A count in the header that exceeds the file.
    #[error(
        "claims to have {count} {what}, but {have} bytes hold at most {most}; the file is corrupt or truncated, fetch it again"
    )]
    Count {
        /// The counted items.
        what: String,
        /// The count in the file.
        count: u64,
        /// The largest count possible.
        most: u64,
        /// Bytes left in the file.
        have: u64,
    },
    /// More items in the header than are supported.
    #[error("has {count} {what}, at most {most} are read: the file is corrupt, or not a model")]
    TooMany {
        /// The counted items.
        what: String,
        /// The count in the file.
        count: u64,
        /// The maximum that is read.
        most: u64,
    },
    /// A header larger than is supported.
    #[error(
        "has more than {most} bytes before its tensors' ({what} goes beyond them): the file is corrupt, or not a model"
    )]
    Header {
        /// The item that exceeds the limit.
        what: String,
        /// Maximum bytes.
        most: u64,
    },
    /// Text that is longer than the format allows.
    #[error("{what} is {len} bytes long, at most {most} are allowed; the file is corrupt")]
    StringLength {
        /// The text's role.
        what: String,
        /// Its length in bytes.
        len: u64,
        /// The maximum length.
        most: u64,
    },
    /// Text that is not UTF-8.
    #[error("{what} is not UTF-8 from its byte {valid_up_to} on; the file is corrupt")]
    Utf8 {
        /// The text's role.
        what: String,
        /// Bytes that are UTF-8.
        valid_up_to: usize,
    },
    /// An empty metadata key or tensor name.
    #[error("{what} has an empty name; the file is corrupt")]
    EmptyName {
        /// The key or tensor, by index.
        what: String,
    },
    /// A metadata value type that GGUF does not have.
    #[error("key \"{key}\" has value type {id}; GGUF has 0 to 12, so the file is corrupt or newer than this program")]
    ValueType {
        /// The key.
        key: String,
        /// The type's number.
        id: u32,
    },
    /// A bool that is neither 0 nor 1.
    #[error("key \"{key}\" is a bool of value {value}, expected 0 or 1; the file is corrupt")]
    Bool {
        /// The key.
        key: String,
        /// The byte.
        value: u8,
    },
    /// Arrays nested too deep.
    #[error("key \"{key}\" nests arrays deeper than {most}; the file is corrupt")]
    Depth {
        /// The key.
        key: String,
        /// The maximum depth.
        most: usize,
    },
    /// A key that appears twice.
    #[error("key \"{key}\" appears twice; the file is corrupt")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// A tensor that appears twice.
    #[error("tensor \"{tensor}\" appears twice; the file is corrupt")]
    DuplicateTensor {
        /// The tensor.
        tensor: String,
    },
    /// An invalid `general.alignment`.
    #[error("key \"general.alignment\" is {value}, expected a power of two from 8 to 65536")]
    Alignment {
        /// The value.
        value: u64,
    },
    /// A part of a split model.
    #[error(
        "is one of {count} parts of a split model, which are found by their names, NAME-00001-of-{count:05}.gguf and so on; \
         give them those, or join them with `llama-gguf-split --merge FIRST-PART OUT.gguf` and use the result"
    )]
    Split {
        /// The number of parts.
        count: u64,
    },
    /// A part of a split model that claims to be another.
    #[error("claims to be part {found}, expected part {expected} by its name; fetch the parts again")]
    Part {
        /// The part according to the file, counted from 1.
        found: String,
        /// The part according to its name.
        expected: String,
    },
    /// The parts are not all of a model's tensors.
    #[error(
        "has {found} tensors in its {count} parts, expected {expected} (split.tensors.count); fetch the parts again"
    )]
    PartTensors {
        /// Tensors in all parts.
        found: usize,
        /// The number of parts.
        count: u64,
        /// The number according to the first part.
        expected: u64,
    },
    /// A tensor with no or too many dimensions.
    #[error("tensor \"{tensor}\" has {found} dimensions, expected 1 to 4; the file is corrupt")]
    Dimensions {
        /// The tensor.
        tensor: String,
        /// The number of dimensions.
        found: u32,
    },
    /// A tensor with a dimension of 0, or a size that cannot be addressed.
    #[error("tensor \"{tensor}\" has dimensions {dims:?}, whose size is zero or overflows; the file is corrupt")]
    Size {
        /// The tensor.
        tensor: String,
        /// Its dimensions, innermost first.
        dims: Vec<u64>,
    },
    /// Tensor types that ptxgen does not support.
    #[error(
        "ptxgen does not read tensors of type {}; by type the file has {}; supported are {}",
        unread.iter().map(Unread::to_string).collect::<Vec<_>>().join(", "),
        counts(types),
        TensorType::ALL.map(TensorType::name).join(", ")
    )]
    TensorTypes {
        /// The unsupported types, in the order of the file.
        unread: Vec<Unread>,
        /// The number of tensors of each type, by type number.
        types: BTreeMap<u32, usize>,
    },
    /// A row that is not a whole number of blocks.
    #[error("tensor \"{tensor}\" has rows of {row} weights, but {ty} needs a multiple of {}; the file is corrupt", ty.block_len())]
    Block {
        /// The tensor.
        tensor: String,
        /// Its type.
        ty: TensorType,
        /// The innermost dimension.
        row: u64,
    },
    /// A tensor that does not start at the file's alignment.
    #[error(
        "tensor \"{tensor}\" starts at data offset {offset}, expected a multiple of the alignment {alignment}; the file is corrupt"
    )]
    Misaligned {
        /// The tensor.
        tensor: String,
        /// Its offset in the data section.
        offset: u64,
        /// The file's alignment.
        alignment: u64,
    },
    /// A tensor that ends beyond the file.
    #[error(
        "tensor \"{tensor}\" takes {len} bytes from offset {start}, but the file has {have} bytes; the file is truncated, fetch it again"
    )]
    OutOfFile {
        /// The tensor.
        tensor: String,
        /// Its offset in the file.
        start: u64,
        /// Its size in bytes.
        len: u64,
        /// The file's size in bytes.
        have: u64,
    },
    /// Two tensors that share bytes.
    #[error("tensors \"{first}\" and \"{second}\" share bytes; the file is corrupt")]
    Overlap {
        /// The tensor that starts first.
        first: String,
        /// The other one.
        second: String,
    },
    /// A required key is missing.
    #[error("has no key \"{key}\", which is needed{}", did_you_mean(near))]
    MissingKey {
        /// The key.
        key: String,
        /// A similar existing key.
        near: Option<String>,
    },
    /// A key whose value has the wrong type.
    #[error("key \"{key}\" is of type {found}, expected {expected}")]
    KeyType {
        /// The key.
        key: String,
        /// The required type.
        expected: &'static str,
        /// The actual type.
        found: String,
    },
    /// A number that the required type cannot represent.
    #[error("key \"{key}\" is {value}, expected {expected}")]
    KeyRange {
        /// The key.
        key: String,
        /// The required range.
        expected: &'static str,
        /// The actual value.
        value: String,
    },
    /// A required tensor is missing.
    #[error("has no tensor \"{tensor}\", which is needed{}", did_you_mean(near))]
    MissingTensor {
        /// The tensor.
        tensor: String,
        /// A similar existing tensor.
        near: Option<String>,
    },
    /// A tensor with a type other than the requested one.
    #[error("tensor \"{tensor}\" has type {found}, expected {expected}")]
    WrongTensorType {
        /// The tensor.
        tensor: String,
        /// The required type.
        expected: TensorType,
        /// The actual type.
        found: TensorType,
    },
    /// A writer that received too few or too many bytes for its tensors.
    #[error("was given {given} bytes of tensor data, expected {expected} for the tensors declared")]
    WrittenSize {
        /// Bytes that the declared tensors take.
        expected: u64,
        /// Bytes given.
        given: u64,
    },
}

fn did_you_mean(near: &Option<String>) -> String {
    match near {
        Some(n) => format!("; there is \"{n}\""),
        None => String::new(),
    }
}

/// A tensor type in a file that ptxgen does not support.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unread {
    /// The type's number.
    pub(super) id: u32,
    /// Number of tensors of this type.
    pub(super) tensors: usize,
    /// The first one's name.
    pub(super) first: String,
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, Self { id, first, .. }) = (type_name(self.id), self);
        match self.tensors {
            1 => write!(f, "{name} (number {id}: tensor \"{first}\")"),
            n => write!(f, "{name} (number {id}: {n} tensors, the first \"{first}\")"),
        }
    }
}

/// `3 F32, 1 Q5_K`.
fn counts(types: &BTreeMap<u32, usize>) -> String {
    types.iter().map(|(id, n)| format!("{n} {}", type_name(*id))).collect::<Vec<_>>().join(", ")
}
