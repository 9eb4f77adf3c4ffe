//! Models whose matrices have many types.

use super::device::synth;
use ptxgen_model::{
    ModelConfig,
    gguf::{Gguf, GgufWriter, TensorType},
    synth::{Mix, Preset, Synth, Vocabulary},
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

fn small(c: &mut ModelConfig) {
    (c.blocks, c.vocab, c.experts, c.experts_used) = (1, 100, 4, 2);
    (c.hidden, c.heads, c.kv_heads, c.head_dim, c.expert_ff) = (256, 4, 2, 64, 256);
}

/// A model whose matrices all have one type.
pub fn in_one_type(ty: TensorType) -> Gguf {
    synth(Mix::One(ty), 31, small)
}

/// A model whose matrices go through all types, from layer to layer.
pub fn mixed(seed: u64) -> Gguf {
    let mut config = Preset::Tiny.config();
    small(&mut config);
    config.blocks = 4;
    let shape = Synth { config: config.clone(), mix: Mix::Q4KM, vocabulary: Vocabulary::None, seed };
    // The tensors and weights of a model in F16, one after the other, and those of the same matrices in
    // the type whose turn it is.
    let plain = Gguf::from_bytes("plain.gguf", &shape.to_bytes().unwrap()).unwrap();
    let mut writer = GgufWriter::new();
    for (key, value) in plain.metadata().iter() {
        writer.set(key, value.clone());
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut data, mut next) = (Vec::<u8>::new(), seed as usize);
    for tensor in plain.tensors() {
        let ty = match tensor.ty {
            TensorType::F32 => TensorType::F32,
            _ => {
                next += 1;
                TensorType::ALL[next % TensorType::ALL.len()]
            }
        };
        let mut bytes = vec![0; ty.bytes_of(tensor.dims.iter().product()).unwrap()];
        let unit = |rng: &mut ChaCha8Rng| (rng.next_u32() >> 8) as f32 / (1 << 24) as f32;
        match ty {
            _ if tensor.ty == TensorType::F32 => bytes.copy_from_slice(tensor.data),
            TensorType::F32 => {
                for weight in bytes.as_chunks_mut().0 {
                    *weight = (0.04 * (unit(&mut rng) - 0.5)).to_le_bytes();
                }
            }
            TensorType::F16 => {
                for weight in bytes.as_chunks_mut().0 {
                    *weight = half::f16::from_f32(0.04 * (unit(&mut rng) - 0.5)).to_le_bytes();
                }
            }
            TensorType::BF16 => {
                for weight in bytes.as_chunks_mut().0 {
                    *weight = half::bf16::from_f32(0.04 * (unit(&mut rng) - 0.5)).to_le_bytes();
                }
            }
            _ => {
                rng.fill_bytes(&mut bytes);
                ty.set_factors(&mut bytes, &mut |size| half::f16::from_f32((0.5 + unit(&mut rng)) * size));
            }
        }
        writer.tensor(tensor.name, tensor.dims, ty);
        data.extend(bytes);
    }
    Gguf::from_bytes("mixed.gguf", &writer.to_bytes(&data).unwrap()).unwrap()
}
