//! A kernel with as many different inputs as a measurement needs.

use anyhow::Context;
use ptxgen_builder::build::ArgInfo;
use ptxgen_dsl::catalogue::{Built, Contents, Words};
use ptxgen_runtime::{Argument, Buffer, Call, Device, Function};

/// Weights that a graph reads: many times the size of any L2 cache.
pub const ROTATION: u64 = 1 << 30;
/// Minimum and maximum number of launches of a graph.
const LAUNCHES: (usize, usize) = (32, 4096);
/// Alignment of a copy in memory.
const ALIGN: u64 = 256;

/// Buffers for a kernel: several copies of its weights, one of everything else.
pub struct Work {
    /// The copies of each parameter, one after the other.
    buffers: Vec<Buffer<u8>>,
    params: Vec<Param>,
    copies: usize,
    /// Choices of experts that do not overlap.
    choices: usize,
    launches: usize,
}

#[derive(Clone, Copy)]
struct Param {
    info: ArgInfo,
    /// Bytes of a copy.
    bytes: u64,
    /// Distance between two copies; 0 if there is only one.
    step: u64,
    /// Distance between two choices of experts.
    choice: u64,
}

/// Elements of the weights in a kernel's parameters, whether the kernel reads all of them or not.
fn elements(built: &Built) -> u64 {
    let of = |contents: Contents, bytes: u64| match contents {
        Contents::Weights(ty) => bytes / ty.block_bytes() as u64 * ty.block_len() as u64,
        _ => 0,
    };
    built.params.iter().map(|p| of(p.contents, p.bytes)).sum()
}

fn weight_bytes(built: &Built) -> u64 {
    built.params.iter().filter(|p| matches!(p.contents, Contents::Weights(_))).map(|p| p.bytes).sum()
}

/// Bytes of weights that a launch reads: of a layer's experts only those that a token uses. 0 for kernels without
/// weights.
pub fn bytes_read(built: &Built) -> u64 {
    let all = elements(built);
    if all == 0 {
        return 0;
    }
    (weight_bytes(built) as f64 * (built.weights as f64 / all as f64).min(1.0)).round() as u64
}

impl Work {
    /// Allocates and fills a device's memory for a kernel, with about `rotation` bytes of weights.
    pub fn new(device: &Device, built: &Built, rotation: u64) -> anyhow::Result<Work> {
        let weights = weight_bytes(built);
        let copies = if weights == 0 { 1 } else { rotation.div_ceil(weights).min(LAUNCHES.1 as u64) as usize };
        let distinct = built.params.iter().find_map(|p| match p.contents {
            Contents::Words(Words::Distinct { below }) => Some((below, (p.bytes / 4) as u32)),
            _ => None,
        });
        let choices = distinct.map_or(1, |(below, used)| (below / used.max(1)).max(1)) as usize;
        let mut work = Work {
            buffers: Vec::new(),
            params: Vec::new(),
            copies,
            choices,
            launches: (copies * choices).clamp(LAUNCHES.0, LAUNCHES.1),
        };
        for (index, (param, sample)) in built.params.iter().zip(built.sample_inputs(1)).enumerate() {
            let info = *built.kernel().args().get(index).context("a parameter without a type")?;
            let (bytes, padded) = (param.bytes, param.bytes.next_multiple_of(ALIGN));
            let mut param_of = Param { info, bytes, step: 0, choice: 0 };
            let buffer = match param.contents {
                Contents::Weights(_) => {
                    param_of.step = padded;
                    let mut buffer = device.alloc::<u8>(padded as usize * copies)?;
                    for copy in 0..copies {
                        buffer.write(padded as usize * copy, &sample)?;
                    }
                    buffer
                }
                Contents::Words(Words::Distinct { below }) => {
                    param_of.choice = padded;
                    let ids = |choice: usize| {
                        let count = (bytes / 4) as u32;
                        (0..count).flat_map(move |i| ((choice as u32 * count + i) % below.max(1)).to_le_bytes())
                    };
                    let mut all = vec![0; padded as usize * choices];
                    for (choice, slot) in all.chunks_exact_mut(padded.max(1) as usize).enumerate() {
                        slot.iter_mut().zip(ids(choice)).for_each(|(to, from)| *to = from);
                    }
                    device.upload(&all)?
                }
                _ => device.upload(&sample)?,
            };
            work.params.push(param_of);
            work.buffers.push(buffer);
        }
        Ok(work)
    }

    /// A graph's launches, each with different weights from the launches before it.
    pub fn calls(&mut self, kernel: &Function) -> anyhow::Result<Vec<Call>> {
        (0..self.launches).map(|i| self.call(kernel, i)).collect()
    }

    fn call(&mut self, kernel: &Function, i: usize) -> anyhow::Result<Call> {
        // Each copy in turn gets the next choice of experts; when all copies have had one, the choices shift.
        let copy = (i % self.copies) as u64;
        let choice = ((i + i / self.copies.max(self.choices)) % self.choices) as u64;
        let mut arguments = Vec::new();
        for (param, buffer) in self.params.iter().zip(&mut self.buffers) {
            let ArgInfo::Buffer { ty, writes, .. } = param.info else {
                anyhow::bail!("{}: a parameter that is no buffer", kernel.name());
            };
            let start = (copy * param.step + choice * param.choice) as usize;
            let range = start..start + param.bytes as usize;
            arguments.push(if writes {
                Argument::write_as(ty, buffer.slice_mut(range)?)
            } else {
                Argument::read_as(ty, buffer.slice(range)?)
            });
        }
        Ok(kernel.call(&arguments)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ptxgen_builder::target::Target;
    use ptxgen_dsl::catalogue::{Dims, Request, TYPICAL, find};
    use ptxgen_dsl::precision::Policy;

    #[test]
    fn bytes_are_those_of_the_weights_that_a_launch_reads() {
        let bytes = |name: &str, dims: Dims| {
            let request = Request { dims, ..Request::new(Policy::default(), Target::SM_90) };
            bytes_read(&find(name).unwrap().build(&request).unwrap())
        };
        assert_eq!(bytes("q4k-gemv", Dims { rows: Some(768), cols: Some(2048), ..Dims::NONE }), 768 * 8 * 144);
        assert_eq!(bytes("fused-gate-up-swiglu", Dims::NONE), 2 * 8 * 768 * 8 * 144);
        assert_eq!(bytes("moe-down-q6k", Dims::NONE), 8 * 2048 * 3 * 210);
        assert_eq!(bytes("quantize-q8k", Dims::NONE), 0);
    }

    #[test]
    fn every_kernel_s_work_runs() {
        let device = Device::interp();
        for entry in TYPICAL {
            let policy = entry.policies()[0];
            let built = entry.build(&Request::for_trial(entry, policy, device.target())).unwrap();
            let mut work = Work::new(&device, &built, 2 * weight_bytes(&built)).unwrap();
            work.launches = 3;
            let kernel = device.load_launchable(&built.launch).unwrap();
            for call in work.calls(&kernel).unwrap() {
                device.run(&call).unwrap();
            }
        }
    }
}
