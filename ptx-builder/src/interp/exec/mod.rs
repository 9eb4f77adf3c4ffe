//! Execution of one warp.

mod approx;
mod async_copy;
mod atomic;
mod barrier;
mod call;
mod fragment;
mod load_store;
mod matrix;
mod mbarrier;
mod product;
mod shuffle;
mod special;
mod vote;
mod wide;
mod wraps;

pub(super) use approx::mix;
pub(super) use async_copy::land;
pub(super) use wraps::Exact;

use super::context::Context;
use super::index::IndexOp;
use super::program::{Code, Dst, Src, Step};
use super::report::FindingKind;
use super::spin::{Jump, Spin};
use super::state::{BlockState, Stop};
use super::warp::{Group, State, TURN, Warp};
use crate::table::{Async, Lanes, Vote, WARP};

/// What follows an instruction.
enum Flow {
    Next,
    /// Other warps go first.
    Pause,
    /// The group waits, and has passed the instruction.
    Wait(State),
    /// The group waits to execute the instruction.
    Retry(State),
}

/// Whether the lanes of a member mask are at a `.sync` instruction.
enum Meeting {
    /// These are: the instruction is counted and takes effect.
    Here(u32),
    /// Not yet, or no lane executes it.
    Else(Flow),
}

/// One instruction of one warp.
struct Exec<'a> {
    cx: &'a Context<'a>,
    st: &'a mut BlockState,
    warp: &'a mut Warp,
    code: &'a Code,
    pc: u32,
    /// Lanes for which the guard holds.
    mask: u32,
    /// The group's lanes.
    group: u32,
    out_of_order: bool,
}

/// Runs a warp until it waits, ends or has executed `quantum` instructions.
/// Gives the number executed.
pub(super) fn run(cx: &Context, st: &mut BlockState, warp: &mut Warp, quantum: u64) -> Result<u64, Stop> {
    let mut left = quantum;
    while left > 0 {
        let Some(pick) = warp.pick() else { break };
        let mut group = warp.groups[pick.group];
        let mut turn = if pick.out_of_order { TURN.min(left) } else { left };
        let before = turn;
        let outcome = run_group(cx, st, warp, &mut group, &pick, &mut turn);
        left = left.saturating_sub(before - turn);
        warp.groups[pick.group] = group;
        if group.mask == 0 {
            warp.groups.swap_remove(pick.group);
        }
        outcome?;
    }
    Ok(quantum - left)
}

fn run_group(
    cx: &Context,
    st: &mut BlockState,
    warp: &mut Warp,
    group: &mut Group,
    pick: &super::warp::Pick,
    left: &mut u64,
) -> Result<(), Stop> {
    while *left > 0 && group.pc < pick.limit {
        let pc = group.pc;
        let code = &cx.program.code[pc as usize];
        let mask = match code.guard {
            None => group.mask,
            Some((reg, negated)) => {
                group.mask & (predicate(&warp.regs[reg as usize]) ^ if negated { u32::MAX } else { 0 })
            }
        };
        *left -= 1;
        st.steps += 1;
        if st.steps > cx.options.max_steps {
            return Err(st.step_limit(cx, warp, pc, group.mask));
        }
        let mut exec = Exec {
            cx,
            st: &mut *st,
            warp: &mut *warp,
            code,
            pc,
            mask,
            group: group.mask,
            out_of_order: pick.out_of_order,
        };
        match code.step {
            Step::Lane(f) => {
                exec.count();
                if mask != 0 {
                    exec.lane(f);
                    if let Some(step) = cx.index_step(pc) {
                        exec.follow(step);
                    }
                }
                group.pc += 1;
            }
            Step::Branch(target) => {
                exec.count();
                let stay = group.mask & !mask;
                group.pc += 1;
                if mask != 0 {
                    let state = if target <= pc { jump_back(st, warp, pc, target, mask) } else { State::Ready };
                    if stay != 0 {
                        warp.groups.push(Group { pc: target, mask, state });
                        group.mask = stay;
                        return Ok(());
                    }
                    (group.pc, group.state) = (target, state);
                    if warp.groups.len() > 1 || state != State::Ready {
                        return Ok(());
                    }
                }
            }
            Step::Exit => {
                exec.count();
                group.pc += 1;
                if mask != 0 {
                    group.mask &= !mask;
                    warp.live &= !mask;
                    warp.wake_warp_waiters();
                    st.exited(cx.rank(warp.id), mask.count_ones());
                    return Ok(());
                }
            }
            Step::Approx(..)
            | Step::Load(_)
            | Step::Store(_)
            | Step::Atomic(..)
            | Step::Nop
            | Step::Discard(_)
            | Step::Pause
            | Step::GridWait
            | Step::GridRelease
            | Step::Shuffle(_)
            | Step::Vote(_)
            | Step::ActiveMask
            | Step::Barrier(_)
            | Step::Fence(_)
            | Step::Async(_)
            | Step::Matrix(_)
            | Step::Call(_)
            | Step::Trap => match exec.checked_other()? {
                Flow::Next => group.pc += 1,
                Flow::Pause => {
                    group.pc += 1;
                    *left = 0;
                }
                Flow::Wait(state) => {
                    group.pc += 1;
                    // Lanes whose guard is false have nothing to wait for.
                    let pass = group.mask & !mask;
                    if pass != 0 && mask != 0 {
                        warp.groups.push(Group { pc: group.pc, mask: pass, state: State::Ready });
                        group.mask = mask;
                    }
                    group.state = state;
                    return Ok(());
                }
                Flow::Retry(state) => {
                    group.state = state;
                    return Ok(());
                }
            },
        }
    }
    Ok(())
}

