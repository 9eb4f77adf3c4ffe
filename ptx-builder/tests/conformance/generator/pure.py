"""Cases of instructions whose results follow from their sources."""

from . import approximate, compare, convert, floating, integer
from .forms import bits, register_class
from .inputs import (
    AMOUNTS,
    FIELDS,
    float_pairs,
    float_triples,
    floats,
    floats_for_unary,
    format_of,
    half_pairs,
    ints,
    pack,
    random_float,
    random_int,
    rng,
)
from .program import Case

# Pairs of integers are words to files.
WORDS = {"u16x2": "b32", "s16x2": "b32"}

# Sources that are counts and positions.
COUNTS = {("shl", "b"), ("shr", "b"), ("shf", "c"), ("bfe", "b"), ("bfe", "c"), ("bfi", "c"), ("bfi", "d")}


def evaluator(form):
    """(function, tolerance) of a form; none where no module knows it."""
    if form.meaning == "Approx":
        found = approximate.evaluate(form)
        if found and form.types[0].endswith("x2"):
            return floating.packed(found[0]), found[1]
        return found
    for module in (compare, convert, floating, integer, movement):
        f = module.evaluate(form)
        if f:
            return f, ""
    return None


class movement:
    """mov, which copies, packs or unpacks."""

    @staticmethod
    def evaluate(form):
        if form.op != "mov":
            return None
        size = bits(form.types[0])
        to, source = form.slots
        if source.len > 1:
            part = size // source.len
            return lambda *parts: sum(p << part * i for i, p in enumerate(parts))
        if to.len > 1:
            part = size // to.len
            return lambda a: tuple(a >> part * i & (1 << part) - 1 for i in range(to.len))
        return lambda a: a


def sources(form):
    """(name, type) of each source, vectors laid flat; constants left out."""
    out = []
    for slot in form.slots:
        if slot.write or slot.shape in ("const", "one_of"):
            continue
        out += [(f"{slot.name}{i}" if slot.len > 1 else slot.name, slot.type) for i in range(slot.len)]
    return out


def inputs(form, n):
    """n tuples of sources' bits."""
    r = rng(form.name + form.opcode)
    names = sources(form)
    types = [t for _, t in names]
    if form.meaning == "Approx":
        if types[0].endswith("x2"):
            return half_pairs(approximate.inputs(form, r, 2 * n))
        return approximate.inputs(form, r, n)
    f = format_of(types[0])
    same = f is not None and all(t == types[0] for t in types)
    if same and len(types) <= 3:
        pair = types[0].endswith("x2")
        count = 2 * n if pair else n
        if form.op == "cvt" and len(types) == 2:
            values = floats_for_unary(r, f, n)
            return [(v, values[-1 - i]) for i, v in enumerate(values)]
        made = {
            1: lambda: [(v,) for v in floats_for_unary(r, f, count)],
            2: lambda: float_pairs(r, f, count),
            3: lambda: float_triples(r, f, count),
        }[len(types)]()
        if pair:
            r.shuffle(made)
            return half_pairs(made)
        return made
    out = []
    for i in range(n):
        row = [value(form, r, name, t, i, k) for k, (name, t) in enumerate(names)]
        if f is not None and len(types) >= 2 and types[1] == types[0] and i % 2 == 0:
            row[:2] = pair_of(r, types[0], f, i)
        elif len(types) >= 2 and types[0] == types[1] and r.randrange(6) == 0:
            row[1] = row[0]
        if form.op in ("div", "rem"):
            # Division by zero and the one overflow are not specified.
            lowest = 1 << (bits(types[0]) - 1)
            if row[1] == 0 or types[0][0] == "s" and row[0] == lowest and row[1] == 2 * lowest - 1:
                row[1] = 3
        out.append(tuple(row))
    return out


def pair_of(r, type, f, i):
    a, b = float_pairs(r, f, 64)[i % 64], float_pairs(r, f, 64)[(i + 7) % 64]
    return [pack(a[0], b[0]), pack(a[1], b[1])] if type.endswith("x2") else list(a)


def value(form, r, name, type, i, k):
    """A source's bits in lane i."""
    if type == "pred":
        return r.getrandbits(1)
    f = format_of(type)
    if f:
        one = lambda: r.choice(floats(f)) if r.randrange(2) else random_float(r, f)
        return pack(one(), one()) if type.endswith("x2") else one()
    if (form.op, name) in COUNTS:
        amounts = FIELDS if form.op in ("bfe", "bfi") else AMOUNTS
        return r.choice(amounts) if r.randrange(3) else r.randrange(bits(form.types[0]) + 1)
    if form.op == "prmt" and name == "c" and len(form.mods) > 1:
        return i if i < 4 else random_int(r, type)
    edges = ints(type)
    if i < len(edges) and k == 0:
        return edges[i]
    return r.choice(edges) if r.randrange(3) == 0 else random_int(r, type)


def constants(form):
    """Values of the constant operands to try, one instruction each."""
    slots = [s for s in form.slots if s.shape in ("const", "one_of")]
    if not slots:
        return [()]
    if form.op == "lop3":
        return [(0xCA,), (0x96,), (0x1B,)]
    return [tuple(s.values[0] if s.values else s.least for s in slots), tuple(s.values[-1] if s.values else s.most for s in slots)]


def case(form):
    found = evaluator(form)
    if found is None:
        return None
    f, tolerance = found
    names = sources(form)
    size = sum(max(bits(t), 8) for _, t in names) // 8
    # The combinations with a predicate are many and alike.
    combined = form.op in ("set", "setp") and names[-1][1] == "pred"
    n = 64 if size < 16 and any(format_of(t) for _, t in names) and not combined else 32
    rows = inputs(form, n)
    case = Case(form, threads=n)
    registers = [case.load(name, WORDS.get(t, t), [row[k] for row in rows]) for k, (name, t) in enumerate(names)]
    for number, consts in enumerate(constants(form)):
        emit(case, form, f, tolerance, registers, rows, consts, f"_{number}" if number else "")
    return case


def emit(case, form, f, tolerance, registers, rows, consts, suffix):
    """One instruction, its results stored."""
    operands, results = [], []
    left, consts_left = list(registers), list(consts)
    for slot in form.slots:
        if slot.shape in ("const", "one_of"):
            operands.append(str(consts_left.pop(0)))
            continue
        regs = []
        for i in range(slot.len):
            if slot.write:
                reg = case.new(register_class(slot.type))
                results.append((f"{slot.name}{i}" if slot.len > 1 else slot.name, slot.type, reg))
            else:
                reg = left.pop(0)
            regs.append(reg)
        text = regs[0] if slot.shape != "vector" else "{" + ", ".join(regs) + "}"
        if slot.write and slot.type == "pred" and len(operands) == 1 and form.slots[0].write:
            operands[0] += "|" + text
        else:
            operands.append(text)
    case.say(f"{form.name} {', '.join(operands)}")
    expected = [f(*row, *consts) for row in rows]
    several = form.op in ("set", "setp", "slct") or len(results) > 1
    for k, (name, type, reg) in enumerate(results):
        values = [e[k] if several else e for e in expected]
        # An 8-bit result is extended to its register.
        stored = {"u8": "u16", "s8": "s16", "b8": "b16"}.get(type, WORDS.get(type, type))
        case.store(f"{name}{suffix}", stored, reg, values, tolerance)
