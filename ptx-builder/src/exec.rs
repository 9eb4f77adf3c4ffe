//! Runs a PTX text on the CPU in one call.
//!
//! ```
//! use ptxgen_builder::exec::{Exec, Value};
//!
//! let text = ".version 7.0\n.target sm_80\n.address_size 64\n\
//!     .visible .entry twice(.param .u64 x)\n{\n.reg .b64 %a, %i; .reg .b32 %v;\n\
//!     ld.param.u64 %a, [x]; mov.u32 %v, %tid.x; mul.wide.u32 %i, %v, 4; add.s64 %a, %a, %i;\n\
//!     ld.global.u32 %v, [%a]; add.u32 %v, %v, %v; st.global.u32 [%a], %v; ret;\n}\n";
//! let x: Vec<u8> = [1u32, 2, 3, 4].iter().flat_map(|v| v.to_le_bytes()).collect();
//! let ran = Exec { block: [4, 1, 1], args: &[Value::InOut(x)], ..Exec::new("twice.ptx", text) }.run()?;
//! assert!(ran.report.is_clean());
//! assert_eq!(ran.outputs[0].as_deref().map(|b| b[4]), Some(4));
//! # Ok::<(), ptxgen_builder::exec::ExecError>(())
//! ```

use thiserror::Error;

use crate::interp::{Arg, Launch, LaunchError, Memory, MemoryError, Options, Report};
use crate::parse::read;
use crate::verify::{Doubts, verify_each};

/// The value of a parameter.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Value {
    /// The bytes of a scalar, or of an array that is passed by value.
    Scalar(Vec<u8>),
    /// A pointer to a buffer with these bytes.
    In(Vec<u8>),
    /// The same, and its contents afterwards are an output.
    InOut(Vec<u8>),
    /// A pointer to an uninitialized buffer of this many bytes; its contents afterwards are an output.
    Out(u64),
    /// A pointer to this many zero bytes; its contents afterwards are an output.
    Zero(u64),
}

/// A launch of an entry of a text.
#[derive(Clone, Copy, Debug)]
pub struct Exec<'a> {
    /// The file name in positions.
    pub file: &'a str,
    /// The text.
    pub text: &'a str,
    /// The entry; if the text has only one, it need not be named.
    pub entry: Option<&'a str>,
    /// Blocks in x, y, z.
    pub grid: [u32; 3],
    /// Threads per block in x, y, z.
    pub block: [u32; 3],
    /// Bytes of dynamic shared memory.
    pub shared: u32,
    /// One for each parameter.
    pub args: &'a [Value],
    /// Options of the interpreter.
    pub options: Options,
}

/// The result of a launch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Ran {
    /// The entry's name.
    pub entry: String,
    /// What was found, counted and printed.
    pub report: Report,
    /// The output bytes of each argument, if it is an output.
    pub outputs: Vec<Option<Vec<u8>>>,
}

/// Reasons why nothing was run.
#[derive(Clone, PartialEq, Debug, Error)]
#[non_exhaustive]
pub enum ExecError {
    /// The entry is not in the text, or the text has several and none was named.
    #[error("{0}")]
    Entry(String),
    /// The entry cannot be read, or does not verify.
    #[error("entry '{entry}' cannot run:\n{why}")]
    Refused {
        /// Its name.
        entry: String,
        /// The errors.
        why: String,
    },
    /// The launch does not match the entry or exceeds a GPU's limits.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// There is not enough memory for the buffers.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

/// Maximum number of errors of an entry in a message.
const MOST: usize = 10;

impl<'a> Exec<'a> {
    /// One block of one thread of a text's only entry, without arguments.
    pub fn new(file: &'a str, text: &'a str) -> Self {
        let options = Options::default();
        Exec { file, text, entry: None, grid: [1; 3], block: [1; 3], shared: 0, args: &[], options }
    }

