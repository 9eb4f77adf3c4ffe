//! Invalid requests to the catalogue.

/// A request that the catalogue cannot satisfy.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogueError {
    /// There is no kernel with this name.
    #[error("unknown kernel '{name}'{}; known kernels: {known}", suggestion.as_ref().map_or(String::new(), |s| format!(", did you mean '{s}'?")))]
    UnknownKernel {
        /// The requested name.
        name: String,
        /// The nearest known name.
        suggestion: Option<String>,
        /// All names.
        known: String,
    },
    /// A size that the kernel does not have.
    #[error("{kernel} has no size '{found}'; it has {known}")]
    Dimension {
        /// The kernel.
        kernel: &'static str,
        /// What was requested.
        found: &'static str,
        /// The existing sizes.
        known: String,
    },
    /// A dimension that the kernel does not support.
    #[error("{kernel}: {dimension} is {found}, expected {expected}")]
    Shape {
        /// The kernel.
        kernel: &'static str,
        /// The dimension or schedule value.
        dimension: &'static str,
        /// The requested value.
        found: u64,
        /// The valid values.
        expected: &'static str,
    },
    /// A policy for which the kernel has no variant.
    #[error("{kernel} has no variant with {option}={found}; it has {expected}")]
    Policy {
        /// The kernel.
        kernel: &'static str,
        /// `act`, `acc` or `math`.
        option: &'static str,
        /// The requested value.
        found: String,
        /// The existing values.
        expected: String,
    },
    /// A schedule and shape that need more shared memory than a block has.
    #[error(
        "{kernel}: this shape and schedule need {needed} bytes of shared memory, a block has {available}; use fewer warps, rows or slots"
    )]
    SharedMemory {
        /// The kernel.
        kernel: &'static str,
        /// Required bytes.
        needed: u64,
        /// Bytes that a block has.
        available: u64,
    },
}
