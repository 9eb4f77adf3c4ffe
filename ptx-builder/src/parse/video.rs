//! Parts of words as operands of video instructions (PTX ISA 9.7.19): `%r1.b3`, `%r1.h0`, `%r1.h13`, `%r1.b7654`.
//!
//! They stand for instructions before and after, which is what is kept: a part of a source is cut out first, and a part of
//! the result is put into c afterwards.

use super::body::Body;
use super::error::ParseErrorKind;
use super::lex::{Fault, Pos};
use super::operand::{Arg, Argument};
use crate::ir::{Guard, Operand, Reg};
use crate::table::{Mod, Op};
use crate::types::{RegClass, ScalarType};

/// Which bytes of two words, the second above the first, four of them for `prmt`, lowest first: from `.h13` or `.b7654`.
fn bytes(selector: &str, size: u32) -> Option<u64> {
    let digits = || selector.bytes().skip(1).rev().map(|d| u64::from(d - b'0'));
    let (parts, most) = (32 / size, 64 / u64::from(size));
    if digits().count() != parts as usize || digits().any(|d| d >= most) {
        return None;
    }
    Some(if size == 8 {
        digits().enumerate().fold(0, |all, (i, d)| all | d << (4 * i))
    } else {
        digits().enumerate().fold(0, |all, (i, d)| all | (((2 * d) | ((2 * d + 1) << 4)) << (8 * i)))
    })
}

/// The bits of the parts that a mask names, `.h1` or `.b320`: each once, from the highest down.
fn masked(mask: &str, size: u32) -> Option<u32> {
    let digits: Vec<u32> = mask.bytes().skip(1).map(|d| u32::from(d - b'0')).collect();
    let falls = digits.windows(2).all(|pair| pair[0] > pair[1]);
    let part = u32::MAX >> (32 - size);
    (falls && digits.iter().all(|&d| d < 32 / size)).then(|| digits.iter().fold(0, |all, d| all | part << (d * size)))
}

const B32: ScalarType = ScalarType::B32;

