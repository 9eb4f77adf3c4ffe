//! All blocks of a launch, cluster by cluster.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rayon::prelude::*;

use super::Blocks;
use super::block::{Block, Progress};
use super::context::Context;
use super::counters::{Counters, Counts, SiteCounts};
use super::findings::Findings;
use super::report::Report;
use super::shadow::{Footprint, Trace, conflicts};
use super::state::Stop;
use super::wide::measured::Measured;
use super::wide::notes::Notes;

/// Warp instructions that a block executes before the next one's turn, where
/// blocks take turns.
const TURN: u64 = 4096;

/// What some consecutive blocks did.
#[derive(Default)]
struct Outcome<'a> {
    findings: Findings,
    counts: Vec<Counts>,
    traces: Vec<Trace>,
    /// Whether a thread has come to where it waits for other launches.
    waited: bool,
    fault: Option<Stop>,
    /// Blocks that wait for others.
    waiting: Vec<Block<'a>>,
    notes: Notes,
    printed: String,
}

impl<'a> Outcome<'a> {
    /// Adds a finished block.
    fn add(&mut self, cx: &Context, block: Block, result: Result<(), Stop>) {
        if let Some(wide) = &cx.wide {
            block.warps.into_iter().for_each(|warp| wide.take_back(warp.wide));
        }
        let mut state = block.state;
        self.findings.merge(std::mem::take(&mut state.findings));
        self.add_counts(&state.counts);
        self.waited |= state.waited;
        self.notes.merge(&state.wide.notes);
        self.printed.push_str(&state.printed);
        match result {
            Err(stop) => self.fault = Some(stop),
            Ok(()) if cx.gate.overlaps() || count(cx) > 1 => self.traces.extend(state.into_trace()),
            Ok(()) => {}
        }
    }

    fn add_counts(&mut self, counts: &[Counts]) {
        if self.counts.len() < counts.len() {
            self.counts.resize(counts.len(), Counts::default());
        }
        self.counts.iter_mut().zip(counts).for_each(|(a, b)| *a += *b);
    }

    /// Adds the blocks after these. What is after a fault does not count, so
    /// that the report does not depend on how far other blocks came.
    fn then(mut self, later: Outcome<'a>) -> Outcome<'a> {
        if self.fault.is_none() {
            self.findings.merge(later.findings);
            self.add_counts(&later.counts);
            self.notes.merge(&later.notes);
            self.printed.push_str(&later.printed);
            self.waited |= later.waited;
            self.traces.extend(later.traces);
            self.fault = later.fault;
            self.waiting.extend(later.waiting);
        }
        self
    }
}

/// Runs the grid.
pub(super) fn run(cx: &Context) -> (Report, Measured) {
    let mut running = Running::new(cx);
    running.advance();
    running.finish()
}

/// How many clusters a GPU holds at once: one starts when one before it has ended, or there is room for all its blocks.
fn slots(cx: &Context) -> u64 {
    let threads = cx.block.iter().product();
    let blocks = match &cx.options.gpu {
        Some(gpu) => gpu.resident_blocks(threads, cx.layout.shared_bytes),
        None => cx.module.target.most_resident_blocks(threads, cx.layout.shared_bytes),
    };
    (blocks / u64::from(cx.blocks())).max(1)
}

/// How many clusters there are.
fn count(cx: &Context) -> u64 {
    cx.clusters().iter().map(|&n| u64::from(n)).product()
}

/// A grid under execution.
pub(super) struct Running<'a> {
    pub cx: &'a Context<'a>,
    /// As many blocks are resident at once.
    slots: u64,
    /// The next block to start.
    next: u64,
    /// Blocks that have started and wait for others, or have yet to get a turn.
    held: Vec<Block<'a>>,
    all: Outcome<'a>,
}

impl<'a> Running<'a> {
    pub fn new(cx: &'a Context<'a>) -> Self {
        let running = Running { cx, slots: slots(cx), next: 0, held: Vec::new(), all: Outcome::default() };
        if running.blocks() > running.slots {
            cx.gate.pass_release();
        }
        running
    }

    fn blocks(&self) -> u64 {
        count(self.cx)
    }

    /// Whether all blocks have ended, or one has failed.
    pub fn is_over(&self) -> bool {
        self.all.fault.is_some() || self.next == self.blocks() && self.held.is_empty()
    }

    /// Whether the launch ended early.
    pub fn has_failed(&self) -> bool {
        self.all.fault.is_some()
    }

    /// Whether a thread of a block that has ended has come to where it waits for other launches.
    pub fn has_waited(&self) -> bool {
        self.all.waited
    }

    /// Whether launches after it may start.
    pub fn has_released(&self) -> bool {
        self.is_over() || self.next == self.blocks() && self.held.iter().all(|block| block.state.lets_start)
    }

    /// Runs the blocks in order, as many at once as there are slots, to their ends, or until those that have started
    /// wait for other launches.
    pub fn advance(&mut self) {
        self.held.iter_mut().for_each(Block::let_go);
        let (cx, blocks) = (self.cx, self.blocks());
        while !self.is_over() {
            let end = blocks.min(self.next + self.slots.saturating_sub(self.held.len() as u64));
            if self.next < end {
                let mut started = match cx.options.schedule {
                    Blocks::Parallel => parallel(cx, self.next..end),
                    Blocks::Interleaved => {
                        let waiting = (self.next..end).map(|n| Block::new(cx, n)).collect();
                        Outcome { waiting, ..Outcome::default() }
                    }
                };
                self.next = end;
                self.held.append(&mut started.waiting);
                self.all = std::mem::take(&mut self.all).then(started);
            }
            let is_full = self.held.len() as u64 >= self.slots || self.next == blocks;
            if self.all.fault.is_none() && is_full && !self.held.is_empty() {
                let (mut ran, are_held) = in_turn(cx, std::mem::take(&mut self.held), blocks - self.next);
                self.held.append(&mut ran.waiting);
                self.all = std::mem::take(&mut self.all).then(ran);
                if are_held {
                    return;
                }
            }
        }
    }

