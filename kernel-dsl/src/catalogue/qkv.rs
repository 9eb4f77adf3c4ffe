//! `qkv`: the three projections of attention in one launch.

use ptxgen_builder::build::{Body, Global, In, Out, ReadOnly, Val};
use ptxgen_builder::target::Target;

use super::contents::{Blocks, Table};
use super::error::CatalogueError;
use super::gemv::nth_vector;
use super::limits::check_tokens;
use super::matrix::{Here, Input, Store, Tiles, Work, finish, resident, streamed};
use super::memory::{self, Memory};
use super::plan::Plan;
use super::schedule::{How, Shape};
use super::stage::{Block, Resources, Stage};
use crate::device::{DeviceActivation, DeviceFloat, DeviceFormat, Normed, Source, fresh, inputs_ready, pass};
use crate::precision::Accumulation;

/// The parameters: the matrices of queries, keys and values, the vector, the
/// results: f32, all queries, then all keys, then all values.
pub type QkvArgs<F, V, X> =
    (In<Blocks<F>>, In<Blocks<F>>, In<Blocks<V>>, In<<X as DeviceActivation>::Stored>, Out<f32>);

/// The same for several vectors: after them the [pass]; the results of each
/// vector one after the other.
pub type QkvBatchArgs<F, V, X> =
    (In<Blocks<F>>, In<Blocks<F>>, In<Blocks<V>>, In<<X as DeviceActivation>::Stored>, In<u32>, Out<f32>);

/// The parameters: the matrices, the vector in f32, its norm's weights, the results as before.
pub type NormQkvArgs<F, V> = (In<Blocks<F>>, In<Blocks<F>>, In<Blocks<V>>, In<f32>, In<Table>, Out<f32>);

/// Rows of the three matrices, and their columns.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct QkvShape {
    /// Of the queries' matrix.
    pub q: u32,
    /// Of the keys' and of the values' matrix.
    pub kv: u32,
    /// Columns of all.
    pub cols: u32,
}

impl QkvShape {
    /// Rows of all three matrices.
    pub fn rows(&self) -> u64 {
        u64::from(self.q) + 2 * u64::from(self.kv)
    }
}

/// The products of three matrices with the same vectors.
struct Products {
    /// Of queries, keys and values.
    plans: [Plan; 3],
    shape: QkvShape,
    /// Maximum number of vectors; a single vector is streamed.
    tokens: u32,
}

/// The kernel's pointers.
struct Pointers<X: DeviceActivation> {
    matrices: [ReadOnly<u8>; 3],
    vectors: Vectors<X>,
    y: Global<f32>,
}

/// The vectors.
enum Vectors<X: DeviceActivation> {
    One(Global<X::Element>),
    Normed(Normed),
    /// As many as the pass has.
    Pass(Global<X::Element>, ReadOnly<u32>),
}

impl Products {
    fn new<F: DeviceFormat, V: DeviceFormat, X: DeviceActivation, A: DeviceFloat>(
        name: &'static str,
        shape: QkvShape,
        tokens: u32,
        how: How,
    ) -> Result<Products, CatalogueError> {
        check_tokens(name, tokens)?;
        let rows = |rows| Shape { rows, cols: shape.cols };
        // Every tile has its own warp, because the blocks are divided among three matrices.
        let how = How { schedule: super::Schedule { blocks: None, ..how.schedule }, ..how };
        let plans = [
            Plan::new::<F, X, A>(name, rows(shape.q), 1, how)?,
            Plan::new::<F, X, A>(name, rows(shape.kv), 1, how)?,
            Plan::new::<V, X, A>(name, rows(shape.kv), 1, how)?,
        ];
        Ok(Products { plans: plans.map(Plan::resident), shape, tokens })
    }

    /// A block to some tiles of one matrix.
    fn resources(&self, target: Target) -> Resources {
        let blocks = self.plans.iter().map(Plan::grid).sum();
        memory::resources([blocks, 1, 1], &self.plans.each_ref(), target)
    }

    fn rows(&self) -> u32 {
        self.shape.q + 2 * self.shape.kv
    }

    /// Emits the body: every block works on one matrix.
    #[track_caller]
    fn write<F: DeviceFormat, V: DeviceFormat, X: DeviceActivation, A: DeviceFloat>(
        &self,
        k: &Body,
        pointers: &Pointers<X>,
        block: Block,
    ) {
        let [q, key, value] = &self.plans;
        let memory = Memory::<A>::new(k, &[q, key, value]);
        let here = Here::new(k, q);
        let block = block.x(k);
        let (keys, values) = (q.grid(), q.grid() + key.grid());
        k.if_else(
            block.lt(keys),
            |k| self.one::<F, X, A>(k, 0, Work::new(q, here, memory, block), pointers),
            |k| {
                k.if_else(
                    block.lt(values),
                    |k| self.one::<F, X, A>(k, 1, Work::new(key, here, memory, block - keys), pointers),
                    |k| self.one::<V, X, A>(k, 2, Work::new(value, here, memory, block - values), pointers),
                );
            },
        );
    }

