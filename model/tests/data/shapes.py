"""Regenerates the fixtures of model/tests/shapes.rs and dense.rs (pip install numpy gguf safetensors), from the
repository's root:

    python model/tests/data/shapes.py [dense]

The models are made by `ptxgen synth` and run by `oracle.py`. Kept are the logits in f32, those of the last token in f64,
and the chosen experts, [layers, tokens, experts used], or where there are none what the last token's feed-forwards give,
[layers, hidden]. With `dense` only the models without experts are run, which have a file of their own.
"""
import subprocess, sys, pathlib, tempfile
import numpy as np
from safetensors.numpy import load_file, save_file

TYPES = ('q4-0 q4-1 q5-0 q5-1 iq4-nl mxfp4 q2-k q3-k q5-k iq4-xs iq3-s iq3-xxs iq2-s iq2-xs iq2-xxs iq1-s iq1-m '
         'tq1-0 tq2-0').split()
here = pathlib.Path(__file__).parent
SHAPES = {
    'q8-0': '--layers 2 --hidden 128 --heads 6 --kv 3 --hd 32 --experts 6 --topk 3 --ff 96 --vocab 300 --seed 11',
    'tied': '--layers 2 --hidden 256 --heads 8 --kv 2 --hd 64 --experts 5 --topk 2 --ff 512 --vocab 300 --seed 12 --tied',
    'bf16': '--layers 2 --hidden 96 --heads 4 --kv 4 --hd 40 --experts 9 --topk 9 --ff 64 --vocab 300 --seed 13 --types bf16',
    'f16': '--layers 1 --hidden 64 --heads 2 --kv 1 --hd 128 --experts 4 --topk 1 --ff 32 --vocab 300 --seed 14 --types f16',
    'one-kv-head': '--layers 1 --hidden 512 --heads 8 --kv 1 --hd 128 --experts 60 --topk 6 --ff 256 --vocab 300 --seed 15',
    'many-experts': '--layers 1 --hidden 256 --heads 16 --kv 8 --hd 32 --experts 129 --topk 17 --ff 256 --vocab 300 --seed 16 --types q6-k',
    'odd': '--layers 2 --hidden 33 --heads 3 --kv 3 --hd 2 --experts 5 --topk 3 --ff 7 --vocab 300 --seed 17 --types f32',
}
DENSE = {
    'usual': '--layers 2 --hidden 256 --heads 8 --kv 2 --hd 64 --ff 512 --vocab 300 --seed 41',
    'tied': '--layers 2 --hidden 128 --heads 6 --kv 3 --hd 32 --ff 352 --vocab 300 --seed 42 --tied',
    'odd': '--layers 2 --hidden 33 --heads 3 --kv 3 --hd 2 --ff 7 --vocab 300 --seed 43 --types f32',
    'chunks': '--layers 1 --hidden 512 --heads 8 --kv 1 --hd 128 --ff 768 --vocab 300 --seed 44 --types q6-k',
}
TOKENS = {'one-kv-head': 70, 'chunks': 70}  # attention in two chunks
# A model of each tensor type: `ptxgen synth` has a name for each.
for i, ty in enumerate(TYPES):
    name = 'type-' + ty
    SHAPES[name] = f'--layers 1 --hidden 256 --heads 2 --kv 1 --hd 64 --experts 4 --topk 2 --ff 256 --vocab 300 --seed {100 + i} --types {ty}'
    TOKENS[name] = 8


def fixtures(models, preset, file):
    out = {}
    with tempfile.TemporaryDirectory() as d:
        d = pathlib.Path(d)
        for name, options in models.items():
            tokens = np.arange(TOKENS.get(name, 24), dtype='<i4') * 37 % 300
            tokens.tofile(d / 't.i32')
            subprocess.run(['target/debug/ptxgen', 'synth', d / 'm.gguf', '--preset', preset, *options.split()], check=True)
            subprocess.run([sys.executable, here / 'oracle.py', d / 'm.gguf', d / 't.i32', d / 'o.safetensors'], check=True)
            r = load_file(d / 'o.safetensors')
            out[name + '.last'] = r['logits'][-1]
            out[name + '.logits'] = r['logits'].astype(np.float32)
            layers = range(sum(k.endswith('.out') for k in r))
            if 'l0.experts' in r:
                out[name + '.experts'] = np.stack([r[f'l{i}.experts'] for i in layers]).astype(np.uint8)
            else:
                out[name + '.ffn_out'] = np.stack([r[f'l{i}.ffn_out'][-1] for i in layers])
    save_file(out, here / file)


fixtures(DENSE, 'tiny-dense', 'dense.safetensors')
if 'dense' not in sys.argv:
    fixtures(SHAPES, 'tiny', 'shapes.safetensors')
