#!/usr/bin/env python3
"""Writes values.txt: what the kernels here have to compute, by numpy.

    python3 ptx-builder/tests/cuda/values.py [CASE..]

A case is a line `case NAME gX,Y bX,Y[,Z] [sBYTES]` (the kernel's name, grid, block and dynamic shared memory; a suffix
`:N` tells the cases of one kernel apart), then a line for each argument: `TYPE VALUE` for a scalar; `in`, `out`,
`inout` (before, `|`, after) or `near` (an output and how far from it another may be, relatively) with a type and
numbers; `bytes` for what is passed by value; at last what it prints, `prints "..."`.
Most numbers are small and whole, so that sums are exact in any order.
"""

import json
import pathlib
import sys
import zlib

import numpy as np

R = np.random.default_rng(19)
CASES = []
BF16 = "bf16"


def small(shape, type=np.int32, low=-9, high=10):
    return R.integers(low, high, shape).astype(type)


def bf16(a):
    """The nearest bf16 of each, of ties the even one, as a float."""
    bits = np.asarray(a, np.float32).view(np.uint32).astype(np.uint64)
    bits = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16 << 16
    return bits.astype(np.uint32).view(np.float32)


def typed(array, type=None):
    array = np.asarray(array)
    if type == BF16:
        assert np.array_equal(bf16(array), array.astype(np.float32), equal_nan=True)
        return BF16, array
    return {"i": "s", "u": "u", "f": "f"}[array.dtype.kind] + str(8 * array.dtype.itemsize), array


def number(v):
    text = repr(v.item())
    return text.removesuffix(".0")


def numbers(array):
    """Runs of equal numbers are written once, with their count."""
    words, flat = [], np.asarray(array).reshape(-1)
    for v in map(number, flat):
        if words and words[-1][0] == v:
            words[-1][1] += 1
        else:
            words.append([v, 1])
    return " ".join(v if n == 1 else f"{v}*{n}" for v, n in words)


class In:
    def __init__(self, array, type=None):
        self.type, self.array = typed(array, type)

    def line(self):
        return f"in {self.type} {numbers(self.array)}"


class Out(In):
    def line(self):
        return f"out {self.type} {numbers(self.array)}"


class Near(In):
    def __init__(self, array, far):
        super().__init__(array)
        self.far = far

    def line(self):
        return f"near {self.far} {self.type} {numbers(self.array)}"


class InOut:
    def __init__(self, before, after, type=None):
        (self.type, self.before), (other, self.after) = typed(before, type), typed(after, type)
        assert self.type == other, (self.type, other)

    def line(self):
        return f"inout {self.type} {numbers(self.before)} | {numbers(self.after)}"


class Bytes:
    def __init__(self, array):
        self.array = array

    def line(self):
        return f"bytes {self.array.tobytes().hex()}"


def argument(a):
    if hasattr(a, "line"):
        return a.line()
    if isinstance(a, int):
        return f"s32 {a}"
    if isinstance(a, np.generic):
        return f"{typed(a)[0]} {number(a)}"
    return In(a).line()


def case(name, grid, block, *args, shared=0, prints=None):
    if sys.argv[1:] and name.split(":")[0] not in sys.argv[1:]:
        return
    shape = lambda s: ",".join(map(str, s if isinstance(s, tuple) else (s,)))
    lines = [f"case {name} g{shape(grid)} b{shape(block)}" + (f" s{shared}" if shared else "")]
    lines += map(argument, args)
    if prints is not None:
        lines.append(f"prints {json.dumps(prints)}")
    CASES.extend(lines)


def reductions():
    x = small((3, 128), np.float32)
    case("sum_shared", 3, 128, x, Out(x.sum(1)))
    x = small(300, np.float32)
    parts = np.pad(x, (0, 384 - 300)).reshape(3, 128)
    case("sum_shuffles", 2, 128, x, Out(np.array([parts[0].sum() + parts[2].sum(), parts[1].sum()])), 300)
    x = small((2, 32), np.int32, -1000, 1000)
    of = lambda f: f.reduce(x, axis=1)
    all = np.stack([of(np.add), of(np.minimum), of(np.maximum), *map(of, (np.bitwise_and, np.bitwise_or, np.bitwise_xor))], 1)
    case("redux", 1, 64, x, Out(all.astype(np.int32)))
    a, b = small(200, np.float64), small(200, np.float64)
    case("dot_f64", 2, 64, a, b, InOut(np.array([0.5]), np.array([0.5 + a @ b])), 200)
    x = small(300, np.float32, -50, 50)
    case("argmin", 1, 128, x, Out(np.array([np.argmin(x)], np.int32)), 300)
    x = small(200, np.int16, -9999, 9999)
    wide = x.astype(np.int64)
    case("moments", 1, 64, x, Out(np.array([wide.sum(), (wide * wide).sum()])), 200)
    x = small((3, 128), np.int32, -99, 99)
    sums = x.sum(1).astype(np.int32)
    case("last_block", 3, 128, x, Out(sums), Out(np.array([sums.sum()], np.int32)))
    x, n = small(64, np.float64), small(64, np.int32, 1, 3) * 2 - 3
    case("reduce_templates", 1, 64, x, Out(np.array([x.max()])), n, Out(np.array([n.prod()], np.int32)))


