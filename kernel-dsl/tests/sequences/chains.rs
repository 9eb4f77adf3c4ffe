//! Chains of a model's stages.

use ptxgen_dsl::catalogue::{
    Add, AttentionSchedule, AttentionShape, Experts, How, Norm, QkvShape, Schedule, Shape, Store, attention,
    attention_combine_q8k, gate_up_swiglu, gemv, moe_down, qk_norm_rope, qkv, quantize_q8k, rms_norm, router,
};
use ptxgen_dsl::format::{Q4K, Q6K, Q8KPlanar, SUPERBLOCK};
use ptxgen_dsl::precision::{AccF32, AccF64, ActF32, ActQ8K, Math};
use ptxgen_dsl::reference::RopeTable;

use crate::support::{Kind, Rng, q4k, q6k, to_bytes, word_bytes};
use crate::together::{Buffers, Chain, TARGET};

const NORM: Norm = Norm { cols: 1024, tokens: 1, eps: 1e-6, pdl: false };

/// Few rows at a time, so that there are more tiles than blocks.
fn how(warps: u32) -> How {
    How::new(Schedule { rows: 1, split: 4, warps, slots: 2, blocks: None }, TARGET)
}

fn zeros(n: usize) -> Vec<u8> {
    vec![0; n]
}

fn is_something(bytes: &[u8]) -> bool {
    bytes.iter().any(|&b| b != 0)
}

/// A block to one stage has as many threads as to another, fewer, or more.
#[test]
fn norm_rounding_product() {
    let mut rng = Rng::new(1);
    let (rows, cols) = (40, NORM.cols);
    let buffers = Buffers::from([
        ("x", to_bytes(&rng.vector(cols as usize))),
        ("norm", to_bytes(&rng.vector(cols as usize))),
        ("w", q4k(&mut rng, (rows * cols) as usize / SUPERBLOCK, Kind::Plain)),
        ("normed", zeros(cols as usize * 4)),
        ("rounded", zeros(Q8KPlanar::new(cols as usize).bytes())),
        ("y", zeros(rows as usize * 4)),
    ]);
    for (blocks, warps) in [(1, 4), (3, 4), (3, 2), (2, 8)] {
        let product = gemv::<Q4K<'static>, ActQ8K, AccF64, Store>("gemv", Shape { rows, cols }, how(warps)).unwrap();
        let after = Chain::new("norm_rounding_product", blocks)
            .then(rms_norm::<AccF64>("rmsnorm", NORM).unwrap(), ["x", "norm", "normed"])
            .then(quantize_q8k("quantize", cols, 1).unwrap(), ["normed", "rounded"])
            .then(product, ["w", "rounded", "y"])
            .check(&buffers);
        assert!(is_something(&after["y"]), "{blocks} blocks, {warps} warps");
    }
}

/// A product that is added to the residual stream, and the next norm of that.
#[test]
fn product_residual_norm() {
    let mut rng = Rng::new(2);
    let (rows, cols) = (NORM.cols, 512);
    let buffers = Buffers::from([
        ("w", q6k(&mut rng, (rows * cols) as usize / SUPERBLOCK, Kind::Plain)),
        ("x", to_bytes(&rng.vector(cols as usize))),
        ("stream", to_bytes(&rng.vector(rows as usize))),
        ("norm", to_bytes(&rng.vector(rows as usize))),
        ("normed", zeros(rows as usize * 4)),
    ]);
    let product = gemv::<Q6K<'static>, ActF32, AccF32, Add>("gemv", Shape { rows, cols }, how(4)).unwrap();
    let after = Chain::new("product_residual_norm", 5)
        .then(product, ["w", "x", "stream"])
        .then(rms_norm::<AccF32>("rmsnorm", NORM).unwrap(), ["stream", "norm", "normed"])
        .check(&buffers);
    assert!(is_something(&after["normed"]) && after["stream"] != buffers["stream"]);
}

