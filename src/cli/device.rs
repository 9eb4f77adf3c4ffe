//! Where a model runs: the one place that knows the devices.

use super::output;
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use ptxgen_dsl::precision::{Acc, Act, Math, Policy};
use ptxgen_model::{
    Engine,
    cpu::{CpuModel, CpuOptions, KvType},
    device::{DeviceModel, DeviceOptions, Progress},
    gguf::Gguf,
};
use ptxgen_runtime::DeviceError;

/// Options of every command that runs a model.
#[derive(clap::Args)]
pub struct DeviceArgs {
    /// Where to run
    #[arg(long, value_enum, default_value = "auto")]
    device: Device,
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
    kv: KvType,
    /// CPU threads [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

impl DeviceArgs {
    /// The policy that was asked for.
    pub fn policy(&self) -> Policy {
        Policy { act: self.act, acc: self.acc, math: self.math }
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
pub enum Model<'g> {
    /// On the CPU.
    Cpu(Box<CpuModel<'g>>),
    /// On a GPU, or in the interpreter.
    Device(Box<DeviceModel>),
}

impl<'g> Model<'g> {
    /// Prepares a model for the device that was asked for, and a session of `capacity` positions.
    pub fn load(gguf: &'g Gguf, args: &DeviceArgs, capacity: usize) -> anyhow::Result<Self> {
        Self::of_policy(gguf, args, args.policy(), capacity)
    }

    /// The same under another policy.
    pub fn of_policy(gguf: &'g Gguf, args: &DeviceArgs, policy: Policy, capacity: usize) -> anyhow::Result<Self> {
        let on_device = |device| Self::on_device(&device, gguf, args, policy, capacity);
        match args.device {
            Device::Cpu => Self::on_cpu(gguf, args, policy),
            Device::Cuda => on_device(ptxgen_runtime::Device::cuda(0)?),
            Device::Interp => on_device(ptxgen_runtime::Device::interp()),
            Device::Auto => match ptxgen_runtime::Device::cuda(0) {
                Ok(gpu) => on_device(gpu),
                Err(DeviceError::NoDriver) => {
                    output::note("no NVIDIA driver; running on the CPU");
                    Self::on_cpu(gguf, args, policy)
                }
                Err(e) => {
                    output::note(format_args!("{e}; running on the CPU"));
                    Self::on_cpu(gguf, args, policy)
                }
            },
        }
    }

    /// A model on the CPU, whatever device was asked for.
    pub fn on_cpu(gguf: &'g Gguf, args: &DeviceArgs, policy: Policy) -> anyhow::Result<Self> {
        let options = CpuOptions { policy, threads: args.threads.map(Into::into), simd: None, kv: args.kv };
        Ok(Self::Cpu(Box::new(CpuModel::load(gguf, options)?)))
    }

    fn on_device(
        device: &ptxgen_runtime::Device,
        gguf: &Gguf,
        args: &DeviceArgs,
        policy: Policy,
        capacity: usize,
    ) -> anyhow::Result<Self> {
        let options = DeviceOptions { policy, kv: args.kv, ..DeviceOptions::default() };
        let style = "loading {wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}";
        let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(style)?);
        let mut progress = |p: Progress| {
            bar.set_length(p.total);
            bar.set_position(p.done);
        };
        let model = DeviceModel::load(device, gguf, options, capacity, &mut progress);
        bar.finish_and_clear();
        Ok(Self::Device(Box::new(model?)))
    }

    /// An empty sequence with room for `capacity` tokens.
    pub fn session(&self, capacity: usize) -> anyhow::Result<Box<dyn Engine + '_>> {
        Ok(match self {
            Self::Cpu(model) => Box::new(model.new_session(capacity)?),
            Self::Device(model) => Box::new(model.new_session(capacity)?),
        })
    }
}
