//! Whole modules as PTX.

use std::fmt::Write as _;

use super::label::Labels;
use super::operand::halves;
use super::{PrintOptions, directive, least_version};
use crate::ir::{BlockId, Inst, Kernel, Loc, Module, Operand, Reg};
use crate::table::Op;
use crate::types::RegClass;

/// Column of the operands, from the start of the instruction, unless the opcode is longer.
const OPERANDS: usize = 20;

/// Column of comments.
const COMMENTS: usize = 60;

pub(super) fn module(module: &Module, options: &PrintOptions) -> String {
    written(module, options).0
}

/// The line, from 1, of each instruction of each kernel, in writing order.
pub(super) fn lines(module: &Module, options: &PrintOptions) -> Vec<Vec<u32>> {
    let (text, starts) = written(module, options);
    let (mut line, mut from) = (1, 0);
    let mut line_at = |at: usize| {
        line += text[from..at].matches('\n').count() as u32;
        from = at;
        line
    };
    starts.into_iter().map(|kernel| kernel.into_iter().map(&mut line_at).collect()).collect()
}

/// The text, and the byte offset of each kernel's instructions in it.
fn written(module: &Module, options: &PrintOptions) -> (String, Vec<Vec<usize>>) {
    let mut out = String::new();
    let mut starts = Vec::with_capacity(module.kernels.len());
    let _ = writeln!(out, ".version {}", least_version(module));
    let _ = writeln!(out, ".target {}", module.target);
    let _ = writeln!(out, ".address_size 64");
    let files = if options.lineinfo { Files::of(module) } else { Files::default() };
    files.print(&mut out);
    if !module.variables.is_empty() {
        out.push('\n');
    }
    for variable in &module.variables {
        directive::variable(&mut out, module, variable);
    }
    if !module.externs.is_empty() {
        out.push('\n');
    }
    for function in &module.externs {
        directive::function(&mut out, function);
    }
    for kernel in &module.kernels {
        out.push('\n');
        let labels = Labels::of(kernel);
        starts.push(
            Entry { module, kernel, labels, files: &files, options, loc: None, starts: Vec::new() }.print(&mut out),
        );
    }
    (out, starts)
}

/// The source files that positions name, in order of first use.
#[derive(Default)]
struct Files<'a> {
    names: Vec<&'a str>,
}

impl<'a> Files<'a> {
    fn of(module: &'a Module) -> Self {
        let mut names: Vec<&str> = Vec::new();
        for kernel in &module.kernels {
            let insts = kernel.insts().filter_map(|(_, _, inst)| inst.loc.as_ref());
            for loc in kernel.loc.iter().chain(insts) {
                if !names.contains(&&*loc.file) {
                    names.push(&loc.file);
                }
            }
        }
        Files { names }
    }

    fn print(&self, out: &mut String) {
        for (i, name) in self.names.iter().enumerate() {
            let name = name.replace('\\', "\\\\").replace('"', "\\\"");
            let _ = writeln!(out, ".file {} \"{name}\"", i + 1);
        }
    }

    /// The number of a position's file; `None` without line information.
    fn number(&self, loc: &Loc) -> Option<usize> {
        self.names.iter().position(|name| **name == *loc.file).map(|i| i + 1)
    }
}

/// One kernel that is being printed.
struct Entry<'a> {
    module: &'a Module,
    kernel: &'a Kernel,
    labels: Labels,
    files: &'a Files<'a>,
    options: &'a PrintOptions,
    /// The last position written.
    loc: Option<&'a Loc>,
    /// Offsets of instructions in the text.
    starts: Vec<usize>,
}

