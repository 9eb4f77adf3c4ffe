//! Where a model runs. Only this module knows the devices.

use super::{Usage, output, startup};
use clap::builder::{PossibleValue, TypedValueParser};
use indicatif::{ProgressBar, ProgressStyle};
use ptxgen_dsl::precision::{Acc, Act, Math, Policy};
use ptxgen_model::{
    DeviceName, DeviceNames, Engine, KvType, LoadError, LoadedModel, ModelConfig, RunSpec,
    batch::{BatchRoom, BatchSession},
    device::Progress,
    gguf::Gguf,
};
use ptxgen_runtime::DeviceError;
use std::{ffi::OsStr, sync::Once, thread};

/// What a model computes: its numeric policy, and the type of its cache.
#[derive(clap::Args)]
pub struct PolicyArgs {
    /// Activations in products with superblock formats such as Q4_K and Q6_K: f32 or q8k
    #[arg(long, default_value_t)]
    act: Act,
    /// Accumulator: f32 or f64
    #[arg(long, default_value_t)]
    acc: Acc,
    /// Exponential and reciprocal of SwiGLU: exact, or approx on a GPU or in the interpreter
    #[arg(long, default_value_t)]
    math: Math,
    /// Type of the KV cache: f32 or f16
    #[arg(long, default_value_t)]
    pub kv: KvType,
}

impl PolicyArgs {
    /// The requested policy.
    pub fn policy(&self) -> Policy {
        Policy { act: self.act, acc: self.acc, math: self.math }
    }
}

/// Options of every command that runs a model.
#[derive(clap::Args)]
pub struct DeviceArgs {
    /// Where to run: auto, cpu, cuda, cuda:N or interp; or several that divide the layers, as in cuda:0,cuda:1
    #[arg(long, value_name = "DEVICE", default_value = "auto", value_parser = DeviceParser)]
    device: Device,
    #[command(flatten)]
    choices: PolicyArgs,
    /// CPU threads [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

impl DeviceArgs {
    /// The requested policy.
    pub fn policy(&self) -> Policy {
        self.choices.policy()
    }

    /// The requested type of the KV cache.
    pub fn kv(&self) -> KvType {
        self.choices.kv
    }

    fn run(&self, devices: DeviceNames, policy: Policy) -> RunSpec {
        RunSpec { devices, policy, kv: self.kv(), threads: self.threads.map(threads) }
    }

    /// Checks that every option has an effect.
    fn check(&self) -> anyhow::Result<()> {
        if self.threads.is_some() && matches!(&self.device, Device::On(devices) if !devices.is_cpu()) {
            return Err(Usage("--threads has no effect: it is for --device cpu".into()).into());
        }
        Ok(())
    }
}

/// The number of threads to use for a requested number: at most the number of cores, because the threads wait
/// for each other.
pub fn threads(asked: u16) -> usize {
    static ONCE: Once = Once::new();
    let cores = thread::available_parallelism().map_or(usize::MAX, Into::into);
    if usize::from(asked) > cores {
        ONCE.call_once(|| output::note(format_args!("{asked} threads on {cores} cores would wait: {cores} are used")));
    }
    cores.min(asked.into())
}

/// The number of positions of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// This number.
    Exactly(usize),
    /// As many as fit into free memory, at most the model's context.
    Fitting,
}

/// The value of `--device`.
#[derive(Clone, PartialEq, Eq)]
enum Device {
    /// The first GPU if there is one, otherwise the CPU.
    Auto,
    On(DeviceNames),
}

impl Device {
    /// The last of several, which computes the logits.
    fn last(&self) -> Device {
        match self {
            Device::On(devices) => devices.names().last().map_or(Device::Auto, |&last| Device::On(last.into())),
            Device::Auto => Device::Auto,
        }
    }
}

/// Reads [`Device`]. Help and completions offer the single devices.
#[derive(Clone)]
struct DeviceParser;

impl TypedValueParser for DeviceParser {
    type Value = Device;

    fn parse_ref(&self, command: &clap::Command, arg: Option<&clap::Arg>, text: &OsStr) -> Result<Device, clap::Error> {
        let read = |text: &str| match text {
            "auto" => Ok(Device::Auto),
            names => names.parse().map(Device::On),
        };
        TypedValueParser::parse_ref(&read, command, arg, text)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let value = |name: &'static str, help: &'static str| PossibleValue::new(name).help(help);
        Some(Box::new(
            [
                value("auto", "The first GPU if there is one, otherwise the CPU"),
                value("cpu", "The CPU"),
                value("cuda", "The first NVIDIA GPU; cuda:1 is the second one"),
                value("interp", "The interpreter, with generated kernels"),
            ]
            .into_iter(),
        ))
    }
}

/// The minimum context of a chat. If it does not fit into memory, that is an error.
const LEAST: usize = 16;

/// A model on its device.
pub struct Model<'g> {
    gguf: &'g Gguf,
    loaded: LoadedModel<'g>,
    capacity: usize,
}

