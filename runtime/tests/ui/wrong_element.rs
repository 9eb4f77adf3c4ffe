use ptxgen_builder::build::{In, InOut};
use ptxgen_runtime::{Buffer, Device, Loaded};

fn launch(device: &Device, k: &Loaded<(u32, In<f32>, InOut<f32>)>, x: &Buffer<u32>, y: &mut Buffer<f32>) {
    device.launch(k, (1, 32), (1, x, y)).unwrap();
}

fn main() {}
