//! Stages one after the other in one kernel.

use ptxgen_builder::build::{AnyLaunchable, Args, InOut, ParamClash, merged};
use ptxgen_builder::ir::LaunchBounds;
use ptxgen_builder::target::Target;

use super::registry::Built;
use super::stage::{Part, Resources, Stage, Whole};
use crate::device::grid_wait;

/// The parameter of the grid's waits.
const WAITS: &str = "grid_waits";

/// A sequence of stages that cannot be one kernel.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SequenceError {
    /// Two stages mean different things by a parameter.
    #[error("{sequence}: {clash}")]
    Parameter {
        /// The sequence.
        sequence: String,
        /// What they mean.
        clash: ParamClash,
    },
    /// A stage's parameters are not as many as its names, or one has a name that the sequence uses itself.
    #[error("{sequence}: stage {stage} has the names {names:?}; expected {expected}, none of them '{WAITS}'")]
    Names {
        /// The sequence.
        sequence: String,
        /// The stage, by its kernel's entry.
        stage: String,
        /// The names.
        names: Vec<&'static str>,
        /// How many parameters it has.
        expected: usize,
    },
    /// A stage whose blocks are not whole warps, which could not wait for each other in a larger block.
    #[error("{sequence}: stage {stage} has blocks of {threads} threads; in a sequence they are a multiple of 32")]
    Threads {
        /// The sequence.
        sequence: String,
        /// The stage.
        stage: String,
        /// Its threads.
        threads: u32,
    },
    /// A stage with more blocks than the kernel can count.
    #[error("{sequence}: stage {stage} has {turns} blocks; in a sequence they are fewer than 2^32 less the kernel's")]
    Turns {
        /// The sequence.
        sequence: String,
        /// The stage.
        stage: String,
        /// Its blocks.
        turns: u64,
    },
    /// A number of blocks that is not possible.
    #[error("{sequence}: {blocks} blocks of {threads} threads, expected 1 to {most}, as many as run at once")]
    Blocks {
        /// The sequence.
        sequence: String,
        /// Blocks.
        blocks: u32,
        /// Threads of each.
        threads: u32,
        /// The most that run at once on the largest GPU of the target.
        most: u64,
    },
    /// More shared memory than a block has.
    #[error("{sequence}: its stages need up to {needed} bytes of shared memory, a block has {available}")]
    SharedMemory {
        /// The sequence.
        sequence: String,
        /// Required bytes.
        needed: u64,
        /// Bytes that a block has.
        available: u64,
    },
}

/// Stages one after the other in one kernel.
///
/// The grid has a fixed number of blocks, which take the blocks of each stage in turns. Between two stages all of them wait
/// for each other, by a word in memory (or, if there is only one block, at a barrier). A stage whose blocks have fewer threads
/// than the kernel's runs on the first of them. The stages' shared memory is the same memory.
///
/// The names that stages are added with connect them: parameters of the same name are one buffer, and must be of one type.
///
/// ```
/// use ptxgen_builder::target::Target;
/// use ptxgen_dsl::catalogue::{Norm, Sequence, quantize_q8k, rms_norm};
/// use ptxgen_dsl::precision::AccF64;
///
/// let norm = rms_norm::<AccF64>("rmsnorm", Norm { cols: 1024, tokens: 1, eps: 1e-6, pdl: false }).unwrap();
/// let rounding = quantize_q8k("quantize-q8k", 1024, 1).unwrap();
/// let both = Sequence::new("norm_q8k", 2)
///     .then(&norm, ["x", "norm", "normed"])
///     .then(&rounding, ["normed", "rounded"])
///     .launch(Target::SM_90)
///     .unwrap();
/// assert_eq!(both.grid, [2, 1, 1]);
/// assert_eq!(both.kernel.param_names(), ["x", "norm", "normed", "rounded", "grid_waits"]);
/// ```
#[derive(Clone, Debug)]
pub struct Sequence {
    entry: String,
    blocks: u32,
    parts: Vec<(Part, Vec<&'static str>)>,
}

impl Sequence {
    /// No stages yet, for a kernel of `blocks` blocks with this entry. They must run at once: a GPU that does nothing else has
    /// room for as many as it has multiprocessors.
    pub fn new(entry: &str, blocks: u32) -> Sequence {
        Sequence { entry: entry.to_owned(), blocks, parts: Vec::new() }
    }

