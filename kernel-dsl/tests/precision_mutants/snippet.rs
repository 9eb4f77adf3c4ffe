//! Pieces of PTX that take a value to another, and their place in a kernel.

use std::collections::HashMap;

use ptxgen_builder::ir::{Address, Base, Inst, Kernel, Module, Operand, Param, Reg, Symbol, Variable};
use ptxgen_builder::parse::parse;
use ptxgen_builder::table::table;
use ptxgen_builder::types::{ScalarType, Space};

use crate::sites::{Place, Site};

/// The type of the value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Of {
    F32,
    F64,
}

/// Bytes of scratch memory that belong to a thread.
const SLOT: u64 = 16;

/// What the words at the start of a text represent: the address of the thread's own slot.
const PREAMBLES: [(&str, &str); 6] = [
    ("COPY", "GLOBAL SHARED"),
    ("TILE", "SHARED mov.u32 %t, %tid.x; and.b32 %t, %t, 7; shl.b32 %t, %t, 4; mov.u32 %k, sh; add.u32 %t, %t, %k;"),
    ("ALIAS", "SHARED cvt.u64.u32 %a, %s; cvta.shared.u64 %a, %a;"),
    ("SHARED", "mov.u32 %k, %tid.x; shl.b32 %k, %k, 4; mov.u32 %s, sh; add.u32 %s, %s, %k;"),
    ("LOCAL", "mov.u64 %l, lo;"),
    (
        "GLOBAL",
        "ld.param.u64 %g, [scratch]; cvta.to.global.u64 %g, %g; mov.u32 %i, %ctaid.x; mov.u32 %j, %ntid.x; \
         mov.u32 %k, %tid.x; mad.lo.u32 %i, %i, %j, %k; mul.wide.u32 %m, %i, 16; add.u64 %g, %g, %m;",
    ),
];

/// Instructions from a register to another.
#[derive(Clone, Debug)]
pub struct Snippet {
    insts: Vec<Inst>,
    input: Reg,
    output: Reg,
    pub of: Of,
}

impl Snippet {
    /// Reads `text`, which computes `%y` of `%x`.
    pub fn new(name: &str, of: Of, text: &str) -> Snippet {
        let mut body = text.to_owned();
        for (word, meaning) in PREAMBLES {
            body = body.replace(&format!("{word} "), &format!("{meaning} "));
        }
        let (ty, zero) = if of == Of::F32 { ("f32", "0f00000000") } else { ("f64", "0d0000000000000000") };
        let text = format!(
            ".version 8.7\n.target sm_90\n.address_size 64\n\
             .visible .entry k(.param .u64 .ptr .global .align 16 scratch) {{\n\
             .reg .{ty} %x, %y; .reg .pred %p<4>; .reg .b16 %h<8>; .reg .f32 %f<8>; .reg .f64 %w<8>;\n\
             .reg .b32 %r<8>, %s, %t, %i, %j, %k; .reg .b64 %d<8>, %a, %g, %l, %m;\n\
             .shared .align 16 .b8 sh[16]; .local .align 16 .b8 lo[16];\n\
             mov.{ty} %x, {zero};\n{body}\nmov.{ty} %x, %y;\nret;\n}}\n"
        );
        let module = parse(name, &text).unwrap_or_else(|e| panic!("{name}: {e}\n{text}"));
        let mut insts: Vec<Inst> = module.kernels[0].insts().map(|(_, _, i)| i.clone()).collect();
        insts.pop();
        let last = insts.pop().and_then(|i| i.uses().next());
        let first = insts.remove(0).defs().next();
        let (Some(input), Some(output)) = (first, last) else { panic!("{name} has a value and a result") };
        Snippet { insts, input, output, of }
    }

    /// The kernel with this at a site. The rest of the module stays.
    pub fn insert(&self, module: &Module, site: &Site) -> Module {
        let mut module = module.clone();
        let kernel = &mut module.kernels[0];
        let mut host = Host::default();
        let mut insts: Vec<Inst> = self.insts.iter().map(|i| host.inst(self, kernel, site.reg, i)).collect();
        let result = host.reg(self, kernel, site.reg, self.output);
        let block = &mut kernel.blocks[site.block].insts;
        let at = match site.place {
            Place::Use(operand) => {
                block[site.inst].operands[operand] = Operand::Reg(result);
                site.inst
            }
            Place::Definition => {
                let name = if self.of == Of::F32 { "mov.f32" } else { "mov.f64" };
                let operands = [Operand::Reg(site.reg), Operand::Reg(result)].into_iter().collect();
                insts.push(Inst { form: table().named(name)[0], guard: None, operands, loc: None });
                site.inst + 1
            }
        };
        block.splice(at..at, insts);
        module
    }
}

/// What a snippet's names are in the kernel that it is put in.
#[derive(Default)]
struct Host {
    registers: HashMap<Reg, Reg>,
    symbols: HashMap<Symbol, Symbol>,
}

impl Host {
    fn reg(&mut self, snippet: &Snippet, kernel: &mut Kernel, value: Reg, reg: Reg) -> Reg {
        if reg == snippet.input {
            return value;
        }
        *self.registers.entry(reg).or_insert_with(|| kernel.new_reg(reg.class))
    }

    fn inst(&mut self, snippet: &Snippet, kernel: &mut Kernel, value: Reg, inst: &Inst) -> Inst {
        let mut inst = inst.clone();
        if let Some(guard) = &mut inst.guard {
            guard.reg = self.reg(snippet, kernel, value, guard.reg);
        }
        for operand in &mut inst.operands {
            *operand = match *operand {
                Operand::Reg(r) => Operand::Reg(self.reg(snippet, kernel, value, r)),
                Operand::NotPred(r) => Operand::NotPred(self.reg(snippet, kernel, value, r)),
                Operand::Symbol(s, offset) => Operand::Symbol(self.symbol(kernel, s), offset),
                Operand::Address(Address { base: Base::Reg(r), offset }) => {
                    Operand::Address(Address { base: Base::Reg(self.reg(snippet, kernel, value, r)), offset })
                }
                Operand::Address(Address { base: Base::Symbol(s), offset }) => {
                    Operand::Address(Address { base: Base::Symbol(self.symbol(kernel, s)), offset })
                }
                other => other,
            };
        }
        inst
    }

    /// Scratch memory is declared where it is named first.
    fn symbol(&mut self, kernel: &mut Kernel, symbol: Symbol) -> Symbol {
        *self.symbols.entry(symbol).or_insert_with(|| {
            let (space, slots) = match symbol {
                Symbol::Param(_) => {
                    let pointer = Some((Space::Global, 16));
                    let name = "loss_scratch".to_owned();
                    kernel.params.push(Param { name, ty: ScalarType::U64, len: None, align: None, pointer });
                    return Symbol::Param(kernel.params.len() as u32 - 1);
                }
                Symbol::Kernel(0) => {
                    let shape = kernel.bounds.required.or(kernel.bounds.max_threads);
                    (Space::Shared, shape.map_or(1024, |[x, y, z]| u64::from(x * y * z)))
                }
                _ => (Space::Local, 1),
            };
            kernel.variables.push(Variable {
                name: format!("loss_{space}"),
                space,
                align: 16,
                ty: ScalarType::B8,
                len: Some(slots * SLOT),
                init: Vec::new(),
                linkage: Default::default(),
                refs: Vec::new(),
            });
            Symbol::Kernel(kernel.variables.len() as u32 - 1)
        })
    }
}
