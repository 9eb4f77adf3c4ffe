//! All blocks of a launch.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rayon::prelude::*;

use super::Blocks;
use super::block::{Block, Context, Progress, Stop};
use super::counters::{Counters, Counts, SiteCounts};
use super::findings::Findings;
use super::report::Report;
use super::shadow::{Trace, conflicts};

/// Warp instructions that a block executes before the next one's turn, where
/// blocks take turns.
const TURN: u64 = 4096;

/// What some consecutive blocks did.
#[derive(Default)]
struct Outcome {
    findings: Findings,
    counts: Vec<Counts>,
    traces: Vec<Trace>,
    fault: Option<Stop>,
}

impl Outcome {
    /// Adds a finished block.
    fn add(&mut self, cx: &Context, block: Block, result: Result<(), Stop>) {
        let mut state = block.state;
        self.findings.merge(std::mem::take(&mut state.findings));
        self.add_counts(&state.counts);
        match result {
            Err(stop) => self.fault = Some(stop),
            Ok(()) if cx.grid.iter().any(|&n| n > 1) => self.traces.extend(state.into_trace()),
            Ok(()) => {}
        }
    }

    fn add_counts(&mut self, counts: &[Counts]) {
        if self.counts.len() < counts.len() {
            self.counts.resize(counts.len(), Counts::default());
        }
        self.counts.iter_mut().zip(counts).for_each(|(a, b)| *a += *b);
    }

    /// Adds the blocks after these. What is behind a fault does not count, so
    /// that the report does not depend on how far other blocks came.
    fn then(mut self, later: Outcome) -> Outcome {
        if self.fault.is_none() {
            self.findings.merge(later.findings);
            self.add_counts(&later.counts);
            self.traces.extend(later.traces);
            self.fault = later.fault;
        }
        self
    }
}

/// Runs the grid.
pub(super) fn run(cx: &Context) -> Report {
    let blocks = cx.grid.iter().map(|&n| u64::from(n)).product();
    let mut all = match cx.options.schedule {
        Blocks::Parallel => parallel(cx, blocks),
        Blocks::Interleaved => interleaved(cx, blocks),
    };
    if let Some(fault) = all.fault {
        all.findings.push(*fault);
    } else {
        conflicts(&all.traces, |c| all.findings.cross_clash(&c));
    }
    Report { findings: all.findings.finish(cx), counters: counters(cx, &all.counts) }
}

fn parallel(cx: &Context, blocks: u64) -> Outcome {
    let first_fault = AtomicU64::new(u64::MAX);
    (0..blocks)
        .into_par_iter()
        .fold(Outcome::default, |mut sum, number| {
            if number < first_fault.load(Relaxed) {
                let mut block = Block::new(cx, number);
                let result = block.run(u64::MAX).map(|_| ());
                if result.is_err() {
                    first_fault.fetch_min(number, Relaxed);
                }
                sum.add(cx, block, result);
            }
            sum
        })
        .reduce(Outcome::default, Outcome::then)
}

fn interleaved(cx: &Context, blocks: u64) -> Outcome {
    let mut running: Vec<Block> = (0..blocks).map(|number| Block::new(cx, number)).collect();
    let mut results: Vec<Option<(Block, Result<(), Stop>)>> = (0..blocks).map(|_| None).collect();
    while !running.is_empty() {
        let mut still = Vec::with_capacity(running.len());
        for mut block in running {
            match block.run(TURN) {
                Ok(Progress::Running) => still.push(block),
                result => {
                    let number = block.state.number as usize;
                    let failed = result.is_err();
                    results[number] = Some((block, result.map(|_| ())));
                    if failed {
                        still.clear();
                        break;
                    }
                }
            }
        }
        running = if results.iter().flatten().any(|(_, r)| r.is_err()) { Vec::new() } else { still };
    }
    results.into_iter().flatten().fold(Outcome::default(), |sum, (block, result)| {
        let mut one = Outcome::default();
        one.add(cx, block, result);
        sum.then(one)
    })
}

fn counters(cx: &Context, counts: &[Counts]) -> Counters {
    let mut counters = Counters::default();
    for (pc, (&counts, &(_, _, form))) in counts.iter().zip(&cx.program.sites).enumerate() {
        counters.sites.push(SiteCounts { site: cx.site(pc as u32), form, counts });
        counters.total += counts;
    }
    counters
}
