//! Random well-typed kernels, for property tests of everything that takes a
//! module. Behind the feature `random-modules`.
//!
//! A [`Plan`] is data that proptest makes and shrinks; [`Plan::module`] turns
//! any plan into a module that verifies and assembles, that terminates, reads
//! and writes only within its buffers, races with nobody, and leaves all that
//! it computed in its output, so that two runs can be compared. Which
//! instructions appear is up to the plan; every row of the table can.

mod generate;
mod memory;
mod operands;
mod protocol;

use proptest::prelude::*;

use crate::ir::Module;
use crate::table::{Row, table};
use crate::target::Target;

/// How a generated kernel is to be launched: `grid` blocks of `block` threads,
/// arguments `input` (64-bit address of [`Shape::INPUT`] bytes, any content),
/// `output` (of [`Shape::OUTPUT`] bytes, written or not), and `options`
/// ([`Shape::OPTIONS`] bytes by value).
#[derive(Clone, Copy, Debug)]
pub struct Shape;

impl Shape {
    /// The kernel's name.
    pub const KERNEL: &'static str = "generated";
    /// Threads of a block, in one dimension: two warps.
    pub const BLOCK: u32 = 64;
    /// Blocks of the grid, in one dimension.
    pub const GRID: u32 = 2;
    /// Bytes of the input buffer, which needs an alignment of 16.
    pub const INPUT: u64 = 4096;
    /// Bytes of the output buffer, which needs an alignment of 16 and whose
    /// content before the launch should be fixed.
    pub const OUTPUT: u64 = (Shape::GRID * Shape::BLOCK) as u64 * Shape::SLICE;
    /// Bytes of the array parameter.
    pub const OPTIONS: u32 = 64;
    /// Bytes of the output that belong to one thread.
    pub const SLICE: u64 = 1024;
}

/// A kernel to be.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    /// What it is written for; instructions that the target lacks are replaced.
    pub target: Target,
    /// What it does.
    pub steps: Vec<Step>,
}

/// One step of a plan. Numbers choose among what is possible where the step
/// stands, modulo its count, so that every plan is valid.
#[derive(Clone, PartialEq, Debug)]
pub enum Step {
    /// An instruction of row `row`, with random form, operands and guard.
    Inst {
        /// Which row.
        row: u16,
        /// Seed of the other choices.
        seed: u32,
    },
    /// Two ways on a condition that differs from thread to thread.
    If {
        /// Seed of the condition's choice.
        seed: u32,
        /// Where it holds.
        then: Vec<Step>,
        /// Where it does not.
        otherwise: Vec<Step>,
    },
    /// Steps repeated 1 to 4 times, the same number in all threads.
    Repeat {
        /// How often.
        trips: u8,
        /// What.
        body: Vec<Step>,
    },
}

impl Plan {
    /// The module of this plan.
    pub fn module(&self) -> Module {
        generate::module(self)
    }
}

/// Whether generated kernels may have instructions of this row. Those that
/// wait for other threads' arrivals, or end the grid, are left out.
pub fn can_generate(row: &Row) -> bool {
    row.forms().iter().any(generate::is_known)
}

/// Plans for any of [`Target::TESTED`], up to some sixty instructions with
/// nested control flow.
pub fn plans() -> impl Strategy<Value = Plan> {
    plans_with(|_| true)
}

/// As [`plans`], with instructions of these rows only (and what they need
/// around them).
pub fn plans_with(wanted: impl Fn(&Row) -> bool) -> impl Strategy<Value = Plan> {
    let rows = table().rows().iter().enumerate().filter(|(_, row)| wanted(row)).map(|(i, _)| i as u16);
    (0..Target::TESTED.len(), prop::collection::vec(step(rows.collect()), 0..24))
        .prop_map(|(target, steps)| Plan { target: Target::TESTED[target], steps })
}

/// Plans of one instruction of each of these rows: all of the table over time.
pub fn plans_of_rows(rows: std::ops::Range<usize>) -> impl Strategy<Value = Plan> {
    let insts: Vec<_> =
        rows.map(|row| any::<u32>().prop_map(move |seed| Step::Inst { row: row as u16, seed })).collect();
    (0..Target::TESTED.len(), insts).prop_map(|(target, steps)| Plan { target: Target::TESTED[target], steps })
}

fn step(rows: Vec<u16>) -> impl Strategy<Value = Step> {
    let inst = (prop::sample::select(rows), any::<u32>()).prop_map(|(row, seed)| Step::Inst { row, seed });
    inst.prop_recursive(3, 32, 6, |inner| {
        let some = || prop::collection::vec(inner.clone(), 0..6);
        prop_oneof![
            6 => inner.clone(),
            1 => (any::<u32>(), some(), some())
                .prop_map(|(seed, then, otherwise)| Step::If { seed, then, otherwise }),
            1 => (0..4u8, some()).prop_map(|(trips, body)| Step::Repeat { trips, body }),
        ]
    })
}