impl<'a> Entry<'a> {
    /// Prints the kernel; returns the offsets of its instructions.
    fn print(mut self, out: &mut String) -> Vec<usize> {
        let kernel = self.kernel;
        let _ = write!(out, ".visible .entry {}(", kernel.name);
        for (i, param) in kernel.params.iter().enumerate() {
            out.push_str(if i > 0 { ",\n    " } else { "\n    " });
            directive::param(out, param);
        }
        out.push_str(if kernel.params.is_empty() { ")\n" } else { "\n)\n" });
        directive::bounds(out, &kernel.bounds);
        out.push_str("{\n");
        let classes = RegClass::ALL.into_iter().zip(kernel.registers);
        for (class, count) in classes.filter(|(_, count)| *count > 0) {
            let _ = writeln!(out, "    .reg .{} {}<{count}>;", class.declared(), class.prefix());
        }
        for variable in &kernel.variables {
            out.push_str("    ");
            directive::variable(out, self.module, variable);
        }
        if let Some(loc) = &kernel.loc {
            self.position(out, loc);
        }
        for (i, block) in kernel.blocks.iter().enumerate() {
            let id = BlockId(i as u32);
            if self.labels.is_target(id) {
                let _ = writeln!(out, "{}:", self.labels.label(id));
            }
            for inst in &block.insts {
                self.inst(out, inst);
            }
        }
        out.push_str("}\n");
        self.starts
    }

    fn inst(&mut self, out: &mut String, inst: &'a Inst) {
        if let Some(loc) = &inst.loc {
            self.position(out, loc);
        }
        if inst.form().op == Op::Call {
            return self.call(out, inst);
        }
        let (head, operands) = halves(self.module, self.kernel, Some(&self.labels), inst);
        let mut line =
            if operands.is_empty() { format!("{head};") } else { format!("{head:<w$} {operands};", w = OPERANDS - 1) };
        let comment = if self.options.comments { self.comment(inst) } else { String::new() };
        if !comment.is_empty() {
            line = format!("{line:<COMMENTS$}{comment}");
        }
        self.starts.push(out.len());
        let _ = writeln!(out, "    {line}");
    }

    /// A call, whose arguments and result are separate `.param`s.
    fn call(&mut self, out: &mut String, inst: &Inst) {
        let [Operand::Function(i), result, args @ ..] = &inst.operands[..] else { return };
        let Some(function) = self.module.externs.get(*i as usize) else { return };
        out.push_str("    {\n");
        for (n, (param, arg)) in function.params.iter().zip(args).enumerate() {
            let ty = param.ty;
            let _ = writeln!(out, "        .param .{ty} param{n};");
            let text = match arg {
                Operand::Imm(bits) => super::operand::constant(*bits, Some(ty)),
                Operand::Reg(r) => r.to_string(),
                _ => "_".to_owned(),
            };
            let _ = writeln!(out, "        st.param.b{} [param{n}], {text};", ty.bits());
        }
        let names: Vec<String> = (0..function.params.len()).map(|n| format!("param{n}")).collect();
        let gives = function.results.first().map(|r| r.ty);
        if let Some(ty) = gives {
            let _ = writeln!(out, "        .param .{ty} result;");
        }
        let guard = inst.guard.map(|g| format!("@{}{} ", if g.negated { "!" } else { "" }, g.reg)).unwrap_or_default();
        self.starts.push(out.len());
        let result_text = if gives.is_some() { "(result), " } else { "" };
        let _ = writeln!(out, "        {guard}call {result_text}{}, ({});", function.name, names.join(", "));
        if let (Some(ty), Operand::Reg(r)) = (gives, result) {
            let _ = writeln!(out, "        {guard}ld.param.b{} {r}, [result];", ty.bits());
        }
        out.push_str("    }\n");
    }

    /// ` // %r3 = row, %f1 = sum`: the registers that the author named.
    fn comment(&self, inst: &Inst) -> String {
        let mut comment = String::new();
        let mut seen: Vec<Reg> = Vec::new();
        for reg in inst.defs().chain(inst.uses()) {
            if let Some(name) = self.kernel.names.get(&reg)
                && !seen.contains(&reg)
            {
                let head = if seen.is_empty() { " // " } else { ", " };
                // A name may contain anything; a line break would end the comment.
                let _ = write!(comment, "{head}{reg} = {}", name.replace(char::is_control, " "));
                seen.push(reg);
            }
        }
        comment
    }

    fn position(&mut self, out: &mut String, loc: &'a Loc) {
        if self.loc != Some(loc)
            && let Some(file) = self.files.number(loc)
        {
            let _ = writeln!(out, "    .loc {file} {} {}", loc.line, loc.column);
            self.loc = Some(loc);
        }
    }
}
