"""Cases of atom and red."""

from .formats import add
from .forms import bits, mask, register_class, signed
from .floating import packed
from .inputs import float_pairs, format_of, half_pairs, ints, random_int, rng
from .memory import space
from .program import Case

OPERATIONS = ("add", "min", "max", "inc", "dec", "and", "or", "xor", "exch", "cas")


def float_add(form, type):
    f = format_of(type)
    # PTX ISA 9.7.13.5: f32 in global memory flushes subnormals, in shared memory it does not.
    flush = type == "f32" and space(form) != "shared"
    read = f.flush if flush else lambda bits: bits

    def one(a, b):
        return read(f.encode(add(f.decode(read(a)), f.decode(read(b)), "rn")))

    return packed(one) if type.endswith("x2") else one


def update(form):
    """The new value from (old, b, c)."""
    op, type = form.first(OPERATIONS), form.types[0]
    if op == "add" and format_of(type):
        f = float_add(form, type)
        return lambda a, b, c: f(a, b)
    m = mask(type)
    s = lambda v: signed(type, v)
    return {
        "add": lambda a, b, c: (a + b) & m,
        "min": lambda a, b, c: min(s(a), s(b)) & m,
        "max": lambda a, b, c: max(s(a), s(b)) & m,
        "inc": lambda a, b, c: 0 if a >= b else a + 1,
        "dec": lambda a, b, c: b if a == 0 or a > b else a - 1,
        "and": lambda a, b, c: a & b,
        "or": lambda a, b, c: a | b,
        "xor": lambda a, b, c: a ^ b,
        "exch": lambda a, b, c: b,
        "cas": lambda a, b, c: c if a == b else a,
    }[op]


def inputs(form, n):
    """n lanes' (old, b, c)."""
    type = form.types[0]
    r = rng(form.name)
    f = format_of(type)
    if f:
        count = 2 * n if type.endswith("x2") else n
        pairs = float_pairs(r, f, 64)[:23] + float_pairs(r, f, 128)[64:]
        if type == "f32" and space(form) == "generic":
            # Whether it flushes is up to the memory behind the address.
            pairs = [p for p in pairs if not any(map(f.is_subnormal, p)) and not f.is_subnormal(sum_of(f, p))]
        pairs = pairs[:count]
        return [(a, b, 0) for a, b in (half_pairs(pairs) if type.endswith("x2") else pairs)]
    edges = ints(type)
    rows = []
    for i in range(n):
        a = r.choice(edges) if r.randrange(2) else random_int(r, type)
        b = r.choice(edges) if r.randrange(2) else random_int(r, type)
        if r.randrange(3) == 0:
            b = a
        rows.append((a, b, random_int(r, type)))
    return rows


def sum_of(f, pair):
    return f.encode(add(f.decode(pair[0]), f.decode(pair[1]), "rn"))


def case(form):
    if form.op not in ("atom", "red"):
        return None
    case = Case(form)
    type = form.types[0]
    size = bits(type) // 8
    rows = inputs(form, case.threads)
    f = update(form)
    cas = form.has("cas")
    sources = [case.load("b", type, [b for _, b, _ in rows])]
    if cas:
        sources.append(case.load("c", type, [c for _, _, c in rows]))
    shared = space(form) == "shared"
    after = [f(*row) for row in rows]
    case.inout("m", type, [a for a, _, _ in rows], after)
    memory = case.address("m", size)
    target = memory
    if shared:
        target = case.lane_address(case.array("cells", size * case.threads), size)
        copy(case, size, "global", memory, "shared", target)
        case.say("bar.sync 0")
    emit(case, form, target, sources, [a for a, _, _ in rows], "d")
    contended(case, form, type, f, sources, [b for _, b, _ in rows], size, shared)
    if shared:
        copy(case, size, "shared", target, "global", memory)
    return case


def copy(case, size, source, at, target, to):
    reg = case.new(f"b{8 * max(size, 2)}")
    case.say(f"ld.{source}.b{8 * size} {reg}, [{at}]")
    case.say(f"st.{target}.b{8 * size} [{to}], {reg}")


def emit(case, form, target, sources, old, name):
    operands = [f"[{target}]", *sources]
    if form.op == "red":
        case.say(f"{form.name} {', '.join(operands)}")
        return
    reg = case.new(register_class(form.types[0]))
    case.say(f"{form.name} {reg}, {', '.join(operands)}")
    if old is not None:
        case.store(name, form.types[0], reg, old)


def contended(case, form, type, f, sources, values, size, shared):
    """All lanes on one place, where the order does not show in the result."""
    if format_of(type) or form.first(OPERATIONS) not in ("add", "min", "max", "and", "or", "xor"):
        return
    total = start = random_int(rng(form.name + " all"), type)
    for b in values:
        total = f(total, b, 0)
    case.inout("all", type, [start], [total])
    base = case.pointer("all")
    if not shared:
        emit(case, form, base, sources, None, "")
        return
    cell = case.array("cell", size)
    first = case.only_lane(0)
    reg = case.new(register_class(type))
    case.say(f"ld.global.b{8 * size} {reg}, [{base}]")
    case.say(f"@{first} st.shared.b{8 * size} [{cell}], {reg}")
    case.say("bar.sync 0")
    emit(case, form, cell, sources, None, "")
    case.say("bar.sync 0")
    last = case.new(register_class(type))
    case.say(f"ld.shared.b{8 * size} {last}, [{cell}]")
    case.say(f"@{first} st.global.b{8 * size} [{base}], {last}")
