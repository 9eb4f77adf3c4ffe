//! Arrays that a kernel declares.

use super::pointer::{Const, Local, Ptr, ReadOnly, ReadSpace, Shared};
use super::state::with;
use super::{Body, Scalar};
use crate::ir::{Base, Linkage, Operand, Symbol, Variable};
use crate::types::{ScalarType, Space};

/// The type of an array's elements in its declaration.
fn element<T: Scalar>() -> ScalarType {
    super::val::bits_type(T::TY)
}

/// The index of the array with these values among the variables; it is added if there is none yet. Its name is `prefix`
/// and a number.
fn of_values<T: Scalar>(variables: &mut Vec<Variable>, space: Space, prefix: &str, values: &[T]) -> u32 {
    let (ty, size) = (element::<T>(), T::TY.bytes() as usize);
    let init: Vec<u8> = values.iter().flat_map(|v| v.bits().to_le_bytes().into_iter().take(size)).collect();
    let own = |v: &&Variable| v.space == space;
    let same = variables.iter().position(|v| own(&v) && v.ty == ty && v.init == init);
    let index = same.unwrap_or_else(|| {
        let number = variables.iter().filter(own).count();
        variables.push(Variable {
            name: format!("{prefix}{number}"),
            space,
            align: 16,
            ty,
            len: Some(values.len() as u64),
            init,
            refs: Vec::new(),
            linkage: Linkage::Internal,
        });
        variables.len() - 1
    });
    index as u32
}

#[track_caller]
fn declare<S: ReadSpace, T: Scalar>(prefix: &str, align: u32, len: u64) -> Ptr<S, T> {
    let symbol = with(|s| {
        let index = s.kernel.variables.len() as u32;
        let number = s.kernel.variables.iter().filter(|v| v.space != Space::Const).count();
        s.kernel.variables.push(Variable {
            name: format!("{prefix}{number}"),
            space: S::SPACE,
            align: align.max(T::TY.bytes()),
            ty: element::<T>(),
            len: Some(len),
            init: Vec::new(),
            refs: Vec::new(),
            linkage: Linkage::Internal,
        });
        Symbol::Kernel(index)
    });
    Ptr::new(Base::Symbol(symbol))
}

impl<S: ReadSpace, T: Scalar> Ptr<S, T> {
    /// Names an array that the kernel declares, for messages and the printed text; for constants, the kernel's name is
    /// the prefix. A pointer to other memory names the register with the address.
    ///
    /// # Panics
    /// If the kernel has another array with this name.
    #[must_use]
    #[track_caller]
    pub fn named(self, name: &str) -> Self {
        let Operand::Address(address) = self.operand() else { return self };
        let taken = with(|s| match address.base {
            Base::Symbol(Symbol::Kernel(index)) => {
                let variables = &mut s.kernel.variables;
                let name = match S::SPACE {
                    Space::Const => format!("{}_{name}", s.kernel.name),
                    _ => name.to_owned(),
                };
                let taken = variables.iter().zip(0..).any(|(v, i)| v.name == name && i != index);
                if let Some(v) = variables.get_mut(index as usize) {
                    v.name = name;
                }
                taken
            }
            Base::Symbol(_) => false,
            Base::Reg(reg) => {
                s.kernel.names.insert(reg, name.to_owned());
                false
            }
        });
        assert!(!taken, "the kernel has another array named '{name}'");
        self
    }
}

impl Body {
    /// An array of `len` elements in the block's shared memory, aligned for
    /// 16-byte accesses.
    #[track_caller]
    pub fn shared<T: Scalar>(&self, len: u32) -> Shared<T> {
        declare("shared", 16, u64::from(len))
    }

    /// As [`shared`](Self::shared), aligned to `align` bytes.
    ///
    /// # Panics
    /// If `align` is not a power of two.
    #[track_caller]
    pub fn shared_aligned<T: Scalar>(&self, len: u32, align: u32) -> Shared<T> {
        assert!(align.is_power_of_two(), "alignment {align} is not a power of two");
        declare("shared", align, u64::from(len))
    }

    /// The shared memory whose size the launch sets. All calls return the same address.
    #[track_caller]
    pub fn dynamic_shared<T: Scalar>(&self) -> Shared<T> {
        let symbol = with(|s| {
            let known = s.globals.iter().position(|v| v.space == Space::Shared && v.len.is_none());
            let index = known.unwrap_or_else(|| {
                let name = format!("{}_dynamic_shared", s.kernel.name);
                let space = Space::Shared;
                s.globals.push(Variable {
                    name,
                    space,
                    align: 16,
                    ty: ScalarType::B8,
                    len: None,
                    init: Vec::new(),
                    refs: Vec::new(),
                    linkage: Linkage::Internal,
                });
                s.globals.len() - 1
            });
            Symbol::Module(index as u32)
        });
        Ptr::new(Base::Symbol(symbol))
    }

    /// An array of `len` elements in the thread's local memory. Indexing it at run time is slow; prefer registers.
    #[track_caller]
    pub fn local<T: Scalar>(&self, len: u32) -> Local<T> {
        declare("local", T::TY.bytes().max(8), u64::from(len))
    }

    /// An array of constants in global memory. Lanes with different indices read it faster than
    /// [`constants`](Self::constants). Equal values share one array per kernel.
    #[track_caller]
    pub fn table<T: Scalar>(&self, values: &[T]) -> ReadOnly<T> {
        let symbol = with(|s| {
            let prefix = format!("{}_table", s.kernel.name);
            Symbol::Module(of_values(&mut s.globals, Space::Global, &prefix, values))
        });
        Ptr::new(Base::Symbol(symbol))
    }

    /// An array of constants. Equal values share one array per kernel. Accesses of lanes with different indices are
    /// serialized.
    #[track_caller]
    pub fn constants<T: Scalar>(&self, values: &[T]) -> Const<T> {
        let symbol = with(|s| {
            let prefix = format!("{}_const", s.kernel.name);
            Symbol::Kernel(of_values(&mut s.kernel.variables, Space::Const, &prefix, values))
        });
        Ptr::new(Base::Symbol(symbol))
    }
}
