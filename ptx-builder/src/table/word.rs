//! The functions of forms on words of bits, for analyses of values.
//!
//! All of them use this: uniformity, ranges, addresses, the optimizer. A function that is not listed is
//! [`Word::Other`], about which they know nothing. A test compares each with what the interpreter computes, for every
//! form of the table (`table/tests.rs`).

use super::{Form, Meaning, Mod, Op};
use crate::types::{Kind, ScalarType};

/// An order, or equality, of two integers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)] // as they are called
pub enum Relation {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// A function of integers of [`Form::word_bits`] bits, which gives the form's one result.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Word {
    /// a.
    Copy,
    /// The low bits of a, of its type, extended by zeros or its sign.
    Resize {
        /// Whether by its sign.
        signed: bool,
    },
    /// a, an address, as the address of the same byte in another window.
    Rebase,
    /// Whether a, a generic address, lies in a window.
    InWindow,
    /// a + b, wrapping.
    Add,
    /// a - b, wrapping.
    Sub,
    /// The low half of a b.
    Mul,
    /// The full product of a and b.
    WideMul {
        /// Whether of signed numbers.
        signed: bool,
    },
    /// The low half of a b, plus c.
    Mad,
    /// The full product of a and b, plus c.
    WideMad {
        /// Whether of signed numbers.
        signed: bool,
    },
    /// a shifted left by b; 0 from the width on.
    Shl,
    /// a shifted right by b, filled with zeros or its sign; from the width on nothing else is left.
    Shr {
        /// Whether with its sign.
        signed: bool,
    },
    /// a / b towards zero.
    Div {
        /// Whether of signed numbers.
        signed: bool,
    },
    /// The remainder of a / b.
    Rem {
        /// Whether of signed numbers.
        signed: bool,
    },
    /// Bits in both.
    And,
    /// Bits in either.
    Or,
    /// Bits that differ.
    Xor,
    /// The minimum.
    Min {
        /// Of signed numbers.
        signed: bool,
    },
    /// The maximum.
    Max {
        /// Of signed numbers.
        signed: bool,
    },
    /// a where the predicate c holds, otherwise b.
    Select,
    /// The comparison of a and b.
    Compare {
        /// How.
        relation: Relation,
        /// Of signed numbers.
        signed: bool,
    },
    /// Another function of the sources, or none: any bit of a result may depend on any bit of any source.
    Other,
}

impl Form {
    /// The last type in the spelling: of what it moves or computes with; for conversions, the source's.
    pub(crate) fn last_type(&self) -> Option<ScalarType> {
        self.mods.iter().rev().find_map(|m| if let Mod::Ty(t) = m { Some(*t) } else { None })
    }

    /// The number of bits of the numbers in [`word`](Form::word): the sources', except c of a wide `mad`.
    pub fn word_bits(&self) -> u32 {
        self.last_type().map_or(64, ScalarType::bits)
    }

