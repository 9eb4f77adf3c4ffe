//! Memory accesses whose address is known well enough.

use super::Rule;
use super::error::Errors;
use super::operands::resolve;
use crate::analysis::{InstId, KernelInfo, Origin, Value};
use crate::ir::{Inst, Kernel, Module, Operand};
use crate::table::{Async, Matrix, Meaning, Slot};
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
    let mut written: Vec<Origin> = Vec::new();
    let mut read_only: Vec<(&Inst, Origin)> = Vec::new();
    for &b in info.cfg.order() {
        for (i, inst) in kernel.blocks[b.0 as usize].insts.iter().enumerate() {
            for access in accesses(module, kernel, info, info.cfg.inst_id(b, i), inst) {
                one(module, kernel, inst, &access, errors);
                let Some(origin) = access.address.origin else { continue };
                if access.writes && !written.contains(&origin) {
                    written.push(origin);
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
    let address = |(slot, ops): (&Slot, &[Operand])| Some((address_space(slot)?, value(ops.first()?)));
    let constant = |slot: &str| find(slot).and_then(|(_, ops)| value(ops.first()?).as_constant());
    let access = |slot: &str, bytes: Option<u64>, align: u64, writes: bool| {
        let (space, address) = address(find(slot)?)?;
        Some(Access { space, bytes, align, writes, read_only: false, address })
    };
    let (memory, writes) = match inst.form().meaning {
        Meaning::Load(memory) => (memory, false),
        Meaning::Store(memory) | Meaning::Atomic(memory, _) => (memory, true),
        Meaning::Async(Async::Copy) => {
            let size = constant("cp-size");
            let align = size.unwrap_or(1);
            return [access("dst", size, align, true), access("src", size, align, false)]
                .into_iter()
                .flatten()
                .collect();
        }
        Meaning::Async(Async::BulkLoad | Async::BulkStore | Async::BulkPrefetch) => {
            let size = constant("size");
            let both =
                [access("dst", size, 16, true), access("src", size, 16, false), access("mbar", Some(8), 8, true)];
            return both.into_iter().flatten().collect();
        }
        Meaning::Async(_) => return access("addr", Some(8), 8, true).into_iter().collect(),
        // Each address is that of a row of 8 elements of 16 bits.
        Meaning::Matrix(Matrix::Load { .. }) => {
            let row = inst.slots().find_map(address);
            let read = |(space, address)| Access {
                space,
                bytes: Some(16),
                align: 16,
                writes: false,
                read_only: false,
                address,
            };
            return row.map(read).into_iter().collect();
        }
        _ => return Vec::new(),
    };
    let size = u64::from(memory.bytes());
    let slots = inst.slots().find_map(address);
    let found = slots.map(|(space, address)| Access {
        space,
        bytes: Some(size),
        align: size,
        writes,
        read_only: memory.read_only,
        address,
    });
    found.into_iter().collect()
}

fn address_space(slot: &Slot) -> Option<Space> {
    match slot.shape {
        crate::table::Shape::Address(space) => Some(space),
        _ => None,
    }
}

fn one(module: &Module, kernel: &Kernel, inst: &Inst, access: &Access, errors: &mut Errors) {
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
        errors.inst(kernel, inst, Rule::Misaligned, message);
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
        errors.inst(kernel, inst, Rule::OutOfBounds, message);
    }
}
