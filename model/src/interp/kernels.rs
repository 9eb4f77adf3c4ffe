//! The catalogue's kernels, generated for the shapes of a model and kept.

use crate::{engine::EngineError, gguf::TensorView};
use ptxgen_builder::{
    interp::{Arg, Buffer, Memory, Options},
    target::Target,
    verify::Validated,
};
use ptxgen_dsl::{
    catalogue::{self, Built, Dims, Request},
    format::TensorType,
    precision::{Act, Policy},
};
use std::collections::HashMap;

/// What makes a kernel: its name and sizes.
pub(super) type Key = (&'static str, Dims);

/// Generated kernels, and the tensors that they have read so far.
pub(super) struct Kernels {
    policy: Policy,
    memory: Memory,
    made: HashMap<Key, (Built, Validated)>,
    tensors: HashMap<String, Buffer>,
}

/// An input of a launch.
pub(super) enum Input<'a> {
    /// A tensor, copied to the interpreter's memory at its first use.
    Tensor(&'a TensorView<'a>),
    /// Bytes of this launch.
    Bytes(Vec<u8>),
}

impl Kernels {
    pub(super) fn new(policy: Policy) -> Self {
        Self { policy, memory: Memory::new(), made: HashMap::new(), tensors: HashMap::new() }
    }

    pub(super) fn act(&self) -> Act {
        self.policy.act
    }

    /// Whether the catalogue multiplies tensors of this type.
    pub(super) fn multiplies(ty: TensorType) -> bool {
        matches!(ty, TensorType::Q4_K | TensorType::Q6_K)
    }

    /// Runs a kernel and gives its output's bytes. Inputs are all parameters
    /// but the last, the output.
    pub(super) fn run(&mut self, key: Key, inputs: Vec<Input<'_>>) -> Result<Vec<u8>, EngineError> {
        let name = key.0;
        let failed = |message: String| EngineError::Kernel { kernel: name.to_owned(), message };
        if !self.made.contains_key(&key) {
            let made = self.make(key).map_err(failed)?;
            self.made.insert(key, made);
        }
        let (built, module) = &self.made[&key];
        let (mut args, mut temporary) = (Vec::new(), Vec::new());
        for input in inputs {
            let buffer = match input {
                Input::Tensor(t) => match self.tensors.get(t.name) {
                    Some(&buffer) => buffer,
                    None => {
                        let buffer = self.memory.alloc(t.data, 256).map_err(|e| failed(e.to_string()))?;
                        self.tensors.insert(t.name.to_owned(), buffer);
                        buffer
                    }
                },
                Input::Bytes(bytes) => {
                    let buffer = self.memory.alloc(&bytes, 256).map_err(|e| failed(e.to_string()))?;
                    temporary.push(buffer);
                    buffer
                }
            };
            args.push(Arg::from(buffer));
        }
        let bytes = built.params.last().map_or(0, |p| p.bytes);
        let output = self.memory.alloc_uninit(bytes, 256).map_err(|e| failed(e.to_string()))?;
        args.push(Arg::from(output));
        temporary.push(output);
        let options = Options::default();
        let launch = built.in_interpreter(module, &args, &options);
        let report = launch.run(&mut self.memory).map_err(|e| failed(e.to_string()))?;
        if let Some(finding) = report.findings.first() {
            return Err(failed(finding.to_string()));
        }
        let result = self.memory.read(output).map_err(|e| failed(e.to_string()))?;
        for buffer in temporary {
            self.memory.free(buffer).map_err(|e| failed(e.to_string()))?;
        }
        Ok(result)
    }

    fn make(&self, (name, dims): Key) -> Result<(Built, Validated), String> {
        let entry = catalogue::find(name).map_err(|e| e.to_string())?;
        let policy = entry.policy_within(self.policy);
        let request = Request { dims, ..Request::new(policy, Target::SM_90) };
        let built = entry.build(&request).map_err(|e| e.to_string())?;
        let module = built.verify().map_err(|e| e.to_string())?;
        Ok((built, module))
    }
}
