"""Cases of barriers, fences and waiting, on two warps."""

from .inputs import random_int, rng
from .program import Case

THREADS = 64


def case(form):
    family = form.op.split(".")[0]
    if form.op in ("bar.red", "barrier.red"):
        return combine(form)
    if form.op == "bar.warp.sync":
        return exchange(form, lambda case: case.say(f"{form.name} -1"), partner=1)
    if form.op.startswith("barrier.cluster"):
        return cluster(form)
    if form.op in ("bar.sync", "barrier.sync"):
        return sync(form)
    if form.op in ("bar.arrive", "barrier.arrive"):
        return arrive(form)
    if family in ("membar", "fence"):
        return fence(form)
    if family in ("griddepcontrol", "nanosleep"):
        return pause(form)
    return None


def exchange(form, wait, partner=63, threads=THREADS):
    """Every thread reads what its partner wrote before the wait."""
    case = Case(form, threads)
    r = rng(form.name)
    values = [random_int(r, "b32") for _ in range(threads)]
    a = case.load("a", "b32", values)
    base = case.array("cells", 4 * threads)
    case.say(f"st.shared.b32 [{case.lane_address(base, 4)}], {a}")
    wait(case)
    other, reg = case.new("b32"), case.new("b32")
    case.say(f"xor.b32 {other}, {case.tid}, {partner}")
    at = case.new("b32")
    case.say(f"mad.lo.u32 {at}, {other}, 4, {base}")
    case.say(f"ld.shared.b32 {reg}, [{at}]")
    case.store("d", "b32", reg, [values[i ^ partner] for i in range(threads)])
    return case


def sync(form):
    def wait(case):
        case.say(f"{form.name} 0")
        case.say(f"{form.name} 3, {THREADS}")

    return exchange(form, wait)


def arrive(form):
    """All threads arrive, then all wait, at a barrier of twice as many."""
    partner = "barrier.sync" if form.op.startswith("barrier") else "bar.sync"
    suffix = ".aligned" if form.has("aligned") else ""

    def wait(case):
        case.say(f"{form.name} 1, {2 * THREADS}")
        case.say(f"{partner}{suffix} 1, {2 * THREADS}")

    return exchange(form, wait)


def combine(form):
    counted = form.opcode.endswith("Count")
    case = Case(form, THREADS)
    r = rng(form.name)
    op = form.first(("popc", "and", "or"))
    rows = [[1] * THREADS, [0] * THREADS, [r.getrandbits(1) for _ in range(THREADS)], [int(i == 40) for i in range(THREADS)]]
    for k, row in enumerate(rows):
        p = case.load(f"c{k}", "pred", row)
        for negated in (0, 1):
            held = [v ^ negated for v in row]
            result = {"popc": sum(held), "and": int(all(held)), "or": int(any(held))}[op]
            d = case.new("b32" if op == "popc" else "pred")
            threads = f", {THREADS}" if counted else ""
            case.say(f"{form.name} {d}, {k}{threads}, {'!' if negated else ''}{p}")
            case.store(f"d{k}{negated}", "b32" if op == "popc" else "pred", d, [result] * THREADS)
    return case


def cluster(form):
    aligned = ".aligned" if form.has("aligned") else ""

    def wait(case):
        if form.op.endswith("arrive"):
            if form.has("relaxed"):
                case.say("fence.acq_rel.cluster")
            case.say(form.name)
            case.say(f"barrier.cluster.wait{aligned}")
        else:
            case.say(f"barrier.cluster.arrive{aligned}")
            case.say(form.name)

    return exchange(form, wait)


def fence(form):
    def wait(case):
        case.say(form.name)
        case.say("bar.sync 0")

    return exchange(form, wait)


def pause(form):
    def wait(case):
        if form.op == "nanosleep":
            reg = case.new("b32")
            case.say(f"shl.b32 {reg}, {case.tid}, 1")
            case.say(f"{form.name} {reg}")
            case.say(f"{form.name} 20")
        else:
            case.say(form.name)
        case.say("bar.sync 0")

    return exchange(form, wait)
