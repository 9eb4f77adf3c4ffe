//! A stage's computation, independent of the kernel that contains it.
//!
//! A body says how many threads its blocks have and how many blocks share its work, and emits the code of one block. It
//! does not know whether these are a grid's blocks or iterations of one block of a larger kernel. Its buffers are its
//! arguments, and it declares its shared memory. [`alone`] makes it a kernel: a wrapper that names parameters and
//! launches.

use std::marker::PhantomData;

use ptxgen_builder::build::{Args, Body, Kernel, Launchable, Val, kernel};

/// The resources that a body needs from a launch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Resources {
    /// Number of blocks that share the work.
    pub blocks: u32,
    /// Threads per block.
    pub threads: u32,
}

/// Returns the index of the block among those of the body, at the point where it is needed: the body determines the
/// order of instructions.
pub(super) type BlockNumber<'b> = &'b dyn Fn(&Body) -> Val<u32>;

/// A stage's work.
pub(super) trait StageBody {
    /// Its buffers.
    type Io;

    fn resources(&self) -> Resources;

    /// Emits the code of a block, in which all its threads take part.
    #[track_caller]
    fn emit(&self, k: &Body, io: Self::Io, block: BlockNumber<'_>);
}

/// A body from a closure.
pub(super) struct Written<Io, F> {
    resources: Resources,
    write: F,
    io: PhantomData<fn(Io)>,
}

/// The body with these blocks whose code `write` emits.
pub(super) fn written<Io, F: Fn(&Body, Io, BlockNumber<'_>)>(resources: Resources, write: F) -> Written<Io, F> {
    Written { resources, write, io: PhantomData }
}

impl<Io, F: Fn(&Body, Io, BlockNumber<'_>)> StageBody for Written<Io, F> {
    type Io = Io;

    fn resources(&self) -> Resources {
        self.resources
    }

    fn emit(&self, k: &Body, io: Io, block: BlockNumber<'_>) {
        (self.write)(k, io, block);
    }
}

/// A kernel that consists only of this body, with the buffers as its parameters.
#[track_caller]
pub(super) fn alone<A: Args, B: StageBody<Io = A::Handles>>(entry: &str, names: A::Names, body: &B) -> Kernel<A> {
    kernel::<A>(entry, names, |k, io| body.emit(k, io, &|k: &Body| k.block_x()))
}

/// The same with its launch, without dynamic shared memory.
#[track_caller]
pub(super) fn launched<A: Args, B: StageBody<Io = A::Handles>>(
    entry: &str,
    names: A::Names,
    body: &B,
) -> Launchable<A> {
    let Resources { blocks, threads } = body.resources();
    Launchable::new(alone::<A, B>(entry, names, body), [blocks, 1, 1], threads)
}

#[cfg(test)]
mod tests {
    use ptxgen_builder::build::{In, InOut, Out, kernel};
    use ptxgen_builder::interp::{Arg, Launch, Memory, Options, WarpOrder};
    use ptxgen_builder::target::Target;

    use super::*;
    use crate::catalogue::gemv::Product;
    use crate::catalogue::norm::Normed;
    use crate::catalogue::quantize::Vectors;
    use crate::catalogue::{
        Blocks, How, Machine, Norm, QuantizeArgs, RmsNormArgs, Schedule, Shape, Store, Table, Vector, gemv,
        quantize_q8k, rms_norm,
    };
    use crate::format::{Q4K, Q8KPlanar};
    use crate::precision::{AccF64, Act, ActQ8K};

    const COLS: u32 = 1024;
    const ROWS: u32 = 40;
    const TARGET: Target = Target::SM_90;

    type Q4 = Q4K<'static>;

    /// Runs a kernel on buffers of these sizes, and returns their contents afterwards.
    fn run<A: Args>(launch: &Launchable<A>, buffers: &[Vec<u8>], order: WarpOrder) -> Vec<Vec<u8>> {
        let module = launch.kernel.verify(TARGET).unwrap();
        let mut memory = Memory::new();
        let buffers: Vec<_> = buffers.iter().map(|bytes| memory.alloc(bytes, 256).unwrap()).collect();
        let args: Vec<Arg> = buffers.iter().map(|&b| b.into()).collect();
        let options = Options { order, ..Options::default() };
        let report = Launch {
            module: &module,
            kernel: launch.kernel.name(),
            grid: launch.grid,
            block: [launch.block, 1, 1],
            dynamic_shared: launch.dynamic_shared,
            args: &args,
            globals: None,
            options: &options,
        };
        let report = report.run(&mut memory).unwrap();
        assert!(report.is_clean(), "{report}");
        buffers.iter().map(|&b| memory.read(b).unwrap()).collect()
    }

