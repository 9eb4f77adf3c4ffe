#!/usr/bin/env python3
"""Compiles kernels/ and faults/ with nvcc of CUDA 13, without a GPU: what changes in ptx/ is written.

    .ci/install-tools --nvcc
    python3 ptx-builder/tests/cuda/build.py [NAME..]

NVCC names another compiler. A source's text for sm_90 is kept whole, those for the other targets as differences from
it, as `diff --rcs` writes them. A source of faults is compiled with and without them (`-DWRONG=1` and `0`), with lines;
the whole text is that of the wrong ones for sm_90.
"""

import concurrent.futures
import difflib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
WHOLE, OTHERS = 90, (80, 120)


def compiler():
    found = os.environ.get("NVCC") or next(map(str, ROOT.glob(".tools/cuda/nvidia/*/bin/nvcc")), None)
    return found or sys.exit("build.py: there is no nvcc; run `.ci/install-tools --nvcc`, or name it with NVCC")


def compiled(nvcc, source, target, *options):
    with tempfile.NamedTemporaryFile(suffix=".ptx") as out:
        command = [nvcc, "-ptx", "-std=c++20", f"-arch=sm_{target}", *options, "-o", out.name, source.name]
        made = subprocess.run(command, cwd=source.parent, capture_output=True, text=True)
        if made.returncode:
            sys.exit(f"{' '.join(command)}\n{made.stdout}{made.stderr}")
        text = pathlib.Path(out.name).read_text()
    # Only the names of source files may stay, and no comments.
    text = re.sub(r'(?m)^(\s*\.file\s+\d+\s+")[^"]*/', r"\1", text)
    # The names of functions, a byte a line, are a line each.
    bytes = lambda m: ".b8 " + ",".join(re.findall(r"\d+$", m[0], re.MULTILINE)) + "\n"
    text = re.sub(r"(?:^\.b8 \d+\n)+", bytes, text, flags=re.MULTILINE)
    lines = [re.sub(r"\s*//.*", "", line).rstrip() for line in text.splitlines()]
    return [line for line in lines if line]


def rcs(old, new):
    """The commands that make `new` of `old`: `dLINE COUNT` deletes, `aLINE COUNT` adds the lines that follow."""
    lines = []
    for kind, i, j, m, n in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind in ("delete", "replace"):
            lines.append(f"d{i + 1} {j - i}")
        if kind in ("insert", "replace"):
            lines += [f"a{j} {n - m}", *new[m:n]]
    return lines


def write(name, lines):
    (HERE / "ptx" / name).write_text("\n".join(lines) + "\n")


def build(nvcc, source):
    wrong = source.parent.name == "faults"
    options = ("-lineinfo", "-DWRONG=1") if wrong else ()
    whole = compiled(nvcc, source, WHOLE, *options)
    write(f"{source.stem}.ptx", whole)
    for target in OTHERS:
        write(f"{source.stem}.sm_{target}.diff", rcs(whole, compiled(nvcc, source, target, *options)))
    if wrong:
        right = compiled(nvcc, source, WHOLE, "-lineinfo", "-DWRONG=0")
        write(f"{source.stem}.right.diff", rcs(whole, right))
    return source.name


def main():
    names = sys.argv[1:]
    sources = sorted(HERE.glob("kernels/*.cu")) + sorted(HERE.glob("faults/*.cu"))
    sources = [source for source in sources if not names or source.stem in names]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name in pool.map(lambda source: build(compiler(), source), sources):
            print(name, flush=True)


if __name__ == "__main__":
    main()
