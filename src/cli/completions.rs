//! `ptxgen completions`: what a shell needs to complete the command's arguments.

use super::{Outcome, Status};
use anstream::stdout;
use clap::Command;
use clap_complete::{Shell, generate};
use std::io::Write;

/// Print a script for the shell that completes commands and options
///
/// For bash: ptxgen completions bash > ~/.local/share/bash-completion/completions/ptxgen
#[derive(clap::Args)]
pub struct Args {
    /// The shell
    shell: Shell,
}

/// Runs the command.
pub fn run(args: &Args, mut command: Command) -> Outcome {
    // Generates into memory first, because the generator panics on an error of writing.
    let mut script = Vec::new();
    generate(args.shell, &mut command, "ptxgen", &mut script);
    stdout().write_all(&script)?;
    Ok(Status::Well)
}
