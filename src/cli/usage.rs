//! Decides which errors are wrong use.

use anyhow::Error;
use ptxgen_model::{LoadError, compare::CompareError, trace::TraceError};
use std::fmt;

/// A mistake in the command line; it ends with exit code 2.
#[derive(Debug)]
pub struct Usage(pub String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Whether options contradict each other, or ask for something that the named model, kernel or traces do not have. This
/// excludes a broken file, files that do not belong together, a device that is missing or fails, and a failed check.
pub fn is_wrong_use(e: &Error) -> bool {
    e.chain().any(|cause| {
        cause.is::<Usage>()
            || cause.downcast_ref().is_some_and(of_load)
            || cause.downcast_ref().is_some_and(of_trace)
            || cause.downcast_ref().is_some_and(of_compare)
    })
}

fn of_load(e: &LoadError) -> bool {
    use LoadError::{Approximate, Context, Devices, Memory, Threads};
    // If a file's context exceeds all memory, the file is not at fault.
    matches!(e, Approximate | Context { .. } | Devices { .. } | Memory { .. } | Threads { .. })
}

fn of_trace(e: &TraceError) -> bool {
    matches!(e, TraceError::Select(_))
}

fn of_compare(e: &CompareError) -> bool {
    use CompareError::{Missing, NoTokens, Prompts, Threshold, Trace};
    match e {
        Trace(e) => of_trace(e),
        _ => matches!(e, Missing { .. } | NoTokens(_) | Prompts(..) | Threshold { .. }),
    }
}
