//! Modules, kernels and their declarations.

use std::collections::BTreeMap;

use super::{BlockId, Inst, Loc, OpaqueText, Reg};
use crate::target::{PtxVersion, Target};
use crate::types::{RegClass, ScalarType, Space};

/// A translation unit: one `.target`, module-scope variables, kernels.
#[derive(Clone, Debug)]
pub struct Module {
    /// The PTX version that its text states. `None` for a module that was not read from a text: it is printed with the
    /// minimum version of its instructions. Not compared.
    pub version: Option<PtxVersion>,
    /// The target architecture.
    pub target: Target,
    /// Constant, global and external shared arrays.
    pub variables: Vec<Variable>,
    /// Functions of other modules that its kernels call.
    pub externs: Vec<Extern>,
    /// Kernels, in writing order.
    pub kernels: Vec<Kernel>,
}

impl Module {
    /// A module without kernels.
    #[must_use]
    pub fn new(target: Target) -> Self {
        Module { version: None, target, variables: Vec::new(), externs: Vec::new(), kernels: Vec::new() }
    }
}

/// The version is not compared.
impl PartialEq for Module {
    fn eq(&self, other: &Self) -> bool {
        self.target == other.target
            && self.variables == other.variables
            && self.externs == other.externs
            && self.kernels == other.kernels
    }
}

/// A function of another module, such as `vprintf`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Extern {
    /// Its name.
    pub name: String,
    /// Its result, at most one value.
    pub results: Vec<Passed>,
    /// Its parameters.
    pub params: Vec<Passed>,
}

impl Extern {
    /// Whether it only tells what it is given: the CUDA runtime's `vprintf` and `__assertfail`.
    pub fn only_tells(&self) -> bool {
        matches!(self.name.as_str(), "vprintf" | "__assertfail")
    }
}

/// What is passed to a function or from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Passed {
    /// Type of the scalar, or of an element.
    pub ty: ScalarType,
    /// Elements of an array; `None` for a scalar.
    pub len: Option<u32>,
    /// The alignment in bytes, if it is written.
    pub align: Option<u32>,
}

/// An array in some state space.
#[derive(Clone, PartialEq, Debug)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its space: const, global, shared, or (in a kernel) local.
    pub space: Space,
    /// Alignment in bytes, a power of two.
    pub align: u32,
    /// Element type.
    pub ty: ScalarType,
    /// Elements; `None` for external shared memory, whose size the launch sets.
    pub len: Option<u64>,
    /// Initial bytes (const and global only); empty means zeros.
    pub init: Vec<u8>,
    /// Addresses among them, in order; the bytes there are zeros.
    pub refs: Vec<Reference>,
    /// Its linkage. Anything except [`Linkage::Internal`] is only for const and global variables of a module.
    pub linkage: Linkage,
}

/// An address among a variable's initial values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reference {
    /// Its first byte.
    pub at: u64,
    /// Its number of bytes: 8, or fewer for a part.
    pub bytes: u8,
    /// The first bit of the address that it contains.
    pub shift: u8,
    /// The variable of the module whose address it is.
    pub variable: u32,
    /// Bytes added to it.
    pub addend: i64,
    /// Whether it is the generic address (`generic(x)`).
    pub is_generic: bool,
}

impl Reference {
    /// The bits there, if this is the variable's address in its space.
    pub(crate) fn bits(&self, address: u64, space: Space) -> u64 {
        let base = if self.is_generic { crate::table::window::base(space) } else { 0 };
        let whole = address.wrapping_add(base).wrapping_add_signed(self.addend);
        whole >> self.shift & u64::MAX >> (64 - 8 * u32::from(self.bytes.clamp(1, 8)))
    }
}

/// The linkage of a module's variable (PTX ISA 11.6).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Linkage {
    /// Visible only in this module.
    #[default]
    Internal,
    /// Also visible to hosts and other modules, `.visible`.
    Visible,
    /// The same, but a definition in another module may replace it, `.weak`.
    Weak,
    /// Defined in another module, `.extern`. (External shared memory is marked by a missing length.)
    External,
}

impl Variable {
    /// Size in bytes; 0 if the launch sets it. `None` on overflow.
    pub fn bytes(&self) -> Option<u64> {
        self.len.unwrap_or(0).checked_mul(u64::from(self.ty.bytes()))
    }

