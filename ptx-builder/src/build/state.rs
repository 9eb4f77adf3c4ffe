//! The kernel being built on this thread.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::Range;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use smallvec::SmallVec;

use super::Scalar;
use super::scopes::Scopes;
use crate::ir::{self, Block, BlockId, Guard, Inst, Loc, Operand, Reg, Variable};
use crate::table::{FormId, Meaning, Mod, Mods, Op, table};
use crate::types::RegClass;

/// A jump target that has no position yet, by number.
pub(super) type Label = u32;

enum Item {
    Inst(Inst),
    /// The operand names a [`Label`] until [`State::finish`] resolves it.
    Place(Label),
}

/// The instructions so far.
pub(super) struct State {
    /// Distinguishes the handles of different kernels; never 0.
    pub serial: u32,
    pub kernel: ir::Kernel,
    /// Module-scope variables that the kernel uses.
    pub globals: Vec<Variable>,
    /// The loops and branches that are being built.
    pub scopes: Scopes,
    /// The call of the device function whose code is being emitted, with [`at_caller`].
    caller: Option<&'static Location<'static>>,
    /// How many threads a barrier waits for, where the first ones of the block work alone.
    pub first_threads: Option<u32>,
    /// The numbers of the arrays that each part declares.
    pub parts: Vec<Range<usize>>,
    /// The number of exits from loops and threads so far.
    pub exits: u32,
    items: Vec<Item>,
    labels: u32,
    last_file: Option<(&'static str, Arc<str>)>,
}

thread_local! {
    static CURRENT: RefCell<Option<State>> = const { RefCell::new(None) };
}

static SERIAL: AtomicU32 = AtomicU32::new(1);

impl State {
    fn new(name: &str) -> State {
        State {
            serial: SERIAL.fetch_add(1, Ordering::Relaxed).max(1),
            kernel: ir::Kernel::new(name),
            globals: Vec::new(),
            scopes: Scopes::default(),
            caller: None,
            first_threads: None,
            parts: Vec::new(),
            exits: 0,
            items: Vec::new(),
            labels: 0,
            last_file: None,
        }
    }

    /// The line to record for an instruction emitted at `at`.
    pub(super) fn line(&self, at: &'static Location<'static>) -> &'static Location<'static> {
        self.caller.unwrap_or(at)
    }

    pub(super) fn loc(&mut self, at: &'static Location<'static>) -> Loc {
        let at = self.line(at);
        let file = match &self.last_file {
            Some((name, file)) if std::ptr::eq(*name, at.file()) => file.clone(),
            _ => {
                let file: Arc<str> = at.file().into();
                self.last_file = Some((at.file(), file.clone()));
                file
            }
        };
        Loc::new(file, at.line(), at.column())
    }

    pub(super) fn new_label(&mut self) -> Label {
        self.labels += 1;
        self.labels - 1
    }

    pub(super) fn place(&mut self, label: Label) {
        self.items.push(Item::Place(label));
    }

    pub(super) fn push(&mut self, form: FormId, guard: Option<Guard>, operands: &[Operand], loc: Loc) {
        let operands = SmallVec::from_slice(operands);
        self.items.push(Item::Inst(Inst { form, guard, operands, loc: Some(loc) }));
    }

    /// Divides the instructions into basic blocks: one starts at each label that is a target and after each instruction
    /// that may leave; unreachable code is removed.
    fn finish(mut self) -> Recorded {
        let mut targeted = vec![false; self.labels as usize];
        for item in &self.items {
            if let Item::Inst(inst) = item
                && let Some(BlockId(label)) = inst.branch_target()
            {
                targeted[label as usize] = true;
            }
        }
        let mut block_of = vec![0; self.labels as usize];
        let mut blocks: Vec<Block> = vec![Block::default()];
        let (mut open, mut reachable) = (true, true);
        for item in self.items {
            match item {
                Item::Place(label) if targeted[label as usize] => {
                    if blocks.last().is_some_and(|b| !b.insts.is_empty()) {
                        blocks.push(Block::default());
                    }
                    (open, reachable) = (true, true);
                    block_of[label as usize] = blocks.len() as u32 - 1;
                }
                Item::Place(_) => {}
                Item::Inst(inst) if reachable => {
                    if !open {
                        blocks.push(Block::default());
                    }
                    let ends = inst.form().meaning.ends_block();
                    reachable = !ends || inst.guard.is_some();
                    open = !ends;
                    if let Some(block) = blocks.last_mut() {
                        block.insts.push(inst);
                    }
                }
                Item::Inst(_) => {}
            }
        }
        for inst in blocks.iter_mut().flat_map(|b| &mut b.insts) {
            for operand in &mut inst.operands {
                if let Operand::Label(BlockId(label)) = operand {
                    *label = block_of[*label as usize];
                }
            }
        }
        self.kernel.blocks = blocks;
        (self.kernel, self.globals, self.parts)
    }
}

/// A kernel, the variables of its module, and the arrays of each of its parts.
type Recorded = (ir::Kernel, Vec<Variable>, Vec<Range<usize>>);

/// A new kernel, on which this thread works until it is finished or dropped; then it continues with the outer one,
/// because a kernel may be generated while another is being built.
///
/// Not a function that takes a closure: a call inside a closure does not have the caller's line.
pub(super) struct Recording {
    outer: Option<State>,
    pub body: Body,
}

impl Recording {
    #[track_caller]
    pub fn begin(name: &str) -> Recording {
        let mut state = State::new(name);
        state.kernel.loc = Some(state.loc(Location::caller()));
        let outer = CURRENT.with_borrow_mut(|current| current.replace(state));
        Recording { outer, body: Body { here: PhantomData } }
    }

