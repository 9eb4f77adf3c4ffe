"""Cases of mma.sync and ldmatrix: fragment layouts of PTX ISA 9.7.14.5.

Float inputs are small integers, so that every product and partial sum is exact
in any order: tensor cores do not say in which order they add.
"""

import re

from .formats import number
from .forms import signed
from .inputs import format_of, rng
from .program import Case


OWN = r"mma\.sync\.aligned\.(m16n8k16\.row\.col(\.f(16|32)\.b?f16\.b?f16|(\.satfinite)?\.s32\.[su]8)|m16n8k32\.row\.col(\.satfinite)?\.s32\.[su]8).*"


def case(form):
    # The forms that this module began with; the others are in `products`.
    if re.fullmatch(OWN, form.name):
        return multiply(form)
    if form.op == "ldmatrix.sync":
        return load(form)
    return None


def a_place(lane, i, k, per):
    """(row, column) of element i of lane's fragment of a (16 x k), per elements a register."""
    group, member = lane >> 2, lane & 3
    reg, part = divmod(i, per)
    row = group + (8 if reg & 1 else 0)
    column = member * per + part + (k // 2 if reg & 2 else 0)
    return row, column


def b_place(lane, i, k, per):
    """(row, column) of element i of lane's fragment of b (k x 8)."""
    group, member = lane >> 2, lane & 3
    reg, part = divmod(i, per)
    return member * per + part + reg * 4 * per, group


def c_place(lane, i):
    """(row, column) of element i of lane's fragment of c or d (16 x 8)."""
    return (lane >> 2) + (8 if i & 2 else 0), (lane & 3) * 2 + (i & 1)


def multiply(form):
    case = Case(form)
    r = rng(form.name)
    k = 32 if form.has("m16n8k32") else 16
    dt, at, bt, _ = form.types
    integer = dt == "s32"
    width = 8 if integer else 16
    per = 32 // width
    if integer:
        # Large negative or positive sums, so that c's edges overflow.
        pick = lambda t: r.choice([0, 1, 127, 128, 255, r.randrange(256)])
        a = [[pick(at) for _ in range(k)] for _ in range(16)]
        b = [[pick(bt) for _ in range(8)] for _ in range(k)]
        c = [[r.choice([0, 2**31 - 1, -(2**31), r.randrange(-(2**31), 2**31)]) for _ in range(8)] for _ in range(16)]
        value = lambda t, v: signed(t, v)
    else:
        small = lambda: r.randrange(-8, 9)
        a = [[small() for _ in range(k)] for _ in range(16)]
        b = [[small() for _ in range(8)] for _ in range(k)]
        c = [[r.randrange(-100, 101) for _ in range(8)] for _ in range(16)]
        value = lambda t, v: v
    d = [
        [c[i][j] + sum(value(at, a[i][n]) * value(bt, b[n][j]) for n in range(k)) for j in range(8)]
        for i in range(16)
    ]
    bits_of = (lambda t, v: v & ((1 << width) - 1)) if integer else (lambda t, v: format_of(t).encode(number(v)))

    def fragment(matrix, place, type, regs):
        """Each lane's registers, packed."""
        out = []
        for lane in range(32):
            words = []
            for reg in range(regs):
                word = 0
                for part in range(per):
                    row, column = place(lane, reg * per + part, k, per)
                    word |= bits_of(type, matrix[row][column]) << width * part
                words.append(word)
            out.append(words)
        return out

    a_regs, b_regs = form.slots[1].len, form.slots[2].len
    fragments = [fragment(a, a_place, at, a_regs), fragment(b, b_place, bt, b_regs)]

    def results(matrix):
        out = []
        for lane in range(32):
            values = []
            for i in range(4):
                row, column = c_place(lane, i)
                v = matrix[row][column]
                if integer:
                    if form.has("satfinite"):
                        v = max(-(2**31), min(2**31 - 1, v))
                    values.append(v & 0xFFFFFFFF)
                else:
                    values.append(format_of(dt).encode(number(v)))
            if dt == "f16":
                values = [values[0] | values[1] << 16, values[2] | values[3] << 16]
            out.append(values)
        return out

    word_type = {"f32": "f32", "f16": "f16x2", "s32": "s32"}[dt]
    operands = []
    for name, type, rows in (("a", "b32", fragments[0]), ("b", "b32", fragments[1]), ("c", word_type, results(c))):
        regs = [case.load(f"{name}{i}", type, [row[i] for row in rows]) for i in range(len(rows[0]))]
        operands.append("{" + ", ".join(regs) + "}")
    expected = results(d)
    regs = [case.new("f32" if dt == "f32" else "b32") for _ in expected[0]]
    case.say(f"{form.name} {{{', '.join(regs)}}}, {', '.join(operands)}")
    for i, reg in enumerate(regs):
        case.store(f"d{i}", word_type, reg, [row[i] for row in expected])
    return case


def load(form):
    """Rows lie in a scrambled order, 16 bytes apart."""
    case = Case(form)
    r = rng(form.name)
    count = form.slots[0].len
    trans = form.has("trans")
    halves = [r.getrandbits(16) for _ in range(32 * 8)]  # 32 rows of 8
    case.input("rows", "b16", halves)
    source = case.address("rows", 16)
    base = case.array("tile", 512)
    mine = case.lane_address(base, 16)
    for i in range(2):
        reg = case.new("b64")
        case.say(f"ld.global.b64 {reg}, [{source}+{8 * i}]")
        case.say(f"st.shared.b64 [{mine}+{8 * i}], {reg}")
    case.say("bar.sync 0")
    order = list(range(32))
    r.shuffle(order)
    row_of = case.load("row", "u32", order)
    at = case.new("b32")
    case.say(f"mad.lo.u32 {at}, {row_of}, 16, {base}")
    if not form.has("shared"):
        wide, generic = case.new("b64"), case.new("b64")
        case.say(f"cvt.u64.u32 {wide}, {at}")
        case.say(f"cvta.shared.u64 {generic}, {wide}")
        at = generic
    regs = [case.new("b32") for _ in range(count)]
    case.say(f"{form.name} {{{', '.join(regs)}}}, [{at}]")
    for m, reg in enumerate(regs):
        element = lambda row, column: halves[order[8 * m + row] * 8 + column]
        values = []
        for lane in range(32):
            row, column = lane >> 2, (lane & 3) * 2
            pair = [element(column, row), element(column + 1, row)] if trans else [element(row, column), element(row, column + 1)]
            values.append(pair[0] | pair[1] << 16)
        case.store(f"d{m}", "b32", reg, values)
    return case