    /// Reads, verifies and runs it. Errors in other entries are ignored.
    ///
    /// # Errors
    /// If the entry does not exist or does not verify, or the launch does not match it; then nothing has run.
    pub fn run(&self) -> Result<Ran, ExecError> {
        let reading = read(self.file, self.text);
        let outside: Vec<String> =
            reading.errors.iter().filter(|e| e.within.is_none()).map(ToString::to_string).collect();
        let unread: Vec<&str> = reading.refused.iter().filter(|(_, entry)| *entry).map(|(name, _)| &**name).collect();
        let known: Vec<String> = reading.module.kernels.iter().map(|k| k.name.clone()).collect();
        let all: Vec<&str> = known.iter().map(String::as_str).chain(unread.iter().copied()).collect();
        let entry = match (self.entry, &all[..]) {
            (Some(name), _) if all.contains(&name) => name.to_owned(),
            (Some(name), _) => {
                return Err(ExecError::Entry(format!("{} has no entry '{name}'{}", self.file, listed(&all))));
            }
            (None, [only]) => (*only).to_owned(),
            (None, []) if outside.is_empty() => return Err(ExecError::Entry(format!("{} has no entries", self.file))),
            (None, []) => return Err(ExecError::Refused { entry: "?".to_owned(), why: some(&outside) }),
            (None, _) => {
                let message = format!("{} has {} entries, so name one{}", self.file, all.len(), listed(&all));
                return Err(ExecError::Entry(message));
            }
        };
        if unread.contains(&entry.as_str()) {
            let of = |e: &&crate::parse::ParseError| e.within.as_deref().is_none_or(|w| w == entry);
            let why: Vec<String> = reading.errors.iter().filter(of).map(ToString::to_string).collect();
            return Err(ExecError::Refused { entry, why: some(&why) });
        }
        let mut module = reading.module;
        module.kernels.retain(|k| k.name == entry);
        let judged = verify_each(module, Doubts::Warn);
        let wrong = judged.module.iter().chain(judged.refused.iter().flat_map(|(_, errors)| errors.iter()));
        let why: Vec<String> = wrong.map(ToString::to_string).collect();
        if !why.is_empty() {
            return Err(ExecError::Refused { entry, why: some(&why) });
        }
        let mut memory = Memory::new();
        let mut args = Vec::with_capacity(self.args.len());
        let mut buffers = Vec::with_capacity(self.args.len());
        for value in self.args {
            let buffer = match value {
                Value::Scalar(bytes) => {
                    args.push(Arg::bytes(bytes));
                    buffers.push(None);
                    continue;
                }
                Value::In(bytes) | Value::InOut(bytes) => memory.alloc(bytes, 256)?,
                Value::Out(len) => memory.alloc_uninit(*len, 256)?,
                Value::Zero(len) => memory.alloc_zeroed(*len, 256)?,
            };
            args.push(Arg::from(buffer));
            buffers.push(Some(buffer).filter(|_| !matches!(value, Value::In(_))));
        }
        let launch = Launch {
            module: &judged.validated,
            kernel: &entry,
            grid: self.grid,
            block: self.block,
            dynamic_shared: self.shared,
            args: &args,
            globals: None,
            options: &self.options,
        };
        let report = launch.run(&mut memory)?;
        let outputs = buffers.into_iter().map(|buffer| buffer.map(|b| memory.read(b)).transpose());
        let outputs = outputs.collect::<Result<_, _>>()?;
        Ok(Ran { entry, report, outputs })
    }
}

fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        names => {
            let first: Vec<&str> = names.iter().copied().take(MOST).collect();
            format!("; it has {}{}", first.join(", "), if names.len() > MOST { ", .." } else { "" })
        }
    }
}

fn some(messages: &[String]) -> String {
    let mut text = messages.iter().take(MOST).cloned().collect::<Vec<_>>().join("\n");
    if messages.len() > MOST {
        text.push_str(&format!("\nand {} more", messages.len() - MOST));
    }
    text
}
