"""Integer arithmetic, logic, shifts and bit fields in Python's own integers."""

from dataclasses import replace

from .forms import bits, mask, signed


def clamp(type, value):
    size = bits(type)
    least, most = (-(1 << (size - 1)), (1 << (size - 1)) - 1) if type[0] == "s" else (0, (1 << size) - 1)
    return max(least, min(most, value))


def truncated(a, b):
    """A quotient rounded to zero, with its remainder."""
    q = abs(a) // abs(b)
    if (a < 0) != (b < 0):
        q = -q
    return q, a - q * b


def halves(form, value, low_of):
    """mul/mad .lo, .hi or .wide of an exact product."""
    if form.has("hi"):
        return value >> low_of
    return value


def evaluate(form):
    """A function from the sources' bits to the result's, or None for another module's forms."""
    op, t = form.op, (form.types or [None])[0]
    if t in ("u16x2", "s16x2"):
        half = evaluate(replace(form, mods=[m.removesuffix("x2") for m in form.mods]))
        return lambda a, b: half(a & 0xFFFF, b & 0xFFFF) | half(a >> 16, b >> 16) << 16
    if t is None or t in ("f16", "f16x2", "bf16", "bf16x2", "f32", "f64"):
        return None
    m = mask(t) if t != "pred" else 1
    size = bits(t)
    s = lambda v: signed(t, v)
    wide = (1 << 2 * size) - 1 if form.has("wide") else m

    def saturated(value):
        return (clamp(t, value) if form.has("sat") else value) & m

    def mul24(a, b):
        cut = lambda v: signed("s32", (v << 8) & 0xFFFFFFFF) >> 8 if t == "s32" else v & 0xFFFFFF
        product = cut(a) * cut(b)
        return product >> 16 if form.has("hi") else product

    simple = {
        "add": lambda a, b: saturated(s(a) + s(b)),
        "sub": lambda a, b: saturated(s(a) - s(b)),
        "mul": lambda a, b: halves(form, s(a) * s(b), size) & wide,
        "mad": lambda a, b, c: (halves(form, s(a) * s(b), size) + c) & wide,
        "mul24": lambda a, b: mul24(a, b) & m,
        "mad24": lambda a, b, c: (mul24(a, b) + c) & m,
        "sad": lambda a, b, c: (c + abs(s(a) - s(b))) & m,
        "div": lambda a, b: truncated(s(a), s(b))[0] & m,
        "rem": lambda a, b: truncated(s(a), s(b))[1] & m,
        "abs": lambda a: abs(s(a)) & m,
        "neg": lambda a: -s(a) & m,
        "min": lambda a, b: min(s(a), s(b)) & m,
        "max": lambda a, b: max(s(a), s(b)) & m,
        "popc": lambda a: bin(a).count("1"),
        "clz": lambda a: size - a.bit_length(),
        "brev": lambda a: int(f"{a:0{size}b}"[::-1], 2),
        "and": lambda a, b: a & b,
        "or": lambda a, b: a | b,
        "xor": lambda a, b: a ^ b,
        "not": lambda a: ~a & m,
        "cnot": lambda a: int(a == 0),
        "shl": lambda a, b: (a << b) & m if b < size else 0,
        "shr": lambda a, b: (s(a) >> min(b, size)) & m,
        "selp": lambda a, b, c: a if c else b,
    }
    if op in ("min", "max") and form.has("relu"):
        plain = simple[op]
        relu = lambda v: 0 if s(v) < 0 else v
        return lambda a, b: relu(plain(a, b))
    if op in simple:
        return simple[op]
    return SPECIAL[op](form) if op in SPECIAL else None


def bfind(form):
    t = form.types[0]

    def eval(a):
        value = signed(t, a)
        if value < 0:
            value = ~value
        place = value.bit_length() - 1
        if place < 0:
            return 0xFFFFFFFF
        return bits(t) - 1 - place if form.has("shiftamt") else place

    return eval


def bfe(form):
    t = form.types[0]
    size = bits(t)

    def eval(a, b, c):
        pos, length = b & 0xFF, c & 0xFF
        sign = 0
        if t[0] == "s" and length:
            sign = a >> min(pos + length - 1, size - 1) & 1
        out = 0
        for i in range(size):
            inside = i < length and pos + i < size
            out |= (a >> (pos + i) & 1 if inside else sign) << i
        return out

    return eval


def bfi(form):
    size = bits(form.types[0])

    def eval(a, b, c, d):
        pos, length = c & 0xFF, d & 0xFF
        for i in range(length):
            if pos + i < size:
                b = b & ~(1 << (pos + i)) | (a >> i & 1) << (pos + i)
        return b

    return eval


def lop3_bool(form):
    """The value, and whether it is anything but 0, combined with q."""

    def eval(a, b, c, q, lut):
        d = sum((lut >> ((a >> i & 1) << 2 | (b >> i & 1) << 1 | (c >> i & 1)) & 1) << i for i in range(32))
        return d, (int(d != 0) | q if form.has("or") else int(d != 0) & q)

    return eval


def lop3(form):
    if form.has("or") or form.has("and"):
        return lop3_bool(form)

    def eval(a, b, c, lut):
        out = 0
        for i in range(32):
            index = (a >> i & 1) << 2 | (b >> i & 1) << 1 | (c >> i & 1)
            out |= (lut >> index & 1) << i
        return out

    return eval


def shf(form):
    def eval(a, b, c):
        n = c & 31 if form.has("wrap") else min(c, 32)
        both = b << 32 | a
        return (both << n >> 32 if form.has("l") else both >> n) & 0xFFFFFFFF

    return eval


def prmt(form):
    mode = form.first(("f4e", "b4e", "rc8", "ecl", "ecr", "rc16"))
    tables = {
        "f4e": ["3210", "4321", "5432", "6543"],
        "b4e": ["5670", "6701", "7012", "0123"],
        "rc8": ["0000", "1111", "2222", "3333"],
        "ecl": ["3210", "3211", "3222", "3333"],
        "ecr": ["0000", "1110", "2210", "3210"],
        "rc16": ["1010", "3232", "1010", "3232"],
    }

    def eval(a, b, c):
        data = (b << 32 | a).to_bytes(8, "little")
        out = 0
        for i in range(4):
            if mode:
                selector = int(tables[mode][c & 3][3 - i])
            else:
                selector = c >> 4 * i & 15
            byte = data[selector & 7]
            if selector & 8:
                byte = 0xFF if byte & 0x80 else 0
            out |= byte << 8 * i
        return out

    return eval


def dot(form):
    ta, tb = form.types[:2]
    parts = 4 if form.op == "dp4a" else 2

    def eval(a, b, c):
        total = c
        width = 32 // parts
        shift = 16 if form.has("hi") else 0
        for i in range(parts):
            x = signed(f"{ta[0]}{width}", a >> width * i)
            y = signed(f"{tb[0]}8", b >> (shift + 8 * i))
            total += x * y
        return total & 0xFFFFFFFF

    return eval


SPECIAL = {
    "bfind": bfind,
    "bfe": bfe,
    "bfi": bfi,
    "lop3": lop3,
    "shf": shf,
    "prmt": prmt,
    "dp4a": dot,
    "dp2a": dot,
}
