//! `ptxgen man`: the manual's pages.

use super::{Outcome, Status, output};
use anyhow::Context;
use clap::Command;
use clap_mangen::Man;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Write manual pages: ptxgen.1 and one for each command
#[derive(clap::Args)]
pub struct Args {
    /// The folder to write into, such as ~/.local/share/man/man1; it is created if it does not exist
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Runs the command.
pub fn run(args: &Args, command: Command) -> Outcome {
    let folder = &args.folder;
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let pages = write(&command, folder)?;
    output::line(format_args!("{pages} pages in {}", folder.display()))?;
    Ok(Status::Well)
}

/// Writes the page of a command and those of its subcommands; returns their number.
fn write(command: &Command, folder: &Path) -> anyhow::Result<usize> {
    let page = Man::new(command.clone());
    output::write_file(&folder.join(page.get_filename()), |out| Ok(page.render(out)?))?;
    command.get_subcommands().try_fold(1, |pages, command| Ok(pages + write(command, folder)?))
}
