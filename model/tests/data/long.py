"""Regenerates long.safetensors (pip install numpy gguf safetensors), from the repository's root:

    python model/tests/data/long.py [PTXGEN]

A context of 66,000 tokens under the exact float64 forward, at some of its positions. PTXGEN, by default
target/debug/ptxgen, makes the model: one layer, so that only keys and values are needed of every position.
Kept are the positions and their logits in f64.
"""
import pathlib, subprocess, sys, tempfile
import numpy as np, gguf
from gguf.quants import dequantize
from safetensors.numpy import save_file

here = pathlib.Path(__file__).parent
ptxgen = sys.argv[1] if len(sys.argv) > 1 else 'target/debug/ptxgen'
MODEL = '--layers 1 --hidden 32 --heads 1 --kv 1 --hd 8 --experts 2 --topk 1 --ff 32 --vocab 64 --seed 21 --context 70000 --types f32'
N = 66_000
i = np.arange(N, dtype=np.int64)
tokens = (i * 37 + i * i // 7) % 64
# The first and the last, both sides of powers of two, and some between.
positions = sorted({0, 1, 2, 255, 256, 4095, 4096, 32767, 32768, 65535, 65536, N - 2, N - 1} | set(range(1000, N, 2357)))

with tempfile.TemporaryDirectory() as d:
    path = pathlib.Path(d) / 'm.gguf'
    subprocess.run([ptxgen, 'synth', path, *MODEL.split()], check=True, stdout=subprocess.DEVNULL)
    r = gguf.GGUFReader(path)
    T = {t.name: dequantize(t.data, t.tensor_type).astype(np.float64).reshape([int(s) for s in t.shape][::-1]) for t in r.tensors}
    key = lambda name: r.fields['qwen3moe.' + name].contents()
    eps, theta = float(np.float32(key('attention.layer_norm_rms_epsilon'))), float(np.float32(key('rope.freq_base')))

HD = 8
W = lambda name: T[f'blk.0.{name}.weight']
rms = lambda x, w: x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * w


def rope(h, pos):
    angle = pos[:, None] * theta ** (-np.arange(0, HD, 2) / HD)
    a, b, cos, sin = h[:, :HD // 2], h[:, HD // 2:], np.cos(angle), np.sin(angle)
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], 1)


x = T['token_embd.weight'][tokens]
h = rms(x, W('attn_norm'))
k, v = rope(rms(h @ W('attn_k').T, W('attn_k_norm')), i), h @ W('attn_v').T
at = np.array(positions)
q = rope(rms(h[at] @ W('attn_q').T, W('attn_q_norm')), at)
attended = []
for p, row in zip(at, q):
    s = k[:p + 1] @ row / np.sqrt(HD)
    w = np.exp(s - s.max())
    attended.append(w @ v[:p + 1] / w.sum())
x = x[at] + np.array(attended) @ W('attn_output').T
h = rms(x, W('ffn_norm'))
experts = (h @ W('ffn_gate_inp').T).argmax(1)  # one of two, whose weight is 1
for row, e in enumerate(experts):
    a = W('ffn_gate_exps')[e] @ h[row]
    x[row] += W('ffn_down_exps')[e] @ (a / (1 + np.exp(-a)) * (W('ffn_up_exps')[e] @ h[row]))
logits = rms(x, T['output_norm.weight']) @ T['output.weight'].T
save_file({'positions': at.astype(np.uint32), 'logits': logits}, here / 'long.safetensors')
