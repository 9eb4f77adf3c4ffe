//! Cycles in the flow of numbers.

use smallvec::SmallVec;

use super::flow::Node;
use crate::analysis::InstId;

/// Strongly connected components of the flow (Tarjan 1972), sources first.
pub(super) struct Components {
    pub(super) of: Vec<u32>,
    pub(super) members: Vec<SmallVec<[u32; 1]>>,
    cyclic: Vec<bool>,
}

impl Components {
    pub(super) fn new(nodes: &[Node<'_>]) -> Components {
        const NEW: u32 = u32::MAX;
        let n = nodes.len();
        let mut c = Components { of: vec![NEW; n], members: Vec::new(), cyclic: Vec::new() };
        let (mut index, mut lowest) = (vec![NEW; n], vec![0u32; n]);
        let (mut open, mut next) = (Vec::new(), 0u32);
        let mut calls: Vec<(u32, usize)> = Vec::new();
        for root in 0..n as u32 {
            if index[root as usize] != NEW {
                continue;
            }
            calls.push((root, 0));
            while let Some((v, edge)) = calls.pop() {
                let at = v as usize;
                if edge == 0 {
                    index[at] = next;
                    lowest[at] = next;
                    next += 1;
                    open.push(v);
                } else {
                    let done = nodes[at].sources[edge - 1] as usize;
                    if c.of[done] == NEW {
                        lowest[at] = lowest[at].min(lowest[done]);
                    }
                }
                let rest = &nodes[at].sources[edge..];
                let skip = rest.iter().position(|&s| index[s as usize] == NEW);
                let until = skip.unwrap_or(rest.len());
                for &s in &rest[..until] {
                    if c.of[s as usize] == NEW {
                        lowest[at] = lowest[at].min(index[s as usize]);
                    }
                }
                if let Some(skip) = skip {
                    calls.push((v, edge + skip + 1));
                    calls.push((rest[skip], 0));
                    continue;
                }
                if lowest[at] == index[at] {
                    let mut members: SmallVec<[u32; 1]> = SmallVec::new();
                    while let Some(w) = open.pop() {
                        c.of[w as usize] = c.members.len() as u32;
                        members.push(w);
                        if w == v {
                            break;
                        }
                    }
                    c.cyclic.push(members.len() > 1 || nodes[at].sources.contains(&v));
                    c.members.push(members);
                }
            }
        }
        c
    }

    /// Whether an instruction takes its own result, by whatever way.
    pub(super) fn cyclic(&self, id: InstId) -> bool {
        self.cyclic[self.of[id.0 as usize] as usize]
    }

    /// The most counted nodes on a way to one of `ends`, each component once.
    pub(super) fn most(&self, nodes: &[Node<'_>], ends: &[InstId], counts: impl Fn(usize) -> bool) -> u32 {
        // Components come sources first.
        let mut most = vec![0u32; self.members.len()];
        for (c, members) in self.members.iter().enumerate() {
            let before = members
                .iter()
                .flat_map(|&m| &nodes[m as usize].sources)
                .map(|&s| most[self.of[s as usize] as usize])
                .max();
            let own = u32::from(members.iter().any(|&m| counts(m as usize)));
            most[c] = before.unwrap_or(0) + own;
        }
        ends.iter().map(|e| most[self.of[e.0 as usize] as usize]).max().unwrap_or(0)
    }
}