    /// Bytes of consecutive variables, each at its alignment; 2^64 - 1 on overflow.
    pub(crate) fn total<'v>(variables: impl Iterator<Item = &'v Variable>) -> u64 {
        variables.fold(0u64, |at, v| {
            let start = at.checked_next_multiple_of(u64::from(v.align.max(1))).unwrap_or(u64::MAX);
            start.saturating_add(v.bytes().unwrap_or(u64::MAX))
        })
    }
}

/// A kernel parameter.
#[derive(Clone, PartialEq, Debug)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// Type of the scalar, or of an element.
    pub ty: ScalarType,
    /// Elements of an array passed by value; `None` for a scalar.
    pub len: Option<u32>,
    /// The alignment in bytes, if it is written.
    pub align: Option<u32>,
    /// For a pointer: the space pointed to and the pointee's alignment
    /// (`.ptr .global .align 16`, PTX ISA 5.1.6.4).
    pub pointer: Option<(Space, u32)>,
}

/// A kernel's launch bounds (PTX ISA 11.4).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct LaunchBounds {
    /// `.reqntid`: the exact block shape.
    pub required: Option<[u32; 3]>,
    /// `.maxntid`: the maximum block shape.
    pub max_threads: Option<[u32; 3]>,
    /// `.minnctapersm`: minimum number of resident blocks per multiprocessor.
    pub min_blocks: Option<u32>,
    /// `.maxnreg`: maximum number of registers per thread.
    pub max_registers: Option<u32>,
    /// `.reqnctapercluster`: the cluster shape (sm_90).
    pub cluster: Option<[u32; 3]>,
    /// `.explicitcluster`: the launch sets the cluster's shape (sm_90).
    pub explicit_cluster: bool,
    /// `.maxclusterrank`: the maximum number of blocks of a cluster whose shape the launch sets (sm_90).
    pub max_cluster_rank: Option<u32>,
}

/// A basic block. Only its last instruction may branch or leave; where that is
/// guarded or missing, control falls through to the next block.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Block {
    /// Its instructions.
    pub insts: Vec<Inst>,
}

/// One `.entry`.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The entry's name.
    pub name: String,
    /// Parameters in order.
    pub params: Vec<Param>,
    /// Its launch bounds.
    pub bounds: LaunchBounds,
    /// Shared and local arrays.
    pub variables: Vec<Variable>,
    /// The number of registers of each class, in [`RegClass::ALL`]'s order.
    pub registers: [u32; 6],
    /// Blocks in writing order; the first is the entry.
    pub blocks: Vec<Block>,
    /// Text that the table does not know, of the instructions that are it.
    pub texts: Vec<OpaqueText>,
    /// The author's names for registers, for comments. Not compared.
    pub names: BTreeMap<Reg, String>,
    /// The kernel's position in the source. Not compared.
    pub loc: Option<Loc>,
}

impl Kernel {
    /// A parameter's name in the source: the builder adds the kernel's name as prefix.
    pub fn short_name<'a>(&self, param: &'a Param) -> &'a str {
        param.name.strip_prefix(self.name.as_str()).and_then(|n| n.strip_prefix('_')).unwrap_or(&param.name)
    }
}

/// Names of registers and positions are not compared.
impl PartialEq for Kernel {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.params == other.params
            && self.bounds == other.bounds
            && self.variables == other.variables
            && self.registers == other.registers
            && self.blocks == other.blocks
            && self.texts == other.texts
    }
}

impl Kernel {
    /// An empty kernel.
    pub fn new(name: impl Into<String>) -> Self {
        Kernel {
            name: name.into(),
            params: Vec::new(),
            bounds: LaunchBounds::default(),
            variables: Vec::new(),
            registers: [0; 6],
            blocks: vec![Block::default()],
            texts: Vec::new(),
            names: BTreeMap::new(),
            loc: None,
        }
    }

    /// A new register of a class.
    pub fn new_reg(&mut self, class: RegClass) -> Reg {
        let count = &mut self.registers[class as usize];
        let index = *count;
        *count += 1;
        Reg { class, index }
    }

    /// Every instruction with its block and its index there.
    pub fn insts(&self) -> impl Iterator<Item = (BlockId, usize, &Inst)> {
        self.blocks
            .iter()
            .enumerate()
            .flat_map(|(b, block)| block.insts.iter().enumerate().map(move |(i, inst)| (BlockId(b as u32), i, inst)))
    }
}
