//! The catalogue: kernels by name, with their options, for tools that take
//! both from a command line.

use ptxgen_builder::build::AnyKernel;
use ptxgen_builder::target::Target;

use super::schedule::{AnyLaunchable, CatalogueError, Launchable, Schedule, Shape};
use super::{Experts, dequantize, gate_up_swiglu, gemv, moe_down, quantize_q8k, swiglu};
use crate::device::{DeviceActivation, DeviceFormat};
use crate::format::{Q4K, Q6K, Q8KPlanar, TensorType};
use crate::precision::{Acc, AccF32, AccF64, Accumulation, Act, ActF32, ActQ8K, Math, Policy};

/// What to generate.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Request {
    /// The policy; parts that the kernel has no choice of are ignored if they
    /// are the default.
    pub policy: Policy,
    /// Rows, or elements of an elementwise kernel; the entry's own if `None`.
    pub rows: Option<u32>,
    /// Columns; the entry's own if `None`.
    pub cols: Option<u32>,
    /// Experts; the entry's own if `None`.
    pub experts: Option<Experts>,
    /// The schedule; one that fits if `None`.
    pub schedule: Option<Schedule>,
    /// The GPU to write for.
    pub target: Target,
}

impl Request {
    /// The entry's own shape under a policy.
    pub fn new(policy: Policy, target: Target) -> Request {
        Request { policy, rows: None, cols: None, experts: None, schedule: None, target }
    }
}

/// What a parameter holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Blocks of a quantized tensor.
    Weights(TensorType),
    /// Activations in a format: f32, or a [`Q8KPlanar`] vector (several, one
    /// behind the other).
    Activations(Act),
    /// Numbers of experts, below `count`.
    ExpertIds {
        /// All experts.
        count: u32,
    },
    /// The weights of a token's experts.
    Routing,
    /// What the kernel writes.
    Output,
}

/// A parameter of a generated kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParamSpec {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub role: Role,
    /// Bytes of its buffer.
    pub bytes: u64,
}

/// A generated kernel with all that is needed to run it.
#[derive(Clone, Debug)]
pub struct Built {
    /// The entry that it is of.
    pub entry: &'static Entry,
    /// The kernel and its launch.
    pub launch: AnyLaunchable,
    /// Its parameters in order.
    pub params: Vec<ParamSpec>,
    /// The policy that it was made for.
    pub policy: Policy,
    /// Weights that a launch multiplies (elements, for elementwise kernels).
    pub weights: u64,
    /// The GPU that it was written for.
    pub target: Target,
}

impl Built {
    /// The kernel.
    pub fn kernel(&self) -> &AnyKernel {
        &self.launch.kernel
    }

    /// The entry and its variant, such as `q4k-gemv-q8k-f64`: the name of a file.
    pub fn title(&self) -> String {
        let variant = self.entry.variant(self.policy);
        let dash = if variant.is_empty() { "" } else { "-" };
        format!("{}{dash}{variant}", self.entry.name)
    }
}

