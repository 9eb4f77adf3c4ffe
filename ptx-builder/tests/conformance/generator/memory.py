"""Cases of loads, stores and prefetches."""

from .forms import bits, register_class, signed
from .inputs import format_of, random_float, random_int, floats, ints, rng
from .program import Case

SPACES = ("param", "global", "shared", "local", "const")


def space(form):
    return next((m.split("::")[0] for m in form.mods if m.split("::")[0] in SPACES), "generic")


def elements(form, type, count):
    """Values of a type, edges first."""
    r = rng(form.name)
    f = format_of(type)
    edges = floats(f) if f else ints(type)
    make = (lambda: random_float(r, f)) if f else (lambda: random_int(r, type))
    r.shuffle(edges)
    return (edges + [make() for _ in range(count)])[:count]


def layout(form):
    """(type, elements a lane, threads): fewer lanes for vectors, to keep files small."""
    length = next((s.len for s in form.slots if s.shape == "vector"), 1)
    return form.types[0], length, 32 if length == 1 else 8


def wide_class(type):
    """A register class wider than the type where integers allow it (PTX ISA 9.4.1)."""
    if type[0] in "us" and bits(type) < 64:
        return "b32" if bits(type) < 32 else "b64"
    return register_class(type)


def extended(type, cls, value):
    """A loaded value as a register of a class holds it."""
    size = {"b16": 16, "b32": 32, "b64": 64, "f32": 32, "f64": 64}[cls]
    return signed(type, value) & ((1 << size) - 1)


def braces(regs):
    return regs[0] if len(regs) == 1 else "{" + ", ".join(regs) + "}"


def case(form):
    if form.op == "ld":
        return load(form)
    if form.op == "st":
        return store(form)
    if form.op in ("prefetch", "prefetchu"):
        return prefetch(form)
    return None


def load(form):
    type, length, threads = layout(form)
    case = Case(form, threads)
    size = bits(type) // 8
    values = elements(form, type, threads * length)
    where = space(form)
    seen = values
    if where == "param":
        # A parameter is the same for every lane; the second of two vectors in it.
        case.value("a", type, values[: 2 * length], 16)
        seen = values[length : 2 * length] * threads
        address = f"[a+{size * length}]"
    elif where == "const":
        data = b"".join(v.to_bytes(size, "little") for v in values)
        case.module.append(f".const .align 16 .b8 table[{len(data)}] = {{{', '.join(map(str, data))}}};")
        base, sum = case.new("b64"), case.new("b64")
        case.say(f"mov.u64 {base}, table")
        case.say(f"add.s64 {sum}, {base}, {case.offset(size * length)}")
        address = f"[{sum}]"
    else:
        case.input("a", type, values)
        address = f"[{case.address('a', size * length)}]"
        if where in ("shared", "local"):
            # Through an array of the space; in shared memory another lane reads what this one wrote.
            parts = [case.new(register_class(type)) for _ in range(length)]
            for i, part in enumerate(parts):
                case.say(f"ld.global.b{8 * size} {part}, {address[:-1]}+{size * i}]")
            own = size * length
            if where == "shared":
                base = case.array("array", own * threads)
                mine = case.lane_address(base, own)
                other = case.new("b32")
                case.say(f"xor.b32 {other}, {case.tid}, 1")
                theirs = case.new("b32")
                case.say(f"mad.lo.u32 {theirs}, {other}, {own}, {base}")
                seen = [values[(lane ^ 1) * length + i] for lane in range(threads) for i in range(length)]
            else:
                mine = theirs = case.array("array", max(own, 16), "local")
            for i, part in enumerate(parts):
                case.say(f"st.{where}.b{8 * size} [{mine}+{size * i}], {part}")
            if where == "shared":
                case.say("bar.sync 0")
            address = f"[{theirs}]"
    cls = wide_class(type)
    regs = [case.new(cls) for _ in range(length)]
    case.say(f"{form.name} {braces(regs)}, {address}")
    out = [extended(type, cls, v) for v in seen]
    write_all(case, regs, cls, out)
    return case


def write_all(case, regs, cls, expected):
    """Stores registers side by side."""
    size = {"b16": 2, "b32": 4, "b64": 8, "f32": 4, "f64": 8}[cls]
    case.output("d", f"b{8 * size}", expected)
    address = case.address("d", size * len(regs))
    for i, reg in enumerate(regs):
        case.say(f"st.global.b{8 * size} [{address}+{size * i}], {reg}")


def store(form):
    type, length, threads = layout(form)
    case = Case(form, threads)
    size = bits(type) // 8
    cls = wide_class(type)
    wide = {"b16": 2, "b32": 4, "b64": 8, "f32": 4, "f64": 8}[cls]
    r = rng(form.name + " upper bits")
    values = elements(form, type, threads * length)
    # What is beyond the type in a wider register is not stored.
    upper = lambda v: v | r.getrandbits(8 * wide) >> 8 * size << 8 * size if wide > size else v
    case.input("b", f"b{8 * wide}", [upper(v) for v in values])
    source = case.address("b", wide * length)
    regs = [case.new(cls) for _ in range(length)]
    for i, reg in enumerate(regs):
        case.say(f"ld.global.b{8 * wide} {reg}, [{source}+{wide * i}]")
    where = space(form)
    own = size * length
    case.output("a", type, values)
    target = case.address("a", own)
    if where in ("global", "generic"):
        case.say(f"{form.name} [{target}], {braces(regs)}")
        return case
    if where == "shared":
        mine = case.lane_address(case.array("array", own * threads), own)
    else:
        mine = case.array("array", max(own, 16), "local")
    case.say(f"{form.name} [{mine}], {braces(regs)}")
    if where == "shared":
        case.say("bar.sync 0")
    for i in range(length):
        part = case.new(register_class(type))
        case.say(f"ld.{where}.b{8 * size} {part}, [{mine}+{size * i}]")
        case.say(f"st.global.b{8 * size} [{target}+{size * i}], {part}")
    return case


def prefetch(form):
    """A hint changes nothing: the data still arrives."""
    case = Case(form)
    values = elements(form, "u32", case.threads)
    case.input("a", "b32", values)
    address = case.address("a", 4)
    if space(form) == "local":
        base = case.array("array", 16, "local")
        case.say(f"{form.name} [{base}]")
    else:
        case.say(f"{form.name} [{address}]")
    reg = case.new("b32")
    case.say(f"ld.global.b32 {reg}, [{address}]")
    case.store("d", "b32", reg, values)
    return case