impl<'a> Body<'_, 'a> {
    /// A video instruction with parts of words; others are left as they are.
    pub(super) fn video(
        &mut self,
        name: &str,
        guard: Option<Guard>,
        args: &[Argument<'a>],
        at: Pos,
    ) -> Result<bool, Fault> {
        let selected = |arg: &&Argument<'_>| matches!(arg.arg, Arg::Part(..));
        let Some(first) = args.iter().find(selected) else { return Ok(false) };
        let mut words = name.split('.');
        let op = words.next().unwrap_or_default();
        let types: Vec<&str> = words.filter(|w| matches!(*w, "u32" | "s32")).collect();
        let is_video = op.starts_with('v') && op != "vote" && types.len() >= 2 && args.len() >= 3;
        if !is_video || args[3..].iter().any(|arg| selected(&arg)) {
            let what = format!("'{}', a part of a register,", first.text);
            let instead = "only a, b and d of video instructions can be parts";
            return Err((first.at, ParseErrorKind::Unsupported { what, instead }));
        }
        match op.as_bytes().last() {
            Some(b'2') => self.parts(name, 16, guard, args, at),
            Some(b'4') => self.parts(name, 8, guard, args, at),
            _ => self.one_part(name, &types, guard, args, at),
        }
        .map(|()| true)
    }

    fn cannot_select(&self, arg: &Argument<'_>, instead: &'static str) -> Fault {
        (arg.at, ParseErrorKind::Unsupported { what: format!("the selector of '{}'", arg.text), instead })
    }

    /// A register of the part's word, `to`, in place of an argument.
    fn instead(arg: &Argument<'a>, to: Reg) -> Argument<'a> {
        Argument { arg: Arg::Reg(to), name: None, ..arg.clone() }
    }

    /// The operand that an argument is, of 32 bits.
    fn word(&self, arg: &Argument<'_>) -> Result<Operand, Fault> {
        match arg.arg {
            Arg::Reg(reg) => Ok(Operand::Reg(reg)),
            Arg::Int { negative, magnitude } => {
                let bits = if negative { magnitude.wrapping_neg() } else { magnitude };
                Ok(Operand::Imm(bits & 0xffff_ffff))
            }
            _ => Err(self.cannot_select(arg, "give a register or an integer")),
        }
    }

    /// One operation of words, of which a byte or half is taken or given.
    fn one_part(
        &mut self,
        name: &str,
        types: &[&str],
        guard: Option<Guard>,
        args: &[Argument<'a>],
        at: Pos,
    ) -> Result<(), Fault> {
        let place = |selector: &str| match selector {
            "b0" | "b1" | "b2" | "b3" => Some((u64::from(selector.as_bytes()[1] - b'0') * 8, 8u64)),
            "h0" | "h1" => Some((u64::from(selector.as_bytes()[1] - b'0') * 16, 16)),
            _ => None,
        };
        let allowed = "it is one of .b0 to .b3, .h0 and .h1";
        let mut all: Vec<Argument<'a>> = args.to_vec();
        for (n, arg) in args.iter().enumerate().take(3).skip(1) {
            let Arg::Part(word, selector) = &arg.arg else { continue };
            let (from, len) = place(selector).ok_or_else(|| self.cannot_select(arg, allowed))?;
            let to = self.pass_reg(RegClass::B32);
            let named = (types.len() + n).checked_sub(3).and_then(|i| types.get(i));
            let ty = if named.is_some_and(|ty| *ty == "s32") { ScalarType::S32 } else { ScalarType::U32 };
            let operands = [Operand::Reg(to), Operand::Reg(*word), Operand::Imm(from), Operand::Imm(len)];
            self.step(Op::Bfe, &[Mod::Ty(ty)], guard, &operands, at);
            all[n] = Self::instead(arg, to);
        }
        let Arg::Part(d, selector) = &args[0].arg else { return self.written(name, guard, &all, at) };
        let (from, len) = place(selector).ok_or_else(|| self.cannot_select(&args[0], allowed))?;
        if args.len() != 4 || name.split('.').any(|m| matches!(m, "add" | "min" | "max")) {
            return Err(self.cannot_select(&args[0], "it puts a part into c, so that there is no second operation"));
        }
        let c = self.word(&args[3])?;
        let value = self.pass_reg(RegClass::B32);
        all.truncate(3);
        all[0] = Self::instead(&args[0], value);
        self.written(name, guard, &all, at)?;
        // The part has a narrower range.
        if name.split('.').any(|m| m == "sat") {
            let signed = types.first() == Some(&"s32");
            let (ty, least, most) = if signed {
                (ScalarType::S32, (-(1i64 << (len - 1))) as u64 & 0xffff_ffff, (1 << (len - 1)) - 1)
            } else {
                (ScalarType::U32, 0, (1 << len) - 1)
            };
            for (op, bound) in [(Op::Max, least), (Op::Min, most)] {
                let operands = [Operand::Reg(value), Operand::Reg(value), Operand::Imm(bound)];
                self.step(op, &[Mod::Ty(ty)], guard, &operands, at);
            }
        }
        let operands = [Operand::Reg(*d), Operand::Reg(value), c, Operand::Imm(from), Operand::Imm(len)];
        self.step(Op::Bfi, &[Mod::Ty(B32)], guard, &operands, at);
        Ok(())
    }

    /// An operation of halves or bytes, which are chosen out of both sources.
    fn parts(
        &mut self,
        name: &str,
        size: u32,
        guard: Option<Guard>,
        args: &[Argument<'a>],
        at: Pos,
    ) -> Result<(), Fault> {
        let plain = |arg: &Argument<'_>| match &arg.arg {
            Arg::Part(reg, _) | Arg::Reg(reg) => Some(*reg),
            _ => None,
        };
        let registers = "give registers";
        let source = |n: usize| plain(&args[n]).ok_or_else(|| self.cannot_select(&args[n], registers));
        let both = [source(1)?, source(2)?];
        let mut all: Vec<Argument<'a>> = args.to_vec();
        let mut sources = both;
        for n in 1..3 {
            let Arg::Part(_, selector) = &args[n].arg else { continue };
            let allowed = "it names two halves, .h00 to .h33, or four bytes, .b0000 to .b7777, of a and b";
            let bytes = bytes(selector, size).ok_or_else(|| self.cannot_select(&args[n], allowed))?;
            let to = self.pass_reg(RegClass::B32);
            let operands = [Operand::Reg(to), Operand::Reg(both[0]), Operand::Reg(both[1]), Operand::Imm(bytes)];
            self.step(Op::Prmt, &[Mod::Ty(B32)], guard, &operands, at);
            sources[n - 1] = to;
            all[n] = Self::instead(&args[n], to);
        }
        let Arg::Part(d, mask) = &args[0].arg else { return self.written(name, guard, &all, at) };
        let allowed = "it names the parts that are computed, the highest first: .h1, .b310";
        let mask = masked(mask, size).ok_or_else(|| self.cannot_select(&args[0], allowed))?;
        let value = self.pass_reg(RegClass::B32);
        all[0] = Self::instead(&args[0], if name.ends_with(".add") { *d } else { value });
        if !name.ends_with(".add") {
            let c = args.get(3).map(|arg| self.word(arg)).transpose()?.unwrap_or(Operand::Imm(0));
            self.written(name, guard, &all, at)?;
            let picks = (0..4).fold(0, |all, i| all | (i + if mask >> (8 * i) & 1 == 1 { 0 } else { 4 }) << (4 * i));
            let operands = [Operand::Reg(*d), Operand::Reg(value), c, Operand::Imm(picks)];
            self.step(Op::Prmt, &[Mod::Ty(B32)], guard, &operands, at);
            return Ok(());
        }
        // What the mask leaves out adds nothing: its parts are 0, or such that a comparison does not hold.
        let ones = if size == 16 { 0x0001_0001 } else { 0x0101_0101 };
        let has = |m: &str| name.split('.').any(|w| w == m);
        let fill = [has("le"), has("eq") || has("ge")];
        for n in 1..3 {
            let to = self.pass_reg(RegClass::B32);
            let operands = [Operand::Reg(to), Operand::Reg(sources[n - 1]), Operand::Imm(mask.into())];
            self.step(Op::And, &[Mod::Ty(B32)], guard, &operands, at);
            if fill[n - 1] {
                let operands = [Operand::Reg(to), Operand::Reg(to), Operand::Imm((ones & !mask).into())];
                self.step(Op::Or, &[Mod::Ty(B32)], guard, &operands, at);
            }
            all[n] = Self::instead(&args[n], to);
        }
        self.written(name, guard, &all, at)
    }
}
