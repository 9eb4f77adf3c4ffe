//! Which choices decide whether a block is executed.

use super::Cfg;
use crate::ir::BlockId;

/// Pairs of a choice and a block that are kept at most; beyond, nothing is known.
const MOST: usize = 1 << 25;

/// Of each block, the blocks with more than one successor whose choice decides whether it is executed, directly or
/// through other such blocks (the closure of control dependence, Ferrante et al. 1987).
#[derive(Clone, Debug)]
pub(crate) struct Controls {
    /// Of each block, its row.
    row_of: Vec<u32>,
    /// Blocks in order; those that decide about each other share one.
    rows: Vec<Box<[u32]>>,
    is_complete: bool,
}

impl Controls {
    /// Those of a kernel's flow.
    pub fn new(cfg: &Cfg) -> Controls {
        Controls::up_to(cfg, MOST)
    }

    /// The same, for at most this many pairs.
    fn up_to(cfg: &Cfg, most: usize) -> Controls {
        let unknown = || Controls { row_of: vec![0; cfg.len()], rows: vec![Box::default()], is_complete: false };
        let Some(decisions) = cfg.decisions(most) else { return unknown() };
        let mut direct: Vec<Vec<u32>> = vec![Vec::new(); cfg.len()];
        for (decides, decided) in decisions {
            direct[decided as usize].push(decides);
        }
        // The nearest first: what decides about it is then known already of most others.
        // mutants: same, only time
        direct.iter_mut().for_each(|row| {
            // mutants: same, only time
            row.sort_unstable_by(|a, b| b.cmp(a));
            // mutants: same, only time
            row.dedup();
        });
        let mut controls = Controls { row_of: vec![0; cfg.len()], rows: Vec::new(), is_complete: true };
        let mut stamp = vec![u32::MAX; cfg.len()];
        let groups = components(&direct);
        let mut group_of = vec![0; cfg.len()];
        for (number, group) in groups.iter().enumerate() {
            group.iter().for_each(|&b| group_of[b as usize] = number);
        }
        let mut total = 0;
        for (number, group) in groups.into_iter().enumerate() {
            let inside = |c: u32| group_of[c as usize] == number;
            let number = number as u32;
            let mut row = Vec::new();
            let mut add = |c: u32, row: &mut Vec<u32>| {
                let new = std::mem::replace(&mut stamp[c as usize], number) != number;
                if new {
                    row.push(c);
                }
                new
            };
            for &b in &group {
                for &c in &direct[b as usize] {
                    if !add(c, &mut row) || inside(c) {
                        continue;
                    }
                    let of = controls.row_of[c as usize] as usize;
                    for i in 0..controls.rows[of].len() {
                        let c = controls.rows[of][i];
                        add(c, &mut row);
                    }
                }
            }
            total += row.len();
            if total > most {
                return unknown();
            }
            row.sort_unstable();
            group.iter().for_each(|&b| controls.row_of[b as usize] = number);
            controls.rows.push(row.into_boxed_slice());
        }
        controls
    }

    /// Whether all is known: a kernel of very many choices within others may be too large.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// The blocks that decide about a block, in order.
    pub fn of(&self, b: BlockId) -> &[u32] {
        &self.rows[self.row_of[b.0 as usize] as usize]
    }

    /// For tests: how many pairs are kept.
    #[cfg(test)]
    pub fn size(&self) -> usize {
        self.rows.iter().map(|r| r.len()).sum()
    }
}

