//! Where stages run and buffers live.

use super::{LoadError, slot::Slot};
use crate::memory::free_memory;
use ptxgen_builder::target::Target;
use ptxgen_dsl::catalogue::Machine;
use ptxgen_runtime::{Device, DeviceError};

/// One of a model's devices.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct DeviceIndex(u16);

impl DeviceIndex {
    /// Its number in a list of what each device has.
    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The devices of a model.
#[derive(Clone)]
pub(super) struct Devices(Vec<Device>);

impl Devices {
    /// # Errors
    /// If there is none, or there are more devices than layers.
    pub(super) fn new(devices: &[Device], layers: usize) -> Result<Devices, LoadError> {
        if devices.is_empty() || devices.len() > layers {
            return Err(LoadError::Devices { devices: devices.len(), layers });
        }
        Ok(Devices(devices.to_vec()))
    }

    /// Each with its index.
    pub(super) fn iter(&self) -> impl Iterator<Item = (DeviceIndex, &Device)> {
        (0..).map(DeviceIndex).zip(&self.0)
    }

    /// Each device's free memory. Interpreters share that of this machine.
    ///
    /// # Errors
    /// If a device does not report it.
    pub(super) fn free(&self) -> Result<Vec<u64>, DeviceError> {
        let interpreters = self.0.iter().filter(|d| d.is_interpreter()).count().max(1) as u64;
        let host = free_memory().unwrap_or(u64::MAX) / interpreters;
        let free = |device: &Device| {
            let free = device.memory()?.free;
            Ok(if device.is_interpreter() { free.min(host) } else { free })
        };
        self.0.iter().map(free).collect()
    }

    /// The layers in equal shares, if all devices have the same free memory; otherwise in proportion to it.
    ///
    /// # Errors
    /// If a device does not report its memory.
    pub(super) fn placement(&self, layers: usize) -> Result<Placement, DeviceError> {
        Ok(Placement::of_shares(&shares(layers, &self.free()?)))
    }

    /// What kernels are generated for: the oldest device, because newer ones run its code too.
    pub(super) fn target(&self) -> Target {
        self.0.iter().map(Device::target).min().unwrap_or(Target::SM_90)
    }

    /// Each device's numbers, which its schedules follow.
    pub(super) fn machines(&self) -> Vec<Machine> {
        self.0.iter().map(|d| Machine::new(d.multiprocessors())).collect()
    }
}

impl std::ops::Index<DeviceIndex> for Devices {
    type Output = Device;
    fn index(&self, index: DeviceIndex) -> &Device {
        &self.0[index.index()]
    }
}

/// Divides layers in proportion to these weights, at least one for each.
fn shares(layers: usize, weights: &[u64]) -> Vec<usize> {
    let total: u128 = weights.iter().map(|&w| u128::from(w)).sum();
    let (mut sum, mut done) = (0u128, 0);
    let mut shares = Vec::with_capacity(weights.len());
    for (i, &weight) in weights.iter().enumerate() {
        sum += u128::from(weight);
        // The layers up to the end of this share, rounded; the rest must do for the other devices.
        let end = (2 * sum * layers as u128 + total) / (2 * total).max(1);
        let most = layers - (weights.len() - 1 - i);
        let end = if i + 1 == weights.len() { layers } else { (end as usize).clamp(done + 1, most) };
        shares.push(end - done);
        done = end;
    }
    shares
}

/// A part of the forward whose stages run on one device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Section {
    /// From tokens to the residual stream.
    Before,
    /// A layer.
    Layer(usize),
    /// From the residual stream to logits, and the choice of the next token.
    After,
}

impl Section {
    /// The layer, if it is one.
    pub(super) fn layer(self) -> Option<usize> {
        match self {
            Section::Layer(layer) => Some(layer),
            Section::Before | Section::After => None,
        }
    }
}

/// Which device has which stages, with their weights and what they keep: consecutive layers are on the same device, the
/// stages before the layers where the first one is, and those after them where the last one is.
#[derive(Clone, Debug)]
pub(super) struct Placement {
    layers: Vec<DeviceIndex>,
}

