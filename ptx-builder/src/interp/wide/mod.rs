//! Shadow precision: what each float would be in arithmetic without rounding.
//!
//! A float's *shadow* is its value plus an error, an f64 that is stored in addition to the value's own bits: real = value + error.
//! The two together have at least 29 bits more than the value (53 more for an f64), and no error's own rounding
//! matters. With it go the instruction whose rounding is the greatest part of the error, and the one that amplified it most.
//!
//! What an instruction does with errors follows from the fact in its row ([`Precision`](crate::table::Precision)); this code
//! shares none with the proof of precision, so that each is a witness of the other.
//!
//! - [`shape`]: which parts of a register have which shadow: halves, pairs, pieces of an f64.
//! - [`real`]: the errors of functions of real numbers; [`convert`]: of conversions; [`combine`]: whose they are.
//! - [`bits`]: values that are moved as bits.
//! - [`pages`], [`store`]: shadows in memory.
//! - [`notes`], [`measured`], [`summary`]: the report after the launch.

pub(super) mod bits;
pub(super) mod combine;
pub(super) mod convert;
pub(super) mod measured;
pub(super) mod notes;
pub(super) mod pages;
pub(super) mod plan;
pub(super) mod real;
pub(super) mod regs;
pub(super) mod shape;
pub(super) mod store;
pub(super) mod summary;
#[cfg(test)]
mod tables;
mod who;

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::program::Program;
use crate::table::WARP;
use notes::Notes;
use pages::Pages;
use plan::Plan;
use regs::Regs;
use store::Global;
pub(super) use who::Who;

/// A number for each lane.
pub(super) type Numbers = [f64; WARP];

/// No error in any lane.
pub(super) static ZERO: Numbers = [0.0; WARP];

/// The errors of one value a lane, and whose they are.
#[derive(Clone)]
pub(super) struct Plane {
    /// Real number less value; 0 where the value is exact.
    pub err: Numbers,
    pub who: [Who; WARP],
}

impl Plane {
    pub const EXACT: Plane = Plane { err: [0.0; WARP], who: [Who::NONE; WARP] };

    /// Whether no lane of a mask has an error.
    pub fn is_exact(&self, mask: u32) -> bool {
        self.err.iter().enumerate().all(|(lane, &e)| e == 0.0 || mask >> lane & 1 == 0)
    }
}

/// What a launch needs to follow shadows.
pub(super) struct Wide {
    plans: Vec<Plan>,
    registers: usize,
    pub global: Global,
    /// Registers of warps that have ended, to be used again.
    spare: Mutex<Vec<Regs>>,
}

impl Wide {
    pub fn new(program: &Program) -> Wide {
        let plans = program.sites.iter().map(|(.., form)| Plan::of(form.get())).collect();
        Wide { plans, registers: program.registers, global: Global::default(), spare: Mutex::default() }
    }

    fn spare(&self) -> MutexGuard<'_, Vec<Regs>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The shadows of a new warp's registers.
    pub fn registers(&self) -> Regs {
        match self.spare().pop() {
            Some(mut regs) => {
                regs.reset();
                regs
            }
            None => Regs::new(self.registers),
        }
    }

    /// Takes back those of a warp that has ended.
    pub fn take_back(&self, regs: Option<Regs>) {
        self.spare().extend(regs);
    }

    /// What becomes of errors at an instruction; nothing at the kernel's implicit end.
    pub fn plan(&self, pc: u32) -> Plan {
        self.plans.get(pc as usize).copied().unwrap_or(Plan::Exact)
    }
}

/// The shadows of a block's memory, and other reports about it.
#[derive(Default)]
pub(super) struct BlockWide {
    pub shared: Pages,
    pub local: Pages,
    pub notes: Notes,
}
