//! Text that the instruction table does not know.

use crate::target::PtxVersion;

/// PTX text that is printed as it is. Nothing is known of it but what is declared here: the verifier checks its operands'
/// registers, proofs refuse kernels in which a number goes through it, and the interpreter refuses to run it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpaqueText {
    /// The text, in which `%0`, `%1`, ... stand for the results and then the operands of the instruction.
    pub text: String,
    /// The first PTX version that has it.
    pub least_ptx: PtxVersion,
    /// The least `sm_` that has it.
    pub least_sm: u16,
}

impl OpaqueText {
    /// The text without the semicolon at its end, in lines that do not end the file's structure.
    pub(crate) fn body(&self) -> &str {
        self.text.trim().trim_end_matches(';').trim_end()
    }

    /// The first words, for messages.
    pub fn short(&self) -> &str {
        let line = self.text.trim().lines().next().unwrap_or_default();
        line.char_indices().nth(60).map_or(line, |(at, _)| &line[..at])
    }
}
