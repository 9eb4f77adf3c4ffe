//! Where stages run and buffers live.

use super::slot::Slot;
use ptxgen_runtime::Device;

/// One of a model's devices.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct DeviceIndex(u16);

/// The devices of a model.
#[derive(Clone)]
pub(super) struct Devices(Vec<Device>);

impl Devices {
    /// One, which does everything.
    pub(super) fn one(device: &Device) -> Devices {
        Devices(vec![device.clone()])
    }

    /// Each with its index.
    pub(super) fn iter(&self) -> impl Iterator<Item = (DeviceIndex, &Device)> {
        (0..).map(DeviceIndex).zip(&self.0)
    }
}

impl std::ops::Index<DeviceIndex> for Devices {
    type Output = Device;
    fn index(&self, index: DeviceIndex) -> &Device {
        &self.0[usize::from(index.0)]
    }
}

/// Which device has which stages, with their weights and what they keep.
#[derive(Clone, Debug)]
pub(super) struct Placement {
    layers: Vec<DeviceIndex>,
    /// The stages before and after the layers: what the host writes and reads is there.
    ends: DeviceIndex,
}

impl Placement {
    /// All on the first of the devices.
    pub(super) fn on_one(layers: usize) -> Placement {
        let first = DeviceIndex(0);
        Placement { layers: vec![first; layers], ends: first }
    }

    /// Where the stages of a layer run, or those before and after the layers.
    pub(super) fn of(&self, layer: Option<usize>) -> DeviceIndex {
        layer.map_or(self.ends, |layer| self.layers[layer])
    }

    /// The buffer that stages of a layer have as this slot.
    pub(super) fn home(&self, layer: Option<usize>, slot: Slot) -> Home {
        Home { device: self.of(layer), slot }
    }

    /// The buffer that the host writes or reads as this slot.
    pub(super) fn of_host(&self, slot: Slot) -> Home {
        self.home(None, slot)
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
