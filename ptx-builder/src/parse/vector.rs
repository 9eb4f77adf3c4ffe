//! Statements of vectors that stand for several: `mov.v4`, and accesses of 32 bytes.

use super::body::Body;
use super::error::ParseErrorKind;
use super::lex::{Fault, Pos};
use super::operand::{Arg, Argument};
use crate::ir::{Address, Base, Guard};
use crate::table::SpecialReg;

impl<'a> Body<'_, 'a> {
    /// `mov.v4.u32 {a, b, c, d}, %tid;` and `mov.v2` of registers: one for each element. Of a special register the fourth
    /// element is 0 (PTX ISA 10.1).
    pub(super) fn vector_mov(
        &mut self,
        name: &str,
        guard: Option<Guard>,
        args: &[Argument<'a>],
        at: Pos,
    ) -> Result<(), Fault> {
        let (len, one) = match name.strip_prefix("mov.v2.").map(|ty| (2, ty)) {
            Some(found) => found,
            None => (4, name.strip_prefix("mov.v4.").unwrap_or_default()),
        };
        let one = format!("mov.{one}");
        let elements = |arg: &Argument<'a>| -> Option<Vec<Argument<'a>>> {
            match &arg.arg {
                Arg::Vector(all) if all.len() == len => {
                    Some(all.iter().map(|e| Argument { name: None, ..e.clone() }).collect())
                }
                Arg::Specials if len == 4 => {
                    let axis = |axis: &str| SpecialReg::from_text(&format!("{}.{axis}", arg.text));
                    let three: Option<Vec<SpecialReg>> = ["x", "y", "z"].into_iter().map(axis).collect();
                    let zero = Arg::Int { negative: false, magnitude: 0 };
                    let all = three?.into_iter().map(Arg::Special).chain([zero]);
                    Some(all.map(|arg_| Argument { arg: arg_, name: None, ..arg.clone() }).collect())
                }
                _ => None,
            }
        };
        let ([to, from], true) = (args, len == 2 || len == 4) else {
            let what = format!("'{name}' of {} operands", args.len());
            return Err((at, ParseErrorKind::Unsupported { what, instead: "it takes two" }));
        };
        let vector = |arg: &Argument<'a>| {
            elements(arg).ok_or_else(|| {
                let what = format!("'{}' in '{name}'", arg.text);
                (arg.at, ParseErrorKind::Unsupported { what, instead: "give a vector of as many elements in braces" })
            })
        };
        let (to, from) = (vector(to)?, vector(from)?);
        // What is read is read before anything is written.
        let reads_later = |i: usize, e: &Argument<'a>| from[i + 1..].iter().any(|later| later.arg == e.arg);
        let mut after = Vec::new();
        for (i, (to, from)) in to.iter().zip(&from).enumerate() {
            let Arg::Reg(reg) = to.arg else {
                if to.arg == Arg::Sink {
                    continue;
                }
                let what = format!("'{}' as a result of '{name}'", to.text);
                return Err((at, ParseErrorKind::Unsupported { what, instead: "give a register or '_'" }));
            };
            let (target, last) = if reads_later(i, to) {
                let new = Argument { arg: Arg::Reg(self.pass_reg(reg.class)), ..to.clone() };
                (new.clone(), Some([to.clone(), new]))
            } else {
                (to.clone(), None)
            };
            self.written(&one, guard, &[target, from.clone()], at)?;
            after.extend(last);
        }
        for pair in after {
            self.written(&one, guard, &pair, at)?;
        }
        Ok(())
    }

    /// Accesses of 32 bytes (PTX 8.8, sm_100) as two of 16.
    pub(super) fn wide_access(
        &mut self,
        name: &str,
        guard: Option<Guard>,
        args: &[Argument<'a>],
        at: Pos,
    ) -> Result<bool, Fault> {
        let loads = name.starts_with("ld.");
        let (list, len) = match (args, loads) {
            ([Argument { arg: Arg::Vector(v), .. }, _], true) | ([_, Argument { arg: Arg::Vector(v), .. }], false) => {
                (v.clone(), v.len())
            }
            _ => return Ok(false),
        };
        let has = |m: &str| name.split('.').any(|w| w == m);
        let of_64 = ["b64", "u64", "s64", "f64"].iter().any(|ty| has(ty));
        if !(len == 8 && has("v8") || len == 4 && has("v4") && of_64) || has("shared") || has("local") || has("param") {
            return Ok(false);
        }
        if !self.parser.has_wide_accesses() {
            let what = format!("'{name}'");
            let instead = "accesses of 32 bytes need '.version 8.8' and '.target sm_100' or later";
            return Err((at, ParseErrorKind::Unsupported { what, instead }));
        }
        let half = if len == 8 { name.replacen(".v8", ".v4", 1) } else { name.replacen(".v4", ".v2", 1) };
        let bytes = if of_64 {
            8
        } else {
            name.rsplit('.').find_map(crate::types::ScalarType::from_name).map_or(4, |t| t.bytes())
        };
        let address = &args[usize::from(loads)];
        let Arg::Address(place) = address.arg else { return Ok(false) };
        // The second half is read where the first may have changed the address.
        let mut place = place;
        let changes = |e: &Argument<'_>| matches!((&e.arg, place.base), (Arg::Reg(r), Base::Reg(b)) if *r == b);
        let order = if loads && list[..len / 2].iter().any(changes) { [1, 0] } else { [0, 1] };
        if loads && order == [1, 0] && list[len / 2..].iter().any(changes) {
            return Ok(false);
        }
        let start = place.offset;
        for i in order {
            place.offset = start.saturating_add((i * len / 2) as i32 * bytes as i32);
            let part = list[i * len / 2..(i + 1) * len / 2].to_vec();
            let vector = Argument { arg: Arg::Vector(part), ..args[usize::from(!loads)].clone() };
            let address = Argument { arg: Arg::Address(Address { ..place }), ..address.clone() };
            let both = if loads { [vector, address] } else { [address, vector] };
            self.written(&half, guard, &both, at)?;
        }
        Ok(true)
    }
}
