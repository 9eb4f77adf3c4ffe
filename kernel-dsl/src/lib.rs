//! Quantized inference kernels with precision as a type.
