#!/usr/bin/env python3
"""Writes the conformance cases: one for each form of the table, in a file for each instruction.

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


def text(case, form, names):
    """A form's case; where one spelling has several forms, it names the variant too."""
    head = f"//@ form {form.name}"
    return case.text().replace(head, f"{head} {form.opcode.lower()}" if names[form.name] > 1 else head, 1)


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
        wanted.setdefault(ROOT / "cases" / f"{form.op}.ptx", []).append((form.name, text(case, form, names)))
    (ROOT / "cases").mkdir(exist_ok=True)
    for path, cases in wanted.items():
        # By name, so that a new form moves no other.
        whole = "".join(text for _, text in sorted(cases))
        size += len(whole)
        if not path.exists() or path.read_text() != whole:
            path.write_text(whole)
    for path in (ROOT / "cases").iterdir():
        if path not in wanted:
            path.unlink()
    print(f"{sum(map(len, wanted.values()))} cases in {len(wanted)} files, {size / 1e6:.1f} MB", file=sys.stderr)
    if missing:
        sys.exit(f"generate.py: no reference for {len(missing)} forms: {' '.join(missing[:40])}")


if __name__ == "__main__":
    main()
