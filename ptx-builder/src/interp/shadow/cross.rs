//! Races between blocks of a launch.

use super::cells::Mark;
use super::strong::both;
use super::{Cells, Order, Strong};
use crate::table::Scope;

/// Neighbouring bytes with the same mark.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub start: u64,
    pub end: u64,
    pub mark: Mark,
}

impl Span {
    /// Its strength towards other blocks.
    fn strong(&self) -> Option<Strong> {
        self.mark.strong.filter(|strong| strong.scope() >= Scope::Gpu)
    }
}

/// What a finished block did to global memory.
pub(in crate::interp) struct Trace {
    block: u64,
    spans: Vec<Span>,
    order: Order,
}

/// A race between two blocks.
pub(in crate::interp) struct CrossConflict {
    pub address: u64,
    /// The later block's access, then the earlier one's.
    pub this: (u64, Mark),
    pub other: (u64, Mark),
    /// Data of the read-only path was written, however ordered.
    pub read_only: bool,
}

impl Trace {
    /// What remains of a block's marks; `None` where there are none.
    pub fn new(block: u64, cells: &Cells, order: Order) -> Option<Trace> {
        let spans = Span::all(cells);
        (!spans.is_empty()).then_some(Trace { block, spans, order })
    }

    /// Which block it is of, and what that has touched.
    pub(super) fn spans(&self) -> (u64, &[Span]) {
        (self.block, &self.spans)
    }
}

impl Span {
    /// What marks there are, joined.
    pub(super) fn all(cells: &Cells) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        // Those that the next bytes may continue, by their place in `spans`.
        let mut open: Vec<usize> = Vec::new();
        let key = |m: &Mark| (m.write, m.pc, m.thread / 32, m.time, m.strong, m.read_only);
        cells.for_each(|start, size, mark| {
            open.retain(|&i| spans[i].end >= start);
            match open.iter().find(|&&i| key(&spans[i].mark) == key(mark)) {
                Some(&i) => spans[i].end = start + size,
                None => {
                    open.push(spans.len());
                    spans.push(Span { start, end: start + size, mark: *mark });
                }
            }
        });
        spans.shrink_to_fit();
        spans
    }
}

/// Finds the unordered accesses of different blocks to the same bytes.
pub(in crate::interp) fn conflicts(traces: &[Trace], mut clash: impl FnMut(CrossConflict)) {
    let all = || traces.iter().enumerate().flat_map(|(t, trace)| trace.spans.iter().map(move |s| (t, s)));
    // Most data is only read; data that no block writes is skipped first.
    let mut written: Vec<(u64, u64)> = all().filter(|(_, s)| s.mark.write).map(|(_, s)| (s.start, s.end)).collect();
    written.sort_unstable();
    written.dedup_by(|b, a| {
        let joins = a.1 >= b.0;
        if joins {
            a.1 = a.1.max(b.1);
        }
        joins
    });
    let is_written = |s: &Span| {
        let i = written.partition_point(|w| w.1 <= s.start);
        written.get(i).is_some_and(|w| w.0 < s.end)
    };
    let mut spans: Vec<(usize, &Span)> = all().filter(|(_, s)| s.mark.write || is_written(s)).collect();
    spans.sort_by_key(|&(t, s)| (s.start, t, s.mark.pc, s.mark.thread, s.end, !s.mark.write));
    let mut writes: Vec<(usize, &Span)> = Vec::new();
    let mut reads: Vec<(usize, &Span)> = Vec::new();
    for (t, span) in spans {
        writes.retain(|(_, s)| s.end > span.start);
        let against = writes.iter().rev();
        let mut found = against.copied().find_map(|other| check(traces, (t, span), other));
        if span.mark.write {
            reads.retain(|(_, s)| s.end > span.start);
            found = found.or_else(|| reads.iter().rev().copied().find_map(|other| check(traces, (t, span), other)));
            writes.push((t, span));
        } else {
            reads.push((t, span));
        }
        if let Some(conflict) = found {
            clash(conflict);
        }
    }
}

fn check(traces: &[Trace], a: (usize, &Span), b: (usize, &Span)) -> Option<CrossConflict> {
    if a.0 == b.0 {
        return None;
    }
    let ((ta, sa), (tb, sb)) = if a.0 > b.0 { (a, b) } else { (b, a) };
    let read_only = sa.mark.read_only && sb.mark.write || sb.mark.read_only && sa.mark.write;
    if !read_only {
        if both(sa.strong(), sb.strong()) {
            return None;
        }
        let before = |(t, s): (usize, &Span), (u, r): (usize, &Span)| {
            let known = traces[u].order.knew(r.mark.warp(), r.mark.time, traces[t].block, s.mark.warp());
            s.mark.time < known
        };
        if before((ta, sa), (tb, sb)) || before((tb, sb), (ta, sa)) {
            return None;
        }
    }
    Some(CrossConflict {
        address: sa.start.max(sb.start),
        this: (traces[ta].block, sa.mark),
        other: (traces[tb].block, sb.mark),
        read_only,
    })
}
