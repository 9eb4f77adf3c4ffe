//! Entries of the tensor types whose kernels differ from the typical ones only in how a block is
//! decoded: one macro for each kind of format, over the one list of types.

use super::super::schedule::Schedule;
use super::super::{Add, PairVector, Store};
use super::experts::{
    DOWN, DOWN_ADD, GATE_UP, GROUPED_DOWN, GROUPED_EXPERTS, GROUPED_GATE_UP, NORM_GATE_UP, ROUTED_DOWN_ADD, down,
    gate_up, grouped, grouped_down, grouped_gate_up, norm_gate_up, routed,
};
use super::matrix::{GEMV, GEMV_ADD, NORM_QKV, QKV, matrix_vector, norm_projections, projections};
use super::{Entry, KernelId, Role, embedding, plain};
use crate::device::{Coded, DeviceIntegers, reading};
use crate::format::{TensorType, for_each_type};

/// How kernels read a format of integers.
type Of<F> = Coded<<F as DeviceIntegers>::Order>;

macro_rules! entries {
    ($($name:ident $id:literal $len:literal $bytes:literal $module:ident::$format:ident $kind:ident, $doc:literal;)*) => {
        /// By type.
        pub(super) const ENTRIES: &[&[Entry]] = &[$(entries!(@ $kind $name $module $format)),*];
    };
    (@ integers $name:ident $module:ident $format:ident) => {
        &[
            Entry {
                id: KernelId::Matrix(Role::Product, TensorType::$name),
                summary: concat!(stringify!($name), " matrix times vector"),
                build: |entry, r| reading::<crate::format::$format, _>(|| matrix_vector::<Of<crate::format::$format>, Store>(entry, r)),
                usual: |s, p, m| Schedule::gemv_of_integers(s.rows, p.act, TensorType::$name.block_bytes(), m),
                ..GEMV
            },
            Entry {
                id: KernelId::Matrix(Role::ProductAdded, TensorType::$name),
                summary: concat!(stringify!($name), " matrix times vector, added to the residual stream"),
                build: |entry, r| reading::<crate::format::$format, _>(|| matrix_vector::<Of<crate::format::$format>, Add>(entry, r)),
                ..GEMV_ADD
            },
            Entry {
                id: KernelId::Projections { normed: false, qk: TensorType::$name, v: TensorType::$name },
                summary: concat!("queries, keys and values of ", stringify!($name), " matrices"),
                build: |entry, r| reading::<crate::format::$format, _>(|| projections::<Of<crate::format::$format>, Of<crate::format::$format>>(entry, r)),
                ..QKV
            },
            Entry {
                id: KernelId::Projections { normed: true, qk: TensorType::$name, v: TensorType::$name },
                summary: concat!("RMSNorm, then queries, keys and values of ", stringify!($name), " matrices"),
                build: |entry, r| reading::<crate::format::$format, _>(|| norm_projections::<Of<crate::format::$format>, Of<crate::format::$format>>(entry, r)),
                ..NORM_QKV
            },
            Entry {
                id: KernelId::Matrix(Role::GateUp, TensorType::$name),
                summary: concat!("both ", stringify!($name), " projections and SwiGLU of all experts of a token"),
                build: |entry, r| reading::<crate::format::$format, _>(|| gate_up::<Of<crate::format::$format>>(entry, r)),
                ..GATE_UP
            },
            Entry {
                id: KernelId::Matrix(Role::NormGateUp, TensorType::$name),
                summary: concat!(
                    "RMSNorm and the choice of experts, then both ",
                    stringify!($name),
                    " projections and SwiGLU of all of them"
                ),
                build: |entry, r| reading::<crate::format::$format, _>(|| norm_gate_up::<Of<crate::format::$format>>(entry, r)),
                ..NORM_GATE_UP
            },
            Entry {
                id: KernelId::Matrix(Role::Down, TensorType::$name),
                summary: concat!(
                    stringify!($name),
                    " down projections of a token's experts and their weighted sum"
                ),
                build: |entry, r| reading::<crate::format::$format, _>(|| down::<Of<crate::format::$format>, Store>(entry, r)),
                ..DOWN
            },
            Entry {
                id: KernelId::Matrix(Role::DownAdded, TensorType::$name),
                summary: concat!("the same of ", stringify!($name), ", added to the residual stream"),
                build: |entry, r| reading::<crate::format::$format, _>(|| down::<Of<crate::format::$format>, Add>(entry, r)),
                ..DOWN_ADD
            },
            Entry {
                id: KernelId::Matrix(Role::RoutedDownAdded, TensorType::$name),
                summary: concat!(
                    "the choice of a token's experts, then their ",
                    stringify!($name),
                    " down projections, added to the residual stream"
                ),
                build: |entry, r| reading::<crate::format::$format, _>(|| routed::<Of<crate::format::$format>, Add>(entry, r)),
                ..ROUTED_DOWN_ADD
            },
            Entry {
                id: KernelId::Matrix(Role::GroupedGateUp, TensorType::$name),
                summary: concat!("both ", stringify!($name), " projections and SwiGLU of a pass, by expert"),
                build: |entry, r| reading::<crate::format::$format, _>(|| grouped_gate_up::<Of<crate::format::$format>>(entry, r)),
                ..GROUPED_GATE_UP
            },
            Entry {
                id: KernelId::Matrix(Role::GroupedDown, TensorType::$name),
                summary: concat!(stringify!($name), " down projections of a pass, by expert"),
                build: |entry, r| reading::<crate::format::$format, _>(|| grouped_down::<Of<crate::format::$format>>(entry, r)),
                ..GROUPED_DOWN
            },
            Entry {
                id: KernelId::Matrix(Role::GroupedExperts, TensorType::$name),
                summary: concat!(
                    stringify!($name),
                    " matrices of the experts chosen times their tokens' vectors, by expert"
                ),
                build: |entry, r| reading::<crate::format::$format, _>(|| grouped::<Of<crate::format::$format>>(entry, r)),
                ..GROUPED_EXPERTS
            },
            entries!(@ embedding $name $module $format),
        ]
    };
    (@ nibbles $name:ident $module:ident $format:ident) => {
        &[
            Entry {
                id: KernelId::Matrix(Role::Product, TensorType::$name),
                summary: concat!(stringify!($name), " matrix times the vectors of a pass"),
                build: plain::product::<crate::format::$format>,
                ..plain::GEMV
            },
            Entry {
                id: KernelId::Matrix(Role::ProductAdded, TensorType::$name),
                summary: concat!(stringify!($module), "-gemv, added to the residual stream"),
                build: plain::onto::<crate::format::$format>,
                ..plain::ADD
            },
            Entry {
                id: KernelId::Matrix(Role::Experts, TensorType::$name),
                summary: concat!(stringify!($name), " matrices of the experts chosen times their tokens' vectors"),
                build: |entry, r| plain::of_experts::<crate::format::$format>(entry, r, PairVector::Token),
                ..plain::EXPERTS
            },
            Entry {
                id: KernelId::Matrix(Role::ExpertsDown, TensorType::$name),
                summary: concat!(stringify!($name), " matrices of the experts chosen times a vector each"),
                build: |entry, r| plain::of_experts::<crate::format::$format>(entry, r, PairVector::Pair),
                ..plain::EXPERTS
            },
            entries!(@ embedding $name $module $format),
        ]
    };
    (@ embedding $name:ident $module:ident $format:ident) => {
        Entry {
            id: KernelId::Matrix(Role::Embedding, TensorType::$name),
            summary: concat!("rows of a ", stringify!($name), " table as f32"),
            build: embedding::rows_of::<crate::format::$format>,
            ..embedding::EMBEDDING
        }
    };
    (@ $kind:ident $name:ident $module:ident $format:ident) => {
        &[]
    };
}

for_each_type!(entries);