    fn floats(n: u32, salt: u32) -> Vec<u8> {
        let value = |i: u32| ((i.wrapping_mul(2_654_435_761) ^ salt) >> 8) as f32 / (1 << 23) as f32 - 1.0;
        (0..n).flat_map(|i| value(i).to_le_bytes()).collect()
    }

    /// A norm, its rounding to Q8_K and a product with it in one kernel of one block, stage by stage, compared with a
    /// kernel for each: the bodies are the same, and so are the bits.
    #[test]
    fn three_stages_in_one_kernel_give_the_bits_of_three_kernels() {
        let how =
            How::new(Schedule { warps: 4, blocks: Some(1), ..Schedule::gemv(ROWS, Act::Q8K, Machine::H200) }, TARGET);
        let shape = Shape { rows: ROWS, cols: COLS };
        let norm = Norm { cols: COLS, tokens: 1, eps: 1e-6, pdl: false };
        let (normed, rounded) = (Normed::<AccF64>::new(norm), Vectors::new("fused", COLS, 1).unwrap());
        let product = Product::<Q4, ActQ8K, AccF64, Store>::new("fused", shape, how).unwrap();
        let each: [Resources; 3] = [normed.resources(), rounded.resources(), product.resources()];
        assert!(each.iter().all(|r| r.threads == 128), "{each:?}");

        type Fused = (In<f32>, In<Table>, In<Blocks<Q4>>, InOut<f32>, InOut<Vector<ActQ8K>>, Out<f32>);
        let names = ["x", "norm", "w", "normed", "rounded", "y"];
        let fused = kernel::<Fused>("fused", names, |k, (x, w, matrix, n, q, y)| {
            let turns = |k: &Body, blocks: u32, f: &dyn Fn(&Body, Val<u32>)| {
                (0..blocks).for_each(|block| f(k, Val::from(block).copied()));
                k.barrier();
            };
            turns(k, each[0].blocks, &|k, block| normed.emit(k, (x, w, n), &|_| block));
            turns(k, each[1].blocks, &|k, block| rounded.emit(k, (n.read_only(), q), &|_| block));
            turns(k, each[2].blocks, &|k, block| product.emit(k, (matrix, q.read_only(), y), &|_| block));
        });
        // Data that the kernel has written itself is not loaded through the read-only path.
        let fused = Launchable::new(fused.waiting(), [1, 1, 1], 128);

        let q8k = Q8KPlanar::new(COLS as usize).bytes();
        let weights: Vec<u8> = (0..ROWS * COLS / 256 * 144)
            .map(|i| if i % 144 < 4 && i % 2 == 1 { 0x20 } else { (i * 37) as u8 })
            .collect();
        let zeros = |n: usize| vec![0; n];
        for order in [WarpOrder::RoundRobin, WarpOrder::Adversarial] {
            let (x, w) = (floats(COLS, 1), floats(COLS, 2));
            let n = run::<RmsNormArgs>(
                &rms_norm::<AccF64>("norm", norm).unwrap(),
                &[x.clone(), w.clone(), zeros(4 * COLS as usize)],
                order,
            )
            .remove(2);
            let q = run::<QuantizeArgs>(&quantize_q8k("quantize", COLS, 1).unwrap(), &[n.clone(), zeros(q8k)], order);
            let alone = gemv::<Q4, ActQ8K, AccF64, Store>("gemv", shape, how).unwrap();
            let y = run(&alone, &[weights.clone(), q[1].clone(), zeros(4 * ROWS as usize)], order).remove(2);
            let together = [x, w, weights.clone(), zeros(4 * COLS as usize), zeros(q8k), zeros(4 * ROWS as usize)];
            let found = run(&fused, &together, order);
            assert!(found[3] == n && found[4] == q[1], "{order:?}: the stages between");
            assert!(found[5] == y && y.iter().any(|&b| b != 0), "{order:?}: the product");
        }
    }
}
