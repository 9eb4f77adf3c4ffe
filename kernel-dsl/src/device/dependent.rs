//! Programmatic dependent launch (sm_90): a kernel starts while the one before
//! it is still running, and waits for its results where it needs them.

use ptxgen_builder::build::{Body, Global, ReadOnly, Scalar};

/// Waits for the kernels before this one, and lets the next start; nothing
/// without `pdl`. What they wrote is read after this, by [`Global`] loads (see
/// [`fresh`]); what does not depend on them, such as weights, may be requested
/// before. Since the next kernel starts only when this one has passed here, it
/// may read what kernels before this one wrote without waiting. Does nothing
/// where the launch is an ordinary one.
#[track_caller]
pub fn inputs_ready(k: &Body, pdl: bool) {
    if pdl {
        k.grid_dependency_wait();
        k.launch_dependents();
    }
}

/// An input as memory that another kernel may have written after this one
/// started: not for the read-only path.
#[track_caller]
pub fn fresh<T: Scalar>(x: ReadOnly<T>) -> Global<T> {
    Global::from_address(x.address())
}
