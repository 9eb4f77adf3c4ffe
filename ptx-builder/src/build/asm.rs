//! PTX text inside a kernel.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::panic::Location;

use super::state::{Label, State, new_reg, with};
use super::{Body, Pred, Scalar, Val};
use crate::ir::{Base, BlockId, Guard, Inst, Kernel, Operand, Reg};
use crate::parse::{ParseError, ParseErrorKind, ParseErrors, parse};
use crate::table::Meaning;
use crate::types::{RegClass, ScalarType};

/// The text before a piece of PTX that makes it a module: in one line, so that line numbers do not change.
const HEAD: &str = ".version 9.0 .target sm_90 .address_size 64 .visible .entry asm() {";

/// Seals the traits of this module.
mod own {
    use super::{Pred, Scalar, Val};

    /// Results and operands of PTX text, and lists of them.
    pub trait Text {}

    impl<T: Scalar> Text for T {}
    impl<T> Text for Val<T> {}
    impl Text for Pred {}
    impl Text for () {}
}

/// An operand of [`Body::asm`]: a [`Val`], a [`Pred`], or a constant of a [`Scalar`] type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an operand of PTX text",
    note = "pass values, predicates and constants; a pointer's is `ptr.address()`, a variable's `var.get()`"
)]
pub trait AsmOperand: own::Text {
    #[doc(hidden)]
    fn operand_of_text(self) -> (Operand, RegClass, Option<ScalarType>);
}

impl<T: Scalar> AsmOperand for Val<T> {
    #[track_caller]
    fn operand_of_text(self) -> (Operand, RegClass, Option<ScalarType>) {
        (self.operand(), Self::class(), Some(T::TY))
    }
}

impl<T: Scalar> AsmOperand for T {
    #[track_caller]
    fn operand_of_text(self) -> (Operand, RegClass, Option<ScalarType>) {
        Val::from(self).operand_of_text()
    }
}

impl AsmOperand for Pred {
    #[track_caller]
    fn operand_of_text(self) -> (Operand, RegClass, Option<ScalarType>) {
        (self.plain(), RegClass::Pred, None)
    }
}

/// The operands of [`Body::asm`]: a tuple of up to eight.
pub trait AsmOperands: own::Text {
    #[doc(hidden)]
    fn operands_of_text(self) -> Vec<(Operand, RegClass, Option<ScalarType>)>;
}

/// The result of [`Body::asm`]: nothing, a [`Val`], a [`Pred`], or a tuple of up to four of them.
#[diagnostic::on_unimplemented(
    message = "PTX text does not give a `{Self}`",
    note = "it gives `()`, a `Val`, a `Pred`, or a tuple of up to four of them"
)]
pub trait AsmOut: own::Text {
    #[doc(hidden)]
    fn results_of_text() -> (Self, Vec<Reg>)
    where
        Self: Sized;
}

impl AsmOut for () {
    fn results_of_text() -> (Self, Vec<Reg>) {
        ((), Vec::new())
    }
}

impl<T: Scalar> AsmOut for Val<T> {
    #[track_caller]
    fn results_of_text() -> (Self, Vec<Reg>) {
        let reg = new_reg(Self::class());
        (Val::of_reg(reg), vec![reg])
    }
}

impl AsmOut for Pred {
    #[track_caller]
    fn results_of_text() -> (Self, Vec<Reg>) {
        let holds = Pred::fresh();
        (holds, vec![holds.reg()])
    }
}

macro_rules! tuples {
    ($($trait:ident [$($($t:ident)+),*])*) => { $($(tuples!(@$trait $($t)+);)*)* };
    (@AsmOperands $($t:ident)+) => {
        impl<$($t: AsmOperand),+> AsmOperands for ($($t,)+) {
            #[track_caller]
            fn operands_of_text(self) -> Vec<(Operand, RegClass, Option<ScalarType>)> {
                #[allow(non_snake_case)]
                let ($($t,)+) = self;
                vec![$($t.operand_of_text()),+]
            }
        }
    };
    (@AsmOut $($t:ident)+) => {
        impl<$($t: AsmOut),+> AsmOut for ($($t,)+) {
            #[track_caller]
            fn results_of_text() -> (Self, Vec<Reg>) {
                let mut regs = Vec::new();
                let all = ($({
                    let (value, own) = $t::results_of_text();
                    regs.extend(own);
                    value
                },)+);
                (all, regs)
            }
        }
    };
    (@Own $($t:ident)+) => { impl<$($t: own::Text),+> own::Text for ($($t,)+) {} };
}

