//! Launches bound to their buffers, ready to run.

use super::{
    LoadError,
    early::races,
    place::{DeviceIndex, Devices, Home},
    plan::{Launch, Plan},
    slot::Slot,
};
use ptxgen_builder::{analysis::Overlap, build::ArgInfo};
use ptxgen_dsl::catalogue::Built;
use ptxgen_runtime::{Argument, Buffer, Call, Device, DeviceError, Function};
use std::collections::{HashMap, hash_map::Entry};

/// Buffers by where they are and what they are for.
pub(super) type Buffers = HashMap<Home, Buffer<u8>>;

/// A plan's kernels, on the devices that launch them.
pub(super) struct Kernels(HashMap<(DeviceIndex, usize), Function>);

/// Consecutive launches of one device.
pub(super) struct Leg {
    pub(super) device: DeviceIndex,
    pub(super) calls: Vec<Call>,
}

impl Kernels {
    pub(super) fn load(devices: &Devices, plan: &Plan<'_>) -> Result<Kernels, DeviceError> {
        let mut kernels = HashMap::new();
        for launch in &plan.launches {
            if let Entry::Vacant(free) = kernels.entry((launch.device, launch.kernel)) {
                free.insert(Self::on(&devices[launch.device], &plan.kernels[launch.kernel])?);
            }
        }
        Ok(Kernels(kernels))
    }

    /// A kernel on a device.
    fn on(device: &Device, built: &Built) -> Result<Function, DeviceError> {
        #[cfg(all(feature = "plants", debug_assertions))]
        if let Some(changed) = super::plant::changed(device, built) {
            return changed;
        }
        // SAFETY: words in buffers are what their `Words` say. The host checks tokens against the vocabulary and
        // positions against the capacity before a pass (`Sequence`), and a pass's count is at most what its buffers
        // hold. The kernels that choose tokens (`argmax`, `sample-draw`) and experts (`router`, the `routed-` and
        // `norm-gate-up-` kernels) write numbers below the vocabulary size and the number of experts for any logits,
        // including NaN; offsets are written by `moe-group`, which counts such numbers. The one expert of a dense
        // feed-forward is read from zeros that no kernel writes (`Slot::OnlyExpert`). Rows of a batch have positions
        // below its capacity and numbers of its sequences, and tables have the numbers of its pages (`DeviceBatch`).
        // Between devices only such words are copied, and numbers (`Crossing`). The bytes of all other buffers do not
        // affect addresses, and the plan binds buffers of the lengths that it states.
        unsafe { device.load_launchable_unchecked(&built.launch) }
    }

    /// What a launch's kernel does before and after it waits.
    pub(super) fn overlap(&self, launch: &Launch) -> &Overlap {
        self.0[&(launch.device, launch.kernel)].overlap()
    }

    /// The calls of launches, by device: a new leg begins where the device changes.
    pub(super) fn legs(
        &self,
        plan: &Plan<'_>,
        launches: &[Launch],
        weights: &Buffers,
        buffers: &mut Buffers,
        moved: (Slot, u64),
    ) -> Result<Vec<Leg>, LoadError> {
        let legs = launches.chunk_by(|a, b| a.device == b.device);
        legs.map(|launches| {
            let calls = self.bind(plan, launches, weights, buffers, moved)?;
            Ok(Leg { device: launches[0].device, calls })
        })
        .collect()
    }

    /// The calls of consecutive launches of one device; those that would start too early wait for the previous one to end. `moved` is
    /// added to the offset in a slot.
    pub(super) fn bind(
        &self,
        plan: &Plan<'_>,
        launches: &[Launch],
        weights: &Buffers,
        buffers: &mut Buffers,
        moved: (Slot, u64),
    ) -> Result<Vec<Call>, LoadError> {
        let races = races(plan, launches, |launch| self.overlap(launch), moved);
        let call = |(launch, race): (&Launch, Option<_>)| {
            let call = self.call(plan, launch, weights, buffers, moved)?;
            Ok(if race.is_some() { call.in_order() } else { call })
        };
        launches.iter().zip(races).map(call).collect()
    }

    /// The call of a launch, which starts early if its kernel waits itself.
    pub(super) fn call(
        &self,
        plan: &Plan<'_>,
        launch: &Launch,
        weights: &Buffers,
        buffers: &mut Buffers,
        (slot, by): (Slot, u64),
    ) -> Result<Call, LoadError> {
        let built = &plan.kernels[launch.kernel];
        // Each parameter: its region, its bytes there, its elements, whether it is written.
        let params = launch.places.iter().zip(&built.params).zip(built.kernel().args()).map(|((place, spec), info)| {
            let start = (place.start + if place.home.slot == slot { by } else { 0 }) as usize;
            let (ty, writes) = match *info {
                ArgInfo::Buffer { ty, writes, .. } => (ty, writes),
                ArgInfo::Scalar(ty) => (ty, false),
            };
            (place.home, start..start + spec.bytes as usize, ty, writes)
        });
        let params: Vec<_> = params.collect();
        let mut arguments: Vec<Option<Argument<'_>>> = vec![None; params.len()];
        for (argument_at, (home, range, ty, _)) in arguments.iter_mut().zip(&params) {
            if let Some(buffer) = weights.get(home) {
                *argument_at = Some(Argument::read_as(*ty, buffer.slice(range.clone())?));
            }
        }
        for (own, buffer) in buffers.iter_mut() {
            let Some(first) = params.iter().position(|(home, ..)| home == own) else { continue };
            let (_, range, ty, writes) = &params[first];
            arguments[first] = Some(if *writes {
                Argument::write_as(*ty, buffer.slice_mut(range.clone())?)
            } else {
                Argument::read_as(*ty, buffer.slice(range.clone())?)
            });
        }
        let lacking = |i: usize| LoadError::Parameter { kernel: built.entry.name, param: built.params[i].name };
        let arguments: Result<Vec<_>, _> = (0..).zip(arguments).map(|(i, a)| a.ok_or_else(|| lacking(i))).collect();
        Ok(self.0[&(launch.device, launch.kernel)].call(&arguments?)?)
    }
}
