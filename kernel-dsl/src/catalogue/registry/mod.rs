//! The catalogue: kernels by name, with their options, for tools that read both from a command line. One file per
//! family of kernels.

mod attention;
mod built;
mod dequantize;
mod dims;
mod elementwise;
mod embedding;
mod entry;
mod experts;
mod formats;
mod id;
mod kernel;
mod matrix;
mod norm;
mod plain;
mod router;
mod rows;
mod token;

pub(in crate::catalogue) use built::Size;
pub use dims::{Dims, Sizes};
pub use id::{CacheType, KernelId, Role};
pub use kernel::{Built, Entry, Family, ParamSpec};

use super::error::CatalogueError;
use super::held::Words;
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
    rows::ENTRIES,
];

/// The kernels of the catalogue without those that differ from another tensor type's kernel only in the decoding of
/// blocks.
pub static TYPICAL: &[Entry] = &joined::<{ total(&[FAMILIES]) }>(&[FAMILIES]);

/// Every kernel.
pub static CATALOGUE: &[Entry] = &joined::<{ total(ALL) }>(ALL);

impl KernelId {
    /// The kernel, if the catalogue has one for these types.
    pub fn entry(self) -> Option<&'static Entry> {
        CATALOGUE.iter().find(|e| e.id == self)
    }
}

const ALL: &[&[&[Entry]]] = &[FAMILIES, formats::ENTRIES];

const fn total(groups: &[&[&[Entry]]]) -> usize {
    let (mut group, mut n) = (0, 0);
    while group < groups.len() {
        let mut family = 0;
        while family < groups[group].len() {
            n += groups[group][family].len();
            family += 1;
        }
        group += 1;
    }
    n
}

const fn joined<const N: usize>(groups: &[&[&[Entry]]]) -> [Entry; N] {
    let mut all = [FAMILIES[0][0]; N];
    let (mut group, mut n) = (0, 0);
    while group < groups.len() {
        let mut family = 0;
        while family < groups[group].len() {
            let mut i = 0;
            while i < groups[group][family].len() {
                all[n] = groups[group][family][i].named();
                n += 1;
                i += 1;
            }
            family += 1;
        }
        group += 1;
    }
    all
}

use entry::usual;

const ACTS: &[Act] = &[Act::F32, Act::Q8K];
const ACCS: &[Acc] = &[Acc::F32, Acc::F64];
const MATHS: &[Math] = &[Math::Exact, Math::Approx];

/// The kernel with this name.
///
/// # Errors
/// If there is none; the error suggests the nearest name and lists all.
pub fn find(name: &str) -> Result<&'static Entry, CatalogueError> {
    CATALOGUE.iter().find(|e| e.name == name).ok_or_else(|| {
        let near = CATALOGUE.iter().map(|e| (strsim::jaro_winkler(name, e.name), e.name));
        let best = near.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(score, _)| *score > 0.7);
        CatalogueError::UnknownKernel {
            name: name.to_owned(),
            suggestion: best.map(|(_, n)| n.to_owned()),
            known: TYPICAL.iter().map(|e| e.name).collect::<Vec<_>>().join(", ")
                + ", and those of other tensor types, q5k-gemv for example",
        }
    })
}

/// Calls a generic function with the accumulator of a policy.
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

/// Calls a generic function with the types of a policy.
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
