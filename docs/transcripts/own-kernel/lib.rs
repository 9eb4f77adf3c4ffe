//! Kernels of my own.

use ptxgen::prelude::*;

/// The sum over the warp's lanes, on every lane.
#[track_caller]
fn warp_sum(k: &mut Body, mut sum: Val<f64>) -> Val<f64> {
    for distance in [1u32, 2, 4, 8, 16] {
        let other = k.shuffle_xor(sum, distance);
        sum = sum + other;
    }
    sum
}

/// v[row] = the variance of the n values of x[row], in f64; a block of one warp for each row.
pub fn variance() -> Kernel<(u32, In<f32>, Out<f32>)> {
    let kernel = kernel::<(u32, In<f32>, Out<f32>)>("variance", ["n", "x", "v"], |k, (n, x, v)| {
        let (lane, row) = (k.lane(), k.block_x());
        let x = x.at(row * n);
        let count = n.to_rn::<f64>();

        let mut sum = k.var(0.0f64);
        k.for_(lane, n, 32, |k, i, _| {
            let value = x.at(i).load(k);
            sum.add(value.to::<f64>());
        });
        let mean = warp_sum(k, sum.get()) / count;

        let mut squares = k.var(0.0f64);
        k.for_(lane, n, 32, |k, i, _| {
            let off = x.at(i).load(k).to::<f64>() - mean;
            squares.add_product(off, off);
        });
        let variance = warp_sum(k, squares.get()) / count;
        v.at(row).store_if(k, lane.eq(0), variance.to_rn::<f32>());
    });
    kernel.with_block(32)
}
