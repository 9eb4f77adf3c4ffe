//! A model's tensors in a device's memory.

use super::{
    LoadError,
    bind::Buffers,
    place::{Devices, Home, Placement, Section},
    plan::Model,
    slot::Slot,
};
use crate::{config::TensorRole, gguf::Gguf, graph::Graph};
use indexmap::IndexSet;

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

/// A tensor, and a buffer that has its bytes.
type Tensor = (TensorRole, Option<usize>, Home);

/// Every tensor once on each device where a stage reads it, in the order of the forward.
fn tensors<'p>(graph: &'p Graph, placement: &'p Placement) -> IndexSet<Tensor> {
    let of_section = |section: Section| {
        let nodes = match section {
            Section::Before => &graph.before,
            Section::Layer(_) => &graph.layer,
            Section::After => &graph.after,
        };
        nodes.iter().filter_map(|node| node.operation.weights()).map(move |role| {
            let layer = section.layer().filter(|_| !role.is_whole());
            (role, layer, placement.home(section, Slot::Weight(role, layer)))
        })
    };
    placement.sections().flat_map(of_section).collect()
}

/// Bytes of each buffer of weights.
pub(super) fn sizes(gguf: &Gguf, graph: &Graph, placement: &Placement) -> Result<Vec<(Home, u64)>, LoadError> {
    let size = |(role, layer, home): Tensor| Ok((home, gguf.tensor(&role.name(layer))?.data.len() as u64));
    tensors(graph, placement).into_iter().map(size).collect()
}

/// Uploads every tensor, as the file has it, to where it is used.
pub(super) fn upload(
    devices: &Devices,
    gguf: &Gguf,
    model: &Model,
    progress: &mut dyn FnMut(Progress),
) -> Result<Buffers, LoadError> {
    let Model { graph, placement, .. } = model;
    let total = sizes(gguf, graph, placement)?.into_iter().map(|(_, bytes)| bytes).sum();
    let (mut done, mut buffers) = (0, Buffers::new());
    for (role, layer, home) in tensors(graph, placement) {
        let data = gguf.tensor(&role.name(layer))?.data;
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
