//! A stage's computation, independent of the kernel that contains it.
//!
//! A stage says how many blocks share its work and how many threads each has, and emits the code of one block. It does not
//! know whether its blocks are those of a grid or turns of the blocks of a larger kernel. [`Stage::alone`] is a kernel that
//! consists only of it: the catalogue's kernels are made in no other way.

use std::fmt;
use std::sync::Arc;

use ptxgen_builder::build::{Args, Body, Launchable, LoopControl, Merged, ParamClash, Pred, Val, kernel};
use ptxgen_builder::ir::LaunchBounds;
use ptxgen_builder::target::Target;

use super::error::CatalogueError;
use super::limits::SHARED_LIMIT;
use crate::device::Reading;

/// The resources that a stage needs from a launch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Resources {
    /// Blocks that share the work, as a grid.
    pub blocks: [u32; 3],
    /// Threads per block.
    pub threads: u32,
    /// Bytes of dynamic shared memory, and how many a block may have together with its own arrays.
    pub dynamic_shared: (u32, u32),
    /// The least number of blocks that a multiprocessor should hold, which limits a thread's registers.
    pub min_blocks: Option<u32>,
}

impl Resources {
    /// So many blocks of so many threads, without dynamic shared memory.
    pub(super) fn new(blocks: [u32; 3], threads: u32) -> Resources {
        Resources { blocks, threads, dynamic_shared: (0, 0), min_blocks: None }
    }

    /// With this dynamic shared memory on a target.
    pub(super) fn with_shared(self, bytes: u32, target: Target) -> Resources {
        Resources { dynamic_shared: (bytes, target.max_shared_bytes()), ..self }
    }

    /// With at least so many blocks on a multiprocessor. 1 keeps the assembler from spilling for the sake of more: loads
    /// under way in registers are worth more.
    pub(super) fn with_blocks(self, least: u32) -> Resources {
        Resources { min_blocks: Some(least), ..self }
    }

    /// Where a block with `own` bytes of arrays needs more shared memory than it has: how much that is, and what it has.
    pub(super) fn exceeded(&self, own: u64) -> Option<(u64, u64)> {
        let (dynamic, most) = self.dynamic_shared;
        let all = own + u64::from(dynamic);
        let limits = [(own, SHARED_LIMIT), (all, if dynamic > 0 { most.into() } else { SHARED_LIMIT })];
        limits.into_iter().find(|(needed, available)| needed > available)
    }
}

/// A block's place among those of its stage.
#[derive(Clone, Copy, Debug)]
pub(super) enum Block {
    /// A block of the grid.
    Grid,
    /// A turn of a block of a larger kernel.
    Turn {
        /// The place.
        at: [Val<u32>; 3],
        /// Threads of a block of the stage.
        threads: u32,
        /// Ends the turn.
        control: LoopControl,
        /// Whether there may be asynchronous copies.
        copies: bool,
    },
}

impl Block {
    /// Its index in x.
    #[track_caller]
    pub(super) fn x(self, k: &Body) -> Val<u32> {
        match self {
            Block::Grid => k.block_x(),
            Block::Turn { at: [x, ..], .. } => x,
        }
    }

    /// Its index in y.
    #[track_caller]
    pub(super) fn y(self, k: &Body) -> Val<u32> {
        match self {
            Block::Grid => k.block_y(),
            Block::Turn { at: [_, y, _], .. } => y,
        }
    }

    /// Its index in z.
    #[track_caller]
    pub(super) fn z(self, k: &Body) -> Val<u32> {
        match self {
            Block::Grid => k.block_z(),
            Block::Turn { at: [.., z], .. } => z,
        }
    }

    /// The thread's index among those of all blocks in x.
    #[track_caller]
    pub(super) fn global_thread(self, k: &Body) -> Val<u32> {
        match self {
            Block::Grid => k.global_thread_id(),
            Block::Turn { at: [x, ..], threads, .. } => x.mad(threads, k.thread_x()),
        }
    }

    /// Ends the block's work where `holds`, which is the same for all of its threads. Groups of copies may be under way.
    #[track_caller]
    pub(super) fn leave_if(self, k: &Body, holds: Pred) {
        match self {
            Block::Grid => k.return_if(holds),
            Block::Turn { control, copies, .. } => {
                // What is on its way to shared memory may not arrive in the next turn.
                if copies {
                    k.if_(holds, |k| k.copy_async_wait(0));
                }
                control.continue_if(k, holds);
            }
        }
    }
}

/// Emits the code of a block.
type Write<A> = Arc<dyn Fn(&Body, <A as Args>::Handles, Block) + Send + Sync>;

/// A stage's work: a kernel of its own, or a part of a larger one (a [`Sequence`](super::Sequence)).
pub struct Stage<A: Args> {
    resources: Resources,
    write: Write<A>,
    /// What it was made for, if the types of its matrices leave that open.
    reading: Reading,
    alone: Launchable<A>,
}