/// A kernel of the catalogue.
#[derive(Debug)]
pub struct Entry {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// Activation formats that it has variants for; empty where there is no choice.
    pub acts: &'static [Act],
    /// Accumulators.
    pub accs: &'static [Acc],
    /// Math.
    pub maths: &'static [Math],
    /// The shape where none is asked for.
    pub shape: Shape,
    /// The experts where none are asked for; `None` where it has none.
    pub experts: Option<Experts>,
    /// How often a value is rounded from f64 to f32 on its way to the result
    /// under acc = f64: the stages of the kernel.
    pub stages: u32,
    build: fn(&'static Entry, &Resolved) -> Result<Built, CatalogueError>,
}

/// A request with every choice made.
struct Resolved {
    policy: Policy,
    shape: Shape,
    experts: Experts,
    schedule: Schedule,
    target: Target,
}

const ACTS: &[Act] = &[Act::F32, Act::Q8K];
const ACCS: &[Acc] = &[Acc::F32, Acc::F64];
const MATHS: &[Math] = &[Math::Exact, Math::Approx];
/// Qwen3-30B-A3B's.
const EXPERTS: Experts = Experts { count: 128, used: 8 };

/// Every kernel.
pub static CATALOGUE: &[Entry] = &[
    Entry {
        name: "q4k-gemv",
        summary: "Q4_K matrix times vector",
        acts: ACTS,
        accs: ACCS,
        maths: &[],
        shape: Shape { rows: 768, cols: 2048 },
        experts: None,
        stages: 1,
        build: matrix_vector::<Q4K<'static>>,
    },
    Entry {
        name: "q6k-gemv",
        summary: "Q6_K matrix times vector",
        acts: ACTS,
        accs: ACCS,
        maths: &[],
        shape: Shape { rows: 768, cols: 2048 },
        experts: None,
        stages: 1,
        build: matrix_vector::<Q6K<'static>>,
    },
    Entry {
        name: "quantize-q8k",
        summary: "f32 activations to Q8_K superblocks",
        acts: &[],
        accs: &[],
        maths: &[],
        shape: Shape { rows: 1, cols: 2048 },
        experts: None,
        stages: 0,
        build: quantize,
    },
    Entry {
        name: "swiglu",
        summary: "silu(gate) * up, elementwise over rows",
        acts: &[],
        accs: ACCS,
        maths: MATHS,
        shape: Shape { rows: 768, cols: 1 },
        experts: None,
        stages: 1,
        build: elementwise_swiglu,
    },
    Entry {
        name: "fused-gate-up-swiglu",
        summary: "both Q4_K projections and SwiGLU of all experts of a token",
        acts: ACTS,
        accs: ACCS,
        maths: MATHS,
        shape: Shape { rows: 768, cols: 2048 },
        experts: Some(EXPERTS),
        stages: 2,
        build: gate_up::<Q4K<'static>>,
    },
    Entry {
        name: "fused-gate-up-swiglu-q6k",
        summary: "both Q6_K projections and SwiGLU of all experts of a token",
        acts: ACTS,
        accs: ACCS,
        maths: MATHS,
        shape: Shape { rows: 768, cols: 2048 },
        experts: Some(EXPERTS),
        stages: 2,
        build: gate_up::<Q6K<'static>>,
    },
    Entry {
        name: "moe-down",
        summary: "Q4_K down projections of a token's experts and their weighted sum",
        acts: ACTS,
        accs: ACCS,
        maths: &[],
        shape: Shape { rows: 2048, cols: 768 },
        experts: Some(EXPERTS),
        stages: 2,
        build: down::<Q4K<'static>>,
    },
    Entry {
        name: "moe-down-q6k",
        summary: "Q6_K down projections of a token's experts and their weighted sum",
        acts: ACTS,
        accs: ACCS,
        maths: &[],
        shape: Shape { rows: 2048, cols: 768 },
        experts: Some(EXPERTS),
        stages: 2,
        build: down::<Q6K<'static>>,
    },
    Entry {
        name: "dequantize-q4k",
        summary: "Q4_K weights as f32",
        acts: &[],
        accs: &[],
        maths: &[],
        shape: Shape { rows: 8, cols: 2048 },
        experts: None,
        stages: 0,
        build: |entry, r| unpack::<Q4K<'static>>(entry, r, TensorType::Q4_K),
    },
    Entry {
        name: "dequantize-q6k",
        summary: "Q6_K weights as f32",
        acts: &[],
        accs: &[],
        maths: &[],
        shape: Shape { rows: 8, cols: 2048 },
        experts: None,
        stages: 0,
        build: |entry, r| unpack::<Q6K<'static>>(entry, r, TensorType::Q6_K),
    },
];

/// The kernel of this name.
///
/// # Errors
/// If there is none; the error suggests the nearest and lists all.
pub fn find(name: &str) -> Result<&'static Entry, CatalogueError> {
    CATALOGUE.iter().find(|e| e.name == name).ok_or_else(|| {
        let near = CATALOGUE.iter().map(|e| (strsim::jaro_winkler(name, e.name), e.name));
        let best = near.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(score, _)| *score > 0.7);
        CatalogueError::UnknownKernel {
            name: name.to_owned(),
            suggestion: best.map(|(_, n)| n.to_owned()),
            known: CATALOGUE.iter().map(|e| e.name).collect::<Vec<_>>().join(", "),
        }
    })
}

impl Entry {
    /// Every policy that it has a variant for, in the order of its options.
    pub fn policies(&self) -> Vec<Policy> {
        let or_default = |n: usize| n.max(1);
        let mut all = Vec::new();
        for a in 0..or_default(self.acts.len()) {
            for c in 0..or_default(self.accs.len()) {
                for m in 0..or_default(self.maths.len()) {
                    all.push(Policy {
                        act: self.acts.get(a).copied().unwrap_or_default(),
                        acc: self.accs.get(c).copied().unwrap_or_default(),
                        math: self.maths.get(m).copied().unwrap_or_default(),
                    });
                }
            }
        }
        all
    }

