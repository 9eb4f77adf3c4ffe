"""set, setp and slct."""

from .formats import less
from .forms import mask, signed
from .inputs import format_of

BOOLEAN = {"and": lambda t, c: t & c, "or": lambda t, c: t | c, "xor": lambda t, c: t ^ c}


def comparison(form, type):
    """Whether two values' bits compare as the form says."""
    cmp = form.mods[0]
    fmt = format_of(type)
    if fmt is None:
        unsigned = {"lo": "lt", "ls": "le", "hi": "gt", "hs": "ge"}
        cmp = unsigned.get(cmp, cmp)
        f = {
            "eq": lambda a, b: a == b,
            "ne": lambda a, b: a != b,
            "lt": lambda a, b: a < b,
            "le": lambda a, b: a <= b,
            "gt": lambda a, b: a > b,
            "ge": lambda a, b: a >= b,
        }[cmp]
        return lambda a, b: int(f(signed(type, a), signed(type, b)))

    def eval(a, b):
        if form.has("ftz"):
            a, b = fmt.flush(a), fmt.flush(b)
        nan = fmt.is_nan(a) or fmt.is_nan(b)
        if cmp == "num":
            return int(not nan)
        if cmp == "nan":
            return int(nan)
        if nan:
            return int(cmp.endswith("u"))
        x, y = fmt.decode(a), fmt.decode(b)
        below, above = less(x, y), less(y, x)
        return int(
            {
                "eq": not below and not above,
                "ne": below or above,
                "lt": below,
                "le": not above,
                "gt": above,
                "ge": not below,
            }[cmp.removesuffix("u")]
        )

    return eval


def evaluate(form):
    """A function to the results' bits, as a tuple."""
    if form.op == "slct":
        return slct(form)
    if form.op not in ("set", "setp"):
        return None
    combine = BOOLEAN.get(form.mods[1], lambda t, c: t)
    if form.op == "setp":
        type = form.types[0]
        test = comparison(form, type)
        if type.endswith("x2"):
            return lambda a, b, c=0: (
                combine(test(a & 0xFFFF, b & 0xFFFF), c),
                combine(test(a >> 16, b >> 16), c),
            )
        return lambda a, b, c=0: (combine(test(a, b), c), combine(1 - test(a, b), c))
    result, type = form.types
    test = comparison(form, type)
    fmt = format_of(result)
    yes = fmt.bias << fmt.mantissa if fmt else mask(result)
    if type.endswith("x2"):
        yes = fmt.bias << fmt.mantissa if fmt else 0xFFFF
        each = lambda a, b, c, i: combine(test(a >> i & 0xFFFF, b >> i & 0xFFFF), c) * yes << i
        return lambda a, b, c=0: (each(a, b, c, 0) | each(a, b, c, 16),)
    return lambda a, b, c=0: (combine(test(a, b), c) * yes,)


def slct(form):
    fmt = format_of(form.types[1])

    def eval(a, b, c):
        if fmt is None:
            return (a if signed(form.types[1], c) >= 0 else b,)
        if form.has("ftz"):
            c = fmt.flush(c)
        negative = c & fmt.sign_bit and c != fmt.sign_bit
        return (b if fmt.is_nan(c) or negative else a,)

    return eval


