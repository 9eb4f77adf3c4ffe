"""Cases of shuffles, votes, matches and reductions."""

from functools import reduce

from .forms import mask, signed
from .inputs import random_int, rng
from .program import Case

FULL = "-1"
LANES = range(32)


def case(form):
    make = {
        "shfl.sync": shuffle,
        "vote.sync": vote,
        "match": match,
        "redux.sync": redux,
        "activemask": active,
        "elect.sync": elect,
    }.get(form.op)
    return make(form) if make else None


def shuffled(mode, values, b, c, lane):
    """PTX ISA 9.7.9.6's pseudocode: the value and the predicate."""
    bval, cval = b & 31, c & 31
    segment = c >> 8 & 31
    most = lane & segment | cval & ~segment & 31
    least = lane & segment
    if mode == "up":
        j = lane - bval
        inside = j >= most
    elif mode == "down":
        j = lane + bval
        inside = j <= most
    elif mode == "bfly":
        j = lane ^ bval
        inside = j <= most
    else:
        j = least | bval & ~segment & 31
        inside = j <= most
    return values[j if inside else lane], int(inside)


def shuffle(form):
    case = Case(form)
    mode = form.mods[0]
    r = rng(form.name)
    values = [random_int(r, "b32") for _ in LANES]
    a = case.load("a", "b32", values)
    end = 0 if mode == "up" else 31
    # The whole warp by one step and by one number a lane, then segments of 8 and of 16.
    for k, (amount, c) in enumerate([(1, end), (None, end), (3, 0x1800 | end), (9, 0x1000 | end)]):
        amounts = [r.randrange(32) if amount is None else amount for _ in LANES]
        b = str(amount) if amount is not None else case.load("b", "u32", amounts)
        expected = [shuffled(mode, values, amounts[lane], c, lane) for lane in LANES]
        d, p = case.new("b32"), case.new("pred")
        case.say(f"{form.name} {d}|{p}, {a}, {b}, {c}, {FULL}")
        case.store(f"d{k}", "b32", d, [v for v, _ in expected])
        case.store(f"p{k}", "pred", p, [p for _, p in expected])
    d = case.new("b32")
    case.say(f"{form.name} {d}, {a}, 2, {end}, {FULL}")
    case.store("plain", "b32", d, [shuffled(mode, values, 2, end, lane)[0] for lane in LANES])
    return case


def vote(form):
    case = Case(form)
    mode = form.mods[0]
    r = rng(form.name)
    patterns = [[1] * 32, [0] * 32, [r.getrandbits(1) for _ in LANES], [int(lane == 17) for lane in LANES]]
    for k, pattern in enumerate(patterns):
        p = case.load(f"a{k}", "pred", pattern)
        for negated in (0, 1):
            held = [v ^ negated for v in pattern]
            result = {
                "all": int(all(held)),
                "any": int(any(held)),
                "uni": int(len(set(held)) == 1),
                "ballot": sum(v << lane for lane, v in enumerate(held)),
            }[mode]
            d = case.new("b32" if mode == "ballot" else "pred")
            case.say(f"{form.name} {d}, {'!' if negated else ''}{p}, {FULL}")
            case.store(f"d{k}{negated}", "b32" if mode == "ballot" else "pred", d, [result] * 32)
    return case


def match(form):
    case = Case(form)
    type = form.types[0]
    r = rng(form.name)
    few = [random_int(r, type) for _ in range(4)]
    one = random_int(r, type)
    almost = [one ^ (int(lane == 9) << (31 if type == "b32" else 63)) for lane in LANES]
    for k, values in enumerate([[r.choice(few) for _ in LANES], [one] * 32, almost]):
        a = case.load(f"a{k}", type, values)
        d = case.new("b32")
        if form.has("any"):
            case.say(f"{form.name} {d}, {a}, {FULL}")
            expected = [sum(1 << i for i in LANES if values[i] == v) for v in values]
        else:
            same = int(len(set(values)) == 1)
            p = case.new("pred")
            case.say(f"{form.name} {d}|{p}, {a}, {FULL}")
            case.store(f"p{k}", "pred", p, [same] * 32)
            expected = [0xFFFFFFFF if same else 0] * 32
        case.store(f"d{k}", "b32", d, expected)
    return case


def redux(form):
    case = Case(form)
    op, type = form.mods[0], form.types[0]
    r = rng(form.name)
    values = [random_int(r, type) for _ in LANES]
    f = {
        "add": lambda a, b: a + b,
        "min": min,
        "max": max,
        "and": lambda a, b: a & b,
        "or": lambda a, b: a | b,
        "xor": lambda a, b: a ^ b,
    }[op]
    narrow = [v | 0xF0F0F0F0 for v in values] if op == "and" else [v & 0x0F0F0F0F for v in values]
    for k, row in enumerate((values, narrow)):
        a, d = case.load(f"a{k}", type, row), case.new("b32")
        case.say(f"{form.name} {d}, {a}, {FULL}")
        total = reduce(f, [signed(type, v) for v in row]) & mask(type)
        case.store(f"d{k}", type, d, [total] * 32)
    return case


def active(form):
    """Which other lanes run together is up to the hardware; this lane does."""
    case = Case(form)
    d, own, both = (case.new("b32") for _ in range(3))
    case.say(f"{form.name} {d}")
    case.say(f"mov.u32 {own}, %lanemask_eq")
    case.say(f"and.b32 {both}, {d}, {own}")
    case.store("own", "b32", both, [1 << lane for lane in LANES])
    return case


def elect(form):
    """One lane, whichever, and all lanes are told its number."""
    case = Case(form)
    d, p, lane, said, count, voted, bit, equal = (case.new(c) for c in "b32 pred b32 pred b32 b32 b32 pred".split())
    case.say(f"{form.name} {d}|{p}, {FULL}")
    case.say(f"vote.sync.ballot.b32 {voted}, {p}, {FULL}")
    case.say(f"popc.b32 {count}, {voted}")
    case.store("elected", "b32", count, [1] * 32)
    case.say(f"mov.u32 {lane}, %laneid")
    case.say(f"shl.b32 {bit}, 1, {d}")
    case.say(f"setp.eq.u32 {equal}, {bit}, {voted}")
    case.store("leader", "pred", equal, [1] * 32)
    case.say(f"setp.eq.u32 {said}, {lane}, {d}")
    own = case.new("pred")
    case.say(f"xor.pred {own}, {said}, {p}")
    case.store("differs", "pred", own, [0] * 32)
    alone = case.new("pred")
    case.say(f"{form.name} _|{alone}, {FULL}")
    again = case.new("b32")
    case.say(f"vote.sync.ballot.b32 {again}, {alone}, {FULL}")
    case.say(f"popc.b32 {count}, {again}")
    case.store("again", "b32", count, [1] * 32)
    return case