    /// The choices of a policy that this kernel has, for names: `q8k-f64`, or
    /// empty where it has none.
    pub fn variant(&self, policy: Policy) -> String {
        let mut parts = Vec::new();
        if !self.acts.is_empty() {
            parts.push(policy.act.name());
        }
        if !self.accs.is_empty() {
            parts.push(policy.acc.name());
        }
        if !self.maths.is_empty() {
            parts.push(policy.math.name());
        }
        parts.join("-")
    }

    /// Generates the kernel.
    ///
    /// # Errors
    /// For a policy, shape or schedule that it has no variant for.
    pub fn build(&'static self, request: &Request) -> Result<Built, CatalogueError> {
        self.has("act", self.acts, request.policy.act)?;
        self.has("acc", self.accs, request.policy.acc)?;
        self.has("math", self.maths, request.policy.math)?;
        let mut resolved = Resolved {
            policy: request.policy,
            shape: Shape {
                rows: request.rows.unwrap_or(self.shape.rows),
                cols: request.cols.unwrap_or(self.shape.cols),
            },
            experts: request.experts.or(self.experts).unwrap_or(EXPERTS),
            schedule: request.schedule.unwrap_or_default(),
            target: request.target,
        };
        loop {
            let built = (self.build)(self, &resolved);
            let smaller = match (&built, request.schedule) {
                (Err(CatalogueError::SharedMemory { .. }), None) => resolved.schedule.smaller(),
                _ => None,
            };
            match smaller {
                Some(schedule) => resolved.schedule = schedule,
                None => return built,
            }
        }
    }

    fn has<T: Copy + Default + PartialEq + std::fmt::Display>(
        &self,
        option: &'static str,
        choices: &[T],
        asked: T,
    ) -> Result<(), CatalogueError> {
        if choices.contains(&asked) || choices.is_empty() && asked == T::default() {
            return Ok(());
        }
        let list: Vec<String> = choices.iter().map(T::to_string).collect();
        let expected = if list.is_empty() { "no such choice".to_owned() } else { list.join(" and ") };
        Err(CatalogueError::Policy { kernel: self.name, option, found: asked.to_string(), expected })
    }
}

/// Calls a generic function with the types that a policy stands for.
macro_rules! with_policy {
    ($policy:expr, |$X:ident, $C:ident| $e:expr) => {
        match ($policy.act, $policy.acc) {
            (Act::F32, Acc::F32) => {
                type $X = ActF32;
                type $C = AccF32;
                $e
            }
            (Act::F32, Acc::F64) => {
                type $X = ActF32;
                type $C = AccF64;
                $e
            }
            (Act::Q8K, Acc::F32) => {
                type $X = ActQ8K;
                type $C = AccF32;
                $e
            }
            (Act::Q8K, Acc::F64) => {
                type $X = ActQ8K;
                type $C = AccF64;
                $e
            }
        }
    };
}

fn vector_bytes(act: Act, cols: u32) -> u64 {
    match act {
        Act::F32 => u64::from(cols) * 4,
        Act::Q8K => Q8KPlanar::new(cols as usize).bytes() as u64,
    }
}

