#!/usr/bin/env python3
"""Writes the conformance cases: one small file for each form of the table.

    cargo run -q -p ptxgen-builder --example table | python3 ptx-builder/tests/conformance/generate.py

Needs Python 3.10 and mpmath. Every expected value is computed here, in exact
integers and rationals (approximate functions with 200 bits), from the PTX ISA's
text; nothing is taken from the interpreter. Same table, same files.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from generator import effects, pure  # noqa: E402
from generator.forms import read  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent


def file_name(form, names):
    """A form's file; where one spelling has several forms, the variant too."""
    stem = form.name.replace("::", "-")
    if names[form.name] > 1:
        stem += "~" + form.opcode.lower()
    return ROOT / "cases" / form.op / f"{stem}.ptx"


def main():
    forms = read(sys.stdin)
    if not forms:
        sys.exit("generate.py: no forms on standard input; pipe the table example into it")
    names = {}
    for form in forms:
        names[form.name] = names.get(form.name, 0) + 1
    wanted, missing, size = {}, [], 0
    for form in forms:
        if form.meaning == "Foreign":
            continue  # no program can run it by itself
        case = effects.case(form) or pure.case(form)
        if case is None:
            missing.append(form.name)
            continue
        wanted[file_name(form, names)] = case.text()
    for path, text in wanted.items():
        size += len(text)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
    for path in (ROOT / "cases").rglob("*.ptx"):
        if path not in wanted:
            path.unlink()
    for folder in (ROOT / "cases").iterdir():
        if not any(folder.iterdir()):
            folder.rmdir()
    print(f"{len(wanted)} cases, {size / 1e6:.1f} MB", file=sys.stderr)
    if missing:
        sys.exit(f"generate.py: no reference for {len(missing)} forms: {' '.join(missing[:40])}")


if __name__ == "__main__":
    main()
