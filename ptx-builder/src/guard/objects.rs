//! The objects of accesses: starts and lengths of buffers and arrays, as registers.

use super::address::Object;
use super::emit::Emit;
use super::plan::{buffers, static_bytes};
use super::{Extra, limit};
use crate::ir::{Address, Base, Linkage, Operand, Param, Reg, Symbol, Variable};
use crate::table::{Mod, Op};
use crate::types::{RegClass, ScalarType, Space};
use ScalarType::{U32, U64};

impl Emit<'_> {
    /// The register that an extra parameter is loaded into.
    pub(super) fn extra(&mut self, extra: Extra) -> Reg {
        if let Some((_, reg)) = self.extras.iter().find(|(e, _)| *e == extra) {
            return *reg;
        }
        let ty = if extra.bytes() == 8 { U64 } else { U32 };
        let name = format!("{}_guard{}", self.original.name, self.extras.len());
        let params = &mut self.w.kernel.params;
        params.push(Param { name, ty, len: None, align: None, pointer: None });
        let symbol = Symbol::Param(params.len() as u32 - 1);
        let reg = self.w.reg(if ty == U64 { RegClass::B64 } else { RegClass::B32 });
        let address = Operand::Address(Address { base: Base::Symbol(symbol), offset: 0 });
        self.w.prologue(Op::Ld, &[Mod::Param, Mod::Ty(ty)], &[reg.into(), address]);
        self.extras.push((extra, reg));
        reg
    }

    /// The number of indices of `scale` with `bytes` bytes within an object.
    pub(super) fn limit(&mut self, object: Object, scale: u64, bytes: u64, wide: bool) -> Operand {
        match static_bytes(self.module, self.original, object) {
            Some(len) => {
                let count = limit(len, scale, bytes);
                Operand::Imm(if wide { count } else { count.min(u32::MAX.into()) })
            }
            None => self.extra(Extra::Limit { object, scale, bytes, wide }).into(),
        }
    }

    /// The address of an object's start in the representation of a space.
    pub(super) fn base(&mut self, object: Object, space: Space, narrow: bool) -> Reg {
        let generic = space == Space::Generic;
        if let Some(&reg) = self.bases.get(&(object, generic, narrow)) {
            return reg;
        }
        let (class, ty) = if narrow { (RegClass::B32, U32) } else { (RegClass::B64, U64) };
        let mut reg = self.w.reg(class);
        let symbol = match object {
            Object::Buffer(i) => {
                let address = Operand::Address(Address { base: Base::Symbol(Symbol::Param(i)), offset: 0 });
                self.w.prologue(Op::Ld, &[Mod::Param, Mod::Ty(U64)], &[reg.into(), address]);
                if !generic {
                    let (from, to) = (reg, self.w.reg(RegClass::B64));
                    self.w.prologue(Op::Cvta, &[Mod::To, Mod::Global, Mod::Ty(U64)], &[to.into(), from.into()]);
                    reg = to;
                }
                None
            }
            Object::Array(symbol) => Some(symbol),
            Object::Dynamic => self.dynamic(),
        };
        if let Some(symbol) = symbol {
            self.w.prologue(Op::Mov, &[Mod::Ty(ty)], &[reg.into(), Operand::Symbol(symbol, 0)]);
            if generic && let Some(space) = self.space_of(symbol) {
                let (from, to) = (reg, self.w.reg(RegClass::B64));
                self.w.prologue(Op::Cvta, &[space, Mod::Ty(U64)], &[to.into(), from.into()]);
                reg = to;
            }
        }
        self.bases.insert((object, generic, narrow), reg);
        reg
    }

    pub(super) fn dynamic(&self) -> Option<Symbol> {
        let is = |v: &Variable| v.space == Space::Shared && v.len.is_none();
        self.module.variables.iter().position(is).map(|i| Symbol::Module(i as u32))
    }

    pub(super) fn space_of(&self, symbol: Symbol) -> Option<Mod> {
        let space = match symbol {
            Symbol::Kernel(i) => self.w.kernel.variables.get(i as usize)?.space,
            Symbol::Module(i) => self.module.variables.get(i as usize)?.space,
            Symbol::Param(_) => Space::Param,
        };
        Some(match space {
            Space::Shared => Mod::Shared,
            Space::Local => Mod::Local,
            Space::Const => Mod::Const,
            Space::Param => Mod::Param,
            Space::Global | Space::Generic => Mod::Global,
        })
    }

    /// The objects that an address of a space may point to if that is unknown.
    pub(super) fn candidates(&self, space: Space) -> Vec<Object> {
        let mut objects: Vec<Object> = Vec::new();
        if space == Space::Global {
            objects.extend(buffers(self.original).map(Object::Buffer));
        }
        let of = |v: &Variable| v.space == space && v.len.is_some();
        let module = (0u32..).zip(&self.module.variables).filter(|(_, v)| of(v));
        objects.extend(module.map(|(i, _)| Object::Array(Symbol::Module(i))).filter(|_| space == Space::Global));
        let own = (0u32..).zip(&self.original.variables).filter(|(_, v)| of(v));
        objects.extend(own.map(|(i, _)| Object::Array(Symbol::Kernel(i))));
        if space == Space::Shared && self.dynamic().is_some() {
            objects.push(Object::Dynamic);
        }
        objects
    }

    /// 16 bytes of shared memory that nothing else uses.
    pub(super) fn spare(&mut self) -> u32 {
        let variables = &mut self.w.kernel.variables;
        *self.spare.get_or_insert_with(|| {
            variables.push(Variable {
                name: "guard_spare".to_owned(),
                space: Space::Shared,
                align: 16,
                ty: ScalarType::B8,
                len: Some(16),
                init: Vec::new(),
                refs: Vec::new(),
                linkage: Linkage::Internal,
            });
            variables.len() as u32 - 1
        })
    }
}
