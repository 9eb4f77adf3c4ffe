//! The shared memory of matrix kernels: rings of tiles in flight, staged vectors.

use ptxgen_builder::build::{Body, Shared};
use ptxgen_builder::target::Target;

use super::limits::SHARED_LIMIT;
use super::plan::Plan;
use super::stage::Resources;
use crate::device::{DeviceFloat, Threads, stage};

/// Shared memory of a block, for one product after the other.
#[derive(Clone, Copy)]
pub(super) struct Memory<A> {
    pub rings: Shared<u8>,
    pub staging: Option<Shared<A>>,
    pub scales: Option<Shared<f32>>,
    /// The formats' code book, which is being [staged](stage).
    pub grid: Option<Shared<u32>>,
}

/// Bytes of a block's shared memory.
#[derive(Clone, Copy)]
struct Room {
    rings: u32,
    staging: u32,
    may_be_dynamic: bool,
}

impl Room {
    /// Enough for each of these products.
    fn of(plans: &[&Plan]) -> Room {
        let most = |f: fn(&Plan) -> u32| plans.iter().map(|p| f(p)).max().unwrap_or(0);
        Room {
            rings: most(|p| p.schedule.warps * p.ring_bytes()).next_multiple_of(16),
            staging: most(Plan::staged_bytes),
            may_be_dynamic: plans.iter().all(|p| p.may_add_shared),
        }
    }

    /// Whether staging is an array of the kernel's own, if rings are not.
    fn stages_apart(&self) -> bool {
        u64::from(self.staging) <= SHARED_LIMIT / 4 * 3
    }

    /// Those that the launch adds to the kernel's own, where there are more than those may be.
    fn dynamic(&self) -> u32 {
        let all = self.rings + self.staging;
        match self.may_be_dynamic && u64::from(all) > SHARED_LIMIT / 32 * 31 {
            false => 0,
            true if self.stages_apart() => self.rings,
            true => all,
        }
    }
}

impl<A: DeviceFloat> Memory<A> {
    /// Enough for each of these products. Their code book is on its way: products wait for it.
    #[track_caller]
    pub(super) fn new(k: &Body, plans: &[&Plan]) -> Memory<A> {
        let room = Room::of(plans);
        let dynamic = (room.dynamic() > 0).then(|| k.dynamic_shared::<u8>());
        let rings = dynamic.unwrap_or_else(|| k.shared(room.rings));
        let staging = (room.staging > 0).then(|| match dynamic {
            Some(rings) if !room.stages_apart() => rings.plus_bytes(room.rings).cast(),
            _ => k.shared(room.staging / A::TY.bytes()),
        });
        let scales = plans.iter().map(|p| p.made_scales()).max().filter(|&n| n > 0).map(|n| k.shared(n));
        let threads = |plan: &Plan| Threads { this: k.thread_x(), count: plan.threads() };
        // Formats of one kernel that have a code book have the same.
        let grid = plans.iter().find_map(|p| p.grid.map(|points| stage(k, points, p.mode, threads(p))));
        Memory { rings, staging, scales, grid }
    }
}

/// What a stage that has the [`Memory`] of these products takes of a launch.
pub(super) fn resources(blocks: [u32; 3], plans: &[&Plan], target: Target) -> Resources {
    Resources::new(blocks, plans[0].threads()).with_shared(Room::of(plans).dynamic(), target)
}
