//! The catalogue's kernels as text: goldens, properties that each must have, and NVIDIA's assembler.

mod assembled;
mod cases;
mod edit;
mod golden;
mod mutations;
mod optimized;
mod properties;
mod stable;
