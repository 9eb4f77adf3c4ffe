//! Qwen3-MoE with the catalogue's generated kernels in the interpreter.
//!
//! Every matrix of Q4_K or Q6_K is multiplied by the kernel that a GPU would
//! run, with races, uninitialized reads and bounds checked; what has no kernel
//! yet is the contract's scalar reference. The bits are the CPU's, which is
//! what this device is for: it is slow.

mod forward;
mod kernels;

use crate::{
    config::Qwen3MoeConfig,
    cpu::{KvType, LoadError},
    engine::{Engine, EngineError, LogitRows},
    gguf::Gguf,
    trace::Trace,
};
use forward::Forward;
use kernels::Kernels;
use ptxgen_dsl::{
    precision::{Acc, Math, Policy},
    reference::RopeTable,
};

/// A model whose kernels the interpreter runs.
#[derive(Debug)]
pub struct InterpModel<'g> {
    gguf: &'g Gguf,
    config: Qwen3MoeConfig,
    policy: Policy,
    kv: KvType,
}

impl<'g> InterpModel<'g> {
    /// Checks the file.
    ///
    /// # Errors
    /// If the file is not a supported model, or the policy is not one of the
    /// bit contract.
    pub fn load(gguf: &'g Gguf, policy: Policy, kv: KvType) -> Result<Self, LoadError> {
        if policy.math != Math::Exact {
            return Err(LoadError::Approximate);
        }
        Ok(Self { gguf, config: Qwen3MoeConfig::from_gguf(gguf)?, policy, kv })
    }

    /// The model's hyperparameters.
    pub fn config(&self) -> &Qwen3MoeConfig {
        &self.config
    }

    /// An empty sequence with room for `capacity` tokens.
    ///
    /// # Errors
    /// If `capacity` is more than the model's context.
    pub fn new_session(&self, capacity: usize) -> Result<InterpSession<'_>, LoadError> {
        let (c, context) = (&self.config, self.config.context);
        if capacity > context {
            return Err(LoadError::Context { asked: capacity, context });
        }
        Ok(InterpSession {
            model: self,
            capacity,
            position: 0,
            kernels: Kernels::new(self.policy),
            rope: RopeTable::new(c.head_dim, f64::from(c.rope_base), capacity),
            cache: vec![(Vec::new(), Vec::new()); c.blocks],
            logits: Vec::new(),
        })
    }
}

/// A sequence in the interpreter.
pub struct InterpSession<'m> {
    model: &'m InterpModel<'m>,
    capacity: usize,
    position: usize,
    kernels: Kernels,
    rope: RopeTable,
    /// Keys and values of each layer, [positions, KV width].
    cache: Vec<(Vec<f32>, Vec<f32>)>,
    logits: Vec<f32>,
}

impl Engine for InterpSession<'_> {
    fn vocab(&self) -> usize {
        self.model.config.vocab
    }

    fn position(&self) -> usize {
        self.position
    }

    fn capacity(&self) -> usize {
        self.capacity
    }

    fn policy(&self) -> Policy {
        self.model.policy
    }

    fn device(&self) -> String {
        "interp (generated kernels in the interpreter)".into()
    }

    fn rewind(&mut self, position: usize) {
        self.position = self.position.min(position);
        self.trim();
    }

    fn forward_traced(
        &mut self,
        tokens: &[u32],
        rows: LogitRows,
        mut trace: Option<&mut Trace<'_>>,
    ) -> Result<&[f32], EngineError> {
        crate::engine::check_tokens(tokens, self.position, self.capacity, self.vocab())?;
        let start = self.position;
        self.logits.clear();
        for (i, &token) in tokens.iter().enumerate() {
            let wanted = rows == LogitRows::All || i + 1 == tokens.len();
            let done = self.step(token, wanted, trace.as_deref_mut());
            if let Err(e) = done {
                self.position = start;
                self.trim();
                return Err(e);
            }
            self.position += 1;
        }
        Ok(&self.logits)
    }
}

impl InterpSession<'_> {
    /// Forgets what the cache holds beyond the position.
    fn trim(&mut self) {
        let len = self.position * self.model.config.kv_width();
        for (k, v) in &mut self.cache {
            k.truncate(len);
            v.truncate(len);
        }
    }

    /// Takes one token; its logits go to `self.logits` if they are wanted.
    fn step(&mut self, token: u32, wanted: bool, trace: Option<&mut Trace<'_>>) -> Result<(), EngineError> {
        let mut forward = Forward {
            gguf: self.model.gguf,
            config: &self.model.config,
            kv: self.model.kv,
            kernels: &mut self.kernels,
            rope: &self.rope,
            cache: &mut self.cache,
            position: self.position,
        };
        let logits = match self.model.policy.acc {
            Acc::F32 => forward.token::<f32>(token, wanted, trace),
            Acc::F64 => forward.token::<f64>(token, wanted, trace),
        }?;
        self.logits.extend(logits);
        Ok(())
    }
}