    /// One matrix's product.
    #[track_caller]
    fn one<F: DeviceFormat, X: DeviceActivation, A: DeviceFloat>(
        &self,
        k: &Body,
        which: usize,
        work: Work<'_, A>,
        pointers: &Pointers<X>,
    ) {
        let tiles = [Tiles::whole(work.plan, pointers.matrices[which])];
        let before = [0, self.shape.q, self.shape.q + self.shape.kv][which];
        let y = pointers.y.plus(before);
        let each = |k: &Body, tile, sums: Vec<Vec<Val<A>>>| {
            for ((row, writes), sum) in work.rows(tile).into_iter().zip(work.own(&sums[0])) {
                finish::<Store, _>(k, y.at(row), writes, sum);
            }
        };
        match &pointers.vectors {
            &Vectors::One(x) => {
                let ready = |k: &Body| {
                    inputs_ready(k, work.plan.pdl);
                    work.hold::<F, X>(k, Input::Ready(x))
                };
                streamed::<F, X, A>(k, &work, |_, tile| (tiles.to_vec(), tile), ready, each);
            }
            Vectors::Normed(normed) => {
                let (cols, pdl) = (self.shape.cols, work.plan.pdl);
                let ready = |k: &Body| {
                    let source = Source::normed(k, normed, cols, work.stagers, pdl);
                    work.hold::<F, X>(k, Input::From(source))
                };
                streamed::<F, X, A>(k, &work, |_, tile| (tiles.to_vec(), tile), ready, each);
            }
            &Vectors::Pass(x, state) => {
                let ready = |k: &Body| {
                    inputs_ready(k, work.plan.pdl);
                    (Val::from(0u32).copied(), pass::tokens(k, fresh(state), self.tokens))
                };
                let vector = |_: &Body, token| (token, nth_vector::<X>(x, token, self.shape.cols));
                resident::<F, X, A>(k, &work, &tiles, ready, vector, |k, token, rows, sums| {
                    let y = y.at(token * self.rows());
                    for ((row, writes), sum) in rows.into_iter().zip(work.own(&sums[0])) {
                        finish::<Store, _>(k, y.at(row), writes, sum);
                    }
                });
            }
        }
    }
}

pub(super) fn entry_name<X: DeviceActivation, C: Accumulation>(name: &str, shape: QkvShape) -> String {
    format!("{}_{}_{}_{}_{}x{}", name.replace('-', "_"), X::ACT, C::ACC, shape.q, shape.kv, shape.cols)
}

/// Queries, keys and values of a vector: three products by the contract's "Matrix times vector"; the values' matrix has
/// its own format.
///
/// # Errors
/// For shapes and schedules that the kernel does not support.
pub fn qkv<F: DeviceFormat, V: DeviceFormat, X: DeviceActivation, C: Accumulation>(
    name: &'static str,
    shape: QkvShape,
    how: How,
) -> Result<Stage<QkvArgs<F, V, X>>, CatalogueError> {
    let products = Products::new::<F, V, X, C::Scalar>(name, shape, 1, how)?;
    let names = ["q", "k", "v", "x", "y"];
    Stage::<QkvArgs<F, V, X>>::new(
        name,
        (&entry_name::<X, C>(name, shape), names),
        products.resources(how.target),
        move |k, io, block| {
            let (wq, wk, wv, x, y) = io;
            let pointers = Pointers::<X> { matrices: [wq, wk, wv], vectors: Vectors::One(fresh(x)), y };
            products.write::<F, V, X, C::Scalar>(k, &pointers, block);
        },
    )
}

/// [`qkv`] of the norm of a vector, with the contract's "RMSNorm".
///
/// # Errors
/// For shapes and schedules that the kernel does not support.
pub fn norm_qkv<F: DeviceFormat, V: DeviceFormat, X: DeviceActivation, C: Accumulation>(
    name: &'static str,
    shape: QkvShape,
    eps: f32,
    how: How,
) -> Result<Stage<NormQkvArgs<F, V>>, CatalogueError> {
    let Products { plans: [q, key, value], .. } = Products::new::<F, V, X, C::Scalar>(name, shape, 1, how)?;
    let plans = [q.making::<F, X, C::Scalar>(), key.making::<F, X, C::Scalar>(), value.making::<V, X, C::Scalar>()];
    let products = Products { plans, shape, tokens: 1 };
    let names = ["q", "k", "v", "x", "norm", "y"];
    let entry = entry_name::<X, C>(name, shape);
    Stage::<NormQkvArgs<F, V>>::new(name, (&entry, names), products.resources(how.target), move |k, io, block| {
        let (wq, wk, wv, x, weights, y) = io;
        let vectors = Vectors::Normed(Normed { x, weights, eps });
        products.write::<F, V, X, C::Scalar>(k, &Pointers::<X> { matrices: [wq, wk, wv], vectors, y }, block);
    })
}

/// The same for up to `tokens` vectors, each weight read once.
///
/// # Errors
/// For shapes and schedules that the kernel does not support.
pub fn qkv_batch<F: DeviceFormat, V: DeviceFormat, X: DeviceActivation, C: Accumulation>(
    name: &'static str,
    shape: QkvShape,
    tokens: u32,
    how: How,
) -> Result<Stage<QkvBatchArgs<F, V, X>>, CatalogueError> {
    let products = Products::new::<F, V, X, C::Scalar>(name, shape, tokens, how)?;
    let entry = format!("{}_t{tokens}", entry_name::<X, C>(name, shape));
    let names = ["q", "k", "v", "x", "state", "y"];
    Stage::<QkvBatchArgs<F, V, X>>::new(name, (&entry, names), products.resources(how.target), move |k, io, block| {
        let (wq, wk, wv, x, state, y) = io;
        let pointers = Pointers::<X> { matrices: [wq, wk, wv], vectors: Vectors::Pass(fresh(x), state), y };
        products.write::<F, V, X, C::Scalar>(k, &pointers, block);
    })
}
