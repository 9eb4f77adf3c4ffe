"""Regenerates the fixtures of kernel-dsl/tests (pip install gguf numpy mpmath), from the repository's root:

    python kernel-dsl/tests/data/make_fixtures.py model/data/tiny-rust-moe-Q4_K_M.gguf

dequantize.txt: a line `TYPE BLOCK VALUES` for each block: its bytes in hex, and the f32 values that
the gguf package gives, as little-endian hex. exp_f64.txt: lines `X EXP`, bits of x and of the
correctly rounded e^x.
"""
import sys, pathlib, struct
import numpy as np, gguf
from gguf.quants import dequantize
from gguf import GGMLQuantizationType as Q
from mpmath import mp, mpf, exp

here = pathlib.Path(__file__).parent
rng = np.random.default_rng(7)
lines = []

def emit(ty, block):
    block = np.ascontiguousarray(block, dtype=np.uint8)
    values = dequantize(block.reshape(1, -1), ty).astype('<f4')
    lines.append(f'{ty.name} {block.tobytes().hex()} {values.tobytes().hex()}')

seen = {}
for t in gguf.GGUFReader(sys.argv[1]).tensors:
    if t.tensor_type in (Q.Q4_K, Q.Q6_K) and seen.get(t.tensor_type, 0) < 3:
        seen[t.tensor_type] = seen.get(t.tensor_type, 0) + 1
        size = {Q.Q4_K: 144, Q.Q6_K: 210}[t.tensor_type]
        emit(t.tensor_type, t.data.reshape(-1)[size * 5:size * 6])
half = lambda: np.array([rng.normal()], np.float16).view(np.uint8)
for _ in range(3):
    r = rng.integers(0, 256, 256, dtype=np.uint8)
    emit(Q.Q4_K, np.concatenate([half(), half(), r[:140]]))
    emit(Q.Q6_K, np.concatenate([r[:208], half()]))
    emit(Q.Q8_0, np.concatenate([half(), r[:32]]))
for x in (rng.normal(size=8), np.array([0.0, -0.0, 6e-8, 65504.0])):
    for v in x:
        emit(Q.F16, np.array([v], np.float16).view(np.uint8))
        emit(Q.BF16, np.array([v], np.float32).view(np.uint8)[2:])
(here / 'dequantize.txt').write_text('\n'.join(lines) + '\n')

mp.prec = 200
xs = np.concatenate([rng.uniform(-745, 709.7, 400), rng.uniform(-40, 40, 400), rng.uniform(-1, 1, 200),
                     rng.normal(size=50) * 1e-9, (np.arange(-20, 20) + 0.5) * np.log(2),
                     [0.0, -745.13, -708.4, -720.5, 709.78]])
def nearest(v):
    e = max(int(mp.floor(mp.log(v, 2))), -1022) - 52
    return float(mp.nint(v / mpf(2) ** e) * mpf(2) ** e)
bits = lambda f: '%016x' % struct.unpack('<Q', struct.pack('<d', f))[0]
(here / 'exp_f64.txt').write_text(''.join(f'{bits(float(x))} {bits(nearest(exp(mpf(float(x)))))}\n' for x in xs))
