//! What launches that overlap do to the same memory.

use std::collections::HashSet;

use super::Cells;
use super::cells::Mark;
use super::cross::{Span, Trace};

/// What a launch has done to global memory, block by block, in order of address once it is [`sorted`](Self::sorted).
#[derive(Clone, Default)]
pub(in crate::interp) struct Footprint(Vec<(u64, Span)>);

/// An access of a launch, and one of another at the same address, one of which writes.
pub(in crate::interp) struct Meeting {
    pub address: u64,
    /// Block and access of each.
    pub this: (u64, Mark),
    pub other: (u64, Mark),
}

impl Footprint {
    /// That of blocks that have ended.
    pub fn of(traces: &[Trace]) -> Footprint {
        let all = traces.iter().map(Trace::spans);
        Footprint(all.flat_map(|(block, spans)| spans.iter().map(move |s| (block, *s))).collect())
    }

    /// Adds what a block has done so far.
    pub fn add(&mut self, block: u64, cells: &Cells) {
        self.0.extend(Span::all(cells).into_iter().map(|span| (block, span)));
    }

    /// In order.
    #[must_use]
    pub fn sorted(mut self) -> Footprint {
        self.0.sort_by_key(|(block, s)| (s.start, *block, s.mark.pc, s.mark.thread, s.end, !s.mark.write));
        self
    }
}

/// Calls `found` where two launches touch the same bytes and one of them writes, once for each pair of instructions.
pub(in crate::interp) fn meetings(these: &Footprint, others: &Footprint, mut found: impl FnMut(Meeting)) {
    let mut known = HashSet::new();
    // Those of either that may reach as far as the next one.
    let mut open: [Vec<(u64, Span)>; 2] = Default::default();
    let (mut a, mut b) = (these.0.iter().peekable(), others.0.iter().peekable());
    loop {
        let side = match (a.peek(), b.peek()) {
            (None, None) => return,
            (Some((_, x)), Some((_, y))) => usize::from(y.start < x.start),
            (Some(_), None) => 0,
            (None, Some(_)) => 1,
        };
        let Some(&(block, span)) = (if side == 0 { a.next() } else { b.next() }) else { return };
        for list in &mut open {
            list.retain(|(_, s)| s.end > span.start);
        }
        for &(with, other) in &open[1 - side] {
            let pair = [(block, span.mark), (with, other.mark)];
            let [this, other] = if side == 0 { pair } else { [pair[1], pair[0]] };
            if (this.1.write || other.1.write) && known.insert((this.1.pc, other.1.pc)) {
                found(Meeting { address: span.start, this, other });
            }
        }
        open[side].push((block, span));
    }
}
