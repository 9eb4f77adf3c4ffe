//! `ptxgen bench`: speed of kernels and models on a GPU, cost and accuracy of policies.

mod kernels;
mod measure;
mod model;
mod policies;
mod speculate;
mod stream;
mod work;

use super::Outcome;
use clap::Subcommand;

/// Measure kernels or a whole model on a GPU, or every policy on any device
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
    Speculate(speculate::Args),
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    match &args.what {
        What::Kernels(args) => kernels::run(args),
        What::Decode(args) => model::decode(args),
        What::Prefill(args) => model::prefill(args),
        What::Policies(args) => policies::run(args),
        What::Speculate(args) => speculate::run(args),
    }
}
