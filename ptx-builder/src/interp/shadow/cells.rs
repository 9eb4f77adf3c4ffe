//! Marks of the last accesses to a piece of memory.

use super::strong::both;
use super::{Order, Strong};
use crate::table::{Scope, WARP};

/// One access.
#[derive(Clone, Copy)]
pub(in crate::interp) struct Mark {
    pub time: u32,
    pub pc: u32,
    /// `warp * 32 + lane`; of the line's first byte, in a mark on a whole line.
    pub thread: u16,
    /// Tells apart executions of the same instruction.
    pub serial: u16,
    pub strong: Option<Strong>,
    pub read_only: bool,
    pub write: bool,
    /// In a mark on a whole line: each lane has accessed `1 << shift` bytes of it.
    pub shift: u8,
}

impl Mark {
    pub fn warp(&self) -> u32 {
        u32::from(self.thread) / 32
    }

    pub fn lane(&self) -> u32 {
        u32::from(self.thread) % 32
    }
}

impl Mark {
    /// Whether whatever clashes with `old` clashes with this too, if it comes
    /// after both and is ordered after neither.
    fn covers(&self, old: &Mark) -> bool {
        let kind = |m: &Mark| (m.write, m.strong.is_some());
        (kind(old) == kind(self) || kind(old) == (false, true))
            && (self.strong.is_none() || both(old.strong, self.strong))
            && (self.read_only || !old.read_only)
    }
}

/// The last weak write, and up to three unordered reads and strong writes
/// since. Where there are more, one gives way, if possible of the same warp.
#[derive(Clone, Copy, Default)]
pub(in crate::interp) struct Cell {
    write: Option<Mark>,
    others: [Option<Mark>; 3],
}

impl Cell {
    /// The cell of the bytes at `offset` in a line that has this as its whole.
    pub fn part(&self, offset: u32) -> Cell {
        let part = |mark: &Mark| Mark { thread: mark.thread + (offset >> mark.shift) as u16, ..*mark };
        Cell { write: self.write.as_ref().map(part), others: self.others.map(|m| m.as_ref().map(part)) }
    }

    /// Whether there was no access here.
    pub fn is_empty(&self) -> bool {
        self.write.is_none() && self.others[0].is_none()
    }

    /// Every mark.
    pub fn marks(&self) -> impl Iterator<Item = &Mark> {
        self.write.iter().chain(self.others.iter().flatten())
    }
}

/// The mark of a cell, of those that `pick` takes, that an access clashes with, and whether the clash is about read-only data.
#[inline]
pub(super) fn clash(
    cell: &Cell,
    mark: &Mark,
    order: &Order,
    lane: u32,
    values: Option<&[u128; WARP]>,
    pick: impl Fn(&Mark) -> bool,
) -> Option<(Mark, bool)> {
    let warp = mark.warp();
    let clashes = |old: &Mark| -> Option<(Mark, bool)> {
        if old.read_only && mark.write || mark.read_only && old.write {
            return Some((*old, true));
        }
        let harmless = !(old.write || mark.write) || agree(order, old, mark);
        if harmless || order.is_ordered(old.warp(), old.lane(), old.time, warp, lane) {
            return None;
        }
        let together = old.warp() == warp && old.pc == mark.pc && old.serial == mark.serial && old.time == mark.time;
        if together && values.is_some_and(|v| v[old.lane() as usize] == v[lane as usize]) {
            return None;
        }
        Some((*old, false))
    };
    cell.marks().filter(|old| pick(old)).find_map(clashes)
}

/// Whether two accesses need no order: both are strong, of one size, and in scopes that include both threads.
#[inline]
fn agree(order: &Order, a: &Mark, b: &Mark) -> bool {
    let reaches = |m: &Mark| m.strong.is_some_and(|strong| strong.scope() >= Scope::Cluster);
    both(a.strong, b.strong) && (order.is_same_block(a.warp(), b.warp()) || reaches(a) && reaches(b))
}

