"""Cases of carries, masks, parts of words, small floats, pairs of f32, and of hints."""

from fractions import Fraction

from . import floating, memory, warp
from .formats import NAN, number
from .forms import Form, bits, mask, signed
from .inputs import float_pairs, float_triples, floats, format_of, ints, random_float, random_int, rng
from .program import Case

LANES = 32


def case(form):
    make = {
        "add": carry, "addc": carry, "sub": carry, "subc": carry, "mad": carry, "madc": carry,
        "cvt": small_float, "min": three, "max": three, "fma": pairs, "mul": pairs,
        "bmsk": computed, "szext": computed, "fns": computed,
        "cvt.pack": pack_int, "createpolicy.range": policy, "vmad": scalar_video, "vset": scalar_video,
        "vadd": scalar_video, "vsub": scalar_video, "vabsdiff": scalar_video, "vmin": scalar_video, "vmax": scalar_video,
        "vshl": scalar_video, "vshr": scalar_video,
        "stmatrix.sync": store_matrix, "redux.sync": reduce_float,
        "ldu": memory.load, "applypriority": hint, "discard": hint,
        "createpolicy.fractional": policy, "createpolicy.cvt": policy,
        "mapa": block_address, "getctarank": block_address,
        "brkpt": never, "pmevent": never, "setmaxnreg": never, "call": call,
    }.get(form.op)  # fmt: skip
    if form.op[0] == "v" and form.op[-1] in "24":
        make = parts
    return make(form) if make else None


def words(case, form, types, n=LANES):
    """Random and edge values of integer types, in registers."""
    r = rng(form.name + "words")
    rows = []
    for k, t in enumerate(types):
        edges = ints(t)
        rows.append([edges[(i * (k + 1)) % len(edges)] if r.randrange(2) else random_int(r, t) for i in range(n)])
    return rows, [case.load(f"s{k}", t, row) for k, (t, row) in enumerate(zip(types, rows))]


def carry(form):
    """Through the flag: what sets it before, the form, and what reads it after."""
    if form.has("f32x2"):
        return pairs(form)
    if not any(s.shape == "carry" for s in form.slots):
        return None
    case = Case(form)
    t = form.types[0]
    size, m = bits(t), mask(t)
    count = 3 if form.op.startswith("mad") else 2
    rows, regs = words(case, form, [t] * count + [t, t])
    reads = form.slots[-1].shape == "carry"
    if reads:
        case.say(f"add.cc.{t} {case.new(t)}, {regs[count]}, {regs[count + 1]}")
    if reads or form.has("cc"):
        case.since(43 if size == 64 else 20, 20)
    d, after = case.new(t), case.new(t)
    case.say(f"{form.name} {d}, {', '.join(regs[:count])}")
    expected, flags = [], []
    for lane in range(LANES):
        values = [row[lane] for row in rows]
        flag = int(values[count] + values[count + 1] > m) if reads else int(form.op.startswith("sub"))
        a, b = values[:2]
        if count == 3:
            whole = signed(t, a) * signed(t, b)
            half = (whole >> size if form.has("hi") else whole) & m
            total = half + values[2] + flag
            expected.append(total & m)
            flags.append(int(total > m))
        elif form.op.startswith("add"):
            expected.append((a + b + flag) & m)
            flags.append(int(a + b + flag > m))
        else:
            # The flag is the carry out of a + ~b + 1: an H200's, though the ISA calls it a borrow.
            total = a + (~b & m) + flag
            expected.append(total & m)
            flags.append(int(total > m))
    case.store("d", t, d, expected)
    if form.has("cc"):
        case.say(f"addc.{t} {after}, 0, 0")
        case.store("carry", t, after, flags)
    return case


