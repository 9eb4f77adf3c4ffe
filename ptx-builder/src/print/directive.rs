//! Declarations: variables, parameters, launch bounds, and the least version.

use std::fmt::Write as _;

use super::operand::constant;
use crate::ir::{Extern, LaunchBounds, Linkage, Module, Param, Passed, Reference, Variable};
use crate::target::{CLUSTERS, PtxVersion};
use crate::types::Space;

/// The minimum PTX version that has the module's target, instructions and directives. A driver accepts text up to its
/// own version, so the minimum runs on the most machines.
pub fn least_version(module: &Module) -> PtxVersion {
    let kernels = module.kernels.iter();
    let insts = kernels.clone().flat_map(|k| k.insts()).map(|(_, _, inst)| inst.least_ptx());
    let texts = kernels.clone().flat_map(|k| &k.texts).map(|text| text.least_ptx);
    let clusters = kernels.filter(|k| k.bounds.cluster.is_some()).map(|_| CLUSTERS);
    insts.chain(texts).chain(clusters).fold(module.target.least_ptx(), PtxVersion::max)
}

/// `.shared .align 16 .b8 tile[4096];` without indentation.
pub(super) fn variable(out: &mut String, module: &Module, v: &Variable) {
    let linkage = match (v.len, v.linkage) {
        (None, _) | (_, Linkage::External) => ".extern ",
        (Some(_), Linkage::Visible) => ".visible ",
        (Some(_), Linkage::Weak) => ".weak ",
        (Some(_), Linkage::Internal) => "",
    };
    let _ = write!(out, "{linkage}.{} .align {} .{} {}[", v.space, v.align, v.ty, v.name);
    if let Some(len) = v.len {
        let _ = write!(out, "{len}");
    }
    out.push(']');
    if !v.init.is_empty() {
        out.push_str(" = {");
        let size = v.ty.bytes().max(1) as usize;
        let mut refs = v.refs.iter().peekable();
        for (i, element) in v.init.chunks(size).enumerate() {
            out.push_str(if i > 0 { ", " } else { "" });
            if let Some(reference) = refs.next_if(|r| r.at == (i * size) as u64) {
                address(out, module, reference);
                continue;
            }
            let bits = element.iter().rev().fold(0, |bits, &byte| bits << 8 | u64::from(byte));
            out.push_str(&constant(bits, Some(v.ty)));
        }
        out.push('}');
    }
    out.push_str(";\n");
}

/// `generic(x)+4`, or a part of it: `0xFF00(x)`.
fn address(out: &mut String, module: &Module, reference: &Reference) {
    let name = module.variables.get(reference.variable as usize).map_or("_", |v| &v.name);
    let name = if reference.is_generic { format!("generic({name})") } else { name.to_owned() };
    let _ = match reference.bytes {
        8 if reference.shift == 0 => write!(out, "{name}"),
        bytes => write!(out, "{:#X}({name})", (u64::MAX >> (64 - 8 * u32::from(bytes))) << reference.shift),
    };
    if reference.addend != 0 {
        let _ = write!(out, "{:+}", reference.addend);
    }
}

/// `.extern .func (.param .b32 d) name (.param .b64 a0, .param .b64 a1);`
pub(super) fn function(out: &mut String, function: &Extern) {
    let all = |name: &str, passed: &[Passed]| {
        let one = |(i, p): (usize, &Passed)| {
            let align = p.align.map(|a| format!(".align {a} ")).unwrap_or_default();
            let len = p.len.map(|n| format!("[{n}]")).unwrap_or_default();
            format!(".param {align}.{} {name}{i}{len}", p.ty)
        };
        passed.iter().enumerate().map(one).collect::<Vec<_>>().join(", ")
    };
    let results =
        if function.results.is_empty() { String::new() } else { format!("({}) ", all("d", &function.results)) };
    let _ = writeln!(out, ".extern .func {results}{}({});", function.name, all("a", &function.params));
}

/// `.param .u64 .ptr .global .align 16 x`.
pub(super) fn param(out: &mut String, p: &Param) {
    out.push_str(".param ");
    if let Some(align) = p.align {
        let _ = write!(out, ".align {align} ");
    }
    let _ = write!(out, ".{} ", p.ty);
    if let Some((space, align)) = p.pointer {
        out.push_str(".ptr ");
        if space != Space::Generic {
            let _ = write!(out, ".{space} ");
        }
        let _ = write!(out, ".align {align} ");
    }
    out.push_str(&p.name);
    if let Some(len) = p.len {
        let _ = write!(out, "[{len}]");
    }
}

/// Launch bounds, one per line.
pub(super) fn bounds(out: &mut String, b: &LaunchBounds) {
    let mut shape = |name: &str, shape: Option<[u32; 3]>| {
        if let Some([x, y, z]) = shape {
            let _ = writeln!(out, "{name} {x}, {y}, {z}");
        }
    };
    shape(".reqntid", b.required);
    shape(".maxntid", b.max_threads);
    shape(".reqnctapercluster", b.cluster);
    if let Some(n) = b.min_blocks {
        let _ = writeln!(out, ".minnctapersm {n}");
    }
    if let Some(n) = b.max_registers {
        let _ = writeln!(out, ".maxnreg {n}");
    }
    if b.explicit_cluster {
        let _ = writeln!(out, ".explicitcluster");
    }
    if let Some(n) = b.max_cluster_rank {
        let _ = writeln!(out, ".maxclusterrank {n}");
    }
}
