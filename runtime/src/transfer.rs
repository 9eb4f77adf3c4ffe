//! Copies between buffers, of one device or of two.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use ptxgen_builder::build::{Scalar, Stored};

use crate::allocation::Allocation;
use crate::buffer::{View, ViewMut};
use crate::element::Element;
use crate::error::DeviceError;

/// A copy from one buffer to another, prepared once and run any number of times. The buffers may be on different
/// devices; their memory is kept alive.
///
/// A run is ordered with the default streams of both devices: it reads what earlier work of the source's device wrote,
/// overwrites what earlier work of the destination's device may still read only after that has ended, and later work of
/// both comes after it. Between two GPUs the host does not wait: the driver copies over their connection, or through
/// host memory where they have none (`cuMemcpyPeerAsync`). All other pairs are copied through the host.
#[must_use = "a transfer does nothing until it runs"]
pub struct Transfer<T> {
    from: Arc<Allocation>,
    to: Arc<Allocation>,
    /// The addresses of the first elements.
    addresses: (u64, u64),
    len: usize,
    elements: PhantomData<T>,
}

impl<T: Stored<Element: Element>> Transfer<T> {
    /// Prepares a copy of all elements of `from` to `to`.
    ///
    /// # Errors
    /// If the lengths differ.
    pub fn new(from: View<'_, T>, to: ViewMut<'_, T>) -> Result<Transfer<T>, DeviceError> {
        let (to, len) = (to.into_view(), from.len());
        if to.len() != len {
            let why = "the source of a copy has another length";
            return Err(DeviceError::Range { start: 0, end: len, len: to.len(), ty: T::Element::TY, why });
        }
        let addresses = (from.address(), to.address());
        let (from, to) = (from.allocation().clone(), to.allocation().clone());
        Ok(Transfer { from, to, addresses, len, elements: PhantomData })
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies the first `count` elements.
    ///
    /// # Errors
    /// If it has fewer, or a device failed.
    pub fn run(&self, count: usize) -> Result<(), DeviceError> {
        if count > self.len {
            let why = "the copy was prepared for fewer";
            return Err(DeviceError::Range { start: 0, end: count, len: self.len, ty: T::Element::TY, why });
        }
        self.from.join_users()?;
        self.to.join_users()?;
        let (from, at) = self.addresses;
        let copied = self.from.backend.copy(from, &*self.to.backend, at, count * size_of::<T::Element>());
        // A part may have been copied when a device failed.
        self.to.wrote();
        copied
    }
}

impl<T> fmt::Debug for Transfer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "transfer of {} elements, {} to {}", self.len, self.from.backend.name(), self.to.backend.name())
    }
}
