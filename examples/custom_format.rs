//! A custom 4-bit format. Its decoder is a device function, a Rust function that emits code. Two kernels use it: one
//! writes the weights as f32, the other is a matrix-vector product.

use ptxgen::prelude::*;
use ptxgen::testing::{Harness, HarnessError};

/// A block is 32 weights in 20 bytes: a scale in f32, then 16 bytes with weight i in the low and
/// weight 16 + i in the high half of byte i. A weight is (q - 8) times the scale.
const WEIGHTS: u32 = 32;
/// 32-bit words of a block.
const WORDS: u32 = 5;

/// The weights of a block, exact.
fn decode(k: &Body, block: ReadOnly<u32>) -> [Val<f64>; 32] {
    let scale = block.load(k).bitcast::<f32>().to::<f64>();
    let words = [1, 2, 3, 4].map(|w| block.plus(w).load(k));
    std::array::from_fn(|i| {
        let (byte, half) = (i as u32 % 16, i as u32 / 16);
        let q = words[byte as usize / 4].bfe(8 * (byte % 4) + 4 * half, 4u32).bitcast::<i32>();
        (q - 8).to_rn::<f64>() * scale
    })
}

/// w[i] = weight i of `blocks` blocks, rounded to f32; one thread per block.
fn dequantize() -> Kernel<(u32, In<u32>, Out<f32>)> {
    kernel::<(u32, In<u32>, Out<f32>)>("dequantize", ["blocks", "q", "w"], |k, (blocks, q, w)| {
        let block = k.global_thread_id();
        k.if_(block.lt(blocks), |k| {
            let weights = decode(k, q.at(block * WORDS));
            let w = w.at(block * WEIGHTS);
            for (i, weight) in (0..).zip(weights) {
                w.plus(i).store(k, weight.to_rn::<f32>());
            }
        });
    })
}

/// The parameters of [`gemv`].
type Gemv = (u32, In<u32>, In<f32>, Out<f32>);

/// y[row] = the row's `blocks` blocks times x, summed in f64; a block of one warp for each row.
fn gemv() -> Kernel<Gemv> {
    let kernel = kernel::<Gemv>("gemv", ["blocks", "q", "x", "y"], |k, (blocks, q, x, y)| {
        let (lane, row) = (k.lane(), k.block_x());
        let q = q.at(row * blocks * WORDS);
        let sum = k.var::<f64>(0.0);
        k.for_(lane, blocks, 32u32, |k, block, _| {
            let weights = decode(k, q.at(block * WORDS));
            let x = x.at(block * WEIGHTS);
            for (i, four) in (0..).step_by(4).zip(weights.chunks(4)) {
                let x: [Val<f32>; 4] = x.plus(i).load_vec(k);
                for (weight, x) in four.iter().zip(x) {
                    sum.add_product(*weight, x.to::<f64>());
                }
            }
        });
        let mut total = sum.get();
        for distance in [1u32, 2, 4, 8, 16] {
            total = total + k.shuffle_xor(total, distance);
        }
        y.at(row).store_if(k, lane.eq(0), total.to_rn::<f32>());
    });
    kernel.with_block(32)
}

/// Runs the decoder in the interpreter.
fn weights(q: &[u32]) -> Result<Vec<f32>, HarnessError> {
    let blocks = q.len() as u32 / WORDS;
    let harness = Harness::new(&dequantize()).scalar("blocks", blocks).input("q", q);
    harness.output::<f32>("w", (blocks * WEIGHTS) as usize).grid(blocks.div_ceil(32)).block(32).run()?.read("w")
}

/// Runs the product in the interpreter; `q` has rows with as many weights as `x` has values.
fn multiply(q: &[u32], x: &[f32]) -> Result<Vec<f32>, HarnessError> {
    let blocks = x.len() as u32 / WEIGHTS;
    let rows = q.len() as u32 / (blocks * WORDS);
    let harness = Harness::new(&gemv()).scalar("blocks", blocks).input("q", q).input("x", x);
    harness.output::<f32>("y", rows as usize).grid(rows).run()?.read("y")
}

fn main() -> Result<(), HarnessError> {
    // One block with scale 0.5: alternating weights 1 and -1, in both halves.
    let block = [0.5f32.to_bits(), 0x66aa_66aa, 0x66aa_66aa, 0x66aa_66aa, 0x66aa_66aa];
    println!("{:?}", weights(&block)?);
    println!("{:?}", multiply(&block, &[1.0; 32])?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ptxgen::testing::{Accumulator, Act, PolicyProof, Random, assert_policy};

    /// Random blocks.
    fn blocks(random: &mut Random, n: usize) -> Vec<u32> {
        let block = |random: &mut Random| {
            let scale = random.float().to_bits();
            [scale].into_iter().chain((0..4).map(|_| random.bits() as u32)).collect::<Vec<_>>()
        };
        (0..n).flat_map(|_| block(random)).collect()
    }

    /// The weights of blocks, on the host.
    fn reference(q: &[u32]) -> Vec<f64> {
        let decoded = |block: &[u32]| {
            let scale = f64::from(f32::from_bits(block[0]));
            let bytes: Vec<u8> = block[1..].iter().flat_map(|w| w.to_le_bytes()).collect();
            let quants = bytes.iter().map(|b| b & 15).chain(bytes.iter().map(|b| b >> 4));
            quants.map(|q| f64::from(i32::from(q) - 8) * scale).collect::<Vec<_>>()
        };
        q.chunks(WORDS as usize).flat_map(decoded).collect()
    }

    #[test]
    fn it_runs() -> Result<(), HarnessError> {
        main()
    }

    #[test]
    fn it_decodes() -> Result<(), HarnessError> {
        let q = blocks(&mut Random::new(6), 40);
        let expected: Vec<f32> = reference(&q).into_iter().map(|w| w as f32).collect();
        assert_eq!(weights(&q)?, expected);
        Ok(())
    }

    #[test]
    fn it_multiplies() -> Result<(), HarnessError> {
        let mut random = Random::new(7);
        for blocks_a_row in [1, 3, 40] {
            let (rows, cols) = (3, 32 * blocks_a_row);
            let (q, x) = (blocks(&mut random, rows * blocks_a_row), random.vector(cols));
            let products = |row: &[f64]| row.iter().zip(&x).map(|(w, x)| w * f64::from(*x)).sum::<f64>() as f32;
            let expected: Vec<f32> = reference(&q).chunks(cols).map(products).collect();
            for (y, expected) in multiply(&q, &x)?.iter().zip(&expected) {
                assert!((y - expected).abs() <= 1e-6 * (1.0 + expected.abs()), "{y} {expected}");
            }
        }
        Ok(())
    }

    #[test]
    fn weights_meet_activations_as_floats_in_f64() {
        let act = Act::F32;
        let acc = Accumulator::F64;
        assert_policy!(gemv(), act = act, acc = acc, stages = 1, weights = "q", activations = "x", output = "y");
    }
}
