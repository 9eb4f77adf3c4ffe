"""Floats as exact rationals: decoding, and rounding in every IEEE direction."""

from dataclasses import dataclass
from fractions import Fraction
from math import isqrt


@dataclass(frozen=True)
class Format:
    """A binary interchange format. Its values are Num (below)."""

    name: str
    bits: int
    mantissa: int  # stored bits

    @property
    def exponent_bits(self):
        return self.bits - 1 - self.mantissa

    @property
    def bias(self):
        return (1 << (self.exponent_bits - 1)) - 1

    @property
    def least_exponent(self):
        return 1 - self.bias

    @property
    def sign_bit(self):
        return 1 << (self.bits - 1)

    @property
    def infinity(self):
        return ((1 << self.exponent_bits) - 1) << self.mantissa

    @property
    def largest(self):
        return self.infinity - 1

    @property
    def least_normal(self):
        return 1 << self.mantissa

    @property
    def nan(self):
        """The canonical NaN: all ones, or for f64 the quiet bit."""
        return (self.sign_bit - 1) if self.bits < 64 else self.infinity | 1 << (self.mantissa - 1)

    def is_nan(self, bits):
        return bits & (self.sign_bit - 1) > self.infinity

    def is_subnormal(self, bits):
        return 0 < bits & (self.sign_bit - 1) < self.least_normal

    def flush(self, bits):
        """Subnormals to zero, keeping the sign."""
        return bits & self.sign_bit if self.is_subnormal(bits) else bits

    def decode(self, bits):
        sign = bool(bits & self.sign_bit)
        magnitude = bits & (self.sign_bit - 1)
        if magnitude > self.infinity:
            return NAN
        if magnitude == self.infinity:
            return Num(sign, None)
        exponent = magnitude >> self.mantissa
        fraction = magnitude & (self.least_normal - 1)
        if exponent:
            fraction |= self.least_normal
        return Num(sign, Fraction(fraction) * power2(max(exponent, 1) - self.bias - self.mantissa))

    def encode(self, num, mode="rn"):
        """Rounds a number into the format; the result's bits."""
        if num is NAN:
            return self.nan
        sign = self.sign_bit if num.sign else 0
        if num.magnitude is None:
            return sign | self.infinity
        if num.magnitude == 0:
            return sign
        exponent = max(floor_log2(num.magnitude), self.least_exponent)
        quotient = num.magnitude / power2(exponent - self.mantissa)
        units = quotient.numerator // quotient.denominator
        if round_up(mode, num.sign, units, quotient - units):
            units += 1
        # A carry out of the mantissa moves into the exponent by itself.
        bits = units + ((exponent - self.least_exponent) << self.mantissa)
        if bits >= self.infinity:
            away = mode == "rn" or mode == ("rm" if num.sign else "rp")
            bits = self.infinity if away else self.largest
        return sign | bits


@dataclass(frozen=True)
class Num:
    """A sign and a magnitude; None is infinity."""

    sign: bool
    magnitude: Fraction | None

    @property
    def value(self):
        return -self.magnitude if self.sign else self.magnitude

    def negated(self):
        return Num(not self.sign, self.magnitude)


NAN = object()

F16 = Format("f16", 16, 10)
BF16 = Format("bf16", 16, 7)
F32 = Format("f32", 32, 23)
F64 = Format("f64", 64, 52)
FORMATS = {f.name: f for f in (F16, BF16, F32, F64)}


def power2(exponent):
    return Fraction(1 << exponent) if exponent >= 0 else Fraction(1, 1 << -exponent)


def floor_log2(x):
    """The exponent of a positive rational."""
    exponent = x.numerator.bit_length() - x.denominator.bit_length()
    return exponent if power2(exponent) <= x else exponent - 1


def round_up(mode, sign, units, rest):
    """Whether a magnitude of units + rest (0 <= rest < 1) is rounded away from zero."""
    if rest == 0 or mode == "rz":
        return False
    if mode == "rn":
        return rest > Fraction(1, 2) or rest == Fraction(1, 2) and units % 2 == 1
    return sign == (mode == "rm")


def number(value, zero_sign=False):
    """A Num of a rational."""
    value = Fraction(value)
    return Num(value < 0 if value else zero_sign, abs(value))


def add(a, b, mode):
    """a + b; an exact zero of opposite signs is +0, or -0 rounding down."""
    if a is NAN or b is NAN:
        return NAN
    if a.magnitude is None or b.magnitude is None:
        if a.magnitude is None and b.magnitude is None:
            return a if a.sign == b.sign else NAN
        return a if a.magnitude is None else b
    if a.magnitude == b.magnitude == 0 and a.sign == b.sign:
        return a
    return number(a.value + b.value, zero_sign=mode == "rm")


def multiply(a, b):
    if a is NAN or b is NAN:
        return NAN
    sign = a.sign != b.sign
    if a.magnitude is None or b.magnitude is None:
        return NAN if 0 in (a.magnitude, b.magnitude) else Num(sign, None)
    return Num(sign, a.magnitude * b.magnitude)


def divide(a, b):
    if a is NAN or b is NAN:
        return NAN
    sign = a.sign != b.sign
    if b.magnitude is None:
        return NAN if a.magnitude is None else Num(sign, Fraction(0))
    if a.magnitude is None:
        return Num(sign, None)
    if b.magnitude == 0:
        return NAN if a.magnitude == 0 else Num(sign, None)
    return Num(sign, a.magnitude / b.magnitude)


def square_root(a):
    """The root, exact or with an odd bit far below any rounding position."""
    if a is NAN or a.sign and a.magnitude != 0:
        return NAN
    if a.magnitude in (None, 0):
        return a
    scale = 4**1200
    scaled = a.magnitude * scale
    whole = scaled.numerator // scaled.denominator
    root = isqrt(whole)
    if root * root == scaled:
        return Num(False, Fraction(root, 2**1200))
    return Num(False, Fraction(2 * root + 1, 2**1201))


def less(a, b):
    """a < b for numbers that are not NaN; zeros are equal."""
    order = lambda n: (0 if n.magnitude is not None else (-1 if n.sign else 1), n.value if n.magnitude is not None else 0)
    return order(a) < order(b)