impl Placement {
    /// All on the first of the devices.
    pub(super) fn on_one(layers: usize) -> Placement {
        Self::of_shares(&[layers])
    }

    /// As many layers as each share says on the next device.
    fn of_shares(shares: &[usize]) -> Placement {
        let of = |(device, share): (u16, &usize)| std::iter::repeat_n(DeviceIndex(device), *share);
        Placement { layers: (0..).zip(shares).flat_map(of).collect() }
    }

    /// Where a section's stages run.
    pub(super) fn of(&self, section: Section) -> DeviceIndex {
        let device = match section {
            Section::Before => self.layers.first(),
            Section::Layer(layer) => self.layers.get(layer),
            Section::After => self.layers.last(),
        };
        device.copied().unwrap_or(DeviceIndex(0))
    }

    /// Where logits are computed, which the host reads.
    pub(super) fn last(&self) -> DeviceIndex {
        self.of(Section::After)
    }

    /// The sections in the order of the forward.
    pub(super) fn sections(&self) -> impl Iterator<Item = Section> + use<> {
        let layers = (0..self.layers.len()).map(Section::Layer);
        std::iter::once(Section::Before).chain(layers).chain([Section::After])
    }

    /// The sum of these buffers' sizes on each device.
    pub(super) fn sums(&self, sizes: impl IntoIterator<Item = (Home, u64)>) -> Vec<u64> {
        let mut sums = vec![0u64; self.last().index() + 1];
        for (home, bytes) in sizes {
            let sum = &mut sums[home.device.index()];
            *sum = sum.saturating_add(bytes);
        }
        sums
    }

    /// The buffer that stages of a section have as this slot.
    pub(super) fn home(&self, section: Section, slot: Slot) -> Home {
        Home { device: self.of(section), slot }
    }

    /// The buffer that the host reads as this slot.
    pub(super) fn of_host(&self, slot: Slot) -> Home {
        self.home(Section::After, slot)
    }
}

/// A buffer: the device that it lives on, and what it is for there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Home {
    pub(super) device: DeviceIndex,
    pub(super) slot: Slot,
}

/// A place in a buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) home: Home,
    /// Bytes from the buffer's start; a multiple of 16.
    pub(super) start: u64,
}

/// A part of a slot, on whichever device a stage runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) slot: Slot,
    /// Bytes from the slot's start; a multiple of 16.
    pub(super) start: u64,
}

/// The start of a slot.
pub(super) const fn part(slot: Slot) -> Part {
    Part { slot, start: 0 }
}

impl From<Slot> for Part {
    fn from(slot: Slot) -> Self {
        part(slot)
    }
}

impl Slot {
    /// A part of it.
    pub(super) fn at(self, start: u64) -> Part {
        Part { slot: self, start }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_divided_in_proportion_and_every_device_gets_some() {
        let most = u64::MAX;
        assert_eq!(shares(5, &[9]), [5]);
        assert_eq!(shares(48, &[most, most]), [24, 24]);
        assert_eq!(shares(5, &[most, most]), [3, 2]);
        assert_eq!(shares(7, &[most; 3]), [2, 3, 2]);
        assert_eq!(shares(48, &[80 << 30, 24 << 30]), [37, 11]);
        assert_eq!(shares(48, &[141 << 30, 140 << 30]), [24, 24]);
        assert_eq!(shares(4, &[0, 1 << 30, 1]), [1, 2, 1]);
        assert_eq!(shares(3, &[0, 0, 0]), [1, 1, 1]);
        assert_eq!(shares(4, &[1 << 40, 1, 1]), [2, 1, 1]);
    }

    #[test]
    fn the_ends_are_where_the_layers_next_to_them_are() {
        let placement = Placement::of_shares(&[2, 1]);
        let at: Vec<u16> = placement.sections().map(|section| placement.of(section).0).collect();
        assert_eq!(at, [0, 0, 0, 1, 1]);
        assert_eq!(placement.last(), DeviceIndex(1));
    }
}
