//! Damaged blocks of a file: weights that are NaN or infinite.

use crate::gguf::{Gguf, TensorView};
use rayon::prelude::*;
use serde::Serialize;

/// A tensor with blocks that contain NaN or infinity. A block is the unit of quantization of the tensor's type; for
/// unquantized types, a weight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The tensor's name.
    pub tensor: String,
    /// Damaged blocks.
    pub damaged: u64,
    /// Total number of blocks.
    pub blocks: u64,
    /// The row of the first, over all outer dimensions.
    pub row: u64,
    /// Its index in the row.
    pub block: u64,
}

/// Bytes that a thread checks at a time, at least a row.
const PIECE: usize = 1 << 20;

/// Reads all weights of a file and returns the damaged tensors, in the file's order. `progress` receives the number of
/// completed bytes. Damage that leaves every weight finite is not detected.
pub fn scan(gguf: &Gguf, progress: &(dyn Fn(u64) + Sync)) -> Vec<Damage> {
    gguf.tensors().filter_map(|tensor| scan_tensor(&tensor, progress)).collect()
}

fn scan_tensor(tensor: &TensorView<'_>, progress: &(dyn Fn(u64) + Sync)) -> Option<Damage> {
    let (row_bytes, row_blocks) = (tensor.row_bytes().max(1), tensor.row_len() / tensor.ty.block_len());
    let rows = (PIECE / row_bytes).max(1);
    let pieces = tensor.data.par_chunks(rows * row_bytes).enumerate().map(|(i, piece)| {
        let mut values = vec![0f32; tensor.row_len()];
        let (mut damaged, mut first) = (0u64, None);
        for (r, row) in piece.chunks(row_bytes).enumerate() {
            tensor.ty.dequantize(row, &mut values).expect("a file's rows are whole blocks");
            for (b, block) in values.chunks(tensor.ty.block_len()).enumerate() {
                if block.iter().any(|v| !v.is_finite()) {
                    damaged += 1;
                    first.get_or_insert(((i * rows + r) as u64, b as u64));
                }
            }
        }
        progress(piece.len() as u64);
        (damaged, first)
    });
    let (damaged, first) = pieces.reduce(|| (0, None), |(n, a), (m, b)| (n + m, a.into_iter().chain(b).min()));
    let (row, block) = first?;
    let blocks = (tensor.rows() * row_blocks) as u64;
    Some(Damage { tensor: tensor.name.into(), damaged, blocks, row, block })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::{GgufWriter, TensorType};

    /// A tensor of each type with this many rows of two blocks, all zero except for the scales given as bytes.
    fn file(ty: TensorType, damage: &[(usize, [u8; 4])]) -> Gguf {
        let (rows, cols) = (3, 2 * ty.block_len());
        let mut data = vec![0; ty.bytes_of(rows * cols).unwrap()];
        for (at, bytes) in damage {
            let width = ty.block_bytes().min(4);
            data[*at..*at + width].copy_from_slice(&bytes[..width]);
        }
        let mut w = GgufWriter::new();
        w.set("general.architecture", "any");
        w.tensor("some", &[cols, rows], ty);
        Gguf::from_bytes("m.gguf", &w.to_bytes(&data).unwrap()).unwrap()
    }

    #[test]
    fn the_first_damaged_block_is_named_and_all_are_counted() {
        // The upper half of an f32 NaN is a bf16 NaN; f16 has a different encoding.
        for (ty, nan, at) in [
            (TensorType::F32, [0, 0, 0xc0, 0x7f], 0),
            (TensorType::BF16, [0xc0, 0x7f, 0, 0], 0),
            (TensorType::F16, [0, 0x7e, 0, 0], 0),
            (TensorType::Q8_0, [0, 0x7e, 0, 0], 0),
            (TensorType::Q4_K, [0, 0x7e, 0, 0], 0),
            (TensorType::Q6_K, [0, 0, 0, 0x7c], 206),
        ] {
            assert_eq!(scan(&file(ty, &[]), &|_| ()), [], "{ty}");
            let block = |i: usize| i * ty.block_bytes() + at;
            // f16 infinity times a zero scale is NaN in a K block, and so is infinity times a zero weight.
            let found = scan(&file(ty, &[(block(3), nan), (block(5), nan)]), &|_| ());
            let expected = Damage { tensor: "some".into(), damaged: 2, blocks: 6, row: 1, block: 1 };
            assert_eq!(found, [expected], "{ty}");
        }
    }
}
