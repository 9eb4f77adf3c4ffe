//! The identity of a kernel as a value: what it does with which types. Its name, for people, is derived from that.

use std::fmt;

use crate::format::{TensorType, for_each_type};

/// What a kernel does with a matrix.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Role {
    /// Multiplies vectors.
    Product,
    /// The same, added to the residual stream.
    ProductAdded,
    /// Looks rows up, as f32.
    Embedding,
    /// Dequantizes blocks to f32.
    Dequantize,
    /// The experts' gate and up projections and SwiGLU, for one token.
    GateUp,
    /// The norm and the choice of experts before them as well.
    NormGateUp,
    /// The same of a pass, by expert.
    GroupedGateUp,
    /// The down projections of a token's experts.
    Down,
    /// The same, added to the residual stream.
    DownAdded,
    /// The choice of experts before them as well.
    RoutedDownAdded,
    /// The down projections of a pass, by expert.
    GroupedDown,
    /// Multiplies the tokens' vectors by the matrices of their experts.
    Experts,
    /// Multiplies a vector for each token and expert.
    ExpertsDown,
    /// The first of these of a pass, by expert.
    GroupedExperts,
    /// The logits of the experts and the choice among them.
    Router,
}

/// The type of a KV cache that a kernel reads or writes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CacheType {
    /// f32.
    F32,
    /// f16.
    F16,
}

/// The identity of a kernel in the catalogue.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum KernelId {
    /// A kernel for matrices of one type.
    Matrix(Role, TensorType),
    /// Queries, keys and values: queries and keys of one type.
    Projections {
        /// With the norm before them, for one token.
        normed: bool,
        /// The type of the queries' and keys' matrices.
        qk: TensorType,
        /// The type of the values' matrix.
        v: TensorType,
    },
    /// Norm and RoPE of heads, and the append to the cache.
    QkNormRope(CacheType),
    /// Attention over each chunk.
    Attention(CacheType),
    /// The two before for one token.
    DecodeAttention(CacheType),
    /// Attention of many tokens.
    PromptAttention(CacheType),
    /// Norm and RoPE of heads of rows of several sequences; keys and values go into pages.
    RowsNormRope(CacheType),
    /// Attention of such rows over each chunk.
    RowsAttention(CacheType),
    /// Combines their results of chunks.
    RowsCombine,
    /// The same, also in Q8_K.
    RowsCombineQ8K,
    /// Combines the results of chunks.
    AttentionCombine,
    /// The same, also in Q8_K.
    AttentionCombineQ8K,
    /// Joins projections that are separate matrices into rows.
    QkvJoin,
    /// RMSNorm.
    RmsNorm,
    /// The same, also in Q8_K.
    RmsNormQ8K,
    /// RMSNorm and the logits of the experts.
    NormRouterLogits,
    /// f32 to Q8_K.
    QuantizeQ8K,
    /// `silu(gate) * up`.
    Swiglu,
    /// The list of tokens of each expert.
    MoeGroup,
    /// The weighted sum of the experts' results, added to the residual stream.
    ExpertsSum,
    /// The most likely token.
    Argmax,
    /// The most likely token of each row.
    ArgmaxRows,
    /// Logits as sorted lists of keys.
    SampleSort,
    /// A token sampled from these.
    SampleDraw,
}

