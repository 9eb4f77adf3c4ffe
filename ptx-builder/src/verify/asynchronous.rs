//! Groups of asynchronous copies, and mbarriers.

use super::Rule;
use super::error::Errors;
use crate::analysis::{InstId, KernelInfo, Origin};
use crate::ir::{Inst, Kernel, Module, Operand};
use crate::table::{Async, Groups, Meaning, Role, Shape};

/// Most arrivals that an mbarrier can expect (PTX ISA 9.7.13.15.1).
const MBARRIER_COUNT: u64 = (1 << 20) - 1;

/// Bulk copies have a multiple of this many bytes (PTX ISA 9.7.9.25.4.1).
const BULK: u64 = 16;

fn role(inst: &Inst, groups: Groups) -> Option<Role> {
    inst.form().grouping().filter(|(of, _)| *of == groups).map(|(_, role)| role)
}

/// Checks what can be proved of asynchronous copies.
pub(super) fn check(module: &Module, kernel: &Kernel, info: &KernelInfo, errors: &mut Errors) {
    if !kernel.insts().any(|(_, _, i)| matches!(i.form().meaning, Meaning::Async(_))) {
        return;
    }
    for groups in [Groups::Lanes, Groups::Bulk] {
        never_committed(kernel, groups, errors);
        waits_before_commit(kernel, info, groups, errors);
    }
    mbarriers(module, kernel, info, errors);
}

fn never_committed(kernel: &Kernel, groups: Groups, errors: &mut Errors) {
    let all = |wanted| kernel.insts().map(|(_, _, i)| i).find(move |i| role(i, groups) == Some(wanted));
    if let Some(copy) = all(Role::Copies)
        && all(Role::Commits).is_none()
    {
        let message = "no group of copies is ever committed, so nothing can wait for this one; commit it".to_owned();
        errors.doubt(kernel, copy, Rule::AsyncGroup, message);
    }
}

/// Reports waits that every path reaches with copies that no group holds yet.
fn waits_before_commit(kernel: &Kernel, info: &KernelInfo, groups: Groups, errors: &mut Errors) {
    if !kernel.insts().any(|(_, _, i)| role(i, groups) == Some(Role::Commits)) {
        return;
    }
    let step = |open: bool, inst: &Inst| match role(inst, groups) {
        Some(Role::Copies) if inst.guard.is_none() => true,
        Some(Role::Commits) => false,
        Some(Role::Copies | Role::Waits) | None => open,
    };
    let mut leave = vec![true; info.cfg.len()];
    let enter = |leave: &[bool], b| {
        let mut preds = info.cfg.predecessors(b).filter(|&p| info.cfg.is_reachable(p)).peekable();
        b.0 != 0 && preds.peek().is_some() && preds.all(|p| leave[p.0 as usize])
    };
    let mut changed = true;
    while changed {
        changed = false;
        for &b in info.cfg.order() {
            let out = kernel.blocks[b.0 as usize].insts.iter().fold(enter(&leave, b), step);
            changed |= leave[b.0 as usize] != out;
            leave[b.0 as usize] = out;
        }
    }
    for &b in info.cfg.order() {
        let mut open = enter(&leave, b);
        for inst in &kernel.blocks[b.0 as usize].insts {
            if open && role(inst, groups) == Some(Role::Waits) {
                let message = format!(
                    "{} does not wait for the copies before it: their group is not committed yet",
                    inst.form().name
                );
                errors.doubt(kernel, inst, Rule::AsyncGroup, message);
            }
            open = step(open, inst);
        }
    }
}

/// The array that an mbarrier instruction's barrier lies in.
fn barrier_of(module: &Module, kernel: &Kernel, info: &KernelInfo, id: InstId, inst: &Inst) -> Option<Origin> {
    let (_, ops) = inst.slots().find(|(s, _)| matches!((s.name, s.shape), ("addr" | "mbar", Shape::Address(_))))?;
    info.operand(module, kernel, id, ops.first()?).origin
}

fn mbarriers(module: &Module, kernel: &Kernel, info: &KernelInfo, errors: &mut Errors) {
    let mut made: Vec<Option<Origin>> = Vec::new();
    let mut used: Vec<(&Inst, Option<Origin>)> = Vec::new();
    for &b in info.cfg.order() {
        for (i, inst) in kernel.blocks[b.0 as usize].insts.iter().enumerate() {
            let Meaning::Async(a) = inst.form().meaning else { continue };
            let id = info.cfg.inst_id(b, i);
            let origin = || barrier_of(module, kernel, info, id, inst);
            constants(module, kernel, info, id, inst, errors);
            match a {
                Async::MbarrierInit => made.push(origin()),
                Async::MbarrierWait { .. }
                | Async::MbarrierArrive { .. }
                | Async::MbarrierExpectTx
                | Async::MbarrierCompleteTx
                | Async::MbarrierInval
                | Async::CopyArrive { .. }
                | Async::BulkLoad => used.push((inst, origin())),
                Async::Copy
                | Async::Commit
                | Async::WaitGroup
                | Async::WaitAll
                | Async::BulkStore
                | Async::BulkPrefetch
                | Async::BulkCommit
                | Async::BulkWait { .. } => {}
            }
        }
    }
    if made.contains(&None) {
        return;
    }
    for (inst, origin) in used {
        if matches!(origin, Some(Origin::Symbol(_))) && !made.contains(&origin) {
            let message =
                format!("{} uses an mbarrier that the kernel never makes; call mbarrier.init first", inst.form().name);
            errors.inst(kernel, inst, Rule::Mbarrier, message);
        }
    }
}

/// Counts, sizes and parities that are known.
fn constants(module: &Module, kernel: &Kernel, info: &KernelInfo, id: InstId, inst: &Inst, errors: &mut Errors) {
    let of = |name: &str| {
        let (_, operands) = inst.slots().find(|(s, _)| s.name == name)?;
        info.operand(module, kernel, id, operands.first()?).as_constant()
    };
    for (slot, operands) in inst.slots() {
        let Some(operand @ (Operand::Imm(_) | Operand::Reg(_))) = operands.first() else { continue };
        let Some(n) = info.operand(module, kernel, id, operand).as_constant() else { continue };
        let wrong = match slot.name {
            "count" if n == 0 || n > MBARRIER_COUNT => {
                (Rule::Mbarrier, format!("an mbarrier expects 1 to {MBARRIER_COUNT} arrivals, not {n}"))
            }
            "phaseParity" if n > 1 => (Rule::Mbarrier, format!("a phase has parity 0 or 1, not {n}")),
            "size" if n % BULK != 0 => {
                (Rule::ConstantRange, format!("a bulk copy has a multiple of {BULK} bytes, not {n}"))
            }
            "src-size" if of("cp-size").is_some_and(|size| n > size) => {
                (Rule::ConstantRange, format!("a copy reads no more bytes than it writes, not {n}"))
            }
            _ => continue,
        };
        errors.inst(kernel, inst, wrong.0, wrong.1);
    }
}
