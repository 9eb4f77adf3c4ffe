//! Structured control flow. The labels are the builder's business.

use super::state::{Label, emit, emit_guarded, with};
use super::{Body, Pred, Val};
use crate::ir::{BlockId, Operand};
use crate::table::Op;

#[track_caller]
fn new_label() -> Label {
    with(|s| s.new_label())
}

#[track_caller]
fn place(label: Label) {
    with(|s| s.place(label));
}

#[track_caller]
fn jump(guard: Option<Pred>, label: Label) {
    let target = [Operand::Label(BlockId(label))];
    emit_guarded(guard, Op::Bra, &[], &target);
}

/// The ways out of a loop's body.
#[derive(Clone, Copy, Debug)]
pub struct LoopControl {
    next: Label,
    end: Label,
}

impl LoopControl {
    /// Leaves the loop where `holds`.
    #[track_caller]
    pub fn break_if(&self, _k: &Body, holds: Pred) {
        jump(Some(holds), self.end);
    }

    /// Goes on with the next round where `holds`.
    #[track_caller]
    pub fn continue_if(&self, _k: &Body, holds: Pred) {
        jump(Some(holds), self.next);
    }
}

impl Body {
    /// Runs `then` on the lanes where `holds`.
    #[track_caller]
    pub fn if_(&self, holds: Pred, then: impl FnOnce(&Body)) {
        let end = new_label();
        jump(Some(!holds), end);
        then(self);
        place(end);
    }

    /// Runs `then` where `holds` and `otherwise` on the other lanes.
    #[track_caller]
    pub fn if_else(&self, holds: Pred, then: impl FnOnce(&Body), otherwise: impl FnOnce(&Body)) {
        let (other, end) = (new_label(), new_label());
        jump(Some(!holds), other);
        then(self);
        jump(None, end);
        place(other);
        otherwise(self);
        place(end);
    }

    /// Runs the body as long as the condition, computed before each round, holds.
    #[track_caller]
    pub fn while_(&self, condition: impl FnOnce(&Body) -> Pred, body: impl FnOnce(&Body, LoopControl)) {
        let (next, end) = (new_label(), new_label());
        place(next);
        let holds = condition(self);
        jump(Some(!holds), end);
        body(self, LoopControl { next, end });
        jump(None, next);
        place(end);
    }

    /// Runs the body for `i` from `first` up to but not including `end`, in
    /// steps of `step`. Bounds are read once. `end + step` must not wrap.
    #[track_caller]
    pub fn for_(
        &self,
        first: impl Into<Val<u32>>,
        end: impl Into<Val<u32>>,
        step: impl Into<Val<u32>>,
        body: impl FnOnce(&Body, Val<u32>, LoopControl),
    ) {
        let (end_value, step) = (end.into(), step.into());
        let (top, next, end) = (new_label(), new_label(), new_label());
        let mut i = self.var::<u32>(first);
        // The test stands at the bottom: one branch a round.
        jump(Some(i.place().ge(end_value)), end);
        place(top);
        body(self, i.place(), LoopControl { next, end });
        place(next);
        i.add(step);
        jump(Some(i.place().lt(end_value)), top);
        place(end);
    }

    /// Runs the body until a lane breaks out.
    #[track_caller]
    pub fn loop_(&self, body: impl FnOnce(&Body, LoopControl)) {
        let (next, end) = (new_label(), new_label());
        place(next);
        body(self, LoopControl { next, end });
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

    /// Ends the grid with an error where `holds`.
    #[track_caller]
    pub fn trap_if(&self, holds: Pred) {
        emit_guarded(Some(holds), Op::Trap, &[], &[]);
    }
}
