//! What is known of a value at generation time: which of its bits can differ
//! between lanes and between warps, its low bits, and what it points into.

use crate::ir::Symbol;

/// How far a value, or a decision, is the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Uniformity {
    /// In all threads of a block.
    Block,
    /// In all lanes of a warp; warps may differ.
    Warp,
    /// Lanes may differ.
    Divergent,
}

/// What an address starts from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Origin {
    /// A declared array.
    Symbol(Symbol),
    /// The pointer that a parameter brings, by the parameter's index.
    Pointer(u32),
}

/// What is known of a value. "May differ" errs on the side of differing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Value {
    /// Bits that may differ between lanes of a warp.
    pub lane_bits: u64,
    /// Bits that may differ between warps of a block, in the same lane.
    pub warp_bits: u64,
    /// What it points into.
    pub origin: Option<Origin>,
    /// How many low bits of the distance from the origin are known; 64: all.
    pub known: u8,
    /// Those bits, or the distance from the origin modulo 2^known.
    pub residue: u64,
    /// The origin's own address is a multiple of 2^align.
    pub align: u8,
}

/// The low `n` bits.
pub(crate) fn low(n: u32) -> u64 {
    if n >= 64 { u64::MAX } else { (1 << n) - 1 }
}

/// The lowest bit of `bits` and all above, within `width` bits: where a
/// difference in `bits` can carry to.
fn upward(bits: u64, width: u32) -> u64 {
    if bits == 0 { 0 } else { (u64::MAX << bits.trailing_zeros()) & low(width) }
}

impl Value {
    /// A constant.
    pub(super) fn constant(bits: u64) -> Value {
        Value { lane_bits: 0, warp_bits: 0, origin: None, known: 64, residue: bits, align: 64 }
    }

    /// Anything that is the same as far as `level` says.
    pub(super) fn unknown(level: Uniformity) -> Value {
        let lane_bits = if level == Uniformity::Divergent { u64::MAX } else { 0 };
        let warp_bits = if level == Uniformity::Block { 0 } else { u64::MAX };
        Value { lane_bits, warp_bits, ..Value::constant(0) }.known_to(0)
    }

    /// An address that starts at `origin`, which is a multiple of `align`.
    pub(super) fn address(origin: Origin, align: u32, offset: i64) -> Value {
        let align = align.max(1).trailing_zeros() as u8;
        Value { origin: Some(origin), align, ..Value::constant(offset as u64) }
    }

    /// The same with no more than `bits` low bits known.
    pub(super) fn known_to(mut self, bits: u32) -> Value {
        if u32::from(self.known) > bits {
            self.known = bits as u8;
        }
        self.residue &= low(u32::from(self.known));
        self
    }

    /// The same as a number: an origin leaves only its alignment.
    pub(crate) fn number(mut self) -> Value {
        if self.origin.take().is_some() {
            self = self.known_to(u32::from(self.align));
        }
        self.align = 64;
        self
    }

    /// How far it is the same.
    pub fn level(&self) -> Uniformity {
        if self.lane_bits != 0 {
            Uniformity::Divergent
        } else if self.warp_bits != 0 {
            Uniformity::Warp
        } else {
            Uniformity::Block
        }
    }

    /// The value, where it is one constant.
    pub fn as_constant(&self) -> Option<u64> {
        (self.known == 64 && self.origin.is_none()).then_some(self.residue)
    }

    /// For tests: the value modulo a power of two, where that is known.
    #[cfg(test)]
    pub fn modulo(&self, size: u64) -> Option<u64> {
        let bits = size.trailing_zeros() as u8;
        let number = self.number();
        (size.is_power_of_two() && number.known >= bits).then(|| number.residue & (size - 1))
    }

    /// The distance from the origin, where it is one constant.
    pub fn offset(&self) -> Option<i64> {
        (self.known == 64 && self.origin.is_some()).then_some(self.residue as i64)
    }

    /// What holds of both: the value where paths meet.
    pub(super) fn join(self, other: Value) -> Value {
        if self == other {
            return self;
        }
        let (mut a, mut b) = (self, other);
        if a.origin != b.origin {
            (a, b) = (a.number(), b.number());
        }
        let differ = (a.residue ^ b.residue).trailing_zeros();
        Value {
            lane_bits: a.lane_bits | b.lane_bits,
            warp_bits: a.warp_bits | b.warp_bits,
            origin: a.origin,
            align: a.align.min(b.align),
            ..a
        }
        .known_to(u32::from(a.known.min(b.known)).min(differ))
    }

