//! Marks of the last accesses to each piece of memory.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::{Access, By, Order, Strength};
use crate::table::{Scope, WARP};

/// Bytes a page; a page is made when it is first touched.
const PAGE: u64 = 4096;

/// One access.
#[derive(Clone, Copy)]
pub(in crate::interp) struct Mark {
    pub time: u32,
    pub pc: u32,
    /// `warp * 32 + lane`.
    pub thread: u16,
    serial: u16,
    pub strong: Option<Scope>,
    pub read_only: bool,
}

impl Mark {
    pub fn warp(&self) -> u32 {
        u32::from(self.thread) / 32
    }

    pub fn lane(&self) -> u32 {
        u32::from(self.thread) % 32
    }
}

/// The last write and up to two unordered reads since. Two are enough to find
/// a race with a write that is ordered after neither; a third unordered
/// reader takes the place of one in its own warp, or of the second.
#[derive(Clone, Copy, Default)]
pub(in crate::interp) struct Cell {
    pub write: Option<Mark>,
    pub reads: [Option<Mark>; 2],
}

/// Cells of 4 bytes each, or of one byte once a narrower access has come.
struct Page {
    shift: u32,
    cells: Vec<Cell>,
}

impl Page {
    fn new() -> Self {
        Page { shift: 2, cells: vec![Cell::default(); PAGE as usize / 4] }
    }

    fn refine(&mut self) {
        self.cells = self.cells.iter().flat_map(|c| [*c; 4]).collect();
        self.shift = 0;
    }
}

/// Page numbers are spread well by one multiplication.
#[derive(Default)]
pub(in crate::interp) struct PageHasher(u64);

impl Hasher for PageHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &b in bytes {
            self.write_u64(u64::from(b));
        }
    }
    fn write_u64(&mut self, x: u64) {
        self.0 = (self.0 ^ x).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
}

/// The marks of one space.
#[derive(Default)]
pub(in crate::interp) struct Cells {
    index: HashMap<u64, u32, BuildHasherDefault<PageHasher>>,
    pages: Vec<Page>,
    /// The page used last.
    last: Option<(u64, u32)>,
}

/// Two accesses that clash.
pub(in crate::interp) struct Conflict {
    pub lane: u32,
    pub address: u64,
    pub other: Mark,
    pub other_wrote: bool,
    /// Data of the read-only path was written, however ordered.
    pub read_only: bool,
}

impl Cells {
    fn page(&mut self, address: u64) -> &mut Page {
        let number = address / PAGE;
        let i = match self.last {
            Some((last, i)) if last == number => i,
            _ => {
                let pages = &mut self.pages;
                let i = *self.index.entry(number).or_insert_with(|| {
                    pages.push(Page::new());
                    pages.len() as u32 - 1
                });
                self.last = Some((number, i));
                i
            }
        };
        &mut self.pages[i as usize]
    }

    /// Marks a warp's access and reports clashes, at most one a lane. `values`
    /// are what each lane writes.
    #[allow(clippy::too_many_arguments)] // the parts of one access
    pub fn access(
        &mut self,
        order: &Order,
        by: By,
        mask: u32,
        at: &[u64; WARP],
        bytes: u32,
        access: Access,
        values: Option<&[u128; WARP]>,
        mut clash: impl FnMut(Conflict),
    ) {
        let time = order.now(by.warp);
        let strong = match access.strength {
            Strength::Weak => None,
            Strength::Strong(scope) => Some(scope),
        };
        for lane in crate::interp::warp::lanes(mask) {
            let thread = (by.warp * 32 + lane as u32) as u16;
            let mark = Mark { time, pc: by.pc, thread, serial: by.serial, strong, read_only: access.read_only };
            let address = at[lane];
            let page = self.page(address);
            if bytes < 4 && page.shift != 0 {
                page.refine();
            }
            let first = ((address % PAGE) >> page.shift) as usize;
            let n = (bytes >> page.shift).max(1) as usize;
            let mut found = None;
            for cell in &mut page.cells[first..first + n] {
                let other = update(cell, &mark, access.write, order, lane as u32, values);
                found = found.or(other);
            }
            if let Some((other, other_wrote, read_only)) = found {
                clash(Conflict { lane: lane as u32, address, other, other_wrote, read_only });
            }
        }
    }

    /// Every cell that was touched, with its address and size.
    pub fn touched(&self) -> impl Iterator<Item = (u64, u32, &Cell)> {
        self.index.iter().flat_map(|(&number, &i)| {
            let page = &self.pages[i as usize];
            let size = 1 << page.shift;
            page.cells
                .iter()
                .enumerate()
                .filter(|(_, c)| c.write.is_some() || c.reads[0].is_some())
                .map(move |(k, c)| (number * PAGE + k as u64 * u64::from(size), size, c))
        })
    }
}

/// Marks one cell. Gives the clashing mark, whether it wrote, and whether the
/// clash is about read-only data.
#[inline]
fn update(
    cell: &mut Cell,
    mark: &Mark,
    write: bool,
    order: &Order,
    lane: u32,
    values: Option<&[u128; WARP]>,
) -> Option<(Mark, bool, bool)> {
    let warp = mark.warp();
    let clashes = |old: &Mark, old_wrote: bool| -> Option<(Mark, bool, bool)> {
        if old.thread == mark.thread || (old.strong.is_some() && mark.strong.is_some()) {
            let read_only = old.read_only && write || mark.read_only && old_wrote;
            return read_only.then_some((*old, old_wrote, true));
        }
        if old.read_only && write || mark.read_only && old_wrote {
            return Some((*old, old_wrote, true));
        }
        if order.is_ordered(old.warp(), old.lane(), old.time, warp, lane) {
            return None;
        }
        let together = old.warp() == warp && old.pc == mark.pc && old.serial == mark.serial && old.time == mark.time;
        if together && values.is_some_and(|v| v[old.lane() as usize] == v[lane as usize]) {
            return None;
        }
        Some((*old, old_wrote, false))
    };
    let mut found = cell.write.as_ref().and_then(|w| clashes(w, true));
    if write {
        for read in cell.reads.iter().flatten() {
            found = found.or_else(|| clashes(read, false));
        }
        *cell = Cell { write: Some(*mark), reads: [None; 2] };
        return found;
    }
    let replaceable = |old: &Option<Mark>| match old {
        None => true,
        Some(m) => {
            (m.thread == mark.thread || order.is_ordered(m.warp(), m.lane(), m.time, warp, lane))
                && (!m.read_only || mark.read_only)
        }
    };
    match &mut cell.reads {
        [a, b] if replaceable(a) => {
            *a = Some(*mark);
            if replaceable(b) {
                *b = None;
            }
        }
        [Some(a), b] if replaceable(b) || b.is_some_and(|m| m.warp() == warp) || a.warp() != warp => *b = Some(*mark),
        [a, _] => *a = Some(*mark),
    }
    found
}
