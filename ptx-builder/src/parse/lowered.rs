//! Statements that represent several instructions, or for another one.

use std::borrow::Cow;

use super::body::Body;
use super::error::ParseErrorKind;
use super::kernel::RETURN;
use super::lex::{Fault, Pos};
use super::operand::{Arg, Argument};
use super::select;
use crate::ir::{Address, Base, Guard, Inst, Operand, Reg};
use crate::table::{Mod, Op, table};
use crate::types::{RegClass, ScalarType};

/// The modifier of accesses with a cache policy.
const CACHE_HINT: &str = ".L2::cache_hint";

/// A load or store without what is said of caches, which are hints: the table has those that compilers write, not every
/// one with every type and space. None where they do not go together, or there are none.
fn without_hints(name: &str) -> Option<String> {
    let words: Vec<&str> = name.split('.').collect();
    let has = |word: &str| words.contains(&word);
    let is_operator = |w: &str| match words[0] {
        "ld" => matches!(w, "ca" | "cg" | "cs" | "lu" | "cv"),
        _ => matches!(w, "wb" | "cg" | "cs" | "wt"),
    };
    let first_level = |w: &str| w.starts_with("L1::evict_") || w == "L1::no_allocate";
    let second_level = |w: &str| matches!(w, "L2::evict_first" | "L2::evict_last" | "L2::evict_normal");
    let prefetch = |w: &str| words[0] == "ld" && matches!(w, "L2::64B" | "L2::128B" | "L2::256B");
    let wide = has("v8") || has("v4") && ["b64", "u64", "s64", "f64"].iter().any(|ty| has(ty));
    let count = |is: &dyn Fn(&str) -> bool| words.iter().filter(|w| is(w)).count();
    let global = !words.iter().any(|w| w.starts_with("shared") || matches!(*w, "local" | "const" | "param"));
    let [operators, first, second, ahead] =
        [count(&is_operator), count(&first_level), count(&second_level), count(&prefetch)];
    let known = operators <= 1 && first <= 1 && second <= 1 && ahead <= 1;
    let fits = !(operators > 0 && first > 0) && (global || first + second + ahead == 0) && (second == 0 || wide);
    if !known || !fits || operators + first + second + ahead == 0 {
        return None;
    }
    let keep = |w: &&str| !is_operator(w) && !first_level(w) && !second_level(w) && !prefetch(w);
    Some(words.iter().copied().filter(keep).collect::<Vec<_>>().join("."))
}

