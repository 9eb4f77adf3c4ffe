//! Asynchronous copies to the host.

use std::sync::{Arc, Mutex};

use super::locked;
use super::records::Records;
use super::staging::{Mark, Pinned, UnderWay};
use crate::backend::Pending;
use crate::error::DeviceError;

/// Bytes that are being copied to pinned memory.
pub(super) struct Download {
    mark: Mark,
    pinned: Option<UnderWay>,
    bytes: usize,
    spare: Arc<Mutex<Vec<Pinned>>>,
    records: Arc<Records>,
}

impl Download {
    /// A copy of `bytes` to `pinned` that ends at `mark`; the memory becomes `spare` afterwards.
    pub(super) fn new(
        mark: Mark,
        pinned: UnderWay,
        bytes: usize,
        spare: Arc<Mutex<Vec<Pinned>>>,
        records: Arc<Records>,
    ) -> Download {
        Download { mark, pinned: Some(pinned), bytes, spare, records }
    }

    /// Waits for the copy, passes the memory to `take`, and returns it to the spare memory.
    fn end(&mut self, take: &mut dyn FnMut(&[u8])) -> Result<(), DeviceError> {
        if let Some(pinned) = self.pinned.take() {
            let pinned = pinned.ended(&self.mark)?;
            take(&pinned.bytes()[..self.bytes]);
            locked(&self.spare).push(pinned);
        }
        Ok(())
    }
}

impl Pending for Download {
    fn wait(mut self: Box<Self>, take: &mut dyn FnMut(&[u8])) -> Result<(), DeviceError> {
        self.end(take)?;
        self.records.told()
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        // The copy must end before its memory is used again; if that is unknown, the memory is not used again.
        drop(self.end(&mut |_| {}));
    }
}
