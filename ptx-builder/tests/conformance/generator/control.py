"""Cases of control flow, and of addresses between generic and other spaces."""

from .inputs import rng
from .program import Case

LANES = 32


def case(form):
    make = {
        "bra": branch,
        "ret": leave,
        "exit": leave,
        "trap": trap,
        "cvta": convert_address,
        "isspacep": is_space,
    }.get(form.op)
    return make(form) if make else None


def branch(form):
    """A forward branch and a loop; each lane its own way, unless uniform."""
    case = Case(form)
    uniform = form.has("uni")
    r = rng(form.name)
    counts = [5] * LANES if uniform else [r.randrange(9) for _ in range(LANES)]
    left = case.load("count", "u32", counts)
    sum, done, zero = case.new("b32"), case.new("pred"), case.new("pred")
    case.say(f"mov.u32 {sum}, 0")
    case.say(f"setp.eq.u32 {zero}, {left}, 0")
    case.say(f"@{zero} {form.name} Done")
    case.label("Loop")
    case.say(f"add.u32 {sum}, {sum}, {left}")
    case.say(f"sub.u32 {left}, {left}, 1")
    case.say(f"setp.ne.u32 {done}, {left}, 0")
    case.say(f"@{done} {form.name} Loop")
    case.say(f"{form.name} Done")
    case.label("Done")
    case.store("sum", "u32", sum, [n * (n + 1) // 2 for n in counts])
    return case


def leave(form):
    """Some lanes, or with .uni all, leave before the second store."""
    case = Case(form)
    r = rng(form.name)
    leaves = [1] * LANES if form.has("uni") else [r.getrandbits(1) for _ in range(LANES)]
    p = case.load("leaves", "pred", leaves)
    case.inout("before", "u32", [7] * LANES, range(LANES))
    case.inout("after", "u32", [7] * LANES, [7 if v else lane for lane, v in enumerate(leaves)])
    after = case.address("after", 4)
    case.say(f"st.global.b32 [{case.address('before', 4)}], {case.tid}")
    case.say(f"@{p} {form.name}")
    case.say(f"st.global.b32 [{after}], {case.tid}")
    return case


def trap(form):
    case = Case(form)
    case.fails = "trap"
    case.inout("d", "u32", [7] * LANES, [7] * LANES)
    p = case.only_lane(5)
    case.say(f"@{p} {form.name}")
    return case


def places(case, r, values, only=None):
    """A generic address in each space that holds the lane's word, by space."""
    base, offset = case.pointer("a"), case.offset(4)
    own = case.new("b64")
    case.say(f"add.s64 {own}, {base}, {offset}")
    word = case.new("b32")
    case.say(f"ld.global.b32 {word}, [{own}]")
    found = {"global": own}
    for space in ("shared", "local", "const"):
        if only and space != only:
            continue
        at = case.new("b64")
        if space == "const":
            data = b"".join(v.to_bytes(4, "little") for v in values)
            case.module.append(f".const .align 16 .b8 table[{len(data)}] = {{{', '.join(map(str, data))}}};")
            case.say(f"mov.u64 {at}, table")
        else:
            case.shared.append(f"\t.{space} .align 16 .b8 {space}_array[{4 * LANES}];")
            case.say(f"mov.u64 {at}, {space}_array")
        mine = case.new("b64")
        case.say(f"add.s64 {mine}, {at}, {offset}")
        if space != "const":
            case.say(f"st.{space}.b32 [{mine}], {word}")
        found[space] = mine
    return found


def convert_address(form):
    """The word behind an address, through the converted address."""
    case = Case(form)
    r = rng(form.name)
    values = [r.getrandbits(32) for _ in range(LANES)]
    space = form.first(("global", "shared", "shared::cluster", "local", "const", "param"))
    if space == "shared::cluster":
        space = "shared"
    reg = case.new("b32")
    if space == "param":
        case.value("a", "b32", values[:4], 16)
        at, out = case.new("b64"), case.new("b64")
        case.say(f"mov.u64 {at}, a")
        case.say(f"cvta.param.u64 {out}, {at}")
        seen = [values[1]] * LANES
        load = "ld.b32"
        offset = "+4"
        if form.has("to"):
            back = case.new("b64")
            case.say(f"{form.name} {back}, {out}")
            out, load = back, "ld.param.b32"
    else:
        case.input("a", "b32", values)
        at = places(case, r, values, space)[space]
        out = case.new("b64")
        case.say(f"{form.name if not form.has('to') else f'cvta.{space}.u64'} {out}, {at}")
        seen, load, offset = values, "ld.b32", ""
        if form.has("to"):
            back = case.new("b64")
            case.say(f"{form.name} {back}, {out}")
            out, load = back, f"ld.{space}.b32"
    case.say(f"{load} {reg}, [{out}{offset}]")
    case.store("d", "b32", reg, seen)
    return case


def is_space(form):
    case = Case(form)
    r = rng(form.name)
    values = [r.getrandbits(32) for _ in range(LANES)]
    case.input("a", "b32", values)
    asked = form.first(("global", "shared", "shared::cluster", "local", "const", "param"))
    asked = "shared" if asked == "shared::cluster" else asked
    for space, at in places(case, r, values).items():
        generic, p = case.new("b64"), case.new("pred")
        case.say(f"cvta.{space}.u64 {generic}, {at}")
        case.say(f"{form.name} {p}, {generic}")
        case.store(f"is_{space}", "pred", p, [int(space == asked)] * LANES)
    return case
