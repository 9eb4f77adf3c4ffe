//! Which parameters a result is computed of.

use super::Role;
use super::components::Components;
use super::flow::Flow;
use crate::analysis::InstId;
use crate::types::Space;

const WEIGHTS: u8 = 1;
const LOGITS: u8 = 2;
const OTHER: u8 = 4;

/// See [`Facts`](super::Facts).
pub(super) struct Loaded {
    pub choosing: Vec<InstId>,
    pub weighted: Vec<InstId>,
}

impl Flow<'_> {
    /// Follows what is loaded to all that is computed of it.
    pub(super) fn loaded(&self, components: &Components) -> Loaded {
        let mut of = vec![0u8; components.members.len()];
        // Components come sources first.
        for (c, members) in components.members.iter().enumerate() {
            let own = members.iter().fold(0, |all, &m| all | self.loads(m));
            let sources = members.iter().flat_map(|&m| &self.nodes[m as usize].sources);
            of[c] = sources.fold(own, |all, &s| all | of[components.of[s as usize] as usize]);
        }
        let which = |wanted: fn(u8) -> bool| {
            let all = (0..).zip(&components.of).filter(|&(_, &c)| wanted(of[c as usize]));
            all.map(|(i, _)| InstId(i)).collect()
        };
        Loaded { choosing: which(|of| of == LOGITS), weighted: which(|of| of & WEIGHTS != 0) }
    }

    /// What an instruction loads itself, beyond what other instructions have stored.
    fn loads(&self, node: u32) -> u8 {
        let reads = &self.nodes[node as usize].touched.reads;
        let global = |space| matches!(space, Space::Global | Space::Generic);
        reads.iter().filter(|p| global(p.space)).fold(0, |all, place| {
            all | match self.role(place.origin) {
                Role::Weights => WEIGHTS,
                Role::Logits => LOGITS,
                Role::Activations | Role::Output | Role::InPlace | Role::HalfOutput | Role::Other => OTHER,
            }
        })
    }
}
