//! Device memory, typed by element.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use ptxgen_builder::build::{Scalar, Stored};

use crate::allocation::Allocation;
use crate::backend::{Backend, Init};
use crate::element::Element;
use crate::error::DeviceError;

/// `len` elements in a device's memory, aligned to 256 bytes: numbers, or the bytes of a format ([`Stored`]).
///
/// The host's reads and writes are ordered with the work on the device's default stream, and with work on other streams
/// that uses the buffer. A [`Call`](crate::Call) or [`Graph`](crate::Graph) keeps the memory of its buffers alive.
/// Memory is freed after all work that may use it has ended.
pub struct Buffer<T> {
    allocation: Arc<Allocation>,
    len: usize,
    elements: PhantomData<T>,
}

/// Part of a buffer, for reading.
pub struct View<'b, T> {
    allocation: &'b Arc<Allocation>,
    /// Offset from the start of the allocation, in bytes.
    start: u64,
    len: usize,
    elements: PhantomData<T>,
}

/// Part of a buffer, for writing.
pub struct ViewMut<'b, T>(View<'b, T>);

impl<T> Clone for View<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for View<'_, T> {}

/// Its contents, for messages.
fn what<T: Stored>() -> String {
    let ty = T::Element::TY;
    T::FORMAT.map_or_else(|| ty.to_string(), |format| format!("{ty} ({format})"))
}

impl<T: Stored> fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer of {} {} on {}", self.len, what::<T>(), self.allocation.backend.name())
    }
}

impl<T: Stored> fmt::Debug for View<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "View of {} {} from byte {} on", self.len, what::<T>(), self.start)
    }
}

impl<T: Stored> fmt::Debug for ViewMut<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, to be written", self.0)
    }
}

impl<T: Stored<Element: Element>> Buffer<T> {
    pub(crate) fn new(backend: &Arc<dyn Backend>, len: usize, init: Init) -> Result<Self, DeviceError> {
        let bytes = (len as u64).saturating_mul(size_of::<T::Element>() as u64);
        let allocation = Arc::new(Allocation::new(backend, bytes, init)?);
        Ok(Buffer { allocation, len, elements: PhantomData })
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Size in bytes.
    pub fn bytes(&self) -> u64 {
        self.view().bytes()
    }

    /// The whole buffer.
    pub fn view(&self) -> View<'_, T> {
        View { allocation: &self.allocation, start: 0, len: self.len, elements: PhantomData }
    }

    /// The whole buffer, for writing.
    pub fn view_mut(&mut self) -> ViewMut<'_, T> {
        ViewMut(self.view())
    }

    /// A range of elements.
    ///
    /// # Errors
    /// If the range is not inside the buffer.
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Result<View<'_, T>, DeviceError> {
        self.view().slice(range)
    }

    /// A range of elements, for writing.
    ///
    /// # Errors
    /// If the range is not inside the buffer.
    pub fn slice_mut(&mut self, range: impl RangeBounds<usize>) -> Result<ViewMut<'_, T>, DeviceError> {
        Ok(ViewMut(self.view().slice(range)?))
    }

    /// The elements, after all work submitted to the default stream.
    ///
    /// # Errors
    /// If the device failed.
    pub fn read(&self) -> Result<Vec<T::Element>, DeviceError> {
        self.view().read()
    }

    /// Replaces the elements from `at` on: after all work submitted to the default stream so far, and before later
    /// work.
    ///
    /// # Errors
    /// If they do not fit, or the device failed.
    pub fn write(&mut self, at: usize, elements: &[T::Element]) -> Result<(), DeviceError> {
        self.slice_mut(at..at.saturating_add(elements.len()))?.write(elements)
    }
}

impl<'b, T: Stored<Element: Element>> View<'b, T> {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Size in bytes.
    pub fn bytes(&self) -> u64 {
        self.len as u64 * size_of::<T::Element>() as u64
    }

    /// A range of its elements.
    ///
    /// # Errors
    /// If the range is not inside the view.
    pub fn slice(self, range: impl RangeBounds<usize>) -> Result<View<'b, T>, DeviceError> {
        let start = match range.start_bound() {
            Bound::Included(&i) => i,
            Bound::Excluded(&i) => i.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&i) => i.saturating_add(1),
            Bound::Excluded(&i) => i,
            Bound::Unbounded => self.len,
        };
        if start > end || end > self.len {
            return Err(self.range(start, end, "it is not inside of the buffer"));
        }
        Ok(View { start: self.start + (start * size_of::<T::Element>()) as u64, len: end - start, ..self })
    }

    /// The same bytes as elements of another type.
    ///
    /// # Errors
    /// If its start or length is not a multiple of that type's size.
    pub fn cast<U: Stored<Element: Element>>(self) -> Result<View<'b, U>, DeviceError> {
        let size = size_of::<U::Element>() as u64;
        if !self.start.is_multiple_of(size) || !self.bytes().is_multiple_of(size) {
            return Err(self.range(0, self.len, "they are no whole elements of the other type"));
        }
        let len = (self.bytes() / size) as usize;
        Ok(View { allocation: self.allocation, start: self.start, len, elements: PhantomData })
    }

    /// The elements, after all work submitted to the default stream.
    ///
    /// # Errors
    /// If the device failed.
    pub fn read(self) -> Result<Vec<T::Element>, DeviceError> {
        let mut elements = vec![<T::Element as bytemuck::Zeroable>::zeroed(); self.len];
        self.read_to(&mut elements)?;
        Ok(elements)
    }

    /// As [`read`](Self::read), into existing memory.
    ///
    /// # Errors
    /// If the lengths differ or the device failed.
    pub fn read_to(self, elements: &mut [T::Element]) -> Result<(), DeviceError> {
        if elements.len() != self.len {
            return Err(self.range(0, elements.len(), "the destination has another length"));
        }
        self.allocation.join_users()?;
        self.allocation.backend.read(self.address(), bytemuck::cast_slice_mut(elements))
    }

    fn range(&self, start: usize, end: usize, why: &'static str) -> DeviceError {
        DeviceError::Range { start, end, len: self.len, ty: T::Element::TY, why }
    }
}

impl<'b, T> View<'b, T> {
    pub(crate) fn allocation(&self) -> &'b Arc<Allocation> {
        self.allocation
    }

    pub(crate) fn address(&self) -> u64 {
        self.allocation.address + self.start
    }

    pub(crate) fn start(&self) -> u64 {
        self.start
    }
}

impl<'b, T: Stored<Element: Element>> ViewMut<'b, T> {
    /// The same part, for reading.
    pub fn view(&self) -> View<'_, T> {
        self.0
    }

    pub(crate) fn into_view(self) -> View<'b, T> {
        self.0
    }

    /// The same bytes as elements of another type.
    ///
    /// # Errors
    /// If its start or length is not a multiple of that type's size.
    pub fn cast<U: Stored<Element: Element>>(self) -> Result<ViewMut<'b, U>, DeviceError> {
        Ok(ViewMut(self.0.cast()?))
    }

    /// Replaces all elements; ordered like [`Buffer::write`].
    ///
    /// # Errors
    /// If the lengths differ or the device failed.
    pub fn write(&mut self, elements: &[T::Element]) -> Result<(), DeviceError> {
        if elements.len() != self.0.len {
            return Err(self.0.range(0, elements.len(), "the source has another length"));
        }
        self.0.allocation.join_users()?;
        // The device may already have received a part of the data when it failed.
        let written = self.0.allocation.backend.write(self.0.address(), bytemuck::cast_slice(elements));
        self.0.allocation.wrote();
        written
    }
}
