use ptxgen_dsl::catalogue::{Blocks, GemvArgs, Store};
use ptxgen_dsl::format::Q4K;
use ptxgen_dsl::precision::ActQ8K;
use ptxgen_runtime::{Buffer, Device, Loaded};

type Weights = Blocks<Q4K<'static>>;

fn launch(
    device: &Device,
    gemv: &Loaded<GemvArgs<Q4K<'static>, ActQ8K, Store>>,
    weights: &Buffer<Weights>,
    y: &mut Buffer<f32>,
) {
    device.launch(gemv, (1, 32), (weights, weights, y)).unwrap();
}

fn main() {}
