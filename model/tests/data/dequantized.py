"""Regenerates dequantized.sha256 (pip install gguf numpy), from the repository's root:

    python model/tests/data/dequantized.py

A line `SHA256 TYPE NAME` for each tensor of the bundled model: of its weights as the gguf package
dequantizes them, little-endian f32.
"""
import hashlib, pathlib
import gguf
from gguf.quants import dequantize

here = pathlib.Path(__file__).parent
lines = []
for t in gguf.GGUFReader(here / '../../data/tiny-rust-moe-Q4_K_M.gguf').tensors:
    values = dequantize(t.data, t.tensor_type).astype('<f4')
    lines.append(f'{hashlib.sha256(values.tobytes()).hexdigest()} {t.tensor_type.name} {t.name}\n')
(here / 'dequantized.sha256').write_text(''.join(lines))
