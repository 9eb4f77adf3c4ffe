//! Quantized inference kernels with precision as a type.

pub mod catalogue;
pub mod device;
pub mod format;
pub mod precision;
pub mod proof;
pub mod reference;
