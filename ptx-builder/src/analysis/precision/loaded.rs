//! Which inputs a result is computed of.

use super::components::Components;
use super::flow::Flow;
use super::{Inputs, Role};
use crate::types::Space;

impl Flow<'_> {
    /// Follows what is loaded to all that is computed of it; by instruction.
    pub(super) fn computed_of(&self, components: &Components) -> Vec<Inputs> {
        let mut of = vec![Inputs::default(); components.members.len()];
        // Components come sources first.
        for (c, members) in components.members.iter().enumerate() {
            let own = members.iter().fold(Inputs::default(), |all, &m| all.and(self.loads(m)));
            let sources = members.iter().flat_map(|&m| &self.nodes[m as usize].sources);
            of[c] = sources.fold(own, |all, &s| all.and(of[components.of[s as usize] as usize]));
        }
        components.of.iter().map(|&c| of[c as usize]).collect()
    }

    /// What an instruction loads itself, beyond what other instructions have stored.
    fn loads(&self, node: u32) -> Inputs {
        let reads = &self.nodes[node as usize].touched.reads;
        let global = |space| matches!(space, Space::Global | Space::Generic);
        reads.iter().filter(|p| global(p.space)).fold(Inputs::default(), |all, place| {
            all.and(match self.role(place.origin) {
                Role::Input(input) => Inputs::of(input),
                Role::Output | Role::InPlace | Role::HalfOutput | Role::Other => Inputs::OTHER,
            })
        })
    }
}
