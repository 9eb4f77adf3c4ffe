//! Tensors of a file.

use super::{
    error::{GgufError, GgufErrorKind},
    types::TensorType,
};
use std::{borrow::Cow, sync::Arc};

/// A file's description of a tensor, validated.
#[derive(Debug, Clone)]
pub(super) struct TensorInfo {
    pub(super) dims: Vec<usize>,
    pub(super) ty: TensorType,
    /// The index of the file in a split model.
    pub(super) part: usize,
    /// Byte offset in the file.
    pub(super) start: usize,
    /// Size in bytes.
    pub(super) len: usize,
}

/// A tensor: its description and its bytes in the file.
///
/// `data` is exactly `rows() * row_bytes()` long and aligned to at least 8 bytes (the file's alignment, usually 32).
#[derive(Debug, Clone, Copy)]
pub struct TensorView<'a> {
    pub(super) file: &'a Arc<str>,
    /// The tensor's name.
    pub name: &'a str,
    /// One to four dimensions, innermost first as in the file: a matrix of `m` rows of `k`
    /// weights is `[k, m]`.
    pub dims: &'a [usize],
    /// The type of the stored weights.
    pub ty: TensorType,
    /// The bytes, rows one after the other.
    pub data: &'a [u8],
}

impl<'a> TensorView<'a> {
    /// Weights per row: the innermost dimension.
    pub fn row_len(&self) -> usize {
        self.dims[0]
    }

    /// Rows, over all outer dimensions.
    pub fn rows(&self) -> usize {
        self.dims[1..].iter().product()
    }

    /// Bytes per row.
    pub fn row_bytes(&self) -> usize {
        self.row_len() / self.ty.block_len() * self.ty.block_bytes()
    }

    /// Total number of weights.
    pub fn elements(&self) -> usize {
        self.dims.iter().product()
    }

    /// The part at `index` of the outermost dimension: a row of a matrix, an expert's matrix.
    ///
    /// # Panics
    /// If the tensor has one dimension, or the index is out of range.
    pub fn outer(&self, index: usize) -> TensorView<'a> {
        let (name, parts) = (self.name, self.dims[self.dims.len() - 1]);
        assert!(self.dims.len() > 1, "{name} has one dimension");
        assert!(index < parts, "index {index} into {parts} parts of {name}");
        let len = self.data.len() / parts;
        TensorView { dims: &self.dims[..self.dims.len() - 1], data: &self.data[index * len..][..len], ..*self }
    }

    /// The weights of an F32 tensor, in place if the machine is little-endian.
    ///
    /// # Errors
    /// If the tensor has another type.
    pub fn f32s(&self) -> Result<Cow<'a, [f32]>, GgufError> {
        if self.ty != TensorType::F32 {
            return Err(GgufError::new(
                self.file,
                GgufErrorKind::WrongTensorType { tensor: self.name.into(), expected: TensorType::F32, found: self.ty },
            ));
        }
        if cfg!(target_endian = "little")
            && let Ok(values) = bytemuck::try_cast_slice(self.data)
        {
            return Ok(Cow::Borrowed(values));
        }
        let (values, _) = self.data.as_chunks();
        Ok(Cow::Owned(values.iter().map(|b| f32::from_le_bytes(*b)).collect()))
    }
}
