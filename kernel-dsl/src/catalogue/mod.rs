//! The kernels, by name.

mod argmax;
mod argmax_rows;
mod attention;
mod body;
mod chosen;
mod combine;
mod contents;
mod decode_attention;
mod dequantize;
mod down;
mod draw;
mod embedding;
mod error;
mod experts;
mod experts_sum;
mod gate_up;
mod gemv;
mod group;
mod grouped;
mod held;
mod launchable;
mod limits;
mod matrix;
mod memory;
mod norm;
mod plain_gemv;
mod plan;
mod profile;
mod prompt;
mod proof;
mod qk_rope;
mod qkv;
mod qkv_join;
mod quantize;
mod registry;
mod request;
mod router;
mod router_many;
mod rows;
mod sample;
mod schedule;
mod swiglu;
mod tile;
mod trial;

pub use argmax::{ArgmaxArgs, argmax};
pub use argmax_rows::{ArgmaxRowsArgs, argmax_rows};
pub use attention::{AttentionArgs, AttentionSchedule, AttentionShape, attention};
pub use chosen::RouterArgs;
pub use combine::{
    CombineArgs, CombineQ8KArgs, RowsCombineArgs, RowsCombineQ8KArgs, attention_combine, attention_combine_q8k,
    rows_combine, rows_combine_q8k,
};
pub use contents::{Blocks, Cache, Declared, Held, Logits, Parameter, Parameters, Partial, Table, Vector};
pub use decode_attention::{DecodeAttentionArgs, decode_attention};
pub use dequantize::{Dequantize, DequantizeArgs, dequantize};
pub use down::{DownArgs, RoutedDownArgs, moe_down, routed_down};
pub use draw::{DrawArgs, SAMPLE_LIST, SortArgs, sample_draw, sample_keys, sample_sort};
pub use embedding::{EmbeddingArgs, EmbeddingRow, embedding};
pub use error::CatalogueError;
pub use experts::Experts;
pub use experts_sum::{ExpertsSumArgs, experts_sum};
pub use gate_up::{GateUpArgs, NormGateUpArgs, gate_up_swiglu, norm_gate_up_swiglu};
pub use gemv::{GemvArgs, GemvBatchArgs, gemv, gemv_batch};
pub use group::{GroupArgs, moe_group};
pub use grouped::{ExpertsDownArgs, ExpertsGateUpArgs, experts_down, experts_gate_up, grouped_experts};
pub use held::{Access, Contents, Words};
pub use matrix::{Add, Epilogue, Store};
pub use norm::{Norm, RmsNormArgs, RmsNormQ8KArgs, rms_norm, rms_norm_q8k};
pub use plain_gemv::{
    PairVector, PlainExpertsArgs, PlainGemvAddArgs, PlainGemvArgs, plain_experts, plain_gemv, plain_gemv_add,
};
pub use profile::Profile;
pub use prompt::{PromptArgs, attention_prompt};
pub use ptxgen_builder::build::{AnyLaunchable, Launchable};
pub use qk_rope::{QkRopeArgs, qk_norm_rope};
pub use qkv::{NormQkvArgs, QkvArgs, QkvBatchArgs, QkvShape, norm_qkv, qkv, qkv_batch};
pub use qkv_join::{QkvJoinArgs, qkv_join};
pub use quantize::{QuantizeArgs, QuantizePassArgs, quantize_q8k, quantize_q8k_pass};
pub use registry::{Built, CATALOGUE, CacheType, Dims, Entry, Family, KernelId, ParamSpec, Role, Sizes, TYPICAL, find};
pub use request::Request;
pub use router::{NormLogitsArgs, norm_router_logits, router, router_tiles};
pub use rows::{PagedShape, RowsAttentionArgs, RowsRopeArgs, rows_attention, rows_norm_rope};
pub use schedule::{How, Schedule, Shape};
pub use swiglu::{SwigluArgs, swiglu};
pub use tile::has_tiles;
pub use trial::{MeasuredOutput, Measurement, Trial, TrialError};
