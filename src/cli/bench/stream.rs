//! The read bandwidth of a device's memory, to which every kernel's rate is compared.

use super::measure::{launch_time, rate};
use ptxgen_builder::build::{In, Kernel, LoadHint, Out, kernel};
use ptxgen_runtime::{Device, DeviceError};

/// Bytes to read; less if a quarter of the memory is less.
const BYTES: u64 = 2 << 30;
/// Threads per block.
const THREADS: u32 = 512;
/// 16-byte loads that a thread has in flight.
const DEEP: u32 = 8;

/// Each thread reads 16 bytes, `DEEP` times in a row, in `rounds` rounds; a warp reads 512 consecutive bytes at a time.
fn reader(blocks: u32, rounds: u32) -> Kernel<(In<u32>, Out<u32>)> {
    let wide = blocks * THREADS;
    let kernel = kernel::<(In<u32>, Out<u32>)>("stream_read", ["x", "y"], |k, (x, y)| {
        let me = k.global_thread_id();
        let sum = k.var(0u32);
        k.for_(0, rounds, 1, |k, round, _| {
            let first = round * (wide * DEEP) + me;
            let at = |i: u32| x.at((first + i * wide) * 4);
            let loaded: Vec<_> = (0..DEEP).map(|i| at(i).load_vec_hinted::<4>(k, LoadHint::Streaming)).collect();
            let all = loaded.into_iter().flatten().reduce(|a, b| a ^ b);
            if let Some(all) = all {
                sum.set(sum.get() ^ all);
            }
        });
        // Always false, because the data are zeros; the compiler cannot know that and keeps the loads.
        let sum = sum.get();
        y.at(me).store_if(k, sum.eq(0x5eed_5eed), sum);
    });
    kernel.with_block(THREADS)
}

/// Bytes per second, in units of 10^9, of the fastest of several readers.
pub fn bandwidth(device: &Device, multiprocessors: u32) -> Result<f64, DeviceError> {
    let bytes = BYTES.min(device.memory()?.free / 4);
    let memory = device.zeroed::<u32>((bytes / 4) as usize)?;
    let mut best = 0.0f64;
    for blocks in [1, 2, 4].map(|n| n * multiprocessors) {
        let round = u64::from(blocks * THREADS * DEEP) * 16;
        let rounds = (bytes / round) as u32;
        if rounds == 0 {
            continue;
        }
        // SAFETY: it reads as many rounds as `memory` holds, rounded down, and each thread stores to its own element of
        // `sink`, which has one per thread.
        let reader = unsafe { device.load_unchecked(&reader(blocks, rounds))? };
        let mut sink = device.alloc::<u32>((blocks * THREADS) as usize)?;
        let time = launch_time(device, &[reader.bind(blocks, (&memory, &mut sink))?], 20)?;
        best = best.max(rate(round * u64::from(rounds), time));
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reader_reads_all_and_writes_nothing() {
        let device = Device::interp();
        let (blocks, rounds) = (2, 3);
        let reader = device.load(&reader(blocks, rounds)).unwrap();
        let memory = device.zeroed::<u32>((blocks * THREADS * DEEP * rounds) as usize * 4).unwrap();
        let mut sink = device.upload(&[7u32; 2 * THREADS as usize]).unwrap();
        device.launch(&reader, blocks, (&memory, &mut sink)).unwrap();
        assert!(sink.read().unwrap().iter().all(|&v| v == 7));
        let short = memory.slice(4..).unwrap();
        assert!(device.launch(&reader, blocks, (short, &mut sink)).is_err(), "the last bytes are read too");
    }
}
