//! A tile of an int8 matrix product on the tensor cores: 16 x depth times depth x 8, summed exactly in i32.

use ptxgen::prelude::*;
use ptxgen::testing::{Harness, HarnessError};

type Args = (u32, In<u32>, In<u32>, Out<i32>);

/// c = a * b on one warp. `a` has 16 rows and `b` 8 columns of `depth` signed bytes, a multiple of
/// 32; `c` has 16 rows of 8.
///
/// The instruction defines which elements a lane has (PTX ISA, "Matrix Fragments for mma.m16n8k32"): lane 4g + p has
/// four bytes at 4p of rows g and g + 8 of `a` and of column g of `b`, and again 16 bytes further. Of the result it has
/// columns 2p and 2p + 1 of rows g and g + 8.
fn int8_mma() -> Kernel<Args> {
    let kernel = kernel::<Args>("int8_mma", ["depth", "a", "b", "c"], |k, (depth, a, b, c)| {
        let lane = k.lane();
        let (group, place) = (lane >> 2, lane & 3);
        let words = depth >> 2;
        let upper = a.at(group.mad(words, place));
        let lower = a.at((group + 8).mad(words, place));
        let column = b.at(group.mad(words, place));

        let sums = [(); 4].map(|()| k.var::<i32>(0));
        k.for_(0u32, words, 8u32, |k, word, _| {
            let (upper, lower, column) = (upper.at(word), lower.at(word), column.at(word));
            let a = [upper, lower, upper.plus(4), lower.plus(4)].map(|at| at.load(k));
            let b = [column, column.plus(4)].map(|at| at.load(k));
            let next = k.mma_s8(a, b, sums.each_ref().map(|sum| sum.get()));
            for (sum, next) in sums.iter().zip(next) {
                sum.set(next);
            }
        });

        let [c0, c1, c2, c3] = sums.map(|sum| sum.get());
        let result = c.at(group.mad(8u32, place << 1));
        result.store_vec(k, [c0, c1]);
        result.plus(8 * 8).store_vec(k, [c2, c3]);
    });
    kernel.with_block(32)
}

/// Runs it in the interpreter: `a` has 16 rows, `b` 8 columns, of the same length.
fn multiply(a: &[i8], b: &[i8]) -> Result<Vec<i32>, HarnessError> {
    let bytes = |v: &[i8]| v.iter().map(|&v| v as u8).collect::<Vec<u8>>();
    let depth = b.len() as u32 / 8;
    let harness = Harness::new(&int8_mma()).scalar("depth", depth).input("a", &bytes(a)).input("b", &bytes(b));
    harness.output::<i32>("c", 16 * 8).run()?.read("c")
}

fn main() -> Result<(), HarnessError> {
    let product = multiply(&[1; 16 * 32], &[-2; 8 * 32])?;
    println!("{:?}", &product[..8]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ptxgen::testing::{Random, assert_patterns, ptx};

    #[test]
    fn it_runs() -> Result<(), HarnessError> {
        main()
    }

    #[test]
    fn it_is_the_product() -> Result<(), HarnessError> {
        let mut random = Random::new(8);
        for depth in [32, 96] {
            let mut matrix = |vectors| random.bytes(vectors * depth).iter().map(|&b| b as i8).collect::<Vec<i8>>();
            let (a, b) = (matrix(16), matrix(8));
            let dot = |x: &[i8], y: &[i8]| x.iter().zip(y).map(|(x, y)| i32::from(*x) * i32::from(*y)).sum::<i32>();
            let expected: Vec<i32> =
                a.chunks(depth).flat_map(|row| b.chunks(depth).map(move |column| dot(row, column))).collect();
            assert_eq!(multiply(&a, &b)?, expected);
        }
        Ok(())
    }

    #[test]
    fn it_uses_the_tensor_cores() {
        assert_patterns(&ptx(&int8_mma()), "check: mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32\nnot: .f32");
    }
}
