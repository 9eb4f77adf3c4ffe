//! The buffers of sessions and batches, and what the host writes and reads there.

use super::{
    DeviceModel, LoadError,
    bind::Buffers,
    place::{Home, Section},
    rules::STATUS_STRIDE,
    slot::Slot,
};
use crate::{
    batch::{BadLogit, NanInRow},
    engine::EngineError,
};
use bytemuck::cast_slice;
use indexmap::IndexMap;
use ptxgen_dsl::reference::RopeTable;
use ptxgen_runtime::{Device, DeviceError, Element, Later, View};
use std::collections::hash_map::Entry;

/// The devices, in a few words for people.
pub(super) fn name(model: &DeviceModel) -> String {
    let devices: Vec<&Device> = model.devices().collect();
    let of_kind = |interp: bool| devices.iter().filter(move |d| d.is_interpreter() == interp);
    let gpus = of_kind(false).map(|d| d.name()).collect::<Vec<_>>().join(", ");
    match (of_kind(true).count(), gpus.as_str()) {
        (1, "") => "interp (generated kernels in the interpreter)".into(),
        (n, "") => format!("interp (generated kernels in {n} interpreters)"),
        (0, gpus) => format!("cuda ({gpus})"),
        (n, gpus) => format!("cuda and interp ({gpus}, {n} x the interpreter)"),
    }
}

/// What the passes of a session keep, on each of the model's devices.
pub(super) struct SessionBuffers<'m> {
    pub(super) model: &'m DeviceModel,
    pub(super) all: Buffers,
}

impl<'m> SessionBuffers<'m> {
    /// Buffers of these sizes as a session begins, for sequences of so many positions.
    pub(super) fn new(model: &'m DeviceModel, sizes: IndexMap<Home, u64>, positions: usize) -> Result<Self, LoadError> {
        for (index, device) in model.devices.iter() {
            device.require(sizes.iter().filter(|(home, _)| home.device == index).map(|(_, bytes)| bytes).sum())?;
        }
        let mut buffers = Self { model, all: Buffers::new() };
        buffers.add(sizes)?;
        let config = model.config();
        let rope = RopeTable::new(config.head_dim, config.rope(), positions);
        buffers.put(Slot::Rope, 0, cast_slice(rope.values()))?;
        buffers.clear_status()?;
        Ok(buffers)
    }

    /// Allocates those of these buffers that do not exist.
    pub(super) fn add(&mut self, sizes: IndexMap<Home, u64>) -> Result<(), DeviceError> {
        for (home, bytes) in sizes {
            if let Entry::Vacant(free) = self.all.entry(home) {
                let (device, len) = (&self.model.devices[home.device], bytes.max(16));
                let len = usize::try_from(len).unwrap_or(usize::MAX);
                // Launches read the whole stream of a pass. Where it comes from another device, only the pass's tokens come.
                let comes =
                    home.slot == Slot::Stream && home != self.model.plan.placement.home(Section::Before, home.slot);
                free.insert(if home.slot.is_zeroed() || comes { device.zeroed(len) } else { device.alloc(len) }?);
            }
        }
        Ok(())
    }

    /// Whether none of those that exist is smaller than in this list.
    pub(super) fn hold(&self, sizes: &IndexMap<Home, u64>) -> bool {
        sizes.iter().all(|(home, bytes)| self.all.get(home).is_none_or(|b| b.bytes() >= *bytes))
    }

    /// Writes into a slot, on every device that has it.
    pub(super) fn put(&mut self, slot: Slot, at: usize, bytes: &[u8]) -> Result<(), DeviceError> {
        let mut those = self.all.iter_mut().filter(|(home, _)| home.slot == slot);
        those.try_for_each(|(_, buffer)| buffer.write(at, bytes))
    }

    /// Writes the tokens of the next pass where it begins.
    pub(super) fn put_tokens(&mut self, tokens: &[u32]) -> Result<(), DeviceError> {
        let home = self.model.plan.placement.home(Section::Before, Slot::Tokens);
        self.all.get_mut(&home).map_or(Ok(()), |buffer| buffer.write(0, cast_slice(tokens)))
    }

