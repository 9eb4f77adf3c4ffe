//! Where bits of sources are in a result.

use smallvec::SmallVec;

use super::content::{Byte, Content, Value};
use super::transfer::{Source, Values, any_computed, joined};
use super::{Contents, Loss};
use crate::analysis::InstId;
use crate::ir::{Inst, Operand};
use crate::table::{LaneFn, Lanes, Meaning, WARP};
use crate::types::RegClass;

/// Bytes of a register of a class.
pub(super) fn width(class: RegClass) -> usize {
    class.bits().div_ceil(8) as usize
}

/// Where a bit of a result comes from: nowhere (always the same), or a bit of a source, inverted or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bit {
    Fixed(bool),
    From { source: usize, bit: u32, inverted: bool },
    Mixed,
}

/// What the bits of sources are tried with: none, all, and some without an order.
const PATTERNS: [u64; 6] = {
    const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
    [
        0,
        u64::MAX,
        SEED.wrapping_mul(2).rotate_left(14),
        SEED.wrapping_mul(3).rotate_left(21),
        SEED.wrapping_mul(4).rotate_left(28),
        SEED.wrapping_mul(5).rotate_left(35),
    ]
};

/// How each bit of a one-result function depends on `free` bits of its sources (a mask for each),
/// the others being as in `fixed`. What depends on several bits, or on one in another way under
/// other values of the rest, is mixed.
fn trace(eval: LaneFn, fixed: &[u64], free: &[u64]) -> [Bit; 64] {
    let all: Vec<(usize, u32)> =
        (0..free.len()).flat_map(|s| (0..64).filter(move |b| free[s] >> b & 1 == 1).map(move |b| (s, b))).collect();
    let run = |flipped: Option<(usize, u32)>, base: &[u64]| -> Vec<u64> {
        let mut inputs = base.to_vec();
        if let Some((s, b)) = flipped {
            inputs[s] ^= 1 << b;
        }
        inputs
    };
    let mut bits: Option<[Bit; 64]> = None;
    for pattern in PATTERNS {
        let base: Vec<u64> = (fixed.iter().zip(free))
            .enumerate()
            .map(|(s, (fixed, free))| fixed | pattern.rotate_left(13 * s as u32) & free)
            .collect();
        let plain = lanes(eval, &[run(None, &base)])[0];
        let mut now: [Bit; 64] = std::array::from_fn(|r| Bit::Fixed(plain >> r & 1 == 1));
        let flips: Vec<Vec<u64>> = all.iter().map(|&at| run(Some(at), &base)).collect();
        for (chunk, places) in flips.chunks(WARP).zip(all.chunks(WARP)) {
            for (result, &(source, bit)) in lanes(eval, chunk).into_iter().zip(places) {
                for (r, now) in now.iter_mut().enumerate() {
                    if (result ^ plain) >> r & 1 == 1 {
                        let inverted = (base[source] >> bit ^ plain >> r) & 1 == 1;
                        *now = match *now {
                            Bit::Fixed(_) => Bit::From { source, bit, inverted },
                            Bit::From { .. } | Bit::Mixed => Bit::Mixed,
                        };
                    }
                }
            }
        }
        match &mut bits {
            None => bits = Some(now),
            Some(bits) => {
                bits.iter_mut().zip(now).filter(|(old, now)| **old != *now).for_each(|(old, _)| *old = Bit::Mixed);
            }
        }
    }
    bits.unwrap_or([Bit::Mixed; 64])
}

/// The function's result for up to [`WARP`] rows of inputs.
fn lanes(eval: LaneFn, rows: &[Vec<u64>]) -> SmallVec<[u64; WARP]> {
    let sources = rows.first().map_or(0, Vec::len);
    let mut inputs: Vec<Lanes> = vec![[0; WARP]; sources];
    for (lane, row) in rows.iter().enumerate() {
        row.iter().zip(&mut inputs).for_each(|(value, input)| input[lane] = *value);
    }
    let mut results = [[0; WARP]];
    eval(&mut results, &inputs);
    results[0][..rows.len()].iter().copied().collect()
}

/// The byte that eight bits of a result are.
fn byte(bits: &[Bit], sources: &[[Byte; 8]]) -> Byte {
    let mut value = 0;
    let mut from: Option<(usize, u32)> = None;
    let (mut flip, mut fixed) = (0, false);
    for (i, bit) in bits.iter().enumerate() {
        match *bit {
            Bit::Mixed => return Byte::Lost,
            Bit::Fixed(on) => {
                value |= u8::from(on) << i;
                fixed = true;
            }
            Bit::From { source, bit, inverted } => {
                let computed = sources[source][bit as usize / 8].is_computed();
                // Bits of what was not computed may come from anywhere.
                let place = if computed { (source, bit.wrapping_sub(i as u32)) } else { (usize::MAX, 0) };
                if *from.get_or_insert(place) != place {
                    return Byte::Lost;
                }
                flip |= u8::from(inverted) << i;
            }
        }
    }
    match from {
        None => Byte::Const(value),
        Some((usize::MAX, _)) => Byte::Plain,
        Some((source, first)) if !fixed && first % 8 == 0 => match sources[source][first as usize / 8] {
            Byte::Of { id, at, flip: old } => Byte::Of { id, at, flip: old ^ flip },
            Byte::Plain | Byte::Const(_) | Byte::Lost => Byte::Lost,
        },
        Some(_) => Byte::Lost,
    }
}

