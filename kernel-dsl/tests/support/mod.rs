//! Running catalogue kernels in the interpreter, and inputs for them.
#![allow(dead_code)] // each test file uses its part

use half::f16;
use ptxgen_builder::build::Args;
use ptxgen_builder::interp::{Arg, Blocks, Buffer, Checks, Launch, Memory, Options, Report, WarpOrder};
use ptxgen_builder::target::Target;
pub use ptxgen_builder::testing::Random as Rng;
use ptxgen_dsl::catalogue::{AnyLaunchable, Launchable};
use ptxgen_dsl::device::DeviceKv;
use ptxgen_dsl::format::{Q4K, Q6K};

/// What kind of blocks a matrix has.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Kind {
    /// Random quants and sane scales.
    Plain,
    /// The corners: zero, largest, subnormal, negative, NaN and infinite
    /// scales, uniform quants, among random ones.
    Adversarial,
}

/// Warps in an unkind order, and blocks all at once: whatever the order, a kernel's bits are the same.
pub const UNKIND: Options = Options {
    order: WarpOrder::Adversarial,
    schedule: Blocks::Parallel,
    check: Checks { races: true, uninit: true },
    wraps: false,
    max_steps: 100_000_000,
    count: false,
    perturb: None,
    cluster: None,
    gpu: None,
};

/// The same with blocks in turn, for those that wait for each other or count up together.
pub const INTERLEAVED: Options = Options { schedule: Blocks::Interleaved, ..UNKIND };

const CORNERS: [u16; 10] = [0x0000, 0x8000, 0x7bff, 0xfbff, 0x0001, 0x8001, 0x03ff, 0x7e00, 0x7c00, 0xfc00];

fn scale(rng: &mut Rng, kind: Kind, size: f32) -> u16 {
    if kind == Kind::Adversarial && rng.below(4) == 0 {
        return CORNERS[rng.below(CORNERS.len() as u64) as usize];
    }
    f16::from_f32((0.5 + rng.float().abs()) * size).to_bits()
}

fn bytes(rng: &mut Rng, kind: Kind, out: &mut [u8]) {
    let fill = match (kind, rng.below(6)) {
        (Kind::Adversarial, 0) => Some(0u8),
        (Kind::Adversarial, 1) => Some(0xff),
        _ => None,
    };
    for b in out {
        *b = fill.unwrap_or_else(|| rng.bits() as u8);
    }
}

/// Random Q4_K blocks.
pub fn q4k(rng: &mut Rng, blocks: usize, kind: Kind) -> Vec<u8> {
    let mut all = vec![0; blocks * Q4K::BYTES];
    for block in all.chunks_exact_mut(Q4K::BYTES) {
        bytes(rng, kind, block);
        block[..2].copy_from_slice(&scale(rng, kind, 1e-3).to_le_bytes());
        block[2..4].copy_from_slice(&scale(rng, kind, 7.5e-3).to_le_bytes());
    }
    all
}

/// Random Q6_K blocks.
pub fn q6k(rng: &mut Rng, blocks: usize, kind: Kind) -> Vec<u8> {
    let mut all = vec![0; blocks * Q6K::BYTES];
    for block in all.chunks_exact_mut(Q6K::BYTES) {
        bytes(rng, kind, block);
        block[Q6K::D..].copy_from_slice(&scale(rng, kind, 1e-3).to_le_bytes());
    }
    all
}

/// A value's bits, all NaNs alike: payloads are outside of the contract.
pub fn bits(v: f32) -> u32 {
    if v.is_nan() { f32::NAN.to_bits() } else { v.to_bits() }
}

pub fn all_bits(v: &[f32]) -> Vec<u32> {
    v.iter().copied().map(bits).collect()
}

pub fn to_bytes(v: &[f32]) -> Vec<u8> {
    v.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// An element type of the KV cache, on the host.
pub trait Stored: DeviceKv {
    /// An element's bytes, rounded to nearest even.
    fn to(v: f32) -> Vec<u8>;
    /// The element of these bytes.
    fn of(bytes: &[u8]) -> f32;

    /// A value as the cache returns it.
    fn stored(v: f32) -> f32 {
        Self::of(&Self::to(v))
    }

    /// The bytes of elements, one after the other.
    fn bytes(v: &[f32]) -> Vec<u8> {
        v.iter().copied().flat_map(Self::to).collect()
    }
}

impl Stored for f32 {
    fn to(v: f32) -> Vec<u8> {
        v.to_le_bytes().to_vec()
    }
    fn of(bytes: &[u8]) -> f32 {
        f32::from_le_bytes(bytes.try_into().unwrap())
    }
}

impl Stored for f16 {
    fn to(v: f32) -> Vec<u8> {
        f16::from_f32(v).to_le_bytes().to_vec()
    }
    fn of(bytes: &[u8]) -> f32 {
        f16::from_le_bytes(bytes.try_into().unwrap()).to_f32()
    }
}

pub fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

pub fn word_bytes(v: &[u32]) -> Vec<u8> {
    v.iter().flat_map(|w| w.to_le_bytes()).collect()
}

pub fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

/// An argument of a launch in a test.
pub enum Data {
    In(Vec<u8>),
    Out(usize),
    /// Read and written; comes back with the outputs.
    InOut(Vec<u8>),
}

/// Runs a kernel or a stage that is one, and gives its outputs' bytes in order, and the report. Fails
/// on any finding: races, uninitialized reads, accesses out of bounds.
pub fn run<A: Args>(
    kernel: impl Into<Launchable<A>>,
    target: Target,
    data: &[Data],
    options: &Options,
) -> (Vec<Vec<u8>>, Report) {
    let AnyLaunchable { kernel, grid, block, dynamic_shared, .. } = kernel.into().erase(target);
    let module = kernel.verify(target).unwrap_or_else(|e| panic!("{e}"));
    let mut memory = Memory::new();
    let buffers: Vec<Buffer> = data
        .iter()
        .map(|d| match d {
            Data::In(bytes) | Data::InOut(bytes) => memory.alloc(bytes, 16),
            Data::Out(len) => memory.alloc_uninit(*len as u64, 16),
        })
        .collect::<Result<_, _>>()
        .unwrap();
    let args: Vec<Arg> = buffers.iter().map(|&b| Arg::from(b)).collect();
    let launch = Launch {
        module: &module,
        kernel: kernel.name(),
        grid,
        block: [block, 1, 1],
        dynamic_shared,
        args: &args,
        globals: None,
        options,
    };
    let report = launch.run(&mut memory).unwrap();
    assert!(report.is_clean(), "{}: {report:#?}", kernel.name());
    let outputs = data
        .iter()
        .zip(&buffers)
        .filter(|(d, _)| !matches!(d, Data::In(_)))
        .map(|(_, &b)| memory.read(b).unwrap())
        .collect();
    (outputs, report)
}
