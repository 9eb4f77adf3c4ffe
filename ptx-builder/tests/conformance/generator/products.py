"""Cases of matrix products: `mma.sync` of all shapes and types, and `wmma` (PTX ISA 9.7.14.4, 9.7.14.5).

Inputs are small integers, so that every partial sum is exact in any order. Where f64 is rounded in a direction, each row
of a has one element, so that there is one rounding and no order.
"""

import re

from .formats import F64, Format, add, multiply, number
from .inputs import format_of, rng
from .program import Case

SMALL = {"e4m3": Format("e4m3", 8, 3), "e5m2": Format("e5m2", 8, 2)}
WIDTHS = {"b1": 1, "s4": 4, "u4": 4, "s8": 8, "u8": 8, "e4m3": 8, "e5m2": 8, "f16": 16, "bf16": 16, "tf32": 32}
WIDTHS |= {"f32": 32, "s32": 32, "f64": 64}
HEADS = {"a": "wmma.load.a", "b": "wmma.load.b", "c": "wmma.load.c", "d": "wmma.store.d"}


def case(form):
    if form.op == "mma.sync":
        return multiplied(form)
    if form.op.startswith("wmma."):
        return wmma(form)
    if form.op == "movmatrix.sync":
        return transposed(form)
    return None


def elements(form):
    """The elements that the form names, in order."""
    return [m for m in form.name.split(".") if m in WIDTHS]


def shape(form):
    return tuple(map(int, re.search(r"m(\d+)n(\d+)k(\d+)", form.name).groups()))


def encode(type, value):
    """The bits of a value."""
    if type in SMALL or format_of(type) or type == "tf32":
        return (SMALL.get(type) or format_of("f32" if type == "tf32" else type)).encode(number(value))
    return value & ((1 << WIDTHS[type]) - 1)


def integers(type, r):
    """A value that is exact in the type, and whose sums are exact."""
    limits = {"b1": (0, 1), "u4": (0, 15), "s4": (-8, 7), "u8": (0, 255), "s8": (-128, 127)}
    low, high = limits.get(type, (-4, 4) if type in SMALL else (-8, 8))
    return r.choice([low, high, r.randint(low, high)])


class Matrices:
    """a, b, c and d of as many products as an instruction computes."""

    def __init__(self, form, types, count=1):
        d, a, b, c = types
        m, n, k = shape(form)
        r = rng(form.name)
        integer = d == "s32"
        edges = [0, 2**31 - 1, -(2**31)]
        mode = form.first(("rn", "rz", "rm", "rp"))
        rows = lambda n, m, value: [[value() for _ in range(m)] for _ in range(n)]
        self.count = count
        self.all = []
        for _ in range(count):
            first = rows(m, k, lambda: integers(a, r))
            second = rows(k, n, lambda: integers(b, r))
            wide = lambda: r.choice(edges + [r.randrange(-(2**31), 2**31)] * 3)
            third = rows(m, n, wide if integer else lambda: r.randint(-100, 100))
            if mode:
                odd = lambda: r.choice([-1, 1]) * (2**52 + r.getrandbits(52))
                first = [[odd() if j == i % k else 0 for j in range(k)] for i in range(m)]
                second = rows(k, n, odd)
                third = rows(m, n, lambda: odd() * 2**45)
            self.all.append({"a": first, "b": second, "c": third, "d": self.result(form, first, second, third, mode)})

    @staticmethod
    def result(form, a, b, c, mode):
        if mode:
            # The one product of a row that is not zero.
            terms = lambda i, j: next((x, b[n][j]) for n, x in enumerate(a[i]) if x)
            rounded = lambda i, j: add(multiply(*map(number, terms(i, j))), number(c[i][j]), mode)
            exact = lambda i, j: F64.decode(F64.encode(rounded(i, j), mode)).value
            return [[exact(i, j) for j in range(len(c[0]))] for i in range(len(c))]
        product = (lambda x, y: x ^ y) if "xor" in form.name else lambda x, y: x * y
        sums = [[c[i][j] + sum(product(a[i][n], b[n][j]) for n in range(len(b))) for j in range(len(c[0]))] for i in range(len(c))]
        if form.has("satfinite"):
            sums = [[max(-(2**31), min(2**31 - 1, v)) for v in row] for row in sums]
        return sums


def place(form, part, lane, i, per, type):
    """(product, row, column) of element i of a lane's fragment of `mma.sync`."""
    m, n, k = shape(form)
    if (m, n, k) == (8, 8, 4) and elements(form)[1] == "f16":
        return quad(form, part, lane, i, type)
    group, member = lane >> 2, lane & 3
    if part in "cd":
        return 0, group + (8 if i & 2 else 0), member * 2 + (i & 1)
    reg, piece = divmod(i, per)
    if part == "b":
        return 0, reg * 4 * per + member * per + piece, group
    if m == 8:
        return 0, group, reg * 4 * per + member * per + piece
    return 0, group + 8 * (reg & 1), (reg >> 1) * 4 * per + member * per + piece


