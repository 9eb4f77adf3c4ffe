//! Constants that a kernel declares.
//!
//! PTX has constants only at module scope. A kernel of the builder keeps its own constants, so that kernels can be
//! combined in a module in any way without one reading another's. Here they move to the module's scope.

use super::{Address, Base, Kernel, Module, Operand, Symbol};
use crate::types::Space;

impl Module {
    /// Moves the constants of kernels to the module. The verifier does it as well.
    pub fn hoist_constants(&mut self) {
        let Module { kernels, variables, .. } = self;
        for kernel in kernels {
            if !kernel.variables.iter().any(|v| v.space == Space::Const) {
                continue;
            }
            let (mut kept, mut moved) = (Vec::new(), Vec::new());
            for v in std::mem::take(&mut kernel.variables) {
                if v.space == Space::Const {
                    moved.push(Symbol::Module(variables.len() as u32));
                    variables.push(v);
                } else {
                    moved.push(Symbol::Kernel(kept.len() as u32));
                    kept.push(v);
                }
            }
            kernel.variables = kept;
            each_symbol(kernel, |symbol| {
                if let Symbol::Kernel(index) = *symbol
                    && let Some(new) = moved.get(index as usize)
                {
                    *symbol = *new;
                }
            });
        }
    }
}

impl Kernel {
    /// The same kernel after `by` other variables of the module.
    pub(crate) fn shift_module_symbols(&mut self, by: u32) {
        each_symbol(self, |symbol| {
            if let Symbol::Module(index) = symbol {
                *index += by;
            }
        });
    }
}

impl Kernel {
    /// Puts another array of the kernel, and a place in it, in place of each one: `map` returns its number and the bytes
    /// before the place.
    pub(crate) fn move_arrays(&mut self, map: impl Fn(u32) -> (u32, i32)) {
        for operand in self.blocks.iter_mut().flat_map(|b| &mut b.insts).flat_map(|i| &mut i.operands) {
            let (symbol, offset) = match operand {
                Operand::Symbol(symbol, offset) => (symbol, offset),
                Operand::Address(Address { base: Base::Symbol(symbol), offset }) => (symbol, offset),
                _ => continue,
            };
            if let Symbol::Kernel(index) = symbol {
                let (array, before) = map(*index);
                *index = array;
                *offset += before;
            }
        }
    }
}

fn each_symbol(kernel: &mut Kernel, mut f: impl FnMut(&mut Symbol)) {
    for operand in kernel.blocks.iter_mut().flat_map(|b| &mut b.insts).flat_map(|i| &mut i.operands) {
        let symbol = match operand {
            Operand::Symbol(symbol, _) => symbol,
            Operand::Address(address) => match &mut address.base {
                Base::Symbol(symbol) => symbol,
                Base::Reg(_) => continue,
            },
            _ => continue,
        };
        f(symbol);
    }
}