tuples! {
    Own [A, A B, A B C, A B C D, A B C D E, A B C D E F, A B C D E F G, A B C D E F G H]
    AsmOperands [A, A B, A B C, A B C D, A B C D E, A B C D E F, A B C D E F G, A B C D E F G H]
    AsmOut [A, A B, A B C, A B C D]
}

impl AsmOperands for () {
    fn operands_of_text(self) -> Vec<(Operand, RegClass, Option<ScalarType>)> {
        Vec::new()
    }
}

/// What `%0`, `%1`, ... of a text stand for.
pub(super) struct Place {
    /// The name in the text that is parsed, or a constant as PTX writes it.
    text: String,
    /// The register of the kernel, unless it is a constant.
    reg: Option<Reg>,
    /// How the text may declare it.
    class: RegClass,
    is_result: bool,
}

impl Place {
    /// A constant.
    pub(super) fn constant(bits: u64, ty: Option<ScalarType>) -> Place {
        Place { text: constant(bits, ty), reg: None, class: RegClass::B32, is_result: false }
    }

    /// One that stands for itself, `%2`.
    pub(super) fn numbered(n: usize) -> Place {
        Place { text: format!("%{n}"), reg: None, class: RegClass::B32, is_result: false }
    }
}

/// A constant as PTX writes it.
fn constant(bits: u64, ty: Option<ScalarType>) -> String {
    match ty {
        Some(ScalarType::F32) => format!("0f{bits:08X}"),
        Some(ScalarType::F64) => format!("0d{bits:016X}"),
        _ => format!("{bits:#x}"),
    }
}

/// The text with names instead of `%N`.
///
/// # Errors
/// What a place stands for that there is not.
pub(super) fn named(text: &str, places: &[Place], used: &mut [bool]) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out += &rest[..at];
        rest = &rest[at + 1..];
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        if digits == 0 {
            out.push('%');
            continue;
        }
        let index = number.parse::<usize>().ok().filter(|i| *i < places.len());
        let Some(index) = index else {
            let last =
                places.len().checked_sub(1).map_or("it has no operands".to_owned(), |n| format!("the last is %{n}"));
            return Err(format!("%{number} is not an operand of the text: results come first, from %0 on, and {last}"));
        };
        used[index] = true;
        out += &places[index].text;
        rest = after;
    }
    Ok(out + rest)
}

/// The text as a complete kernel.
fn read(text: &str, places: &[Place]) -> Result<Kernel, String> {
    let mut used = vec![false; places.len()];
    let named = named(text, places, &mut used)?;
    if let Some(unused) = used.iter().position(|u| !u) {
        return Err(format!("the text has no %{unused}; every result and operand stands in it at least once"));
    }
    let mut whole = HEAD.to_owned();
    for place in places.iter().filter(|p| p.reg.is_some()) {
        write!(whole, ".reg .{} {};", place.class.declared(), place.text).map_err(|e| e.to_string())?;
    }
    let before = whole.len();
    write!(whole, "{named}\n}}\n").map_err(|e| e.to_string())?;
    let module = parse("asm", &whole).map_err(|errors| told(&errors, text, before))?;
    if !module.variables.is_empty() || module.kernels.len() != 1 || !module.kernels[0].variables.is_empty() {
        return Err("the text declares an array; make it with `k.shared` or `k.local`, and pass its address".to_owned());
    }
    module.kernels.into_iter().next().ok_or_else(|| "the text is no instructions".to_owned())
}

/// Errors with their positions in the author's text.
fn told(errors: &ParseErrors, text: &str, before: usize) -> String {
    let one = |e: &ParseError| {
        let lines = text.lines().count().max(1);
        if let (true, ParseErrorKind::Expected { expected, .. }) = (e.at.line as usize > lines, &e.kind) {
            return format!("line {lines} of the text: expected {expected}, found its end");
        }
        let shift = if e.at.line == 1 { before as u32 } else { 0 };
        let line = text.lines().nth(e.at.line.saturating_sub(1) as usize).unwrap_or_default().trim();
        format!(
            "line {}, column {} of the text: {}\n  in `{line}`",
            e.at.line,
            e.at.column.saturating_sub(shift),
            e.kind
        )
    };
    errors.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// Adds the parsed instructions to the kernel being built.
struct Splice<'s> {
    state: &'s mut State,
    registers: BTreeMap<Reg, Reg>,
    labels: Vec<Label>,
}

