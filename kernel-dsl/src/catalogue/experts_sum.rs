//! `experts-sum`: the experts' results of each token, weighted, onto the residual stream.

use ptxgen_builder::build::{Body, Global, In, InOut, ReadOnly, Rounding, Val};

use super::Experts;
use super::contents::Table;
use super::error::CatalogueError;
use super::limits::refuse_if;
use super::stage::{Resources, Stage};
use crate::device::{DeviceFloat, pass, residual};
use crate::precision::Accumulation;

/// The parameters: the experts' results, [tokens, used, cols] f32, the experts'
/// weights, [tokens, used], the [pass](crate::device::pass), and the residual
/// stream, [tokens, cols] f32.
pub type ExpertsSumArgs = (In<f32>, In<Table>, In<u32>, InOut<f32>);

/// Threads of a block.
const THREADS: u32 = 256;

/// `x[t] += sum_k w_k * y[t, k]` in rank order for up to `tokens` tokens: the
/// contract's "Experts' sum" and "Residual".
///
/// # Errors
/// For sizes that the kernel does not support.
pub fn experts_sum<C: Accumulation>(
    name: &'static str,
    cols: u32,
    used: u32,
    tokens: u32,
) -> Result<Stage<ExpertsSumArgs>, CatalogueError> {
    refuse_if(cols == 0 || cols > 1 << 15, name, "cols", cols, "1 to 32,768")?;
    Experts { count: used, used }.check(name)?;
    refuse_if(tokens == 0 || tokens > 1 << 12, name, "tokens", tokens, "1 to 4,096")?;
    // Four neighbours where that keeps accesses aligned.
    let share = if cols.is_multiple_of(4) { 4 } else { 1 };
    let entry = format!("experts_sum_{}_{cols}_{used}_{tokens}", C::ACC);
    let resources = Resources::new([cols.div_ceil(THREADS * share), tokens, 1], THREADS);
    let names = ["y", "weights", "state", "x"];
    Stage::<ExpertsSumArgs>::new(name, (&entry, names), resources, move |k, (y, weights, state, x), block| {
        let i = block.global_thread(k) * share;
        let token = block.y(k);
        let here = pass::tokens(k, state, tokens);
        k.if_(i.lt(cols) & token.lt(here), |k| {
            let terms = (y.at(token * (used * cols) + i), weights.at(token * used));
            let x = x.at(token * cols + i);
            match share {
                4 => add::<C, 4>(k, terms, (used, cols), x),
                _ => add::<C, 1>(k, terms, (used, cols), x),
            }
        });
    })
}

/// Adds the weighted sums of `N` neighbours to the residual stream at `x`.
#[track_caller]
fn add<C: Accumulation, const N: usize>(
    k: &Body,
    (y, weights): (ReadOnly<f32>, ReadOnly<f32>),
    (used, cols): (u32, u32),
    x: Global<f32>,
) {
    let mut sums = [C::Scalar::constant(0.0); N];
    for rank in 0..used {
        let weight = C::Scalar::widen(weights.plus(rank).load(k));
        let values: [Val<f32>; N] = y.plus(rank * cols).load_vec(k);
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum = weight.fma_rounded(C::Scalar::widen(value), *sum, Rounding::NearestEven);
        }
    }
    let before: [Val<f32>; N] = x.load_vec(k);
    let after: [_; N] = std::array::from_fn(|i| residual::<C::Scalar>(before[i], DeviceFloat::narrow(sums[i])));
    x.store_vec(k, after);
}
