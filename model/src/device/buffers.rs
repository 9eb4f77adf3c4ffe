//! The buffers of sessions and batches, and what the host writes and reads there.

use super::{DeviceModel, LoadError, bind::Buffers, place::Home, rules::STATUS_STRIDE, slot::Slot};
use crate::batch::{BadLogit, NanInRow};
use bytemuck::cast_slice;
use indexmap::IndexMap;
use ptxgen_dsl::reference::RopeTable;
use ptxgen_runtime::{Buffer, Device, DeviceError, Element, Later};

/// The device, in a few words for people.
pub(super) fn name(device: &Device) -> String {
    if device.is_interpreter() {
        return "interp (generated kernels in the interpreter)".into();
    }
    format!("cuda ({})", device.name())
}

/// The routers' words, after what the device has been given; none of a model without routers.
pub(super) fn status(model: &DeviceModel, buffers: &Buffers) -> Result<Option<Later<u64>>, DeviceError> {
    let home = model.plan.placement.of_host(Slot::RouterStatus);
    let Some(status) = buffers.get(&home) else { return Ok(None) };
    model.device().stream().read_later(status.view().cast::<u64>()?).map(Some)
}

/// Of each row of a pass, by its words in [`Slot::RowChosen`]: the most likely token, or the first logit that is no number.
pub(super) fn chosen_of_rows(
    model: &DeviceModel,
    buffers: &Buffers,
    words: &[[u32; 2]],
) -> Result<Vec<Result<u32, BadLogit>>, DeviceError> {
    let of = |(row, [token, bad]): (usize, &[u32; 2])| match *bad {
        u32::MAX => Ok(Ok(*token)),
        index => {
            let (index, at) = (index as usize, row * model.config().vocab + index as usize);
            let logit = of_host(model, buffers, Slot::Logits).view().cast::<f32>()?.slice(at..=at)?.read()?;
            Ok(Err(BadLogit { index, nan: logit.iter().any(|v| v.is_nan()) }))
        }
    };
    words.iter().enumerate().map(of).collect()
}

/// Of the first layer whose router did not choose for a row, the first such row.
pub(super) fn first_nan(words: &[u64]) -> Option<NanInRow> {
    let mut words = words.iter().step_by(STATUS_STRIDE as usize / 8).enumerate();
    let (layer, word) = words.find(|(_, word)| **word != u64::MAX)?;
    Some(NanInRow { layer, row: (word >> 32) as usize, expert: *word as u32 as usize })
}

/// The buffers of a session, as it begins, for sequences of so many positions.
pub(super) fn begun(model: &DeviceModel, sizes: IndexMap<Home, u64>, positions: usize) -> Result<Buffers, LoadError> {
    for (index, device) in model.devices.iter() {
        device.require(sizes.iter().filter(|(home, _)| home.device == index).map(|(_, bytes)| bytes).sum())?;
    }
    let mut buffers = Buffers::new();
    for (home, bytes) in sizes {
        buffers.insert(home, buffer(&model.devices[home.device], home.slot, bytes)?);
    }
    let config = model.config();
    let rope = RopeTable::new(config.head_dim, config.rope(), positions);
    put(&mut buffers, Slot::Rope, 0, cast_slice(rope.values()))?;
    clear_status(&mut buffers)?;
    Ok(buffers)
}

/// A buffer of a session, as it begins.
pub(super) fn buffer(device: &Device, slot: Slot, bytes: u64) -> Result<Buffer<u8>, DeviceError> {
    let len = usize::try_from(bytes.max(16)).unwrap_or(usize::MAX);
    if slot.is_zeroed() { device.zeroed(len) } else { device.alloc(len) }
}

/// Writes into a slot, on every device that has it.
pub(super) fn put(buffers: &mut Buffers, slot: Slot, at: usize, bytes: &[u8]) -> Result<(), DeviceError> {
    let mut those = buffers.iter_mut().filter(|(home, _)| home.slot == slot);
    those.try_for_each(|(_, buffer)| buffer.write(at, bytes))
}

/// The buffer of a session that the host reads as this slot.
pub(super) fn of_host<'b>(model: &DeviceModel, buffers: &'b Buffers, slot: Slot) -> &'b Buffer<u8> {
    &buffers[&model.plan.placement.of_host(slot)]
}

/// The first elements of a buffer.
pub(super) fn read<T: Element>(buffer: &Buffer<u8>, to: &mut [T]) -> Result<(), DeviceError> {
    let bytes = size_of_val(to);
    buffer.slice(..bytes)?.cast::<T>()?.read_to(to)
}

/// Makes the routers' words say that nothing has gone wrong.
pub(super) fn clear_status(buffers: &mut Buffers) -> Result<(), DeviceError> {
    let len = buffers.iter().find(|(home, _)| home.slot == Slot::RouterStatus).map_or(0, |(_, buffer)| buffer.len());
    put(buffers, Slot::RouterStatus, 0, &vec![0xff; len])
}
