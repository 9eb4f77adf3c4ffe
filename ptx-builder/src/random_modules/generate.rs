//! Kernels from plans: the frame, control flow and the choice of forms.

use smallvec::SmallVec;

use super::{Plan, Shape, Step};
use crate::ir::{
    Address, Base, Block, BlockId, Guard, Inst, Kernel, LaunchBounds, Module, Operand, Param, Reg, Symbol, Variable,
};
use crate::table::{self, Async, Barrier, Form, Meaning, Op, Slot, SpecialReg, Vote, table};
use crate::types::{RegClass, ScalarType, Space};

/// Bytes of a thread's part of shared and local memory.
pub(super) const CELL: u32 = 64;

/// Bytes at the start of a thread's part of the output that instructions may
/// write; the results follow.
const SCRATCH: u64 = 128;

/// A kernel being generated.
pub(super) struct Gen {
    pub module: Module,
    pub kernel: Kernel,
    /// Registers that hold a value at this point on all paths.
    pub values: Vec<Reg>,
    /// Whether all threads of the block are here together.
    pub uniform: bool,
    pub random: Random,
    pub bases: Bases,
}

/// Registers with addresses; never changed.
#[derive(Clone, Copy)]
pub(super) struct Bases {
    /// The input buffer.
    pub input: Reg,
    /// This thread's part of the output.
    pub output: Reg,
    /// This thread's cell of shared memory, 32 bits.
    pub shared: Reg,
    /// The same, 64 bits, as a generic address.
    pub generic: Reg,
    /// This thread's mbarrier, 32 bits.
    pub barrier: Reg,
    /// The same, as a generic address.
    pub generic_barrier: Reg,
    /// The thread's cell of local memory, 64 bits.
    pub local: Reg,
    /// The table of constants, 64 bits.
    pub constant: Reg,
}