impl Contents<'_, '_> {
    /// The value of a source, if it is one constant.
    fn constant(&self, id: InstId, source: &Source) -> Option<u64> {
        match source.operand {
            Operand::Imm(bits) => Some(bits),
            Operand::Reg(_) if source.value.content == Content::Plain => {
                let flow = self.flow;
                flow.info.operand(flow.module, flow.kernel, id, &source.operand).as_constant()
            }
            _ => None,
        }
    }

    /// How the bits of a result depend on those of the sources, whose bytes these are.
    fn traced(&self, inst: &Inst, bytes: &[[Byte; 8]]) -> Option<[Bit; 64]> {
        let Meaning::Lane(eval) = inst.form().meaning else { return None };
        let fixed = |bytes: &[Byte; 8]| u64::from_le_bytes(bytes.map(|b| if let Byte::Const(c) = b { c } else { 0 }));
        let free = |bytes: &[Byte; 8]| {
            u64::from_le_bytes(bytes.map(|b| if matches!(b, Byte::Const(_)) { 0 } else { u8::MAX }))
        };
        let fixed: Vec<u64> = bytes.iter().map(fixed).collect();
        let free: Vec<u64> = bytes.iter().map(free).collect();
        Some(trace(eval, &fixed, &free))
    }

    /// Moves bytes of computed floats about, if that is all that an instruction does to them.
    pub(super) fn bytes_moved(&mut self, id: InstId, inst: &Inst, sources: &[Source]) -> Result<Value, Loss> {
        let own = self.own(id, 0);
        let Some(class) = inst.defs().next().map(|r| r.class) else { return Err(Loss::Bits) };
        let mut bytes: SmallVec<[[Byte; 8]; 4]> = SmallVec::new();
        for source in sources {
            let constant = self.constant(id, source);
            let mut all = self.names.bytes(source.value, constant);
            // Registers hold their values zero-extended.
            let held = match source.operand {
                Operand::Reg(r) => width(r.class),
                _ => 8,
            };
            all[held..].fill(Byte::Const(0));
            bytes.push(all);
        }
        let bits = self.traced(inst, &bytes).ok_or(Loss::Bits)?;
        let mut result: [Byte; 8] = std::array::from_fn(|i| byte(&bits[8 * i..8 * i + 8], &bytes));
        // A wider register is filled with the sign of a signed result (PTX ISA 9.4.1).
        let ty = inst.form().slots.first().and_then(crate::table::Slot::ty);
        if let Some(ty) = ty.filter(|ty| ty.is_signed() && (ty.bytes() as usize) < width(class)) {
            result[ty.bytes() as usize..].fill(Byte::Lost);
        }
        let value = self.names.value(result, width(class), own);
        if value.content == Content::Lost { Err(Loss::Bits) } else { Ok(value) }
    }

    /// Whether a shift by a constant puts an integer where a float has its exponent (in an f64, of its high half).
    pub(super) fn shifts_into_exponent(&self, id: InstId, inst: &Inst, sources: &[Source]) -> bool {
        let bytes: Vec<[Byte; 8]> = (sources.iter())
            .map(|s| self.constant(id, s).map_or([Byte::Plain; 8], |c| c.to_le_bytes().map(Byte::Const)))
            .collect();
        self.traced(inst, &bytes).is_some_and(|bits| {
            let first = |r: usize| bits[r] == Bit::From { source: 0, bit: 0, inverted: false };
            [20, 23].into_iter().any(|r| first(r) && bits[..r].iter().all(|b| *b == Bit::Fixed(false)))
        })
    }

