//! A pass as data: which kernels run, in which order, with which buffers. It is created before anything is uploaded, so
//! that missing kernels and the required memory are known by then.

use super::{
    LoadError,
    place::{DeviceIndex, Home, Part, Place, Placement, Section},
    slot::Slot,
};
use crate::{
    config::{ModelConfig, TensorKind, TensorRole},
    gguf::TensorType,
    graph::{Graph, Operation, Stage},
    kv::KvType,
};
use indexmap::IndexMap;
use ptxgen_builder::target::Target;
use ptxgen_dsl::{
    catalogue::{self, Built, CatalogueError, Contents, Dims, KernelId, Machine, Param, Request},
    precision::{Act, Policy},
};
use std::collections::HashMap;

/// Maximum number of tokens of a pass that uses the kernels for few tokens, in which results of attention's chunks go
/// through memory.
pub(super) const SHORT: u32 = 64;

/// The input of a plan.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) config: ModelConfig,
    pub(super) types: HashMap<(TensorRole, Option<usize>), TensorType>,
    pub(super) policy: Policy,
    pub(super) kv: KvType,
    pub(super) target: Target,
    /// The GPU that each device's schedules are chosen for.
    pub(super) machines: Vec<Machine>,
    pub(super) placement: Placement,
    /// Its stages.
    pub(super) graph: Graph,
    /// Names of rules that are left out.
    pub(super) without: Vec<&'static str>,
}

impl Model {
    /// A tensor's type; with tied embeddings, the output projection has the embedding's type.
    pub(super) fn ty(&self, role: TensorRole, layer: Option<usize>) -> TensorType {
        self.types.get(&(role, layer)).copied().unwrap_or(TensorType::F32)
    }

    /// Whether there are kernels for passes of more than [`SHORT`] tokens: all products use superblocks with Q8_K on
    /// tensor cores.
    pub(super) fn has_long_passes(&self) -> bool {
        let quantized = |(role, layer): &(TensorRole, Option<usize>)| {
            layer.is_none() || role.is_f32() || catalogue::has_tiles(self.ty(*role, *layer))
        };
        self.policy.act == Act::Q8K && self.target.sm() >= 80 && self.types.keys().all(quantized)
    }
}

/// A launch of a pass.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    /// Where it runs, and its buffers are.
    pub(super) device: DeviceIndex,
    /// The layer, if it is in one.
    pub(super) layer: Option<usize>,
    /// The index of the kernel in [`Plan::kernels`].
    pub(super) kernel: usize,
    /// A region for each of the kernel's parameters.
    pub(super) places: Vec<Place>,
    /// The stages of the graph whose values are complete after it.
    pub(super) makes: Vec<Stage>,
}

/// Identifies a kernel: its id, its sizes, and the GPU that it is scheduled for.
type Key = (KernelId, Dims, Machine);

/// The cache of a batch's sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paging {
    pub(super) sequences: u32,
    pub(super) pages: u32,
}

/// Launches, and their kernels.
#[derive(Clone, Debug)]
pub(super) struct Plan<'m> {
    pub(super) model: &'m Model,
    /// Positions of the session, or of each sequence of a batch.
    pub(super) positions: u32,
    /// For a batch: its rows belong to several sequences.
    pub(super) paging: Option<Paging>,
    /// The most tokens of a pass.
    pub(super) tokens: u32,
    pub(super) kernels: IndexMap<Key, Built>,
    pub(super) launches: Vec<Launch>,
    section: Section,
    /// Slots of the layer whose values also exist in Q8_K.
    rounded: Vec<Slot>,
    /// Whether each kernel of the layer chooses experts itself.
    by_logits: bool,
}

impl<'m> Plan<'m> {
    pub(super) fn new(model: &'m Model, positions: u32, tokens: u32) -> Self {
        Plan {
            model,
            positions,
            paging: None,
            tokens,
            kernels: IndexMap::new(),
            launches: Vec::new(),
            section: Section::Before,
            rounded: Vec::new(),
            by_logits: false,
        }
    }

    /// Begins a section.
    pub(super) fn begin(&mut self, section: Section) {
        (self.section, self.by_logits) = (section, false);
        self.rounded.clear();
    }

    /// Records which stages' values the last launch has completed.
    pub(super) fn makes(&mut self, stages: &[Stage]) {
        if let Some(last) = self.launches.last_mut() {
            last.makes.extend(stages);
        }
    }

    /// Removes the last launch.
    pub(super) fn take_back(&mut self) {
        self.launches.pop();
    }

