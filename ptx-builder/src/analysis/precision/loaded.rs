//! Which parameters a result is computed of.

use super::Role;
use super::components::Components;
use super::flow::{Flow, memory};
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
        let node = &self.nodes[node as usize];
        let global = match memory(node.inst) {
            Some((m, false)) => matches!(m.space, Space::Global | Space::Generic),
            // What an atomic gives is what others have left.
            Some((m, true)) => node.inst.defs().next().is_some() && m.space == Space::Global,
            None => node.copies_to.is_some(),
        };
        match self.role(node.origin) {
            Role::Weights if global => WEIGHTS,
            Role::Logits if global => LOGITS,
            _ if global => OTHER,
            _ => 0,
        }
    }
}
