//! Where a model runs: the one place that knows the devices.

use super::{Usage, output};
use clap::ValueEnum;
use ptxgen_dsl::precision::{Acc, Act, Policy};
use ptxgen_model::{
    Engine, Qwen3MoeConfig,
    cpu::{CpuModel, CpuOptions, KvType},
    gguf::Gguf,
    interp::InterpModel,
};

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
    /// Type of the KV cache: f32 or f16
    #[arg(long, default_value_t)]
    kv: KvType,
    /// CPU threads [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
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
    /// In the interpreter.
    Interp(InterpModel<'g>),
}

impl<'g> Model<'g> {
    /// Prepares a model for the device that was asked for.
    pub fn load(gguf: &'g Gguf, args: &DeviceArgs) -> anyhow::Result<Self> {
        let policy = Policy::new(args.act, args.acc);
        match args.device {
            Device::Cpu => {}
            Device::Auto => output::note("no GPU support in this build yet; running on the CPU"),
            Device::Cuda => {
                return Err(Usage("--device cuda: no GPU support in this build yet; use --device cpu".into()).into());
            }
            Device::Interp => return Ok(Self::Interp(InterpModel::load(gguf, policy, args.kv)?)),
        }
        let options = CpuOptions { policy, threads: args.threads.map(Into::into), simd: None, kv: args.kv };
        Ok(Self::Cpu(Box::new(CpuModel::load(gguf, options)?)))
    }

    /// The model's hyperparameters.
    pub fn config(&self) -> &Qwen3MoeConfig {
        match self {
            Self::Cpu(model) => model.config(),
            Self::Interp(model) => model.config(),
        }
    }

    /// An empty sequence with room for `capacity` tokens.
    pub fn session(&self, capacity: usize) -> anyhow::Result<Box<dyn Engine + '_>> {
        Ok(match self {
            Self::Cpu(model) => Box::new(model.new_session(capacity)?),
            Self::Interp(model) => Box::new(model.new_session(capacity)?),
        })
    }
}
