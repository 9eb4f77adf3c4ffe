//! Declarations: variables, parameters, launch bounds, and the least version.

use std::fmt::Write as _;

use super::operand::constant;
use crate::ir::{LaunchBounds, Linkage, Module, Param, Variable};
use crate::target::{CLUSTERS, PtxVersion};
use crate::types::Space;

/// The least PTX version that knows the module's target, its instructions and
/// its directives. A driver accepts text up to its own version, so the least
/// one runs on the most machines.
pub fn least_version(module: &Module) -> PtxVersion {
    let kernels = module.kernels.iter();
    let insts = kernels.clone().flat_map(|k| k.insts()).map(|(_, _, inst)| inst.least_ptx());
    let clusters = kernels.filter(|k| k.bounds.cluster.is_some()).map(|_| CLUSTERS);
    insts.chain(clusters).fold(module.target.least_ptx(), PtxVersion::max)
}

/// `.shared .align 16 .b8 tile[4096];` without indentation.
pub(super) fn variable(out: &mut String, v: &Variable) {
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
        for (i, element) in v.init.chunks(v.ty.bytes().max(1) as usize).enumerate() {
            out.push_str(if i > 0 { ", " } else { "" });
            let bits = element.iter().rev().fold(0, |bits, &byte| bits << 8 | u64::from(byte));
            out.push_str(&constant(bits, Some(v.ty)));
        }
        out.push('}');
    }
    out.push_str(";\n");
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

/// Launch bounds, one a line.
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
}