    /// Adds a stage with these names of its parameters.
    #[must_use]
    pub fn then<A: Args + 'static>(self, stage: &Stage<A>, names: A::Names) -> Sequence {
        self.then_part(stage.part(), names.as_ref())
    }

    /// Adds the stage of a kernel that was found by name.
    #[must_use]
    pub fn then_built(self, built: &Built, names: &[&'static str]) -> Sequence {
        self.then_part(built.part.clone(), names)
    }

    fn then_part(mut self, part: Part, names: &[&'static str]) -> Sequence {
        self.parts.push((part, names.to_vec()));
        self
    }

    /// The kernel and its launch. If there are several blocks and stages, its last parameter is `grid_waits`: a word that is
    /// 0 before the first launch, and belongs to this kernel's launches, one after the other.
    ///
    /// # Errors
    /// If the stages do not fit together, or a GPU.
    #[track_caller]
    pub fn launch(&self, target: Target) -> Result<AnyLaunchable, SequenceError> {
        self.built(target, true)
    }

    /// The same kernel with shared memory of its own for each stage: for a proof of its precision, which tells arrays apart.
    /// It may need more than a GPU has.
    ///
    /// # Errors
    /// As [`launch`](Self::launch).
    #[track_caller]
    pub fn for_proof(&self, target: Target) -> Result<AnyLaunchable, SequenceError> {
        self.built(target, false)
    }

    fn threads(&self) -> u32 {
        self.parts.iter().map(|(part, _)| part.resources.threads).max().unwrap_or(32)
    }

    fn check(&self) -> Result<(), SequenceError> {
        for (part, names) in &self.parts {
            let (sequence, stage, threads) = (self.entry.clone(), part.entry.clone(), part.resources.threads);
            if !threads.is_multiple_of(32) {
                return Err(SequenceError::Threads { sequence, stage, threads });
            }
            let turns = part.resources.blocks.iter().map(|&n| u64::from(n)).product::<u64>();
            if turns > u64::from(u32::MAX - self.blocks) {
                return Err(SequenceError::Turns { sequence, stage, turns });
            }
            if names.len() != part.parameters || names.contains(&WAITS) {
                return Err(SequenceError::Names { sequence, stage, names: names.clone(), expected: part.parameters });
            }
        }
        Ok(())
    }

    #[track_caller]
    fn built(&self, target: Target, is_overlaid: bool) -> Result<AnyLaunchable, SequenceError> {
        self.check()?;
        let (blocks, threads) = (self.blocks, self.threads());
        let most = target.most_resident_blocks(threads, 0);
        if blocks == 0 || u64::from(blocks) > most || threads > 1024 {
            return Err(SequenceError::Blocks { sequence: self.entry.clone(), blocks, threads, most });
        }
        let waits = blocks > 1 && self.parts.len() > 1;
        let kernel = merged(&self.entry, |k, parameters| {
            let emits = self.parts.iter().map(|(part, names)| part.declare(parameters, names));
            let emits = emits.collect::<Result<Vec<_>, _>>()?;
            let word = if waits { Some(parameters.declare::<(InOut<u32>,)>(&[WAITS])?.0) } else { None };
            let thread = k.thread_x();
            for (i, emit) in emits.iter().enumerate() {
                match word {
                    _ if i == 0 => {}
                    Some(word) => grid_wait(k, word, blocks, thread),
                    None => k.barrier(),
                }
                emit(k, Whole { blocks, threads, target });
            }
            Ok(())
        });
        let kernel = kernel.map_err(|clash| SequenceError::Parameter { sequence: self.entry.clone(), clash })?;
        let bounds = LaunchBounds { min_blocks: Some(1), ..kernel.bounds() };
        let kernel = kernel.changed(|kernel| {
            let kernel = kernel.with_bounds(bounds).with_block(threads);
            if is_overlaid { kernel.overlaid() } else { kernel }
        });
        let dynamic_shared = self.parts.iter().map(|(part, _)| part.resources.dynamic_shared.0).max().unwrap_or(0);
        let grid = [blocks, 1, 1];
        let resources = Resources::new(grid, threads).with_shared(dynamic_shared, target);
        if let Some((needed, available)) = resources.exceeded(kernel.shared_bytes()).filter(|_| is_overlaid) {
            return Err(SequenceError::SharedMemory { sequence: self.entry.clone(), needed, available });
        }
        Ok(AnyLaunchable { kernel, grid, block: threads, dynamic_shared, target, bytes: Vec::new() })
    }
}
