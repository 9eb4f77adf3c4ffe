"""The table's forms as the dump gives them."""

import json
import re
from dataclasses import dataclass, field

TYPES = set(
    "pred b8 b16 b32 b64 b128 u8 u16 u32 u64 s8 s16 s32 s64 f16 f16x2 bf16 bf16x2 f32 f64"
    " u16x2 s16x2 f32x2 tf32 e4m3x2 e5m2x2 e2m3x2 e3m2x2 ue8m0x2".split()
)


@dataclass
class Slot:
    name: str
    shape: str
    type: str | None
    write: bool
    optional: bool
    len: int = 1
    space: str | None = None
    least: int = 0
    most: int = 0
    values: list = field(default_factory=list)


@dataclass
class Form:
    name: str
    op: str
    opcode: str
    mods: list
    slots: list
    meaning: str
    ptx: int
    sm: int
    specific: bool
    section: str

    def has(self, mod):
        return mod in self.mods

    @property
    def types(self):
        return [m for m in self.mods if m in TYPES]

    @property
    def rounding(self):
        """The rounding written, or the default, to nearest."""
        return next((m for m in self.mods if m in ("rn", "rz", "rm", "rp")), "rn")

    def first(self, options):
        """The first modifier out of some."""
        return next((m for m in self.mods if m in options), None)


def read(lines):
    forms = []
    for line in lines:
        fields = json.loads(line)
        fields["slots"] = [Slot(**slot) for slot in fields["slots"]]
        forms.append(Form(**fields))
    return forms


def bits(type):
    """A type's size in bits."""
    if type == "pred":
        return 1
    special = {"f32x2": 64, "tf32": 32, "e4m3x2": 16, "e5m2x2": 16, "e2m3x2": 16, "e3m2x2": 16, "ue8m0x2": 16}
    if type in special:
        return special[type]
    size = int(re.sub(r"x2$", "", re.sub(r"^[a-z]+", "", type)))
    return 32 if type.endswith("x2") else size


def register_class(type):
    """The class of register that holds a type, by its declared type."""
    if type in ("pred", "f32", "f64"):
        return type
    return {8: "b16", 16: "b16", 32: "b32", 64: "b64"}[bits(type)]


def signed(type, value):
    """The number that bits of a type mean."""
    size = bits(type)
    value &= (1 << size) - 1
    if type.startswith("s") and value >> (size - 1):
        value -= 1 << size
    return value


def mask(type):
    return (1 << bits(type)) - 1
