//! Copies to the host that nobody waits for yet.

use std::sync::{Arc, Mutex};

use super::locked;
use super::staging::{Mark, Pinned};
use crate::backend::Pending;
use crate::error::DeviceError;

/// Bytes on their way to pinned memory.
pub(super) struct Download {
    mark: Mark,
    pinned: Option<Pinned>,
    bytes: usize,
    spare: Arc<Mutex<Vec<Pinned>>>,
}

impl Download {
    /// A copy of `bytes` to `pinned` that ends at `mark`; the memory is `spare` then.
    pub(super) fn new(mark: Mark, pinned: Pinned, bytes: usize, spare: Arc<Mutex<Vec<Pinned>>>) -> Download {
        Download { mark, pinned: Some(pinned), bytes, spare }
    }
}

impl Pending for Download {
    fn wait(self: Box<Self>, take: &mut dyn FnMut(&[u8])) -> Result<(), DeviceError> {
        self.mark.wait()?;
        if let Some(pinned) = &self.pinned {
            take(&pinned.bytes()[..self.bytes]);
        }
        Ok(())
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        // The copy ends before its memory is used again.
        if self.mark.wait().is_ok()
            && let Some(pinned) = self.pinned.take()
        {
            locked(&self.spare).push(pinned);
        }
    }
}
