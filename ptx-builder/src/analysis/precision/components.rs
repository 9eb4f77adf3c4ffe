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

    /// For every node, the most counted ones on a way to it, each component once.
    pub(super) fn most(&self, nodes: &[Node<'_>], counts: impl Fn(usize) -> bool) -> Vec<u32> {
        // Components come sources first.
        let mut most = vec![0u32; self.members.len()];
        for (c, members) in self.members.iter().enumerate() {
            let before = self.before(nodes, c).map(|s| most[s]).max();
            let own = u32::from(members.iter().any(|&m| counts(m as usize)));
            most[c] = before.unwrap_or(0) + own;
        }
        self.of.iter().map(|&c| most[c as usize]).collect()
    }

    /// For every node, how often on a way to it a node that `resumes` comes after one that `stops`,
    /// at most.
    pub(super) fn resumed(
        &self,
        nodes: &[Node<'_>],
        stops: impl Fn(usize) -> bool,
        resumes: impl Fn(usize) -> bool,
    ) -> Vec<u32> {
        // The most so far: without a stop since, and with one.
        let mut most: Vec<[Option<u32>; 2]> = vec![[None; 2]; self.members.len()];
        for (c, members) in self.members.iter().enumerate() {
            let [mut going, mut stopped] = [Some(0), None];
            for s in self.before(nodes, c) {
                going = going.max(most[s][0]);
                stopped = stopped.max(most[s][1]);
            }
            let any = |of: &dyn Fn(usize) -> bool| members.iter().any(|&m| of(m as usize));
            if any(&stops) {
                stopped = stopped.max(going);
            }
            if any(&resumes) {
                // What has stopped is less from here on than what goes on, and so are its sums.
                going = going.max(stopped.map(|n| n + 1));
            }
            most[c] = [going, stopped];
        }
        let all = |c: u32| most[c as usize].into_iter().flatten().max().unwrap_or(0);
        self.of.iter().map(|&c| all(c)).collect()
    }

    fn before<'c>(&'c self, nodes: &'c [Node<'_>], c: usize) -> impl Iterator<Item = usize> + 'c {
        let sources = self.members[c].iter().flat_map(|&m| &nodes[m as usize].sources);
        sources.map(|&s| self.of[s as usize] as usize).filter(move |&s| s != c)
    }
}