/// Marks one cell, for a lane of a warp.
#[inline]
pub(super) fn update(cell: &mut Cell, mark: &Mark, order: &Order, (warp, lane): (u32, u32)) {
    if mark.write && mark.strong.is_none() {
        *cell = Cell { write: Some(*mark), others: [None; 3] };
        return;
    }
    let is_ordered = |old: &Mark| order.is_ordered(old.warp(), old.lane(), old.time, warp, lane);
    let replaceable = |old: &Option<Mark>| old.as_ref().is_none_or(|old| mark.covers(old) && is_ordered(old));
    // The usual case: one reader, or all earlier ones ordered before this.
    if replaceable(&cell.others[0]) {
        cell.others[0] = Some(*mark);
        return;
    }
    let same_warp = |old: &Option<Mark>| old.as_ref().is_some_and(|old| mark.covers(old) && old.warp() == warp);
    let slot = cell.others.iter().position(replaceable).or_else(|| cell.others.iter().position(same_warp));
    cell.others[slot.unwrap_or(2)] = Some(*mark);
}

/// Marks a whole line, if no clash is possible; else its parts must be looked
/// at one by one.
#[inline]
pub(super) fn update_line(line: &mut Cell, mark: &Mark, order: &Order) -> bool {
    let warp = mark.warp();
    let is_ordered = |old: &Mark| {
        let same_lanes = old.thread == mark.thread && old.shift == mark.shift;
        same_lanes || order.is_ordered_for_all(old.warp(), old.time, warp)
    };
    let harmless = |old: &Mark| {
        let read_only = old.read_only && mark.write || mark.read_only && old.write;
        let no_clash = !(old.write || mark.write) || agree(order, old, mark);
        !read_only && (no_clash || is_ordered(old))
    };
    if !line.marks().all(harmless) {
        return false;
    }
    if mark.write && mark.strong.is_none() {
        *line = Cell { write: Some(*mark), others: [None; 3] };
        return true;
    }
    let replaceable = |old: &Option<Mark>| old.as_ref().is_none_or(|old| mark.covers(old) && is_ordered(old));
    let same_warp = |old: &Option<Mark>| old.as_ref().is_some_and(|old| mark.covers(old) && old.warp() == warp);
    let slot = line.others.iter().position(replaceable).or_else(|| line.others.iter().position(same_warp));
    line.others[slot.unwrap_or(2)] = Some(*mark);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A read by a lane of a warp that has not met with any other.
    fn read(warp: u16, lane: u16) -> Mark {
        let (pc, serial, strong) = (0, 0, None);
        Mark { time: 1, pc, thread: warp * 32 + lane, serial, strong, read_only: false, write: false, shift: 2 }
    }

    fn threads(cell: &Cell) -> Vec<(u16, u16)> {
        cell.marks().map(|m| (m.thread / 32, m.thread % 32)).collect()
    }

    /// Of more readers than a cell keeps, one of the same warp gives way, and else the last.
    #[test]
    fn one_of_the_same_warp_gives_way() {
        let order = Order::new(5, 5);
        let (mut cell, mut line) = (Cell::default(), Cell::default());
        assert!(cell.is_empty());
        for (warp, lane, expected) in [
            (0, 0, vec![(0, 0)]),
            (1, 0, vec![(0, 0), (1, 0)]),
            (2, 0, vec![(0, 0), (1, 0), (2, 0)]),
            (1, 8, vec![(0, 0), (1, 8), (2, 0)]),
            (3, 0, vec![(0, 0), (1, 8), (3, 0)]),
            (3, 4, vec![(0, 0), (1, 8), (3, 4)]),
            (0, 4, vec![(0, 4), (1, 8), (3, 4)]),
        ] {
            update(&mut cell, &read(warp, lane), &order, (warp.into(), lane.into()));
            assert_eq!(threads(&cell), expected, "{warp} {lane}");
            assert!(update_line(&mut line, &read(warp, lane), &order));
            assert_eq!(threads(&line), expected, "{warp} {lane}");
            assert!(!cell.is_empty());
        }
        // What is not covered stays: a strong read is less than a weak one, and a read-only one more.
        let strong = Mark { strong: Some(Strong::new(crate::table::Scope::Gpu, 4)), ..read(1, 3) };
        update(&mut cell, &strong, &order, (1, 3));
        assert_eq!(threads(&cell), [(0, 4), (1, 8), (1, 3)]);
        // A write is all that is left, and what has clashed is not marked as a line.
        let write = Mark { write: true, ..read(2, 0) };
        assert!(!update_line(&mut line, &write, &order));
        assert_eq!(threads(&line).len(), 3);
        update(&mut cell, &write, &order, (2, 0));
        assert_eq!(threads(&cell), [(2, 0)]);
    }
}
