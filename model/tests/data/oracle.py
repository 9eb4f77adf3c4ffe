"""Exact reference: the forward of a Qwen3-MoE or Qwen3 in float64 over the dequantized weights of a GGUF file, written
apart from everything in this repository, after the architectures' definition (pip install numpy gguf safetensors).

    python oracle.py MODEL.gguf TOKENS.i32 OUT.safetensors [N_TOKENS] [--q8k]

With --q8k every activation that enters a Q4_K or Q6_K product is rounded to Q8_K first, as ggml rounds. Written are
`logits` [tokens, vocabulary]; for each layer `lN.out` and what its feed-forward adds, `lN.ffn_out`, or of experts
`lN.moe_ffn_out` with `lN.router` (renormalized weights) and `lN.experts` (their ids), best first.
"""
import sys
import gguf
import numpy as np
from gguf.quants import dequantize
from safetensors.numpy import save_file

args = [a for a in sys.argv[1:] if not a.startswith('--')]
q8k = '--q8k' in sys.argv
reader = gguf.GGUFReader(args[0])
tokens = np.fromfile(args[1], '<i4')
tokens = tokens[:int(args[3])] if len(args) > 3 else tokens
keys = {k: f.contents() for k, f in reader.fields.items() if not k.startswith('tokenizer')}
architecture = keys['general.architecture']
assert architecture in ('qwen3moe', 'qwen3'), architecture
key = lambda name: keys[f'{architecture}.{name}']
layers, heads, kv_heads, head_dim = (int(key(k)) for k in (
    'block_count', 'attention.head_count', 'attention.head_count_kv', 'attention.key_length'))
eps, theta = float(np.float32(key('attention.layer_norm_rms_epsilon'))), float(key('rope.freq_base'))
tensors = {t.name: t for t in reader.tensors}


def weights(name):
    t = tensors[name]
    return dequantize(t.data, t.tensor_type).astype(np.float64).reshape([int(s) for s in t.shape][::-1])


def rounded(x):
    shape, b = x.shape, x.astype(np.float32).reshape(-1, 256)
    largest = b[np.arange(len(b)), np.abs(b).argmax(1)]
    inverse = np.where(largest != 0, np.float32(-127.0) / np.where(largest == 0, 1, largest), 0).astype(np.float32)
    q = np.minimum(127, np.rint(inverse[:, None] * b))
    d = np.where(largest != 0, 1 / np.where(inverse == 0, 1, inverse), 0).astype(np.float32)
    return (q.astype(np.float64) * d[:, None].astype(np.float64)).reshape(shape)


def product(name, x, w=None):
    w = weights(name) if w is None else w
    return (rounded(x) if q8k and tensors[name].tensor_type.name in ('Q4_K', 'Q6_K') else x) @ w.T


def norm(x, w):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * w


def softmax(x):
    p = np.exp(x - x.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


def swiglu(gate, up):
    return gate / (1 + np.exp(-gate)) * up


n, position = len(tokens), np.arange(len(tokens))
angle = position[:, None] * theta ** (-np.arange(0, head_dim, 2) / head_dim)
cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]


def rope(h):
    a, b = h[..., :head_dim // 2], h[..., head_dim // 2:]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)


def attention(b, h):
    q, k, v = (product(b + f'attn_{p}.weight', h).reshape(n, -1, head_dim) for p in 'qkv')
    q = rope(norm(q, weights(b + 'attn_q_norm.weight')))
    k = rope(norm(k, weights(b + 'attn_k_norm.weight')))
    k, v = (np.repeat(x, heads // kv_heads, 1) for x in (k, v))
    scores = np.einsum('ihd,jhd->hij', q, k) / np.sqrt(head_dim)
    p = softmax(np.where(position[None, None, :] > position[None, :, None], -np.inf, scores))
    return product(b + 'attn_output.weight', np.einsum('hij,jhd->ihd', p, v).reshape(n, heads * head_dim))


def experts(layer, b, h):
    count, used = int(key('expert_count')), int(key('expert_used_count'))
    p = softmax(h @ weights(b + 'ffn_gate_inp.weight').T)
    top = np.argsort(-p, -1, kind='stable')[:, :used]
    chosen = np.take_along_axis(p, top, -1)
    chosen /= chosen.sum(-1, keepdims=True)
    gate, up, down = (weights(b + f'ffn_{name}_exps.weight') for name in ('gate', 'up', 'down'))
    y = np.zeros_like(h)
    for e in range(count):
        rows, rank = np.nonzero(top == e)
        if len(rows):
            g = product(b + 'ffn_gate_exps.weight', h[rows], gate[e])
            u = product(b + 'ffn_up_exps.weight', h[rows], up[e])
            y[rows] += chosen[rows, rank][:, None] * product(b + 'ffn_down_exps.weight', swiglu(g, u), down[e])
    out.update({f'l{layer}.router': chosen, f'l{layer}.experts': top, f'l{layer}.moe_ffn_out': y})
    return y


def dense(layer, b, h):
    inner = swiglu(product(b + 'ffn_gate.weight', h), product(b + 'ffn_up.weight', h))
    out[f'l{layer}.ffn_out'] = product(b + 'ffn_down.weight', inner)
    return out[f'l{layer}.ffn_out']


feed_forward = experts if architecture == 'qwen3moe' else dense
out = {'tokens': tokens}
x = weights('token_embd.weight')[tokens]
for layer in range(layers):
    b = f'blk.{layer}.'
    x = x + attention(b, norm(x, weights(b + 'attn_norm.weight')))
    x = x + feed_forward(layer, b, norm(x, weights(b + 'ffn_norm.weight')))
    out[f'l{layer}.out'] = x
output = 'output.weight' if 'output.weight' in tensors else 'token_embd.weight'
out['logits'] = product(output, norm(x, weights('output_norm.weight')))
save_file({k: np.ascontiguousarray(v) for k, v in out.items()}, args[2])
before = out['logits'][:-1]
largest = before.max(-1)
likelihood = np.log(np.exp(before - largest[:, None]).sum(-1)) + largest - before[np.arange(n - 1), tokens[1:]]
print(f'{n} tokens, perplexity {np.exp(likelihood.mean()):.4f}')