def computed(form):
    case = Case(form)
    types = ["u32", "u32"] if form.op != "fns" else ["b32", "u32", "s32"]
    r = rng(form.name + "words")
    rows = [[random_int(r, t) for _ in range(LANES)] for t in types]
    rows[0][:12] = ints("u32")
    r = rng(form.name + "small")
    small = [[r.randrange(40) for _ in range(LANES)] for _ in types]
    if form.op == "fns":
        # The base is a place, and an offset beyond 32 finds nothing.
        places = [[v & 31 for v in row] for row in small]
        small[1], rows[1] = places[1], places[2]
        small[2] = [r.randrange(-8, 9) for _ in range(LANES)]
        rows[2] = [v & 0xFFFFFFFF for v in small[2]]
        small[2] = rows[2]
    for k, row in enumerate((rows, small if form.op == "fns" else [rows[0], small[1]])):
        regs = [case.load(f"t{k}_{i}", t, v) for i, (t, v) in enumerate(zip(types, row))]
        d = case.new("b32")
        case.say(f"{form.name} {d}, {', '.join(regs)}")
        case.store(f"d{k}", "b32", d, [word(form, *v) for v in zip(*row)])
    return case


def word(form, a, b, c=0):
    clamp = form.has("clamp")
    if form.op == "bmsk":
        first = a if clamp else a & 31
        count = b if clamp else b & 31
        return sum(1 << i for i in range(first, min(first + count, 32)) if i < 32)
    if form.op == "szext":
        count = b if clamp else b & 31
        if count >= 32:
            return a
        low = a & ((1 << count) - 1)
        if form.has("s32") and count and a >> (count - 1) & 1:
            low |= 0xFFFFFFFF ^ ((1 << count) - 1)
        return low
    offset = signed("s32", c)
    if offset == 0:
        return b if a >> b & 1 else 0xFFFFFFFF
    places = range(b, 32) if offset > 0 else range(b, -1, -1)
    ones = [p for p in places if a >> p & 1]
    return ones[abs(offset) - 1] if abs(offset) <= len(ones) else 0xFFFFFFFF


def compares(form):
    """The comparison that is written."""
    table = {
        "eq": lambda x, y: x == y, "ne": lambda x, y: x != y, "lt": lambda x, y: x < y,
        "le": lambda x, y: x <= y, "gt": lambda x, y: x > y, "ge": lambda x, y: x >= y,
    }  # fmt: skip
    return table[form.first(table)]


def pack_int(form):
    case = Case(form)
    small, wide = form.mods[1], form.mods[2]
    size = int(small[1:])
    least, most = (-(1 << size - 1), (1 << size - 1) - 1) if small[0] == "s" else (0, (1 << size) - 1)
    three = len(form.slots) == 4
    rows, regs = words(case, form, [wide, wide, "b32"])
    near = rng(form.name + "near")
    cut = lambda v: max(least, min(most, signed(wide, v))) & (1 << size) - 1
    rows[0] = [v if near.randrange(2) else (most + near.randrange(-3, 4)) & 0xFFFFFFFF for v in rows[0]]
    regs[0] = case.load("near", wide, rows[0])
    d = case.new("b32")
    case.say(f"{form.name} {d}, {', '.join(regs[: 3 if three else 2])}")
    packed = lambda a, b, c: (c << 2 * size if three else 0) & 0xFFFFFFFF | cut(a) << size | cut(b)
    case.store("d", "b32", d, [packed(*row) for row in zip(*rows)])
    return case


