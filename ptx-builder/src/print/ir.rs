//! A readable dump of the IR.

use std::fmt::Write as _;

use super::label::Labels;
use super::{directive, inst, least_version};
use crate::ir::{BlockId, Kernel, Module};
use crate::types::RegClass;

/// The module's IR: every block with its index and successors, every instruction with its row's section and its
/// position, and the names in the source. It need not be verified, and the output is not meant to be parsed.
pub fn ir(module: &Module) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "module {} ptx {}", module.target, least_version(module));
    for variable in &module.variables {
        out.push_str("  ");
        directive::variable(&mut out, module, variable);
    }
    for kernel in &module.kernels {
        self::kernel(&mut out, module, kernel);
    }
    out
}

fn kernel(out: &mut String, module: &Module, kernel: &Kernel) {
    let _ = write!(out, "kernel {}", kernel.name);
    if let Some(loc) = &kernel.loc {
        let _ = write!(out, "  ; {loc}");
    }
    out.push('\n');
    for param in &kernel.params {
        out.push_str("  ");
        directive::param(out, param);
        out.push('\n');
    }
    let mut bounds = String::new();
    directive::bounds(&mut bounds, &kernel.bounds);
    for line in bounds.lines() {
        let _ = writeln!(out, "  {line}");
    }
    for variable in &kernel.variables {
        out.push_str("  ");
        directive::variable(out, module, variable);
    }
    out.push_str("  registers");
    for (class, count) in RegClass::ALL.into_iter().zip(kernel.registers) {
        let _ = write!(out, " {} {count}", class.declared());
    }
    out.push('\n');
    for (reg, name) in &kernel.names {
        let _ = writeln!(out, "  {reg} = {name:?}");
    }
    let labels = Labels::of(kernel);
    for (i, block) in kernel.blocks.iter().enumerate() {
        let id = BlockId(i as u32);
        let _ = write!(out, "  block {}", labels.label(id));
        let last = block.insts.last();
        if let Some(target) = last.and_then(|inst| inst.branch_target()) {
            let _ = write!(out, " -> {}", labels.label(target));
        }
        let falls = last.is_none_or(|inst| inst.guard.is_some() || !inst.form().meaning.ends_block());
        if falls && i + 1 < kernel.blocks.len() {
            let _ = write!(out, " -> {}", labels.label(BlockId(id.0 + 1)));
        }
        out.push('\n');
        for i in &block.insts {
            let text = inst(module, kernel, i);
            let row = i.form().row.get();
            let _ = write!(out, "    {text:<60} ; {}", row.section);
            if let Some(loc) = &i.loc {
                let _ = write!(out, " {loc}");
            }
            out.push('\n');
        }
    }
}