/// A sequence of numbers from a seed (splitmix64).
pub(super) struct Random(u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, which is not 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// True once in `n`.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// Whether the generator can place this form somewhere.
pub(super) fn is_known(form: &Form) -> bool {
    !matches!(
        form.meaning,
        Meaning::Barrier(Barrier::Arrive { .. })
            | Meaning::Async(Async::CopyArrive { .. })
            | Meaning::Branch
            | Meaning::Exit
            | Meaning::Trap
            | Meaning::Call
            // What it leaves is nobody's to say.
            | Meaning::Discard(_)
            // Their rows would have to lie apart.
            | Meaning::Matrix(table::Matrix::LoadFragment(_) | table::Matrix::StoreFragment(_))
    ) && form.is_run()
        && form.op != Op::Stmatrix // its rows would have to lie apart
        && form.slots.iter().all(|slot| slot.shape != table::Shape::Carry)
}

/// Whether a form is allowed only where the whole block is together.
fn needs_uniform(form: &Form) -> bool {
    matches!(form.meaning, Meaning::Shuffle(_) | Meaning::Vote(_) | Meaning::Barrier(_) | Meaning::Matrix(_))
}

/// Whether a form's results differ from run to run, so that they must not reach
/// the output.
fn is_unstable(form: &Form) -> bool {
    matches!(form.meaning, Meaning::ActiveMask | Meaning::Vote(Vote::Elect))
}

pub(super) fn module(plan: &Plan) -> Module {
    let module = Module { variables: variables(), ..Module::new(plan.target) };
    let mut kernel = Kernel::new(Shape::KERNEL);
    let pointer = |name: &str| Param {
        name: name.to_owned(),
        ty: ScalarType::U64,
        len: None,
        align: None,
        pointer: Some((Space::Global, 16)),
    };
    let (ty, len) = (ScalarType::B8, Some(Shape::OPTIONS));
    let options = Param { name: "options".to_owned(), ty, len, align: Some(16), pointer: None };
    kernel.params = vec![pointer("input"), pointer("output"), options];
    kernel.bounds = LaunchBounds { required: Some([Shape::BLOCK, 1, 1]), ..LaunchBounds::default() };
    let array = |name: &str, space, len: u32| Variable {
        name: name.to_owned(),
        space,
        align: 16,
        ty: ScalarType::B8,
        len: Some(len.into()),
        init: Vec::new(),
        refs: Vec::new(),
        linkage: Default::default(),
    };
    kernel.variables = vec![
        array("cells", Space::Shared, CELL * Shape::BLOCK),
        array("barriers", Space::Shared, 8 * Shape::BLOCK),
        array("own", Space::Local, CELL),
    ];
    let mut reg = |class| kernel.new_reg(class);
    let bases = Bases {
        input: reg(RegClass::B64),
        output: reg(RegClass::B64),
        shared: reg(RegClass::B32),
        generic: reg(RegClass::B64),
        barrier: reg(RegClass::B32),
        generic_barrier: reg(RegClass::B64),
        local: reg(RegClass::B64),
        constant: reg(RegClass::B64),
    };
    let mut g = Gen { module, kernel, values: Vec::new(), uniform: true, random: Random(0), bases };
    g.prologue();
    g.steps(&plan.steps);
    g.epilogue();
    g.kernel.canonicalize();
    g.module.kernels.push(g.kernel);
    g.module
}

fn variables() -> Vec<Variable> {
    let init = (0..CELL * 2).map(|i| (i * 37 + 11) as u8).collect();
    let (align, ty, len) = (16, ScalarType::B32, Some(u64::from(CELL) / 2));
    vec![Variable {
        name: "constants".to_owned(),
        space: Space::Const,
        align,
        ty,
        len,
        init,
        refs: Vec::new(),
        linkage: crate::ir::Linkage::Visible,
    }]
}

impl Gen {
    /// Appends an instruction by its spelling, optional operands left out; the
    /// frame's own, so that the table has it.
    pub fn emit(&mut self, name: &str, operands: &[Operand]) {
        let required = |f: &Form| f.slots.iter().filter(|s| !s.optional).map(Slot::width).sum::<usize>();
        let forms = table().named(name).iter().map(|f| f.get());
        let mut fitting = forms.filter(|f| (required(f)..=f.width()).contains(&operands.len()));
        let form = fitting.next().unwrap_or_else(|| panic!("the table has no {name} of {} operands", operands.len()));
        let mut missing = form.width() - operands.len();
        let mut given = operands.iter().copied();
        let mut all = SmallVec::new();
        for slot in &form.slots {
            if slot.optional && missing > 0 {
                missing -= 1;
                all.push(Operand::None);
            } else {
                all.extend(given.by_ref().take(slot.width()));
            }
        }
        self.push(Inst { form: form.id, guard: None, operands: all, loc: None });
    }

    pub fn push(&mut self, inst: Inst) {
        if self.kernel.blocks.is_empty() {
            self.kernel.blocks.push(Block::default());
        }
        let last = self.kernel.blocks.len() - 1;
        self.kernel.blocks[last].insts.push(inst);
    }

    /// Starts a block and gives its number.
    pub fn label(&mut self) -> BlockId {
        self.kernel.blocks.push(Block::default());
        BlockId(self.kernel.blocks.len() as u32 - 1)
    }

    /// Branches on a predicate (or always) to a block whose number comes later;
    /// gives the place to fill in.
    pub fn branch(&mut self, guard: Option<Guard>) -> (usize, usize) {
        self.emit("bra", &[Operand::Label(BlockId(0))]);
        let block = self.kernel.blocks.len() - 1;
        let inst = self.kernel.blocks[block].insts.len() - 1;
        self.kernel.blocks[block].insts[inst].guard = guard;
        (block, inst)
    }

    pub fn land(&mut self, (block, inst): (usize, usize), at: BlockId) {
        self.kernel.blocks[block].insts[inst].operands[0] = Operand::Label(at);
    }

    pub fn reg(&mut self, class: RegClass) -> Reg {
        self.kernel.new_reg(class)
    }

    fn prologue(&mut self) {
        use Operand::{Imm, Special};
        let b = self.bases;
        let param = |i| Operand::Address(Address { base: Base::Symbol(Symbol::Param(i)), offset: 0 });
        let symbol = |i| Operand::Symbol(Symbol::Kernel(i), 0);
        let [tid, index, ctaid, ntid] = std::array::from_fn(|_| self.reg(RegClass::B32));
        let wide = self.reg(RegClass::B64);
        self.emit("ld.param.u64", &[b.input.into(), param(0)]);
        self.emit("ld.param.u64", &[b.output.into(), param(1)]);
        self.emit("mov.u32", &[tid.into(), Special(SpecialReg::TidX)]);
        self.emit("mov.u32", &[ctaid.into(), Special(SpecialReg::CtaidX)]);
        self.emit("mov.u32", &[ntid.into(), Special(SpecialReg::NtidX)]);
        self.emit("mad.lo.u32", &[index.into(), ctaid.into(), ntid.into(), tid.into()]);
        self.emit("mul.wide.u32", &[wide.into(), index.into(), Imm(Shape::SLICE)]);
        self.emit("add.u64", &[b.output.into(), b.output.into(), wide.into()]);
        for (i, size, narrow, generic) in [(0, CELL, b.shared, b.generic), (1, 8, b.barrier, b.generic_barrier)] {
            self.emit("mov.u32", &[narrow.into(), symbol(i)]);
            self.emit("mad.lo.u32", &[narrow.into(), tid.into(), Imm(size.into()), narrow.into()]);
            self.emit("cvt.u64.u32", &[generic.into(), narrow.into()]);
            self.emit("cvta.shared.u64", &[generic.into(), generic.into()]);
        }
        self.emit("mov.u64", &[b.local.into(), symbol(2)]);
        self.emit("mov.u64", &[b.constant.into(), Operand::Symbol(Symbol::Module(0), 0)]);
        let at = |base: Reg, offset| Operand::Address(Address { base: Base::Reg(base), offset });
        for offset in (0..CELL as i32).step_by(8) {
            let value = Imm(0x0102_0408_1020_4080 * (offset as u64 + 1));
            self.emit("st.shared.u64", &[at(b.shared, offset), value]);
            self.emit("st.local.u64", &[at(b.local, offset), value]);
        }
        // What instructions work on: the input from this thread's place on.
        let offset = self.reg(RegClass::B64);
        let from = self.reg(RegClass::B64);
        self.emit("mul.wide.u32", &[offset.into(), tid.into(), Imm(16)]);
        self.emit("add.u64", &[from.into(), b.input.into(), offset.into()]);
        let loads = [
            ("ld.global.u16", RegClass::B16),
            ("ld.global.u32", RegClass::B32),
            ("ld.global.u64", RegClass::B64),
            ("ld.global.f32", RegClass::F32),
            ("ld.global.f64", RegClass::F64),
        ];
        for (i, (load, class)) in loads.into_iter().chain(loads).enumerate() {
            let d = self.reg(class);
            self.emit(load, &[d.into(), at(from, i as i32 * 48)]);
            self.values.push(d);
        }
        self.values.extend([tid, index]);
        for compared in [5, 33] {
            let p = self.reg(RegClass::Pred);
            self.emit("setp.lt.u32", &[p.into(), tid.into(), Imm(compared)]);
            self.values.push(p);
        }
    }

    /// Stores all values to the thread's part of the output.
    fn epilogue(&mut self) {
        let mut offset = SCRATCH as i32;
        for value in std::mem::take(&mut self.values) {
            if offset as u64 + 8 > Shape::SLICE {
                break;
            }
            let at = Operand::Address(Address { base: Base::Reg(self.bases.output), offset });
            offset += 8;
            match value.class {
                RegClass::Pred => {
                    let number = self.reg(RegClass::B32);
                    self.emit("selp.u32", &[number.into(), Operand::Imm(1), Operand::Imm(0), value.into()]);
                    self.emit("st.global.u32", &[at, number.into()]);
                }
                RegClass::B16 => self.emit("st.global.u16", &[at, value.into()]),
                RegClass::B32 => self.emit("st.global.u32", &[at, value.into()]),
                RegClass::B64 => self.emit("st.global.u64", &[at, value.into()]),
                RegClass::F32 => self.emit("st.global.f32", &[at, value.into()]),
                RegClass::F64 => self.emit("st.global.f64", &[at, value.into()]),
            }
        }
        self.emit("ret", &[]);
    }

    fn steps(&mut self, steps: &[Step]) {
        for step in steps {
            match step {
                Step::Inst { row, seed } => {
                    self.random = Random(u64::from(*seed) ^ u64::from(*row) << 32);
                    self.inst(*row);
                }
                Step::If { seed, then, otherwise } => self.branches(*seed, then, otherwise),
                Step::Repeat { trips, body } => self.repeat(*trips, body),
            }
        }
    }

    fn branches(&mut self, seed: u32, then: &[Step], otherwise: &[Step]) {
        self.random = Random(seed.into());
        let Some(reg) = self.value(|class| class == RegClass::Pred) else { return };
        let (uniform, values) = (self.uniform, self.values.len());
        self.uniform = false;
        let skip = self.branch(Some(Guard { reg, negated: seed & 1 == 0 }));
        self.steps(then);
        self.values.truncate(values);
        let out = (!otherwise.is_empty()).then(|| self.branch(None));
        let label = self.label();
        self.land(skip, label);
        if let Some(out) = out {
            self.steps(otherwise);
            self.values.truncate(values);
            let label = self.label();
            self.land(out, label);
        }
        self.uniform = uniform;
    }

    fn repeat(&mut self, trips: u8, body: &[Step]) {
        let values = self.values.len();
        let count = self.reg(RegClass::B32);
        let again = self.reg(RegClass::Pred);
        self.emit("mov.u32", &[count.into(), Operand::Imm(u64::from(trips % 4) + 1)]);
        let top = self.label();
        self.steps(body);
        self.values.truncate(values);
        self.emit("sub.u32", &[count.into(), count.into(), Operand::Imm(1)]);
        self.emit("setp.ne.u32", &[again.into(), count.into(), Operand::Imm(0)]);
        let back = self.branch(Some(Guard { reg: again, negated: false }));
        self.land(back, top);
    }

    /// An instruction of a row, if one of its forms is allowed here.
    fn inst(&mut self, row: u16) {
        let rows = table().rows();
        let row = &rows[usize::from(row) % rows.len()];
        let (target, uniform) = (self.module.target, self.uniform);
        let fits = |f: &&Form| is_known(f) && f.is_legal_on(target) && (uniform || !needs_uniform(f));
        let forms: Vec<&'static Form> = row.forms().iter().filter(fits).collect();
        if forms.is_empty() {
            return;
        }
        let form = forms[self.random.below(forms.len())];
        match form.meaning {
            Meaning::Async(what) => return self.protocol(form, what),
            Meaning::Barrier(what @ (Barrier::ClusterArrive | Barrier::ClusterWait)) => {
                return self.cluster_barrier(form, what);
            }
            _ => {}
        }
        let predicate = self.value(|class| class == RegClass::Pred);
        let guard = match predicate {
            Some(reg) if !needs_uniform(form) && self.random.once_in(4) => {
                Some(Guard { reg, negated: self.random.once_in(2) })
            }
            _ => None,
        };
        let Some((operands, results)) = self.operands(form, guard.is_some()) else { return };
        self.push(Inst { form: form.id, guard, operands, loc: None });
        if !is_unstable(form) {
            self.values.extend(results);
        }
    }
}