def scalar_video(form):
    """PTX ISA 9.7.19.1: an operation without loss, clamped, then a second one; or a product, shifted and clamped."""
    case = Case(form)
    types = form.types
    at, bt = types[-2:]
    dt = types[0] if len(types) == 3 else "u32"
    op = form.op[1:]
    second = form.first(("add", "min", "max"))
    third = second or op == "mad"
    rows, regs = words(case, form, [at, bt, dt])
    amounts = rng(form.name + "amounts")
    if op in ("shl", "shr"):
        rows[1] = [amounts.randrange(40) if amounts.randrange(3) else v for v in rows[1]]
        regs[1] = case.load("amount", "u32", rows[1])

    def clamped(t, v):
        least, most = (-(1 << 31), (1 << 31) - 1) if t[0] == "s" else (0, (1 << 32) - 1)
        return max(least, min(most, v))

    def one(a, b, c):
        x, y = signed(at, a), signed(bt, b)
        if op == "mad":
            final = "s32" if "s" in at + bt else "u32"
            total = x * y + signed(final, c) + (1 if form.has("po") else 0)
            total >>= 7 if form.has("shr7") else 15 if form.has("shr15") else 0
            total = signed(final[0] + "64", total & (1 << 64) - 1)
            return (clamped(final, total) if form.has("sat") else total) & 0xFFFFFFFF
        if op == "set":
            value = int(compares(form)(x, y))
        elif op in ("shl", "shr"):
            n = y & 31 if form.has("wrap") else min(y, 32)
            value = x << n if op == "shl" else x >> n
        else:
            value = {"add": x + y, "sub": x - y, "absdiff": abs(x - y), "min": min(x, y), "max": max(x, y)}[op]
        if form.has("sat"):
            value = clamped(dt, value)
        z = signed(dt, c)
        value = {None: value, "add": value + z, "min": min(value, z), "max": max(value, z)}[second]
        return value & 0xFFFFFFFF

    d = case.new("b32")
    case.say(f"{form.name} {d}, {', '.join(regs[: 3 if third else 2])}")
    case.store("d", "b32", d, [one(*row) for row in zip(*rows)])
    return case