    /// The finished kernel.
    #[track_caller]
    pub fn finish(self) -> Recorded {
        emit(Op::Ret, &[], &[]);
        let state = CURRENT.with_borrow_mut(Option::take);
        drop(self);
        state.expect("the kernel being written is there until its closure returns").finish()
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let outer = self.outer.take();
        CURRENT.with_borrow_mut(|current| *current = outer);
    }
}

/// Runs a function on the kernel being built.
#[track_caller]
pub(super) fn with<R>(f: impl FnOnce(&mut State) -> R) -> R {
    // Inside a closure the caller's line is lost, so the panic is outside.
    match CURRENT.with_borrow_mut(|current| current.as_mut().map(f)) {
        Some(given) => given,
        None => panic!("a kernel's value was used outside of the closure that writes the kernel"),
    }
}

/// The form `op.mods`.
///
/// # Panics
/// If the table has none: a combination of types that the PTX ISA lacks.
#[track_caller]
pub(super) fn form(op: Op, mods: &[Mod]) -> FormId {
    let Some(form) = table().find(op, mods) else {
        let mods: Vec<_> = Mods::from_slice(mods).iter().map(|m| m.text()).collect();
        panic!(
            "the instruction table has no {op}.{}; docs/instructions.md lists {op}'s modifiers in their order",
            mods.join(".")
        )
    };
    form
}

/// Emits an instruction.
#[track_caller]
pub(super) fn emit(op: Op, mods: &[Mod], operands: &[Operand]) {
    emit_under(None, op, mods, operands);
}

/// Emits an instruction that runs where `guard` holds.
#[track_caller]
pub(super) fn emit_under(guard: Option<Guard>, op: Op, mods: &[Mod], operands: &[Operand]) {
    let at = Location::caller();
    let form = form(op, mods);
    with(|s| {
        s.exits += u32::from(matches!(form.get().meaning, Meaning::Exit | Meaning::Trap));
        let loc = s.loc(at);
        s.push(form, guard, operands, loc);
    });
}

/// A new register of a class.
#[track_caller]
pub(super) fn new_reg(class: RegClass) -> Reg {
    with(|s| s.kernel.new_reg(class))
}

/// The place in a kernel where instructions are being written. Shared references are enough to write with, so that a
/// call can stand in the arguments of another: what is inside is written first.
#[derive(Debug)]
pub struct Body {
    /// Handles belong to a thread, so the body is not `Send`.
    here: PhantomData<*const ()>,
}

/// Restores the caller's line of a kernel.
struct Caller(Option<&'static Location<'static>>);

impl Drop for Caller {
    fn drop(&mut self) {
        CURRENT.with_borrow_mut(|current| {
            if let Some(s) = current {
                s.caller = self.0;
            }
        });
    }
}

/// Emits what `write` emits as if it were at the call of the surrounding function: the instructions and messages about
/// them have that line. For device functions, which are `#[track_caller]`: instructions from a closure in them (a
/// loop's body) would otherwise have the closure's own line.
///
/// ```
/// use ptxgen_builder::build::{Body, ReadOnly, Val, at_caller};
///
/// /// The sum of `n` elements; an error in it is reported at the line that calls this.
/// #[track_caller]
/// fn sum(k: &Body, x: ReadOnly<f32>, n: Val<u32>) -> Val<f32> {
///     at_caller(|| {
///         let sum = k.var(0.0f32);
///         k.for_(0, n, 1, |k, i, _| sum.add(x.at(i).load(k)));
///         sum.get()
///     })
/// }
/// ```
///
/// If device functions call each other, the line is that of the outermost call.
///
/// # Panics
/// Outside the closure that builds a kernel.
#[track_caller]
pub fn at_caller<R>(write: impl FnOnce() -> R) -> R {
    let at = Location::caller();
    let _before = Caller(with(|s| {
        let before = s.caller;
        s.caller = Some(s.line(at));
        before
    }));
    write()
}

/// The type of a value as a modifier.
pub(super) const fn ty<T: Scalar>() -> Mod {
    Mod::Ty(T::TY)
}
