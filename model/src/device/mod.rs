//! Models on a device, a GPU or the interpreter, with the same bits as on the CPU.
//!
//! All weights are in device memory, and a token passes through the model without the host: a pass is a recorded list
//! of launches that read the position, the number of tokens and the token ids from device memory, choose the experts,
//! and write the next token and position there.
//!
//! ```no_run
//! use ptxgen_model::{Engine, LogitRows, device::{DeviceModel, DeviceOptions}, gguf::Gguf};
//! use ptxgen_runtime::Device;
//!
//! let gguf = Gguf::open("model.gguf")?;
//! let options = DeviceOptions::default();
//! let model = DeviceModel::load(&Device::interp(), &gguf, options, 128, &mut |_| ())?;
//! let mut session = model.new_session(128)?;
//! let logits = session.forward(&[1, 2, 3], LogitRows::Last)?;
//! println!("{}", logits.len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod batch;
mod bind;
mod buffers;
mod choice;
mod early;
mod few;
#[cfg(test)]
mod listing;
mod measure;
mod passes;
mod place;
mod plan;
#[cfg(all(feature = "plants", debug_assertions))]
mod plant;
mod record;
pub(crate) mod rules;
mod session;
mod slot;
mod weights;

pub use measure::StageTime;
#[cfg(all(feature = "plants", debug_assertions))]
pub use plant::{DevicePlant, with_device_plants};
pub use session::DeviceSession;
pub use weights::Progress;

use crate::{
    batch::{BatchRoom, BatchSession, Setup},
    config::ModelConfig,
    gguf::Gguf,
    kv::KvType,
    load_error::LoadError,
    memory::free_memory,
};
use batch::DeviceBatch;
use bind::Buffers;
use passes::Plans;
use place::{Devices, Placement};
use plan::Model;
use ptxgen_builder::target::Target;
use ptxgen_dsl::{catalogue::Machine, precision::Policy};
use ptxgen_runtime::{Buffer, Device};
use slot::Slot;
use std::fmt;

/// Options of a model on a device. Only the policy and the cache's type change results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceOptions {
    /// Activation format, accumulator, and whether SwiGLU uses exact or approximate instructions (`math`; the rest of a
    /// forward is always exact).
    pub policy: Policy,
    /// Type of the KV cache.
    pub kv: KvType,
    /// Maximum number of tokens of a pass, 1 to 2,048: each weight is read once for all of them. Passes of more than 64
    /// tokens need activations in Q8_K, matrices in superblock formats, and a GPU from sm_80 on; otherwise passes have
    /// at most 32.
    pub pass: usize,
}

impl Default for DeviceOptions {
    fn default() -> Self {
        Self { policy: Policy::default(), kv: KvType::default(), pass: 1024 }
    }
}

/// A model whose weights are on a device.
pub struct DeviceModel {
    devices: Devices,
    plan: Model,
    pass: usize,
    weights: Buffers,
}