    /// What it computes of words of bits.
    pub fn word(&self) -> Word {
        let Meaning::Lane(_) = self.meaning else { return Word::Other };
        let signed = self.last_type().is_some_and(ScalarType::is_signed);
        let no_word = |m: &Mod| matches!(m, Mod::Ty(t) if t.kind() == Kind::Float || t.is_integer_pair());
        let plain = self.mods.len() == 1;
        match self.op {
            // Bits are copied and chosen whatever they represent.
            Op::Mov => Word::Copy,
            Op::Selp => Word::Select,
            Op::Isspacep => Word::InWindow,
            _ if self.mods.iter().any(no_word) => Word::Other,
            // With saturation, or a rounding of an integer, it is a different function.
            Op::Cvt if self.mods.len() == 2 => Word::Resize { signed },
            Op::Cvta => Word::Rebase,
            Op::Add if plain => Word::Add,
            Op::Sub if plain => Word::Sub,
            Op::Mul => match self.mods[0] {
                Mod::Lo => Word::Mul,
                Mod::Wide => Word::WideMul { signed },
                _ => Word::Other,
            },
            Op::Mad => match self.mods[0] {
                Mod::Lo if self.mods.len() == 2 => Word::Mad,
                Mod::Wide => Word::WideMad { signed },
                _ => Word::Other,
            },
            Op::Shl => Word::Shl,
            Op::Shr => Word::Shr { signed },
            Op::Div => Word::Div { signed },
            Op::Rem => Word::Rem { signed },
            Op::And => Word::And,
            Op::Or => Word::Or,
            Op::Xor => Word::Xor,
            Op::Min if plain => Word::Min { signed },
            Op::Max if plain => Word::Max { signed },
            Op::Setp => relation(self.mods[0]).map_or(Word::Other, |relation| Word::Compare { relation, signed }),
            Op::Cvt | Op::Add | Op::Sub | Op::Min | Op::Max => Word::Other,
            Op::Mul24
            | Op::Mad24
            | Op::Sad
            | Op::Abs
            | Op::Neg
            | Op::Popc
            | Op::Clz
            | Op::Brev
            | Op::Bfind
            | Op::Bfe
            | Op::Bfi
            | Op::Addc
            | Op::Subc
            | Op::Madc
            | Op::Min3
            | Op::Max3
            | Op::Vadd2
            | Op::Vsub2
            | Op::Vavrg2
            | Op::Vabsdiff2
            | Op::Vmin2
            | Op::Vmax2
            | Op::Vadd4
            | Op::Vsub4
            | Op::Vavrg4
            | Op::Vabsdiff4
            | Op::Vmin4
            | Op::Vmax4
            | Op::Mapa
            | Op::Getctarank
            | Op::CreatepolicyFractional
            | Op::CreatepolicyCvt
            | Op::Bmsk
            | Op::Fns
            | Op::Szext
            | Op::Dp4a
            | Op::Dp2a
            | Op::Not
            | Op::Cnot
            | Op::Lop3
            | Op::Shf
            | Op::Fma
            | Op::Rcp
            | Op::Sqrt
            | Op::Rsqrt
            | Op::Sin
            | Op::Cos
            | Op::Lg2
            | Op::Ex2
            | Op::Tanh
            | Op::Copysign
            | Op::Testp
            | Op::Set
            | Op::SetpBool
            | Op::Slct
            | Op::Pack
            | Op::Unpack
            | Op::Pack4
            | Op::Unpack4
            | Op::Prmt
            | Op::CvtPack
            | Op::CvtPackInt
            | Op::Lop3Bool
            | Op::Istypep
            | Op::Vset2
            | Op::Vset4
            | Op::Vadd
            | Op::Vsub
            | Op::Vabsdiff
            | Op::Vmin
            | Op::Vmax
            | Op::Vshl
            | Op::Vshr
            | Op::Vset
            | Op::Vmad
            | Op::MbarrierPendingCount => Word::Other,
            // These are no functions of a lane's sources.
            Op::Ld
            | Op::LdNc
            | Op::Ldu
            | Op::Applypriority
            | Op::Discard
            | Op::St
            | Op::Prefetch
            | Op::Prefetchu
            | Op::Atom
            | Op::Red
            | Op::CpAsync
            | Op::CpAsyncCommitGroup
            | Op::CpAsyncWaitGroup
            | Op::CpAsyncWaitAll
            | Op::CpAsyncMbarrierArrive
            | Op::CpAsyncBulk
            | Op::CpAsyncBulkPrefetch
            | Op::CpAsyncBulkCommitGroup
            | Op::CpAsyncBulkWaitGroup
            | Op::MbarrierInit
            | Op::MbarrierInval
            | Op::MbarrierArrive
            | Op::MbarrierArriveCount
            | Op::MbarrierArriveExpectTx
            | Op::MbarrierArriveDrop
            | Op::MbarrierArriveDropCount
            | Op::MbarrierArriveDropExpectTx
            | Op::MbarrierCompleteTx
            | Op::CreatepolicyRange
            | Op::Alloca
            | Op::Opaque
            | Op::Stacksave
            | Op::Stackrestore
            | Op::MbarrierExpectTx
            | Op::MbarrierTestWait
            | Op::MbarrierTryWait
            | Op::MbarrierTestWaitParity
            | Op::MbarrierTryWaitParity
            | Op::ShflSync
            | Op::VoteSync
            | Op::MatchSync
            | Op::ReduxSync
            | Op::Activemask
            | Op::ElectSync
            | Op::BarSync
            | Op::BarArrive
            | Op::BarRed
            | Op::BarRedCount
            | Op::BarWarpSync
            | Op::BarrierSync
            | Op::BarrierArrive
            | Op::BarrierRed
            | Op::BarrierRedCount
            | Op::BarrierClusterArrive
            | Op::BarrierClusterWait
            | Op::Membar
            | Op::Fence
            | Op::Bra
            | Op::Call
            | Op::Ret
            | Op::Exit
            | Op::Trap
            | Op::Brkpt
            | Op::Setmaxnreg
            | Op::Pmevent
            | Op::Nanosleep
            | Op::Griddepcontrol
            | Op::MmaSync
            | Op::MmaSp
            | Op::MmaSpOrdered
            | Op::Movmatrix
            | Op::WmmaLoadA
            | Op::WmmaLoadB
            | Op::WmmaLoadC
            | Op::WmmaStoreD
            | Op::WmmaMma
            | Op::WmmaMmaXor
            | Op::WmmaMmaAnd
            | Op::Ldmatrix
            | Op::Stmatrix
            | Op::MultimemRed
            | Op::MultimemLdReduce
            | Op::MultimemSt => Word::Other,
        }
    }
}

