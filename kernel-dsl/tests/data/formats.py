"""Regenerates formats.bin (pip install gguf numpy), from the repository's root:

    python kernel-dsl/tests/data/formats.py

For each type that the gguf package decodes: its number, blocks, bytes and weights of a block (u32), then
the blocks (random bytes, the last two with factors of any bits) and their weights (f32).
"""

import pathlib
import sys

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as Q
from gguf.quants import dequantize

rng = np.random.default_rng(17)
here = pathlib.Path(__file__).parent
F16 = dict(Q2_K=[80, 82], Q3_K=[108], Q4_K=[0, 2], Q5_K=[0, 2], Q6_K=[208], Q4_0=[0], Q4_1=[0, 2], Q5_0=[0], Q5_1=[0, 2],
           Q8_0=[0], IQ4_NL=[0], IQ4_XS=[0], IQ3_S=[0], IQ3_XXS=[0], IQ2_S=[0], IQ2_XS=[0], IQ2_XXS=[0], IQ1_S=[0],
           TQ1_0=[52], TQ2_0=[64], MXFP4=[], IQ1_M=[])
COUNT = 8
with open(here / 'formats.bin', 'wb') as out:
    for name, places in F16.items():
        weights, size = GGML_QUANT_SIZES[Q[name]]
        blocks = rng.integers(0, 256, (COUNT, size), dtype=np.uint8)
        for block in blocks[:COUNT - 2]:
            for at in places:
                factor = np.float16(rng.uniform(-1, 1) * 2.0 ** rng.integers(-12, 4))
                block[at:at + 2] = np.frombuffer(factor.tobytes(), np.uint8)
        out.write(np.array([Q[name].value, COUNT, size, weights], '<u4').tobytes())
        out.write(blocks.tobytes())
        with np.errstate(all='ignore'):
            out.write(dequantize(blocks, Q[name]).astype('<f4').tobytes())
