//! What the catalogue refuses.

/// A request that the catalogue cannot serve.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogueError {
    /// No kernel of that name.
    #[error("unknown kernel '{name}'{}; known kernels: {known}", suggestion.as_ref().map_or(String::new(), |s| format!(", did you mean '{s}'?")))]
    UnknownKernel {
        /// The name asked for.
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
        /// What was asked for.
        found: &'static str,
        /// What there is.
        known: String,
    },
    /// A dimension that the kernel is not made for.
    #[error("{kernel}: {dimension} is {found}, expected {expected}")]
    Shape {
        /// The kernel.
        kernel: &'static str,
        /// Which dimension or schedule value.
        dimension: &'static str,
        /// What was asked.
        found: u64,
        /// What is possible.
        expected: &'static str,
    },
    /// A policy that the kernel has no variant for.
    #[error("{kernel} has no variant with {option}={found}; it has {expected}")]
    Policy {
        /// The kernel.
        kernel: &'static str,
        /// `act`, `acc` or `math`.
        option: &'static str,
        /// What was asked.
        found: String,
        /// What there is.
        expected: String,
    },
    /// A schedule and shape that need more shared memory than a block has.
    #[error(
        "{kernel}: this shape and schedule need {needed} bytes of shared memory, a block has {available}; use fewer warps, rows or slots"
    )]
    SharedMemory {
        /// The kernel.
        kernel: &'static str,
        /// Bytes needed.
        needed: u64,
        /// Bytes a block has.
        available: u64,
    },
}
