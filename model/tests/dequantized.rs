//! The weights of every tensor of the bundled model are those that the gguf Python package gives,
//! bit for bit, on the host and from the kernels.

use ptxgen_builder::{interp::Options, target::Target};
use ptxgen_dsl::{
    catalogue::{Dims, Request, find},
    precision::Policy,
};
use ptxgen_model::gguf::TensorType;
use sha2::{Digest, Sha256};

fn sha256(values: &[f32]) -> String {
    let mut hash = Sha256::new();
    values.iter().for_each(|v| hash.update(v.to_le_bytes()));
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// What the kernel makes of blocks.
fn by_kernel(name: &str, blocks: &[u8], weights: usize) -> Vec<f32> {
    let target = Target::SM_75;
    let entry = find(name).unwrap();
    let rows = u32::try_from(weights / 256).unwrap();
    let dims = Dims { rows: Some(rows), cols: Some(256), ..Dims::NONE };
    let request = Request { dims, ..Request::new(Policy::default(), target) };
    let built = entry.build(&request).unwrap();
    let inputs = [blocks.to_vec(), vec![0; weights * 4]];
    let trial = built.try_out(&built.finish().unwrap(), &inputs, &Options::default()).unwrap();
    assert!(trial.report.is_clean(), "{}", trial.report);
    trial.outputs[0].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

#[test]
fn every_tensor() {
    let gguf = ptxgen_model::bundled().expect("the repository has a bundled model").unwrap();
    let mut seen = 0;
    for line in include_str!("data/dequantized.sha256").lines() {
        let [hash, ty, name] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let tensor = gguf.tensor(name).unwrap();
        assert_eq!(tensor.ty.name(), ty, "{name}");
        let mut values = vec![0.0; tensor.dims.iter().product()];
        tensor.ty.dequantize(tensor.data, &mut values).unwrap();
        assert_eq!(sha256(&values), hash, "{name}");

        let kernel = match tensor.ty {
            TensorType::Q4_K => "dequantize-q4k",
            TensorType::Q6_K => "dequantize-q6k",
            _ => "",
        };
        if !kernel.is_empty() {
            assert_eq!(sha256(&by_kernel(kernel, tensor.data, values.len())), hash, "{kernel} of {name}");
        }
        seen += 1;
    }
    assert_eq!(seen, gguf.tensors().count());
}
