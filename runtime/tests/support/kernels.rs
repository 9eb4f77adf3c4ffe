//! Kernels that checked launches are tried with.

use ptxgen_builder::build::{Body, In, InOut, Kernel, Out, Val, kernel};
use ptxgen_dsl::device::DeviceExp;

/// Rows and columns of a tile of [`transpose`].
pub const TILE: u32 = 32;
/// Rows of the matrix of q4k-gemv.
pub const Q4K_ROWS: u32 = 16384;
/// Its columns.
pub const Q4K_COLS: u32 = 4096;

/// y[i] = a * x[i] + y[i], for i below n
pub fn saxpy() -> Kernel<(u32, f32, In<f32>, InOut<f32>)> {
    kernel::<(u32, f32, In<f32>, InOut<f32>)>("saxpy", ["n", "a", "x", "y"], |k, (n, a, x, y)| {
        let i = k.global_thread_id();
        k.if_(i.lt(n), |k| {
            let sum = a.fma(x.at(i).load(k), y.at(i).load(k));
            y.at(i).store(k, sum);
        });
    })
}

fn reduce(k: &Body, value: Val<f32>, combine: impl Fn(Val<f32>, Val<f32>) -> Val<f32>) -> Val<f32> {
    [16u32, 8, 4, 2, 1].into_iter().fold(value, |value, distance| combine(value, k.shuffle_xor(value, distance)))
}

/// The softmax of each row of n values, a block of one warp a row: the example's.
pub fn softmax() -> Kernel<(u32, In<f32>, Out<f32>)> {
    let kernel = kernel::<(u32, In<f32>, Out<f32>)>("softmax", ["n", "x", "y"], |k, (n, x, y)| {
        let lane = k.lane();
        let row = k.block_x() * n;
        let (x, y) = (x.at(row), y.at(row));
        let largest = k.var::<f32>(f32::NEG_INFINITY);
        k.for_(lane, n, 32u32, |k, i, _| {
            let value = x.at(i).load(k);
            largest.update(|largest| largest.max(value));
        });
        let largest = reduce(k, largest.get(), |a, b| a.max(b));
        let sum = k.var::<f32>(0.0);
        k.for_(lane, n, 32u32, |k, i, _| sum.add(f32::exponential(x.at(i).load(k) - largest)));
        let sum = reduce(k, sum.get(), |a, b| a + b);
        k.for_(lane, n, 32u32, |k, i, _| {
            let power = f32::exponential(x.at(i).load(k) - largest);
            y.at(i).store(k, power / sum);
        });
    });
    kernel.with_block(32)
}

/// A matrix of multiples of 32 transposed in tiles: the example's.
pub fn transpose() -> Kernel<(u32, u32, In<f32>, Out<f32>)> {
    kernel::<(u32, u32, In<f32>, Out<f32>)>("transpose", ["rows", "cols", "x", "y"], |k, (rows, cols, x, y)| {
        let pitch = TILE + 1;
        let tile = k.shared::<f32>(TILE * pitch);
        let (column, first_row) = (k.thread_x(), k.thread_y());
        let (left, top) = (k.block_x() * TILE, k.block_y() * TILE);
        for step in (0..TILE).step_by(8) {
            let row = first_row + step;
            let value = x.at((top + row).mad(cols, left + column)).load(k);
            tile.at(row.mad(pitch, column)).store(k, value);
        }
        k.barrier();
        for step in (0..TILE).step_by(8) {
            let row = first_row + step;
            let value = tile.at(column.mad(pitch, row)).load(k);
            y.at((left + row).mad(rows, top + column)).store(k, value);
        }
    })
    .with_block([TILE, 8])
}
