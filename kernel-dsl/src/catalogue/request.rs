//! Shapes for particular purposes.

use ptxgen_builder::target::Target;

use super::{Entry, Experts, Request, Schedule};
use crate::precision::Policy;

impl Request {
    /// The entry's columns and few rows and experts: the work of a lane is that
    /// of the whole kernel, and a trial in the interpreter is short.
    pub fn for_trial(entry: &Entry, policy: Policy, target: Target) -> Request {
        Request {
            rows: Some(if entry.shape.cols > 1 { entry.shape.rows.min(64) } else { entry.shape.rows }),
            experts: entry.experts.map(|_| Experts { count: 4, used: 2 }),
            ..Request::new(policy, target)
        }
    }

    /// Short rows and the smallest schedule that shows everything: loops over
    /// tiles, two tiles under way, several rows in a tile. For people who read
    /// the text.
    pub fn for_reading(entry: &Entry, policy: Policy, target: Target) -> Request {
        let matrix = !entry.acts.is_empty();
        Request {
            rows: matrix.then_some(32),
            cols: (entry.shape.cols > 1).then_some(512),
            schedule: matrix.then_some(Schedule { rows: 1, split: 2, warps: 2, slots: 2, blocks: Some(1) }),
            ..Request::for_trial(entry, policy, target)
        }
    }
}