impl Word {
    /// Whether it depends on the position of windows, which depends on the machine.
    pub fn depends_on_machine(self) -> bool {
        matches!(self, Word::Rebase | Word::InWindow)
    }
}

/// The comparison of integers that a modifier names; those of floats alone are none.
fn relation(m: Mod) -> Option<Relation> {
    Some(match m {
        Mod::Eq => Relation::Eq,
        Mod::Ne => Relation::Ne,
        Mod::Lt | Mod::LoCmp => Relation::Lt,
        Mod::Le | Mod::Ls => Relation::Le,
        Mod::Gt | Mod::HiCmp => Relation::Gt,
        Mod::Ge | Mod::Hs => Relation::Ge,
        _ => return None,
    })
}

/// For tests: the functions, written in a different way from the table's.
#[cfg(test)]
impl Word {
    /// The result, of a type of `to` bits, from sources of `bits` bits; `None` if nothing is known about it.
    pub(crate) fn compute(self, bits: u32, to: u32, s: &[u64]) -> Option<u64> {
        let whole = |v: u64| i128::from(v) & ((1 << bits) - 1);
        let number = |v: u64, signed: bool| {
            let v = whole(v);
            if signed && v >> (bits - 1) & 1 == 1 { v - (1 << bits) } else { v }
        };
        let nth = |i: usize, signed: bool| s.get(i).map(|&v| number(v, signed));
        let (a, b) = (|signed| nth(0, signed), |signed| nth(1, signed));
        let value: i128 = match self {
            Word::Copy => a(false)?,
            Word::Resize { signed } => a(signed)?,
            Word::Add => a(false)? + b(false)?,
            Word::Sub => a(false)? - b(false)?,
            Word::Mul => (a(false)? as u128).wrapping_mul(b(false)? as u128) as i128,
            Word::WideMul { signed } => a(signed)? * b(signed)?,
            Word::Mad => (a(false)? as u128).wrapping_mul(b(false)? as u128).wrapping_add(*s.get(2)? as u128) as i128,
            Word::WideMad { signed } => a(signed)? * b(signed)? + i128::from(*s.get(2)?),
            Word::Shl => (a(false)? as u128).checked_shl(*s.get(1)? as u32).map_or(0, |v| v as i128),
            Word::Shr { signed } => a(signed)? >> (*s.get(1)?).min(127),
            Word::Div { signed } => b(signed).filter(|&b| b != 0).map(|b| a(signed).map(|a| a / b))??,
            Word::Rem { signed } => b(signed).filter(|&b| b != 0).map(|b| a(signed).map(|a| a % b))??,
            Word::And => a(false)? & b(false)?,
            Word::Or => a(false)? | b(false)?,
            Word::Xor => a(false)? ^ b(false)?,
            Word::Min { signed } => a(signed)?.min(b(signed)?),
            Word::Max { signed } => a(signed)?.max(b(signed)?),
            Word::Select => {
                if s.get(2)? & 1 == 1 {
                    a(false)?
                } else {
                    b(false)?
                }
            }
            Word::Compare { relation, signed } => {
                let (a, b) = (a(signed)?, b(signed)?);
                i128::from(match relation {
                    Relation::Eq => a == b,
                    Relation::Ne => a != b,
                    Relation::Lt => a < b,
                    Relation::Le => a <= b,
                    Relation::Gt => a > b,
                    Relation::Ge => a >= b,
                })
            }
            Word::Rebase | Word::InWindow | Word::Other => return None,
        };
        Some((value & ((1 << to) - 1)) as u64)
    }
}
