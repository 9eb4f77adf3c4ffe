//! `rmsnorm` and `rmsnorm-q8k`: the norm before a layer's matrices.

use ptxgen_builder::build::{Body, Global, In, Out, ReadOnly, Val};

use super::contents::{Table, Vector};
use super::error::CatalogueError;
use super::limits::refuse_if;
use super::stage::{Resources, Stage};
use crate::device::{Eights, Q8KAt, fresh, inputs_ready, quantize_lanes_q8k};
use crate::format::{Q8KPlanar, SUPERBLOCK};
use crate::precision::{Accumulation, ActQ8K};

/// The parameters: `tokens` vectors of `cols` activations, the norm's weights
/// (`cols` f32), and the results, `tokens` vectors of f32.
pub type RmsNormArgs = (In<f32>, In<Table>, Out<f32>);

/// The same, and the results as [`Q8KPlanar`] vectors, one after the other.
pub type RmsNormQ8KArgs = (In<f32>, In<Table>, Out<f32>, Out<Vector<ActQ8K>>);

/// The vectors of a norm.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Norm {
    /// Elements of a vector.
    pub cols: u32,
    /// Vectors.
    pub tokens: u32,
    /// What is added to the mean square.
    pub eps: f32,
    /// Whether to wait for the kernel before: see [`How::pdl`](super::How::pdl).
    pub pdl: bool,
}

impl Norm {
    fn check(&self, kernel: &'static str, multiple: u32) -> Result<(), CatalogueError> {
        let expected = if multiple == 8 { "a multiple of 8, up to 32,768" } else { "a multiple of 256, up to 32,768" };
        let impossible = self.cols == 0 || !self.cols.is_multiple_of(multiple) || self.cols > 1 << 15;
        refuse_if(impossible, kernel, "cols", self.cols, expected)?;
        refuse_if(self.tokens == 0 || self.tokens > 65_535, kernel, "tokens", self.tokens, "1 to 65,535")
    }

    /// A block to each vector.
    fn resources(&self) -> Resources {
        Resources::new([self.tokens, 1, 1], Eights::new(self.cols).threads)
    }

    /// Writes the norm of the block's token to `y`; gives each round's eight
    /// results of the thread.
    #[track_caller]
    fn write<C: Accumulation>(
        &self,
        k: &Body,
        (x, w, y): (ReadOnly<f32>, ReadOnly<f32>, Global<f32>),
        (thread, token): (Val<u32>, Val<u32>),
    ) -> Vec<[Val<f32>; 8]> {
        let eights = Eights::new(self.cols);
        let w = eights.load(k, w, thread);
        inputs_ready(k, self.pdl);
        let x = fresh(x);
        let (x, y) = if self.tokens == 1 { (x, y) } else { (x.at(token * self.cols), y.at(token * self.cols)) };
        let x = eights.load(k, x, thread);
        let results = eights.normed::<C::Scalar>(k, &x, &w, self.eps, thread);
        for (round, v) in (0..).zip(&results) {
            let (first, holds) = eights.place(thread, round);
            let at = y.at(first);
            let store = |k: &Body| {
                at.store_vec(k, [v[0], v[1], v[2], v[3]]);
                at.plus(4).store_vec(k, [v[4], v[5], v[6], v[7]]);
            };
            match holds {
                None => store(k),
                Some(holds) => k.if_(holds, store),
            }
        }
        results
    }
}

/// The contract's "RMSNorm" of some vectors, a block of threads to each.
///
/// # Errors
/// If `cols` is not a multiple of 8.
pub fn rms_norm<C: Accumulation>(name: &'static str, norm: Norm) -> Result<Stage<RmsNormArgs>, CatalogueError> {
    norm.check(name, 8)?;
    let entry = format!("rmsnorm_{}_{}x{}", C::ACC, norm.tokens, norm.cols);
    Stage::<RmsNormArgs>::new(name, (&entry, ["x", "w", "y"]), norm.resources(), move |k, io, block| {
        let here = (k.thread_x(), block.x(k));
        norm.write::<C>(k, io, here);
    })
}

/// [`rms_norm`], with the results also rounded to Q8_K in the same launch.
///
/// # Errors
/// If `cols` is not a multiple of 256.
pub fn rms_norm_q8k<C: Accumulation>(name: &'static str, norm: Norm) -> Result<Stage<RmsNormQ8KArgs>, CatalogueError> {
    norm.check(name, SUPERBLOCK as u32)?;
    let entry = format!("rmsnorm_q8k_{}_{}x{}", C::ACC, norm.tokens, norm.cols);
    let eights = Eights::new(norm.cols);
    let layout = Q8KPlanar::new(norm.cols as usize);
    let names = ["x", "w", "y", "y_q8k"];
    Stage::<RmsNormQ8KArgs>::new(name, (&entry, names), norm.resources(), move |k, (x, w, y, q), block| {
        let (thread, token) = (k.thread_x(), block.x(k));
        let results = norm.write::<C>(k, (x, w, y), (thread, token));
        let q = if norm.tokens == 1 { q } else { q.byte_at(token * layout.bytes() as u32) };
        let q = Q8KAt::planar(&layout, q);
        let warps = eights.threads / 32;
        for (round, v) in (0..).zip(results) {
            let block = (thread >> 5) + round * warps;
            let quantize = |k: &Body| quantize_lanes_q8k(k, v, &q, block, thread & 31);
            // A warp has a superblock, or nothing.
            match eights.place(thread, round).1 {
                None => quantize(k),
                Some(_) => k.if_(block.lt(norm.cols / SUPERBLOCK as u32), quantize),
            }
        }
    })
}