    /// What the launch has done to global memory so far.
    pub fn footprint(&self) -> Footprint {
        let mut footprint = Footprint::of(&self.all.traces);
        self.held.iter().for_each(|block| block.state.footprint(&mut footprint));
        footprint.sorted()
    }

    /// Its report.
    pub fn finish(mut self) -> (Report, Measured) {
        let (cx, all) = (self.cx, &mut self.all);
        if let Some(fault) = all.fault.take() {
            all.findings.push(*fault);
        } else {
            conflicts(&all.traces, |c| all.findings.cross_clash(&c));
        }
        let measured = Measured::new(cx, &all.notes);
        let printed = std::mem::take(&mut all.printed);
        let findings = std::mem::take(&mut all.findings).finish(cx);
        (Report { findings, counters: counters(cx, &all.counts), printed }, measured)
    }
}

fn parallel<'a>(cx: &'a Context<'a>, blocks: std::ops::Range<u64>) -> Outcome<'a> {
    let first_fault = AtomicU64::new(u64::MAX);
    blocks
        .into_par_iter()
        .fold(Outcome::default, |mut sum, number| {
            // mutants: same [< to <=], only time
            if number < first_fault.load(Relaxed) {
                let mut block = Block::new(cx, number);
                match block.run(u64::MAX) {
                    Ok(Progress::Waiting | Progress::Held) => sum.waiting.push(block),
                    Ok(_) => sum.add(cx, block, Ok(())),
                    Err(stop) => {
                        // mutants: same, only time
                        first_fault.fetch_min(number, Relaxed);
                        sum.add(cx, block, Err(stop));
                    }
                }
            }
            sum
        })
        .reduce(Outcome::default, Outcome::then)
}

/// Runs blocks in turn, each some instructions, to their ends; or, where `more` have yet to start, until there is
/// room for one, or until none can go on without other launches, which it tells. Those that still run are among the
/// outcome's waiting.
fn in_turn<'a>(cx: &'a Context<'a>, mut running: Vec<Block<'a>>, more: u64) -> (Outcome<'a>, bool) {
    let mut are_held = false;
    let mut done: BTreeMap<u64, (Block, Result<(), Stop>)> = BTreeMap::new();
    while !are_held && !running.is_empty() && (more == 0 || done.is_empty()) {
        let changes = |blocks: &[Block]| blocks.iter().map(|b| b.state.changes).sum::<u64>();
        let before = changes(&running);
        let mut still = Vec::with_capacity(running.len());
        let (mut progress, mut failed) = (false, false);
        for mut block in running {
            block.look_again();
            let result = block.run(TURN);
            progress |= !matches!(result, Ok(Progress::Waiting | Progress::Held));
            match result {
                Ok(Progress::Running | Progress::Waiting | Progress::Held) => still.push(block),
                Ok(Progress::Done) => _ = done.insert(block.state.number, (block, Ok(()))),
                Err(stop) => {
                    failed = true;
                    done.insert(block.state.number, (block, Err(stop)));
                    break;
                }
            }
        }
        running = if failed { Vec::new() } else { still };
        let is_stuck = !failed && !progress && changes(&running) == before;
        are_held = is_stuck && running.iter().any(Block::is_held);
        if is_stuck && !are_held {
            let why = waits(cx, running.len(), more);
            let block = running.swap_remove(0);
            let stop = block.endless(&why);
            running.clear();
            done.insert(block.state.number, (block, Err(stop)));
        }
    }
    let mut all = done.into_values().fold(Outcome::default(), |sum, (block, result)| {
        let mut one = Outcome::default();
        one.add(cx, block, result);
        sum.then(one)
    });
    all.waiting = running;
    (all, are_held)
}

/// What it says of blocks that wait for each other, and of those that could not start.
fn waits(cx: &Context, blocks: usize, more: u64) -> String {
    let (blocks, more) = (blocks as u64 * u64::from(cx.blocks()), more * u64::from(cx.blocks()));
    match (blocks, more) {
        (1, 0) => "the block waits for memory that no thread changes any more".to_owned(),
        (n, 0) => format!("{n} blocks wait for memory that no thread of the grid changes any more, this one"),
        (n, more) => {
            let gpu = match &cx.options.gpu {
                Some(gpu) => format!("a GPU named {}", gpu.name),
                None => format!("the largest {} GPU", cx.module.target),
            };
            format!(
                "{n} blocks, as many as {gpu} holds at once, wait for memory that none of them changes, and the \
                 other {more} start only when one ends (launch fewer blocks where they wait for each other); this one waits"
            )
        }
    }
}

fn counters(cx: &Context, counts: &[Counts]) -> Counters {
    let mut counters = Counters::default();
    for (pc, (&counts, &(_, _, form))) in counts.iter().zip(&cx.program.sites).enumerate() {
        counters.sites.push(SiteCounts { site: cx.site(pc as u32), form, counts });
        counters.total += counts;
    }
    counters
}