impl Splice<'_> {
    fn reg(&mut self, reg: Reg) -> Reg {
        let kernel = &mut self.state.kernel;
        *self.registers.entry(reg).or_insert_with(|| kernel.new_reg(reg.class))
    }

    fn operand(&mut self, operand: Operand) -> Operand {
        match operand {
            Operand::Reg(r) => Operand::Reg(self.reg(r)),
            Operand::NotPred(r) => Operand::NotPred(self.reg(r)),
            Operand::Address(mut a) => {
                if let Base::Reg(r) = a.base {
                    a.base = Base::Reg(self.reg(r));
                }
                Operand::Address(a)
            }
            Operand::Label(BlockId(b)) => Operand::Label(BlockId(self.labels[b as usize])),
            Operand::Imm(_)
            | Operand::Special(_)
            | Operand::Symbol(..)
            | Operand::Function(_)
            | Operand::Text(_)
            | Operand::None => operand,
        }
    }

    fn inst(&mut self, inst: &Inst, at: &'static Location<'static>) {
        let guard = inst.guard.map(|g| Guard { reg: self.reg(g.reg), ..g });
        let operands: Vec<Operand> = inst.operands.iter().map(|o| self.operand(*o)).collect();
        self.state.exits += u32::from(matches!(inst.form().meaning, Meaning::Exit | Meaning::Trap));
        let loc = self.state.loc(at);
        self.state.push(inst.form, guard, &operands, loc);
    }
}

impl Body {
    /// Emits PTX text. `%0`, `%1`, ... in it are first the results and then the operands, in their order. It may
    /// declare its own registers and labels, which are local to it. The same table parses it as whole files, so it is
    /// typed, verified, proved and interpreted like other instructions. Errors and the line table name the line of this
    /// call.
    ///
    /// The text must write the results; operands are values, which it must not change.
    ///
    /// ```
    /// use ptxgen_builder::build::{In, Out, Pred, Val, kernel};
    /// use ptxgen_builder::target::Target;
    ///
    /// let k = kernel::<(In<u32>, Out<u32>)>("reverse", ["x", "y"], |k, (x, y)| {
    ///     let i = k.thread_x();
    ///     let x = x.at(i).load(k);
    ///     let (reversed, even) = k.asm::<(Val<u32>, Pred)>(
    ///         "{
    ///             .reg .b32 low;
    ///             brev.b32 %0, %2;
    ///             and.b32 low, %2, %3;
    ///             setp.eq.u32 %1, low, 0;
    ///         }",
    ///         (x, 1u32),
    ///     );
    ///     y.at(i).store(k, reversed.select(even, x));
    /// });
    /// assert!(k.verify(Target::SM_90).is_ok());
    /// ```
    ///
    /// # Panics
    /// At the caller's line, with the position in the text: if the text cannot be parsed; if a `%N` does not exist, or
    /// a result or operand does not occur in the text; if it writes an operand or does not write a result; if it
    /// declares an array.
    #[track_caller]
    pub fn asm<O: AsmOut>(&self, text: &str, operands: impl AsmOperands) -> O {
        let at = Location::caller();
        let operands = operands.operands_of_text();
        let (out, results) = O::results_of_text();
        let name = |n: usize| format!("%asm{n}_");
        let mut places: Vec<Place> = Vec::new();
        for reg in results {
            places.push(Place { text: name(places.len()), reg: Some(reg), class: reg.class, is_result: true });
        }
        for (operand, class, ty) in operands {
            let (text, reg) = match operand {
                Operand::Reg(reg) => (name(places.len()), Some(reg)),
                Operand::Imm(bits) => (constant(bits, ty), None),
                _ => panic!("an operand of PTX text is a register or a constant"),
            };
            places.push(Place { text, reg, class, is_result: false });
        }
        let piece = match read(text, &places) {
            Ok(piece) => piece,
            Err(why) => panic!("PTX text cannot be written here: {why}"),
        };
        let registers: BTreeMap<Reg, Reg> = (piece.names.iter())
            .filter_map(|(reg, name)| Some((*reg, places.iter().find(|p| p.text == *name)?.reg?)))
            .collect();
        let written: Vec<Reg> = piece.insts().flat_map(|(.., i)| i.defs()).collect();
        for (n, place) in places.iter().enumerate() {
            let Some(reg) = place.reg else { continue };
            let writes = written.iter().any(|r| registers.get(r) == Some(&reg));
            if writes && !place.is_result {
                panic!("PTX text writes %{n}, an operand: values do not change; write a result, or copy it first");
            }
            if place.is_result && !writes {
                panic!("PTX text does not write %{n}, a result");
            }
        }
        with(|state| {
            let labels = piece.blocks.iter().map(|_| state.new_label()).collect();
            let mut splice = Splice { state, registers, labels };
            for (b, block) in piece.blocks.iter().enumerate() {
                splice.state.place(splice.labels[b]);
                block.insts.iter().for_each(|inst| splice.inst(inst, at));
            }
        });
        out
    }
}