/// Lanes jump back: are they ready to go on, or do they spin?
fn jump_back(st: &BlockState, warp: &mut Warp, pc: u32, target: u32, mask: u32) -> State {
    let jump =
        Jump { target, mask, whole: mask == warp.live, regs: &warp.regs, changes: st.changes, meetings: warp.meetings };
    let (polls, at) = warp.polled.take().map_or((pc, None), |(polls, at)| (polls, Some(at)));
    warp.probe.jump(&jump).map_or(State::Ready, |since| State::Spin(Spin { since, polls, at }))
}

/// The lanes whose predicate is true.
fn predicate(lanes: &Lanes) -> u32 {
    lanes.iter().enumerate().fold(0, |mask, (i, &p)| mask | ((p as u32 & 1) << i))
}

impl Exec<'_> {
    fn checked_other(&mut self) -> Result<Flow, Stop> {
        let cx = self.cx;
        if let Some(step) = cx.index_step(self.pc).filter(|step| step.op == IndexOp::Access) {
            self.check_index(step);
        }
        self.other()
    }

    /// Counts the instruction as executed.
    #[inline]
    fn count(&mut self) {
        if self.cx.options.count {
            let c = &mut self.st.counts[self.pc as usize];
            c.warps += 1;
            c.lanes += u64::from(self.mask.count_ones());
        }
    }

    #[inline]
    fn lane(&mut self, f: crate::table::LaneFn) {
        let n = self.gather();
        let m = self.cx.program.dsts(self.code).len();
        f(&mut self.st.dst[..m], &self.st.src[..n]);
        self.scatter();
        self.wide_lane();
    }

    /// Copies the sources into the scratch area.
    #[inline]
    fn gather(&mut self) -> usize {
        let srcs = self.cx.program.srcs(self.code);
        for (i, src) in srcs.iter().enumerate() {
            match *src {
                Src::Reg(r) => self.st.src[i] = self.warp.regs[r as usize],
                Src::Imm(bits) => self.st.src[i] = [bits; WARP],
                _ => self.st.src[i] = self.source(src),
            }
        }
        srcs.len()
    }

    fn source(&self, src: &Src) -> Lanes {
        match *src {
            Src::Reg(r) => self.warp.regs[r as usize],
            Src::Not(r) => self.warp.regs[r as usize].map(|p| p & 1 ^ 1),
            Src::Imm(bits) => [bits; WARP],
            Src::Shared(offset) => [self.shared_base().wrapping_add(offset); WARP],
            Src::Special(special) => self.special(special),
            Src::LowSpecial(special) => self.special(special).map(|v| v & 0xffff),
            Src::Absent => [0; WARP],
        }
    }

    /// The lanes of source `i`, `None` where it is left out.
    fn src(&self, i: usize) -> Option<Lanes> {
        match self.cx.program.srcs(self.code).get(i) {
            None | Some(Src::Absent) => None,
            Some(src) => Some(self.source(src)),
        }
    }

    /// Source `i`, or zeros.
    fn src_zero(&self, i: usize) -> Lanes {
        self.src(i).unwrap_or_default()
    }

    /// Source `i` of the first lane, where it is a constant, or zero.
    fn src_first(&self, i: usize) -> u64 {
        let [first, ..] = self.src_zero(i);
        first
    }

    /// Source `i`, or a default in every lane.
    fn src_or(&self, i: usize, default: u64) -> Lanes {
        self.src(i).unwrap_or([default; WARP])
    }

    /// Writes the scratch results of active lanes to their registers.
    #[inline]
    fn scatter(&mut self) {
        for (i, dst) in self.cx.program.dsts(self.code).iter().enumerate() {
            write(self.warp, dst, &self.st.dst[i], self.mask);
        }
    }

    /// Writes result `i` in the active lanes.
    fn set(&mut self, i: usize, value: &Lanes) {
        if let Some(dst) = self.cx.program.dsts(self.code).get(i) {
            write(self.warp, dst, value, self.mask);
            self.wide_clear(i);
        }
    }

    fn other(&mut self) -> Result<Flow, Stop> {
        let cx = self.cx;
        match self.code.step {
            Step::Shuffle(s) => {
                return Ok(match self.converge(3)? {
                    Meeting::Here(_) => self.shuffle(s),
                    Meeting::Else(flow) => flow,
                });
            }
            Step::Vote(v) => {
                return Ok(match self.converge(usize::from(!matches!(v, Vote::Elect)))? {
                    Meeting::Here(_) => self.vote(v),
                    Meeting::Else(flow) => flow,
                });
            }
            Step::Barrier(b) => return self.barrier(b),
            Step::Matrix(m) => return self.matrix(m),
            Step::GridWait if self.mask != 0 => {
                self.st.waited = true;
                if cx.gate.holds_at_wait() {
                    return Ok(Flow::Retry(State::Held));
                }
                self.count();
            }
            Step::GridRelease if self.mask != 0 => {
                self.st.lets_start = true;
                if cx.gate.holds_at_release() {
                    return Ok(Flow::Retry(State::Held));
                }
                self.count();
            }
            Step::Lane(_)
            | Step::Approx(..)
            | Step::Load(_)
            | Step::Store(_)
            | Step::Atomic(..)
            | Step::Nop
            | Step::Discard(_)
            | Step::Pause
            | Step::GridWait
            | Step::GridRelease
            | Step::ActiveMask
            | Step::Fence(_)
            | Step::Async(_)
            | Step::Call(_)
            | Step::Branch(_)
            | Step::Exit
            | Step::Trap => self.count(),
        }
        match self.code.step {
            _ if self.mask == 0 => {}
            Step::Approx(f, tolerance) => self.approx(f, tolerance),
            Step::Load(m) => self.load(m)?,
            Step::Store(m) => self.store(m)?,
            Step::Atomic(m, a) => self.atomic(m, a)?,
            Step::ActiveMask => self.set(0, &[u64::from(self.mask); WARP]),
            Step::Fence(f) => self.fence(f),
            Step::Async(a) => {
                self.asynchronous(a)?;
                if matches!(a, Async::MbarrierWait { .. }) {
                    return Ok(Flow::Pause);
                }
            }
            Step::Call(callee) => self.call(callee)?,
            Step::Discard(space) => self.discard(space)?,
            Step::Pause | Step::GridWait | Step::GridRelease => return Ok(Flow::Pause),
            Step::Trap => {
                return Err(self.fault(FindingKind::Trap, self.mask, "the kernel executed a trap".to_owned()));
            }
            // A hint; the others have been executed.
            Step::Nop
            | Step::Lane(_)
            | Step::Branch(_)
            | Step::Exit
            | Step::Shuffle(_)
            | Step::Vote(_)
            | Step::Barrier(_)
            | Step::Matrix(_) => {}
        }
        Ok(Flow::Next)
    }

    /// A finding that ends the launch.
    fn fault(&self, kind: FindingKind, lanes: u32, message: String) -> Stop {
        self.st.fault(kind, self.pc, self.warp.id, lanes, message)
    }

    /// A finding after which execution goes on.
    fn find(&mut self, kind: FindingKind, lanes: u32, message: impl FnOnce() -> String) {
        self.st.find(kind, self.pc, self.warp.id, lanes, message);
    }
}

/// Writes lanes to a register under a mask.
#[inline]
pub(super) fn write(warp: &mut Warp, dst: &Dst, value: &Lanes, mask: u32) {
    if dst.reg == Dst::SINK {
        return;
    }
    let reg = &mut warp.regs[dst.reg as usize];
    if let Some((from, to)) = dst.extend {
        let (up, keep) = (64 - from, u64::MAX >> (64 - to));
        let extended = value.map(|v| (((v << up) as i64 >> up) as u64) & keep);
        blend(reg, &extended, mask);
    } else {
        blend(reg, value, mask);
    }
}

#[inline]
fn blend(reg: &mut Lanes, value: &Lanes, mask: u32) {
    if mask == u32::MAX {
        *reg = *value;
    } else {
        for lane in 0..WARP {
            let keep = u64::from(mask >> lane & 1).wrapping_sub(1);
            reg[lane] = reg[lane] & keep | value[lane] & !keep;
        }
    }
}