impl Resolved {
    fn built<A: ptxgen_builder::build::Args>(
        &self,
        entry: &'static Entry,
        launchable: Launchable<A>,
        weights: u64,
        params: &[(&'static str, Role, u64)],
    ) -> Built {
        let params = params.iter().map(|&(name, role, bytes)| ParamSpec { name, role, bytes }).collect();
        Built { entry, launch: launchable.erase(), params, policy: self.policy, weights, target: self.target }
    }

    fn elements(&self) -> u64 {
        u64::from(self.shape.rows) * u64::from(self.shape.cols)
    }

    fn matrix_bytes<F: DeviceFormat>(&self) -> u64 {
        self.elements() / 256 * u64::from(F::BLOCK_BYTES)
    }
}

/// The tensor type of a device format.
fn tensor_type<F: DeviceFormat>() -> TensorType {
    if F::BLOCK_BYTES as usize == Q4K::BYTES { TensorType::Q4_K } else { TensorType::Q6_K }
}

fn matrix_vector<F: DeviceFormat>(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    fn typed<F: DeviceFormat, X: DeviceActivation, C: Accumulation>(
        entry: &'static Entry,
        r: &Resolved,
    ) -> Result<Built, CatalogueError> {
        let kernel = gemv::<F, X, C>(entry.name, r.shape, r.schedule, r.target)?;
        Ok(r.built(
            entry,
            kernel,
            r.elements(),
            &[
                ("w", Role::Weights(tensor_type::<F>()), r.matrix_bytes::<F>()),
                ("x", Role::Activations(X::ACT), vector_bytes(X::ACT, r.shape.cols)),
                ("y", Role::Output, u64::from(r.shape.rows) * 4),
            ],
        ))
    }
    with_policy!(r.policy, |X, C| typed::<F, X, C>(entry, r))
}

fn gate_up<F: DeviceFormat>(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    fn typed<F: DeviceFormat, X: DeviceActivation, C: Accumulation>(
        entry: &'static Entry,
        r: &Resolved,
    ) -> Result<Built, CatalogueError> {
        let math = r.policy.math;
        let kernel = gate_up_swiglu::<F, X, C>(entry.name, r.shape, r.experts, math, r.schedule, r.target)?;
        let Experts { count, used } = r.experts;
        let matrices = r.matrix_bytes::<F>() * u64::from(count);
        Ok(r.built(
            entry,
            kernel,
            2 * r.elements() * u64::from(used),
            &[
                ("gate", Role::Weights(tensor_type::<F>()), matrices),
                ("up", Role::Weights(tensor_type::<F>()), matrices),
                ("x", Role::Activations(X::ACT), vector_bytes(X::ACT, r.shape.cols)),
                ("ids", Role::ExpertIds { count }, u64::from(used) * 4),
                ("h", Role::Output, u64::from(r.shape.rows) * u64::from(used) * 4),
            ],
        ))
    }
    with_policy!(r.policy, |X, C| typed::<F, X, C>(entry, r))
}

fn down<F: DeviceFormat>(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    fn typed<F: DeviceFormat, X: DeviceActivation, C: Accumulation>(
        entry: &'static Entry,
        r: &Resolved,
    ) -> Result<Built, CatalogueError> {
        let kernel = moe_down::<F, X, C>(entry.name, r.shape, r.experts, r.schedule, r.target)?;
        let Experts { count, used } = r.experts;
        Ok(r.built(
            entry,
            kernel,
            r.elements() * u64::from(used),
            &[
                ("down", Role::Weights(tensor_type::<F>()), r.matrix_bytes::<F>() * u64::from(count)),
                ("x", Role::Activations(X::ACT), vector_bytes(X::ACT, r.shape.cols) * u64::from(used)),
                ("ids", Role::ExpertIds { count }, u64::from(used) * 4),
                ("weights", Role::Routing, u64::from(used) * 4),
                ("y", Role::Output, u64::from(r.shape.rows) * 4),
            ],
        ))
    }
    with_policy!(r.policy, |X, C| typed::<F, X, C>(entry, r))
}

fn quantize(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let cols = r.shape.cols;
    let bytes = vector_bytes(Act::Q8K, cols);
    let params = [("x", Role::Activations(Act::F32), u64::from(cols) * 4), ("y", Role::Output, bytes)];
    Ok(r.built(entry, quantize_q8k(entry.name, cols)?, u64::from(cols), &params))
}

fn elementwise_swiglu(entry: &'static Entry, r: &Resolved) -> Result<Built, CatalogueError> {
    let len = r.shape.rows;
    let bytes = u64::from(len) * 4;
    let params = [
        ("gate", Role::Activations(Act::F32), bytes),
        ("up", Role::Activations(Act::F32), bytes),
        ("h", Role::Output, bytes),
    ];
    let kernel = match r.policy.acc {
        Acc::F32 => swiglu::<AccF32>(entry.name, len, r.policy.math)?,
        Acc::F64 => swiglu::<AccF64>(entry.name, len, r.policy.math)?,
    };
    Ok(r.built(entry, kernel, u64::from(len), &params))
}

fn unpack<F: super::Dequantize>(entry: &'static Entry, r: &Resolved, ty: TensorType) -> Result<Built, CatalogueError> {
    let blocks = r.elements() / 256;
    let found = r.elements();
    let expected = "a positive multiple of 256, up to 2^30";
    let wrong = CatalogueError::Shape { kernel: entry.name, dimension: "rows * cols", found, expected };
    if !found.is_multiple_of(256) {
        return Err(wrong);
    }
    let kernel = dequantize::<F>(entry.name, u32::try_from(blocks).map_err(|_| wrong)?)?;
    let params = [("w", Role::Weights(ty), blocks * u64::from(F::BLOCK_BYTES)), ("y", Role::Output, found * 4)];
    Ok(r.built(entry, kernel, found, &params))
}