    /// Several registers side by side.
    pub(super) fn pack(&mut self, id: InstId, inst: &Inst, sources: &[Source]) -> Result<Value, Loss> {
        let own = self.own(id, 0);
        let Some(class) = inst.defs().next().map(|r| r.class) else { return Err(Loss::Unknown) };
        if let [Source { value: Value { content: Content::Plain, .. }, .. }, high] = sources
            && high.value.content == Content::Power
        {
            return Ok(Value { content: Content::Power, id: own });
        }
        if !any_computed(sources) {
            return Ok(Value { content: joined(sources), id: own });
        }
        if sources.iter().all(|s| s.value.content == Content::Half) {
            return Ok(Value { content: Content::Half, id: own });
        }
        let part = width(class) / sources.len().max(1);
        let mut bytes = [Byte::Plain; 8];
        for (n, source) in sources.iter().enumerate() {
            let constant = self.constant(id, source);
            let of = self.names.bytes(source.value, constant);
            bytes[n * part..(n + 1) * part].copy_from_slice(&of[..part]);
        }
        let value = self.names.value(bytes, width(class), own);
        if value.content == Content::Lost { Err(Loss::Joined) } else { Ok(value) }
    }

    /// A register's parts.
    pub(super) fn unpack(&mut self, id: InstId, inst: &Inst, sources: &[Source]) -> Result<Values, Loss> {
        let (Some(source), Some((slot, _))) = (sources.first(), inst.slots().next()) else {
            return Err(Loss::Unknown);
        };
        let count = slot.width();
        let split = matches!(source.value.content, Content::Whole(_) | Content::Bytes(_));
        let bytes = self.names.bytes(source.value, None);
        // Of a constant, no part was computed.
        let part = match source.operand {
            Operand::Reg(r) if split => Some(width(r.class) / count),
            _ => None,
        };
        // Unused parts have no result, so results are identified by their places.
        let places = inst.operands.iter().take(count).enumerate().filter(|(_, op)| matches!(op, Operand::Reg(_)));
        let mut values = Values::new();
        for (result, (place, _)) in places.enumerate() {
            let own = self.own(id, result);
            values.push(match part {
                None => Value { content: source.value.content, id: own },
                Some(part) => {
                    let mut of = [Byte::Plain; 8];
                    of[..part].copy_from_slice(&bytes[place * part..(place + 1) * part]);
                    self.names.value(of, part, own)
                }
            });
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::table;

    fn eval(name: &str) -> LaneFn {
        match table().named(name)[0].get().meaning {
            Meaning::Lane(eval) => eval,
            _ => panic!("{name} is computed lane by lane"),
        }
    }

    const WORD: u64 = 0xffff_ffff;

    /// What a traced function gives is what it computes, for functions that only move bits.
    #[test]
    fn bits_are_traced_to_where_they_come_from() {
        let cases: &[(&str, [u64; 3], [u64; 3])] = &[
            ("shl.b32", [0, 7, 0], [WORD, 0, 0]),
            ("shr.u64", [0, 33, 0], [u64::MAX, 0, 0]),
            ("shr.s32", [0, 9, 0], [WORD, 0, 0]),
            ("prmt.b32", [0, 0, 0x9261], [WORD, WORD, 0]),
            ("shf.l.wrap.b32", [0, 0, 11], [WORD, WORD, 0]),
            ("xor.b32", [0, 0x8000_1234, 0], [WORD, 0, 0]),
            ("and.b32", [0, 0x0f0f_ff00, 0], [WORD, 0, 0]),
            ("or.b32", [0, 0, 0], [0xffff, 0xffff_0000, 0]),
            ("not.b32", [0, 0, 0], [WORD, 0, 0]),
        ];
        let mut seed = 1u64;
        for (name, fixed, free) in cases {
            let bits = trace(eval(name), fixed, free);
            for _ in 0..50 {
                let mut inputs = *fixed;
                for (input, free) in inputs.iter_mut().zip(free) {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    *input |= (seed >> 7) & free;
                }
                let expected = lanes(eval(name), &[inputs.to_vec()])[0];
                for (r, bit) in bits.iter().enumerate() {
                    let found = match *bit {
                        Bit::Fixed(on) => u64::from(on),
                        Bit::From { source, bit, inverted } => inputs[source] >> bit & 1 ^ u64::from(inverted),
                        Bit::Mixed => panic!("{name}: bit {r} is mixed"),
                    };
                    assert_eq!(found, expected >> r & 1, "{name}: bit {r}");
                }
            }
        }
    }

    /// What depends on more than one bit is not a copy of one.
    #[test]
    fn bits_of_several_are_mixed() {
        let both: &[(&str, [u64; 3], [u64; 3])] = &[
            ("and.b32", [0; 3], [WORD, WORD, 0]),
            ("xor.b32", [0; 3], [WORD, WORD, 0]),
            ("or.b32", [0; 3], [WORD, WORD, 0]),
            ("add.u32", [0, 1, 0], [WORD, 0, 0]),
            ("shl.b32", [0; 3], [WORD, 31, 0]),
            ("prmt.b32", [0; 3], [WORD, WORD, 0xffff]),
        ];
        for (name, fixed, free) in both {
            let bits = trace(eval(name), fixed, free);
            assert!(bits[3..32].contains(&Bit::Mixed), "{name}");
        }
    }
}
