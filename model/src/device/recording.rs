//! The launches of a pass, recorded: a graph for each device, and copies where the device changes.
//!
//! Sections are on devices one after the other, so a pass visits each device once. Two things cross: the residual
//! stream, which is all that one section reads of another, and the words with which a chosen token becomes the input of
//! the next pass. On one device a recording is one graph.

use super::{
    bind::{Buffers, Leg},
    place::{DeviceIndex, Devices, Home, Placement},
    slot::Slot,
};
use crate::config::ModelConfig;
use ptxgen_runtime::{Call, Device, DeviceError, Graph, Transfer};

/// A copy from one device to another.
struct Crossing {
    transfer: Transfer<u8>,
    /// Bytes of a token; all bytes are copied if there is no such number.
    of_token: Option<usize>,
}

impl Crossing {
    fn run(&self, tokens: usize) -> Result<(), DeviceError> {
        self.transfer.run(self.of_token.map_or(self.transfer.len(), |bytes| bytes * tokens))
    }
}

/// A copy of the first bytes of a slot, at most `most`; none if one of the devices has no such buffer.
fn copy_of(
    buffers: &mut Buffers,
    slot: Slot,
    (from, to): (DeviceIndex, DeviceIndex),
    most: usize,
) -> Result<Option<Transfer<u8>>, DeviceError> {
    let home = |device| Home { device, slot };
    let [Some(from), Some(to)] = buffers.get_disjoint_mut([&home(from), &home(to)]) else { return Ok(None) };
    let bytes = most.min(from.len()).min(to.len());
    Transfer::new(from.slice(..bytes)?, to.slice_mut(..bytes)?).map(Some)
}

/// What recordings need to know of a model.
#[derive(Clone, Copy)]
pub(super) struct Route<'m> {
    pub(super) devices: &'m Devices,
    pub(super) placement: &'m Placement,
    pub(super) config: &'m ModelConfig,
}

impl Route<'_> {
    /// The residual stream of up to this many tokens, from one device to the next.
    fn stream(
        &self,
        buffers: &mut Buffers,
        between: (DeviceIndex, DeviceIndex),
        tokens: u32,
    ) -> Result<Option<Crossing>, DeviceError> {
        let row = self.config.hidden * size_of::<f32>();
        let transfer = copy_of(buffers, Slot::Stream, between, row * tokens as usize)?;
        Ok(transfer.map(|transfer| Crossing { transfer, of_token: Some(row) }))
    }

    /// The words of the next pass, from the device that has chosen its token to every other one.
    fn next(&self, buffers: &mut Buffers) -> Result<Vec<Crossing>, DeviceError> {
        let last = self.placement.last();
        let mut crossings = Vec::new();
        for (device, _) in self.devices.iter().filter(|(device, _)| *device != last) {
            for slot in [Slot::State, Slot::Tokens] {
                // A device that does not read the words has no buffer for them.
                let transfer = copy_of(buffers, slot, (last, device), usize::MAX)?;
                crossings.extend(transfer.map(|transfer| Crossing { transfer, of_token: None }));
            }
        }
        Ok(crossings)
    }

    /// The legs of a pass of up to this many tokens, with the copies before each; legs of the same device are joined.
    fn joined<'l>(
        &self,
        legs: impl IntoIterator<Item = &'l Leg>,
        buffers: &mut Buffers,
        tokens: u32,
    ) -> Result<Vec<(Option<Crossing>, Leg)>, DeviceError> {
        let mut joined: Vec<(Option<Crossing>, Leg)> = Vec::new();
        for Leg { device, calls } in legs {
            let crossing = match joined.last_mut() {
                Some((_, leg)) if leg.device == *device => {
                    leg.calls.extend_from_slice(calls);
                    continue;
                }
                Some((_, leg)) => self.stream(buffers, (leg.device, *device), tokens)?,
                None => None,
            };
            joined.push((crossing, Leg { device: *device, calls: calls.clone() }));
        }
        Ok(joined)
    }

    /// Records a pass of up to this many tokens.
    pub(super) fn record<'l>(
        &self,
        legs: impl IntoIterator<Item = &'l Leg>,
        buffers: &mut Buffers,
        tokens: u32,
    ) -> Result<Recording, DeviceError> {
        let graph = |(crossing, leg): (_, Leg)| {
            let device = self.devices[leg.device].clone();
            Ok((crossing, device.graph(&leg.calls)?, device))
        };
        let legs = self.joined(legs, buffers, tokens)?.into_iter().map(graph).collect::<Result<_, DeviceError>>()?;
        Ok(Recording { legs, after: Vec::new() })
    }

    /// Records a pass of one token that chooses the next one, so that the pass can run again at once.
    pub(super) fn record_token<'l>(
        &self,
        legs: impl IntoIterator<Item = &'l Leg>,
        buffers: &mut Buffers,
    ) -> Result<Recording, DeviceError> {
        Ok(Recording { after: self.next(buffers)?, ..self.record(legs, buffers, 1)? })
    }

    /// A pass of up to this many tokens, launch by launch.
    pub(super) fn singly<'l>(
        &self,
        legs: impl IntoIterator<Item = &'l Leg>,
        buffers: &mut Buffers,
        tokens: u32,
    ) -> Result<Vec<Single>, DeviceError> {
        let mut all = Vec::new();
        for (mut crossing, leg) in self.joined(legs, buffers, tokens)? {
            let device = &self.devices[leg.device];
            let one = |call| Single { crossing: crossing.take(), device: device.clone(), call };
            all.extend(leg.calls.into_iter().map(one));
        }
        Ok(all)
    }
}

/// Launches that run again and again.
pub(super) struct Recording {
    legs: Vec<(Option<Crossing>, Graph, Device)>,
    after: Vec<Crossing>,
}

impl Recording {
    /// Runs the pass with this many tokens.
    pub(super) fn replay(&self, tokens: usize) -> Result<(), DeviceError> {
        for (crossing, graph, device) in &self.legs {
            crossing.iter().try_for_each(|crossing| crossing.run(tokens))?;
            device.replay(graph)?;
        }
        self.after.iter().try_for_each(|crossing| crossing.run(tokens))
    }
}

/// One launch of a pass, with the copy before it if its device is a new one.
pub(super) struct Single {
    crossing: Option<Crossing>,
    device: Device,
    call: Call,
}

impl Single {
    /// Runs it, in a pass with this many tokens.
    pub(super) fn run(&self, tokens: usize) -> Result<(), DeviceError> {
        self.crossing.iter().try_for_each(|crossing| crossing.run(tokens))?;
        self.device.run(&self.call)
    }
}