impl<'g> Model<'g> {
    /// Loads a model on the requested device, with a session of `capacity` positions.
    pub fn load(gguf: &'g Gguf, args: &DeviceArgs, capacity: usize) -> anyhow::Result<Self> {
        Self::load_for(gguf, args, Room::Exactly(capacity))
    }

    /// The same, with the given room.
    pub fn load_for(gguf: &'g Gguf, args: &DeviceArgs, room: Room) -> anyhow::Result<Self> {
        Self::choose(gguf, args, &args.device, args.policy(), room)
    }

    /// A draft model, which is small: on the last of the requested devices alone.
    pub fn load_draft(gguf: &'g Gguf, args: &DeviceArgs, capacity: usize) -> anyhow::Result<Self> {
        Self::choose(gguf, args, &args.device.last(), args.policy(), Room::Exactly(capacity))
    }

    /// The same with another policy.
    pub fn of_policy(gguf: &'g Gguf, args: &DeviceArgs, policy: Policy, capacity: usize) -> anyhow::Result<Self> {
        Self::choose(gguf, args, &args.device, policy, Room::Exactly(capacity))
    }

    fn choose(gguf: &'g Gguf, args: &DeviceArgs, device: &Device, policy: Policy, room: Room) -> anyhow::Result<Self> {
        args.check()?;
        let on = |devices| Self::with_room(gguf, args.run(devices, policy), room);
        let devices = match device {
            Device::On(devices) => devices.clone(),
            Device::Auto => match on(DeviceName::Cuda(0).into()) {
                Ok(model) => return Ok(model),
                Err(e) => match e.downcast::<LoadError>()? {
                    LoadError::NoDevice(DeviceError::NoDriver) => {
                        output::note("no NVIDIA driver; running on the CPU");
                        DeviceName::Cpu.into()
                    }
                    LoadError::NoDevice(e) => {
                        output::note(format_args!("{e}; running on the CPU"));
                        DeviceName::Cpu.into()
                    }
                    e => return Err(e.into()),
                },
            },
        };
        on(devices)
    }

    /// A model on the CPU, whatever device was requested.
    pub fn on_cpu(gguf: &'g Gguf, args: &DeviceArgs, policy: Policy) -> anyhow::Result<Self> {
        Self::on(gguf, args.run(DeviceName::Cpu.into(), policy), 0)
    }

    /// Loads a model as specified, with a session of `capacity` positions; shows the progress.
    pub fn on(gguf: &'g Gguf, run: RunSpec, capacity: usize) -> anyhow::Result<Self> {
        Self::with_room(gguf, run, Room::Exactly(capacity))
    }

    fn with_room(gguf: &'g Gguf, run: RunSpec, room: Room) -> anyhow::Result<Self> {
        let style = "loading {wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}";
        let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(style)?);
        let mut progress = |p: Progress| {
            bar.set_length(p.total);
            bar.set_position(p.done);
        };
        let mut choose = |fitting: &dyn Fn() -> usize| match room {
            Room::Exactly(capacity) => capacity,
            Room::Fitting => fitting().max(LEAST),
        };
        let kv = run.kv;
        let loaded = LoadedModel::load_fitting(gguf, run, &mut choose, &mut progress);
        bar.finish_and_clear();
        let (loaded, capacity) = loaded?;
        let context = ModelConfig::from_gguf(gguf)?.context;
        let capacity = capacity.min(context);
        if room == Room::Fitting && capacity < context {
            let half = if kv == KvType::F32 { ", and --kv f16 makes room for about twice as many" } else { "" };
            output::note(format_args!(
                "the free memory has room for {capacity} of the model's {context} tokens of context; --ctx sets it{half}"
            ));
        }
        Ok(Self { gguf, loaded, capacity })
    }

    /// The requested number of positions, or the number that fits.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Whether it runs on the CPU.
    pub fn is_on_cpu(&self) -> bool {
        matches!(self.loaded, LoadedModel::Cpu(_))
    }

    /// Pages of a batch's cache that fit into free memory.
    pub fn fitting_pages(&self, room: BatchRoom) -> anyhow::Result<usize> {
        Ok(self.loaded.fitting_pages(self.gguf, room)?)
    }

    /// An empty batch of sequences with this room.
    pub fn batch(&self, room: BatchRoom) -> anyhow::Result<BatchSession<'_>> {
        let batch = self.loaded.batch(room)?;
        if self.is_on_cpu() {
            startup::give_back(self.gguf.tensor_bytes());
        }
        Ok(batch)
    }

    /// An empty sequence with room for `capacity` tokens.
    pub fn session(&self, capacity: usize) -> anyhow::Result<Box<dyn Engine + '_>> {
        let session = self.loaded.session(capacity)?;
        if self.is_on_cpu() {
            startup::give_back(self.gguf.tensor_bytes());
        }
        Ok(session)
    }
}