macro_rules! names {
    ($($name:ident $id:literal $len:literal $bytes:literal $module:ident::$format:ident $kind:ident, $doc:literal;)*) => {
        /// The name of a kernel of matrices.
        #[allow(unreachable_patterns)] // The first names are those of types among all.
        const fn of_matrix(role: Role, ty: TensorType) -> &'static str {
            match (role, ty) {
                // The oldest kernels, whose names do not follow the rule.
                (Role::GateUp, TensorType::Q4_K) => "fused-gate-up-swiglu",
                (Role::NormGateUp, TensorType::Q4_K) => "norm-gate-up-swiglu",
                (Role::GroupedGateUp, TensorType::Q4_K) => "experts-gate-up",
                (Role::Down, TensorType::Q4_K) => "moe-down",
                (Role::DownAdded, TensorType::Q4_K) => "moe-down-add",
                (Role::RoutedDownAdded, TensorType::Q4_K) => "routed-down-add",
                (Role::GroupedDown, TensorType::Q4_K) => "experts-down",
                (Role::Router, TensorType::F32) => "router",
                $(
                    (Role::Product, TensorType::$name) => concat!(names!(@ $kind $module $format), "-gemv"),
                    (Role::ProductAdded, TensorType::$name) => concat!(names!(@ $kind $module $format), "-gemv-add"),
                    (Role::Embedding, TensorType::$name) => concat!("embedding-", names!(@ $kind $module $format)),
                    (Role::Dequantize, TensorType::$name) => concat!("dequantize-", names!(@ $kind $module $format)),
                    (Role::GateUp, TensorType::$name) => {
                        concat!("fused-gate-up-swiglu-", names!(@ $kind $module $format))
                    }
                    (Role::NormGateUp, TensorType::$name) => {
                        concat!("norm-gate-up-swiglu-", names!(@ $kind $module $format))
                    }
                    (Role::GroupedGateUp, TensorType::$name) => {
                        concat!("experts-gate-up-", names!(@ $kind $module $format))
                    }
                    (Role::Down, TensorType::$name) => concat!("moe-down-", names!(@ $kind $module $format)),
                    (Role::DownAdded, TensorType::$name) => concat!("moe-down-add-", names!(@ $kind $module $format)),
                    (Role::RoutedDownAdded, TensorType::$name) => {
                        concat!("routed-down-add-", names!(@ $kind $module $format))
                    }
                    (Role::GroupedDown, TensorType::$name) => concat!("experts-down-", names!(@ $kind $module $format)),
                    (Role::Experts, TensorType::$name) => concat!(names!(@ $kind $module $format), "-experts"),
                    (Role::ExpertsDown, TensorType::$name) => concat!(names!(@ $kind $module $format), "-experts-down"),
                    (Role::GroupedExperts, TensorType::$name) => {
                        concat!("grouped-experts-", names!(@ $kind $module $format))
                    }
                    (Role::Router, TensorType::$name) => concat!("router-", names!(@ $kind $module $format)),
                )*
            }
        }

        /// The name of a kernel of projections of one type.
        #[allow(unreachable_patterns)]
        const fn of_projections(normed: bool, ty: TensorType) -> &'static str {
            match (normed, ty) {
                (false, TensorType::Q4_K) => "qkv",
                (true, TensorType::Q4_K) => "norm-qkv",
                $(
                    (false, TensorType::$name) => concat!("qkv-", names!(@ $kind $module $format)),
                    (true, TensorType::$name) => concat!("norm-qkv-", names!(@ $kind $module $format)),
                )*
            }
        }

        /// The name of a kernel of projections in which the values' matrix has another type.
        const fn of_mixed_projections(normed: bool, v: TensorType) -> &'static str {
            match (normed, v) {
                $(
                    (false, TensorType::$name) => concat!("qkv-", names!(@ $kind $module $format), "-v"),
                    (true, TensorType::$name) => concat!("norm-qkv-", names!(@ $kind $module $format), "-v"),
                )*
            }
        }
    };
    (@ floats $module:ident $format:ident) => { stringify!($format) };
    (@ bytes $module:ident $format:ident) => { "q8_0" };
    (@ $kind:ident $module:ident $format:ident) => { stringify!($module) };
}

for_each_type!(names);

impl KernelId {
    /// Its name on the command line, in indexes and messages.
    pub const fn name(self) -> &'static str {
        use CacheType::{F16, F32};
        match self {
            KernelId::Matrix(role, ty) => of_matrix(role, ty),
            KernelId::Projections { normed, qk, v } if qk as u32 == v as u32 => of_projections(normed, v),
            KernelId::Projections { normed, v, .. } => of_mixed_projections(normed, v),
            KernelId::QkNormRope(F32) => "qk-norm-rope-kv-f32",
            KernelId::QkNormRope(F16) => "qk-norm-rope-kv-f16",
            KernelId::Attention(F32) => "attention-kv-f32",
            KernelId::Attention(F16) => "attention-kv-f16",
            KernelId::DecodeAttention(F32) => "decode-attention-kv-f32",
            KernelId::DecodeAttention(F16) => "decode-attention-kv-f16",
            KernelId::PromptAttention(F32) => "attention-prompt-kv-f32",
            KernelId::PromptAttention(F16) => "attention-prompt-kv-f16",
            KernelId::RowsNormRope(F32) => "rows-norm-rope-kv-f32",
            KernelId::RowsNormRope(F16) => "rows-norm-rope-kv-f16",
            KernelId::RowsAttention(F32) => "rows-attention-kv-f32",
            KernelId::RowsAttention(F16) => "rows-attention-kv-f16",
            KernelId::RowsCombine => "rows-combine",
            KernelId::RowsCombineQ8K => "rows-combine-q8k",
            KernelId::AttentionCombine => "attention-combine",
            KernelId::AttentionCombineQ8K => "attention-combine-q8k",
            KernelId::QkvJoin => "qkv-join",
            KernelId::RmsNorm => "rmsnorm",
            KernelId::RmsNormQ8K => "rmsnorm-q8k",
            KernelId::NormRouterLogits => "norm-router-logits",
            KernelId::QuantizeQ8K => "quantize-q8k",
            KernelId::Swiglu => "swiglu",
            KernelId::MoeGroup => "moe-group",
            KernelId::ExpertsSum => "experts-sum",
            KernelId::Argmax => "argmax",
            KernelId::ArgmaxRows => "argmax-rows",
            KernelId::SampleSort => "sample-sort",
            KernelId::SampleDraw => "sample-draw",
        }
    }
}

impl fmt::Display for KernelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::CATALOGUE;
    use crate::catalogue::find;
    use std::collections::HashSet;

    #[test]
    fn each_kernel_is_found_by_its_value_and_by_its_name() {
        let mut names = HashSet::new();
        for entry in CATALOGUE {
            assert!(names.insert(entry.name), "{} is there twice", entry.name);
            assert_eq!(entry.id.name(), entry.name);
            assert!(std::ptr::eq(entry.id.entry().unwrap(), entry), "{}", entry.name);
            assert!(std::ptr::eq(find(entry.name).unwrap(), entry));
        }
        // For types without such a kernel there is a name, but no kernel.
        let id = KernelId::Matrix(Role::GateUp, TensorType::F16);
        assert!(id.entry().is_none());
        assert_eq!(id.to_string(), "fused-gate-up-swiglu-f16");
    }
}
