//! Mistakes planted in what a device runs, for tests of bisection. Only builds with the feature `plants` and
//! debug assertions have this.

use crate::{config::TensorRole, gguf::TensorType};
use ptxgen_builder::{
    parse::parse,
    print::{PrintOptions, print},
    verify::verify,
};
use ptxgen_dsl::catalogue::{Built, KernelId};
use ptxgen_runtime::{Device, DeviceError, Function, LaunchShape};
use std::{cell::RefCell, collections::HashMap};

/// Something that a device's passes do otherwise than they should.
#[derive(Clone, Copy, Debug)]
pub enum DevicePlant {
    /// A layer's tensor is taken for one of another type: its bytes go to that type's kernels.
    Type {
        /// The tensor.
        role: TensorRole,
        /// Its layer.
        layer: usize,
        /// What it is taken for.
        ty: TensorType,
    },
    /// A kernel's text is changed before it is loaded.
    Text {
        /// Which kernel of the catalogue.
        kernel: KernelId,
        /// What becomes of its text.
        change: fn(&str) -> String,
    },
}

/// The types of a model's tensors.
type Types = HashMap<(TensorRole, Option<usize>), TensorType>;

thread_local! {
    static PLANTS: RefCell<Vec<DevicePlant>> = const { RefCell::new(Vec::new()) };
}

/// Models and sessions that `load` makes on this thread have these plants.
pub fn with_device_plants<T>(plants: &[DevicePlant], load: impl FnOnce() -> T) -> T {
    let before = PLANTS.replace(plants.to_vec());
    let loaded = load();
    PLANTS.set(before);
    loaded
}

/// The types of a model's tensors, as they are taken for.
pub(super) fn planted(mut types: Types) -> Types {
    for plant in PLANTS.with_borrow(Clone::clone) {
        if let DevicePlant::Type { role, layer, ty } = plant {
            types.insert((role, Some(layer)), ty);
        }
    }
    types
}

/// A kernel with its text changed, if it is to be.
///
/// # Panics
/// If the changed text is no module that verifies.
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
