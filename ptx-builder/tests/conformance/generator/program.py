"""Writes a case: the kernel that runs one form on every lane, and its data."""

from .forms import bits, register_class

PREFIX = {"pred": "%p", "b16": "%h", "b32": "%r", "b64": "%rd", "f32": "%f", "f64": "%fd"}
FIRST_PTX = {75: 63, 80: 70, 86: 71, 87: 74, 88: 90, 89: 78, 90: 78, 100: 86, 103: 88, 110: 90, 120: 87, 121: 88}


class Case:
    """A kernel in the making. Buffers are pointer parameters, in order."""

    def __init__(self, form, threads=32):
        self.form = form
        self.threads = threads
        self.data = []  # (what, name, type, values or None, tolerance words)
        self.params = []
        self.counts = {}
        self.body = []
        self.shared = []  # declarations in the kernel
        self.module = []  # declarations before it
        self.fails = None
        # Cases run on GPUs of these days.
        self.sm = max(form.sm, 75)
        self.ptx = max(form.ptx, 63)
        self.offsets = {}
        self.tid = self.new("b32")
        self.say(f"mov.u32 {self.tid}, %tid.x")

    def new(self, cls):
        """A new register of a class (or of the class of a type)."""
        cls = cls if cls in PREFIX else register_class(cls)
        n = self.counts.get(cls, 0)
        self.counts[cls] = n + 1
        return f"{PREFIX[cls]}{n}"

    def say(self, text):
        self.body.append(f"\t{text};")

    def label(self, name):
        self.body.append(f"{name}:")

    def since(self, ptx, sm):
        """The case needs at least these, beyond what its form does."""
        self.ptx = max(self.ptx, ptx)
        self.sm = max(self.sm, sm)

    # Buffers.

    def input(self, name, type, values):
        self.data.append(("in", name, type, list(values), ""))
        self.params.append(f"\t.param .u64 {name}")

    def output(self, name, type, expected, tolerance=""):
        self.data.append(("out", name, type, list(expected), tolerance))
        self.params.append(f"\t.param .u64 {name}")

    def inout(self, name, type, values, expected, tolerance=""):
        self.data.append(("in", name, type, list(values), ""))
        self.data.append(("out", name, type, list(expected), tolerance))
        self.params.append(f"\t.param .u64 {name}")

    def value(self, name, type, values, align):
        """A parameter passed by value, an array of bytes."""
        self.data.append(("value", name, type, list(values), ""))
        size = len(values) * bits(type) // 8
        self.params.append(f"\t.param .align {align} .b8 {name}[{size}]")

    def pointer(self, name):
        base = self.new("b64")
        self.say(f"ld.param.u64 {base}, [{name}]")
        return base

    def offset(self, stride):
        """A lane's offset into an array of elements of stride bytes, 64 bits."""
        if stride not in self.offsets:
            self.offsets[stride] = self.new("b64")
            self.say(f"mul.wide.u32 {self.offsets[stride]}, {self.tid}, {stride}")
        return self.offsets[stride]

    def address(self, name, stride):
        """The lane's own element's address."""
        base, offset, sum = self.pointer(name), self.offset(stride), self.new("b64")
        self.say(f"add.s64 {sum}, {base}, {offset}")
        return sum

    # A lane's values.

    def load(self, name, type, values):
        """An input buffer with a value for each lane, in a register."""
        if type == "pred":
            self.input(name, "b32", values)
            word, reg = self.new("b32"), self.new("pred")
            self.say(f"ld.global.b32 {word}, [{self.address(name, 4)}]")
            self.say(f"setp.ne.u32 {reg}, {word}, 0")
            return reg
        self.input(name, type, values)
        reg = self.new(register_class(type))
        size = bits(type)
        self.say(f"ld.global.b{size} {reg}, [{self.address(name, size // 8)}]")
        return reg

    def store(self, name, type, reg, expected, tolerance=""):
        """An output buffer with a value of each lane."""
        if type == "pred":
            word = self.new("b32")
            self.say(f"selp.u32 {word}, 1, 0, {reg}")
            self.output(name, "b32", expected)
            self.say(f"st.global.b32 [{self.address(name, 4)}], {word}")
            return
        self.output(name, type, expected, tolerance)
        size = bits(type)
        self.say(f"st.global.b{size} [{self.address(name, size // 8)}], {reg}")

    def only_lane(self, lane):
        """A predicate that holds in one thread."""
        reg = self.new("pred")
        self.say(f"setp.eq.u32 {reg}, {self.tid}, {lane}")
        return reg

    def array(self, name, size, space="shared", align=16):
        """An array of bytes of the kernel; gives its 32-bit address."""
        self.shared.append(f"\t.{space} .align {align} .b8 {name}[{size}];")
        reg = self.new("b32")
        self.say(f"mov.u32 {reg}, {name}")
        return reg

    def lane_address(self, base, stride):
        """The lane's own element in an array with a 32-bit address."""
        reg = self.new("b32")
        self.say(f"mad.lo.u32 {reg}, {self.tid}, {stride}, {base}")
        return reg

    # The file.

    def text(self):
        ptx = max(self.ptx, FIRST_PTX[self.sm], 80 if self.form.specific else 0)
        lines = [f"//@ form {self.form.name}"]
        if self.threads != 32:
            lines.append(f"//@ block {self.threads}")
        if self.fails:
            lines.append(f"//@ fails {self.fails}")
        for what, name, type, values, tolerance in self.data:
            lines.append(f"//@ {what} {name} {type} {tolerance}".rstrip())
            digits = max(bits(type) // 4, 1)
            words = compress([word(v, digits) for v in values])
            per_line = max(1, 112 // (digits + 1))
            for i in range(0, len(words), per_line):
                lines.append("//@   " + " ".join(words[i : i + per_line]))
        # A form of specific features has them on the first architecture with families.
        letter = "a" if self.form.specific else ""
        lines += [f".version {ptx // 10}.{ptx % 10}", f".target sm_{self.sm}{letter}", ".address_size 64", ""]
        lines += self.module
        lines.append(".visible .entry test(")
        lines.append(",\n".join(self.params))
        lines += [")", "{"]
        for cls, n in self.counts.items():
            lines.append(f"\t.reg .{cls} {PREFIX[cls]}<{n}>;")
        lines += self.shared + [""] + self.body + ["\tret;", "}", ""]
        return "\n".join(lines)


def word(value, digits):
    """A value in hexadecimal; a tuple lists what is allowed."""
    if isinstance(value, tuple):
        return "|".join(word(v, digits) for v in value)
    return f"{value:0{digits}x}"


def compress(words):
    """Runs of four and more equal words as word*count."""
    out, i = [], 0
    while i < len(words):
        j = i
        while j < len(words) and words[j] == words[i]:
            j += 1
        out += [f"{words[i]}*{j - i}"] if j - i > 3 else words[i:j]
        i = j
    return out
