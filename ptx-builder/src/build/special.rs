//! Special registers.

use super::val::compute;
use super::{Body, Val};
use crate::ir::Operand;
use crate::table::{Mod, Op, SpecialReg};

#[track_caller]
fn read32(reg: SpecialReg) -> Val<u32> {
    compute(Op::Mov, &[Mod::Ty(reg.ty())], &[Operand::Special(reg)])
}

#[track_caller]
fn read64(reg: SpecialReg) -> Val<u64> {
    compute(Op::Mov, &[Mod::Ty(reg.ty())], &[Operand::Special(reg)])
}

macro_rules! specials {
    ($($(#[$doc:meta])* $name:ident = $read:ident $reg:ident -> $t:ty;)*) => {
        impl Body {
            $(
                $(#[$doc])*
                #[track_caller]
                pub fn $name(&self) -> Val<$t> {
                    $read(SpecialReg::$reg)
                }
            )*
        }
    };
}

specials! {
    /// The thread's index in its block, x.
    thread_x = read32 TidX -> u32;
    /// The thread's index in its block, y.
    thread_y = read32 TidY -> u32;
    /// The thread's index in its block, z.
    thread_z = read32 TidZ -> u32;
    /// The block's size, x.
    block_dim_x = read32 NtidX -> u32;
    /// The block's size, y.
    block_dim_y = read32 NtidY -> u32;
    /// The block's size, z.
    block_dim_z = read32 NtidZ -> u32;
    /// The block's index in the grid, x.
    block_x = read32 CtaidX -> u32;
    /// The block's index in the grid, y.
    block_y = read32 CtaidY -> u32;
    /// The block's index in the grid, z.
    block_z = read32 CtaidZ -> u32;
    /// The grid's size in blocks, x.
    grid_dim_x = read32 NctaidX -> u32;
    /// The grid's size in blocks, y.
    grid_dim_y = read32 NctaidY -> u32;
    /// The grid's size in blocks, z.
    grid_dim_z = read32 NctaidZ -> u32;
    /// The lane's index in its warp, 0 to 31.
    lane = read32 Laneid -> u32;
    /// The multiprocessor on which the block currently runs.
    sm_id = read32 Smid -> u32;
    /// The block's rank in its cluster (sm_90).
    cluster_rank = read32 ClusterCtarank -> u32;
    /// A cycle counter of the multiprocessor.
    clock64 = read64 Clock64 -> u64;
    /// Nanoseconds, with a coarse resolution.
    global_timer = read64 Globaltimer -> u64;
}

impl Body {
    /// The thread's index in the grid, x: block index times block size plus thread index.
    #[track_caller]
    pub fn global_thread_id(&self) -> Val<u32> {
        let (block, dim, thread) = (self.block_x(), self.block_dim_x(), self.thread_x());
        block.mad(dim, thread)
    }
}
