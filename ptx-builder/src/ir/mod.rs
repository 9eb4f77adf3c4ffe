//! The intermediate representation: modules, kernels, blocks, instructions.
//!
//! It represents PTX as data: register classes instead of names, table forms instead of opcodes, block indices instead
//! of labels. The builder or the parser creates it, and it can be used only after verification.

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