impl<'a> Body<'_, 'a> {
    /// Statements that represent several instructions or for another one; whether it was one of them. Of others, the
    /// name may change.
    pub(super) fn special_statement(
        &mut self,
        name: &mut Cow<'_, str>,
        guard: Option<Guard>,
        args: &mut Vec<Argument<'a>>,
        at: Pos,
    ) -> Result<bool, Fault> {
        // Which lines stay in the cache is a hint, and so is the policy that says it. Volatile accesses take none.
        if name.contains(CACHE_HINT) && !name.contains(".volatile") && args.len() > 1 {
            *name = Cow::Owned(name.replace(CACHE_HINT, ""));
            args.pop();
        }
        match &**name {
            "brx.idx" | "brx.idx.uni" => return self.indexed(guard, args, at).map(|()| true),
            "ret" | "ret.uni" if self.is_function && args.is_empty() => {
                self.step(Op::Bra, &[], guard, &[Operand::Label(RETURN)], at);
                return Ok(true);
            }
            _ => {}
        }
        if name.starts_with("mov.v2.") || name.starts_with("mov.v4.") {
            return self.vector_mov(name, guard, args, at).map(|()| true);
        }
        if self.video(name, guard, args, at)? {
            return Ok(true);
        }
        if name.starts_with("ld.") || name.starts_with("st.") {
            if table().loosely_named(name).is_empty()
                && let Some(plain) = without_hints(name)
                && (self.parser.has_cache_hints() || !name.contains(".L1::") && !name.contains(".L2::"))
            {
                *name = Cow::Owned(plain);
            }
            if self.wide_access(name, guard, args, at)? {
                return Ok(true);
            }
        }
        if args.iter().any(|a| matches!(a.arg, Arg::Pair(_))) {
            return self.wide(name, guard, args, at).map(|()| true);
        }
        if (name.starts_with("atom.") || name.starts_with("red."))
            && args.iter().any(|a| matches!(&a.arg, Arg::Vector(v) if v.len() > 1))
        {
            return self.atomic_vector(name, guard, args, at).map(|()| true);
        }
        if name.contains(".param") {
            if self.passed_access(name, guard, args, at)? {
                return Ok(true);
            }
            // Arrays that are passed are local ones.
            let local = |arg: &Argument<'_>| match arg.arg {
                Arg::Address(Address { base: Base::Symbol(array), .. }) | Arg::Symbol(array, _) => {
                    self.passed_arrays.contains(&array)
                }
                Arg::Address(Address { base: Base::Reg(_), .. }) => self.is_function,
                Arg::Reg(_) => self.is_function && name.starts_with("cvta"),
                _ => false,
            };
            if args.iter().any(local) {
                let other = name.replace(".param::func", ".local").replace(".param", ".local");
                *name = Cow::Owned(other);
            }
        }
        Ok(false)
    }

    /// An instruction as it is written.
    pub(super) fn written(
        &mut self,
        name: &str,
        guard: Option<Guard>,
        args: &[Argument<'a>],
        at: Pos,
    ) -> Result<(), Fault> {
        let choice = select::choose(name, at, args, 0, |name| self.unknown_name(name))?;
        let loc = Some(self.here(at));
        self.push(Inst { form: choice.form, guard, operands: choice.operands, loc });
        Ok(())
    }

    /// `atom` and `red` of a vector: each element by itself (PTX ISA 9.7.13.5).
    fn atomic_vector(&mut self, name: &str, guard: Option<Guard>, args: &[Argument<'a>], at: Pos) -> Result<(), Fault> {
        let fault = |what: String| (at, ParseErrorKind::Unsupported { what, instead: "write one for each element" });
        let len = match name.split('.').find_map(|m| m.strip_prefix('v')).and_then(|n| n.parse::<usize>().ok()) {
            Some(len @ (2 | 4 | 8)) => len,
            _ => return Err(fault(format!("'{name}' of a vector"))),
        };
        let one = name.replacen(&format!(".v{len}"), "", 1);
        let size = name.rsplit('.').find_map(ScalarType::from_name).map_or(0, ScalarType::bytes);
        // Results go to their registers when all sources have been read.
        let mut moves = Vec::new();
        for i in 0..len {
            let mut part = Vec::with_capacity(args.len());
            for (k, arg) in args.iter().enumerate() {
                part.push(match &arg.arg {
                    Arg::Vector(elements) if elements.len() == len => {
                        let element = Argument { name: None, ..elements[i].clone() };
                        match element.arg {
                            Arg::Reg(reg) if k == 0 && name.starts_with("atom.") => {
                                let new = self.pass_reg(reg.class);
                                moves.push((reg, new));
                                Argument { arg: Arg::Reg(new), ..element }
                            }
                            _ => element,
                        }
                    }
                    Arg::Address(address) => {
                        let offset = address.offset.saturating_add((i as u32 * size) as i32);
                        Argument { arg: Arg::Address(Address { offset, ..*address }), ..arg.clone() }
                    }
                    _ => arg.clone(),
                });
            }
            self.written(&one, guard, &part, at)?;
        }
        for (to, from) in moves {
            let ty = match to.class {
                RegClass::B16 => ScalarType::B16,
                RegClass::B64 | RegClass::F64 => ScalarType::B64,
                _ => ScalarType::B32,
            };
            self.step(Op::Mov, &[Mod::Ty(ty)], guard, &[Operand::Reg(to), Operand::Reg(from)], at);
        }
        Ok(())
    }

    /// `mov`, `ld` and `st` of 128 bits, as two of 64.
    fn wide(&mut self, name: &str, guard: Option<Guard>, args: &[Argument<'a>], at: Pos) -> Result<(), Fault> {
        let halves = |reg: Reg| [Operand::Reg(reg), Operand::Reg(Reg { index: reg.index + 1, ..reg })];
        let parts = |arg: &Argument<'_>| match &arg.arg {
            Arg::Pair(reg) => Some(halves(*reg)),
            Arg::Vector(two) => match &two[..] {
                [Argument { arg: Arg::Reg(a), .. }, Argument { arg: Arg::Reg(b), .. }] => {
                    Some([Operand::Reg(*a), Operand::Reg(*b)])
                }
                _ => None,
            },
            _ => None,
        };
        match args {
            [to, from] if name == "mov.b128" => {
                if let (Some(to), Some(from)) = (parts(to), parts(from)) {
                    // What is read is read before anything is written.
                    let first = usize::from(to[0] == from[1]);
                    for i in [first, 1 - first] {
                        self.step(Op::Mov, &[Mod::Ty(ScalarType::B64)], guard, &[to[i], from[i]], at);
                    }
                    return Ok(());
                }
            }
            [a, b] if name.ends_with(".b128") && (name.starts_with("ld.") || name.starts_with("st.")) => {
                let two = name.replace(".b128", ".v2.b64");
                let vector = |arg: &Argument<'a>| match arg.arg {
                    Arg::Pair(reg) => {
                        let element = |r| Argument {
                            arg: Arg::Reg(r),
                            bar: false,
                            name: None,
                            text: arg.text.clone(),
                            at: arg.at,
                        };
                        let high = Reg { index: reg.index + 1, ..reg };
                        Argument { arg: Arg::Vector(vec![element(reg), element(high)]), ..arg.clone() }
                    }
                    _ => arg.clone(),
                };
                let args = [vector(a), vector(b)];
                return self.written(&two, guard, &args, at);
            }
            _ => {}
        }
        let what = format!("'{name}' of registers of 128 bits");
        Err((at, ParseErrorKind::Unsupported { what, instead: "use two of 64 bits" }))
    }
}
