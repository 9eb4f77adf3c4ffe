//! `ptxgen bench`: what kernels and models take on a GPU, and what policies cost and buy.

mod kernels;
mod measure;
mod model;
mod policies;
mod stream;
mod work;

use super::{Outcome, Usage};
use clap::Subcommand;
use ptxgen_runtime::{Device, DeviceError};

/// Measure kernels, or a whole model, on a GPU; or every policy on any device
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Kernels(kernels::Args),
    Decode(model::Decode),
    Prefill(model::Prefill),
    Policies(policies::Args),
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    match &args.what {
        What::Kernels(args) => kernels::run(args),
        What::Decode(args) => model::decode(args),
        What::Prefill(args) => model::prefill(args),
        What::Policies(args) => policies::run(args),
    }
}

/// The GPU; that there is none is wrong use.
fn gpu(ordinal: usize) -> anyhow::Result<Device> {
    Device::cuda(ordinal).map_err(|e| match e {
        DeviceError::NoDriver | DeviceError::NoGpu { .. } | DeviceError::NoSuchGpu { .. } => {
            Usage(format!("nothing to measure on: {e}")).into()
        }
        other => other.into(),
    })
}
