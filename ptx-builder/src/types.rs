//! Scalar types, register classes and state spaces (PTX ISA 5.1, 5.2).

use std::fmt;

/// A fundamental or alternate scalar type, as written after an opcode.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[rustfmt::skip]
#[allow(missing_docs)] // the names are the PTX ISA's own
#[non_exhaustive]
pub enum ScalarType {
    Pred,
    B8, B16, B32, B64, B128,
    U8, U16, U32, U64,
    S8, S16, S32, S64,
    F16, F16x2, Bf16, Bf16x2, F32, F64,
    F32x2, Tf32, E4m3x2, E5m2x2, E2m3x2, E3m2x2, Ue8m0x2,
    E4m3x4, E5m2x4, E2m3x4, E3m2x4, E2m1x4,
    U16x2, S16x2,
}

/// The kind of a type's bits; it determines which registers an operand accepts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// A predicate.
    Pred,
    /// Untyped bits.
    Bits,
    /// An unsigned integer.
    Unsigned,
    /// A signed integer.
    Signed,
    /// A float, or a packed pair of floats or integers, of which there are no constants.
    Float,
}

impl ScalarType {
    /// Every type, in table order.
    #[rustfmt::skip]
    pub const ALL: [ScalarType; 34] = [
        Self::Pred, Self::B8, Self::B16, Self::B32, Self::B64, Self::B128,
        Self::U8, Self::U16, Self::U32, Self::U64, Self::S8, Self::S16, Self::S32, Self::S64,
        Self::F16, Self::F16x2, Self::Bf16, Self::Bf16x2, Self::F32, Self::F64,
        Self::F32x2, Self::Tf32, Self::E4m3x2, Self::E5m2x2, Self::E2m3x2, Self::E3m2x2, Self::Ue8m0x2,
        Self::E4m3x4, Self::E5m2x4, Self::E2m3x4, Self::E3m2x4, Self::E2m1x4,
        Self::U16x2, Self::S16x2,
    ];

    /// The type's name in PTX, without the dot.
    #[rustfmt::skip]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pred => "pred",
            Self::B8 => "b8", Self::B16 => "b16", Self::B32 => "b32", Self::B64 => "b64", Self::B128 => "b128",
            Self::U8 => "u8", Self::U16 => "u16", Self::U32 => "u32", Self::U64 => "u64",
            Self::S8 => "s8", Self::S16 => "s16", Self::S32 => "s32", Self::S64 => "s64",
            Self::F16 => "f16", Self::F16x2 => "f16x2", Self::Bf16 => "bf16", Self::Bf16x2 => "bf16x2",
            Self::F32 => "f32", Self::F64 => "f64", Self::F32x2 => "f32x2", Self::Tf32 => "tf32",
            Self::E4m3x2 => "e4m3x2", Self::E5m2x2 => "e5m2x2", Self::E2m3x2 => "e2m3x2", Self::E3m2x2 => "e3m2x2",
            Self::Ue8m0x2 => "ue8m0x2",
            Self::E4m3x4 => "e4m3x4", Self::E5m2x4 => "e5m2x4", Self::E2m3x4 => "e2m3x4", Self::E3m2x4 => "e3m2x4",
            Self::E2m1x4 => "e2m1x4", Self::U16x2 => "u16x2", Self::S16x2 => "s16x2",
        }
    }

    /// Size in bits; 1 for a predicate.
    pub const fn bits(self) -> u32 {
        match self {
            Self::Pred => 1,
            Self::B8 | Self::U8 | Self::S8 => 8,
            Self::B16 | Self::U16 | Self::S16 | Self::F16 | Self::Bf16 => 16,
            Self::E4m3x2 | Self::E5m2x2 | Self::E2m3x2 | Self::E3m2x2 | Self::Ue8m0x2 | Self::E2m1x4 => 16,
            Self::E4m3x4 | Self::E5m2x4 | Self::E2m3x4 | Self::E3m2x4 => 32,
            Self::U16x2 | Self::S16x2 => 32,
            Self::B32 | Self::U32 | Self::S32 | Self::F32 | Self::F16x2 | Self::Bf16x2 | Self::Tf32 => 32,
            Self::B64 | Self::U64 | Self::S64 | Self::F64 | Self::F32x2 => 64,
            Self::B128 => 128,
        }
    }

    /// Size in memory, in bytes; 0 for a predicate.
    pub const fn bytes(self) -> u32 {
        self.bits() / 8
    }

    /// The kind of its bits.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Pred => Kind::Pred,
            Self::B8 | Self::B16 | Self::B32 | Self::B64 | Self::B128 => Kind::Bits,
            Self::U8 | Self::U16 | Self::U32 | Self::U64 => Kind::Unsigned,
            // A pair as a whole has no sign.
            Self::U16x2 | Self::S16x2 => Kind::Unsigned,
            Self::S8 | Self::S16 | Self::S32 | Self::S64 => Kind::Signed,
            _ => Kind::Float,
        }
    }

    /// Whether this is a pair of integers of 16 bits in one register.
    pub const fn is_integer_pair(self) -> bool {
        matches!(self, Self::U16x2 | Self::S16x2)
    }

    /// Whether PTX can write constants of this type: not of floats of 16 bits and fewer, and not of pairs.
    pub const fn has_constants(self) -> bool {
        !self.is_integer_pair() && (!matches!(self.kind(), Kind::Float) || matches!(self, Self::F32 | Self::F64))
    }

    /// Whether this is a signed integer type.
    pub const fn is_signed(self) -> bool {
        matches!(self.kind(), Kind::Signed)
    }

    /// Whether variables may have this type (PTX ISA 5.2.1): alternate formats are types of instructions only.
    pub const fn is_fundamental(self) -> bool {
        !matches!(
            self,
            Self::Bf16
                | Self::Bf16x2
                | Self::F32x2
                | Self::Tf32
                | Self::E4m3x2
                | Self::E5m2x2
                | Self::E2m3x2
                | Self::E3m2x2
                | Self::Ue8m0x2
                | Self::E4m3x4
                | Self::E5m2x4
                | Self::E2m3x4
                | Self::E3m2x4
                | Self::E2m1x4
                | Self::U16x2
                | Self::S16x2
        )
    }

    /// The type with this PTX name (no dot).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.name() == name)
    }
}

