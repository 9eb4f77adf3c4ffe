//! Models on the CPU, with exactly the bits of the numerics contract.
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
#[cfg(all(feature = "plants", debug_assertions))]
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

/// Options of a model on the CPU. Only the policy and the cache's type change results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuOptions {
    /// Activation format and accumulator.
    pub policy: Policy,
    /// Number of threads; `None` means one for each core that the process may use.
    pub threads: Option<usize>,
    /// Instruction set; `None` means the widest of this machine.
    pub simd: Option<SimdLevel>,
    /// Type of the KV cache.
    pub kv: KvType,
}

/// A model ready to run; its weights are used in place in the file.
pub struct CpuModel<'g> {
    config: ModelConfig,
    weights: Weights<'g>,
    policy: Policy,
    kv: KvType,
    simd: Simd,
    team: Team,
}

impl<'g> CpuModel<'g> {
    /// Checks the file and prepares the model.
    ///
    /// # Errors
    /// If the file is not a supported model, or this machine does not support the options.
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

    /// The number of positions that fit into free memory next to the weights, with one eighth to spare; at most the
    /// model's context. If the system does not report free memory, the model's context.
    pub fn fitting(&self, gguf: &Gguf) -> usize {
        self.fitting_positions(gguf).unwrap_or(usize::MAX).min(self.config.context)
    }

    /// Positions of a cache that fit, ignoring the context; `None` if the system does not report free memory.
    fn fitting_positions(&self, gguf: &Gguf) -> Option<usize> {
        let free = free_memory()?;
        // Weights are read from the file repeatedly; if they do not fit, the cache should be small.
        let beside = free.saturating_sub(gguf.file_bytes() as u64).max(free / 8);
        let each = CpuSession::bytes(&self.config, self.kv, PAGE) / PAGE as u64;
        Some(usize::try_from((beside - beside / 8) / each.max(1)).unwrap_or(usize::MAX))
    }

    /// An empty sequence for `capacity` tokens. Its KV cache takes `capacity * config.kv_bytes_per_token(kv.bytes())`
    /// bytes when it is full, and grows as it fills.
    ///
    /// # Errors
    /// If `capacity` exceeds the model's context, or there is not enough free memory for it now.
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

    /// An empty batch with this capacity. Pages of the cache are allocated on first use.
    ///
    /// # Errors
    /// If a sequence may have more positions than the model's context, or there is not enough memory.
    pub fn new_batch(&self, room: BatchRoom) -> Result<BatchSession<'_>, LoadError> {
        BatchSession::check_room(room, self.config.context)?;
        let backend = Box::new(batch::CpuBatch::new(self, room));
        Ok(BatchSession::new(Setup { backend, vocab: self.config.vocab, policy: self.policy }, room))
    }

    /// The number of pages of a batch's cache that fit into free memory, like [`fitting`](Self::fitting) for positions.
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
