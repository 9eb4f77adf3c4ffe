//! Textures and surfaces by their handles (PTX ISA 9.7.10, 9.7.11).
//!
//! Their modifiers and operands are read, and kept as a text: they verify and print, proofs refuse what they give, and the
//! interpreter refuses to run them.

use super::body::Body;
use super::error::ParseErrorKind;
use super::lex::{Fault, Kind, Pos};
use crate::ir::{Guard, Inst, OpaqueText, Operand, Reg};
use crate::table::{MOST_OPAQUE_OPERANDS, MOST_OPAQUE_RESULTS, Mod, Op, table};
use crate::target::PtxVersion;

/// Every modifier of these instructions.
const MODIFIERS: &[&str] = &[
    "base",
    "level",
    "grad",
    "1d",
    "2d",
    "3d",
    "a1d",
    "a2d",
    "cube",
    "acube",
    "2dms",
    "a2dms",
    "v2",
    "v4",
    "u8",
    "u16",
    "u32",
    "u64",
    "s8",
    "s16",
    "s32",
    "s64",
    "b8",
    "b16",
    "b32",
    "b64",
    "f16",
    "f16x2",
    "f32",
    "r",
    "g",
    "b",
    "a",
    "p",
    "width",
    "height",
    "depth",
    "channel_data_type",
    "channel_order",
    "normalized_coords",
    "force_unnormalized_coords",
    "filter_mode",
    "addr_mode_0",
    "addr_mode_1",
    "addr_mode_2",
    "array_size",
    "num_mipmap_levels",
    "num_samples",
    "memory_layout",
    "ca",
    "cg",
    "cs",
    "cv",
    "wb",
    "wt",
    "trap",
    "clamp",
    "zero",
    "add",
    "min",
    "max",
    "and",
    "or",
    "unified",
];

/// Whether an instruction is one of these, by its opcode.
pub(super) fn is_texture(name: &str) -> bool {
    let op = name.split('.').next().unwrap_or_default();
    matches!(op, "tex" | "tld4" | "txq" | "suld" | "sust" | "sured" | "suq")
}

impl Body<'_, '_> {
    /// The operands of such an instruction and its semicolon.
    pub(super) fn texture(&mut self, name: &str, guard: Option<Guard>, at: Pos) -> Result<(), Fault> {
        if name.split('.').skip(1).any(|m| !MODIFIERS.contains(&m)) || !name.contains('.') {
            return Err((at, ParseErrorKind::UnknownInstruction { name: name.to_owned(), near: None }));
        }
        let gives = !name.starts_with("sust.") && !name.starts_with("sured.");
        let (mut results, mut operands): (Vec<Reg>, Vec<Reg>) = (Vec::new(), Vec::new());
        let (mut depth, mut is_result) = (0i32, gives);
        let mut text = format!("{name} ");
        loop {
            let token = self.cursor().peek();
            match token.kind {
                Kind::Punct(';') => {
                    self.cursor().take();
                    break;
                }
                Kind::End | Kind::Directive => return Err(self.cursor().expected("an operand or ';'")),
                Kind::Punct(',') => {
                    self.cursor().take();
                    text.push_str(", ");
                    is_result &= depth > 0;
                }
                Kind::Punct(c) => {
                    self.cursor().take();
                    depth += i32::from(matches!(c, '{' | '[')) - i32::from(matches!(c, '}' | ']'));
                    text.push(c);
                }
                Kind::Word if token.text == "_" => {
                    self.cursor().take();
                    text.push('_');
                }
                Kind::Word => {
                    let reg = self.register("a register: textures and surfaces are given by handles")?;
                    let place = if is_result {
                        results.push(reg);
                        results.len() - 1
                    } else {
                        let known = operands.iter().position(|r| *r == reg);
                        results.len()
                            + known.unwrap_or_else(|| {
                                operands.push(reg);
                                operands.len() - 1
                            })
                    };
                    text.push_str(&format!("%{place}"));
                }
                _ => {
                    self.cursor().take();
                    text.push_str(token.text);
                }
            }
        }
        if results.len() > MOST_OPAQUE_RESULTS || operands.len() > MOST_OPAQUE_OPERANDS || depth != 0 {
            let what = format!("'{name}' of {} results and {} operands", results.len(), operands.len());
            return Err((at, ParseErrorKind::Unsupported { what, instead: "no texture or surface has that many" }));
        }
        let Some(form) = table().find(Op::Opaque, &[Mod::Volatile]) else { return Ok(()) };
        let mut all = vec![Operand::None; 1 + MOST_OPAQUE_RESULTS + MOST_OPAQUE_OPERANDS];
        all[0] = Operand::Text(self.kernel.texts.len() as u32);
        for (place, reg) in all[1..].iter_mut().zip(&results) {
            *place = Operand::Reg(*reg);
        }
        for (place, reg) in all[1 + MOST_OPAQUE_RESULTS..].iter_mut().zip(&operands) {
            *place = Operand::Reg(*reg);
        }
        // Handles came with PTX 3.1.
        self.kernel.texts.push(OpaqueText { text, least_ptx: PtxVersion(31), least_sm: 20 });
        let loc = Some(self.here(at));
        self.push(Inst { form, guard, operands: all.into(), loc });
        Ok(())
    }
}
