//! A kernel of the catalogue: its name, choices and sizes.

use ptxgen_builder::target::Target;

use super::super::error::CatalogueError;
use super::super::machine::Machine;
use super::super::request::{Request, Resolved};
use super::super::schedule::{How, Schedule};
use super::{Built, Dims, Entry, Family, KernelId, Sizes};
use crate::precision::{Acc, Act, Math, Policy};

/// The schedule of most kernels.
pub(super) fn usual(_: &Sizes, _: Policy, _: Machine) -> Schedule {
    Schedule::default()
}

impl Entry {
    /// The same with the name of its identity.
    pub(super) const fn named(self) -> Entry {
        Entry { name: self.id.name(), ..self }
    }

    /// The base of all families: no choices, no sizes, no roundings.
    pub(super) const BASE: Entry = Entry {
        id: KernelId::Swiglu,
        name: "",
        summary: "",
        family: Family::Elementwise,
        is_eager: false,
        acts: &[],
        accs: &[],
        maths: &[],
        sums: None,
        dims: Dims::NONE,
        trial: Dims::NONE,
        reading: Dims::NONE,
        stages: 0,
        usual,
        build: |entry, _| unreachable!("the kernel {} is not written", entry.name),
    };

    /// Every policy for which it has a variant, in the order of its options.
    pub fn policies(&self) -> Vec<Policy> {
        let or_default = |n: usize| n.max(1);
        let mut all = Vec::new();
        for a in 0..or_default(self.acts.len()) {
            for c in 0..or_default(self.accs.len()) {
                for m in 0..or_default(self.maths.len()) {
                    all.push(Policy {
                        act: self.acts.get(a).copied().unwrap_or_default(),
                        acc: self.accs.get(c).copied().unwrap_or_default(),
                        math: self.maths.get(m).copied().unwrap_or_default(),
                    });
                }
            }
        }
        all
    }

    /// The policy of this kernel in a forward under `policy`: without the parts in which it has no choice.
    pub fn policy_within(&self, policy: Policy) -> Policy {
        Policy {
            act: if self.acts.is_empty() { Act::default() } else { policy.act },
            acc: if self.accs.is_empty() { Acc::default() } else { policy.acc },
            math: if self.maths.is_empty() { Math::default() } else { policy.math },
        }
    }

    /// The choices of a policy that this kernel has, for names: `q8k-f64`, or empty if it has none.
    pub fn variant(&self, policy: Policy) -> String {
        let mut parts = Vec::new();
        if !self.acts.is_empty() {
            parts.push(policy.act.name());
        }
        if !self.accs.is_empty() {
            parts.push(policy.acc.name());
        }
        if !self.maths.is_empty() {
            parts.push(policy.math.name());
        }
        parts.join("-")
    }

    /// Generates the kernel.
    ///
    /// # Errors
    /// For a policy, size or schedule without a variant.
    pub fn build(&'static self, request: &Request) -> Result<Built, CatalogueError> {
        self.has("act", self.acts, request.policy.act)?;
        self.has("acc", self.accs, request.policy.acc)?;
        self.has("math", self.maths, request.policy.math)?;
        if let Some((name, _)) = request.dims.iter().find(|(name, _)| self.dims.iter().all(|(n, _)| n != *name)) {
            let known = self.dims.iter().map(|(n, _)| n).collect::<Vec<_>>().join(", ");
            return Err(CatalogueError::Dimension { kernel: self.name, found: name, known });
        }
        let sizes = request.dims.or(self.dims).sizes();
        let schedule = request.schedule.unwrap_or_else(|| (self.usual)(&sizes, request.policy, request.machine));
        let mut resolved = Resolved {
            policy: request.policy,
            sizes,
            how: How { schedule, target: request.target, pdl: request.pdl },
            eps: request.eps,
        };
        loop {
            let built = (self.build)(self, &resolved);
            let smaller = match (&built, request.schedule) {
                (Err(CatalogueError::SharedMemory { .. }), None) => resolved.how.schedule.smaller(),
                _ => None,
            };
            match smaller {
                Some(schedule) => resolved.how.schedule = schedule,
                None if resolved.how.waits() => return built.map(Built::waiting),
                None => return built,
            }
        }
    }

    fn has<T: Copy + Default + PartialEq + std::fmt::Display>(
        &self,
        option: &'static str,
        choices: &[T],
        asked: T,
    ) -> Result<(), CatalogueError> {
        if choices.contains(&asked) || choices.is_empty() && asked == T::default() {
            return Ok(());
        }
        let list: Vec<String> = choices.iter().map(T::to_string).collect();
        let expected = if list.is_empty() { "no such choice".to_owned() } else { list.join(" and ") };
        Err(CatalogueError::Policy { kernel: self.name, option, found: asked.to_string(), expected })
    }
}

impl Request {
    /// The entry's columns and few rows and experts: the work of a lane is that
    /// of the whole kernel, and a trial in the interpreter is short.
    pub fn for_trial(entry: &Entry, policy: Policy, target: Target) -> Request {
        Request { dims: entry.trial, ..Request::new(policy, target) }
    }

    /// Short rows and the smallest schedule that shows everything: loops over
    /// tiles, two tiles under way, several rows in a tile. For people who read
    /// the text.
    pub fn for_reading(entry: &Entry, policy: Policy, target: Target) -> Request {
        Request {
            dims: entry.reading.or(entry.trial),
            schedule: Some(Schedule { rows: 1, split: 2, warps: 2, slots: 2, blocks: Some(1) }),
            ..Request::new(policy, target)
        }
    }
}
