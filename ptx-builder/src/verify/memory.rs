//! Memory accesses whose address is known well enough.

use std::collections::HashSet;
use std::iter::successors;

use super::Rule;
use super::error::Errors;
use super::operands::resolve;
use crate::analysis::{InstId, KernelInfo, Origin, Value};
use crate::ir::{BlockId, Inst, Kernel, Module, Operand};
use crate::table::{Bytes, MemoryAccess, Proxy};
use crate::types::Space;

/// One access of an instruction.
struct Access {
    space: Space,
    /// Bytes, where they are constant.
    bytes: Option<u64>,
    /// What the address must be a multiple of.
    align: u64,
    writes: bool,
    read_only: bool,
    address: Value,
}

/// Checks bounds, alignment, spaces, and that read-only data is not written.
pub(super) fn check(module: &Module, kernel: &Kernel, info: &KernelInfo, errors: &mut Errors) {
    // What is wrong in the others is wrong only if they run: a compiler leaves code that never does.
    let always: HashSet<BlockId> = successors(Some(BlockId(0)), |&b| info.cfg.immediate_post_dominator(b)).collect();
    let mut written: HashSet<Origin> = HashSet::new();
    let mut read_only: Vec<(&Inst, Origin)> = Vec::new();
    for &b in info.cfg.order() {
        for (i, inst) in kernel.blocks[b.0 as usize].insts.iter().enumerate() {
            for access in accesses(module, kernel, info, info.cfg.inst_id(b, i), inst) {
                let tell = if always.contains(&b) && inst.guard.is_none() { Errors::inst } else { Errors::doubt };
                one(module, kernel, inst, &access, errors, tell);
                let Some(origin) = access.address.origin else { continue };
                if access.writes {
                    written.insert(origin);
                }
                if access.read_only {
                    read_only.push((inst, origin));
                }
            }
        }
    }
    for (inst, origin) in read_only.into_iter().filter(|(_, origin)| written.contains(origin)) {
        let message = format!(
            "{} reads through the read-only path and the kernel also writes through {}; load without .nc",
            inst.form().name,
            describe(module, kernel, origin)
        );
        errors.inst(kernel, inst, Rule::ReadOnlyData, message);
    }
}

fn describe(module: &Module, kernel: &Kernel, origin: Origin) -> String {
    match origin {
        Origin::Symbol(s) => resolve(module, kernel, s).map_or_else(String::new, |n| format!("'{}'", n.name)),
        Origin::Pointer(i) => {
            kernel.params.get(i as usize).map_or_else(String::new, |p| format!("parameter '{}'", p.name))
        }
    }
}

/// The accesses that an instruction makes.
fn accesses(module: &Module, kernel: &Kernel, info: &KernelInfo, id: InstId, inst: &Inst) -> Vec<Access> {
    let find = |slot: &str| inst.slots().find(|(s, _)| s.name == slot);
    let value = |op: &Operand| info.operand(module, kernel, id, op);
    let constant = |slot: &str| find(slot).and_then(|(_, ops)| value(ops.first()?).as_constant());
    let access = |access: &MemoryAccess| {
        let (_, operands) = find(access.slot)?;
        let bytes = match access.bytes {
            Bytes::Fixed(bytes) => Some(u64::from(bytes)),
            Bytes::Operand(slot) => constant(slot),
        };
        Some(Access {
            space: access.space,
            bytes,
            align: access.align.map_or(bytes.unwrap_or(1), u64::from),
            writes: access.writes,
            read_only: access.proxy == Proxy::ReadOnly,
            address: value(operands.first()?),
        })
    };
    inst.form().accesses().iter().filter_map(access).collect()
}

/// How an error of an access is told that is one where the access runs.
type Tell<'m> = fn(&mut Errors<'m>, &Kernel, &Inst, Rule, String);

fn one<'m>(module: &Module, kernel: &Kernel, inst: &Inst, access: &Access, errors: &mut Errors<'m>, tell: Tell<'m>) {
    let name = &inst.form().name;
    let known = u32::from(access.address.number().known);
    let residue = access.address.number().residue & (access.align.max(1) - 1);
    let residue = if known >= 64 { residue } else { residue & ((1 << known) - 1) };
    if residue != 0 {
        let message = format!(
            "{name} accesses an address that is {residue} more than a multiple of {}; it must be a multiple of {}",
            access.align.min(1 << known.min(63)),
            access.align
        );
        tell(errors, kernel, inst, Rule::Misaligned, message);
    }
    let Some(Origin::Symbol(symbol)) = access.address.origin else { return };
    let Some(named) = resolve(module, kernel, symbol) else { return };
    if access.space != Space::Generic && access.space != named.space {
        let message =
            format!("'{}' lies in {} space and {name} accesses {} space", named.name, named.space, access.space);
        return errors.inst(kernel, inst, Rule::Space, message);
    }
    if access.writes && matches!(named.space, Space::Const | Space::Param) {
        let message = format!("{name} writes to '{}', which lies in {} space", named.name, named.space);
        errors.inst(kernel, inst, Rule::ReadOnlySpace, message);
    }
    let (Some(offset), Some(bytes)) = (access.address.offset(), access.bytes) else { return };
    let end = offset.saturating_add_unsigned(bytes);
    if offset < 0 || named.bytes.is_some_and(|size| end > size as i64) {
        let size = named.bytes.map_or_else(|| "as many as the launch gives".to_owned(), |n| n.to_string());
        let message = format!("{name} accesses bytes {offset} to {end} of '{}', which has {size}", named.name);
        tell(errors, kernel, inst, Rule::OutOfBounds, message);
    }
}
