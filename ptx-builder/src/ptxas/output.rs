//! Parses the output of `ptxas`.

use super::{Diagnostic, KernelUsage, PtxasError, Severity};

/// `13.5` of `Cuda compilation tools, release 13.5, V13.5.37`.
pub(super) fn release(text: &str) -> Option<&str> {
    let (_, after) = text.split_once(" release ")?;
    let (release, _) = after.split_once(',')?;
    Some(release.trim())
}

/// The warnings and errors in `text`, the output of `ptxas` or of the driver's JIT compiler, with the lines of `ptx`
/// that they name.
pub fn diagnostics(text: &str, ptx: &str) -> Vec<Diagnostic> {
    text.lines().filter_map(|line| diagnostic(line, ptx)).collect()
}

/// Reads `ptxas module.ptx, line 7; error   : Message` or `ptxas fatal   : Message`.
fn diagnostic(text: &str, ptx: &str) -> Option<Diagnostic> {
    let rest = text.strip_prefix("ptxas ")?;
    let place = rest.split_once(", line ").and_then(|(_, after)| {
        let (number, after) = after.split_once(';')?;
        Some((number.trim().parse::<usize>().ok()?, after))
    });
    let (line, rest) = place.map_or((None, rest), |(number, after)| (Some(number), after));
    let (word, message) = rest.split_once(':')?;
    let severity = match word.trim() {
        "warning" | "Warning" => Severity::Warning,
        "error" => Severity::Error,
        "fatal" => Severity::Fatal,
        _ => return None,
    };
    let source = line.and_then(|n| ptx.lines().nth(n.checked_sub(1)?)).map(|l| l.trim().to_owned());
    Some(Diagnostic { severity, line, source, message: message.trim().to_owned() })
}

/// The kernels' resources.
///
/// For each entry `ptxas` writes `Compiling entry function 'NAME'`, then a line of stack and
/// spills, then one of registers; functions that are not entries have only the line of stack.
pub(super) fn usage(text: &str) -> Result<Vec<KernelUsage>, PtxasError> {
    let mut kernels: Vec<KernelUsage> = Vec::new();
    let mut properties_of = None;
    for line in text.lines() {
        let unknown = || PtxasError::UnknownReport { line: line.trim().to_owned() };
        let info = line.strip_prefix("ptxas info").map(|l| l.trim_start().trim_start_matches(':').trim_start());
        if let Some(rest) = info.and_then(|l| l.strip_prefix("Compiling entry function '")) {
            let (name, _) = rest.split_once('\'').ok_or_else(unknown)?;
            kernels.push(KernelUsage { name: name.to_owned(), ..Default::default() });
        } else if let Some(name) = info.and_then(|l| l.strip_prefix("Function properties for ")) {
            properties_of = kernels.iter().position(|k| k.name == name.trim());
        } else if line.contains(" bytes stack frame") {
            if let Some(kernel) = properties_of.take().and_then(|i| kernels.get_mut(i)) {
                kernel.stack_frame = amount(line, " bytes stack frame").ok_or_else(unknown)?;
                kernel.spill_stores = amount(line, " bytes spill stores").ok_or_else(unknown)?;
                kernel.spill_loads = amount(line, " bytes spill loads").ok_or_else(unknown)?;
            }
        } else if let Some(used) = info.and_then(|l| l.strip_prefix("Used ")) {
            let kernel = kernels.last_mut().ok_or_else(unknown)?;
            kernel.registers = amount(used, " registers").ok_or_else(unknown)?;
            kernel.barriers = amount(used, " barriers").unwrap_or(0);
            kernel.shared = amount(used, " bytes smem").unwrap_or(0);
        }
    }
    Ok(kernels)
}

/// The number before `unit`.
fn amount(text: &str, unit: &str) -> Option<u32> {
    let (before, _) = text.split_once(unit)?;
    let digits = before.rsplit(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_report_of_several_kernels_and_functions() {
        let report = "\
ptxas info    : 8 bytes gmem, 96 bytes cmem[3], 16 bytes cmem[4]
ptxas info    : Compiling entry function 'local_array' for 'sm_75'
ptxas info    : Function properties for local_array
    64 bytes stack frame, 12 bytes spill stores, 20 bytes spill loads
ptxas info    : Used 41 registers, used 2 barriers, 64 bytes cumulative stack size, 256 bytes smem, 372 bytes cmem[0]
ptxas info    : Compile time = 9.144 ms
ptxas info    : Function properties for helper
    8 bytes stack frame, 4 bytes spill stores, 4 bytes spill loads
ptxas info    : Compiling entry function 'polynomial' for 'sm_75'
ptxas info    : Function properties for polynomial
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 10 registers, 372 bytes cmem[0]
";
        let kernels = usage(report).expect("a readable report");
        let expected = [
            KernelUsage {
                name: "local_array".to_owned(),
                registers: 41,
                barriers: 2,
                stack_frame: 64,
                spill_stores: 12,
                spill_loads: 20,
                shared: 256,
            },
            KernelUsage { name: "polynomial".to_owned(), registers: 10, ..Default::default() },
        ];
        assert_eq!(kernels, expected);
        assert!(diagnostics(report, "").is_empty());
    }

    #[test]
    fn refuses_a_report_in_another_form() {
        let report = "ptxas info    : Used many registers, used 0 barriers\n";
        let error = usage(report).expect_err("no kernel before it");
        assert!(error.to_string().contains("Used many registers"), "{error}");
    }

    #[test]
    fn reads_errors_with_and_without_a_line() {
        let ptx = "first\n  second;\n";
        let text = "\
ptxas module.ptx, line 2; error   : Arguments mismatch for instruction 'add'
ptxas module.ptx, line 9; warning : Past the end
ptxas error   : Entry function 'k' uses too much shared data: 0x10000 bytes
ptxas fatal   : Ptx assembly aborted due to errors
ptxas info    : 0 bytes gmem
something else: entirely
";
        let found = diagnostics(text, ptx);
        let shown: Vec<_> = found.iter().map(|d| (d.severity, d.line, d.to_string())).collect();
        let expected = [
            (Severity::Error, Some(2), "line 2: Arguments mismatch for instruction 'add' in `second;`"),
            (Severity::Warning, Some(9), "line 9: Past the end"),
            (Severity::Error, None, "Entry function 'k' uses too much shared data: 0x10000 bytes"),
            (Severity::Fatal, None, "Ptx assembly aborted due to errors"),
        ]
        .map(|(severity, line, text)| (severity, line, text.to_owned()));
        assert_eq!(shown, expected);
    }

    #[test]
    fn reads_the_release() {
        let text = "ptxas: NVIDIA (R) Ptx optimizing assembler\nCuda compilation tools, release 13.5, V13.5.37\n";
        assert_eq!(release(text), Some("13.5"));
        assert_eq!(release("no such thing"), None);
    }
}
