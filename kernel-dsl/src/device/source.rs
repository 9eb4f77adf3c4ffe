//! f32 activations that a kernel brings into their format itself, so that no
//! kernel before it has to.

use ptxgen_builder::build::{Body, Global, ReadOnly, Val};

use super::{DeviceFloat, Eights, Threads, fresh, inputs_ready};

/// A vector as a block, or a warp, has it in registers: each thread the eights
/// of its rounds, as [`Eights`] shares them out.
pub struct Source {
    eights: Eights,
    thread: Val<u32>,
    x: Vec<[Val<f32>; 8]>,
    norm: Option<(Vec<[Val<f32>; 8]>, f32)>,
}

/// A vector and its norm.
#[derive(Clone, Copy)]
pub struct Normed {
    /// The vector.
    pub x: ReadOnly<f32>,
    /// The norm's weights.
    pub weights: ReadOnly<f32>,
    /// What is added to the mean square.
    pub eps: f32,
}

impl Source {
    /// The `cols` activations at `x`.
    #[track_caller]
    pub fn plain(k: &Body, x: Global<f32>, cols: u32, threads: Threads) -> Source {
        let eights = Eights { n: cols, threads: threads.count };
        Source { eights, thread: threads.this, x: eights.load(k, x, threads.this), norm: None }
    }

    /// The norm of `cols` activations. The norm's weights are loaded before
    /// the kernel before is waited for, with `pdl`.
    #[track_caller]
    pub fn normed(k: &Body, normed: &Normed, cols: u32, threads: Threads, pdl: bool) -> Source {
        let eights = Eights { n: cols, threads: threads.count };
        let weights = eights.load(k, normed.weights, threads.this);
        inputs_ready(k, pdl);
        let source = Source::plain(k, fresh(normed.x), cols, threads);
        Source { norm: Some((weights, normed.eps)), ..source }
    }

    /// Calls `f` with the first and the values of each eight of the thread. A warp is called with
    /// 256 consecutive values, or not at all.
    #[track_caller]
    pub fn each<A: DeviceFloat>(&self, k: &Body, f: impl Fn(&Body, Val<u32>, [Val<f32>; 8])) {
        let normed;
        let values = match &self.norm {
            None => &self.x,
            Some((weights, eps)) => {
                normed = self.eights.normed::<A>(k, &self.x, weights, *eps, self.thread);
                &normed
            }
        };
        for (round, &v) in (0..).zip(values) {
            let (first, holds) = self.eights.place(self.thread, round);
            match holds {
                None => f(k, first, v),
                Some(holds) => k.if_(holds, |k| f(k, first, v)),
            }
        }
    }
}
