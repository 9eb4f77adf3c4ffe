//! Quantized inference kernels with precision as a type.

pub mod format;
pub mod precision;
pub mod reference;