def parts(form):
    """Video instructions of two halves or four bytes."""
    case = Case(form)
    at, bt = form.types[-2:]
    dt = form.types[0] if len(form.types) == 3 else "u32"
    rows, regs = words(case, form, [at, bt, "u32"])
    size = 16 if form.op[-1] == "2" else 8
    op = form.op[1:-1]

    def piece(t, v, i):
        return signed(f"{t[0]}{size}", v >> (i * size))

    def value(x, y):
        if op == "avrg":
            # Halves go away from zero.
            total = x + y
            return (total + 1) // 2 if total >= 0 else -((1 - total) // 2)
        if op == "set":
            return int(compares(form)(x, y))
        return {"add": x + y, "sub": x - y, "absdiff": abs(x - y), "min": min(x, y), "max": max(x, y)}[op]

    least, most = (-(1 << size - 1), (1 << size - 1) - 1) if dt[0] == "s" else (0, (1 << size) - 1)
    expected = []
    for a, b, c in zip(*rows):
        values = [value(piece(at, a, i), piece(bt, b, i)) for i in range(32 // size)]
        if form.has("add"):
            expected.append((c + sum(values)) & 0xFFFFFFFF)
            continue
        if form.has("sat"):
            values = [max(least, min(most, v)) for v in values]
        expected.append(sum((v & (1 << size) - 1) << (i * size) for i, v in enumerate(values)))
    d = case.new("b32")
    case.say(f"{form.name} {d}, {', '.join(regs)}")
    case.store("d", "b32", d, expected)
    return case


SMALL = {
    # Exponent and mantissa bits, bias, the largest number's bits, a NaN's.
    "e4m3x2": (4, 3, 7, 0x7E, 0x7F),
    "e5m2x2": (5, 2, 15, 0x7B, 0x7F),
    "e2m3x2": (2, 3, 1, 0x1F, 0x1F),
    "e3m2x2": (3, 2, 3, 0x1F, 0x1F),
}


def small_value(type, byte):
    """The number of a byte; None for a NaN, an infinity's sign."""
    exponent, mantissa, bias, largest, _ = SMALL[type]
    width = exponent + mantissa
    magnitude = byte & (1 << width) - 1
    sign = -1 if byte >> width & 1 else 1
    if magnitude > largest:
        return None if type != "e5m2x2" or magnitude & 3 else sign * 10**9
    e, m = magnitude >> mantissa, magnitude & (1 << mantissa) - 1
    value = Fraction(m, 1 << mantissa) * Fraction(2) ** (1 - bias) if e == 0 else (1 + Fraction(m, 1 << mantissa)) * Fraction(2) ** (e - bias)
    return sign * value


def small_bits(type, num, relu):
    """The nearest byte, by looking at all."""
    exponent, mantissa, _, largest, nan = SMALL[type]
    if num is NAN:
        return nan
    negative = bool(num.sign)
    if relu and negative:
        return 0
    sign = (1 << exponent + mantissa) if negative else 0
    if num.magnitude is None:
        return sign | largest
    size = abs(num.value)
    best = min(range(largest + 1), key=lambda b: (abs(small_value(type, b) - size), b & 1))
    return sign | best


def small_float(form):
    if form.types[0] == "tf32":
        return tf32(form)
    if "ue8m0x2" in form.types:
        return powers(form)
    if not set(form.types) & set(SMALL):
        return None
    case = Case(form)
    r = rng(form.name)
    dst, src = form.types
    f = format_of("f32" if src == "f32" else "f16")
    relu = form.has("relu")

    def inputs(n):
        edges = floats(f)
        type = dst
        # Every number, and those halfway between neighbours.
        _, _, _, largest, _ = SMALL[type]
        near = [f.encode(number(small_value(type, b) + (small_value(type, b + 1) - small_value(type, b)) * Fraction(k, 4))) for b in range(largest) for k in (1, 2, 3)]
        values = edges + r.sample(near, min(len(near), n - len(edges))) if n > len(edges) else edges
        while len(values) < n:
            values.append(random_float(r, f))
        r.shuffle(values)
        return values[:n]

    if src in SMALL:
        values = [r.getrandbits(16) for _ in range(LANES)]
        if src[1] in "23":
            # The two top bits of each byte are zeros.
            values = [v & 0x3F3F for v in values]
        a = case.load("a", "b16", values)
        d = case.new("b32")
        case.say(f"{form.name} {d}, {a}")
        half = format_of("f16")

        def one(byte):
            value = small_value(src, byte)
            if value is None:
                return half.nan
            negative = bool(byte >> sum(SMALL[src][:2]) & 1)
            if relu and negative:
                return 0
            if abs(value) == 10**9:
                return half.infinity | (half.sign_bit if negative else 0)
            return half.encode(number(value, zero_sign=negative))

        case.store("d", "f16x2", d, [one(v >> 8) << 16 | one(v & 0xFF) for v in values])
        return case
    if src == "f16x2":
        low, high = inputs(LANES), inputs(LANES)
        a = case.load("a", "b32", [h << 16 | l for h, l in zip(high, low)])
        operands = a
    else:
        high, low = inputs(64)[:LANES], inputs(64)[:LANES]
        operands = f"{case.load('a', 'f32', high)}, {case.load('b', 'f32', low)}"
    d = case.new("b16")
    case.say(f"{form.name} {d}, {operands}")
    one = lambda v: small_bits(dst, f.decode(v), relu)
    case.store("d", "b16", d, [one(h) << 8 | one(l) for h, l in zip(high, low)])
    return case


def powers(form):
    """Powers of two, as exponents with a bias of 127; a byte of ones is a NaN."""
    case = Case(form)
    r = rng(form.name)
    f = format_of("f32")
    if form.types[1] == "ue8m0x2":
        values = [0, 0x0001, 0xFFFE, 0x7F80, 0xFF00] + [r.getrandbits(16) for _ in range(27)]
        a, d = case.load("a", "b16", values), case.new("b32")
        case.say(f"{form.name} {d}, {a}")
        half = format_of("bf16")
        one = lambda e: half.nan if e == 255 else half.encode(number(Fraction(2) ** (e - 127)))
        case.store("d", "bf16x2", d, [one(v >> 8) << 16 | one(v & 255) for v in values])
        return case

    def one(bits):
        num = f.decode(bits & 0x7FFFFFFF)
        top = 254 if form.has("satfinite") else 255
        if num is NAN:
            return 255
        if num.magnitude is None:
            return top
        fits = [e for e in range(255) if Fraction(2) ** (e - 127) <= num.magnitude]
        if form.has("rz"):
            return fits[-1] if fits else 0
        above = [e for e in range(255) if Fraction(2) ** (e - 127) >= num.magnitude]
        return above[0] if above else top

    rows = []
    for k in range(2):
        edges = [v & 0x7FFFFFFF for v in floats(f)] + [0x00400000, 0x00400001, 0x7F000001, 0x3F800001]
        row = edges + [random_float(r, f) & 0x7FFFFFFF for _ in range(64)]
        row = row[:LANES] if k == 0 else row[: LANES // 2] + row[-LANES // 2 :]
        rows.append([v & 0xFFFF0000 if form.types[1] == "bf16x2" else v for v in row])
    d = case.new("b16")
    if form.types[1] == "bf16x2":
        operands = case.load("a", "b32", [h | l >> 16 for h, l in zip(*rows)])
    else:
        operands = f"{case.load('a', 'f32', rows[0])}, {case.load('b', 'f32', rows[1])}"
    case.say(f"{form.name} {d}, {operands}")
    case.store("d", "b16", d, [one(h) << 8 | one(l) for h, l in zip(*rows)])
    return case


def tf32(form):
    """An f32 with ten bits of fraction."""
    case = Case(form, 64)
    r = rng(form.name)
    f = format_of("f32")
    values = floats(f)
    for _ in range(16):
        base = random_float(r, f) & ~0x1FFF
        values += [base | 0x1000, base | 0x0FFF, base | 0x1001]
    values = (values + [random_float(r, f) for _ in range(64)])[:64]
    mode = form.first(("rna", "rn", "rz"))

    def one(a):
        num = f.decode(a)
        if num is NAN and mode == "rna":
            # An H200 drops the low bits, whatever is left.
            out = a & ~0x1FFF
            infinite = out & 0x7FFFFFFF == f.infinity
            return 0x7F7FE000 | a & f.sign_bit if infinite and form.has("satfinite") else out
        if num is NAN:
            return f.nan
        if form.has("relu") and a & f.sign_bit:
            return 0
        if num.magnitude is None:
            return 0x7F7FE000 | a & f.sign_bit if form.has("satfinite") else a
        kept, rest = a & ~0x1FFF, a & 0x1FFF
        up = {"rna": rest >= 0x1000, "rn": rest > 0x1000 or rest == 0x1000 and kept & 0x2000, "rz": False}[mode]
        out = kept + (0x2000 if up else 0)
        if form.has("satfinite") and out & 0x7FFFFFFF >= f.infinity:
            return 0x7F7FE000 | a & f.sign_bit
        return out

    a = case.load("a", "f32", values)
    d = case.new("b32")
    case.say(f"{form.name} {d}, {a}")
    # As an f32, of which one NaN is as good as another: an H200 keeps some of the source's bits.
    case.store("d", "f32", d, [one(v) for v in values])
    return case


def scalar(form):
    """The same form of f32."""
    mods = ["f32" if m == "f32x2" else m for m in form.mods]
    return Form(form.name.replace("f32x2", "f32"), form.op, form.opcode, mods, form.slots, form.meaning, 0, 0, False, "")


def pairs(form):
    if not form.has("f32x2"):
        return None
    case = Case(form)
    r = rng(form.name)
    f = format_of("f32")
    count = sum(not s.write for s in form.slots)
    rows = float_triples(r, f, 64) if count == 3 else float_pairs(r, f, 64)
    low, high = rows[:LANES], rows[LANES:]
    eval = floating.evaluate(scalar(form))
    regs = [case.load(f"s{k}", "b64", [h[k] << 32 | l[k] for l, h in zip(low, high)]) for k in range(count)]
    d = case.new("b64")
    case.say(f"{form.name} {d}, {', '.join(regs)}")
    out, back = [], []
    for l, h in zip(low, high):
        out.append(eval(*l)), back.append(eval(*h))
    halves = [case.new("f32"), case.new("f32")]
    case.say(f"mov.b64 {{{halves[0]}, {halves[1]}}}, {d}")
    case.store("low", "f32", halves[0], out)
    case.store("high", "f32", halves[1], back)
    return case


def three(form):
    if sum(not s.write for s in form.slots) != 3:
        return None
    case = Case(form, 64)
    r = rng(form.name)
    f = format_of("f32")
    rows = float_triples(r, f, 64)
    two = Form(form.name, form.op, "", form.mods, form.slots[:3], form.meaning, 0, 0, False, "")
    eval = floating.evaluate(two)
    regs = [case.load(f"s{k}", "f32", [row[k] for row in rows]) for k in range(3)]
    d = case.new("f32")
    case.say(f"{form.name} {d}, {', '.join(regs)}")
    case.store("d", "f32", d, [eval(eval(a, b), c) for a, b, c in rows])
    return case


def reduce_float(form):
    if form.types[0] != "f32":
        return warp.case(form)
    case = Case(form)
    r = rng(form.name)
    f = format_of("f32")
    for k in range(3):
        row = [random_float(r, f) for _ in range(LANES)]
        if k:
            row[5] = f.nan
        if k == 2:
            row = [f.nan] * LANES
        seen = [v & (f.sign_bit - 1) if form.has("abs") else v for v in row]
        numbers = [v for v in seen if not f.is_nan(v)]
        if not numbers or form.has("NaN") and len(numbers) < LANES:
            result = f.nan
        else:
            pick = max if form.has("max") else min
            result = pick(numbers, key=lambda v: f.decode(v).value)
        a, d = case.load(f"a{k}", "f32", row), case.new("f32")
        case.say(f"{form.name} {d}, {a}, -1")
        case.store(f"d{k}", "f32", d, [result] * LANES)
    return case


def store_matrix(form):
    """Every lane reads the row that one of its matrices' rows was stored to."""
    case = Case(form)
    r = rng(form.name)
    count = form.slots[1].len
    base = case.array("tile", 512)
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
    matrices = [[[r.getrandbits(16) for _ in range(8)] for _ in range(8)] for _ in range(count)]
    regs = []
    for m, matrix in enumerate(matrices):
        of = lambda row, column: matrix[column][row] if form.has("trans") else matrix[row][column]
        words = [of(lane >> 2, (lane & 3) * 2) | of(lane >> 2, (lane & 3) * 2 + 1) << 16 for lane in range(32)]
        regs.append(case.load(f"r{m}", "b32", words))
    # Rows that no matrix has are left as they are.
    mine = case.lane_address(base, 16)
    for i in range(2):
        case.say(f"st.shared.b64 [{mine}+{8 * i}], 0")
    case.say("bar.sync 0")
    case.say(f"{form.name} [{at}], {{{', '.join(regs)}}}")
    case.say("bar.sync 0")
    rows = [0] * 32
    for m, matrix in enumerate(matrices):
        for i, row in enumerate(matrix):
            rows[order[8 * m + i]] = sum(v << (16 * k) for k, v in enumerate(row))
    for i in range(2):
        reg = case.new("b64")
        case.say(f"ld.shared.b64 {reg}, [{mine}+{8 * i}]")
        case.store(f"d{i}", "b64", reg, [row >> (64 * i) & (1 << 64) - 1 for row in rows])
    return case


def hint(form):
    """The line's data is still there, or written again."""
    case = Case(form)
    values = memory.elements(form, "u32", case.threads)
    case.input("a", "b32", values)
    address = case.address("a", 4)
    first = case.pointer("a")
    reg = case.new("b32")
    if form.op == "discard":
        case.say(f"ld.global.b32 {reg}, [{address}]")
        case.say("bar.sync 0")
        case.say(f"{form.name} [{first}], 128")
        case.say("bar.sync 0")
        case.say(f"st.global.b32 [{address}], {reg}")
    else:
        case.say(f"{form.name} [{first}], 128")
    again = case.new("b32")
    case.say(f"ld.global.b32 {again}, [{address}]")
    case.store("d", "b32", again, values)
    return case


def policy(form):
    """A load with the policy loads the same."""
    case = Case(form)
    values = memory.elements(form, "u32", case.threads)
    case.input("a", "b32", values)
    address = case.address("a", 4)
    chosen = case.new("b64")
    if form.op == "createpolicy.cvt":
        # The ordinary access property.
        case.say(f"{form.name} {chosen}, 0x14F0000000000000")
    elif form.op == "createpolicy.range":
        case.say(f"{form.name} {chosen}, [{address}], 64, 128")
    else:
        case.say(f"{form.name} {chosen}, 0f3F000000")
    reg = case.new("b32")
    case.say(f"ld.global.L2::cache_hint.b32 {reg}, [{address}], {chosen}")
    case.store("d", "b32", reg, values)
    return case


def block_address(form):
    """In a cluster of one block, its own address and rank."""
    case = Case(form)
    values = memory.elements(form, "u32", case.threads)
    a = case.load("a", "b32", values)
    base = case.array("cells", 128)
    mine = case.lane_address(base, 4)
    case.say(f"st.shared.b32 [{mine}], {a}")
    at, size = mine, form.types[0]
    if size == "u64":
        wide = case.new("b64")
        case.say(f"cvt.u64.u32 {wide}, {mine}")
        at = wide
        if not form.has("shared::cluster"):
            at = case.new("b64")
            case.say(f"cvta.shared.u64 {at}, {wide}")
    elif not form.has("shared::cluster"):
        # A generic address has 64 bits; its window's low half is the address there.
        at = mine
    if form.op == "getctarank":
        if size == "u32" and not form.has("shared::cluster"):
            wide, generic = case.new("b64"), case.new("b64")
            case.say(f"cvt.u64.u32 {wide}, {mine}")
            case.say(f"cvta.shared.u64 {generic}, {wide}")
            case.say(f"cvt.u32.u64 {mine}, {generic}")
        d = case.new("b32")
        case.say(f"{form.name} {d}, {at}")
        case.store("rank", "u32", d, [0] * LANES)
        return case
    to = case.new(f"b{size[1:]}")
    case.say(f"{form.name} {to}, {at}, 0")
    reg = case.new("b32")
    if size == "u32" and not form.has("shared::cluster"):
        case.say(f"ld.shared.b32 {reg}, [{mine}]")
    elif form.has("shared::cluster"):
        case.say(f"ld.shared::cluster.b32 {reg}, [{to}]")
    else:
        case.say(f"ld.b32 {reg}, [{to}]")
    case.store("d", "b32", reg, values)
    return case


def never(form):
    """Where its guard is false, or without an effect that a program sees."""
    case = Case(form)
    p = case.new("pred")
    case.say(f"setp.eq.u32 {p}, {case.tid}, 1000")
    operand = {"pmevent": " 3", "setmaxnreg": " 64"}.get(form.op, "")
    guard = f"@{p} " if form.op == "brkpt" else ""
    if form.op != "setmaxnreg":
        case.say(f"{guard}{form.name}{operand}")
    else:
        case.label("Never")
        case.body.append(f"\t@{p} bra Ask;")
        case.body.append("\tbra Go;")
        case.label("Ask")
        case.say(f"{form.name}{operand}")
        case.label("Go")
    case.store("d", "u32", case.tid, range(LANES))
    return case


def call(form):
    """vprintf tells how many values it printed."""
    case = Case(form)
    text = list(b"%d\n") + [0]
    case.module.append(".extern .func (.param .b32 d0) vprintf(.param .b64 a0, .param .b64 a1);")
    case.module.append(f".global .align 1 .b8 format[{len(text)}] = {{{', '.join(map(str, text))}}};")
    args, at, wide, d = case.array("values", 8, "local"), case.new("b64"), case.new("b64"), case.new("b32")
    case.say(f"st.local.b32 [{args}], {case.tid}")
    case.say(f"mov.u64 {wide}, values")
    case.say(f"cvta.local.u64 {wide}, {wide}")
    case.say(f"mov.u64 {at}, format")
    case.say(f"cvta.global.u64 {at}, {at}")
    case.body.append("\t{ .param .b64 p0; .param .b64 p1; .param .b32 r0;")
    case.body.append(f"\tst.param.b64 [p0], {at}; st.param.b64 [p1], {wide};")
    case.body.append(f"\tcall (r0), vprintf, (p0, p1); ld.param.b32 {d}, [r0]; }}")
    case.store("d", "u32", d, [1] * LANES)
    return case

