//! Barriers, and the state of releases and acquires.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use super::shadow::{Known, Snapshot, merge_known};
use crate::table::{BarrierReduce, Scope};

/// One of a block's 16 barriers.
#[derive(Clone, Default)]
pub(super) struct Barrier {
    /// Threads that have arrived.
    pub arrived: u32,
    /// Threads that it waits for; all live ones where the instruction names no number.
    pub expected: Option<u32>,
    /// Instruction, warp and lanes of the first arrival.
    pub pc: u32,
    pub warp: u32,
    pub lanes: u32,
    /// Another instruction from which threads arrived.
    pub other_pc: Option<u32>,
    /// The reduction, how many threads have contributed, and how many with true.
    pub reduce: Option<BarrierReduce>,
    pub voted: u32,
    pub held: u32,
    /// What the arrivals order before what follows.
    pub clock: Snapshot,
}

impl Barrier {
    /// The result of a reducing barrier.
    pub fn result(&self) -> Option<u64> {
        self.reduce.map(|r| match r {
            BarrierReduce::Popc => u64::from(self.held),
            BarrierReduce::And => u64::from(self.held == self.voted),
            BarrierReduce::Or => u64::from(self.held > 0),
        })
    }
}

/// What synchronizing accesses have left at addresses, for all blocks.
#[derive(Default)]
pub(super) struct Device {
    used: AtomicBool,
    places: Mutex<HashMap<u64, Known>>,
}

impl Device {
    pub fn publish(&self, address: u64, known: &Known) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        merge_known(places.entry(address).or_default(), known);
        self.used.store(true, Relaxed);
    }

    pub fn read(&self, address: u64) -> Option<Known> {
        if !self.used.load(Relaxed) {
            return None;
        }
        self.places.lock().unwrap_or_else(PoisonError::into_inner).get(&address).cloned()
    }
}

/// The same within a cluster, and what each warp's fences make of it.
pub(super) struct Sync {
    /// By space (shared or not), address, and the block that alone sees it (none for all blocks of the cluster).
    pub places: HashMap<(bool, u64, Option<u32>), Snapshot>,
    /// For each warp: what its last fence lets later strong writes publish, and at which scope.
    pub fenced: Vec<Option<(Snapshot, Scope)>>,
    /// For each warp: what its last fence of initialized mbarriers lets a relaxed arrival at the cluster's barrier publish.
    pub initialized: Vec<Snapshot>,
    /// For each warp: what strong reads have seen, for the next fence.
    pub pending: Vec<Option<Snapshot>>,
    /// Whether a warp has waited at the cluster's barrier, so that all blocks have started.
    pub has_met: Vec<bool>,
    /// Completed phases of the cluster's barrier, and in which one each warp arrived.
    pub cluster_phase: u64,
    pub cluster_arrived: Vec<u64>,
    pub cluster_clock: Snapshot,
}

impl Sync {
    pub fn new(warps: usize) -> Self {
        Sync {
            places: HashMap::new(),
            fenced: vec![None; warps],
            initialized: vec![Snapshot::default(); warps],
            pending: vec![None; warps],
            has_met: vec![false; warps],
            cluster_phase: 0,
            cluster_arrived: vec![0; warps],
            cluster_clock: Snapshot::default(),
        }
    }
}