def scans():
    x = small(128)
    case("scan_two_buffers", 1, 128, x, Out(np.cumsum(x, dtype=np.int32)))
    x = small(256)
    case("scan_tree", 1, 128, x, Out((np.cumsum(x) - x).astype(np.int32)))
    x = small(128, np.float64)
    case("scan_shuffles", 1, 128, x, Out(np.cumsum(x)))
    x = small((5, 32))
    sums = x.sum(1)
    tiles = np.stack([np.full(5, 2), sums, np.cumsum(sums)], 1).astype(np.int32)
    case("scan_look_back", 5, 32, x, Out(np.cumsum(x, dtype=np.int32)), InOut(np.zeros_like(tiles), tiles))
    x = small(128)
    kept = x[x > 0]
    after = np.concatenate([kept, np.full(128 - len(kept), 77, np.int32)])
    case("compact", 1, 128, x, InOut(np.full(128, 77, np.int32), after), Out(np.array([len(kept)], np.int32)))
    x, heads = small(32), (R.random(32) < 0.2).astype(np.uint8)
    sums, y = 0, []
    for v, head in zip(x.tolist(), heads):
        sums = v if head else sums + v
        y.append(sums)
    case("scan_segments", 1, 32, x, heads, Out(np.array(y, np.int32)))


def sorts():
    x = small(128, np.int32, -1000, 1000)
    case("sort_bitonic", 1, 64, InOut(x, np.sort(x)))
    x = small(32, np.float32, -99, 99) / np.float32(4)
    case("sort_lanes", 1, 32, x, Out(np.sort(x)))
    x = small(51, np.int16, -99, 99)
    case("sort_odd_even", 1, 64, InOut(x, np.sort(x)), 51)
    x = R.integers(0, 2**64, 50, dtype=np.uint64)
    case("sort_ranks", 2, 32, x, Out(np.sort(x)), 50)
    x = R.integers(0, 256, 150).astype(np.uint8)
    case("sort_counting", 1, 64, x, Out(np.sort(x)), 150)
    a, b = np.sort(small(40)), np.sort(small(40))
    case("merge_path", 3, 32, a, b, Out(np.sort(np.concatenate([a, b]))), 40)
    x = R.integers(0, 2**32, 128, dtype=np.uint32)
    case("cub_radix_sort", 1, 64, InOut(x, np.sort(x)))
    x = small(64, np.float32, -99, 99) / np.float32(8)
    v = np.arange(64, dtype=np.int16)
    order = np.argsort(-x, kind="stable")
    case("cub_radix_pairs", 1, 64, InOut(x, x[order]), InOut(v, v[order]))
    x = small(64, np.int32, 0, 9999)
    case("cub_merge_sort", 1, 32, InOut(x, x[np.argsort(x & 255, kind="stable")]))
    x = small(128, np.int16, -999, 999)
    case("cub_warp_sort", 1, 64, InOut(x, np.sort(x.reshape(4, 32)).reshape(-1)))


def collections():
    x = small(96)
    case("cub_reduce", 1, 96, x, Out(np.array([x.sum()], np.int32)))
    x = small(64, np.float32, 1) * (R.random(64) < 0.2).astype(np.float32)
    last = x[:60][x[:60] != 0][-1:]
    case("cub_reduce_raking", 1, 64, x, Out(last), 60)
    x = small(128)
    case("cub_scan", 1, 64, x, Out((np.cumsum(x) - x).astype(np.int32)), Out(np.array([x.sum()], np.int32)))
    x = np.sort(small(64, np.float64, 0, 99)) + small(64, np.float64)
    case("cub_scan_raking", 1, 64, x, Out(np.maximum.accumulate(x)))
    x = small(128, np.int16)
    after = (x * np.tile(np.arange(1, 5), 32)).astype(np.int16)
    after[101:] = 7
    case("cub_load_store", 1, 32, x, InOut(np.full(128, 7, np.int16), after), 101)
    x = small(128)
    case("cub_vectors", 1, 32, x, Out(x ^ np.tile(np.arange(4, dtype=np.int32), 32)))
    x = small(96)
    case("cub_exchange", 1, 32, x, Out(np.ascontiguousarray(x.reshape(32, 3).T)))
    x = R.integers(0, 16, 128).astype(np.uint8)
    case("cub_histogram", 1, 32, x, Out(np.bincount(x, minlength=16).astype(np.int32)))
    x = np.sort(small(64))
    case("cub_heads", 1, 64, x, Out(np.concatenate([[1], x[1:] != x[:-1]]).astype(np.int32)))
    x = small(64, np.float32)
    case("cub_shift", 1, 64, x, Out(np.concatenate([[0], x[:-1]]).astype(np.float32)))
    x, heads = small(64), (R.random(64) < 0.3).astype(np.int32)
    heads[[0, 32]] = 1
    rows = x.reshape(8, 8)
    starts = np.flatnonzero(heads)
    segments = np.zeros(64, np.int32)
    segments[starts] = np.add.reduceat(x, starts)
    sums = rows.sum(1).astype(np.int32)
    case("cub_warps", 1, 64, x, heads, Out(np.cumsum(rows, 1, dtype=np.int32)), Out(sums), Out(segments))


