"""Cases of asynchronous copies and mbarriers."""

from .inputs import rng
from .program import Case

LANES = 32


def case(form):
    copies = {
        "cp.async": copy,
        "cp.async.commit_group": groups,
        "cp.async.wait_group": groups,
        "cp.async.wait_all": groups,
        "cp.async.mbarrier.arrive": copy_arrive,
        "cp.async.bulk.prefetch": bulk_prefetch,
        "mbarrier.expect_tx": bulk_load,
        "mbarrier.arrive.expect_tx": bulk_load,
        "mbarrier.init": arrivals,
        "mbarrier.inval": arrivals,
        "mbarrier.arrive": arrivals,
        "mbarrier.arrive_drop": drops,
        "mbarrier.arrive_drop.expect_tx": drops,
        "mbarrier.complete_tx": complete,
        "mbarrier.pending_count": pending,
    }
    if form.op in copies:
        return copies[form.op](form)
    if form.op.startswith("cp.async.bulk"):
        return bulk_load(form) if form.has("mbarrier::complete_tx::bytes") else bulk_store(form)
    if form.op.startswith("mbarrier."):
        return waits(form)
    return None


def words(form, n, tag=""):
    r = rng(form.name + tag)
    return [r.getrandbits(32) for _ in range(n)]


def read_own(case, name, mine, values, size):
    """Stores the lane's part of a shared array of words."""
    case.output(name, "b32", values)
    out = case.address(name, size)
    for i in range(size // 4):
        reg = case.new("b32")
        case.say(f"ld.shared.b32 {reg}, [{mine}+{4 * i}]")
        case.say(f"st.global.b32 [{out}+{4 * i}], {reg}")


def copy(form):
    case = Case(form, 8)
    sizes = next(s.values for s in form.slots if s.shape == "one_of")
    r = rng(form.name)
    for size in sizes:
        n = size // 4
        values = words(form, 8 * n, str(size))
        case.input(f"a{size}", "b32", values)
        source = case.address(f"a{size}", size)
        whole = case.lane_address(case.array(f"whole{size}", 8 * size), size)
        part = case.lane_address(case.array(f"part{size}", 8 * size), size)
        kept = [r.randrange(n + 1) * 4 for _ in range(8)]
        count = case.load(f"count{size}", "u32", kept)
        case.say(f"{form.name} [{whole}], [{source}], {size}")
        case.say(f"{form.name} [{part}], [{source}], {size}, {count}")
        case.say("cp.async.wait_all")
        read_own(case, f"d{size}", whole, values, size)
        short = [v if 4 * (i % n) < kept[i // n] else 0 for i, v in enumerate(values)]
        read_own(case, f"e{size}", part, short, size)
    return case


def groups(form):
    """Two groups; the older is read while the younger may be pending."""
    case = Case(form)
    arrays = []
    for k in range(2):
        values = words(form, LANES, str(k))
        case.input(f"a{k}", "b32", values)
        source = case.address(f"a{k}", 4)
        mine = case.lane_address(case.array(f"array{k}", 4 * LANES), 4)
        case.say(f"cp.async.ca.shared.global [{mine}], [{source}], 4")
        case.say("cp.async.commit_group")
        arrays.append((mine, values))
    case.say("cp.async.wait_all" if form.op.endswith("all") else "cp.async.wait_group 1")
    read_own(case, "d0", *arrays[0], 4)
    case.say("cp.async.wait_all" if form.op.endswith("all") else "cp.async.wait_group 0")
    read_own(case, "d1", *arrays[1], 4)
    return case


def spin(case, name, test):
    """Loops until test(predicate) writes true."""
    p = case.new("pred")
    case.label(name)
    case.say(test(p))
    case.say(f"@!{p} bra {name}")


def barrier(case, form, count):
    """An mbarrier of the block; its shared address, and as the form takes it."""
    base = case.array("mbar", 8, align=8)
    at = base
    if form.op.startswith(("mbarrier", "cp.async.mbarrier")) and not (form.has("shared") or form.has("shared::cluster")):
        wide, at = case.new("b64"), case.new("b64")
        case.say(f"cvt.u64.u32 {wide}, {base}")
        case.say(f"cvta.shared.u64 {at}, {wide}")
    first = case.only_lane(0)
    if form.op == "mbarrier.init":
        case.say(f"@{first} {form.name} [{at}], {count}")
    else:
        case.say(f"@{first} mbarrier.init.shared.b64 [{base}], {count}")
    case.say("bar.sync 0")
    return base, at, first


def copy_arrive(form):
    case = Case(form)
    base, at, _ = barrier(case, form, LANES)
    values = words(form, LANES)
    case.input("a", "b32", values)
    source = case.address("a", 4)
    cells = case.array("array", 4 * LANES)
    case.say(f"cp.async.ca.shared.global [{case.lane_address(cells, 4)}], [{source}], 4")
    case.say(f"{form.name} [{at}]")
    if not form.has("noinc"):
        # The count went up for the copy, so the thread arrives itself too.
        state = case.new("b64")
        case.say(f"mbarrier.arrive.shared.b64 {state}, [{base}]")
    case.since(71, 80)
    spin(case, "Wait", lambda p: f"mbarrier.test_wait.parity.shared.b64 {p}, [{base}], 0")
    other, theirs, reg = case.new("b32"), case.new("b32"), case.new("b32")
    case.say(f"xor.b32 {other}, {case.tid}, 5")
    case.say(f"mad.lo.u32 {theirs}, {other}, 4, {cells}")
    case.say(f"ld.shared.b32 {reg}, [{theirs}]")
    case.store("d", "b32", reg, [values[i ^ 5] for i in range(LANES)])
    return case


def arrivals(form):
    """Two phases of arrivals, each handing data to another lane."""
    case = Case(form)
    case.since(71, 80)
    counted = form.opcode == "MbarrierArriveCount"
    per_lane = 1
    if counted:
        per_lane = 3 if form.has("noComplete") else 2
    base, at, first = barrier(case, form, per_lane * LANES)
    values = words(form, LANES)
    a = case.load("a", "b32", values)
    cells = case.array("array", 4 * LANES)
    mine = case.lane_address(cells, 4)
    other, theirs = case.new("b32"), case.new("b32")
    case.say(f"xor.b32 {other}, {case.tid}, 9")
    case.say(f"mad.lo.u32 {theirs}, {other}, 4, {cells}")

    def arrive(state):
        if form.op != "mbarrier.arrive":
            case.say(f"mbarrier.arrive.shared.b64 {state}, [{base}]")
        elif form.has("noComplete"):
            early = "_" if state == "_" else case.new("b64")
            case.say(f"{form.name} {early}, [{at}], 2")
            case.say(f"mbarrier.arrive.shared.b64 {state}, [{base}]")
        else:
            case.say(f"{form.name} {state}, [{at}]" + (", 2" if counted else ""))

    for phase in range(2):
        case.say(f"st.shared.b32 [{mine}], {a}")
        sinks = phase or form.has("shared::cluster")
        state = "_" if sinks else case.new("b64")
        arrive(state)
        if sinks:
            name = "Second" if phase else "First"
            spin(case, name, lambda p: f"mbarrier.test_wait.parity.shared.b64 {p}, [{base}], {phase}")
        else:
            spin(case, "First", lambda p: f"mbarrier.test_wait.shared.b64 {p}, [{base}], {state}")
        if form.has("relaxed"):
            # It orders nothing.
            case.say("bar.sync 0")
        reg = case.new("b32")
        case.say(f"ld.shared.b32 {reg}, [{theirs}]")
        case.store(f"d{phase}", "b32", reg, [(values[i ^ 9] + phase * (i ^ 9)) & 0xFFFFFFFF for i in range(LANES)])
        case.say("bar.sync 0")
        more = case.new("b32")
        case.say(f"add.u32 {more}, {a}, {case.tid}")
        a = more
    if form.op == "mbarrier.inval":
        # Its memory is ordinary again.
        case.say(f"@{first} {form.name} [{at}]")
        case.say("bar.sync 0")
        case.say(f"@{first} st.shared.b32 [{base}], 77")
        case.say("bar.sync 0")
        reg = case.new("b32")
        case.say(f"ld.shared.b32 {reg}, [{base}]")
        case.store("reused", "b32", reg, [77] * LANES)
    return case


def passed(case, base, at_phase, name):
    """Waits for a phase, then whether it has been passed."""
    spin(case, f"Wait{name}", lambda p: f"mbarrier.test_wait.parity.shared.b64 {p}, [{base}], {at_phase}")
    p = case.new("pred")
    case.say(f"mbarrier.test_wait.parity.shared.b64 {p}, [{base}], {at_phase}")
    case.store(name, "pred", p, [1] * LANES)
    p = case.new("pred")
    case.say(f"mbarrier.test_wait.parity.shared.b64 {p}, [{base}], {at_phase ^ 1}")
    case.store(f"{name}_next", "pred", p, [0] * LANES)
    case.say("bar.sync 0")


def drops(form):
    """Who leaves a barrier arrives for its phase, and the next one expects the others only."""
    case = Case(form)
    case.since(71, 80)
    bytes_too = "expect_tx" in form.op
    counted = form.opcode == "MbarrierArriveDropCount"
    leaving = 2 if counted else 1
    base, at, first = barrier(case, form, (leaving + 1) * LANES)
    operand = ", 16" if bytes_too else f", {leaving}" if counted else ""
    case.say(f"{form.name} _, [{at}]{operand}")
    if bytes_too:
        case.since(80, 90)
        case.say(f"mbarrier.complete_tx.relaxed.cta.shared.b64 [{base}], 16")
    case.say("bar.sync 0")
    case.say(f"mbarrier.arrive.shared.b64 _, [{base}]")
    passed(case, base, 0, "all")
    case.say(f"mbarrier.arrive.shared.b64 _, [{base}]")
    passed(case, base, 1, "left")
    return case


def complete(form):
    """Bytes that are expected, and said to have come."""
    case = Case(form)
    case.since(80, 90)
    base, at, first = barrier(case, form, LANES)
    case.say(f"@{first} mbarrier.expect_tx.relaxed.cta.shared.b64 [{base}], 48")
    case.say("bar.sync 0")
    case.say(f"mbarrier.arrive.shared.b64 _, [{base}]")
    case.say("bar.sync 0")
    case.say(f"@{first} {form.name} [{at}], 32")
    case.say("bar.sync 0")
    p = case.new("pred")
    case.say(f"mbarrier.test_wait.parity.shared.b64 {p}, [{base}], 0")
    case.store("early", "pred", p, [0] * LANES)
    case.say("bar.sync 0")
    case.say(f"@{first} {form.name} [{at}], 16")
    case.say("bar.sync 0")
    passed(case, base, 0, "late")
    return case


def pending(form):
    """What is missing before each of some arrivals (PTX ISA 9.7.13.15.13: the state is the one before the arrival)."""
    case = Case(form)
    case.since(71, 80)
    base, at, first = barrier(case, form, 3 * LANES)
    states = [case.new("b64") for _ in range(2)]
    counts = [case.new("b32") for _ in range(2)]
    for state, count in zip(states, counts):
        case.say(f"mov.u32 {count}, 0")
        case.say(f"@{first} mbarrier.arrive.shared.b64 {state}, [{base}]")
        case.say(f"@{first} {form.name} {count}, {state}")
    for i, count in enumerate(counts):
        case.store(f"d{i}", "u32", count, [3 * LANES - i] + [0] * (LANES - 1))
    return case


def waits(form):
    """Before and after the last of 33 arrivals."""
    case = Case(form)
    case.since(71, 80)
    base, at, first = barrier(case, form, LANES + 1)
    parity = ".parity" in form.op
    state = case.new("b64")
    case.say(f"mbarrier.arrive.shared.b64 {state}, [{base}]")
    case.say("bar.sync 0")

    def test(name, phase, expected, hint=""):
        p = case.new("pred")
        case.say(f"{form.name} {p}, [{at}], {phase if parity else state}{hint}")
        case.store(name, "pred", p, [expected] * LANES)

    hint = ", 100" if "try_wait" in form.op else ""
    test("early", 0, 0)
    if parity:
        test("previous", 1, 1)
    case.say("bar.sync 0")
    case.say(f"@{first} mbarrier.arrive.shared.b64 _, [{base}]")
    case.say("bar.sync 0")
    test("late", 0, 1)
    test("again", 0, 1, hint)
    if parity:
        test("next", 1, 0, hint)
    return case


def bulk_load(form):
    """One thread asks for 512 bytes, all wait for them."""
    case = Case(form)
    case.since(80, 90)
    base, at, first = barrier(case, form, 1)
    values = words(form, 4 * LANES)
    case.input("a", "b32", values)
    source = case.pointer("a")
    cells = case.array("array", 16 * LANES)
    case.say("fence.proxy.async.shared::cta")
    if form.op == "mbarrier.expect_tx":
        case.say(f"@{first} {form.name} [{at}], 512")
        case.say(f"@{first} mbarrier.arrive.shared.b64 _, [{base}]")
    elif form.op == "mbarrier.arrive.expect_tx":
        case.say(f"@{first} {form.name} _, [{at}], 512")
    else:
        case.say(f"@{first} mbarrier.arrive.expect_tx.shared.b64 _, [{base}], 512")
    # The other forms' copy is the oldest one.
    copy = form.name if form.op == "cp.async.bulk" else "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes"
    size = case.new("b32")
    case.say(f"mov.u32 {size}, 512")
    case.say(f"@{first} {copy} [{cells}], [{source}], {size}, [{base}]")
    spin(case, "Wait", lambda p: f"mbarrier.try_wait.parity.shared.b64 {p}, [{base}], 0")
    read_own(case, "d", case.lane_address(cells, 16), values, 16)
    return case


def bulk_store(form):
    case = Case(form)
    case.since(80, 90)
    values = words(form, 4 * LANES)
    case.input("a", "b32", values)
    source = case.address("a", 16)
    cells = case.array("array", 16 * LANES)
    mine = case.lane_address(cells, 16)
    for i in range(4):
        reg = case.new("b32")
        case.say(f"ld.global.b32 {reg}, [{source}+{4 * i}]")
        case.say(f"st.shared.b32 [{mine}+{4 * i}], {reg}")
    case.say("fence.proxy.async.shared::cta")
    case.say("bar.sync 0")
    case.output("d", "b32", values)
    target = case.pointer("d")
    first = case.only_lane(0)
    size = case.new("b32")
    case.say(f"mov.u32 {size}, 512")
    case.say(f"@{first} cp.async.bulk.global.shared::cta.bulk_group [{target}], [{cells}], {size}")
    case.say(f"@{first} cp.async.bulk.commit_group")
    if form.has("read"):
        case.say(f"@{first} {form.name} 0")
    case.say(f"@{first} cp.async.bulk.wait_group 0")
    return case


def bulk_prefetch(form):
    case = Case(form)
    values = words(form, LANES)
    case.input("a", "b32", values)
    base = case.pointer("a")
    size = case.new("b32")
    case.say(f"mov.u32 {size}, 128")
    case.say(f"{form.name} [{base}], {size}")
    at, reg = case.new("b64"), case.new("b32")
    case.say(f"add.s64 {at}, {base}, {case.offset(4)}")
    case.say(f"ld.global.b32 {reg}, [{at}]")
    case.store("d", "b32", reg, values)
    return case
