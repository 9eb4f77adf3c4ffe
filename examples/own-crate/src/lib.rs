//! Kernels of a user's crate: distances between vectors.

use ptxgen::prelude::*;

/// The parameters of [`distances`]: the length `n` of a vector, vectors `x` one after the other, one more vector `q`,
/// and the distances `d` to it.
pub type Distances = (u32, In<f32>, In<f32>, Out<f32>);

/// d[row] = the Euclidean distance of x[row] and q, summed in f64; a block of one warp for each row.
pub fn distances() -> Kernel<Distances> {
    let kernel = kernel::<Distances>("distances", ["n", "x", "q", "d"], |k, (n, x, q, d)| {
        let (lane, row) = (k.lane(), k.block_x());
        let x = x.at(row * n);

        // Each lane sums every 32nd square; then the lanes add their sums.
        let sum = k.var::<f64>(0.0);
        k.for_(lane, n, 32u32, |k, i, _| {
            let difference = x.at(i).load(k).to::<f64>() - q.at(i).load(k).to::<f64>();
            sum.add_product(difference, difference);
        });
        let mut total = sum.get();
        for distance in [1u32, 2, 4, 8, 16] {
            total = total + k.shuffle_xor(total, distance);
        }
        d.at(row).store_if(k, lane.eq(0), total.sqrt().to_rn::<f32>());
    });
    kernel.with_block(32)
}
