#!/usr/bin/env python3
"""Compiles kernels.py to ptx/ with Triton 3.9, without a GPU.

    python3 ptx-builder/tests/triton/build.py 80 90 120
"""

import pathlib
import re
import sys

import triton
from triton.backends.compiler import GPUTarget

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from kernels import K  # noqa: E402


def main():
    for cap in map(int, sys.argv[1:]):
        for name, (kernel, types, constants, options) in K.items():
            names = kernel.arg_names
            signature = dict(zip([n for n in names if n not in constants], types.split()))
            signature |= {c: "constexpr" for c in constants}
            aligned = {(i,): [["tt.divisibility", 16]] for i, n in enumerate(names) if signature[n].startswith("*")}
            values = {(names.index(c),): v for c, v in constants.items()}
            source = triton.compiler.ASTSource(kernel, signature, values, aligned)
            made = triton.compile(source, target=GPUTarget("cuda", cap, 32), options=options)
            # Only the names of source files may stay.
            text = re.sub(r'(?m)^(\s*\.file\s+\d+\s+")[^"]*/', r"\1", made.asm["ptx"])
            shared = f"// shared: {made.metadata.shared}\n"
            (HERE / "ptx" / f"{name}.sm_{cap}.ptx").write_text(shared + text)


if __name__ == "__main__":
    main()
