"""Inputs that matter: edges of the types, ties, overflow, and random values."""

import random

from .formats import FORMATS
from .forms import bits


def rng(name):
    """The same random numbers for the same form, always."""
    return random.Random("ptxgen " + name)


def ints(type):
    size = bits(type)
    top = (1 << size) - 1
    half = 1 << (size - 1)
    return [0, 1, 2, top, top - 1, half, half - 1, half + 1, 0x55 * (top // 255), 0xAA * (top // 255), top >> 4, 3]


AMOUNTS = [0, 1, 4, 7, 8, 15, 16, 17, 24, 31, 32, 33, 63, 64, 65, 100, 255, 256, 257, 288, 0x80000000, 0xFFFFFFFF]
# Positions and lengths of bit fields are restricted to 8 bits (PTX ISA 9.7.1.19, 9.7.1.20).
FIELDS = [n for n in AMOUNTS if n < 256]


def random_int(r, type):
    """Random bits, often with few of them set or all of one sign."""
    size = bits(type)
    value = r.getrandbits(size)
    kind = r.randrange(4)
    if kind == 0:
        value >>= r.randrange(size)
    elif kind == 1:
        value = ((1 << size) - 1) ^ (value >> r.randrange(size))
    return value


def floats(f, subnormals=True):
    """A format's edges."""
    one = f.bias << f.mantissa
    s = f.sign_bit
    edges = [
        0, s, one, one | s, one + 1, one - 1, f.least_normal, f.least_normal | s, f.largest, f.largest | s,
        f.infinity, f.infinity | s, f.nan, f.infinity | 1 | s, one + f.least_normal, one - f.least_normal,
    ]  # fmt: skip
    if subnormals:
        edges += [1, 1 | s, f.least_normal - 1, (f.least_normal - 1) | s]
    return edges


def random_float(r, f):
    """A finite float: of any exponent, or of a moderate one."""
    if r.randrange(3) == 0:
        return r.randrange(f.infinity) | (f.sign_bit if r.randrange(2) else 0)
    spread = min(f.bias - 1, 12)
    exponent = f.bias + r.randrange(-spread, spread)
    mantissa = r.getrandbits(f.mantissa)
    if r.randrange(3) == 0:
        mantissa &= mantissa << (f.mantissa // 2)  # few bits: exact results and ties
        mantissa &= (1 << f.mantissa) - 1
    return (r.getrandbits(1) << (f.bits - 1)) | exponent << f.mantissa | mantissa


def floats_for_unary(r, f, n):
    values = floats(f)
    one = f.bias << f.mantissa
    # Halves and their neighbours, where conversions to integers round.
    for whole in (0.5, 1.5, 2.5, 3.5, 100.5, 127.5, 128.5, 255.5, 32767.5, 65535.5):
        bits = nearest(f, whole)
        values += [bits, bits | f.sign_bit]
    values += [one + f.mantissa * f.least_normal, one + (f.mantissa + 1) * f.least_normal]
    values = [v for v in dict.fromkeys(values)]
    while len(values) < n:
        values.append(random_float(r, f))
    if len(values) > n:
        values = values[:16] + r.sample(values[16:], n - 16)
    return values


def nearest(f, value):
    from .formats import number

    return f.encode(number(value))


def float_pairs(r, f, n):
    """Pairs: edges with edges, half-ulp ties, cancellation, overflow, random."""
    one = f.bias << f.mantissa
    half_ulp = (f.bias - f.mantissa - 1) << f.mantissa
    s = f.sign_bit
    pairs = [
        (0, 0), (0, s), (s, 0), (s, s), (one, one | s), (f.infinity, f.infinity | s), (f.infinity, 0),
        (one, half_ulp), (one + 1, half_ulp), (one | s, half_ulp | s), (one, half_ulp + 1), (one, half_ulp - 1),
        (one | s, half_ulp), (f.largest, f.largest), (f.largest | s, f.largest | s), (f.least_normal, one - f.least_normal),
        (f.nan, one), (one, f.nan), (f.nan, f.nan), (f.infinity, f.infinity), (1, 1), (1, one - 1), (1, s | 1),
        (f.least_normal, f.least_normal - 1), (f.least_normal, (f.least_normal - 1) | s),
        (f.largest, (f.largest >> f.mantissa) - f.mantissa - 1 << f.mantissa),
        (one, 3 * one // 3), (0, f.infinity), (one, 0), (one | s, 0), (f.largest, one + f.least_normal),
    ]  # fmt: skip
    edges = floats(f)
    while len(pairs) < n:
        kind = r.randrange(4)
        if kind == 0:
            pairs.append((r.choice(edges), r.choice(edges)))
        elif kind == 1:  # neighbours in magnitude: cancellation
            a = random_float(r, f)
            b = max(0, min(f.largest, (a & (s - 1)) + r.randrange(-3, 4)))
            pairs.append((a, b | (r.getrandbits(1) * s)))
        else:
            pairs.append((random_float(r, f), random_float(r, f)))
    return pairs[:n]


def float_triples(r, f, n):
    """Triples for fma: a pair, and c an edge, random, or close to -(a * b)."""
    from .formats import NAN, multiply

    out = []
    for a, b in float_pairs(r, f, n):
        kind = r.randrange(5)
        product = multiply(f.decode(a), f.decode(b))
        if kind < 2 and product is not NAN:
            c = f.encode(product.negated())
            if 0 < c & (f.sign_bit - 1) < f.largest:
                c += r.randrange(-1, 2)
        elif kind == 2:
            c = r.choice(floats(f))
        else:
            c = random_float(r, f)
        out.append((a, b, c))
    return out


def pack(low, high):
    return low | high << 16


def half_pairs(values):
    """Tuples for packed halves, from twice as many tuples for one half."""
    n = len(values) // 2
    return [tuple(pack(x, y) for x, y in zip(low, high)) for low, high in zip(values[:n], values[n:])]


def format_of(type):
    """The format of a float type or of a pair's half; None for other types."""
    return FORMATS.get(type.removesuffix("x2"))
