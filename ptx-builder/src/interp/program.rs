//! A kernel, decoded once for many executions.

use std::ops::Range;

use super::layout::{Layout, variable};
use crate::analysis::{RegNumbers, controls};
use crate::ir::{Base, BlockId, Inst, Kernel, Module, Operand, Reg, Symbol, Variable};
use crate::table::{
    Access, Async, Atomic, Barrier, Fence, FormId, LaneFn, Matrix, Meaning, Memory, Mod, Op, Shape, Shuffle,
    SpecialReg, Tolerance, Vote,
};
use crate::types::{ScalarType, Space};

/// What an instruction does, without its operands.
#[derive(Clone, Copy)]
pub(super) enum Step {
    Lane(LaneFn),
    Approx(LaneFn, Tolerance),
    Load(Memory),
    Store(Memory),
    Atomic(Memory, Atomic),
    Nop,
    /// Leaves 128 bytes of memory with any contents.
    Discard(Space),
    Pause,
    /// Waits for the launches before this one.
    GridWait,
    /// Lets the launches after this one start.
    GridRelease,
    Shuffle(Shuffle),
    Vote(Vote),
    ActiveMask,
    Barrier(Barrier),
    Fence(Fence),
    Async(Async),
    Matrix(Matrix),
    Call(Callee),
    Branch(u32),
    Exit,
    Trap,
}

/// A function of the CUDA runtime that a kernel can call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Callee {
    /// `vprintf`.
    Print,
    /// `__assertfail`.
    AssertFail,
}

impl Callee {
    /// The function of a name and how many values it takes; none of the others are known here.
    fn of(name: &str) -> Option<(Callee, usize)> {
        match name {
            "vprintf" => Some((Callee::Print, 2)),
            "__assertfail" => Some((Callee::AssertFail, 5)),
            _ => None,
        }
    }
}

/// A source.
#[derive(Clone, Copy)]
pub(super) enum Src {
    Reg(u32),
    Not(u32),
    Imm(u64),
    /// An address in the shared memory of the thread's own block, where a cluster has several.
    Shared(u64),
    Special(SpecialReg),
    /// Its low 16 bits.
    LowSpecial(SpecialReg),
    /// An optional operand left out; reads as 0.
    Absent,
}

/// A result.
#[derive(Clone, Copy)]
pub(super) struct Dst {
    /// The register; [`Dst::SINK`] for one that is not wanted.
    pub reg: u32,
    /// The operand's type.
    pub ty: ScalarType,
    /// Sign extension from these bits to those.
    pub extend: Option<(u8, u8)>,
}

impl Dst {
    pub const SINK: u32 = u32::MAX;
}

/// A memory operand.
#[derive(Clone, Copy)]
pub(super) struct Addr {
    pub base: AddrBase,
    pub offset: i64,
}

impl Addr {
    /// The register that holds the address without the offset.
    pub fn register(&self) -> Option<u32> {
        match self.base {
            AddrBase::Reg32(r) | AddrBase::Reg64(r) => Some(r),
            AddrBase::Fixed | AddrBase::Shared => None,
        }
    }
}

#[derive(Clone, Copy)]
pub(super) enum AddrBase {
    Reg32(u32),
    Reg64(u32),
    Fixed,
    /// In the shared memory of the thread's own block, where a cluster has several.
    Shared,
}

/// A decoded instruction.
pub(super) struct Code {
    pub step: Step,
    /// Predicate register and whether it is negated.
    pub guard: Option<(u32, bool)>,
    srcs: Range<u32>,
    dsts: Range<u32>,
    addrs: Range<u32>,
}

/// A decoded kernel. The last instruction always leaves.
pub(super) struct Program {
    pub code: Vec<Code>,
    /// Block and index of each instruction; the implicit last one has none.
    pub sites: Vec<(BlockId, usize, FormId)>,
    srcs: Vec<Src>,
    dsts: Vec<Dst>,
    addrs: Vec<Addr>,
    /// Registers a warp.
    pub registers: usize,
    /// Most sources, and most results, of an instruction.
    pub widest: usize,
}

impl Program {
    pub fn srcs(&self, code: &Code) -> &[Src] {
        &self.srcs[code.srcs.start as usize..code.srcs.end as usize]
    }

    pub fn dsts(&self, code: &Code) -> &[Dst] {
        &self.dsts[code.dsts.start as usize..code.dsts.end as usize]
    }