    /// At least as different as `level`, as after a choice of that level.
    pub(super) fn at_least(mut self, level: Uniformity) -> Value {
        if level >= Uniformity::Warp {
            self.warp_bits = u64::MAX;
        }
        if level == Uniformity::Divergent {
            self.lane_bits = u64::MAX;
        }
        self
    }

    /// A result that depends on both in no known way.
    pub(super) fn mixed(self, other: Value, width: u32) -> Value {
        let spread = |a: u64, b: u64| if a | b == 0 { 0 } else { low(width) };
        let (lane_bits, warp_bits) = (spread(self.lane_bits, other.lane_bits), spread(self.warp_bits, other.warp_bits));
        Value { lane_bits, warp_bits, ..Value::constant(0) }.known_to(0)
    }

    /// Truncated to `width` bits.
    pub(super) fn truncated(self, width: u32) -> Value {
        let mut v = if width < 64 && self.origin.is_some() && width < 32 { self.number() } else { self };
        v.lane_bits &= low(width);
        v.warp_bits &= low(width);
        match v.known {
            64 => v.residue &= low(width),
            _ => v = v.known_to(width),
        }
        v
    }

    /// Truncated to `width` bits and sign-extended.
    pub(super) fn sign_extended(self, width: u32) -> Value {
        let v = self.truncated(width);
        let extend = |bits: u64| ((bits << (64 - width)) as i64 >> (64 - width)) as u64;
        let residue = if v.known == 64 { extend(v.residue) } else { v.residue };
        Value { lane_bits: extend(v.lane_bits), warp_bits: extend(v.warp_bits), residue, ..v }
    }

    /// The sum (or with `minus` the difference) in `width` bits.
    pub(super) fn plus(self, other: Value, minus: bool, width: u32) -> Value {
        let (a, mut b) = (self, other);
        if minus || a.origin.is_some() {
            // A difference of addresses is a number; of two origins neither survives.
            b = b.number();
        }
        let a = if minus && other.origin.is_some() || b.origin.is_some() { a.number() } else { a };
        let lone = |own: u64, v: Value| {
            let top = 64 - own.leading_zeros();
            u32::from(v.number().known) >= top && v.number().residue & low(top) == 0
        };
        let carry = |x: u64, y: u64| match (x, y) {
            (0, 0) => 0,
            (x, 0) if lone(x, b) => x,
            (0, y) if !minus && lone(y, a) => y,
            (x, y) => upward(x | y, width),
        };
        let (lane_bits, warp_bits) = (carry(a.lane_bits, b.lane_bits), carry(a.warp_bits, b.warp_bits));
        let known = a.known.min(b.known);
        let sum = if minus { a.residue.wrapping_sub(b.residue) } else { a.residue.wrapping_add(b.residue) };
        let origin = a.origin.or(b.origin);
        let sum = if origin.is_some() && width == 32 { sum as i32 as i64 as u64 } else { sum & low(width) };
        let known = if known == 64 { 64 } else { u32::from(known).min(width) };
        Value { lane_bits, warp_bits, origin, align: a.align.min(b.align), ..Value::constant(sum) }.known_to(known)
    }

    /// The product in `width` bits.
    pub(super) fn times(self, other: Value, width: u32) -> Value {
        let (a, b) = (self.number(), other.number());
        let zeros = |v: Value| if v.residue == 0 { u32::from(v.known) } else { v.residue.trailing_zeros() };
        let known = if a.known == 64 && b.known == 64 {
            64
        } else {
            let (ka, kb) = (u32::from(a.known), u32::from(b.known));
            let of = |k: u32, z: u32| if k == 64 { 64 } else { k + z };
            of(ka, zeros(b)).min(of(kb, zeros(a))).min(width)
        };
        let spread = |x: u64, y: u64| match (x, y) {
            (0, 0) => 0,
            (x, 0) => shifted_up(x, b, width),
            (0, y) => shifted_up(y, a, width),
            (x, y) => upward(x | y, width),
        };
        let (lane_bits, warp_bits) = (spread(a.lane_bits, b.lane_bits), spread(a.warp_bits, b.warp_bits));
        let residue = a.residue.wrapping_mul(b.residue) & low(width);
        Value { lane_bits, warp_bits, residue, ..Value::constant(0) }.known_to(known)
    }

