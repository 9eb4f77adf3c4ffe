//! Special registers (PTX ISA 10).

use super::Exec;
use crate::table::{Lanes, SpecialReg, WARP, window};

impl Exec<'_> {
    /// The shared address of the first byte of the thread's own block.
    pub(super) fn shared_base(&self) -> u64 {
        window::shared_base(self.cx.rank(self.warp.id))
    }

    /// A special register's value in each lane.
    ///
    /// There is one multiprocessor, number 0, and grid number 1. Clocks and
    /// timers count the warp instructions that the block has executed, so they
    /// grow, and are the same in every run.
    pub(super) fn special(&self, special: SpecialReg) -> Lanes {
        use SpecialReg::*;
        let cx = self.cx;
        let lane_mask = |f: fn(u32) -> u32| std::array::from_fn(|lane| u64::from(f(lane as u32)));
        let value = match special {
            TidX => return self.warp.tid[0],
            TidY => return self.warp.tid[1],
            TidZ => return self.warp.tid[2],
            Laneid => return std::array::from_fn(|lane| lane as u64),
            LanemaskEq => return lane_mask(|l| 1 << l),
            LanemaskLt => return lane_mask(|l| (1 << l) - 1),
            LanemaskLe => return lane_mask(|l| (1 << l) | ((1 << l) - 1)),
            LanemaskGt => return lane_mask(|l| !((1 << l) | ((1 << l) - 1))),
            LanemaskGe => return lane_mask(|l| !((1 << l) - 1)),
            NtidX => u64::from(cx.block[0]),
            NtidY => u64::from(cx.block[1]),
            NtidZ => u64::from(cx.block[2]),
            CtaidX => u64::from(cx.ctaid(self.st.number, self.warp.id)[0]),
            CtaidY => u64::from(cx.ctaid(self.st.number, self.warp.id)[1]),
            CtaidZ => u64::from(cx.ctaid(self.st.number, self.warp.id)[2]),
            NctaidX => u64::from(cx.grid[0]),
            NctaidY => u64::from(cx.grid[1]),
            NctaidZ => u64::from(cx.grid[2]),
            ClusteridX => u64::from(cx.clusterid(self.st.number)[0]),
            ClusteridY => u64::from(cx.clusterid(self.st.number)[1]),
            ClusteridZ => u64::from(cx.clusterid(self.st.number)[2]),
            NclusteridX => u64::from(cx.clusters()[0]),
            NclusteridY => u64::from(cx.clusters()[1]),
            NclusteridZ => u64::from(cx.clusters()[2]),
            Warpid => u64::from(cx.warp_in_block(self.warp.id)),
            Nwarpid => cx.warps() as u64,
            Smid => 0,
            Nsmid => 1,
            Gridid => 1,
            Clock | GlobaltimerLo => self.st.steps & 0xffff_ffff,
            ClockHi | GlobaltimerHi => self.st.steps >> 32,
            Clock64 | Globaltimer => self.st.steps,
            TotalSmemSize => cx.layout.shared_bytes,
            DynamicSmemSize => u64::from(cx.dynamic_shared),
            ClusterCtaidX => u64::from(cx.cluster_ctaid(cx.rank(self.warp.id))[0]),
            ClusterCtaidY => u64::from(cx.cluster_ctaid(cx.rank(self.warp.id))[1]),
            ClusterCtaidZ => u64::from(cx.cluster_ctaid(cx.rank(self.warp.id))[2]),
            ClusterCtarank => u64::from(cx.rank(self.warp.id)),
            ClusterNctaidX => u64::from(cx.cluster[0]),
            ClusterNctaidY => u64::from(cx.cluster[1]),
            ClusterNctaidZ => u64::from(cx.cluster[2]),
            ClusterNctarank => u64::from(cx.blocks()),
            IsExplicitCluster => u64::from(cx.names_cluster()),
            // Nothing of shared memory is reserved.
            AggrSmemSize => cx.layout.shared_bytes,
            // Counters of a profiler, and `%envreg0` to `%envreg31`, which the driver would set.
            _ => 0,
        };
        [value; WARP]
    }
}