    pub fn addrs(&self, code: &Code) -> &[Addr] {
        &self.addrs[code.addrs.start as usize..code.addrs.end as usize]
    }

    /// Decodes a kernel, for clusters of several blocks or blocks alone. The error names what is not as the verifier leaves it.
    pub fn decode(module: &Module, kernel: &Kernel, layout: &Layout, is_cluster: bool) -> Result<Program, String> {
        // A kernel may declare many more than it names.
        let regs = RegNumbers::new(kernel);
        let mut block_start = Vec::with_capacity(kernel.blocks.len());
        let mut pc = 0u32;
        for block in &kernel.blocks {
            block_start.push(pc);
            pc += block.insts.len() as u32;
        }
        let program = Program {
            code: Vec::with_capacity(pc as usize + 1),
            sites: Vec::with_capacity(pc as usize),
            srcs: Vec::new(),
            dsts: Vec::new(),
            addrs: Vec::new(),
            registers: regs.len(),
            widest: 1,
        };
        let mut d = Decoder { module, kernel, program, layout, is_cluster, regs, block_start };
        for (block, index, inst) in kernel.insts() {
            let code = d.inst(inst)?;
            d.program.code.push(code);
            d.program.sites.push((block, index, inst.form));
        }
        let end = Code { step: Step::Exit, guard: None, srcs: 0..0, dsts: 0..0, addrs: 0..0 };
        d.program.code.push(end);
        Ok(d.program)
    }
}

/// Why an instruction is rejected by its name.
fn why_not(op: Op) -> &'static str {
    match op {
        Op::MultimemRed | Op::MultimemLdReduce | Op::MultimemSt => {
            "and the interpreter has no memory of several devices"
        }
        _ => "which the interpreter does not compute",
    }
}

struct Decoder<'a> {
    module: &'a Module,
    kernel: &'a Kernel,
    program: Program,
    layout: &'a Layout,
    is_cluster: bool,
    regs: RegNumbers,
    block_start: Vec<u32>,
}

