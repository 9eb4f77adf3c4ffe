//! Output of a command: files, standard output and notes.

use super::{Usage, inputs, interrupt, shown::shown};
use anstream::{stderr, stdout};
use anyhow::Error;
use ptxgen_model::{WholeFile, trace::TraceError};
use std::{
    fmt::Display,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::Path,
};

/// Writes a file completely or not at all: `fill` writes a temporary file next to it, which then replaces it. A device
/// or a pipe receives the bytes directly.
///
/// # Errors
/// Those of `fill`; a write error names the path.
pub fn write_file(path: &Path, fill: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>) -> anyhow::Result<()> {
    inputs::check_output(path)?;
    let named = |e: Error| if is_io(&e) { e.context(format!("cannot write {}", path.display())) } else { e };
    match fs::metadata(path) {
        Ok(there) if !there.is_file() => write_in_place(path, fill),
        _ => replace(path, fill),
    }
    .map_err(named)
}

/// Writes a text as a file, completely or not at all.
///
/// # Errors
/// If it cannot be written; names the path.
pub fn write_text(path: &Path, text: &str) -> anyhow::Result<()> {
    write_file(path, |out| Ok(out.write_all(text.as_bytes())?))
}

fn write_in_place(path: &Path, fill: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut out = BufWriter::new(OpenOptions::new().write(true).open(path)?);
    fill(&mut out)?;
    Ok(out.flush()?)
}

/// Writes a file completely or not at all, like [`write_file`], with its parts in any order.
///
/// # Errors
/// If the path exists and is not a file, or those of `fill`.
pub fn write_parts(path: &Path, fill: impl FnOnce(&mut File) -> anyhow::Result<()>) -> anyhow::Result<()> {
    inputs::check_output(path)?;
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        let path = path.display();
        return Err(
            Usage(format!("{path} is not a regular file, which is needed here: it is not written in order")).into()
        );
    }
    let written = create(path).and_then(|mut out| {
        fill(out.file())?;
        Ok(out.finish()?)
    });
    written.map_err(|e| {
        let failed = is_io(&e) || matches!(e.downcast_ref(), Some(TraceError::Write(_)));
        if failed { e.context(format!("cannot write {}", path.display())) } else { e }
    })
}

fn replace(path: &Path, fill: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut out = BufWriter::new(create(path)?);
    fill(&mut out)?;
    Ok(out.into_inner().map_err(io::IntoInnerError::into_error)?.finish()?)
}

/// Creates the temporary file, which a signal that ends the process removes.
fn create(path: &Path) -> anyhow::Result<WholeFile> {
    interrupt::watch();
    Ok(WholeFile::create(path)?)
}

/// Whether an error is a bare system error. In a command that is a failed write to its output.
pub fn is_io(e: &Error) -> bool {
    let json = |e: &serde_json::Error| e.io_error_kind().is_some();
    e.chain().next().is_some_and(|first| first.is::<io::Error>() || first.downcast_ref().is_some_and(json))
}

/// Prints a line to standard output.
///
/// # Errors
/// If it cannot be written; `println!` would panic.
pub fn line(text: impl Display) -> io::Result<()> {
    writeln!(stdout(), "{text}")
}

/// Prints a note to standard error. If it cannot be written, it is lost.
pub fn note(text: impl Display) {
    let _ = writeln!(stderr(), "note: {}", shown(&text.to_string()));
}
