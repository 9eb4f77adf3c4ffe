//! Requests for kernels.

use ptxgen_builder::target::Target;

use super::experts::Experts;
use super::{Dims, How, Machine, Schedule, Shape, Sizes};
use crate::precision::Policy;

/// A request for a kernel.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Request {
    /// The policy; parts in which the kernel has no choice are ignored if they are the default.
    pub policy: Policy,
    /// Sizes; the entry's own where `None`.
    pub dims: Dims,
    /// The schedule; a suitable one if `None`. Kernels without one ignore it.
    pub schedule: Option<Schedule>,
    /// The epsilon that a norm adds to the mean square.
    pub eps: f32,
    /// Whether to use programmatic dependent launch, from sm_90 on: see [`How::pdl`]. Kernels that have nothing to
    /// prefetch wait first.
    pub pdl: bool,
    /// The target.
    pub target: Target,
    /// The GPU that the schedule is chosen for, where none is given.
    pub machine: Machine,
}

impl Request {
    /// The entry's own shape under a policy, scheduled for an H200.
    pub fn new(policy: Policy, target: Target) -> Request {
        Request { policy, dims: Dims::NONE, schedule: None, eps: 1e-6, pdl: false, target, machine: Machine::H200 }
    }
}

/// A request with every choice made.
pub(super) struct Resolved {
    pub policy: Policy,
    pub sizes: Sizes,
    pub how: How,
    pub eps: f32,
}

impl Resolved {
    pub(super) fn shape(&self) -> Shape {
        Shape { rows: self.sizes.rows, cols: self.sizes.cols }
    }

    pub(super) fn experts(&self) -> Experts {
        Experts { count: self.sizes.experts, used: self.sizes.used }
    }
}