impl Decoder<'_> {
    fn reg(&self, reg: Reg) -> Result<u32, String> {
        self.regs.get(reg).map(|number| number as u32).ok_or_else(|| format!("{reg} is not in the kernel"))
    }

    fn symbol(&self, symbol: Symbol) -> Result<u64, String> {
        self.layout.offset(symbol).ok_or_else(|| format!("{symbol:?} is not declared"))
    }

    /// Whether the address of a symbol differs between the blocks of a cluster.
    fn is_of_block(&self, symbol: Symbol) -> bool {
        let is_shared = |v: &Variable| v.space == Space::Shared;
        self.is_cluster && variable(self.module, self.kernel, symbol).is_some_and(is_shared)
    }

    fn inst(&mut self, inst: &Inst) -> Result<Code, String> {
        let guard = inst.guard.map(|g| self.reg(g.reg).map(|r| (r, g.negated))).transpose()?;
        let (s, d, a) = (self.program.srcs.len(), self.program.dsts.len(), self.program.addrs.len());
        let (mut target, mut callee) = (None, None);
        for (slot, operands) in inst.slots() {
            for operand in operands {
                match (slot.shape, operand) {
                    (Shape::Label, Operand::Label(b)) => target = self.block_start.get(b.0 as usize).copied(),
                    (Shape::Text, _) => {}
                    (Shape::Function, Operand::Function(i)) => callee = Some(self.callee(*i)?),
                    (Shape::Address(_), operand) => {
                        let addr = self.address(operand)?;
                        self.program.addrs.push(addr);
                    }
                    (_, operand) if slot.access == Access::Write => {
                        let dst = self.dst(slot.ty().unwrap_or(ScalarType::B64), operand)?;
                        self.program.dsts.push(dst);
                    }
                    (_, operand) => {
                        let src = match (self.src(operand)?, slot.ty().map(ScalarType::bits)) {
                            (Src::Special(special), Some(16)) => Src::LowSpecial(special),
                            (src, _) => src,
                        };
                        self.program.srcs.push(src);
                    }
                }
            }
        }
        let step = match inst.form().meaning {
            Meaning::Lane(f) => Step::Lane(f),
            Meaning::Approx(f, tolerance) => Step::Approx(f, tolerance),
            Meaning::Load(m) => Step::Load(m),
            Meaning::Store(m) => Step::Store(m),
            Meaning::Atomic(m, a) => Step::Atomic(m, a),
            Meaning::Prefetch(_) => Step::Nop,
            Meaning::Discard(space) => Step::Discard(space),
            Meaning::Pause if controls(inst.form(), Mod::Wait) => Step::GridWait,
            Meaning::Pause if controls(inst.form(), Mod::LaunchDependents) => Step::GridRelease,
            Meaning::Pause => Step::Pause,
            Meaning::Shuffle(s) => Step::Shuffle(s),
            Meaning::Vote(v) => Step::Vote(v),
            Meaning::ActiveMask => Step::ActiveMask,
            Meaning::Barrier(b) => Step::Barrier(b),
            Meaning::Fence(f) => Step::Fence(f),
            Meaning::Async(a) => Step::Async(a),
            Meaning::Foreign | Meaning::Matrix(Matrix::Foreign) => {
                return Err(format!("it executes `{}`, {}", inst.form().name, why_not(inst.form().op)));
            }
            Meaning::Opaque { .. } => {
                let text = match inst.operands.first() {
                    Some(Operand::Text(i)) => self.kernel.texts.get(*i as usize).map_or("", |text| text.short()),
                    _ => "",
                };
                return Err(format!("it executes the text `{text}`, which the table does not know"));
            }
            Meaning::Matrix(m) => Step::Matrix(m),
            Meaning::Call => Step::Call(callee.ok_or("a call of no function")?),
            Meaning::Branch => Step::Branch(target.ok_or("a branch to no block")?),
            Meaning::Exit => Step::Exit,
            Meaning::Trap => Step::Trap,
        };
        let p = &mut self.program;
        p.widest = p.widest.max(p.srcs.len() - s).max(p.dsts.len() - d);
        Ok(Code {
            step,
            guard,
            srcs: s as u32..p.srcs.len() as u32,
            dsts: d as u32..p.dsts.len() as u32,
            addrs: a as u32..p.addrs.len() as u32,
        })
    }

    fn callee(&self, function: u32) -> Result<Callee, String> {
        let function = self.module.externs.get(function as usize).ok_or("a call of no function")?;
        let known = Callee::of(&function.name).filter(|(_, takes)| *takes == function.params.len());
        known
            .map(|(callee, _)| callee)
            .ok_or_else(|| format!("it calls '{}', a function of another module, which is not here", function.name))
    }

    fn src(&self, operand: &Operand) -> Result<Src, String> {
        Ok(match *operand {
            Operand::Reg(r) => Src::Reg(self.reg(r)?),
            Operand::NotPred(r) => Src::Not(self.reg(r)?),
            Operand::Imm(bits) => Src::Imm(bits),
            Operand::Special(special) => Src::Special(special),
            Operand::Symbol(symbol, offset) => {
                let address = self.symbol(symbol)?.wrapping_add_signed(i64::from(offset));
                if self.is_of_block(symbol) { Src::Shared(address) } else { Src::Imm(address) }
            }
            Operand::None => Src::Absent,
            Operand::Address(_) | Operand::Label(_) | Operand::Function(_) | Operand::Text(_) => {
                return Err(format!("{operand:?} where a value belongs"));
            }
        })
    }

    fn dst(&self, ty: ScalarType, operand: &Operand) -> Result<Dst, String> {
        match *operand {
            Operand::Reg(r) => {
                let (from, to) = (ty.bits() as u8, r.class.bits() as u8);
                let extend = (ty.is_signed() && from < to).then_some((from, to));
                Ok(Dst { reg: self.reg(r)?, ty, extend })
            }
            Operand::None => Ok(Dst { reg: Dst::SINK, ty, extend: None }),
            _ => Err(format!("{operand:?} where a result belongs")),
        }
    }

    fn address(&self, operand: &Operand) -> Result<Addr, String> {
        let Operand::Address(a) = operand else { return Err(format!("{operand:?} where an address belongs")) };
        let offset = i64::from(a.offset);
        Ok(match a.base {
            Base::Reg(r) if r.class.bits() <= 32 => Addr { base: AddrBase::Reg32(self.reg(r)?), offset },
            Base::Reg(r) => Addr { base: AddrBase::Reg64(self.reg(r)?), offset },
            Base::Symbol(s) => {
                let base = if self.is_of_block(s) { AddrBase::Shared } else { AddrBase::Fixed };
                Addr { base, offset: self.symbol(s)?.wrapping_add_signed(offset) as i64 }
            }
        })
    }
}