    /// The elements of the buffer that the host reads as this slot.
    pub(super) fn of_host<T: Element>(&self, slot: Slot) -> Result<View<'_, T>, DeviceError> {
        self.all[&self.model.plan.placement.of_host(slot)].view().cast::<T>()
    }

    /// Reads the first elements of a slot.
    pub(super) fn read<T: Element>(&self, slot: Slot, to: &mut [T]) -> Result<(), DeviceError> {
        self.of_host::<T>(slot)?.slice(..to.len())?.read_to(to)
    }

    /// The routers' words, after what the devices have been given.
    pub(super) fn status(&self) -> Result<Status, DeviceError> {
        let later = |(index, device): (_, &Device)| {
            let words = self.all.get(&Home { device: index, slot: Slot::RouterStatus });
            words.map(|words| device.stream().read_later(words.view().cast::<u64>()?))
        };
        self.model.devices.iter().filter_map(later).collect::<Result<_, _>>().map(Status)
    }

    /// Makes the routers' words say that nothing has gone wrong.
    pub(super) fn clear_status(&mut self) -> Result<(), DeviceError> {
        let statuses = self.all.iter_mut().filter(|(home, _)| home.slot == Slot::RouterStatus);
        statuses.map(|(_, buffer)| buffer).try_for_each(|buffer| {
            let nothing = vec![0xff; buffer.len()];
            buffer.write(0, &nothing)
        })
    }

    /// Waits for the routers' words, and returns the first row of the first layer without a choice of experts. The words
    /// are cleared then.
    pub(super) fn nan(&mut self, status: Status) -> Result<Option<NanInRow>, DeviceError> {
        let nan = status.wait()?;
        if nan.is_some() {
            self.clear_status()?;
        }
        Ok(nan)
    }

    /// The words of the first rows of a pass in [`Slot::RowChosen`].
    pub(super) fn choices(&self, rows: usize) -> Result<Vec<[u32; 2]>, DeviceError> {
        let mut words = vec![[0u32; 2]; rows];
        if rows > 0 {
            self.read(Slot::RowChosen, words.as_flattened_mut())?;
        }
        Ok(words)
    }

    /// Of each row, by its words: the most likely token, or the first logit that is no number.
    pub(super) fn chosen(&self, words: &[[u32; 2]]) -> Result<Vec<Result<u32, BadLogit>>, DeviceError> {
        let of = |(row, [token, bad]): (usize, &[u32; 2])| match *bad {
            u32::MAX => Ok(Ok(*token)),
            index => {
                let (index, at) = (index as usize, row * self.model.config().vocab + index as usize);
                let logit = self.of_host::<f32>(Slot::Logits)?.slice(at..=at)?.read()?;
                Ok(Err(BadLogit { index, nan: logit.iter().any(|v| v.is_nan()) }))
            }
        };
        words.iter().enumerate().map(of).collect()
    }

    /// A device's failure, as an error of a forward.
    pub(super) fn failed(&self, error: &dyn std::fmt::Display) -> EngineError {
        EngineError::Device { device: self.model.device().name().to_owned(), message: error.to_string() }
    }
}

/// The words of the routers on their way to the host, of each device that has routers; none for a model without them.
#[must_use = "a router that found NaN is reported by its words"]
pub(super) struct Status(Vec<Later<u64>>);

impl Status {
    /// Of the first layer whose router did not choose for a row, the first such row.
    fn wait(self) -> Result<Option<NanInRow>, DeviceError> {
        let mut first = None::<NanInRow>;
        for later in self.0 {
            let found = first_nan(&later.wait()?);
            // Each device has words for all layers, and its own layers write theirs.
            first = [first, found].into_iter().flatten().min_by_key(|nan| nan.layer);
        }
        Ok(first)
    }
}

fn first_nan(words: &[u64]) -> Option<NanInRow> {
    let mut words = words.iter().step_by(STATUS_STRIDE as usize / 8).enumerate();
    let (layer, word) = words.find(|(_, word)| **word != u64::MAX)?;
    Some(NanInRow { layer, row: (word >> 32) as usize, expert: *word as u32 as usize })
}