/// Attention of a token from its projections to its result.
#[test]
fn projections_rotation_attention_combination() {
    let mut rng = Rng::new(3);
    let (heads, kv_heads, head_dim, positions, position) = (4, 2, 64, 192, 130);
    let shape = AttentionShape { heads, kv_heads, head_dim, positions, tokens: 1 };
    let projections = QkvShape { q: heads * head_dim, kv: kv_heads * head_dim, cols: 512 };
    let matrix = |rng: &mut Rng, rows: u32| q4k(rng, (rows * projections.cols) as usize / SUPERBLOCK, Kind::Plain);
    let cache = (kv_heads * positions * head_dim) as usize;
    let rope = RopeTable::new(head_dim as usize, 1e6, positions as usize);
    let buffers = Buffers::from([
        ("wq", matrix(&mut rng, projections.q)),
        ("wk", matrix(&mut rng, projections.kv)),
        ("wv", matrix(&mut rng, projections.kv)),
        ("x", to_bytes(&rng.vector(projections.cols as usize))),
        ("qkv", zeros(projections.rows() as usize * 4)),
        ("q_norm", to_bytes(&rng.vector(head_dim as usize))),
        ("k_norm", to_bytes(&rng.vector(head_dim as usize))),
        ("rope", to_bytes(rope.values())),
        ("state", word_bytes(&[position, 1, 0, 0])),
        ("q", zeros((heads * head_dim) as usize * 4)),
        ("keys", to_bytes(&rng.vector(cache))),
        ("values", to_bytes(&rng.vector(cache))),
        ("sums", zeros(shape.partials() as usize * 2 * 4)),
        ("outputs", zeros(shape.partials() as usize * head_dim as usize * 4)),
        ("y", zeros((heads * head_dim) as usize * 4)),
        ("y_q8k", zeros(Q8KPlanar::new((heads * head_dim) as usize).bytes())),
    ]);
    let schedule = AttentionSchedule { heads: 2, warps: 2, splits: 2, ..AttentionSchedule::default() };
    let three = qkv::<Q4K<'static>, Q4K<'static>, ActF32, AccF32>("qkv", projections, how(4)).unwrap();
    let after = Chain::new("attention_of_a_token", 3)
        .then(three, ["wq", "wk", "wv", "x", "qkv"])
        .then(
            qk_norm_rope::<f32, AccF32>("qk-norm-rope", shape, 1e-6).unwrap(),
            ["qkv", "q_norm", "k_norm", "rope", "state", "q", "keys", "values"],
        )
        .then(
            attention::<f32, AccF32>("attention", shape, schedule).unwrap(),
            ["q", "keys", "values", "state", "sums", "outputs"],
        )
        .then(
            attention_combine_q8k::<AccF32>("attention-combine-q8k", shape).unwrap(),
            ["sums", "outputs", "state", "y", "y_q8k"],
        )
        .check(&buffers);
    assert!(is_something(&after["y_q8k"]) && after["keys"] != buffers["keys"]);
}

/// The experts of a token, from the router to the residual stream. The router's last block chooses, inside of its stage.
#[test]
fn router_projections_down() {
    let mut rng = Rng::new(4);
    let experts = Experts { count: 8, used: 2 };
    let (cols, inner) = (512, 256);
    let (count, used) = (experts.count as usize, experts.used as usize);
    let blocks = count * (cols * inner) as usize / SUPERBLOCK;
    let buffers = Buffers::from([
        ("w", to_bytes(&rng.vector(count * cols as usize))),
        ("x", to_bytes(&rng.vector(cols as usize))),
        ("state", word_bytes(&[5, 1, 0, 0])),
        ("logits", zeros(count * 8)),
        ("counter", zeros(4)),
        ("status", vec![0xff; 8]),
        ("ids", zeros(used * 4)),
        ("weights", zeros(used * 4)),
        ("gate", q4k(&mut rng, blocks, Kind::Plain)),
        ("up", q4k(&mut rng, blocks, Kind::Plain)),
        ("down", q4k(&mut rng, blocks, Kind::Plain)),
        ("h", zeros(used * inner as usize * 4)),
        ("stream", to_bytes(&rng.vector(cols as usize))),
    ]);
    let (gate_up, down) = (Shape { rows: inner, cols }, Shape { rows: cols, cols: inner });
    let after = Chain::new("experts_of_a_token", 4)
        .then(
            router::<f32>("router", cols, experts, 1, (TARGET, false)).unwrap(),
            ["w", "x", "state", "logits", "counter", "status", "ids", "weights"],
        )
        .then(
            gate_up_swiglu::<Q4K<'static>, ActF32, AccF32>("gate-up", gate_up, experts, Math::Exact, how(2)).unwrap(),
            ["gate", "up", "x", "ids", "h"],
        )
        .then(
            moe_down::<Q4K<'static>, ActF32, AccF32, Add>("down", down, experts, how(2)).unwrap(),
            ["down", "h", "ids", "weights", "stream"],
        )
        .check(&buffers);
    assert!(is_something(&after["h"]) && after["stream"] != buffers["stream"]);
}
