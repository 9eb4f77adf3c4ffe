//! From a line of PTX to the line of the source.

use ptxgen_builder::print::{PrintOptions, print};
use ptxgen_builder::ptxas::diagnostics;
use ptxgen_builder::target::Target;
use ptxgen_builder::verify::Validated;

use super::jit::Rejected;
use crate::error::{Complaint, JitError};

/// The source position for a line of the module's print: `ptx` is that print, and `line` counts from 1.
///
/// The print with line information has the same lines, preceded by `.loc` lines. The last `.loc` before a line is its
/// position.
fn author(module: &Validated, ptx: &str, line: usize) -> Option<String> {
    let text = ptx.lines().nth(line.checked_sub(1)?)?;
    let nth = ptx.lines().take(line).filter(|l| is_code(l)).count();
    if !is_code(text) {
        return None;
    }
    let annotated = print(module, &PrintOptions { lineinfo: true, ..PrintOptions::default() });
    let (mut files, mut position, mut seen) = (Vec::new(), None, 0);
    for text in annotated.lines() {
        let mut words = text.split_whitespace();
        match words.next() {
            Some(".file") => files.push(text.split('"').nth(1)?),
            Some(".loc") => {
                let mut number = || words.next().and_then(|w| w.parse::<usize>().ok());
                let (file, line, column) = (number()?, number()?, number()?);
                position = Some(format!("{}:{line}:{column}", files.get(file.checked_sub(1)?)?));
            }
            _ => seen += 1,
        }
        if seen == nth {
            return position;
        }
    }
    None
}

/// Whether a line is printed both with and without line information.
fn is_code(line: &str) -> bool {
    !matches!(line.split_whitespace().next(), Some(".file" | ".loc"))
}

/// The messages of the driver's compiler about a module's print, with our instructions and the source lines.
pub(super) fn explain(module: &Validated, ptx: &str, target: Target, rejected: Rejected) -> JitError {
    let complaints = diagnostics(&rejected.log, ptx).into_iter().map(|d| Complaint {
        message: match d.line {
            Some(line) => format!("line {line}: {}", d.message),
            None => d.message,
        },
        loc: d.line.and_then(|line| author(module, ptx, line)),
        instruction: d.source.filter(|s| !s.is_empty()),
    });
    let complaints = complaints.collect();
    JitError { target, reason: rejected.reason, complaints, log: rejected.log.trim().to_owned() }
}

#[cfg(test)]
mod tests {
    use ptxgen_builder::build::{Out, kernel};

    use super::*;

    #[test]
    fn complaints_name_the_instruction_and_the_author_s_line() {
        let line = line!() + 2;
        let k = kernel::<(Out<f32>,)>("k", ["y"], |k, (y,)| {
            y.at(3u32).store(k, 1.5);
        });
        let module = k.verify(Target::SM_90).expect("verifies");
        let explain = |ptx: &str, reason: &str, log: String| {
            explain(&module, ptx, Target::SM_90, Rejected { reason: reason.to_owned(), log }).to_string()
        };
        for lineinfo in [false, true] {
            let ptx = print(&module, &PrintOptions { lineinfo, ..PrintOptions::default() });
            let number = ptx.lines().position(|l| l.contains("st.global")).expect("a store") + 1;
            let log = format!(
                "ptxas application ptx input, line {number}; error   : Arguments mismatch for instruction 'st'\n\
                 ptxas fatal   : Ptx assembly aborted due to errors\n"
            );
            let text = explain(&ptx, "CUDA_ERROR_INVALID_PTX", log);
            assert!(
                text.starts_with("the driver's compiler rejects the module for sm_90: CUDA_ERROR_INVALID_PTX"),
                "{text}"
            );
            assert!(text.contains("Arguments mismatch for instruction 'st'\n    in `st.global.f32"), "{text}");
            assert!(text.contains(&format!("{}:{line}:", file!())), "{text}");
            assert!(text.contains("Ptx assembly aborted"), "{text}");
        }
        let unknown = explain("", "CUDA_ERROR_UNKNOWN", "something else".to_owned());
        assert!(unknown.ends_with("CUDA_ERROR_UNKNOWN\nsomething else"), "{unknown}");
    }
}
