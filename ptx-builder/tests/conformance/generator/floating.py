"""Exact floating-point arithmetic, one rounding at a time."""

from .formats import NAN, Num, add, divide, less, multiply, number, power2, square_root
from .inputs import format_of

HALVES = ("f16x2", "bf16x2")


class Rules:
    """What the modifiers say of inputs and results of a format."""

    def __init__(self, form, fmt):
        self.fmt = fmt
        self.ftz = form.has("ftz")
        self.sat = form.has("sat")
        self.relu = form.has("relu")
        self.mode = form.rounding

    def read(self, bits):
        return self.fmt.decode(self.fmt.flush(bits) if self.ftz else bits)

    def write(self, num):
        """Rounds, flushes and clamps. Where a zero's sign is not said, both."""
        if self.ftz and self.tiny(num):
            return self.finish(self.fmt.sign_bit if num.sign else 0)
        return self.finish(self.fmt.encode(num, self.mode))

    def tiny(self, num):
        """Whether .ftz flushes a result: it is below the normal numbers when
        rounded as if exponents had no end (what an H200 does; the PTX ISA does
        not say when)."""
        if num is NAN or not num.magnitude:
            return False
        scale = power2(min(64, self.fmt.bias + 1))
        least = power2(self.fmt.least_exponent)
        if num.magnitude >= least:
            return False
        rounded = self.fmt.encode(Num(num.sign, num.magnitude * scale), self.mode) & (self.fmt.sign_bit - 1)
        return rounded < self.fmt.encode(Num(False, least * scale))

    def finish(self, bits):
        f = self.fmt
        if self.ftz:
            bits = f.flush(bits)
        one = f.bias << f.mantissa
        if self.sat:
            if f.is_nan(bits):
                return 0
            if bits == f.sign_bit:
                return (0, f.sign_bit)
            return 0 if bits & f.sign_bit else min(bits, one)
        if self.relu and not f.is_nan(bits) and bits & f.sign_bit:
            return 0 if bits != f.sign_bit else (0, f.sign_bit)
        return bits


def arithmetic(form, fmt):
    """A function of one format's bits, or None."""
    r = Rules(form, fmt)
    one = Num(False, number(1).magnitude)
    table = {
        "add": lambda a, b: add(a, b, r.mode),
        "sub": lambda a, b: NAN if b is NAN else add(a, b.negated(), r.mode),
        "mul": multiply,
        "fma": lambda a, b, c: add(multiply(a, b), c, r.mode),
        "div": divide,
        "rcp": lambda a: divide(one, a),
        "sqrt": square_root,
    }
    if form.op not in table:
        return None
    f = table[form.op]
    return lambda *sources: r.write(f(*[r.read(s) for s in sources]))


def plain(form, fmt):
    """Operations that do not round, or None."""
    r = Rules(form, fmt)
    flush = lambda bits: fmt.flush(bits) if r.ftz else bits
    magnitude = fmt.sign_bit - 1

    def extreme(a, b):
        a, b = flush(a), flush(b)
        sign = (a ^ b) & fmt.sign_bit
        if form.has("xorsign"):
            a, b = a & magnitude, b & magnitude
        result = pick(a, b)
        if form.has("xorsign"):
            result = fmt.nan if fmt.is_nan(result) else result & magnitude | sign
        return r.finish(result)

    def pick(a, b):
        if fmt.is_nan(a) or fmt.is_nan(b):
            if form.has("NaN") or fmt.is_nan(a) and fmt.is_nan(b):
                return fmt.nan
            return b if fmt.is_nan(a) else a
        x, y = fmt.decode(a), fmt.decode(b)
        if x.magnitude == y.magnitude == 0:
            lower = a | b if form.op == "min" else a & b
            return lower
        return (a if less(x, y) else b) if form.op == "min" else (b if less(x, y) else a)

    table = {
        "abs": lambda a: fmt.nan if fmt.is_nan(a) else flush(a & magnitude),
        "neg": lambda a: fmt.nan if fmt.is_nan(a) else flush(a ^ fmt.sign_bit),
        "min": extreme,
        "max": extreme,
        "copysign": lambda a, b: a & fmt.sign_bit | b & magnitude,
        "selp": lambda a, b, c: a if c else b,
        "mov": lambda a: a,
    }
    return table.get(form.op)


def testp(form, fmt):
    kind = form.mods[0]

    def eval(a):
        magnitude = a & (fmt.sign_bit - 1)
        return int(
            {
                "finite": magnitude < fmt.infinity,
                "infinite": magnitude == fmt.infinity,
                "number": magnitude <= fmt.infinity,
                "notanumber": magnitude > fmt.infinity,
                # "As a special case, positive and negative zero are considered normal numbers."
                "normal": fmt.least_normal <= magnitude < fmt.infinity or magnitude == 0,
                "subnormal": 0 < magnitude < fmt.least_normal,
            }[kind]
        )

    return eval


def packed(f):
    """A function of pairs of halves from one of halves."""

    def eval(*sources):
        low = f(*[s & 0xFFFF for s in sources])
        high = f(*[s >> 16 for s in sources])
        lows = low if isinstance(low, tuple) else (low,)
        highs = high if isinstance(high, tuple) else (high,)
        out = tuple(x | y << 16 for y in highs for x in lows)
        return out if len(out) > 1 else out[0]

    return eval


def evaluate(form):
    types = form.types
    if not types or format_of(types[0]) is None or form.op in ("set", "setp", "cvt", "slct"):
        return None
    fmt = format_of(types[0])
    if form.op == "testp":
        return testp(form, fmt)
    f = arithmetic(form, fmt) or plain(form, fmt)
    if f is None:
        return None
    return packed(f) if types[0] in HALVES else f