    /// Records that the last launch has also written a slot's values in Q8_K.
    pub(super) fn is_rounded(&mut self, slot: Slot) {
        self.rounded.push(slot);
    }

    pub(super) fn has_rounded(&self, slot: Slot) -> bool {
        self.rounded.contains(&slot)
    }

    /// Records that kernels of this layer choose experts themselves.
    pub(super) fn chooses_by_logits(&mut self) {
        self.by_logits = true;
    }

    pub(super) fn has_chosen_by_logits(&self) -> bool {
        self.by_logits
    }

    pub(super) fn layer(&self) -> Option<usize> {
        self.section.layer()
    }

    /// Appends a launch where the section's stages run; `parts` has the kernel's parameters, each once.
    pub(super) fn push(&mut self, id: KernelId, dims: Dims, parts: &[(Param, Part)]) -> Result<(), LoadError> {
        let placement = &self.model.placement;
        let device = placement.of(self.section);
        let key = (id, dims, self.model.machines[device.index()]);
        let kernel = match self.kernels.get_index_of(&key) {
            Some(index) => index,
            None => self.kernels.insert_full(key, self.generate(key)?).0,
        };
        let params = &self.kernels[kernel].params;
        let wrong = |param: Param| LoadError::Parameter { kernel: id.name(), param: param.name() };
        if let Some((param, _)) = parts.iter().find(|(param, _)| params.iter().all(|p| p.id != *param)) {
            return Err(wrong(*param));
        }
        let places = params.iter().map(|p| {
            let (_, part) = parts.iter().find(|(param, _)| *param == p.id).ok_or_else(|| wrong(p.id))?;
            Ok(Place { home: placement.home(self.section, part.slot), start: part.start })
        });
        let places = places.collect::<Result<_, LoadError>>()?;
        self.launches.push(Launch { device, layer: self.layer(), kernel, places, makes: Vec::new() });
        Ok(())
    }

    /// As [`push`](Self::push), but returns `false` if the sizes need more shared memory than the kernel can have.
    pub(super) fn push_if_it_fits(
        &mut self,
        id: KernelId,
        dims: Dims,
        parts: &[(Param, Part)],
    ) -> Result<bool, LoadError> {
        match self.push(id, dims, parts) {
            Err(LoadError::Size(CatalogueError::SharedMemory { .. })) => Ok(false),
            pushed => pushed.map(|()| true),
        }
    }

    fn generate(&self, (id, dims, machine): Key) -> Result<Built, LoadError> {
        let entry = id.entry().ok_or(LoadError::Unwritten { kernel: id })?;
        let policy = entry.policy_within(self.model.policy);
        let Model { config, target, .. } = self.model;
        let request = Request { dims, eps: config.rms_eps, pdl: true, machine, ..Request::new(policy, *target) };
        Ok(entry.build(&request)?)
    }

    /// Bytes that each buffer needs at least.
    pub(super) fn sizes(&self, sizes: &mut IndexMap<Home, u64>) {
        for launch in &self.launches {
            for (place, param) in launch.places.iter().zip(&self.kernels[launch.kernel].params) {
                let size = sizes.entry(place.home).or_default();
                *size = (*size).max(place.start + param.bytes);
            }
        }
    }

    /// Bytes of weights and of the KV cache that a launch reads for one token, without the looked-up rows of the
    /// embedding, and with only the used experts' matrices.
    pub(super) fn bytes_read(&self, launch: &Launch, positions: usize) -> u64 {
        let c = &self.model.config;
        let looks_up = launch.places.iter().any(|p| p.home.slot == Slot::Tokens);
        let params = launch.places.iter().zip(&self.kernels[launch.kernel].params);
        let bytes = params.map(|(place, param)| match place.home.slot {
            Slot::Weight(role, _) if role.kind() == TensorKind::Experts => {
                Operation::ExpertProduct(role).bytes_of_a_token(c, param.bytes)
            }
            Slot::Weight(..) if looks_up => 0,
            Slot::Weight(..) if matches!(param.contents, Contents::Weights(_)) => param.bytes,
            Slot::Keys(_) | Slot::Values(_) => (positions * c.kv_width() * self.model.kv.bytes()) as u64,
            _ => 0,
        });
        bytes.sum()
    }

    /// Whether its passes have hundreds of tokens.
    pub(super) fn is_long(&self) -> bool {
        self.tokens > SHORT && self.paging.is_none()
    }

    /// Whether activations for superblock matrices are rounded to Q8_K.
    pub(super) fn rounds(&self) -> bool {
        self.model.policy.act == Act::Q8K
    }
}
