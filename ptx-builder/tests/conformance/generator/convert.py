"""cvt among integers and floats (PTX ISA 9.7.9.21)."""

from fractions import Fraction

from .formats import NAN, floor_log2, number
from .floating import Rules
from .forms import bits, mask, signed
from .inputs import format_of
from .integer import clamp

INTEGER_ROUNDING = {"rni": "rn", "rzi": "rz", "rmi": "rm", "rpi": "rp"}


def to_integer(num, mode):
    """A finite number rounded to an integer."""
    value = num.value
    whole = value.numerator // value.denominator
    rest = value - whole
    up = {"rzi": value < 0 and rest > 0, "rmi": False, "rpi": rest > 0}.get(mode)
    if up is None:
        up = rest > Fraction(1, 2) or rest == Fraction(1, 2) and whole % 2 == 1
    return whole + int(up)


def from_float(form, dst, src):
    f = format_of(src)
    mode = form.first(INTEGER_ROUNDING)
    least, most = (-(1 << (bits(dst) - 1)), (1 << (bits(dst) - 1)) - 1) if dst[0] == "s" else (0, mask(dst))

    def eval(a):
        if form.has("ftz"):
            a = f.flush(a)
        num = f.decode(a)
        if num is NAN:
            # PTX ISA 9.7.9.21: zero, or for f64, s64 and u64 only the highest bit set.
            return signed(dst, 1 << (bits(dst) - 1)) if src == "f64" or bits(dst) == 64 else 0
        if num.magnitude is None:
            return least if num.sign else most
        return clamp(dst, to_integer(num, mode))

    return eval


def between_floats(form, dst, src):
    f, g = format_of(src), format_of(dst)
    r = Rules(form, g)
    # It concerns single precision only.
    r.ftz = r.ftz and g.name == "f32"
    whole = form.first(INTEGER_ROUNDING)

    def eval(a):
        if form.has("ftz"):
            a = f.flush(a) if f.name == "f32" else a
        num = f.decode(a)
        if num is NAN:
            return r.finish(g.nan)
        if whole and num.magnitude not in (None, 0):
            num = number(to_integer(num, whole), zero_sign=num.sign)
        if form.has("satfinite") and (num.magnitude is None or overflows(num, g, r.mode)):
            return r.finish(g.largest | (g.sign_bit if num.sign else 0))
        return r.write(num)

    return eval


def overflows(num, g, mode):
    """Whether rounding gives an infinity."""
    return num.magnitude != 0 and floor_log2(num.magnitude) >= g.bias and g.encode(num, mode) & (g.sign_bit - 1) >= g.infinity


def evaluate(form):
    """A function to the result as the register holds it, extended."""
    if form.op != "cvt":
        return None
    dst, src = form.types[:2]
    pair = dst.endswith("x2")
    if pair:
        one = between_floats(form, dst, src)

        def eval(a, b):
            # The first source goes to the upper half.
            highs, lows = (v if isinstance(v, tuple) else (v,) for v in (one(a), one(b)))
            out = tuple(h << 16 | l for h in highs for l in lows)
            return out if len(out) > 1 else out[0]

        return eval
    if format_of(dst) and format_of(src):
        return between_floats(form, dst, src)
    if format_of(dst):
        r = Rules(form, format_of(dst))
        return lambda a: r.write(number(signed(src, a)))
    if format_of(src):
        to = from_float(form, dst, src)
    else:
        to = lambda a: clamp(dst, signed(src, a)) if form.has("sat") else signed(dst, signed(src, a))
    register = (1 << max(bits(dst), 16)) - 1
    return lambda a: to(a) & register


