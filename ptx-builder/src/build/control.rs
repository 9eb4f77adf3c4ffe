//! Structured control flow. The builder creates the labels.

use super::constant::check_step;
use super::emit::emit_guarded;
use super::scope::{Made, enter, leave};
use super::scopes::ScopeKind;
use super::state::{Label, emit, with};
use super::{Body, Pred, Val};
use crate::ir::{BlockId, Operand};
use crate::table::Op;

#[track_caller]
pub(super) fn new_label() -> Label {
    with(|s| s.new_label())
}

#[track_caller]
pub(super) fn place(label: Label) {
    with(|s| s.place(label));
}

#[track_caller]
pub(super) fn jump(guard: Option<Pred>, label: Label) {
    let target = [Operand::Label(BlockId(label))];
    emit_guarded(guard, Op::Bra, &[], &target);
}

/// The number of loop exits so far.
#[track_caller]
fn exits() -> u32 {
    with(|s| s.exits)
}

/// Exits of a loop's body.
#[derive(Clone, Copy, Debug)]
pub struct LoopControl {
    next: Label,
    end: Label,
    made: Made,
}

impl LoopControl {
    #[track_caller]
    fn new(next: Label, end: Label) -> LoopControl {
        LoopControl { next, end, made: Made::here() }
    }

    /// Breaks out of the loop where `holds`.
    #[track_caller]
    pub fn break_if(&self, _k: &Body, holds: Pred) {
        self.made.check("a LoopControl", None);
        with(|s| s.exits += 1);
        jump(Some(holds), self.end);
    }

    /// Continues with the next iteration where `holds`.
    #[track_caller]
    pub fn continue_if(&self, _k: &Body, holds: Pred) {
        self.made.check("a LoopControl", None);
        jump(Some(holds), self.next);
    }
}

/// Each closure emits code that may run any number of times, or never, but it is called once, when the kernel is built.
/// So a Rust variable assigned inside would have the value of one pass over the text, not of the loop's iterations. The
/// closures are `Fn`, so that this is a compile error. A value that the generated program changes is a variable,
/// [`Body::var`].
impl Body {
    /// Runs `then` on the lanes where `holds`.
    #[track_caller]
    pub fn if_(&self, holds: Pred, then: impl Fn(&Body)) {
        let end = new_label();
        jump(Some(!holds), end);
        enter(ScopeKind::Branch);
        then(self);
        leave();
        place(end);
    }

    /// Runs `then` where `holds` and `otherwise` on the other lanes.
    #[track_caller]
    pub fn if_else(&self, holds: Pred, then: impl Fn(&Body), otherwise: impl Fn(&Body)) {
        let (other, end) = (new_label(), new_label());
        jump(Some(!holds), other);
        enter(ScopeKind::Branch);
        then(self);
        leave();
        jump(None, end);
        place(other);
        enter(ScopeKind::Branch);
        otherwise(self);
        leave();
        place(end);
    }

    /// Runs the body while the condition, computed before each iteration, holds.
    ///
    /// # Panics
    /// If the condition was computed before the loop, so that no iteration changes it, and nothing else ends the loop.
    #[track_caller]
    pub fn while_(&self, condition: impl Fn(&Body) -> Pred, body: impl Fn(&Body, LoopControl)) {
        let (next, end) = (new_label(), new_label());
        place(next);
        enter(ScopeKind::Loop);
        let holds = condition(self);
        let (fixed, before) = (holds.is_older(), exits());
        jump(Some(!holds), end);
        body(self, LoopControl::new(next, end));
        leave();
        assert!(
            !fixed || exits() > before,
            "the condition of this while_ was computed before the loop and no round changes it: compute it in the \
             closure, from variables: `k.while_(|_| i.get().lt(n), ..)`"
        );
        jump(None, next);
        place(end);
    }

    /// Runs the body for `i` from `first` up to but not including `end`, in steps of `step`. Bounds are read once. `end
    /// + step` must not wrap.
    ///
    /// # Panics
    /// If the step is the constant 0.
    #[track_caller]
    pub fn for_(
        &self,
        first: impl Into<Val<u32>>,
        end: impl Into<Val<u32>>,
        step: impl Into<Val<u32>>,
        body: impl Fn(&Body, Val<u32>, LoopControl),
    ) {
        let (end_value, step) = (end.into(), step.into());
        check_step(step.constant());
        let (top, next, end) = (new_label(), new_label(), new_label());
        let i = self.var::<u32>(first);
        // The test is at the end: one branch per iteration.
        jump(Some(i.place().ge(end_value)), end);
        place(top);
        enter(ScopeKind::Loop);
        // Nothing changes the counter inside the body, so its register is a value there, and only there.
        body(self, i.place().of_this_scope(), LoopControl::new(next, end));
        leave();
        place(next);
        i.add(step);
        jump(Some(i.place().lt(end_value)), top);
        place(end);
    }

    /// Runs the body until a lane breaks out.
    ///
    /// # Panics
    /// If nothing in the body ends the loop.
    #[track_caller]
    pub fn loop_(&self, body: impl Fn(&Body, LoopControl)) {
        let (next, end) = (new_label(), new_label());
        place(next);
        enter(ScopeKind::Loop);
        let before = exits();
        body(self, LoopControl::new(next, end));
        leave();
        assert!(exits() > before, "nothing ends this loop_: leave it with `c.break_if(k, holds)`");
        jump(None, next);
        place(end);
    }

    /// Ends the thread where `holds`.
    #[track_caller]
    pub fn return_if(&self, holds: Pred) {
        emit_guarded(Some(holds), Op::Ret, &[], &[]);
    }

    /// Ends the thread.
    #[track_caller]
    pub fn return_(&self) {
        emit(Op::Ret, &[], &[]);
    }

    /// Traps where `holds`: ends the grid with an error.
    #[track_caller]
    pub fn trap_if(&self, holds: Pred) {
        emit_guarded(Some(holds), Op::Trap, &[], &[]);
    }
}
