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
#[cfg(test)]
mod listing;
mod measure;
mod passes;
mod place;
mod plan;
#[cfg(all(feature = "plants", debug_assertions))]
mod plant;
mod record;
mod recording;
mod rows;
pub(crate) mod rules;
mod session;
mod slot;
mod times;
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
};
use batch::DeviceBatch;
use bind::Buffers;
use passes::Plans;
use place::{Devices, Placement};
use plan::Model;
use ptxgen_builder::target::Target;
use ptxgen_dsl::{catalogue::Machine, precision::Policy};
use ptxgen_runtime::{Buffer, Device, DeviceError};
use recording::Route;
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
        Self::load_on(std::slice::from_ref(device), gguf, options, capacity, progress)
    }

    /// As [`load`](Self::load), on several devices: the first has the embedding and the first layers, the last one the
    /// last layers and the output projection. Layers are divided in proportion to free memory, at least one for each
    /// device, and the residual stream is copied from each device to the next. The bits are those of one device.
    ///
    /// # Errors
    /// Also if there is no device, or there are more than layers.
    pub fn load_on(
        devices: &[Device],
        gguf: &Gguf,
        options: DeviceOptions,
        capacity: usize,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, LoadError> {
        Self::load_without(devices, gguf, options, capacity, &[], progress)
    }

    /// As [`load_on`](Self::load_on), without some of the rules for launches.
    fn load_without(
        devices: &[Device],
        gguf: &Gguf,
        options: DeviceOptions,
        capacity: usize,
        rules: &[&'static str],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, LoadError> {
        let config = ModelConfig::from_gguf(gguf)?;
        let devices = Devices::new(devices, config.blocks)?;
        let places = Places::of(&devices, config.blocks)?;
        let (plan, needed) = Self::plan(gguf, options, places, capacity, rules)?;
        devices.iter().zip(needed).try_for_each(|((_, device), bytes)| device.require(bytes))?;
        let weights = weights::upload(&devices, gguf, &plan, progress)?;
        Ok(Self { devices, plan, pass: options.pass, weights })
    }

    /// Device memory for the weights and a session of `capacity` positions on one device; no device is needed.
    ///
    /// # Errors
    /// If the file is not a supported model, or there is no kernel for a part of it.
    pub fn bytes_needed(
        gguf: &Gguf,
        options: DeviceOptions,
        target: Target,
        capacity: usize,
    ) -> Result<u64, LoadError> {
        let placement = Placement::on_one(ModelConfig::from_gguf(gguf)?.blocks);
        // How much it is depends on no schedule.
        let places = Places { target, machines: vec![Machine::default()], placement };
        Ok(Self::plan(gguf, options, places, capacity, &[])?.1.into_iter().sum())
    }

    /// The number of positions of a session that fit into the devices' free memory next to the weights, with a sixteenth
    /// to spare on each; at most the model's context.
    ///
    /// # Errors
    /// Those of [`load_on`](Self::load_on), or if a device does not report free memory.
    pub fn fitting(devices: &[Device], gguf: &Gguf, options: DeviceOptions) -> Result<usize, LoadError> {
        let config = ModelConfig::from_gguf(gguf)?;
        let context = config.context;
        let devices = Devices::new(devices, config.blocks)?;
        let places = Places::of(&devices, config.blocks)?;
        let free: Vec<u64> = devices.free()?.into_iter().map(|free| free - free / 16).collect();
        let needed = |positions| Self::plan(gguf, options, places.clone(), positions, &[]).map(|(_, bytes)| bytes);
        let fits = |needed: &[u64]| needed.iter().zip(&free).all(|(needed, free)| needed <= free);
        let whole = needed(context)?;
        if fits(&whole) {
            return Ok(context);
        }
        // A plan takes milliseconds, so only a few are made: each position takes about the same memory.
        let few = context.min(64);
        let least = needed(few)?;
        let of_device = |((whole, least), free): ((&u64, &u64), &u64)| {
            let each = (whole.saturating_sub(*least) / (context - few).max(1) as u64).max(1);
            few + usize::try_from(free.saturating_sub(*least) / each).unwrap_or(usize::MAX - few)
        };
        let mut fit = whole.iter().zip(&least).zip(&free).map(of_device).min().unwrap_or(0).min(context);
        while fit > 0 && !fits(&needed(fit)?) {
            fit -= fit / 16 + 1;
        }
        Ok(fit)
    }

    /// The plans, and the memory that they need on each device.
    fn plan(
        gguf: &Gguf,
        options: DeviceOptions,
        places: Places,
        capacity: usize,
        without: &[&'static str],
    ) -> Result<(Model, Vec<u64>), LoadError> {
        let config = ModelConfig::from_gguf(gguf)?;
        let types = config.tensors().map(|(role, layer)| Ok(((role, layer), gguf.tensor(&role.name(layer))?.ty)));
        let types = types.collect::<Result<_, LoadError>>()?;
        #[cfg(all(feature = "plants", debug_assertions))]
        let types = plant::planted(types);
        let (graph, without) = (config.graph(), without.to_vec());
        let Places { target, machines, placement } = places;
        let weights = weights::sizes(gguf, &graph, &placement)?;
        let (policy, kv) = (options.policy, options.kv);
        let plan = Model { config, types, policy, kv, target, machines, placement, graph, without };
        let session = Plans::new(&plan, capacity, options.pass)?.sizes();
        let needed = plan.placement.sums(weights.into_iter().chain(session));
        Ok((plan, needed))
    }

    /// The model's hyperparameters.
    pub fn config(&self) -> &ModelConfig {
        &self.plan.config
    }

    /// The devices, in the order of their layers.
    pub fn devices(&self) -> impl Iterator<Item = &Device> {
        self.devices.iter().map(|(_, device)| device)
    }

    /// The last device, which computes the logits.
    pub fn device(&self) -> &Device {
        &self.devices[self.plan.placement.last()]
    }

    /// What recordings need to know.
    fn route(&self) -> Route<'_> {
        Route { devices: &self.devices, placement: &self.plan.placement, config: &self.plan.config }
    }

    /// Bytes of the weights on all devices.
    pub fn weight_bytes(&self) -> u64 {
        self.weights.values().map(Buffer::bytes).sum()
    }

    /// Bytes of weights that a token reads: all except those of unused experts and of the embedding.
    pub fn bytes_of_a_token(&self) -> u64 {
        let bytes = |role, layer| {
            let mut buffers = self.weights.iter();
            buffers.find(|(home, _)| home.slot == Slot::Weight(role, layer)).map_or(0, |(_, buffer)| buffer.bytes())
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
        let needed = |pages| DeviceBatch::bytes_needed(self, BatchRoom { pages, ..room });
        let (one, two) = (needed(1)?, needed(2)?);
        let of_device = |((free, one), two): ((u64, u64), u64)| {
            let left = (free - free / 16).saturating_sub(one);
            usize::try_from(left / (two - one).max(1)).unwrap_or(usize::MAX)
        };
        let free = self.devices().map(|device| Ok(device.memory()?.free)).collect::<Result<Vec<_>, DeviceError>>()?;
        Ok(free.into_iter().zip(one).zip(two).map(of_device).min().unwrap_or(0))
    }
}

/// What a plan needs to know of its devices.
#[derive(Clone)]
struct Places {
    target: Target,
    machines: Vec<Machine>,
    placement: Placement,
}

impl Places {
    fn of(devices: &Devices, layers: usize) -> Result<Self, DeviceError> {
        Ok(Self { target: devices.target(), machines: devices.machines(), placement: devices.placement(layers)? })
    }
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
