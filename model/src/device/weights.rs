//! A model's tensors in a device's memory.

use super::{
    LoadError,
    bind::Buffers,
    place::{Devices, Placement},
    slot::Slot,
};
use crate::{config::ModelConfig, gguf::Gguf};

/// Bytes between two calls of the progress callback.
const PIECE: usize = 256 << 20;

/// Progress of an upload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Bytes uploaded.
    pub done: u64,
    /// Total bytes.
    pub total: u64,
}

/// Bytes of all tensors.
pub(super) fn bytes(gguf: &Gguf, config: &ModelConfig) -> Result<u64, LoadError> {
    let each = config.tensors().map(|(role, layer)| Ok(gguf.tensor(&role.name(layer))?.data.len() as u64));
    each.sum()
}

/// Uploads every tensor, once, as the file has it, to where it is used.
pub(super) fn upload(
    (devices, placement): (&Devices, &Placement),
    gguf: &Gguf,
    config: &ModelConfig,
    progress: &mut dyn FnMut(Progress),
) -> Result<Buffers, LoadError> {
    let total = bytes(gguf, config)?;
    let (mut done, mut buffers) = (0, Buffers::new());
    for (role, layer) in config.tensors() {
        let data = gguf.tensor(&role.name(layer))?.data;
        let home = placement.home(layer, Slot::Weight(role, layer));
        let mut buffer = devices[home.device].alloc(data.len())?;
        for (i, piece) in data.chunks(PIECE).enumerate() {
            buffer.write(i * PIECE, piece)?;
            done += piece.len() as u64;
            progress(Progress { done, total });
        }
        buffers.insert(home, buffer);
    }
    Ok(buffers)
}
