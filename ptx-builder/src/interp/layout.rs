//! Where a kernel's variables and parameters lie in their spaces.

use crate::ir::{Base, Kernel, Module, Operand, Symbol, Variable};
use crate::types::Space;

/// Offsets of the variables, and the size of each space.
#[derive(Default)]
pub(super) struct Layout {
    /// Byte offset of each parameter.
    pub params: Vec<u64>,
    pub param_bytes: u64,
    /// Offset in its space of each variable of the kernel.
    kernel: Vec<u64>,
    /// Offset in its space of each variable of the module, or for global ones the address.
    module: Vec<u64>,
    /// Shared bytes with the dynamic ones.
    pub shared_bytes: u64,
    /// Local bytes a thread.
    pub local_bytes: u64,
    pub const_bytes: u64,
}

fn place(at: &mut u64, align: u64, bytes: u64) -> Option<u64> {
    let start = at.checked_next_multiple_of(align.max(1))?;
    *at = start.checked_add(bytes)?;
    Some(start)
}

/// Whether the kernel names this variable of its module.
fn uses(kernel: &Kernel, variable: usize) -> bool {
    let symbol = Symbol::Module(variable as u32);
    kernel.insts().any(|(_, _, inst)| {
        inst.operands.iter().any(|op| match op {
            Operand::Symbol(s, _) => *s == symbol,
            Operand::Address(a) => a.base == Base::Symbol(symbol),
            _ => false,
        })
    })
}

impl Layout {
    /// Lays out a kernel's variables: arrays in writing order, those of the
    /// module first (shared ones only where the kernel uses them), then the
    /// dynamic shared memory. `None` where sizes overflow.
    pub fn new(module: &Module, kernel: &Kernel, dynamic_shared: u32, globals: &[u64]) -> Option<Layout> {
        let mut l = Layout::default();
        for param in &kernel.params {
            let size = u64::from(param.ty.bytes());
            let align = param.align.map_or(size, u64::from);
            let at = place(&mut l.param_bytes, align, size * u64::from(param.len.unwrap_or(1)))?;
            l.params.push(at);
        }
        let mut shared_align = 16;
        for pass in [false, true] {
            let dynamic = pass;
            if dynamic {
                l.shared_bytes = l.shared_bytes.checked_next_multiple_of(shared_align)?;
            }
            let start = l.shared_bytes;
            for (variables, offsets, of_module) in
                [(&module.variables, &mut l.module, true), (&kernel.variables, &mut l.kernel, false)]
            {
                offsets.resize(variables.len(), 0);
                for (i, v) in variables.iter().enumerate() {
                    if dynamic != is_dynamic(v) {
                        continue;
                    }
                    let (align, bytes) = (u64::from(v.align), v.bytes()?);
                    offsets[i] = match v.space {
                        Space::Shared if dynamic => start,
                        Space::Shared if of_module && !uses(kernel, i) => 0,
                        Space::Shared => {
                            shared_align = shared_align.max(align);
                            place(&mut l.shared_bytes, align, bytes)?
                        }
                        Space::Local => place(&mut l.local_bytes, align, bytes)?,
                        Space::Const => place(&mut l.const_bytes, align, bytes)?,
                        _ => globals.get(i).copied().unwrap_or(0),
                    };
                }
            }
            if dynamic {
                l.shared_bytes = l.shared_bytes.checked_add(u64::from(dynamic_shared))?;
            }
        }
        // Each thread's local memory starts aligned.
        l.local_bytes = l.local_bytes.checked_next_multiple_of(16)?;
        Some(l)
    }

    /// The offset of a symbol in its space.
    pub fn offset(&self, symbol: Symbol) -> Option<u64> {
        match symbol {
            Symbol::Param(i) => self.params.get(i as usize).copied(),
            Symbol::Kernel(i) => self.kernel.get(i as usize).copied(),
            Symbol::Module(i) => self.module.get(i as usize).copied(),
        }
    }

    /// Where a module's own variables lie, but for shared ones.
    pub fn of_module(module: &Module, globals: &[u64]) -> Layout {
        let mut l = Layout::default();
        for (i, v) in module.variables.iter().enumerate() {
            let at = match (v.space, v.bytes()) {
                (Space::Const, Some(bytes)) => place(&mut l.const_bytes, u64::from(v.align), bytes).unwrap_or(0),
                _ => globals.get(i).copied().unwrap_or(0),
            };
            l.module.push(at);
        }
        l
    }

    /// A variable's first values, with the addresses among them.
    pub fn initial(&self, module: &Module, v: &Variable) -> Vec<u8> {
        let mut bytes = v.init.clone();
        for r in &v.refs {
            let Some(of) = module.variables.get(r.variable as usize) else { continue };
            let address = self.module.get(r.variable as usize).copied().unwrap_or(0);
            let (at, n) = (r.at as usize, usize::from(r.bytes));
            if let Some(place) = bytes.get_mut(at..at + n) {
                place.copy_from_slice(&r.bits(address, of.space).to_le_bytes()[..n]);
            }
        }
        bytes
    }

    /// The bytes of const space.
    pub fn consts(&self, module: &Module) -> Vec<u8> {
        let mut bytes = vec![0; self.const_bytes as usize];
        for (v, &at) in module.variables.iter().zip(&self.module) {
            if v.space == Space::Const {
                let (at, init) = (at as usize, self.initial(module, v));
                let n = init.len().min(v.bytes().unwrap_or(0) as usize);
                bytes[at..at + n].copy_from_slice(&init[..n]);
            }
        }
        bytes
    }
}

/// Whether the launch sets the variable's size.
fn is_dynamic(v: &Variable) -> bool {
    v.space == Space::Shared && v.len.is_none()
}
