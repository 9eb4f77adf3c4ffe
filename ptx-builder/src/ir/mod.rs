//! The intermediate representation: modules, kernels, blocks, instructions.
//!
//! It is what PTX says, as data: register classes instead of names, table
//! forms instead of opcodes, block numbers instead of labels. It is made by
//! the builder or the parser and can be used only after verification.

mod canonical;
mod hoist;
mod inst;
mod kernel;
mod loc;
mod opaque;
mod operand;
mod stable;

pub use inst::{Guard, Inst};
pub use kernel::{Block, Extern, Kernel, LaunchBounds, Linkage, Module, Param, Passed, Reference, Variable};
pub use loc::Loc;
pub use opaque::OpaqueText;
pub use operand::{Address, Base, BlockId, Operand, Reg, Symbol};
pub(crate) use stable::{Kind, Numbers, registers};