impl DeviceModel {
    /// Checks the file, that there is a kernel for every tensor, and that the weights and a session of `capacity`
    /// positions fit into device memory. Then uploads the weights, and reports to `progress`.
    ///
    /// # Errors
    /// If a check fails, before anything is uploaded, or the device fails.
    pub fn load(
        device: &Device,
        gguf: &Gguf,
        options: DeviceOptions,
        capacity: usize,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, LoadError> {
        Self::load_without(device, gguf, options, capacity, &[], progress)
    }

    /// As [`load`](Self::load), without some of the rules for launches.
    fn load_without(
        device: &Device,
        gguf: &Gguf,
        options: DeviceOptions,
        capacity: usize,
        rules: &[&'static str],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, LoadError> {
        let (plan, needed) = Self::plan(gguf, options, (device.target(), machine(device)), capacity, rules)?;
        device.require(needed)?;
        let devices = Devices::one(device);
        let weights = weights::upload((&devices, &plan.placement), gguf, &plan.config, progress)?;
        Ok(Self { devices, plan, pass: options.pass, weights })
    }

    /// Device memory for the weights and a session of `capacity` positions; no device is needed.
    ///
    /// # Errors
    /// If the file is not a supported model, or there is no kernel for a part of it.
    pub fn bytes_needed(
        gguf: &Gguf,
        options: DeviceOptions,
        target: Target,
        capacity: usize,
    ) -> Result<u64, LoadError> {
        // How much it is depends on no schedule.
        Ok(Self::plan(gguf, options, (target, Machine::H200), capacity, &[])?.1)
    }

    /// The number of positions of a session that fit into free device memory next to the weights, with a sixteenth to
    /// spare; at most the model's context.
    ///
    /// # Errors
    /// Those of [`bytes_needed`](Self::bytes_needed), or if the device does not report free memory.
    pub fn fitting(device: &Device, gguf: &Gguf, options: DeviceOptions) -> Result<usize, LoadError> {
        let context = ModelConfig::from_gguf(gguf)?.context;
        let of_device = device.memory()?.free;
        let free = of_device.min(if device.is_interpreter() { free_memory().unwrap_or(of_device) } else { of_device });
        let free = free - free / 16;
        let needed = |positions| Self::bytes_needed(gguf, options, device.target(), positions);
        let whole = needed(context)?;
        if whole <= free {
            return Ok(context);
        }
        // A plan takes milliseconds, so only a few are made: each position takes about the same memory.
        let few = context.min(64);
        let least = needed(few)?;
        let each = (whole.saturating_sub(least) / (context - few).max(1) as u64).max(1);
        let mut fit = few + usize::try_from(free.saturating_sub(least) / each).unwrap_or(usize::MAX - few);
        fit = fit.min(context);
        while fit > 0 && needed(fit)? > free {
            fit -= fit / 16 + 1;
        }
        Ok(fit)
    }

    /// The plans, and the memory that they need.
    fn plan(
        gguf: &Gguf,
        options: DeviceOptions,
        (target, machine): (Target, Machine),
        capacity: usize,
        without: &[&'static str],
    ) -> Result<(Model, u64), LoadError> {
        let config = ModelConfig::from_gguf(gguf)?;
        let types = config.tensors().map(|(role, layer)| Ok(((role, layer), gguf.tensor(&role.name(layer))?.ty)));
        let types = types.collect::<Result<_, LoadError>>()?;
        #[cfg(all(feature = "plants", debug_assertions))]
        let types = plant::planted(types);
        let weights = weights::bytes(gguf, &config)?;
        let (graph, without) = (config.graph(), without.to_vec());
        let placement = Placement::on_one(config.blocks);
        let (policy, kv) = (options.policy, options.kv);
        let plan = Model { config, types, policy, kv, target, machine, placement, graph, without };
        let session = Plans::new(&plan, capacity, options.pass)?.session_bytes();
        Ok((plan, weights.saturating_add(session)))
    }

    /// The model's hyperparameters.
    pub fn config(&self) -> &ModelConfig {
        &self.plan.config
    }

    /// The device that the host speaks with.
    pub fn device(&self) -> &Device {
        &self.devices[self.plan.placement.of(None)]
    }

    /// Bytes of the weights.
    pub fn weight_bytes(&self) -> u64 {
        self.weights.values().map(Buffer::bytes).sum()
    }

    /// Bytes of weights that a token reads: all except those of unused experts and of the embedding.
    pub fn bytes_of_a_token(&self) -> u64 {
        let bytes = |role, layer| {
            self.weights.get(&self.plan.placement.home(layer, Slot::Weight(role, layer))).map_or(0, Buffer::bytes)
        };
        self.config().graph().bytes_of_a_token(self.config(), bytes)
    }

    /// An empty sequence for `capacity` tokens. Allocates all the device memory that it will need.
    ///
    /// # Errors
    /// If `capacity` exceeds the model's context, there is not enough memory, or the device failed.
    pub fn new_session(&self, capacity: usize) -> Result<DeviceSession<'_>, LoadError> {
        DeviceSession::new(self, capacity)
    }

    /// An empty batch with this capacity. Allocates all the device memory that it will need.
    ///
    /// # Errors
    /// If a sequence may have more positions than the model's context, there is not enough memory, or the device
    /// failed.
    pub fn new_batch(&self, room: BatchRoom) -> Result<BatchSession<'_>, LoadError> {
        let backend = Box::new(DeviceBatch::new(self, room)?);
        Ok(BatchSession::new(Setup { backend, vocab: self.config().vocab, policy: self.plan.policy }, room))
    }

    /// Pages of a batch's cache that fit into free device memory next to the rest of a batch with this capacity, with a
    /// sixteenth to spare.
    ///
    /// # Errors
    /// If the device does not report free memory, or there is no kernel for a part of the model.
    pub fn fitting_pages(&self, room: BatchRoom) -> Result<usize, LoadError> {
        let free = self.device().memory()?.free;
        let needed = |pages| DeviceBatch::bytes_needed(self, BatchRoom { pages, ..room });
        let (one, two) = (needed(1)?, needed(2)?);
        let left = (free - free / 16).saturating_sub(one);
        Ok(usize::try_from(left / (two - one).max(1)).unwrap_or(usize::MAX))
    }
}

/// What schedules follow.
fn machine(device: &Device) -> Machine {
    Machine::new(device.multiprocessors())
}

impl fmt::Debug for DeviceModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceModel")
            .field("device", self.device())
            .field("config", &self.plan.config)
            .field("policy", &self.plan.policy)
            .field("kv", &self.plan.kv)
            .finish_non_exhaustive()
    }
}