def quad(form, part, lane, i, type):
    """PTX ISA 9.7.14.5.1: four products, each by eight lanes of which four lie 16 above the others."""
    unit, member, high = lane % 16 // 4, lane % 4, 4 * (lane >= 16)
    a_layout, b_layout = [m for m in form.mods if m in ("row", "col")]
    if part == "a":
        return (unit, member + high, i) if a_layout == "row" else (unit, i + high, member)
    if part == "b":
        return (unit, member, i + high) if b_layout == "row" else (unit, i, member + high)
    if type == "f16":
        return unit, member + high, i
    return unit, (lane & 1) + (i & 2) + high, (i & 4) + (lane & 2) + (i & 1)


def fragments(form, matrices, part, type, regs):
    """Each lane's registers."""
    width = WIDTHS[type]
    per = max(32 // width, 1)
    out = []
    for lane in range(32):
        words = []
        for reg in range(regs):
            word = 0
            for piece in range(per):
                unit, row, column = place(form, part, lane, reg * per + piece, per, type)
                word |= encode(type, matrices.all[unit][part][row][column]) << width * piece
            words.append(word)
        out.append(words)
    return out


def register_type(type):
    return type if type in ("f32", "f64", "s32") else "b32"


def multiplied(form):
    case = Case(form)
    d, a, b, c = types = elements(form)
    count = 4 if shape(form) == (8, 8, 4) and a == "f16" else 1
    matrices = Matrices(form, types, count)
    operands = []
    for slot, part, type in zip(form.slots[1:], "abc", (a, b, c)):
        rows = fragments(form, matrices, part, type, slot.len)
        regs = [case.load(f"{part}{i}", register_type(type), [row[i] for row in rows]) for i in range(slot.len)]
        operands.append("{" + ", ".join(regs) + "}")
    expected = fragments(form, matrices, "d", d, form.slots[0].len)
    regs = [case.new(register_type(d)) for _ in expected[0]]
    case.say(f"{form.name} {{{', '.join(regs)}}}, {', '.join(operands)}")
    for i, reg in enumerate(regs):
        case.store(f"d{i}", register_type(d), reg, [row[i] for row in expected])
    return case


def memory(matrix, type, layout, stride, filler):
    """A matrix in memory, as words of 32 bits; what lies between its lines is `filler`."""
    width = WIDTHS[type]
    lines = matrix if layout == "row" else [list(column) for column in zip(*matrix)]
    bits = 0
    for i, line in enumerate(lines):
        values = [encode(type, v) for v in line] + [filler & ((1 << width) - 1)] * (stride - len(line))
        for j, value in enumerate(values):
            bits |= value << width * (i * stride + j)
    return [bits >> 32 * i & 0xFFFFFFFF for i in range(len(lines) * stride * width // 32)]


def companions(form):
    """The types of a whole product that the form is part of, its layouts, and the name of the product."""
    m, n, k = shape(form)
    size = f"m{m}n{n}k{k}"
    layouts = [w for w in form.mods if w in ("row", "col")]
    if form.op.startswith("wmma.mma"):
        named = elements(form)
        types = [named[0], "f16", "f16", named[1]] if len(named) == 2 else named
        return types, layouts, form.name
    own = elements(form)[0]
    part = form.op.split(".")[2]
    default = {"m16n16k8": "tf32", "m8n8k4": "f64", "m8n8k32": "s4", "m8n8k128": "b1"}.get(size)
    if part in "ab":
        factor = own
    else:
        factor = default or ("s8" if own == "s32" else "f16")
    acc = own if part in "cd" else "s32" if factor[0] in "sub" else "f64" if factor == "f64" else "f32"
    if factor == "bf16":
        acc = "f32"
    fixed = factor in ("s4", "u4", "b1")
    a_layout = layouts[0] if part == "a" else "row"
    b_layout = layouts[0] if part == "b" else "col"
    assert not fixed or (a_layout, b_layout) == ("row", "col")
    types = [acc, factor, factor, acc]
    kinds = f"{acc}.{acc}" if factor == "f16" else f"{acc}.{factor}.{factor}.{acc}"
    op = "wmma.mma.xor.popc" if factor == "b1" else "wmma.mma"
    return types, [a_layout, b_layout], f"{op}.sync.aligned.{a_layout}.{b_layout}.{size}.{kinds}"


class Product:
    """What `Matrices` asks of a form, for the product that a load or store is part of."""

    def __init__(self, name):
        self.name, self.mods = name, name.split(".")

    def has(self, mod):
        return mod in self.mods

    def first(self, options):
        return next((m for m in self.mods if m in options), None)


def registers(size, part, type):
    m, n, k = size
    if part in "ab" and type == "f16":
        return 8
    cells = {"a": m * k, "b": k * n}.get(part, m * n)
    return cells * min(WIDTHS[type], 32) // 32 // 32 if type != "f64" else cells // 32


def wmma(form):
    """Loads a, b and c, multiplies and stores d; the form stands at its place."""
    case = Case(form)
    r = rng(form.name + "places")
    size = m, n, k = shape(form)
    types, layouts, name = companions(form)
    d, a, b, c = types
    matrices = Matrices(Product(name), types)
    own = form.op.split(".")[2] if not form.op.startswith("wmma.mma") else None
    size_name = f"m{m}n{n}k{k}"
    held = {}
    extents = {"a": (m, k), "b": (k, n), "c": (m, n), "d": (m, n)}
    layout = {"a": layouts[0], "b": layouts[1], "c": "row", "d": "row"}
    if own in ("c", "d"):
        layout[own] = next(w for w in form.mods if w in ("row", "col"))

    def prepared(part, type):
        """The stride, the text of it, and the words."""
        rows, columns = extents[part]
        line = columns if layout[part] == "row" else rows
        apart = r.choice([0, 1, 2]) * 128 // WIDTHS[type]
        stride = line + apart
        written = ""
        if apart or part == own:
            if r.randrange(2):
                reg = case.new("b32")
                case.say(f"mov.u32 {reg}, {stride}")
                written = f", {reg}"
            else:
                written = f", {stride}"
        return stride, written, memory(matrices.all[0][part], type, layout[part], stride, 0x5A5A5A5A5A5A5A5A)

    def spelled(part, type, space):
        if part == own:
            return form.name
        dot = f".{space}" if space else ""
        return f"{HEADS[part]}.sync.aligned.{layout[part]}.{size_name}{dot}.{type}"

    def place_of(part):
        """The state space and, in shared space, an array."""
        return (form.first(("global", "shared")) or "") if part == own else "global"

    def across(part, words, store):
        """Copies words between global and shared memory."""
        base = case.array(f"tile_{part}", len(words) * 4, align=32)
        source = case.address(part, 4)
        mine = case.lane_address(base, 4)
        for i in range(0, len(words), 32):
            word = case.new("b32")
            guard = ""
            if len(words) - i < 32:
                holds = case.new("pred")
                case.say(f"setp.lt.u32 {holds}, {case.tid}, {len(words) - i}")
                guard = f"@{holds} "
            if store:
                case.say(f"{guard}ld.shared.b32 {word}, [{mine}+{4 * i}]")
                case.say(f"{guard}st.global.b32 [{source}+{4 * i}], {word}")
            else:
                case.say(f"{guard}ld.global.b32 {word}, [{source}+{4 * i}]")
                case.say(f"{guard}st.shared.b32 [{mine}+{4 * i}], {word}")
        if not store:
            case.say("bar.sync 0")
        return base

    for part, type in zip("abc", (a, b, c)):
        _, written, words = prepared(part, type)
        case.input(part, "b32", words)
        space = place_of(part)
        at = across(part, words, False) if space == "shared" else case.pointer(part)
        regs = [case.new(register_type(type)) for _ in range(registers(size, part, type))]
        case.say(f"{spelled(part, type, space)} {{{', '.join(regs)}}}, [{at}]{written}")
        held[part] = "{" + ", ".join(regs) + "}"
    regs = [case.new(register_type(d)) for _ in range(registers(size, "d", d))]
    case.say(f"{name} {{{', '.join(regs)}}}, {held['a']}, {held['b']}, {held['c']}")
    stride, written, words = prepared("d", d)
    empty = [[0] * n for _ in range(m)]
    before = memory(empty, d, layout["d"], stride, 0x5A5A5A5A5A5A5A5A)
    case.inout("d", "b32", before, words)
    space = place_of("d")
    at = across("d", words, False) if space == "shared" else case.pointer("d")
    case.say(f"{spelled('d', d, space)} [{at}], {{{', '.join(regs)}}}{written}")
    if space == "shared":
        case.say("bar.sync 0")
        mine, source = case.lane_address(at, 4), case.address("d", 4)
        for i in range(0, len(words), 32):
            word = case.new("b32")
            holds = case.new("pred")
            case.say(f"setp.lt.u32 {holds}, {case.tid}, {len(words) - i}")
            case.say(f"@{holds} ld.shared.b32 {word}, [{mine}+{4 * i}]")
            case.say(f"@{holds} st.global.b32 [{source}+{4 * i}], {word}")
    return case


def transposed(form):
    case = Case(form)
    halves = [[rng(form.name + str(i)).getrandbits(16) for _ in range(8)] for i in range(8)]
    pair = lambda matrix, lane: matrix[lane >> 2][(lane & 3) * 2] | matrix[lane >> 2][(lane & 3) * 2 + 1] << 16
    turned = [list(column) for column in zip(*halves)]
    source = case.load("a", "b32", [pair(halves, lane) for lane in range(32)])
    d = case.new("b32")
    case.say(f"{form.name} {d}, {source}")
    case.store("d", "b32", d, [pair(turned, lane) for lane in range(32)])
    return case
