//! Where a model runs: the one place that knows the devices.

use super::{output, startup};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use ptxgen_dsl::precision::{Acc, Act, Math, Policy};
use ptxgen_model::{DeviceName, Engine, KvType, LoadError, LoadedModel, RunSpec, device::Progress, gguf::Gguf};
use ptxgen_runtime::DeviceError;

/// What a model computes: its numeric policy, and the type of its cache.
#[derive(clap::Args)]
pub struct PolicyArgs {
    /// Activations that enter a product with a Q4_K or Q6_K matrix: f32 or q8k
    #[arg(long, default_value_t)]
    act: Act,
    /// Accumulator: f32 or f64
    #[arg(long, default_value_t)]
    acc: Acc,
    /// SwiGLU's exponential and reciprocal: exact, or approx on a GPU or in the interpreter
    #[arg(long, default_value_t)]
    math: Math,
    /// Type of the KV cache: f32 or f16
    #[arg(long, default_value_t)]
    pub kv: KvType,
}

impl PolicyArgs {
    /// The policy that was asked for.
    pub fn policy(&self) -> Policy {
        Policy { act: self.act, acc: self.acc, math: self.math }
    }
}

/// Options of every command that runs a model.
#[derive(clap::Args)]
pub struct DeviceArgs {
    /// Where to run
    #[arg(long, value_enum, default_value = "auto")]
    device: Device,
    #[command(flatten)]
    choices: PolicyArgs,
    /// CPU threads [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

impl DeviceArgs {
    /// The policy that was asked for.
    pub fn policy(&self) -> Policy {
        self.choices.policy()
    }

    /// The type of the KV cache that was asked for.
    pub fn kv(&self) -> KvType {
        self.choices.kv
    }

    fn run(&self, device: DeviceName, policy: Policy) -> RunSpec {
        RunSpec { device, policy, kv: self.kv(), threads: self.threads.map(Into::into) }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Device {
    /// A GPU if there is one, else the CPU
    Auto,
    /// The CPU
    Cpu,
    /// An NVIDIA GPU
    Cuda,
    /// Generated kernels in the interpreter
    Interp,
}

/// A model on its device.
pub struct Model<'g> {
    gguf: &'g Gguf,
    loaded: LoadedModel<'g>,
}

impl<'g> Model<'g> {
    /// Prepares a model for the device that was asked for, and a session of `capacity` positions.
    pub fn load(gguf: &'g Gguf, args: &DeviceArgs, capacity: usize) -> anyhow::Result<Self> {
        Self::of_policy(gguf, args, args.policy(), capacity)
    }

    /// The same under another policy.
    pub fn of_policy(gguf: &'g Gguf, args: &DeviceArgs, policy: Policy, capacity: usize) -> anyhow::Result<Self> {
        let on = |device| Self::on(gguf, args.run(device, policy), capacity);
        let device = match args.device {
            Device::Cpu => DeviceName::Cpu,
            Device::Cuda => DeviceName::Cuda,
            Device::Interp => DeviceName::Interp,
            Device::Auto => match on(DeviceName::Cuda) {
                Ok(model) => return Ok(model),
                Err(e) => match e.downcast::<LoadError>()? {
                    LoadError::NoDevice(DeviceError::NoDriver) => {
                        output::note("no NVIDIA driver; running on the CPU");
                        DeviceName::Cpu
                    }
                    LoadError::NoDevice(e) => {
                        output::note(format_args!("{e}; running on the CPU"));
                        DeviceName::Cpu
                    }
                    e => return Err(e.into()),
                },
            },
        };
        on(device)
    }

    /// A model on the CPU, whatever device was asked for.
    pub fn on_cpu(gguf: &'g Gguf, args: &DeviceArgs, policy: Policy) -> anyhow::Result<Self> {
        Self::on(gguf, args.run(DeviceName::Cpu, policy), 0)
    }

    /// A model prepared as it says, with a session of `capacity` positions; shows the progress.
    pub fn on(gguf: &'g Gguf, run: RunSpec, capacity: usize) -> anyhow::Result<Self> {
        let style = "loading {wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}";
        let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(style)?);
        let mut progress = |p: Progress| {
            bar.set_length(p.total);
            bar.set_position(p.done);
        };
        let loaded = LoadedModel::load(gguf, run, capacity, &mut progress);
        bar.finish_and_clear();
        Ok(Self { gguf, loaded: loaded? })
    }

    /// Whether it runs on the CPU.
    pub fn is_on_cpu(&self) -> bool {
        matches!(self.loaded, LoadedModel::Cpu(_))
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
