//! The GPU that schedules are chosen for.

use ptxgen_builder::target::Gpu;

/// What of a GPU decides schedules. It changes no bit of a result.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Machine {
    multiprocessors: u32,
}

impl Machine {
    /// An H200 (or H100), for which the catalogue's schedules were measured: what is written where no GPU is named.
    pub const H200: Machine = Machine::new(132);

    /// A GPU with so many multiprocessors, at least 1.
    pub const fn new(multiprocessors: u32) -> Machine {
        Machine { multiprocessors: if multiprocessors == 0 { 1 } else { multiprocessors } }
    }

    /// How many multiprocessors it has.
    pub const fn multiprocessors(self) -> u32 {
        self.multiprocessors
    }
}

impl Default for Machine {
    /// [`Machine::H200`].
    fn default() -> Machine {
        Machine::H200
    }
}

impl From<Gpu> for Machine {
    fn from(gpu: Gpu) -> Machine {
        Machine::new(u32::try_from(gpu.multiprocessors).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use ptxgen_builder::target::Target;

    use super::*;
    use crate::catalogue::{Request, TYPICAL};
    use crate::precision::Policy;

    #[test]
    fn the_usual_one_is_an_h200() {
        assert_eq!(Ok(Machine::H200), "h200".parse().map(|gpu: Gpu| gpu.into()));
        assert_eq!(Machine::default(), Machine::H200);
        assert_eq!(Machine::new(0).multiprocessors(), 1);
    }

    /// Grids of as many blocks as there are multiprocessors follow the GPU that is asked for.
    #[test]
    fn grids_follow_the_machine() {
        let mut followed = 0;
        for entry in TYPICAL {
            for policy in entry.policies() {
                let blocks = |n| {
                    let machine = Machine::new(n);
                    let request = Request { machine, ..Request::new(policy, Target::SM_90) };
                    entry.build(&request).unwrap_or_else(|e| panic!("{}, {n}: {e}", entry.name)).launch.grid[0]
                };
                let (few, usual) = (blocks(20), blocks(132));
                let follows = few < usual && few % 20 == 0;
                assert!(follows || few == usual, "{} {policy}: {few} blocks, {usual} usually", entry.name);
                followed += u32::from(follows);
            }
        }
        assert!(followed > 3, "{followed} grids follow the machine");
        assert_eq!(Request::new(Policy::default(), Target::SM_90).machine, Machine::H200);
    }
}
