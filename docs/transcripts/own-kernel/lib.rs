//! Layer normalization.

use ptxgen::prelude::*;

/// Warps that share a row.
const WARPS: u32 = 4;

/// The sum over all threads of the block, on each of them: over lanes, then over warps in their order.
#[track_caller]
fn block_sum(k: &Body, mut sum: Val<f64>) -> Val<f64> {
    for distance in [1u32, 2, 4, 8, 16] {
        let other = k.shuffle_xor(sum, distance);
        sum += other;
    }
    let sums = k.shared::<f64>(WARPS);
    let (warp, first) = (k.thread_x() >> 5, k.lane().eq(0));
    sums.at(warp).store_if(k, first, sum);
    k.barrier();
    let mut total = sums.load(k);
    for warp in 1..i64::from(WARPS) {
        total += sums.plus(warp).load(k);
    }
    total
}

/// n, eps, x, w, b, y
pub type LayerNorm = (u32, f32, In<f32>, In<f32>, In<f32>, Out<f32>);

/// y[row][i] = (x[row][i] - mean) / sqrt(variance + eps) * w[i] + b[i] in f64, rounded once; a block for each row of n.
pub fn layer_norm() -> Kernel<LayerNorm> {
    let names = ["n", "eps", "x", "w", "b", "y"];
    let kernel = kernel::<LayerNorm>("layer_norm", names, |k, (n, eps, x, w, b, y)| {
        let (thread, row) = (k.thread_x(), k.block_x());
        let (x, y) = (x.at(row * n), y.at(row * n));
        let count = n.to_rn::<f64>();

        let sum = k.var(0.0f64);
        k.for_(thread, n, WARPS * 32, |k, i, _| {
            let value = x.at(i).load(k);
            sum.add(value.to::<f64>());
        });
        let mean = block_sum(k, sum.get()) / count;

        let squares = k.var(0.0f64);
        k.for_(thread, n, WARPS * 32, |k, i, _| {
            let off = x.at(i).load(k).to::<f64>() - mean;
            squares.add_product(off, off);
        });
        let variance = block_sum(k, squares.get()) / count;
        let deviation = (variance + eps.to::<f64>()).sqrt();

        k.for_(thread, n, WARPS * 32, |k, i, _| {
            let (value, w, b) = (x.at(i).load(k), w.at(i).load(k), b.at(i).load(k));
            let normed = (value.to::<f64>() - mean) / deviation;
            y.at(i).store(k, normed.fma(w.to::<f64>(), b.to::<f64>()).to_rn::<f32>());
        });
    });
    kernel.with_block(WARPS * 32)
}
