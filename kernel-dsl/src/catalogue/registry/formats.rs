//! Entries of the tensor types whose kernels differ from the typical ones only in how a block is
//! decoded: one macro for each kind of format, over the one list of types.

use super::super::schedule::Schedule;
use super::super::{Add, PairVector, Store};
use super::experts::{
    DOWN, DOWN_ADD, GATE_UP, GROUPED_DOWN, GROUPED_EXPERTS, GROUPED_GATE_UP, NORM_GATE_UP, ROUTED_DOWN_ADD, down,
    gate_up, grouped, grouped_down, grouped_gate_up, norm_gate_up, routed,
};
use super::matrix::{GEMV, GEMV_ADD, NORM_QKV, QKV, matrix_vector, norm_projections, projections};
use super::{Entry, Role, does, embedding, plain};
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
                name: concat!(stringify!($module), "-gemv"),
                summary: concat!(stringify!($name), " matrix times vector"),
                does: does(Role::Product, TensorType::$name),
                build: |entry, r| reading::<crate::format::$format, _>(|| matrix_vector::<Of<crate::format::$format>, Store>(entry, r)),
                usual: |s, p| Schedule::gemv_of_integers(s.rows, p.act, TensorType::$name.block_bytes()),
                ..GEMV
            },
            Entry {
                name: concat!(stringify!($module), "-gemv-add"),
                summary: concat!(stringify!($name), " matrix times vector, added to the residual stream"),
                does: does(Role::ProductAdded, TensorType::$name),
                build: |entry, r| reading::<crate::format::$format, _>(|| matrix_vector::<Of<crate::format::$format>, Add>(entry, r)),
                ..GEMV_ADD
            },
            Entry {
                name: concat!("qkv-", stringify!($module)),
                summary: concat!("queries, keys and values of ", stringify!($name), " matrices"),
                does: does(Role::Projections, TensorType::$name),
                build: |entry, r| reading::<crate::format::$format, _>(|| projections::<Of<crate::format::$format>, Of<crate::format::$format>>(entry, r)),
                ..QKV
            },
            Entry {
                name: concat!("norm-qkv-", stringify!($module)),
                summary: concat!("RMSNorm, then queries, keys and values of ", stringify!($name), " matrices"),
                does: does(Role::NormProjections, TensorType::$name),
                build: |entry, r| reading::<crate::format::$format, _>(|| norm_projections::<Of<crate::format::$format>, Of<crate::format::$format>>(entry, r)),
                ..NORM_QKV
            },
            Entry {
                name: concat!("fused-gate-up-swiglu-", stringify!($module)),
                summary: concat!("both ", stringify!($name), " projections and SwiGLU of all experts of a token"),
                does: does(Role::GateUp, TensorType::$name),
                build: |entry, r| reading::<crate::format::$format, _>(|| gate_up::<Of<crate::format::$format>>(entry, r)),
                ..GATE_UP
            },
            Entry {
                name: concat!("norm-gate-up-swiglu-", stringify!($module)),
                summary: concat!(
                    "RMSNorm and the choice of experts, then both ",
                    stringify!($name),
                    " projections and SwiGLU of all of them"
                ),
                does: does(Role::NormGateUp, TensorType::$name),
                build: |entry, r| reading::<crate::format::$format, _>(|| norm_gate_up::<Of<crate::format::$format>>(entry, r)),
                ..NORM_GATE_UP
            },
            Entry {
                name: concat!("moe-down-", stringify!($module)),
                summary: concat!(
                    stringify!($name),
                    " down projections of a token's experts and their weighted sum"
                ),
                build: |entry, r| reading::<crate::format::$format, _>(|| down::<Of<crate::format::$format>, Store>(entry, r)),
                ..DOWN
            },
            Entry {
                name: concat!("moe-down-add-", stringify!($module)),
                summary: concat!("the same of ", stringify!($name), ", added to the residual stream"),
                does: does(Role::DownAdded, TensorType::$name),
                build: |entry, r| reading::<crate::format::$format, _>(|| down::<Of<crate::format::$format>, Add>(entry, r)),
                ..DOWN_ADD
            },
            Entry {
                name: concat!("routed-down-add-", stringify!($module)),
                summary: concat!(
                    "the choice of a token's experts, then their ",
                    stringify!($name),
                    " down projections, added to the residual stream"
                ),
                does: does(Role::RoutedDownAdded, TensorType::$name),
                build: |entry, r| reading::<crate::format::$format, _>(|| routed::<Of<crate::format::$format>, Add>(entry, r)),
                ..ROUTED_DOWN_ADD
            },
            Entry {
                name: concat!("experts-gate-up-", stringify!($module)),
                summary: concat!("both ", stringify!($name), " projections and SwiGLU of a pass, by expert"),
                does: does(Role::GroupedGateUp, TensorType::$name),
                build: |entry, r| reading::<crate::format::$format, _>(|| grouped_gate_up::<Of<crate::format::$format>>(entry, r)),
                ..GROUPED_GATE_UP
            },
            Entry {
                name: concat!("experts-down-", stringify!($module)),
                summary: concat!(stringify!($name), " down projections of a pass, by expert"),
                does: does(Role::GroupedDown, TensorType::$name),
                build: |entry, r| reading::<crate::format::$format, _>(|| grouped_down::<Of<crate::format::$format>>(entry, r)),
                ..GROUPED_DOWN
            },
            Entry {
                name: concat!("grouped-experts-", stringify!($module)),
                summary: concat!(
                    stringify!($name),
                    " matrices of the experts chosen times their tokens' vectors, by expert"
                ),
                does: does(Role::GroupedExperts, TensorType::$name),
                build: |entry, r| reading::<crate::format::$format, _>(|| grouped::<Of<crate::format::$format>>(entry, r)),
                ..GROUPED_EXPERTS
            },
            entries!(@ embedding $name $module $format),
        ]
    };
    (@ nibbles $name:ident $module:ident $format:ident) => {
        &[
            Entry {
                name: concat!(stringify!($module), "-gemv"),
                summary: concat!(stringify!($name), " matrix times the vectors of a pass"),
                does: does(Role::Product, TensorType::$name),
                build: plain::product::<crate::format::$format>,
                ..plain::GEMV
            },
            Entry {
                name: concat!(stringify!($module), "-gemv-add"),
                summary: concat!(stringify!($module), "-gemv onto a residual stream"),
                does: does(Role::ProductAdded, TensorType::$name),
                build: plain::onto::<crate::format::$format>,
                ..plain::ADD
            },
            Entry {
                name: concat!(stringify!($module), "-experts"),
                summary: concat!(stringify!($name), " matrices of the experts chosen times their tokens' vectors"),
                does: does(Role::Experts, TensorType::$name),
                build: |entry, r| plain::of_experts::<crate::format::$format>(entry, r, PairVector::Token),
                ..plain::EXPERTS
            },
            Entry {
                name: concat!(stringify!($module), "-experts-down"),
                summary: concat!(stringify!($name), " matrices of the experts chosen times a vector each"),
                does: does(Role::ExpertsDown, TensorType::$name),
                build: |entry, r| plain::of_experts::<crate::format::$format>(entry, r, PairVector::Pair),
                ..plain::EXPERTS
            },
            entries!(@ embedding $name $module $format),
        ]
    };
    (@ embedding $name:ident $module:ident $format:ident) => {
        Entry {
            name: concat!("embedding-", stringify!($module)),
            summary: concat!("rows of a ", stringify!($name), " table as f32"),
            does: does(Role::Embedding, TensorType::$name),
            build: embedding::rows_of::<crate::format::$format>,
            ..embedding::EMBEDDING
        }
    };
    (@ $kind:ident $name:ident $module:ident $format:ident) => {
        &[]
    };
}

for_each_type!(entries);
