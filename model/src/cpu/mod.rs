//! Models on the CPU, exactly as the numerics contract writes it.
//!
//! ```no_run
//! use ptxgen_model::{Engine, LogitRows, cpu::{CpuModel, CpuOptions}, gguf::Gguf};
//!
//! let gguf = Gguf::open("model.gguf")?;
//! let model = CpuModel::load(&gguf, CpuOptions::default())?;
//! let mut session = model.new_session(128)?;
//! let logits = session.forward(&[1, 2, 3], LogitRows::Last)?;
//! println!("{}", logits.len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// Lanes index several arrays at once, and hot loops must stay free of closures (see `simd::Isa`).
#![allow(clippy::needless_range_loop)]

mod attention;
mod batch;
mod buffers;
mod experts;
mod forward;
mod groups;
mod hand_over;
mod hooks;
mod matrix;
mod pass;
#[cfg(all(feature = "plants", debug_assertions))]
mod plant;
mod planted;
mod product;
mod record;
mod session;
mod simd;
mod team;
#[cfg(test)]
mod tests;
mod vector;
mod weights;

#[cfg(all(feature = "plants", debug_assertions))]
pub use plant::{Plant, with_plants};
#[cfg(all(feature = "plants", debug_assertions))]
pub use planted::Change;
pub use session::CpuSession;
pub use simd::SimdLevel;

use crate::{
    batch::{BatchRoom, BatchSession, Setup},
    config::ModelConfig,
    gguf::Gguf,
    kv::{KvType, PAGE},
    load_error::LoadError,
    memory::free_memory,
};
use ptxgen_dsl::precision::{Math, Policy};
use simd::Simd;
use team::Team;
use weights::Weights;

/// How a model runs on the CPU. Only the policy and the cache's type change results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuOptions {
    /// Activation format and accumulator.
    pub policy: Policy,
    /// Threads; `None` is one for each core that the process may use.
    pub threads: Option<usize>,
    /// Instruction set; `None` is the widest of this machine.
    pub simd: Option<SimdLevel>,
    /// Type of the KV cache.
    pub kv: KvType,
}

/// A model ready to run: its weights stay where the file has them.
pub struct CpuModel<'g> {
    config: ModelConfig,
    weights: Weights<'g>,
    policy: Policy,
    kv: KvType,
    simd: Simd,
    team: Team,
}

impl<'g> CpuModel<'g> {
    /// Checks the file and prepares to run it.
    ///
    /// # Errors
    /// If the file is not a supported model, or the options ask for what this machine lacks.
    pub fn load(gguf: &'g Gguf, options: CpuOptions) -> Result<Self, LoadError> {
        if options.policy.math != Math::Exact {
            return Err(LoadError::Approximate);
        }
        let config = ModelConfig::from_gguf(gguf)?;
        #[allow(unused_mut)]
        let mut weights = Weights::load(gguf, &config, options.policy.act)?;
        #[cfg(all(feature = "plants", debug_assertions))]
        plant::plant(&mut weights);
        let level = options.simd.unwrap_or_else(SimdLevel::best);
        let simd = Simd::new(level).ok_or(LoadError::Simd { asked: level, best: SimdLevel::best() })?;
        let threads =
            options.threads.or_else(|| std::thread::available_parallelism().ok().map(Into::into)).unwrap_or(1);
        let team = Team::new(threads).map_err(|e| LoadError::Threads { threads, reason: e.to_string() })?;
        Ok(Self { config, weights, policy: options.policy, kv: options.kv, simd, team })
    }

    /// The model's hyperparameters.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The instruction set in use.
    pub fn simd(&self) -> SimdLevel {
        self.simd.level()
    }

    /// Threads in use.
    pub fn threads(&self) -> usize {
        self.team.threads()
    }

    /// How many positions fit the memory that is free, beside the weights, with an eighth to spare; at most the
    /// model's context. Where the system does not say what is free, that.
    pub fn fitting(&self, gguf: &Gguf) -> usize {
        self.fitting_positions(gguf).unwrap_or(usize::MAX).min(self.config.context)
    }

    /// Positions of a cache that fit, whatever the context; none where the system does not say what is free.
    fn fitting_positions(&self, gguf: &Gguf) -> Option<usize> {
        let free = free_memory()?;
        // Weights are read from the file again and again; where they do not fit, the cache is to take little.
        let beside = free.saturating_sub(gguf.file_bytes() as u64).max(free / 8);
        let each = CpuSession::bytes(&self.config, self.kv, PAGE) / PAGE as u64;
        Some(usize::try_from((beside - beside / 8) / each.max(1)).unwrap_or(usize::MAX))
    }

    /// An empty sequence with room for `capacity` tokens. Its KV cache takes
    /// `capacity * config.kv_bytes_per_token(kv.bytes())` bytes when it is full, and takes them as it fills.
    ///
    /// # Errors
    /// If `capacity` is more than the model's context, or than there is free memory for now.
    pub fn new_session(&self, capacity: usize) -> Result<CpuSession<'_, 'g>, LoadError> {
        let context = self.config.context;
        if capacity > context {
            return Err(LoadError::Context { asked: capacity, context });
        }
        let bytes = CpuSession::bytes(&self.config, self.kv, capacity);
        // A file may claim any context.
        let free = free_memory();
        if bytes > free.unwrap_or(isize::MAX as u64) {
            return Err(LoadError::Memory { asked: capacity, bytes, free });
        }
        Ok(CpuSession::new(self, capacity))
    }

    /// An empty batch of sequences with this room. Pages of the cache take memory when they are first used.
    ///
    /// # Errors
    /// If a sequence may have more positions than the model's context, or there is no room for anything.
    pub fn new_batch(&self, room: BatchRoom) -> Result<BatchSession<'_>, LoadError> {
        BatchSession::check_room(room, self.config.context)?;
        let backend = Box::new(batch::CpuBatch::new(self, room));
        Ok(BatchSession::new(Setup { backend, vocab: self.config.vocab, policy: self.policy }, room))
    }

    /// Pages of a batch's cache that fit the memory that is free, as [`fitting`](Self::fitting) has positions.
    pub fn fitting_pages(&self, gguf: &Gguf) -> usize {
        self.fitting_positions(gguf).unwrap_or(usize::MAX) / PAGE
    }
}

impl std::fmt::Debug for CpuModel<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CpuModel")
            .field("config", &self.config)
            .field("policy", &self.policy)
            .field("kv", &self.kv)
            .field("simd", &self.simd)
            .field("threads", &self.team.threads())
            .finish_non_exhaustive()
    }
}
