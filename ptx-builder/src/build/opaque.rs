//! PTX text that the instruction table does not know.

use std::panic::Location;

use super::Body;
use super::asm::{AsmOperands, AsmOut, Place, named};
use super::state::with;
use crate::ir::{OpaqueText, Operand};
use crate::table::{MOST_OPAQUE_OPERANDS, MOST_OPAQUE_RESULTS, Mod, Op, table};
use crate::target::PtxVersion;

/// Text for [`Body::asm_opaque`], with what it does beside computing its results.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opaque<'t> {
    text: &'t str,
    accesses_memory: bool,
    needs_whole_warp: bool,
    least_ptx: PtxVersion,
    least_sm: u16,
}

impl<'t> Opaque<'t> {
    /// Text that computes its results from its operands, on every target.
    #[must_use]
    pub fn new(text: &'t str) -> Self {
        let (least_ptx, least_sm) = (PtxVersion(20), 20);
        Opaque { text, accesses_memory: false, needs_whole_warp: false, least_ptx, least_sm }
    }

    /// It reads or writes memory, or orders it. Launches of the kernel cannot be checked then.
    #[must_use]
    pub fn accesses_memory(self) -> Self {
        Opaque { accesses_memory: true, ..self }
    }

    /// All lanes of a warp must come to it together, as for a matrix instruction: the verifier holds the kernel to that.
    #[must_use]
    pub fn needs_whole_warp(self) -> Self {
        Opaque { needs_whole_warp: true, ..self }
    }

    /// It exists from this PTX version and this `sm_` on: modules with it have at least that version, and are refused for
    /// older targets.
    #[must_use]
    pub fn since(self, least_ptx: PtxVersion, least_sm: u16) -> Self {
        Opaque { least_ptx, least_sm, ..self }
    }
}

impl Body {
    /// Writes PTX text that the instruction table need not know, as it is. `%0`, `%1`, ... in it stand for the results
    /// and then the operands, in their order; what it declares has to stand in braces of its own.
    ///
    /// Nothing is known of the text but what is declared: policies of precision refuse a kernel in which a number goes
    /// through it, the interpreter refuses to run it and names it, the optimizer leaves it where it is, and only the
    /// driver's compiler reads it. Where the table knows the text, [`Body::asm`] is better.
    ///
    /// ```
    /// use ptxgen_builder::build::{Opaque, Out, Val, kernel};
    /// use ptxgen_builder::print::{PrintOptions, print};
    /// use ptxgen_builder::target::{PtxVersion, Target};
    ///
    /// let k = kernel::<(Out<u32>,)>("future", ["y"], |k, (y,)| {
    ///     let text = Opaque::new("newop.u32 %0, %1;").since(PtxVersion(80), 90);
    ///     let value = k.asm_opaque::<Val<u32>>(text, (k.thread_x(),));
    ///     y.at(k.thread_x()).store(k, value);
    /// });
    /// let module = k.verify(Target::SM_90).expect("nothing is wrong with it");
    /// assert!(print(&module, &PrintOptions::default()).contains("newop.u32 %r"));
    /// assert!(k.verify(Target::SM_80).is_err());
    /// ```
    ///
    /// # Panics
    /// At the caller's line: if a `%N` stands for nothing, if a result or operand does not stand in the text, if there
    /// are more results or operands than a text may have, or if a brace is not closed.
    #[track_caller]
    pub fn asm_opaque<O: AsmOut>(&self, text: Opaque<'_>, operands: impl AsmOperands) -> O {
        let at = Location::caller();
        let operands = operands.operands_of_text();
        let (out, results) = O::results_of_text();
        assert!(
            results.len() <= MOST_OPAQUE_RESULTS && operands.len() <= MOST_OPAQUE_OPERANDS,
            "opaque PTX text gives at most {MOST_OPAQUE_RESULTS} results of {MOST_OPAQUE_OPERANDS} operands"
        );
        // Registers are operands of the instruction; constants are of the text.
        let registers = operands.iter().filter(|(operand, ..)| matches!(operand, Operand::Reg(_)));
        let registers: Vec<Operand> = registers.map(|(operand, ..)| *operand).collect();
        let mut places: Vec<Place> = (0..results.len()).map(Place::numbered).collect();
        let mut next = results.len()..;
        for (operand, _, ty) in &operands {
            places.push(match operand {
                Operand::Imm(bits) => Place::constant(*bits, *ty),
                _ => Place::numbered(next.next().unwrap_or_default()),
            });
        }
        let mut used = vec![false; places.len()];
        let written = match named(text.text, &places, &mut used) {
            Ok(written) => written,
            Err(why) => panic!("PTX text cannot be written here: {why}"),
        };
        if let Some(unused) = used.iter().position(|u| !u) {
            panic!(
                "PTX text cannot be written here: it has no %{unused}; every result and operand stands in it at least once"
            );
        }
        let open = text.text.bytes().try_fold(0u32, |open, b| match b {
            b'{' => open.checked_add(1),
            b'}' => open.checked_sub(1),
            _ => Some(open),
        });
        assert!(open == Some(0), "PTX text cannot be written here: its braces do not match");
        let mut all = vec![Operand::None; 1 + MOST_OPAQUE_RESULTS + MOST_OPAQUE_OPERANDS];
        for (i, reg) in results.iter().enumerate() {
            all[1 + i] = Operand::Reg(*reg);
        }
        for (i, operand) in registers.into_iter().enumerate() {
            all[1 + MOST_OPAQUE_RESULTS + i] = operand;
        }
        let mut mods = Vec::new();
        mods.extend(text.accesses_memory.then_some(Mod::Volatile));
        mods.extend(text.needs_whole_warp.then_some(Mod::Aligned));
        let form = table().find(Op::Opaque, &mods).expect("the table has every combination");
        with(|state| {
            let (text, least_ptx, least_sm) = (written, text.least_ptx, text.least_sm);
            state.kernel.texts.push(OpaqueText { text, least_ptx, least_sm });
            all[0] = Operand::Text(state.kernel.texts.len() as u32 - 1);
            let loc = state.loc(at);
            state.push(form, None, &all, loc);
        });
        out
    }
}
