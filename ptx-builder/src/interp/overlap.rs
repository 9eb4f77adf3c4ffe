//! Launches that overlap: programmatic dependent launch.
//!
//! A launch that may start early starts as soon as hardware could let it: when each block of the launch before it has
//! reached `griddepcontrol.launch_dependents` or ended. It runs to its `griddepcontrol.wait` before the running launches
//! continue, and what it has touched until then is compared with everything that they do: hardware may order the two either way.

use super::context::Context;
use super::gate::Gate;
use super::grid::Running;
use super::launch::{Globals, Launch, LaunchError};
use super::memory::Memory;
use super::report::{Finding, FindingKind, Other, Report};
use super::shadow::{Footprint, Meeting, meetings};
use crate::types::Space;

/// A launch among others.
#[derive(Clone, Copy, Debug)]
pub struct Overlapping<'a> {
    /// The launch.
    pub launch: Launch<'a>,
    /// Whether it may start before the one before it has ended: its kernel waits for that itself.
    pub is_early: bool,
}

/// Runs launches in order, those that may start early as early as hardware could. The reports are theirs, in order; after
/// a fault there are no more. Accesses that come too early are [`FindingKind::EarlyAccess`] of the launch that makes
/// them, if races are looked for.
///
/// # Errors
/// If the arguments or shapes of one are not what its kernel or a GPU takes; nothing has run then.
pub fn run_overlapping(launches: &[Overlapping<'_>], memory: &mut Memory) -> Result<Vec<Report>, LaunchError> {
    let numbers = launches.iter().map(|l| l.launch.checked()).collect::<Result<Vec<_>, _>>()?;
    let mut globals = Vec::with_capacity(launches.len());
    let placed = launches.iter().try_for_each(|l| {
        globals.push(l.launch.place_globals(memory)?);
        Ok::<(), LaunchError>(())
    });
    let ran = placed.and_then(|()| run(launches, &numbers, &globals, memory));
    globals.into_iter().flatten().for_each(|g| g.free(memory));
    ran
}

fn run(
    launches: &[Overlapping<'_>],
    numbers: &[usize],
    globals: &[Option<Globals>],
    memory: &Memory,
) -> Result<Vec<Report>, LaunchError> {
    let mut contexts = Vec::with_capacity(launches.len());
    for ((Overlapping { launch, is_early }, &number), globals) in launches.iter().zip(numbers).zip(globals) {
        let cx = launch.context(number, launch.addresses(globals.as_ref()), memory, false)?;
        // It is known only when it starts whether it has anything to wait for; the line opens the gate.
        contexts.push(Context { gate: Gate::closed(*is_early), ..cx });
    }
    let mut line = Line::default();
    let started = contexts.iter().zip(launches).try_for_each(|(cx, launch)| line.start(cx, launch.is_early));
    // After a fault there are no more reports.
    let _ = started.and_then(|()| line.finish_all());
    Ok(line.reports)
}

/// A running launch.
struct AtWork<'a> {
    running: Running<'a>,
    is_early: bool,
    /// What it has done before it has waited, if there was anything to wait for.
    early: Footprint,
    found: Vec<Finding>,
}

/// One has failed.
struct Failed;

/// The running launches, the oldest first, and the reports of earlier ones.
#[derive(Default)]
struct Line<'a> {
    at_work: Vec<AtWork<'a>>,
    reports: Vec<Report>,
}

impl<'a> Line<'a> {
    /// Starts a launch as early as it may.
    fn start(&mut self, cx: &'a Context<'a>, is_early: bool) -> Result<(), Failed> {
        if !is_early {
            self.finish_all()?;
        }
        while self.at_work.last().is_some_and(|last| !last.running.has_released()) {
            self.finish_oldest_but_last()?;
        }
        if self.at_work.is_empty() {
            cx.gate.end_wait();
        }
        let mut next = AtWork { running: Running::new(cx), is_early, early: Footprint::default(), found: Vec::new() };
        next.go_on();
        self.at_work.push(next);
        // Those before it, which have only stopped to let it start, go on to where they wait.
        let before = self.at_work.len() - 1;
        for at_work in self.at_work[..before].iter_mut().filter(|w| w.running.cx.gate.holds_at_wait()) {
            at_work.running.cx.gate.pass_release();
            at_work.go_on();
        }
        Ok(())
    }

