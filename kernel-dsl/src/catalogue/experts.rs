//! The experts of a layer.

use super::error::CatalogueError;
use super::limits::refuse_if;
use crate::device::Choice;

/// Experts of a layer and how many a token uses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Experts {
    /// All of them.
    pub count: u32,
    /// Those of a token.
    pub used: u32,
}

impl Experts {
    /// Most experts of a token.
    pub const MOST_USED: u32 = Choice::MOST_USED;

    /// Refuses numbers of experts that the kernels are not made for; a layer's are blocks of a grid in y.
    pub(super) fn check(self, kernel: &'static str) -> Result<(), CatalogueError> {
        refuse_if(!(1..1 << 16).contains(&self.count), kernel, "experts", self.count, "1 to 65,535")?;
        let impossible = self.used == 0 || self.used > self.count.min(Experts::MOST_USED);
        refuse_if(impossible, kernel, "used", self.used, "1 to 16, and no more than there are experts")
    }

    /// Their choice by a block of threads.
    pub(super) fn choice(self, kernel: &'static str, threads: u32) -> Result<Choice, CatalogueError> {
        let Experts { count, used } = self;
        refuse_if(!(1..=1024).contains(&count), kernel, "experts", count, "1 to 1,024")?;
        self.check(kernel)?;
        Ok(Choice { experts: count, used, threads })
    }
}
