//! Q8_K: 256 activations as signed bytes with one f32 scale (ggml `block_q8_K`).

use super::SUPERBLOCK;

/// A block of quantized activations; see the contract's "Q8_K quantization of activations" and
/// [`crate::reference::quantize_q8k`].
#[derive(Clone, Debug, PartialEq)]
#[repr(C, align(64))]
pub struct Q8KBlock {
    /// The quants.
    pub q: [i8; SUPERBLOCK],
    /// `sums[j]` is the exact sum of quants 16j .. 16j+16; its magnitude is at most 2,048.
    pub sums: [i16; 16],
    /// The scale: activation i is approximately `d * q[i]`.
    pub d: f32,
}

impl Q8KBlock {
    /// The block of zeros.
    pub const ZERO: Self = Self { q: [0; SUPERBLOCK], sums: [0; 16], d: 0.0 };
}

impl Default for Q8KBlock {
    fn default() -> Self {
        Self::ZERO
    }
}

/// The layout of a vector of Q8_K activations between kernels: all quants, then all scales, then all sums of 16, each
/// part contiguous so that accesses are fully used.
///
/// Within a superblock the 16 groups of 16 quants are in an order in which the lanes that decode a Q4_K or a Q6_K block
/// together read whole sectors: group `4k + j` at index `4j + (0, 2, 1, 3)[k]`. The sums of groups g and g + 2 are
/// adjacent (in each four: 0, 2, 1, 3), because those lanes need them together. Every part begins at a multiple of 32.
/// 2,336 bytes for 2,048 activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Q8KPlanar {
    cols: usize,
}

impl Q8KPlanar {
    /// The sector size of global memory. Every part begins at a sector boundary, so that no sector is read twice.
    const SECTOR: usize = 32;

    /// The layout of `cols` activations, whole superblocks of them.
    pub const fn new(cols: usize) -> Self {
        Self { cols }
    }

    /// Offset of the scales (f32, one per superblock), in bytes.
    pub const fn scales(&self) -> usize {
        self.cols
    }

    /// Offset of the sums (i16, one per 16 activations), in bytes.
    pub const fn sums(&self) -> usize {
        (self.scales() + self.cols / SUPERBLOCK * 4).next_multiple_of(Self::SECTOR)
    }

    /// Size of the vector in bytes, rounded up so that the next vector starts at a sector boundary.
    pub const fn bytes(&self) -> usize {
        (self.sums() + self.cols / 16 * 2).next_multiple_of(Self::SECTOR)
    }

    /// The index of group `g` < 16 among a superblock's quants, in groups.
    pub(crate) const fn quant_place(g: usize) -> usize {
        let k = g >> 2;
        (g & 3) << 2 | (k & 1) << 1 | k >> 1
    }

    /// The index of group `g`'s sum among the sums.
    pub(crate) const fn sum_index(g: usize) -> usize {
        g & !3 | (g & 1) << 1 | g >> 1 & 1
    }

    /// The vector's bytes from its blocks.
    pub fn pack(blocks: &[Q8KBlock]) -> Vec<u8> {
        let layout = Self::new(blocks.len() * SUPERBLOCK);
        let mut bytes = vec![0; layout.bytes()];
        for (b, block) in blocks.iter().enumerate() {
            for (i, q) in block.q.iter().enumerate() {
                let place = 16 * Self::quant_place(i / 16) + i % 16;
                bytes[b * SUPERBLOCK + place] = q.cast_unsigned();
            }
            bytes[layout.scales() + 4 * b..][..4].copy_from_slice(&block.d.to_le_bytes());
            for (g, sum) in block.sums.iter().enumerate() {
                let place = layout.sums() + 2 * (16 * b + Self::sum_index(g));
                bytes[place..][..2].copy_from_slice(&sum.to_le_bytes());
            }
        }
        bytes
    }
}