    /// Brings the newest launch nearer to where it lets others start: ends the oldest, or lets it wait no longer.
    fn finish_oldest_but_last(&mut self) -> Result<(), Failed> {
        if self.at_work.len() > 1 {
            self.finish_oldest()?;
        }
        if let [last] = &mut self.at_work[..] {
            last.running.cx.gate.end_wait();
            last.running.advance();
            if !last.running.has_released() {
                // It waits for nothing any more, and will never release in all blocks.
                last.running.cx.gate.pass_release();
                last.running.advance();
            }
        }
        Ok(())
    }

    /// Ends the oldest launch, which none before it keeps from that.
    fn finish_oldest(&mut self) -> Result<(), Failed> {
        let mut oldest = self.at_work.remove(0);
        let cx = oldest.running.cx;
        cx.gate.end_wait();
        cx.gate.pass_release();
        oldest.running.advance();
        let footprint = oldest.running.footprint();
        for later in &mut self.at_work {
            let found = |m: Meeting| later.found.push(finding(later.running.cx, cx, &m));
            meetings(&later.early, &footprint, found);
        }
        let failed = oldest.running.has_failed();
        if oldest.is_early && !failed && !oldest.running.has_waited() {
            oldest.found.push(never_waited(cx));
        }
        let (mut report, _) = oldest.running.finish();
        report.findings.append(&mut oldest.found);
        self.reports.push(report);
        if failed { Err(Failed) } else { Ok(()) }
    }

    fn finish_all(&mut self) -> Result<(), Failed> {
        while !self.at_work.is_empty() {
            self.finish_oldest()?;
        }
        Ok(())
    }
}

impl AtWork<'_> {
    /// Runs it as far as it gets, and keeps what it does before it has waited.
    fn go_on(&mut self) {
        self.running.advance();
        if self.running.cx.gate.holds_at_wait() {
            self.early = self.running.footprint();
        }
    }
}

/// What is wrong with a launch that may start early and never waits.
fn never_waited(cx: &Context) -> Finding {
    Finding {
        kind: FindingKind::EarlyAccess,
        kernel: cx.kernel.name.clone(),
        block: [0; 3],
        warp: 0,
        lanes: 1,
        site: cx.site(u32::MAX),
        other: None,
        message:
            "no thread of it has come to its wait for the launches before, so that it may end before they have, and \
                  those after it start too early: let one thread at least wait, or launch it when the other has ended"
                .to_owned(),
        count: 1,
    }
}

/// What is wrong where `this` has touched memory early that `other` touches.
fn finding(this: &Context, other: &Context, meeting: &Meeting) -> Finding {
    let did = |write: bool| if write { "writes" } else { "reads" };
    let ((block, mark), (with, also)) = (meeting.this, meeting.other);
    let element = this.element_and(Space::Global, meeting.address, mark.pc, ", ");
    let (name, before) = (&this.kernel.name, &other.kernel.name);
    Finding {
        kind: FindingKind::EarlyAccess,
        kernel: name.clone(),
        block: this.ctaid(block, mark.warp()),
        warp: this.warp_in_block(mark.warp()),
        lanes: 1 << mark.lane(),
        site: this.site(mark.pc),
        other: Some(Other {
            site: other.site(also.pc),
            block: other.ctaid(with, also.warp()),
            warp: other.warp_in_block(also.warp()),
            lane: also.lane(),
        }),
        message: format!(
            "before it waits it {} {element}global memory at {:#x}, which '{before}' {}; '{name}' may start before \
             '{before}' has ended: touch it after `k.grid_dependency_wait()`, or launch it when the other has ended",
            did(mark.write),
            meeting.address,
            did(also.write)
        ),
        count: 1,
    }
}
