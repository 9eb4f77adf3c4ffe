//! A matrix transposed in tiles through shared memory, so that both reads and writes of global memory are along rows. A
//! tile's columns are in one bank of shared memory unless its rows are padded; the interpreter counts the conflicts.

use ptxgen::prelude::*;
use ptxgen::testing::{Harness, HarnessError, Outcome};

/// Number of rows and columns of a tile.
const TILE: u32 = 32;
/// A block has 32 x 8 threads; each moves four elements.
const ROWS: u32 = 8;

type Args = (u32, u32, In<f32>, Out<f32>);

/// Transposes `rows` x `cols` elements, multiples of 32, with `padding` unused elements after each
/// row of the tile.
fn transpose(padding: u32) -> Kernel<Args> {
    kernel::<Args>("transpose", ["rows", "cols", "x", "y"], |k, (rows, cols, x, y)| {
        let pitch = TILE + padding;
        let tile = k.shared::<f32>(TILE * pitch);
        let (column, first_row) = (k.thread_x(), k.thread_y());
        let (left, top) = (k.block_x() * TILE, k.block_y() * TILE);

        for step in (0..TILE).step_by(ROWS as usize) {
            let row = first_row + step;
            let value = x.at((top + row).mad(cols, left + column)).load(k);
            tile.at(row.mad(pitch, column)).store(k, value);
        }
        k.barrier();
        for step in (0..TILE).step_by(ROWS as usize) {
            let row = first_row + step;
            let value = tile.at(column.mad(pitch, row)).load(k);
            y.at((left + row).mad(rows, top + column)).store(k, value);
        }
    })
    .with_block([TILE, ROWS])
}

fn run(padding: u32, rows: u32, cols: u32, x: &[f32]) -> Result<Outcome, HarnessError> {
    let harness = Harness::new(&transpose(padding)).scalar("rows", rows).scalar("cols", cols);
    harness.input("x", x).output::<f32>("y", x.len()).grid([cols / TILE, rows / TILE]).run()
}

fn main() -> Result<(), HarnessError> {
    let x: Vec<f32> = (0..64 * 32).map(|i| i as f32).collect();
    for padding in [0, 1] {
        let counts = run(padding, 64, 32, &x)?.counts();
        println!(
            "padding {padding}: {} passes over shared memory, {} of them for bank conflicts",
            counts.shared_passes, counts.bank_conflicts
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ptxgen::testing::Random;

    #[test]
    fn it_runs() -> Result<(), HarnessError> {
        main()
    }

    #[test]
    fn it_transposes() -> Result<(), HarnessError> {
        let (rows, cols) = (64, 96);
        let x = Random::new(4).vector(rows * cols);
        let expected: Vec<f32> = (0..rows * cols).map(|i| x[i % rows * cols + i / rows]).collect();
        for padding in [0, 1] {
            assert_eq!(run(padding, rows as u32, cols as u32, &x)?.read::<f32>("y")?, expected);
        }
        Ok(())
    }

    #[test]
    fn padding_ends_the_bank_conflicts() -> Result<(), HarnessError> {
        let x = [0.0; 32 * 32];
        let (plain, padded) = (run(0, 32, 32, &x)?.counts(), run(1, 32, 32, &x)?.counts());
        // 32 rows are written, one pass each; 32 columns are read, each with 32 elements in one bank.
        assert_eq!((plain.shared_passes, plain.bank_conflicts), (32 + 32 * 32, 32 * 31));
        assert_eq!((padded.shared_passes, padded.bank_conflicts), (32 + 32, 0));
        // Global memory is read and written in whole sectors of 32 bytes.
        assert_eq!((padded.sectors, padded.sector_bytes), (2 * 32 * 4, 2 * 32 * 128));
        Ok(())
    }
}
