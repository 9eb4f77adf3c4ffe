//! Functions and kernels whose calls wait for the functions that they call.

use super::lex::Pos;
use super::signature::{Home, Signature};
use crate::ir::{Guard, Kernel, Loc, Reg, Symbol};

/// Registers from this number on are those of passed scalars, until the body's end.
pub(super) const PASSED: u32 = 1 << 28;

/// What a call gives to a function or gets from it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Actual {
    Reg(Reg),
    Imm(u64),
    Array(Symbol),
    /// `_`.
    Sink,
}

/// What is called.
#[derive(Clone, Debug)]
pub(super) enum Callee<'a> {
    /// A function, by its number.
    Function(usize),
    /// One of these, or of all that fit, at the address in a register.
    At(Reg, Targets<'a>),
}

/// Which functions an indirect call may mean.
#[derive(Clone, Debug)]
pub(super) enum Targets<'a> {
    /// Those whose address is taken and that are called so.
    Like(Signature<'a>),
    Of(Vec<usize>),
}

/// A call of a function of the text.
#[derive(Clone, Debug)]
pub(super) struct Call<'a> {
    /// The block at whose end it stands.
    pub block: usize,
    pub guard: Option<Guard>,
    pub callee: Callee<'a>,
    pub results: Vec<Actual>,
    pub args: Vec<Actual>,
    pub at: Pos,
    pub loc: Loc,
}

/// A body whose calls wait for their functions.
#[derive(Clone, Debug)]
pub(super) struct Draft<'a> {
    pub kernel: Kernel,
    pub calls: Vec<Call<'a>>,
    pub results: Vec<Home>,
    pub params: Vec<Home>,
}

/// A function of the text.
pub(super) struct Function<'a> {
    pub name: &'a str,
    pub signature: Signature<'a>,
    /// Its body, once it has been read.
    pub draft: Option<Draft<'a>>,
    /// Whether its body was there and could not be read.
    pub is_refused: bool,
    /// Whether another module defines it.
    pub is_external: bool,
    /// Whether its address is taken somewhere.
    pub is_named: bool,
}
