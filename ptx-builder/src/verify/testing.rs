//! Kernels written down for tests: every instruction remembers the line of the
//! test that made it.

use std::panic::Location;
use std::sync::Arc;

use super::{Doubts, Rule, Validated, VerifyErrors, verify_with};
use crate::ir::{
    Address, Base, Block, BlockId, Guard, Inst, Kernel, Linkage, Loc, Module, Operand, Param, Reg, Symbol, Variable,
};
use crate::table::table;
use crate::target::Target;
use crate::types::{RegClass, ScalarType, Space};

/// A kernel in the making.
pub(crate) struct K {
    pub(crate) kernel: Kernel,
    pub(crate) module: Module,
}

/// An operand that names no register.
pub(crate) fn imm(bits: u64) -> Operand {
    Operand::Imm(bits)
}

/// `[base + offset]`.
pub(crate) fn at(base: impl Into<AnyBase>, offset: i32) -> Operand {
    Operand::Address(Address { base: base.into().0, offset })
}

/// A register or symbol.
pub(crate) struct AnyBase(Base);

impl From<Reg> for AnyBase {
    fn from(r: Reg) -> Self {
        AnyBase(Base::Reg(r))
    }
}

impl From<Symbol> for AnyBase {
    fn from(s: Symbol) -> Self {
        AnyBase(Base::Symbol(s))
    }
}

impl K {
    pub(crate) fn new() -> K {
        K::on(Target::SM_90)
    }

    pub(crate) fn on(target: Target) -> K {
        let module = Module::new(target);
        K { kernel: Kernel::new("k"), module }
    }

    pub(crate) fn reg(&mut self, class: RegClass) -> Reg {
        self.kernel.new_reg(class)
    }

    pub(crate) fn regs<const N: usize>(&mut self, class: RegClass) -> [Reg; N] {
        std::array::from_fn(|_| self.reg(class))
    }

    /// A pointer parameter to global memory with this alignment.
    pub(crate) fn pointer(&mut self, name: &str, align: u32) -> Symbol {
        self.kernel.params.push(Param {
            name: name.to_owned(),
            ty: ScalarType::U64,
            len: None,
            align: None,
            pointer: Some((Space::Global, align)),
        });
        Symbol::Param(self.kernel.params.len() as u32 - 1)
    }

    /// A shared array of bytes.
    pub(crate) fn shared(&mut self, name: &str, bytes: u64, align: u32) -> Symbol {
        self.kernel.variables.push(Variable {
            name: name.to_owned(),
            space: Space::Shared,
            align,
            ty: ScalarType::B8,
            len: Some(bytes),
            init: Vec::new(),
            refs: Vec::new(),
            linkage: Linkage::Internal,
        });
        Symbol::Kernel(self.kernel.variables.len() as u32 - 1)
    }

    /// Starts the next block.
    pub(crate) fn block(&mut self) -> BlockId {
        self.kernel.blocks.push(Block::default());
        BlockId(self.kernel.blocks.len() as u32 - 1)
    }

    /// Appends an instruction; its line is the caller's, which is returned.
    /// Of the forms with this name, the first that takes as many operands.
    #[track_caller]
    pub(crate) fn push(&mut self, guard: Option<(Reg, bool)>, name: &str, operands: &[Operand]) -> u32 {
        let here = Location::caller();
        let forms = table().named(name);
        let fits = forms.iter().find(|f| f.get().width() == operands.len()).or(forms.first());
        let form = *fits.unwrap_or_else(|| panic!("the table has no {name}"));
        let inst = Inst {
            form,
            guard: guard.map(|(reg, negated)| Guard { reg, negated }),
            operands: operands.iter().copied().collect(),
            loc: Some(Loc::new(Arc::from(here.file()), here.line(), here.column())),
        };
        self.kernel.blocks.last_mut().expect("a kernel starts with a block").insts.push(inst);
        here.line()
    }

    /// Appends an instruction without a guard.
    #[track_caller]
    pub(crate) fn i(&mut self, name: &str, operands: &[Operand]) -> u32 {
        self.push(None, name, operands)
    }

    pub(crate) fn verify(mut self) -> Result<Validated, VerifyErrors> {
        self.module.kernels.push(self.kernel);
        verify_with(self.module, Doubts::Refuse)
    }

    /// The kernel is sound.
    #[track_caller]
    pub(crate) fn accept(self) -> Validated {
        self.verify().unwrap_or_else(|errors| panic!("{errors}"))
    }

    /// The verifier finds exactly this, at this line (0 for declarations).
    #[track_caller]
    pub(crate) fn reject(self, rule: Rule, line: u32) -> String {
        let errors = self.verify().err().unwrap_or_else(|| panic!("nothing was reported; expected {rule}")).0;
        let found: Vec<(Rule, u32)> = errors.iter().map(|e| (e.rule, e.loc.as_ref().map_or(0, |l| l.line))).collect();
        assert_eq!(found, [(rule, line)], "{}", VerifyErrors(errors.clone()));
        errors[0].to_string()
    }
}
