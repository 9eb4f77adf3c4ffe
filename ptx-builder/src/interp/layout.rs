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

/// The variable of a name.
pub(super) fn variable<'m>(module: &'m Module, kernel: &'m Kernel, symbol: Symbol) -> Option<&'m Variable> {
    match symbol {
        Symbol::Kernel(i) => kernel.variables.get(i as usize),
        Symbol::Module(i) => module.variables.get(i as usize),
        Symbol::Param(_) => None,
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Linkage, Operand, Param};
    use crate::types::{RegClass, ScalarType};
    use crate::verify::testing::{K, at};

    fn variable(space: Space, align: u32, len: Option<u64>) -> Variable {
        let (name, ty, linkage) = ("v".to_owned(), ScalarType::B8, Linkage::Visible);
        Variable { name, space, align, ty, len, init: vec![], refs: vec![], linkage }
    }

    /// The layout of a kernel that names some variables of its module: two shared arrays, a third, one that the launch
    /// sizes, two constants and an array in global memory.
    fn layout(numbers: &[u32], addresses: &[u32], dynamic: u32) -> Layout {
        let mut k = K::new();
        k.module.variables = vec![
            variable(Space::Shared, 4, Some(4)),
            variable(Space::Shared, 16, Some(20)),
            variable(Space::Shared, 8, Some(8)),
            variable(Space::Shared, 32, None),
            variable(Space::Const, 4, Some(12)),
            variable(Space::Const, 16, Some(1)),
            variable(Space::Global, 4, Some(4)),
        ];
        let param = |ty, len, align| Param { name: "p".to_owned(), ty, len, align, pointer: None };
        k.kernel.params = vec![
            param(ScalarType::U8, None, None),
            param(ScalarType::U64, None, None),
            param(ScalarType::B8, Some(3), Some(16)),
        ];
        k.shared("own", 6, 2);
        k.kernel.variables.push(variable(Space::Local, 8, Some(9)));
        let r = k.reg(RegClass::B32);
        numbers.iter().for_each(|&i| _ = k.i("mov.u32", &[r.into(), Operand::Symbol(Symbol::Module(i), 0)]));
        addresses.iter().for_each(|&i| _ = k.i("ld.shared.u32", &[r.into(), at(Symbol::Module(i), 4)]));
        Layout::new(&k.module, &k.kernel, dynamic, &[0, 0, 0, 0, 0, 0, 7000]).expect("it fits")
    }

    /// Shared arrays of the module take room where a kernel names them, by an address or as a number.
    #[test]
    fn only_what_a_kernel_names_takes_shared_memory() {
        for (numbers, addresses, module, own, dynamic) in [
            (&[][..], &[][..], [0, 0, 0], 0, 16),
            (&[], &[0], [0, 0, 0], 4, 16),
            (&[1], &[], [0, 0, 0], 20, 32),
            (&[2], &[1], [0, 0, 24], 32, 48),
            (&[0, 1, 2], &[1], [0, 16, 40], 48, 64),
        ] {
            let l = layout(numbers, addresses, 100);
            assert_eq!((&l.module[..3], l.kernel[0]), (&module[..], own), "{numbers:?} {addresses:?}");
            // What the launch sizes comes last, aligned as all that is there.
            assert_eq!((l.module[3], l.shared_bytes), (dynamic, dynamic + 100), "{numbers:?} {addresses:?}");
        }
    }

    #[test]
    fn other_spaces_are_laid_out_in_order() {
        let l = layout(&[], &[], 0);
        assert_eq!((l.params.clone(), l.param_bytes), (vec![0, 8, 16], 19));
        assert_eq!((l.module[4], l.module[5], l.const_bytes, l.module[6]), (0, 16, 17, 7000));
        assert_eq!((l.kernel[1], l.local_bytes), (0, 16));
        assert_eq!(l.offset(Symbol::Param(2)), Some(16));
        assert_eq!((l.offset(Symbol::Module(6)), l.offset(Symbol::Module(7))), (Some(7000), None));
        assert_eq!((l.offset(Symbol::Kernel(1)), l.offset(Symbol::Kernel(2))), (Some(0), None));
    }
}
