#!/usr/bin/env python3
"""Writes values.txt: what Triton's kernels here have to compute, by numpy. Small integers, so that sums are exact.

    python3 ptx-builder/tests/triton/values.py

A case is a line with the kernel's name and grid, then a line for each argument: `in`, `inout` or `out` with a type and
the words before or after the launch in hexadecimal, or a scalar.
"""

import pathlib

import numpy as np

R = np.random.default_rng(19)
LINES = []


def small(shape, type, low=-4, high=5):
    return R.integers(low, high, shape).astype(type)


def words(array):
    return array.tobytes().hex()


def case(name, grid, *args):
    LINES.append(f"case {name} {grid[0]} {grid[1]}")
    for arg in args:
        if isinstance(arg, (int, np.integer)):
            LINES.append(f"u32 {arg}")
        elif isinstance(arg, tuple) and arg[0] == "out":
            LINES.append(f"out {words(arg[1])}")
        elif isinstance(arg, tuple):
            LINES.append(f"inout {words(arg[1])} {words(arg[2])}")
        else:
            LINES.append(f"in {words(arg)}")


def bf16(a):
    return (a.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


def fp8e5(a):
    return (a.astype(np.float16).view(np.uint16) >> 8).astype(np.uint8)


def main():
    n = 300
    x, y = small(n, np.float32, -99, 99), small(n, np.float32, -99, 99)
    case("add", (2, 1), x, y, ("out", x + y), n)
    for name, type, packed, out in (
        ("matmul_f16", np.float16, None, np.float32),
        ("matmul_bf16", np.float32, bf16, np.float32),
        ("matmul_tf32", np.float32, None, np.float32),
        ("matmul_ieee", np.float32, None, np.float32),
        ("matmul_i8", np.int8, None, np.int32),
    ):
        a, b = small((32, 64), type), small((64, 32), type)
        product = a.astype(np.float64) @ b.astype(np.float64)
        pack = packed or (lambda v: v)
        case(name, (1, 1), pack(a), pack(b), ("out", product.astype(out)), 32, 32, 64)
    a, b = small((16, 32), np.float64), small((32, 16), np.float64)
    case("matmul_f64", (1, 1), a, b, ("out", a @ b), 32)
    a, b = small((32, 64), np.float32), small((64, 32), np.float32)
    case("matmul_fp8", (1, 1), fp8e5(a), fp8e5(b), ("out", a @ b), 64)
    x = small(128, np.float32)
    case("scan_sum", (1, 1), x, ("out", np.cumsum(x, dtype=np.float32)))
    x = R.permutation(3 * 100).astype(np.float32).reshape(3, 100)
    case("argmax", (3, 1), x, ("out", np.argmax(x, 1).astype(np.int32)), 100)
    x = R.integers(-1000, 1000, 128).astype(np.int32)
    case("sorts", (1, 1), x, ("out", np.sort(x)))
    x = R.integers(0, 16, 256).astype(np.int32)
    before = R.integers(0, 99, 16).astype(np.int32)
    after = before + np.bincount(x, minlength=16).astype(np.int32)
    case("histogram", (1, 1), x, ("inout", before, after))
    case("atomic_hist", (1, 1), x, ("inout", before, after), 256)
    table, rows = small((10, 50), np.float32), R.integers(0, 10, 4).astype(np.int32)
    case("gather_rows", (4, 1), table, rows, ("out", table[rows]), 50)
    x = small((40, 50), np.float32)
    case("transpose", (2, 2), x, ("out", np.ascontiguousarray(x.T)), 40, 50)
    x = R.integers(0, 256, 100).astype(np.uint8)
    parts = np.stack([(x & 15).astype(np.float32) - 8, (x >> 4).astype(np.float32) - 8], 1)
    case("unpack4", (1, 1), x, ("out", np.ascontiguousarray(parts)), 100)
    x = small((32, 64), np.float32)
    case("reduce_2d", (1, 1), x, ("out", np.concatenate([x.sum(0), np.zeros(0, np.float32), x.max(1)]).astype(np.float32)))
    x = small(100, np.float32)
    padded = np.pad(x, 2)
    case("conv1d", (2, 1), x, ("out", sum(padded[w : w + 100] * np.float32(w + 1) for w in range(5))), 100)
    a, x = small((3, 100), np.float32), small(100, np.float32)
    case("matvec", (3, 1), a, x, ("out", a @ x), 100)
    x = R.integers(0, 2**64, 64, dtype=np.uint64)
    high = np.array([int(v) * int(v) >> 64 for v in x], np.uint64)
    case("mulhi", (1, 1), x, ("out", high ^ (x // np.uint64(7) + x % np.uint64(10))))
    x = small(100, np.float32)
    case("bf16_scale", (1, 1), bf16(x), ("out", bf16(2 * x)), 100)
    x = small(64, np.float32)
    swapped = x.reshape(32, 2)[:, ::-1].reshape(64)
    case("flips", (1, 1), x, ("out", np.concatenate([swapped, x[::-1]])))
    order = R.integers(0, 64, 64).astype(np.int32)
    case("gathers", (1, 1), x, order, ("out", x[order]))
    x = R.permutation(128).astype(np.float32)
    case("topk", (1, 1), x, ("out", np.sort(x)[::-1][:8].copy()))
    zero = np.zeros(1, np.int32)
    case("lock", (1, 1), ("inout", zero, zero), ("inout", zero + 4, zero + 5))
    pathlib.Path(__file__).with_name("values.txt").write_text("\n".join(LINES) + "\n")


if __name__ == "__main__":
    main()
