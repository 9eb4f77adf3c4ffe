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
    pub write: bool,
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
        (kind(old) == kind(self) || kind(old) == (false, true)) && (self.read_only || !old.read_only)
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
    /// Every mark.
    pub fn marks(&self) -> impl Iterator<Item = &Mark> {
        self.write.iter().chain(self.others.iter().flatten())
    }
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
            let mark = Mark {
                time,
                pc: by.pc,
                thread,
                serial: by.serial,
                strong,
                read_only: access.read_only,
                write: access.write,
            };
            let address = at[lane];
            let page = self.page(address);
            if bytes < 4 && page.shift != 0 {
                page.refine();
            }
            let first = ((address % PAGE) >> page.shift) as usize;
            let n = (bytes >> page.shift).max(1) as usize;
            let mut found = None;
            for cell in &mut page.cells[first..first + n] {
                let other = update(cell, &mark, order, lane as u32, values);
                found = found.or(other);
            }
            if let Some((other, read_only)) = found {
                clash(Conflict { lane: lane as u32, address, other, read_only });
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
                .filter(|(_, c)| c.write.is_some() || c.others[0].is_some())
                .map(move |(k, c)| (number * PAGE + k as u64 * u64::from(size), size, c))
        })
    }
}

/// Marks one cell. Gives the clashing mark, and whether the clash is about
/// read-only data.
#[inline]
fn update(
    cell: &mut Cell,
    mark: &Mark,
    order: &Order,
    lane: u32,
    values: Option<&[u128; WARP]>,
) -> Option<(Mark, bool)> {
    let warp = mark.warp();
    let is_ordered = |old: &Mark| order.is_ordered(old.warp(), old.lane(), old.time, warp, lane);
    let clashes = |old: &Mark| -> Option<(Mark, bool)> {
        if old.read_only && mark.write || mark.read_only && old.write {
            return Some((*old, true));
        }
        let harmless = !(old.write || mark.write) || old.strong.is_some() && mark.strong.is_some();
        if harmless || is_ordered(old) {
            return None;
        }
        let together = old.warp() == warp && old.pc == mark.pc && old.serial == mark.serial && old.time == mark.time;
        if together && values.is_some_and(|v| v[old.lane() as usize] == v[lane as usize]) {
            return None;
        }
        Some((*old, false))
    };
    let found = cell.marks().find_map(clashes);
    if mark.write && mark.strong.is_none() {
        *cell = Cell { write: Some(*mark), others: [None; 3] };
        return found;
    }
    let replaceable = |old: &Option<Mark>| old.as_ref().is_none_or(|old| mark.covers(old) && is_ordered(old));
    // The usual case: one reader, or all earlier ones ordered before this.
    if replaceable(&cell.others[0]) {
        cell.others[0] = Some(*mark);
        return found;
    }
    let same_warp = |old: &Option<Mark>| old.as_ref().is_some_and(|old| mark.covers(old) && old.warp() == warp);
    let slot = cell.others.iter().position(replaceable).or_else(|| cell.others.iter().position(same_warp));
    cell.others[slot.unwrap_or(2)] = Some(*mark);
    found
}
