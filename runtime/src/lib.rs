//! Devices for ptxgen kernels.
