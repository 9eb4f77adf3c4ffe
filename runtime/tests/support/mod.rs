//! Running catalogue kernels on any device.
#![allow(dead_code)] // each test file uses its part

pub mod swiglu_errors;

use ptxgen_builder::build::ArgInfo;
use ptxgen_dsl::catalogue::{Access, Built};
use ptxgen_runtime::{Argument, Buffer, Device, DeviceError, Function};

/// What nothing has written, as the interpreter fills it.
const UNWRITTEN: u8 = 0xaa;

/// Runs a kernel on a device and gives what it writes, in parameter order. One
/// that is written for dependent launch runs as a graph.
pub fn outputs(device: &Device, built: &Built, inputs: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, DeviceError> {
    // SAFETY: the inputs are the samples that the parameters describe.
    outputs_of(device, &unsafe { device.load_launchable_unchecked(&built.launch)? }, built, inputs)
}

/// As [`outputs`], with the kernel's accesses checked.
pub fn checked_outputs(device: &Device, built: &Built, inputs: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, DeviceError> {
    outputs_of(device, &device.load_launchable(&built.launch)?, built, inputs)
}

fn outputs_of(
    device: &Device,
    function: &Function,
    built: &Built,
    inputs: &[Vec<u8>],
) -> Result<Vec<Vec<u8>>, DeviceError> {
    let mut buffers: Vec<Buffer<u8>> = Vec::new();
    for (param, bytes) in built.params.iter().zip(inputs) {
        buffers.push(match param.access {
            Access::Out if device.is_interpreter() => device.alloc(param.bytes as usize)?,
            Access::Out => device.upload(&vec![UNWRITTEN; param.bytes as usize])?,
            Access::In | Access::InOut => device.upload(bytes)?,
        });
    }
    let specs = built.params.iter().zip(built.kernel().args());
    let arguments = specs.zip(&mut buffers).filter_map(|((param, info), buffer)| match *info {
        ArgInfo::Buffer { ty, .. } if param.access.writes() => Some(Argument::write_as(ty, buffer.view_mut())),
        ArgInfo::Buffer { ty, .. } => Some(Argument::read_as(ty, buffer.view())),
        ArgInfo::Scalar(_) => None,
    });
    let arguments: Vec<Argument<'_>> = arguments.collect();
    let call = function.call(&arguments)?;
    if call.waits_itself() {
        device.replay(&device.graph(&[call])?)?;
    } else {
        device.run(&call)?;
    }
    let written = built.params.iter().zip(&buffers).filter(|(p, _)| p.access.writes());
    written.map(|(_, buffer)| buffer.read()).collect()
}

/// Whether outputs are the same bytes; the first that are not otherwise.
pub fn same(built: &Built, got: &[Vec<u8>], expected: &[Vec<u8>]) -> Result<(), String> {
    let written = built.params.iter().filter(|p| p.access.writes());
    for ((param, got), expected) in written.zip(got).zip(expected) {
        if let Some(at) = got.iter().zip(expected).position(|(g, e)| g != e) {
            let word = |bytes: &[u8]| bytes[at & !3..].iter().take(4).map(|b| format!("{b:02x}")).collect::<String>();
            let differ = got.iter().zip(expected).filter(|(g, e)| g != e).count();
            return Err(format!(
                "`{}`: {differ} of {} bytes differ, the first at {at}: {} in place of {}",
                param.name,
                got.len(),
                word(got),
                word(expected)
            ));
        }
    }
    Ok(())
}