impl<A: Args> Clone for Stage<A> {
    fn clone(&self) -> Self {
        Stage { write: self.write.clone(), alone: self.alone.clone(), ..*self }
    }
}

impl<A: Args> fmt::Debug for Stage<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").field("resources", &self.resources).field("alone", &self.alone).finish_non_exhaustive()
    }
}

impl<A: Args> Stage<A> {
    /// The stage whose blocks are what `write` emits, in which all threads of a block take part. As a kernel it has this
    /// entry and these names of parameters; `kernel` names it in errors.
    ///
    /// # Errors
    /// If a block needs more shared memory than there is.
    #[track_caller]
    pub(super) fn new(
        name: &'static str,
        (entry, names): (&str, A::Names),
        resources: Resources,
        write: impl Fn(&Body, A::Handles, Block) + Send + Sync + 'static,
    ) -> Result<Stage<A>, CatalogueError> {
        let Resources { blocks, threads, dynamic_shared: (dynamic, _), min_blocks } = resources;
        let kernel = kernel::<A>(entry, names, |k, io| write(k, io, Block::Grid));
        let bounds = LaunchBounds { min_blocks, ..kernel.bounds() };
        let alone =
            Launchable { dynamic_shared: dynamic, ..Launchable::new(kernel.with_bounds(bounds), blocks, threads) };
        if let Some((needed, available)) = resources.exceeded(alone.kernel.shared_bytes()) {
            return Err(CatalogueError::SharedMemory { kernel: name, needed, available });
        }
        Ok(Stage { resources, write: Arc::new(write), reading: Reading::now(), alone })
    }

    /// The kernel that consists only of it.
    pub fn alone(self) -> Launchable<A> {
        self.alone
    }

    /// The same without static types of parameters, for a larger kernel.
    pub(super) fn part(&self) -> Part
    where
        A: 'static,
    {
        let (resources, write, reading) = (self.resources, self.write.clone(), self.reading);
        let declare = move |parameters: &mut Merged, names: &[&'static str]| {
            let names = A::Names::try_from(names).unwrap_or_else(|_| unreachable!("a name for each parameter"));
            let io = parameters.declare::<A>(&names)?;
            let write = write.clone();
            let emit: Emit = Box::new(move |k, whole| {
                reading.within(|| turns(k, resources, whole, &|k, block| write(k, io, block)));
            });
            Ok(emit)
        };
        Part {
            entry: self.alone.kernel.name().to_owned(),
            parameters: A::INFO.len(),
            resources,
            declare: Arc::new(declare),
        }
    }
}

/// The kernel that a stage is a part of.
#[derive(Clone, Copy)]
pub(super) struct Whole {
    /// Its blocks, and threads of each.
    pub blocks: u32,
    pub threads: u32,
    pub target: Target,
}

/// Emits the code of all of a stage's blocks.
pub(super) type Emit = Box<dyn Fn(&Body, Whole)>;

/// Declares a stage's parameters by these names.
type Declare = Arc<dyn Fn(&mut Merged, &[&'static str]) -> Result<Emit, ParamClash> + Send + Sync>;

/// A stage as a part of a larger kernel.
#[derive(Clone)]
pub(super) struct Part {
    /// The entry that it has as a kernel.
    pub entry: String,
    /// Its number of parameters.
    pub parameters: usize,
    pub resources: Resources,
    declare: Declare,
}

impl Part {
    /// Its code, with a parameter for each of the names.
    pub(super) fn declare(&self, parameters: &mut Merged, names: &[&'static str]) -> Result<Emit, ParamClash> {
        (self.declare)(parameters, names)
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("entry", &self.entry).field("resources", &self.resources).finish_non_exhaustive()
    }
}

/// The blocks of a stage, which the blocks of a kernel take in turns.
#[track_caller]
fn turns(k: &Body, stage: Resources, whole: Whole, write: &dyn Fn(&Body, Block)) {
    let Resources { blocks: [x, y, z], threads, .. } = stage;
    let (all, blocks, copies) = (x * y * z, whole.blocks, whole.target.sm() >= 80);
    let write = |k: &Body| {
        k.for_(k.block_x(), all, blocks, |k, turn, control| {
            if all > blocks {
                // What the turn before left in shared memory has been read.
                k.barrier();
            }
            let at = match (y, z) {
                (1, 1) => [turn, Val::from(0), Val::from(0)],
                (_, 1) => [turn % x, turn / x, Val::from(0)],
                _ => [turn % x, turn / x % y, turn / (x * y)],
            };
            write(k, Block::Turn { at, threads, control, copies });
        });
    };
    k.part(|k| if threads == whole.threads { write(k) } else { k.first_threads(threads, write) });
}

impl<A: Args> From<Stage<A>> for Launchable<A> {
    fn from(stage: Stage<A>) -> Launchable<A> {
        stage.alone()
    }
}