    /// Shifted left by a constant.
    pub(super) fn shifted_left(self, by: u32, width: u32) -> Value {
        if by >= width {
            return Value::constant(0);
        }
        self.times(Value::constant(1 << by), width)
    }

    /// Shifted right by a constant, filled with zeros or (`signed`) the sign.
    pub(super) fn shifted_right(self, by: u32, width: u32, signed: bool) -> Value {
        let v = self.number();
        let v = if signed { v.sign_extended(width) } else { v.truncated(width) };
        let by = by.min(63);
        let shift = |bits: u64| if signed { (bits as i64 >> by) as u64 } else { bits >> by };
        let known = if v.known == 64 { 64 } else { u32::from(v.known).saturating_sub(by) };
        let residue = shift(v.residue);
        Value { lane_bits: shift(v.lane_bits), warp_bits: shift(v.warp_bits), residue, ..v }
            .known_to(known)
            .truncated(width)
    }

    /// The same address in another window, each of which starts at a multiple of 2^12.
    pub(super) fn rebased(self) -> Value {
        // What a window's start is added to may carry into what lies above.
        let carried = |bits: u64| bits | upward(bits & !low(32), 64);
        let (lane_bits, warp_bits) = (carried(self.lane_bits), carried(self.warp_bits));
        let v = Value { lane_bits, warp_bits, ..self };
        // An origin is the same in every window; a number is not.
        if v.origin.is_some() { v } else { v.known_to(12) }
    }

    /// Bitwise and.
    pub(super) fn and(self, other: Value, width: u32) -> Value {
        let rounds_down =
            |v: Value| v.as_constant().is_some_and(|m| (m | low(m.trailing_zeros())) & low(width) == low(width));
        let (first, second) = if self.as_constant().is_some() { (other, self) } else { (self, other) };
        if first.origin.is_some() && rounds_down(second) {
            return first.rounded_down(second.residue.trailing_zeros());
        }
        let (a, b) = (first.number(), second.number());
        let Some(mask) = b.as_constant() else {
            let mut both = a.join(b).known_to(u32::from(a.known.min(b.known)));
            both.residue = a.residue & b.residue & low(u32::from(both.known));
            return both.known_to(u32::from(a.known.min(b.known)));
        };
        if let Some(x) = a.as_constant() {
            return Value::constant(x & mask);
        }
        let settled = (low(u32::from(a.known)) | !mask).trailing_ones();
        let residue = a.residue & mask;
        let (lane_bits, warp_bits) = (a.lane_bits & mask, a.warp_bits & mask);
        Value { lane_bits, warp_bits, ..Value::constant(residue) }.known_to(settled)
    }

    /// An address rounded down to a multiple of 2^bits: it points into the same.
    fn rounded_down(self, bits: u32) -> Value {
        let clear = !low(bits);
        let known =
            if u32::from(self.align) >= bits && u32::from(self.known) >= bits { u32::from(self.known) } else { 0 };
        let (lane_bits, warp_bits) = (self.lane_bits & clear, self.warp_bits & clear);
        Value { lane_bits, warp_bits, residue: self.residue & clear, ..self }.known_to(known)
    }

    /// Bitwise or, exclusive or: bits stay in their places.
    pub(super) fn bitwise(self, other: Value, width: u32, op: fn(u64, u64) -> u64) -> Value {
        let (a, b) = (self.number(), other.number());
        let (lane_bits, warp_bits) = (a.lane_bits | b.lane_bits, a.warp_bits | b.warp_bits);
        let known = u32::from(a.known.min(b.known));
        let residue = op(a.residue, b.residue) & low(width);
        Value { lane_bits, warp_bits, residue, ..Value::constant(0) }.known_to(known)
    }
}

/// Where differences in `bits` of one factor go under the other, which is the
/// same in all lanes.
fn shifted_up(bits: u64, by: Value, width: u32) -> u64 {
    match by.as_constant() {
        Some(0) => 0,
        Some(c) if c.is_power_of_two() => (bits << c.trailing_zeros()) & low(width),
        Some(c) => upward(bits << c.trailing_zeros(), width),
        None if by.residue == 0 => upward(bits.checked_shl(u32::from(by.known)).unwrap_or(0), width),
        None => upward(bits, width),
    }
}
