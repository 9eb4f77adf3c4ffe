//! What each access is meant to stay in: the array or the parameter's buffer that its address is computed from.
//!
//! All shared arrays lie in one window, so that an index one too far finds the next array's first element. The address
//! tells them apart: it starts from one array's name, through whatever sums, loops and choices. Where it may start from
//! one of several, or from a number, the window is the bound.

use super::layout::{Layout, variable};
use super::program::Program;
use crate::analysis::{KernelInfo, Origin};
use crate::ir::{Kernel, Module, Symbol};
use crate::table::MemoryAccess;
use crate::types::Space;

/// An array's place in its space.
#[derive(Clone, Copy, Debug)]
pub(super) struct Array {
    pub symbol: Symbol,
    pub space: Space,
    pub start: u64,
    pub end: u64,
    /// Whether it is what the launch gives.
    pub dynamic: bool,
}

/// Where the accesses of an instruction belong.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Home {
    /// Of the only access to shared, local or const memory.
    pub array: Option<Array>,
    /// Of the first access to global memory: the parameter that brings the buffer.
    pub buffer: Option<u32>,
}

/// By instruction.
pub(super) fn homes(module: &Module, kernel: &Kernel, info: &KernelInfo, program: &Program, at: &Layout) -> Vec<Home> {
    let array = |symbol: Symbol| {
        let v = variable(module, kernel, symbol)?;
        let start = at.offset(symbol)?;
        let end = match v.len {
            Some(_) => start.checked_add(v.bytes()?)?,
            // The launch's, after all others.
            None => at.shared_bytes,
        };
        let inside = matches!(v.space, Space::Shared | Space::Local | Space::Const);
        inside.then_some(Array { symbol, space: v.space, start, end, dynamic: v.len.is_none() })
    };
    let home = |&(block, index, form): &(crate::ir::BlockId, usize, crate::table::FormId)| {
        let inst = &kernel.blocks[block.0 as usize].insts[index];
        let origin = |access: &MemoryAccess| {
            let (_, operands) = inst.slots().find(|(slot, _)| slot.name == access.slot)?;
            info.operand(module, kernel, info.cfg.inst_id(block, index), operands.first()?).origin
        };
        let accesses = form.get().accesses();
        let (global, other): (Vec<_>, Vec<_>) = accesses.iter().partition(|a| a.space == Space::Global);
        let mut home = Home::default();
        if let [one] = other[..]
            && let Some(Origin::Symbol(symbol)) = origin(one)
        {
            home.array = array(symbol);
        }
        if let Some(Origin::Pointer(param)) = global.iter().chain(&other).find_map(|a| origin(a)) {
            home.buffer = Some(param);
        }
        home
    };
    program.sites.iter().map(home).collect()
}
