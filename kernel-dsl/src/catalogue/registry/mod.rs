//! The catalogue: kernels by name, with their options, for tools that take
//! both from a command line. A file for each family of kernels.

mod attention;
mod built;
mod dequantize;
mod dims;
mod elementwise;
mod embedding;
mod entry;
mod experts;
mod matrix;
mod norm;
mod plain;
mod router;
mod token;

pub use built::{Access, Built, Contents, ParamSpec, Words};
pub use dims::{Dims, Sizes};
pub use entry::{Entry, Family};

use super::error::CatalogueError;
use crate::precision::{Acc, Act, Math};

/// The families, in the order of the catalogue.
const FAMILIES: &[&[Entry]] = &[
    matrix::ENTRIES,
    experts::ENTRIES,
    plain::ENTRIES,
    plain::OF_EXPERTS,
    elementwise::ENTRIES,
    dequantize::ENTRIES,
    embedding::ENTRIES,
    norm::ENTRIES,
    attention::ENTRIES,
    router::ENTRIES,
    token::ENTRIES,
];

/// Every kernel.
pub static CATALOGUE: &[Entry] = &joined::<{ total() }>();

const fn total() -> usize {
    let (mut family, mut n) = (0, 0);
    while family < FAMILIES.len() {
        n += FAMILIES[family].len();
        family += 1;
    }
    n
}

const fn joined<const N: usize>() -> [Entry; N] {
    let mut all = [FAMILIES[0][0]; N];
    let (mut family, mut n) = (0, 0);
    while family < FAMILIES.len() {
        let mut i = 0;
        while i < FAMILIES[family].len() {
            all[n] = FAMILIES[family][i];
            n += 1;
            i += 1;
        }
        family += 1;
    }
    all
}

use entry::usual;

const ACTS: &[Act] = &[Act::F32, Act::Q8K];
const ACCS: &[Acc] = &[Acc::F32, Acc::F64];
const MATHS: &[Math] = &[Math::Exact, Math::Approx];

/// The kernel of this name.
///
/// # Errors
/// If there is none; the error suggests the nearest and lists all.
pub fn find(name: &str) -> Result<&'static Entry, CatalogueError> {
    CATALOGUE.iter().find(|e| e.name == name).ok_or_else(|| {
        let near = CATALOGUE.iter().map(|e| (strsim::jaro_winkler(name, e.name), e.name));
        let best = near.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(score, _)| *score > 0.7);
        CatalogueError::UnknownKernel {
            name: name.to_owned(),
            suggestion: best.map(|(_, n)| n.to_owned()),
            known: CATALOGUE.iter().map(|e| e.name).collect::<Vec<_>>().join(", "),
        }
    })
}

/// Calls a generic function with the accumulator that a policy stands for.
macro_rules! with_acc {
    ($policy:expr, |$C:ident| $e:expr) => {
        match $policy.acc {
            $crate::precision::Acc::F32 => {
                type $C = $crate::precision::AccF32;
                $e
            }
            $crate::precision::Acc::F64 => {
                type $C = $crate::precision::AccF64;
                $e
            }
        }
    };
}

/// Calls a generic function with the types that a policy stands for.
macro_rules! with_policy {
    ($policy:expr, |$X:ident, $C:ident| $e:expr) => {
        match $policy.act {
            $crate::precision::Act::F32 => {
                type $X = $crate::precision::ActF32;
                $crate::catalogue::registry::with_acc!($policy, |$C| $e)
            }
            $crate::precision::Act::Q8K => {
                type $X = $crate::precision::ActQ8K;
                $crate::catalogue::registry::with_acc!($policy, |$C| $e)
            }
        }
    };
}

pub(in crate::catalogue) use {with_acc, with_policy};
