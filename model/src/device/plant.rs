//! Mistakes planted in a device's passes, for tests of bisection. Only builds with the feature `plants` and debug
//! assertions contain this module.

use crate::{config::TensorRole, gguf::TensorType};
use ptxgen_builder::{
    parse::parse,
    print::{PrintOptions, print},
    verify::verify,
};
use ptxgen_dsl::catalogue::{Built, KernelId};
use ptxgen_runtime::{Device, DeviceError, Function, LaunchShape};
use std::{cell::RefCell, collections::HashMap};

/// A deviation of a device's passes.
#[derive(Clone, Copy, Debug)]
pub enum DevicePlant {
    /// A layer's tensor is treated as another type: its bytes go to that type's kernels.
    Type {
        /// The tensor.
        role: TensorRole,
        /// Its layer.
        layer: usize,
        /// The wrong type.
        ty: TensorType,
    },
    /// A kernel's text is changed before it is loaded.
    Text {
        /// Which kernel of the catalogue.
        kernel: KernelId,
        /// The change of its text.
        change: fn(&str) -> String,
    },
}

/// The types of a model's tensors.
type Types = HashMap<(TensorRole, Option<usize>), TensorType>;

thread_local! {
    static PLANTS: RefCell<Vec<DevicePlant>> = const { RefCell::new(Vec::new()) };
}

/// Models and sessions that `load` creates on this thread get these plants.
pub fn with_device_plants<T>(plants: &[DevicePlant], load: impl FnOnce() -> T) -> T {
    let before = PLANTS.replace(plants.to_vec());
    let loaded = load();
    PLANTS.set(before);
    loaded
}

/// The types of a model's tensors, with plants.
pub(super) fn planted(mut types: Types) -> Types {
    for plant in PLANTS.with_borrow(Clone::clone) {
        if let DevicePlant::Type { role, layer, ty } = plant {
            types.insert((role, Some(layer)), ty);
        }
    }
    types
}

/// A kernel, with its text changed if a plant says so.
///
/// # Panics
/// If the changed text is not a module that verifies.
pub(super) fn changed(device: &Device, built: &Built) -> Option<Result<Function, DeviceError>> {
    let change = PLANTS.with_borrow(Clone::clone).into_iter().find_map(|plant| match plant {
        DevicePlant::Text { kernel, change } if kernel == built.entry.id => Some(change),
        _ => None,
    });
    change.map(|change| load(device, built, change))
}

fn load(device: &Device, built: &Built, change: fn(&str) -> String) -> Result<Function, DeviceError> {
    let text = print(&built.finish()?, &PrintOptions::default());
    let changed = change(&text);
    assert_ne!(changed, text, "{} has nothing to change", built.entry.name);
    let module = parse("planted.ptx", &changed).unwrap_or_else(|e| panic!("{e}\n{changed}"));
    let module = device.load_module(verify(module)?)?;
    let shape = LaunchShape::from((built.launch.grid, [built.launch.block, 1, 1]));
    let function = module.function(built.kernel().name())?;
    Ok(function.shaped(shape.with_dynamic_shared(built.launch.dynamic_shared)))
}
