//! A file's configuration, and what its architecture makes of it.

use super::{ConfigError, Keys, ModelConfig, TensorRole, tensors};
use crate::{architecture, gguf::Gguf, graph::Graph};

impl ModelConfig {
    /// Reads and checks the hyperparameters, and that exactly the tensors of such a model are
    /// there, each in its shape and with a type it may have.
    ///
    /// # Errors
    /// Names every architecture, key or tensor that is missing, wrong, or not supported. A key of
    /// the architecture that is not known here is refused too: it could change what the model
    /// computes.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self, ConfigError> {
        let name = gguf.metadata().str("general.architecture")?;
        // Of another one nothing else can be said.
        let definition = architecture::find(name).ok_or_else(|| ConfigError::Architecture {
            file: gguf.file().to_owned(),
            found: name.into(),
            known: architecture::names(),
        })?;
        let keys = Keys { gguf, architecture: definition.architecture };
        let mut faults = keys.faults(definition.keys, definition.neutral);
        let config = keys.read(definition.feed_forward);
        match &config {
            Ok(config) => faults.extend(tensors::faults(gguf, config)),
            Err(e) => faults.push(e.clone()),
        }
        match faults.len() {
            0 => config,
            1 => Err(faults.remove(0)),
            _ => Err(ConfigError::Several { all: faults }),
        }
    }

    /// The model's stages.
    pub fn graph(&self) -> Graph {
        (architecture::definition(self.architecture).graph)(self)
    }

    /// The tensors of the model, in the order in which `ptxgen synth` writes them.
    pub fn tensors(&self) -> impl Iterator<Item = (TensorRole, Option<usize>)> + use<> {
        self.graph().tensors()
    }
}