impl fmt::Display for ScalarType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A register class. PTX checks operands only by size and float or not, so integers and 16-bit floats share the untyped
/// classes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum RegClass {
    /// Predicate, `%p`.
    Pred,
    /// 16 bits, `%h`: 8- and 16-bit integers, f16, bf16.
    B16,
    /// 32 bits, `%r`: 32-bit integers, f16x2, bf16x2.
    B32,
    /// 64 bits, `%rd`: 64-bit integers and addresses.
    B64,
    /// `%f`.
    F32,
    /// `%fd`.
    F64,
}

impl RegClass {
    /// Every class, in declaration order.
    pub const ALL: [RegClass; 6] = [Self::Pred, Self::B16, Self::B32, Self::B64, Self::F32, Self::F64];

    /// The type in a `.reg` declaration.
    pub const fn declared(self) -> ScalarType {
        match self {
            Self::Pred => ScalarType::Pred,
            Self::B16 => ScalarType::B16,
            Self::B32 => ScalarType::B32,
            Self::B64 => ScalarType::B64,
            Self::F32 => ScalarType::F32,
            Self::F64 => ScalarType::F64,
        }
    }

    /// The register name's prefix, with the percent sign.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Pred => "%p",
            Self::B16 => "%h",
            Self::B32 => "%r",
            Self::B64 => "%rd",
            Self::F32 => "%f",
            Self::F64 => "%fd",
        }
    }

    /// Size in bits; 1 for a predicate.
    pub const fn bits(self) -> u32 {
        self.declared().bits()
    }

    /// The class for values of type `ty`; `None` for `b128`.
    pub const fn of(ty: ScalarType) -> Option<RegClass> {
        Some(match ty {
            ScalarType::Pred => Self::Pred,
            ScalarType::F32 => Self::F32,
            ScalarType::F64 => Self::F64,
            ScalarType::B128 => return None,
            _ => match ty.bits() {
                8 | 16 => Self::B16,
                32 => Self::B32,
                _ => Self::B64,
            },
        })
    }

    /// Whether an operand of type `ty` may be a register of this class
    /// (PTX ISA 9.2). `relaxed` operands, those of loads, stores and
    /// conversions, may also be wider than the type (PTX ISA 9.4.1).
    pub fn accepts(self, ty: ScalarType, relaxed: bool) -> bool {
        let float_reg = matches!(self, Self::F32 | Self::F64);
        let pred = matches!(self, Self::Pred) || ty.kind() == Kind::Pred;
        if pred {
            return matches!(self, Self::Pred) && ty.kind() == Kind::Pred;
        }
        let fits = if relaxed || ty.bits() == 8 { self.bits() >= ty.bits() } else { self.bits() == ty.bits() };
        match ty.kind() {
            Kind::Bits => fits,
            // A float register contains one float, not a pair of halves.
            Kind::Float => fits && (!float_reg || self.declared() == ty),
            _ => fits && !float_reg,
        }
    }
}

/// A state space (PTX ISA 5.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Space {
    /// Any of global, shared, local or const, by address window.
    Generic,
    /// Device memory.
    Global,
    /// Shared memory of the block.
    Shared,
    /// Local memory of the thread.
    Local,
    /// Read-only constants, 64 KiB.
    Const,
    /// Kernel parameters.
    Param,
}

impl Space {
    /// The name in PTX, without the dot; empty for generic.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generic => "",
            Self::Global => "global",
            Self::Shared => "shared",
            Self::Local => "local",
            Self::Const => "const",
            Self::Param => "param",
        }
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Generic { "generic" } else { self.name() })
    }
}
