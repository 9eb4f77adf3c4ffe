//! A kernel with its lines of Rust, on a GPU or, if there is none, in the interpreter: one interface.
//!
//! `ncu --set full --import-source yes -o report target/debug/examples/on_a_device` shows this file next to the machine
//! code.

use ptxgen::prelude::*;
use ptxgen::runtime::{CudaOptions, Device, DeviceError};

/// Threads per block.
const THREADS: u32 = 128;

type Args = (u32, u32, f32, In<f32>, Out<f32>);

/// y[i] = x[i] after `rounds` steps of the logistic map r * x * (1 - x), for i below n
fn logistic() -> Kernel<Args> {
    kernel::<Args>("logistic", ["n", "rounds", "r", "x", "y"], |k, (n, rounds, r, x, y)| {
        let i = k.global_thread_id();
        k.if_(i.lt(n), |k| {
            let start = x.at(i).load(k);
            let value = k.var(start);
            k.for_(0, rounds, 1, |_, _, _| {
                let now = value.get();
                value.set(r * now * (Val::from(1.0f32) - now));
            });
            y.at(i).store(k, value.get());
        });
    })
    .with_block(THREADS)
}

/// The first GPU, or the interpreter with the reason.
fn device() -> Device {
    // Line information does not change the code; profilers read it.
    match Device::cuda_with(0, CudaOptions { lineinfo: true, ..CudaOptions::default() }) {
        Ok(device) => device,
        Err(reason) => {
            println!("in the interpreter: {reason}");
            Device::interp()
        }
    }
}

fn run(device: &Device, r: f32, rounds: u32, x: &[f32]) -> Result<Vec<f32>, DeviceError> {
    let kernel = device.load(&logistic())?;
    let n = x.len() as u32;
    let x = device.upload(x)?;
    let mut y = device.alloc::<f32>(n as usize)?;
    device.launch(&kernel, n.div_ceil(THREADS), (n, rounds, r, &x, &mut y))?;
    y.read()
}

fn main() -> Result<(), DeviceError> {
    let x: Vec<f32> = (0..1000).map(|i| i as f32 / 1000.0).collect();
    let y = run(&device(), 3.7, 100, &x)?;
    println!("{} becomes {}", x[300], y[300]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_runs() -> Result<(), DeviceError> {
        main()
    }

    /// Products and sums are each rounded, so the bits equal those of the same expressions in Rust.
    #[test]
    fn every_value_has_the_bits_of_rust() -> Result<(), DeviceError> {
        let x: Vec<f32> = (0..300).map(|i| i as f32 / 299.0).collect();
        let expected: Vec<f32> = x.iter().map(|&x| (0..17).fold(x, |x, _| 3.9 * x * (1.0 - x))).collect();
        assert_eq!(run(&Device::interp(), 3.9, 17, &x)?, expected);
        Ok(())
    }
}
