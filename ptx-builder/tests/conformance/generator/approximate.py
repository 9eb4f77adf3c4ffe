"""Approximate instructions, with the errors that the PTX ISA allows them.

Expected values are the exact function, computed to 200 bits and rounded to the
format; the tolerance is the ISA's bound (9.7.3.8, 9.7.3.13 to 9.7.3.22,
9.7.4.9, 9.7.4.10), widened by the half unit that rounding the expected value
takes. "2^-n relative" is written in units in the last place of the format.
"""

from fractions import Fraction

import mpmath

from .formats import NAN, Num, divide, number, square_root
from .inputs import format_of

mpmath.mp.prec = 200

# By (op, format): units in the last place, absolute error.
BOUNDS = {
    ("div", "f32"): (2.5, 0),
    ("rcp", "f32"): (1.5, 0),
    ("sqrt", "f32"): (1.5, 0),
    ("rsqrt", "f32"): (2.5, 0),
    ("sin", "f32"): (0.5, 2**-20.5),
    ("cos", "f32"): (0.5, 2**-20.5),
    ("lg2", "f32"): (2.5, 2**-22),
    ("ex2", "f32"): (2.5, 0),
    ("tanh", "f32"): (4096.5, 0),  # 2^-11 relative
    ("ex2", "f16"): (2.7, 0),  # 2^-9.9 relative
    ("ex2", "bf16"): (2.5, 0),  # 2^-7 relative
    ("tanh", "f16"): (0.5, 2**-10.987),
    ("tanh", "bf16"): (0.5, 2**-8),
    ("rsqrt", "f64"): (2.0**30, 0),
    ("rcp", "f64"): (2.0**34, 0),
}


def exact(op, num):
    """A function's value as a Num."""
    zero = num is not NAN and num.magnitude == 0
    infinite = num is not NAN and num.magnitude is None
    if op == "rcp":
        return divide(number(1), num)
    if op == "sqrt":
        return square_root(num)
    if op == "rsqrt":
        return divide(number(1), square_root(num))
    if num is NAN:
        return NAN
    if op == "lg2":
        if zero:
            return Num(True, None)
        if num.sign:
            return NAN
        return num if infinite else rational(mpmath.log(to_mp(num), 2))
    if op == "ex2":
        if infinite:
            return number(0) if num.sign else num
        if num.magnitude > 2000:
            return number(0) if num.sign else Num(False, None)
        return rational(mpmath.power(2, to_mp(num)))
    if op == "tanh":
        if infinite:
            return number(-1 if num.sign else 1)
        return num if zero else rational(mpmath.tanh(to_mp(num)))
    if infinite:
        return NAN
    if op == "sin":
        return num if zero else rational(mpmath.sin(to_mp(num)))
    return rational(mpmath.cos(to_mp(num)))


def to_mp(num):
    return mpmath.mpf(num.value.numerator) / num.value.denominator


def rational(x):
    sign, mantissa, exponent, _ = x._mpf_
    value = Fraction(int(mantissa)) * (Fraction(2) ** exponent)
    return Num(bool(sign), value)


def evaluate(form):
    """(function, tolerance words), or None."""
    type = form.types[0] if form.types else ""
    fmt = format_of(type)
    if form.meaning != "Approx" or fmt is None:
        return None
    ulp, absolute = BOUNDS[(form.op, fmt.name)]
    ftz = form.has("ftz")
    if ftz and type == "f64":
        # The gross ones, of which no bound is stated: 2^-18 relative.
        ulp = 2.0**34

    def finish(num):
        bits = fmt.encode(num)
        return fmt.flush(bits) if ftz else bits

    def one(*sources):
        if ftz and type == "f64":
            # PTX ISA 9.7.3.14, 9.7.3.17: the low 32 bits of the operand are ignored.
            sources = [s & ~0xFFFFFFFF for s in map(fmt.flush, sources)]
        nums = [fmt.decode(fmt.flush(s) if ftz else s) for s in sources]
        if form.op == "div":
            return finish(divide(*nums))
        return finish(exact(form.op, nums[0]))

    words = [f"ulp {ulp:g}"] + ([f"abs {absolute:.9g}"] if absolute else [])
    return one, " ".join(words)


def inputs(form, r, n):
    """Sources for which the ISA states the bound."""
    fmt = format_of(form.types[0])
    one = fmt.bias << fmt.mantissa
    s = fmt.sign_bit
    special = [0, s, one, one | s, fmt.infinity, fmt.infinity | s, fmt.nan, one + 1, one - 1]
    if form.op == "div":
        pairs = [(0, one), (one, 0), (s, one), (one | s, 0), (0, 0), (fmt.infinity, one), (fmt.nan, one), (one, fmt.nan)]
        while len(pairs) < n:
            a, b = (moderate(r, fmt, 40) for _ in range(2))
            pairs.append((a, b))
        return pairs
    values = list(special)
    if form.op in ("sin", "cos"):
        # The stated absolute bound holds for arguments from -2 pi to 2 pi.
        while len(values) < n:
            values.append(fmt.encode(number(Fraction(r.uniform(-6.28, 6.28)))))
    elif form.op == "tanh":
        while len(values) < n:
            values.append(fmt.encode(number(Fraction(r.uniform(-4, 4)))))
    elif form.op == "ex2":
        whole = [fmt.encode(number(k)) for k in (2, -3, 10, -10, 15, -14)]
        values += whole
        limit = {"f16": 14, "bf16": 100, "f32": 120}[fmt.name]
        while len(values) < n:
            values.append(fmt.encode(number(Fraction(r.uniform(-limit, limit)))))
    else:
        if form.op == "rsqrt" or form.op == "sqrt" or form.op == "lg2":
            values += [fmt.encode(number(Fraction(k))) for k in (4, Fraction(1, 4), 2, Fraction(1, 2), 9)]
        while len(values) < n:
            value = moderate(r, fmt, fmt.bias - 4)
            values.append(value & (s - 1) if form.op in ("rsqrt", "sqrt", "lg2") and r.randrange(4) else value)
    return [(v,) for v in values[:n]]


def moderate(r, fmt, spread):
    """A normal float with an exponent of at most that size."""
    exponent = fmt.bias + r.randrange(-spread, spread)
    return r.getrandbits(1) << (fmt.bits - 1) | exponent << fmt.mantissa | r.getrandbits(fmt.mantissa)


