//! Shapes and schedules: what a kernel computes on, and how.

use ptxgen_builder::target::Target;

use super::Machine;
use crate::format::Q4K;
use crate::precision::{Acc, Act, Policy};

/// The shape of a matrix, specialized into its kernel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Shape {
    /// Rows: outputs.
    pub rows: u32,
    /// Columns: inputs, a multiple of 256.
    pub cols: u32,
}

/// How a matrix kernel divides its work. No value changes a bit of the result.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Schedule {
    /// Rows that a group of lanes computes one after the other with the same activations in registers.
    pub rows: u32,
    /// Groups of lanes that share a row (a power of two): the split of K. Limited by the row and the warp.
    pub split: u32,
    /// Warps per block.
    pub warps: u32,
    /// Tiles of weights in flight in each warp.
    pub slots: u32,
    /// Blocks of the grid, each of which takes several tiles in turn; if `None`, as many as there are tiles.
    pub blocks: Option<u32>,
}

/// How a kernel is generated. Nothing in it changes a bit of the result.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct How {
    /// The schedule.
    pub schedule: Schedule,
    /// The target.
    pub target: Target,
    /// Whether the kernel uses programmatic dependent launch, from sm_90 on: it prefetches what does not depend on the
    /// previous kernel, then waits for that kernel.
    pub pdl: bool,
}

impl How {
    /// Without programmatic dependent launch.
    pub fn new(schedule: Schedule, target: Target) -> How {
        How { schedule, target, pdl: false }
    }

    /// Whether to emit its instructions.
    pub(super) fn waits(&self) -> bool {
        self.pdl && self.target.sm() >= 90
    }
}

impl Default for Schedule {
    /// Four rows at a time, the warp on one row, four warps, four tiles in flight: for short rows, such as the down
    /// projections', fewer tiles do not keep the memory busy.
    fn default() -> Self {
        Schedule { rows: 4, split: 8, warps: 4, slots: 4, blocks: None }
    }
}

impl Schedule {
    /// For a matrix of `rows` rows: the model's output projection has so many that a warp takes
    /// several tiles. f32 activations are staged once for as many rows as possible, and lanes have half
    /// of a long row: what is summed across lanes costs more than what is loaded.
    pub(super) fn gemv(rows: u32, act: Act, machine: Machine) -> Schedule {
        let usual = Schedule::default();
        match act {
            Act::Q8K if rows < 1 << 14 => usual,
            Act::Q8K => Schedule { rows: 2, warps: 8, slots: 2, ..usual },
            Act::F32 if rows < 1 << 9 => usual,
            Act::F32 if rows < 1 << 14 => {
                let rows = if rows < 1 << 12 { 1 } else { 2 };
                Schedule { rows, split: 4, slots: 2, blocks: Some(machine.multiprocessors()), ..usual }
            }
            Act::F32 => Schedule { slots: 1, ..usual },
        }
    }

    /// The same for a format with so many bytes a block. Those of fewer than Q4_K's take more instructions for each: of many
    /// rows, blocks that run at once take several tiles in turn, and find their places, and copy a code book, only once.
    pub(super) fn gemv_of_integers(rows: u32, act: Act, block_bytes: usize, machine: Machine) -> Schedule {
        let usual = Schedule::gemv(rows, act, machine);
        match act {
            Act::Q8K if rows >= 1 << 14 && block_bytes < Q4K::BYTES => {
                Schedule { blocks: Some(4 * machine.multiprocessors()), ..usual }
            }
            _ => usual,
        }
    }

    /// For attention's projections of a norm that the kernel computes itself. With f32 activations many lanes have
    /// their own rows, because sums across lanes cost more than loads.
    pub(super) fn behind_norm(act: Act) -> Schedule {
        let usual = Schedule { warps: 8, ..Schedule::default() };
        match act {
            Act::Q8K => usual,
            Act::F32 => Schedule { rows: 1, split: 2, ..usual },
        }
    }

    /// For the experts' gate and up projections: two tiles under way in each warp, and no more blocks
    /// than there are multiprocessors, so that all have the same work; with f32 activations, which
    /// compute more, twice as many.
    pub(super) fn gate_up(rows: u32, act: Act, machine: Machine) -> Schedule {
        let usual = Schedule { warps: 8, slots: 2, ..Schedule::default() };
        match act {
            _ if rows < 1 << 9 => Schedule::default(),
            Act::Q8K => Schedule { rows: 2, blocks: Some(machine.multiprocessors()), ..usual },
            Act::F32 => Schedule { rows: 1, blocks: Some(2 * machine.multiprocessors()), ..usual },
        }
    }

    /// For the attention of one token: rows are query heads, and blocks share the chunks, one chunk each if there are
    /// fewer. For a short cache each head has its own block; for a long one a block has all heads that share keys and
    /// values, which are then read once, in one round of blocks.
    pub(super) fn decode_attention(positions: u32) -> Schedule {
        let usual = Schedule { blocks: Some(1024), ..Schedule::default() };
        match positions {
            ..=1024 => Schedule { rows: 1, ..usual },
            1025..=2048 => usual,
            _ => Schedule { rows: 8, warps: 8, ..usual },
        }
    }

    /// For rows of several experts at once: if they are short, a group of lanes has whole rows. In f64, two rows exceed
    /// the registers of some GPUs.
    pub(super) fn experts_at_once(cols: u32, policy: Policy) -> Schedule {
        let usual = Schedule { warps: 8, ..Schedule::default() };
        let rows = if (policy.act, policy.acc) == (Act::F32, Acc::F64) { 1 } else { 2 };
        if cols <= 2048 { Schedule { rows, split: 1, ..usual } } else { usual }
    }

    /// The next smaller schedule in shared memory, `None` for the smallest. Warps are reduced before rows, because
    /// activations are loaded once per set of rows.
    pub fn smaller(self) -> Option<Schedule> {
        match self {
            Schedule { slots: 3.., .. } => Some(Schedule { slots: self.slots / 2, ..self }),
            Schedule { warps: 3.., .. } => Some(Schedule { warps: self.warps / 2, ..self }),
            Schedule { rows: 2.., .. } => Some(Schedule { rows: self.rows / 2, ..self }),
            Schedule { slots: 2.., .. } => Some(Schedule { slots: 1, ..self }),
            Schedule { warps: 2.., .. } => Some(Schedule { warps: 1, ..self }),
            _ => None,
        }
    }
}