def groups():
    x = small((8, 8))
    case("tile_reduce", 1, 64, x, Out(x.sum(1).astype(np.int32)), Out(x.max(1)))
    x = small((4, 16), np.float32)
    sums = np.cumsum(x, 1)
    case("tile_scan", 1, 64, x, Out(sums), Out(sums - x + 0.0))
    x = small((16, 4))
    up = np.concatenate([x[:, :1], x[:, :-1]], 1)
    around = np.roll(x, -1, 1) + 10 * x[:, [2, 3, 0, 1]] + 100 * up
    votes = (x > 0) @ [1, 2, 4, 8] + (x > 5).any(1) * 16 + (x > -5).all(1) * 32
    case("tile_exchange", 1, 64, x, Out(around), Out(np.repeat(votes, 4).astype(np.uint32)))
    x = np.where(R.random(50) < 0.5, 5, -5).astype(np.int32)
    n = int((x > 0).sum())
    after = np.array([5] * n + [0] * (50 - n), np.int32)
    zero = np.zeros(1, np.int32)
    case("coalesced", 2, 32, x, InOut(np.zeros(50, np.int32), after), InOut(zero, zero + n), 50)
    x = small(32)
    label = x & 3
    same = label[:, None] == label
    case("labeled", 1, 32, x, Out(same.sum(1).astype(np.int32)), Out((same @ x).astype(np.int32)))
    half = x > 0
    same = half[:, None] == half
    ranks = (same & (np.arange(32) < np.arange(32)[:, None])).sum(1) + 100 * same.sum(1)
    case("halves", 1, 32, x, Out(ranks.astype(np.int32)))
    x = small((2, 64))
    case("tile_of_warps", 1, 128, x, Out(np.repeat(x.sum(1), 64).astype(np.int32)))
    x = small((64, 2))
    case("group_copy", 1, 64, x, Out(x[:, 0] - x[:, 1]))
    i = np.arange(2 * 24)
    t = i % 24
    at = t % 4 + 10 * (t // 4 % 3) + 100 * (t // 12) + 4000
    case("places", 2, (4, 3, 2), Out(at.astype(np.int32)))


def barriers():
    x = small((3, 64))
    case("arrive_and_wait", 1, 64, x, Out(x[:, ::-1].copy()))
    x = small(64)
    case("split_arrival", 1, 64, x, Out(3 * x + x[np.arange(64) ^ 32]))
    x = small((5, 32))
    case("producer_consumer", 1, 64, x, Out((x + np.arange(5)[:, None]).sum(0)[::-1].astype(np.int32)), 5)
    case("dropping", 1, 64, Out(np.arange(64, dtype=np.int32) // 16))
    x = small((64, 4))
    case("barrier_copy", 1, 64, x, Out(x.sum(1)[::-1].astype(np.int32)))
    case("latched", 1, 64, Out((np.arange(31, -1, -1) ** 2).astype(np.int32)))
    x = small(64)
    case("counted", 1, 64, x, Out(np.full(64, (x > 0).sum() + 1000, np.int32)))
    x = small(128)
    case("numbered", 1, 128, x, Out(x[np.arange(128) ^ 32]))


def pipelines():
    x = small((64, 4))
    case("own_pipeline", 1, 64, x, Out((x @ [1, -1, 1, -1])[np.arange(64) ^ 1].astype(np.int32)))
    x = small((5, 32))
    case("staged", 1, 32, x, Out((np.arange(1, 6) @ x)[::-1].astype(np.int32)), 5)
    x = small((5, 64))
    case("roles", 1, 96, x, Out(x.sum(0)[::-1].astype(np.int32)), 5)
    x = small(50)
    case("filled", 1, 64, x, Out(np.pad(x, (0, 14))[np.arange(64) ^ 3]), 50, shared=256)
    x = small((6, 32, 2), np.float32)
    case("ring", 1, 32, x, Out((x[..., 0] * x[..., 1]).sum(0)[np.arange(32) ^ 1]), 6)


def matrices():
    def product(name, m, n, k, type, out, column=False, pack=None):
        a, b = small((m, k), type, -4, 5), small((k, n), type, -4, 5)
        wide = a.astype(np.float64) @ b.astype(np.float64)
        b = np.ascontiguousarray(b.T) if column else b
        case(name, 1, 32, In(a, pack), In(b, pack), Out(wide.astype(out)))

    product("wmma_f16", 16, 16, 16, np.float16, np.float32)
    product("wmma_f16_wide", 8, 32, 16, np.float16, np.float16, column=True)
    product("wmma_bf16", 32, 8, 16, np.float32, np.float32, pack=BF16)
    product("wmma_tf32", 16, 16, 8, np.float32, np.float32, column=True)
    product("wmma_s8", 16, 16, 16, np.int8, np.int32)
    product("wmma_f64", 8, 8, 4, np.float64, np.float64, column=True)
    a, b = R.integers(0, 2, (8, 128)), R.integers(0, 2, (8, 128))
    packed = lambda v: np.packbits(v, axis=1, bitorder="little").view(np.uint32)
    case("wmma_b1", 1, 32, packed(a), packed(b), Out((a @ b.T).astype(np.int32)))
    a, b = small((16, 48), np.float16, -4, 5), small((48, 16), np.float16, -4, 5)
    c = small((16, 16), np.float32)
    case("wmma_tiles", 1, 32, a, b, InOut(c, (c + (a + 1).astype(np.float32) @ b.astype(np.float32)) / 2), 48)

    def halves(c):
        """As a warp holds a product of 16x8: of each half of the rows, two columns a lane."""
        return np.ascontiguousarray(c)

    a, b = small((16, 16), np.float16), small((16, 8), np.float16)
    start = np.tile([1, 2], 4) + np.repeat([0, 2], 8)[:, None]
    case("mma_f16", 1, 32, a, b, Out(halves(start + a.astype(np.float32) @ b.astype(np.float32)).astype(np.float32)))
    a, b = small((16, 8), np.float32), small((8, 8), np.float32)
    case("mma_bf16", 1, 32, In(a, BF16), In(b, BF16), Out(a @ b.T))
    a, b = small((16, 32), np.int8, -128, 128), R.integers(0, 256, (8, 32)).astype(np.uint8)
    c = a.astype(np.int64) @ b.T.astype(np.int64)
    c[:8, ::2] += 2**31 - 1
    case("mma_s8", 1, 32, a, b, Out(np.clip(c, -(2**31), 2**31 - 1).astype(np.int32)))
    a, b = small((8, 4), np.float64), small((8, 4), np.float64)
    case("mma_f64", 1, 32, a, b, Out(a @ b.T))
    x = R.integers(0, 2**16, (8, 8)).astype(np.uint16)
    case("move_matrix", 1, 32, x, Out(x.T.copy()))


def atomics():
    x = small(50, np.int32, -99, 99)
    u = x.view(np.uint32)
    y = np.array([5, 6, 7, 8], np.int32)
    after = np.array([5 + x.sum(), 6 - x.sum(), min(7, x.min()), max(8, x.max())], np.int32)
    of = np.array([2**32 - 1, 0, 1, 2, 3, 2**31, 9], np.uint32)
    inc, dec = 2, 3
    for _ in x:
        inc, dec = 0 if inc >= 6 else inc + 1, 4 if dec == 0 or dec > 4 else dec - 1
    fold = lambda f, i: f.reduce(np.append(u, of[i]))
    then = [fold(np.bitwise_and, 0), fold(np.bitwise_or, 1), fold(np.bitwise_xor, 2), inc, dec]
    then += [fold(np.minimum, 5), fold(np.maximum, 6)]
    case("atomic_operations", 2, 32, InOut(y, after), InOut(of, np.array(then, np.uint32)), x, 50)
    sums = np.array([64 << 33, 2**64 - 1, 1 << 39], np.uint64)
    case("atomic_results", 1, 64, Out(np.ones(64, np.int32)), InOut(np.zeros(3, np.uint64), sums), 64)
    zero, total = np.zeros(2, np.float32), 4 * 28
    case("atomic_floats", 1, 32, InOut(zero[:1], zero[:1] + total), InOut(np.zeros(1), np.zeros(1) + total),
         InOut(np.zeros(2, np.float16), np.array([total, 32], np.float16)),
         InOut(zero, np.array([32, 16], np.float32), BF16),
         InOut(np.zeros(2, np.float16), np.array([total, 0], np.float16)))
    x = small(64, np.float32, 0, 999) / np.float32(4)
    case("atomic_float_max", 2, 32, x, InOut(np.zeros(1, np.float32), x.max(keepdims=True)))
    case("atomic_short", 1, 32, InOut(np.array([5, 6], np.uint16), np.array([5 + 96, 6], np.uint16)))
    y = []
    for first, times in ((0, 1), (0, 1), (1, 2), (2, 2)):
        v = np.repeat(np.arange(32) + first, times)
        bits = [np.bitwise_or.reduce(1 << v % 31), np.bitwise_and.reduce(~v), np.bitwise_xor.reduce(v ^ 1 << v % 29)]
        y += [5 * v.sum(), v.max(), v.min() - 100, *bits, 9, 9]
    before = np.tile([0, 0, 0, 0, -1, 0, 9, 9], 4).astype(np.int32)
    case("atomic_orders", 2, 32, InOut(before, np.array(y).astype(np.int32)))
    case("atomic_accesses", 1, 32, Out(np.full(32, 5, np.int32)), Out(np.full(32, 18 + 1000 + 110000, np.int32)))
    case("atomic_library", 1, 32, InOut(np.array([-1.0]), np.array([15.5])),
         InOut(np.zeros(4, np.uint8), np.array([0x55, 0xAA, 0, 0], np.uint8)))


def locks():
    zero = np.zeros(1, np.int32)
    case("spin_lock", 2, 32, InOut(zero, zero), InOut(zero, zero + 64))
    case("fenced_lock", 3, 64, InOut(zero, zero), InOut(zero, zero + 6))
    u = np.zeros(1, np.uint32)
    case("ticket_lock", 5, 32, InOut(u, u + 5), InOut(u, u + 5), InOut(zero, zero + 31))
    y = (7 * np.arange(32) + 1).astype(np.int32)
    case("message", 2, 32, Out(y - 1), InOut(zero, zero + 1), Out(y))
    case("semaphore", 1, 128, InOut(zero, zero), InOut(zero, zero))
    x = small(60, np.uint32, 0, 30) * np.uint32(977)
    # The places depend on who comes first where keys collide, so there are none: see `places`.
    places = lambda key: int(key) * 2654435761 % 2**32 >> 26
    keys = []
    for key in dict.fromkeys(x.tolist()):
        if places(key) not in map(places, keys):
            keys.append(key)
    x = R.choice(np.array(keys, np.uint32), 60)
    table, counts = np.full(64, 2**32 - 1, np.uint32), np.zeros(64, np.int32)
    for key in x.tolist():
        table[places(key)] = key
        counts[places(key)] += 1
    # In which order they come is open.
    case("linked_list", 1, 64, zero - 1, np.zeros(64, np.int32), Out(np.array([64, 2016], np.int32)))
    case("hash_count", 2, 32, x, InOut(np.full(64, 2**32 - 1, np.uint32), table),
         InOut(np.zeros(64, np.int32), counts), 60, np.uint32(64))


def precise():
    x, y = small(80, np.float16), small(80, np.float16)
    a = np.float16(0.5)
    case("half_axpy", 2, 32, x, InOut(y, (a * x + y).astype(np.float16)), a, 40)
    x, y = small(40, np.float16) / np.float16(8), small(40, np.float16) / np.float16(8)
    x[3], y[7] = np.nan, np.nan
    least = np.fmin(x, y)
    most = np.maximum(x, y)
    other = np.where(x < y, np.abs(x), -y)
    capped = np.where(np.isnan(x), 1, np.where(np.isnan(y), 0, np.clip(x + y, 0, 1))).astype(np.float16) + np.float16(0)
    case("half_compare", 1, 64, x, y, Out(np.concatenate([least, most, other, capped])), 40)
    x = small(40, np.float16, -99, 99) / np.float16(8)
    thrice = (np.trunc(x).astype(np.int32) * 3).astype(np.float16)
    case("half_exact", 1, 64, x, Out(np.concatenate([np.floor(x), np.rint(x), thrice, x * x])), 40)
    x = small(80, np.float32) / np.float32(4)
    y = bf16(np.maximum(x * x - 1, 0))
    case("bfloat", 2, 32, In(x, BF16), Out(y, BF16), Out(x[::2] - x[1::2]), 40)
    x = small(60, np.float32, -9999, 9999) / np.float32(16)

    def eight(x, mantissa, bias, most):
        """The nearest float with so many bits of mantissa, capped at `most`: its bits and its value."""
        e = np.maximum(np.floor(np.log2(np.maximum(np.abs(x), 2.0**-60))), 1 - bias)
        step = 2.0 ** (e - mantissa)
        v = np.minimum(np.rint(np.abs(x) / step) * step, most)
        e = np.maximum(np.floor(np.log2(np.maximum(v, 2.0**-60))), 1 - bias)
        units = v / 2.0 ** (e - mantissa)
        bits = np.where(units < 2**mantissa, units, (e + bias) * 2**mantissa + units - 2**mantissa)
        return (bits + np.where(np.signbit(x), 128, 0)).astype(np.uint8), np.copysign(v, x).astype(np.float16)

    (e4m3, a), (e5m2, b) = eight(x, 3, 7, 448), eight(x, 2, 15, 57344)
    case("fp8", 1, 64, x, Out(e4m3), Out(e5m2), Out(np.concatenate([a, b])), 60)
    a, b = small(64, np.float16), small(64, np.float16)
    y = np.array([a.astype(np.float32) @ b.astype(np.float32), a[3]], np.float32)
    case("half_dot", 1, 32, a, b, Out(y))


def images():
    w, h = 20, 13
    x = R.integers(0, 256, (h, w)).astype(np.uint8)
    wide = x.astype(np.int32)
    rgb = R.integers(0, 256, (50, 4)).astype(np.uint8)
    case("gray", 2, 32, rgb, Out((rgb[:, :3].astype(int) @ [77, 150, 29] >> 8).astype(np.uint8)), 50)
    window = lambda v, k: np.lib.stride_tricks.sliding_window_view(v, (k, k))
    edge = window(np.pad(wide, 1, mode="edge"), 3)
    case("box_blur", (3, 2), (8, 8), x, Out((edge.sum((2, 3)) // 9).astype(np.uint8)), w, h)
    inner = window(wide, 3)
    column = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    slope = np.abs((inner * column).sum((2, 3))) + np.abs((inner * column.T).sum((2, 3)))
    case("sobel", (3, 2), (8, 8), x, Out(np.pad(slope, 1).astype(np.int16)), w, h)
    f = small((7, 9), np.float32)
    right = np.concatenate([f[:, 1:], f[:, -1:]], 1)
    rows = np.stack([f, (f + right) / 2], 2).reshape(7, 18)
    below = np.concatenate([rows[1:], rows[-1:]])
    case("enlarge", (3, 2), (8, 8), f, Out(np.stack([rows, (rows + below) / 2], 1).reshape(14, 18)), 9, 7)
    case("median", (3, 2), (8, 8), x, Out(np.median(inner.reshape(h - 2, w - 2, 9), axis=2).astype(np.uint8)), w, h)
    v = R.integers(0, 256, 150).astype(np.uint8)
    counts = np.cumsum(np.bincount(v, minlength=256))
    case("equalize", 1, 64, v, Out((255 * counts[v] // 150).astype(np.uint8)), 150)
    v = R.integers(0, 256, 160).astype(np.uint8)
    before, after = np.concatenate([[0], v[:-1]]).astype(int), np.concatenate([v[1:], [0]]).astype(int)
    most = np.maximum(v, np.maximum(before, after)).astype(np.uint8)
    mask = np.where(most > 128, 255, 0).astype(np.uint8) ^ np.abs(v - before).astype(np.uint8)
    case("dilate", 2, 32, v.view(np.uint32), Out(most.view(np.uint32)), Out(mask.view(np.uint32)), 40)
    one = np.array([1, 4, 6, 4, 1])
    smooth = ((window(wide, 5) * np.outer(one, one)).sum((2, 3)) + 128) >> 8
    case("gauss", (3, 2), (8, 8), x, Out(smooth.astype(np.uint8)), w, h)
    rgb = R.integers(0, 256, (5, 9, 3)).astype(np.uint8)
    case("rotate", (2, 1), (8, 8), rgb, Out(np.rot90(rgb, -1).copy()), 9, 5)
    x = R.integers(0, 256, (4, 32)).astype(np.uint8)
    case("integral_rows", 4, 32, x, Out(np.cumsum(x, 1, dtype=np.int32)))
    x = (R.random((10, 15)) < 0.5).astype(np.uint8)
    labels = np.arange(150, dtype=np.int32).reshape(10, 15)
    while True:
        old = labels.copy()
        for axis in (0, 1):
            same = np.diff(x.astype(int), axis=axis) == 0
            a, b = (labels[:-1], labels[1:]) if axis == 0 else (labels[:, :-1], labels[:, 1:])
            least = np.where(same, np.minimum(a, b), 10**6)
            np.minimum(a, least, out=a)
            np.minimum(b, least, out=b)
        if (old == labels).all():
            break
    case("components", 1, 256, x, Out(labels), 15, 10)


def messages():
    x = small(3)
    case("print_each", 3, 32, x, prints="".join(f"block {i} of 3: {v}\n" for i, v in enumerate(x)))
    for i, (d, l, c) in enumerate(((3.14159, -77, "x"), (-2.5e10, 123456789012, "?"))):
        text = "%5.2f|%-8d|%08x|%c|%s|%e|%%\n" % (d, l, l & 0xFFFFFFFF, c, "negative" if l < 0 else "positive", d)
        case(f"print_types:{i}", 1, 1, np.float64(d), np.int64(l), np.uint8(ord(c)), prints=text)
    x = small(32, low=0)
    case("asserted", 1, 32, x, Out(x * x))


def language():
    shape = np.array([(7, 4, 0.5, (1, 2, 3, 4, 5), (0, 0, 0))], dtype=[("w", "i4"), ("h", "i4"), ("s", "f4"), ("t", "5u1"), ("pad", "3u1")])
    i = np.arange(28)
    case("struct_argument", 1, 32, Bytes(shape), Out((i // 7 * 0.5 + i % 5 + 1).astype(np.float32)))
    which, i = R.integers(0, 3, 32).astype(np.int32), np.arange(32, dtype=np.int32)
    case("function_table", 1, 32, which, Out(np.choose(which, [i + 5, i - 5, i * 5])))
    case("virtual_calls", 1, 32, Out(np.where(i % 2, i**3, 6 * i).astype(np.int32)))
    x, i = R.integers(0, 11, 64).astype(np.int32), np.arange(64)
    reverse = [int(f"{v:032b}"[::-1], 2) for v in range(64)]
    all = [i * 3, i ^ 9, i << 2, [v.bit_count() for v in range(64)], i % 7, ~i, reverse, i // 3,
           [32 - v.bit_length() for v in range(64)], i * 0 - 9, i * 0 - 10]
    case("many_cases", 1, 64, x, Out(np.choose(x, all).astype(np.int64).astype(np.int32)))
    x = small((8, 64), low=0, high=99)
    case("own_array", 1, 8, x, Out(np.array([np.bincount(row & 15, minlength=16).argmax() for row in x], np.int32)))
    x = small(36)
    sums = np.array([x[t : t + 5] @ [1, -2, 3, -4, 5] for t in range(32)])
    case("templates", 1, 32, x, Out((sums * 243 + 121).astype(np.int32)))
    x = small(32, np.float32)
    y = 1 - 2 * x + 0.5 * x**2 + 4 * x**3 + 41
    words = np.array([b"zero\0"[t % 4] if t % 3 == 0 else (b"one\0" if t % 3 == 1 else b"two\0")[t % 4] for t in range(32)], np.int8)
    case("module_variables", 1, 32, x, Out(y.astype(np.float32)), Out(words))
    x = small(32, np.float64)
    case("dynamic_memory", 1, 32, x, Out(x[::-1].copy()), 32, shared=384)
    pairs = np.zeros(32, [("a", "i2"), ("b", "i2"), ("c", "i4")])
    pairs["a"], pairs["b"], pairs["c"] = small(32), small(32), small(32)
    after = pairs.copy()
    after["a"], after["b"], after["c"] = pairs["b"], pairs["a"], -pairs["c"]
    case("returned_struct", 1, 32, pairs.view(np.int16), Out(after.view(np.int16)))


def whole():
    x = R.integers(-(2**62), 2**62, 32)
    d = R.integers(1, 10**6, 32) * R.choice([-1, 1], 32)
    trunc = np.array([abs(int(a)) // abs(int(b)) * (1 if (a < 0) == (b < 0) else -1) for a, b in zip(x, d)])
    low = x.astype(np.int32).astype(np.int64)
    seventh = np.where(low < 0, -(-low // 7), low // 7)
    third = ((seventh.astype(np.int32).view(np.uint32) + (x.astype(np.uint32) % 1000).astype(np.uint32))).astype(np.int64)
    fourth = (x.astype(np.uint64) // d.astype(np.uint64)).astype(np.int64)
    case("divisions", 1, 32, x, d, Out(np.concatenate([trunc, x - trunc * d, third, fourth])), 32)
    x = R.integers(0, 2**64, 64, dtype=np.uint64)
    products = [int(a) * int(b) + int(a) for a, b in zip(x[::2], x[1::2])]
    y = np.array([part for p in products for part in (p % 2**64, p >> 64)], np.uint64)
    case("wide_products", 1, 32, x, Out(y))
    x, M = R.integers(0, 2**32, 32, dtype=np.uint32), 2**32 - 1
    x[:2] = 0, M
    y = []
    for v in map(int, x):
        s = v % 37
        ffs = (v & -v).bit_length()
        bits = (int(f"{v:032b}"[::-1], 2) ^ v.bit_count() ^ (32 - v.bit_length()) << 8 ^ ffs << 16) & M
        left = (bits << 32 | v) << s % 32 >> 32 & M
        right = (bits << 32 | v) >> min(s, 32) & M
        eight = [v >> 8 * i & 255 for i in range(4)] + [bits >> 8 * i & 255 for i in range(4)]
        bytes = sum(eight[p] << 8 * i for i, p in enumerate((0, 4, 1, 5)))
        bytes ^= (v + bits) >> 1 ^ abs(v - bits) + s & M
        y.append(bits + 3 * (left + right) + 5 * bytes + 7 * (v * bits >> 32) & M)
    case("bit_tricks", 1, 32, x, Out(np.array(y, np.uint32)))
    a, b = R.integers(0, 2**32, 32, dtype=np.uint32), R.integers(0, 2**32, 32, dtype=np.uint32)
    i8 = lambda v: v.view(np.int8).reshape(32, 4).astype(np.int64)
    u8 = lambda v: v.view(np.uint8).reshape(32, 4).astype(np.int64)
    i16, u16 = a.view(np.int16).reshape(32, 2).astype(np.int64), a.view(np.uint16).reshape(32, 2).astype(np.int64)
    y = np.arange(32) + (i8(a) * i8(b)).sum(1) + (i16 * i8(b)[:, :2]).sum(1) - (u16 * u8(b)[:, 2:]).sum(1) - 1
    case("dot_bytes", 1, 32, a, b, Out(y.astype(np.int32)))
    a, b = (R.integers(0, 2**32, (32, 4), dtype=np.uint32) for _ in range(2))
    a[0], b[0] = M, [1, 0, 0, 0]
    y = []
    for p, q in zip(a, b):
        whole = lambda v: sum(int(w) << 32 * i for i, w in enumerate(v))
        total = whole(p) + whole(q)
        carry = total >> 128
        y += [total >> 32 * i & M for i in range(4)] + [carry]
        # mad.lo.cc leaves its carry to madc.hi, which adds its own low half again.
        product = int(p[0]) * int(q[0])
        low = (product & M) + carry
        y.append((product >> 32) + (low & M) + (low >> 32) & M)
    case("carries", 1, 32, a, b, Out(np.array(y, np.uint32)))
    x = R.integers(1, 500, 32).astype(np.uint32)

    def collatz(v):
        n = 0
        while v != 1:
            v, n = (3 * v + 1 if v % 2 else v // 2), n + 1
        return n

    steps = np.array([collatz(int(v)) for v in x], np.uint32)
    case("collatz", 1, 32, x, Out(steps), Out(np.gcd(x, np.uint32(5040))))
    x = R.integers(0, 256, (32, 7)).astype(np.uint8)
    case("crc32", 1, 32, x, Out(np.array([zlib.crc32(row.tobytes()) for row in x], np.uint32)), 7)
    y = []
    for t in range(32):
        c, key = [t, 0, 0, 0], [19, 19 ^ M]
        for _ in range(10):
            p, q = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
            c = [q >> 32 ^ c[1] ^ key[0], q & M, p >> 32 ^ c[3] ^ key[1], p & M]
            key = [key[0] + 0x9E3779B9 & M, key[1] + 0xBB67AE85 & M]
        y += c
    case("philox", 1, 32, Out(np.array(y, np.uint32)), np.uint32(19))


def real():
    x, y = (R.normal(size=40).astype(np.float32) * 10 for _ in range(2))
    fused = (x.astype(np.longdouble) * y + 1).astype(np.float32)
    rounded = lambda v: v.astype(np.float32)
    out = [x / y, np.sqrt(np.abs(x)), fused, x * y + np.trunc(x), np.rint(x) + np.ceil(y), np.copysign(x, y),
           np.maximum(x, y) - np.minimum(x, y), rounded(x.astype(np.float64) * y)]
    case("exact", 1, 64, x, y, Out(np.concatenate(out)), 40)
    x, y = R.normal(size=40) * 10, R.normal(size=40)
    from fractions import Fraction

    fused = np.array([float(Fraction(a) * Fraction(b) - 1) for a, b in zip(x, y)])
    out = [x / y, np.sqrt(np.abs(x)), fused, np.floor(x) + np.trunc(y), np.fmod(x, y)]
    case("exact_f64", 1, 64, x, y, Out(np.concatenate(out)), 40)
    x = np.abs(R.normal(size=40)).astype(np.float32) + np.float32(0.01)
    from math import erf

    wide = x.astype(np.float64)
    out = [np.exp(wide), np.log(wide), np.sin(wide), np.tanh(wide), 1 / np.sqrt(wide), np.vectorize(erf)(wide)]
    case("functions", 1, 64, x, Near(np.concatenate(out).astype(np.float32), 1e-5), 40)
    wide = np.abs(R.normal(size=20)) + 0.01
    out = [np.exp(wide), np.log(wide), wide**1.5, np.cbrt(wide)]
    case("functions_f64", 1, 32, wide, Near(np.concatenate(out), 1e-13), 20)
    x = small((3, 32), np.float32)
    e = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
    case("softmax", 3, 32, x, Near((e / e.sum(1, keepdims=True)).astype(np.float32), 1e-5))


def arrays():
    a, b = small((16, 16), np.float32), small((16, 16), np.float32)
    case("matmul", (2, 2), (8, 8), a, b, Out(a @ b), 16)
    x = small((19, 35), np.float32)
    case("transpose", (3, 2), (16, 8), x, Out(x.T.copy()), 35, 19)
    dense = small((6, 40), np.float32) * (R.random((6, 40)) < 0.3)
    rows, columns = np.nonzero(dense)
    starts = np.searchsorted(rows, np.arange(7)).astype(np.int32)
    x = small(40, np.float32)
    values = dense[rows, columns].astype(np.float32)
    case("sparse_rows", 6, 32, starts, columns.astype(np.int32), values, x, Out((dense @ x).astype(np.float32)))
    x = small(100, np.float32)
    padded = np.pad(x, 2)
    y = sum(np.float32(k + 1) * padded[k : k + 100] for k in range(5))
    case("stencil", 2, 64, x, Out(y), 100)
    n = 40
    edges = R.random((n, n)) < 0.06
    starts = np.concatenate([[0], np.cumsum(edges.sum(1))]).astype(np.int32)
    depth = np.full(n, -1, np.int32)
    depth[0], depth[1:6] = 0, 1
    after = depth.copy()
    reached = edges[depth == 1].any(0) & (depth == -1)
    after[reached] = 2
    more = np.array([0], np.int32)
    case("breadth_first", 2, 32, starts, np.nonzero(edges)[1].astype(np.int32), InOut(depth, after), 1, n,
         InOut(more, more + int(reached.any())))
    x = (R.random((9, 14)) < 0.4).astype(np.uint8)
    near = sum(np.roll(x, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)) - x
    case("life", 4, 32, x, Out(((near == 3) | (near == 2) & (x == 1)).astype(np.uint8)), 14, 9)
    a, b = R.integers(97, 101, 20).astype(np.int8), R.integers(97, 101, 20).astype(np.int8)
    line = list(range(21))
    for i in range(20):
        last, line = line, [i + 1]
        for j in range(20):
            line.append(min(last[j] + int(a[i] != b[j]), last[j + 1] + 1, line[j] + 1))
    case("edit_distance", 1, 32, a, b, Out(np.array([line[20]], np.int32)), 20)
    import base64

    x = R.integers(0, 256, 40 * 3).astype(np.uint8)
    case("base64", 2, 32, x, Out(np.frombuffer(base64.b64encode(x.tobytes()), np.uint8)), 40)
    y = []
    for row in range(4):
        for column in range(24):
            cx, cy = (column * 3 << 24) // 24 - (2 << 24), (row * 2 << 24) // 4 - (1 << 24)
            zx = zy = n = 0
            while n < 50 and (zx * zx >> 24) + (zy * zy >> 24) <= 4 << 24:
                zx, zy = (zx * zx >> 24) - (zy * zy >> 24) + cx, (zx * zy >> 23) + cy
                n += 1
            y.append(n)
    case("mandelbrot", (1, 4), 32, Out(np.array(y, np.uint8)), 24, 4)
    n = 300
    prime = [v > 1 and all(v % d for d in range(2, v)) for v in range(n)]
    case("sieve", 1, 64, Out(np.array(prime, np.uint8)), n)


def newer():
    x = small(256)
    case("bulk_copy", 1, 64, x, Out(x[::-1].copy()))
    x = small(64)
    case("cluster_sum", 1, 64, x, Out(np.full(64, x.sum() + 1, np.int32)))
    x = small(32)
    case("dependent", 1, 32, x, Out(x + 1))


def main():
    for part in (reductions, scans, sorts, collections, groups, barriers, pipelines, matrices, atomics, locks, precise,
                 images, messages, language, whole, real, arrays, newer):
        part()
    text = "\n".join(CASES) + "\n"
    if sys.argv[1:]:
        print(text, end="")
    else:
        pathlib.Path(__file__).with_name("values.txt").write_text(text)


if __name__ == "__main__":
    main()