/// The strongly connected components of a graph, each after those that it leads to (Tarjan 1972).
fn components(next: &[Vec<u32>]) -> Vec<Vec<u32>> {
    const NONE: u32 = u32::MAX;
    let n = next.len();
    let (mut index, mut low, mut on_stack) = (vec![NONE; n], vec![0u32; n], vec![false; n]);
    let (mut stack, mut found, mut count) = (Vec::new(), Vec::new(), 0);
    let mut calls: Vec<(u32, usize)> = Vec::new();
    for root in 0..n as u32 {
        if index[root as usize] != NONE {
            continue;
        }
        calls.push((root, 0));
        while let Some((v, i)) = calls.pop() {
            let at = v as usize;
            if i == 0 {
                (index[at], low[at], on_stack[at]) = (count, count, true);
                count += 1;
                stack.push(v);
            }
            match next[at].get(i) {
                Some(&w) if index[w as usize] == NONE => {
                    calls.push((v, i + 1));
                    calls.push((w, 0));
                }
                Some(&w) => {
                    if on_stack[w as usize] {
                        low[at] = low[at].min(index[w as usize]);
                    }
                    calls.push((v, i + 1));
                }
                None => {
                    if let Some(&(parent, _)) = calls.last() {
                        low[parent as usize] = low[parent as usize].min(low[at]);
                    }
                    if low[at] == index[at] {
                        let mut group = Vec::new();
                        while let Some(w) = stack.pop() {
                            on_stack[w as usize] = false;
                            group.push(w);
                            if w == v {
                                break;
                            }
                        }
                        found.push(group);
                    }
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;

    fn controls(body: &str) -> (Controls, usize) {
        let head = ".version 7.0 .target sm_80 .address_size 64 .entry k() { .reg .pred %p; .reg .b32 %r; ";
        let module = parse("t", &format!("{head}{body} ret; }}")).unwrap_or_else(|e| panic!("{e}"));
        let cfg = Cfg::new(&module.kernels[0]);
        (Controls::new(&cfg), cfg.len())
    }

    /// By definition: the transitive closure, one pair after the other.
    fn closure(cfg: &Cfg) -> Vec<Vec<u32>> {
        let mut rows = vec![std::collections::BTreeSet::new(); cfg.len()];
        for (c, b) in cfg.decisions(usize::MAX).expect("all of them") {
            rows[b as usize].insert(c);
        }
        loop {
            let before: usize = rows.iter().map(|r| r.len()).sum();
            for b in 0..rows.len() {
                for c in rows[b].clone() {
                    let more = rows[c as usize].clone();
                    rows[b].extend(more);
                }
            }
            if rows.iter().map(|r| r.len()).sum::<usize>() == before {
                return rows.into_iter().map(|r| r.into_iter().collect()).collect();
            }
        }
    }

    /// Which vertices lead to which, by any number of steps or none.
    fn leads(next: &[Vec<u32>]) -> Vec<Vec<bool>> {
        let n = next.len();
        let mut leads: Vec<Vec<bool>> =
            (0..n).map(|v| (0..n).map(|w| v == w || next[v].contains(&(w as u32))).collect()).collect();
        for by in 0..n {
            for v in 0..n {
                for w in 0..n {
                    leads[v][w] |= leads[v][by] && leads[by][w];
                }
            }
        }
        leads
    }

    /// Of every graph of three vertices, and of some of six: vertices that lead to each other are together, after all that
    /// they lead to.
    #[test]
    fn components_are_those_that_lead_to_each_other() {
        let graph = |n: usize, edges: u64, falling: bool| -> Vec<Vec<u32>> {
            let row = |v: usize| {
                let mut row: Vec<u32> = (0..n as u32).filter(|w| edges >> (v * n + *w as usize) & 1 == 1).collect();
                if falling {
                    row.reverse();
                }
                row
            };
            (0..n).map(row).collect()
        };
        let mut bits = 1u64;
        let sparse = std::iter::repeat_with(|| {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (bits >> 11) & (bits >> 27) & (bits << 3)
        });
        let small = (0..512).flat_map(|edges| [graph(3, edges, false), graph(3, edges, true)]);
        for next in small.chain(sparse.take(2000).map(|edges| graph(6, edges, edges & 1 == 1))) {
            let (n, leads) = (next.len(), leads(&next));
            let found = components(&next);
            let place = |v: usize| found.iter().position(|group| group.contains(&(v as u32))).expect("each is in one");
            assert_eq!(found.iter().map(Vec::len).sum::<usize>(), n, "each once: {found:?} of {next:?}");
            #[allow(clippy::needless_range_loop)] // both are vertices
            for v in 0..n {
                for w in 0..n {
                    assert_eq!(
                        place(v) == place(w),
                        leads[v][w] && leads[w][v],
                        "{v} and {w} in {found:?} of {next:?}"
                    );
                    assert!(!leads[v][w] || place(w) <= place(v), "{v} leads to {w} in {found:?} of {next:?}");
                }
            }
        }
    }

    /// Every kernel of four blocks, each of which branches to one of them, perhaps, and else goes on.
    /// The rows of a kernel's blocks are the closure.
    fn are_the_closure(body: &str) {
        let head = ".version 7.0 .target sm_80 .address_size 64 .entry k() { .reg .pred %p; .reg .b32 %r; ";
        let module = parse("t", &format!("{head}{body} ret; }}")).unwrap_or_else(|e| panic!("{e}"));
        let cfg = Cfg::new(&module.kernels[0]);
        let controls = Controls::new(&cfg);
        let rows: Vec<Vec<u32>> = (0..cfg.len() as u32).map(|b| controls.of(BlockId(b)).to_vec()).collect();
        assert_eq!(rows, closure(&cfg), "{body}");
    }

    #[test]
    fn rows_of_small_kernels_are_the_closure() {
        for ways in 0..625u32 {
            let block = |b: u32| match ways / 5u32.pow(b) % 5 {
                4 => format!("B{b}: mov.u32 %r, {b}; "),
                to => format!("B{b}: mov.u32 %r, {b}; @%p bra B{to}; "),
            };
            let body: String = (0..4).map(block).collect();
            are_the_closure(&body);
        }
    }

    #[test]
    fn rows_are_the_closure() {
        for body in [
            "@%p bra A; mov.u32 %r, 1; A: mov.u32 %r, 2; @%p bra B; mov.u32 %r, 3; B:",
            "L: mov.u32 %r, 1; @%p bra M; mov.u32 %r, 2; M: @%p bra L;",
            "L: mov.u32 %r, 1; K: mov.u32 %r, 2; @%p bra K; @%p bra L; @%p exit; mov.u32 %r, 4;",
            "@%p bra A; @%p bra B; mov.u32 %r, 1; A: @%p bra C; mov.u32 %r, 2; B: mov.u32 %r, 5; @%p bra A; C:",
            "@%p exit; @%p exit; @%p exit; mov.u32 %r, 1;",
        ] {
            are_the_closure(body);
        }
    }

    /// Choices after each other are as many pairs as there are choices, not their square.
    #[test]
    fn choices_in_a_row_stay_few() {
        let row = |n: usize| {
            let ifs: String = (0..n).map(|i| format!("@%p bra L{i}; mov.u32 %r, {i}; L{i}: mov.u32 %r, 1; ")).collect();
            controls(&ifs)
        };
        let ((small, _), (large, blocks)) = (row(500), row(5000));
        assert!(
            large.is_complete() && large.size() <= blocks && small.size() * 10 <= large.size() + 10,
            "{}",
            large.size()
        );
    }

    /// Pairs are counted as they are found, and as they are kept.
    #[test]
    fn as_many_as_there_are_is_enough() {
        let head = ".version 7.0 .target sm_80 .address_size 64 .entry k() { .reg .pred %p; .reg .b32 %r; ";
        for (body, direct, kept) in [
            ("@%p exit; @%p exit; @%p exit;", 3, 6),
            ("@%p bra A; mov.u32 %r, 1; A: mov.u32 %r, 2; @%p bra B; mov.u32 %r, 3; B:", 2, 2),
        ] {
            let module = parse("t", &format!("{head}{body} ret; }}")).unwrap_or_else(|e| panic!("{e}"));
            let cfg = Cfg::new(&module.kernels[0]);
            let whole = Controls::new(&cfg);
            assert_eq!((cfg.decisions(usize::MAX).map(|d| d.len()), whole.size()), (Some(direct), kept), "{body}");
            for most in 0..8 {
                let found = Controls::up_to(&cfg, most);
                assert_eq!(found.is_complete(), most >= kept, "{body} {most}");
                assert_eq!(found.size(), if most >= kept { kept } else { 0 }, "{body} {most}");
                assert_eq!(cfg.decisions(most).is_some(), most >= direct, "{body} {most}");
            }
        }
    }

    /// Where there would be too many, nothing is known, and that soon.
    #[test]
    fn choices_within_choices_are_bounded() {
        let exits = |n: usize| "@%p exit; mov.u32 %r, 1; ".repeat(n);
        assert!(controls(&exits(1000)).0.is_complete());
        assert!(!controls(&exits(9000)).0.is_complete());
    }
}
