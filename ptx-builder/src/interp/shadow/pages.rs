//! The marks of a space: pages of lines, and cells where lines are not enough.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use smallvec::SmallVec;

use super::cells::{Cell, Mark, clash, update, update_line};
use super::{Access, By, Order, Strength};
use crate::interp::mask::lanes;
use crate::table::WARP;

/// Bytes a page; a page is made when it is first touched.
const PAGE: u64 = 4096;
/// Bytes a line.
const LINE: u64 = 32;

/// The marks on one line. As long as warps access it as a whole, each lane its
/// bytes in a row, one cell says it all.
enum Line {
    Whole(Cell),
    /// Cells of 4 bytes each, or of one byte once a narrower access has come.
    Parts(Box<[Cell]>),
}

impl Line {
    /// The cells of a line, as wide as they are or as an access of `bytes` needs.
    fn parts(&mut self, bytes: u32) -> &mut [Cell] {
        let narrow = match self {
            Line::Whole(cell) => bytes < 4 || cell.marks().any(|m| m.shift < 2),
            Line::Parts(cells) => bytes < 4 && cells.len() < LINE as usize,
        };
        if narrow || matches!(self, Line::Whole(_)) {
            let size = if narrow { 1 } else { 4 };
            let offsets = (0..LINE as u32).step_by(size);
            *self = Line::Parts(match self {
                Line::Whole(cell) if cell.is_empty() => offsets.map(|_| Cell::default()).collect(),
                Line::Whole(cell) => offsets.map(|offset| cell.part(offset)).collect(),
                Line::Parts(cells) => cells.iter().flat_map(|c| [*c; 4]).collect(),
            });
        }
        match self {
            Line::Parts(cells) => cells,
            Line::Whole(cell) => std::slice::from_mut(cell),
        }
    }
}

type Page = Box<[Line]>;

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
    /// Whether it and all that it clashes with there are writes, of different instructions or at different times.
    pub only_writes: bool,
}

/// The lanes of a mask, if they access their bytes in a row, from the first
/// lane on and in whole lines: the first lane and address, and the bytes.
fn whole_lines(mask: u32, at: &[u64; WARP], bytes: u32) -> Option<(u32, u64, u64)> {
    let first = mask.trailing_zeros();
    let n = mask.count_ones();
    let run = mask.checked_shr(first)?;
    let start = at[first as usize];
    let total = u64::from(n * bytes);
    let fits = start.is_multiple_of(LINE) && total.is_multiple_of(LINE) && (n == 32 || run == (1 << n) - 1);
    let in_row = || (0..n).all(|i| at[(first + i) as usize] == start.wrapping_add(u64::from(i * bytes)));
    (fits && in_row()).then_some((first, start, total))
}

impl Cells {
    fn line(&mut self, address: u64) -> &mut Line {
        let number = address / PAGE;
        let i = match self.last {
            Some((last, i)) if last == number => i,
            _ => {
                let pages = &mut self.pages;
                let i = *self.index.entry(number).or_insert_with(|| {
                    pages.push((0..PAGE / LINE).map(|_| Line::Whole(Cell::default())).collect());
                    pages.len() as u32 - 1
                });
                // mutants: same, only time
                self.last = Some((number, i));
                i
            }
        };
        &mut self.pages[i as usize][(address % PAGE / LINE) as usize]
    }

    /// Marks a warp's access and reports clashes, at most one a lane and line.
    /// `values` are what each lane writes.
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
        let strong = access.strength.strong();
        let mark = Mark {
            time: order.now(by.warp),
            pc: by.pc,
            thread: (by.warp * 32) as u16,
            serial: by.serial,
            strong,
            read_only: access.read_only,
            write: access.write,
            shift: bytes.trailing_zeros() as u8,
        };
        if let Some((first, start, total)) = whole_lines(mask, at, bytes) {
            for offset in (0..total).step_by(LINE as usize) {
                let lane = first + (offset as u32 >> mark.shift);
                let whole = Mark { thread: mark.thread + lane as u16, ..mark };
                let line = self.line(start + offset);
                let done = match line {
                    Line::Whole(cell) => update_line(cell, &whole, order),
                    Line::Parts(_) => false,
                };
                if done {
                    continue;
                }
                let lanes_in_line = (LINE as u32 / bytes).max(1);
                let mut clean = true;
                for lane in lane..lane + lanes_in_line {
                    let found = mark_lane(line, order, &mark, lane, at[lane as usize], bytes, values);
                    clean &= found.is_none();
                    found.into_iter().for_each(&mut clash);
                }
                if clean && access.write && strong.is_none() {
                    let mut cell = Cell::default();
                    update_line(&mut cell, &whole, order);
                    *line = Line::Whole(cell);
                }
            }
            return;
        }
        // A lane's weak write takes the place of what was there, and where lanes write the same, that does not clash.
        // So all of them look before one of them writes.
        let mut before: Vec<Option<Conflict>> = Vec::new();
        if access.write && strong.is_none() && overlap(mask, at, bytes) {
            before.resize_with(WARP, || None);
            for lane in lanes(mask) {
                before[lane] = look(self.line(at[lane]), order, &mark, lane as u32, at[lane], bytes, values);
            }
        }
        for lane in lanes(representatives(mask, at, &access)) {
            let line = self.line(at[lane]);
            let found = mark_lane(line, order, &mark, lane as u32, at[lane], bytes, values);
            before.get_mut(lane).and_then(Option::take).or(found).into_iter().for_each(&mut clash);
        }
    }

    /// Marks what an engine accesses on behalf of a lane, complete at a time of the engine's clock, and reports the
    /// first clash with what is not ordered before the instruction. `at` and `bytes` are multiples of 4.
    #[allow(clippy::too_many_arguments)] // the parts of one access
    pub fn engine_access(
        &mut self,
        order: &Order,
        by: By,
        lane: u32,
        (engine, time): (u32, u32),
        at: u64,
        bytes: u64,
        access: Access,
    ) -> Option<Conflict> {
        let strong = access.strength.strong();
        let mark = |thread: u32, time| Mark {
            time,
            pc: by.pc,
            thread: thread as u16,
            serial: by.serial,
            strong,
            read_only: false,
            write: access.write,
            shift: 2,
        };
        let issued = mark(by.warp * WARP as u32, order.now(by.warp));
        let left = mark(engine * WARP as u32, time);
        let mut found = None;
        for address in (at..at.saturating_add(bytes)).step_by(4) {
            let line = self.line(address);
            if found.is_none() {
                found = look(line, order, &issued, lane, address, 4, None);
            }
            let (_, cells) = touched(line, &left, 0, address, 4);
            cells.iter_mut().for_each(|cell| update(cell, &left, order, (by.warp, lane)));
        }
        found
    }

    /// The first write to some bytes, of those still marked, for which `pick` holds, with its
    /// address.
    pub fn find_write(&self, at: u64, bytes: u64, pick: impl Fn(&Mark) -> bool) -> Option<(u64, Mark)> {
        let end = at.saturating_add(bytes);
        // For any number of requested bytes, only marked ones are examined.
        let mut pages: Vec<(u64, u32)> = self.index.iter().map(|(&number, &i)| (number, i)).collect();
        pages.retain(|(number, _)| (at / PAGE..end.div_ceil(PAGE)).contains(number));
        pages.sort_unstable();
        pages.into_iter().find_map(|(number, i)| {
            let (first, last) = (at.max(number * PAGE), end.min((number + 1).saturating_mul(PAGE)));
            (first..last).step_by(4).find_map(|address| {
                let offset = (address % LINE) as u32;
                let cell = match &self.pages[i as usize][(address % PAGE / LINE) as usize] {
                    Line::Whole(cell) if cell.is_empty() => return None,
                    Line::Whole(cell) => cell.part(offset),
                    Line::Parts(cells) => cells[offset as usize * cells.len() / LINE as usize],
                };
                cell.marks().find(|m| m.write && pick(m)).map(|m| (address, *m))
            })
        })
    }

    /// Calls `f` with every mark, its first address and its size, by address.
    pub fn for_each(&self, mut f: impl FnMut(u64, u64, &Mark)) {
        let mut numbers: Vec<(u64, u32)> = self.index.iter().map(|(&number, &i)| (number, i)).collect();
        numbers.sort_unstable();
        for (number, i) in numbers {
            for (k, line) in self.pages[i as usize].iter().enumerate() {
                let (cells, start) = match line {
                    Line::Whole(cell) => (std::slice::from_ref(cell), number * PAGE + k as u64 * LINE),
                    Line::Parts(cells) => (&cells[..], number * PAGE + k as u64 * LINE),
                };
                let size = LINE / cells.len() as u64;
                for (j, cell) in cells.iter().enumerate() {
                    cell.marks().for_each(|mark| f(start + j as u64 * size, size, mark));
                }
            }
        }
    }
}

/// Where all lanes access one place without writing different values, the
/// first and the last represent all: if any clashes, one of these does.
fn representatives(mask: u32, at: &[u64; WARP], access: &Access) -> u32 {
    let first = mask.trailing_zeros() & 31;
    let last = 31 - mask.leading_zeros().min(31);
    let weak_write = access.write && access.strength == Strength::Weak;
    if weak_write || at[first as usize] != at[last as usize] || lanes(mask).any(|l| at[l] != at[first as usize]) {
        return mask;
    }
    mask & (1 << first | 1 << last)
}

/// Whether lanes may access the same bytes. Sorting is quick where addresses rise
/// from lane to lane, as most do.
fn overlap(mask: u32, at: &[u64; WARP], bytes: u32) -> bool {
    let mut all: SmallVec<[u64; WARP]> = lanes(mask).map(|lane| at[lane]).collect();
    all.sort_unstable();
    all.windows(2).any(|pair| pair[1] - pair[0] < u64::from(bytes))
}

/// A lane's own mark, and the cells of a line that its access reaches.
fn touched<'l>(line: &'l mut Line, mark: &Mark, lane: u32, address: u64, bytes: u32) -> (Mark, &'l mut [Cell]) {
    let cells = line.parts(bytes);
    let size = LINE as usize / cells.len();
    let first = (address % LINE) as usize / size;
    let count = (bytes as usize / size).max(1);
    (Mark { thread: mark.thread + lane as u16, ..*mark }, &mut cells[first..first + count])
}

/// What one lane's access clashes with, before it leaves a mark.
fn look(
    line: &mut Line,
    order: &Order,
    mark: &Mark,
    lane: u32,
    address: u64,
    bytes: u32,
    values: Option<&[u128; WARP]>,
) -> Option<Conflict> {
    let (mark, cells) = touched(line, mark, lane, address, bytes);
    let (other, read_only) = cells.iter().find_map(|cell| clash(cell, &mark, order, lane, values, |_| true))?;
    let at_once = |m: &Mark| (m.warp(), m.pc, m.serial, m.time) == (mark.warp(), mark.pc, mark.serial, mark.time);
    let worse = |m: &Mark| !m.write || m.strong.is_some() || at_once(m);
    let only_writes = mark.write
        && mark.strong.is_none()
        && !read_only
        && cells.iter().all(|cell| clash(cell, &mark, order, lane, values, worse).is_none());
    Some(Conflict { lane, address, other, read_only, only_writes })
}

/// Marks one lane's access.
fn mark_lane(
    line: &mut Line,
    order: &Order,
    mark: &Mark,
    lane: u32,
    address: u64,
    bytes: u32,
    values: Option<&[u128; WARP]>,
) -> Option<Conflict> {
    let found = look(line, order, mark, lane, address, bytes, values);
    let (mark, cells) = touched(line, mark, lane, address, bytes);
    cells.iter_mut().for_each(|cell| update(cell, &mark, order, (mark.warp(), lane)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(write: impl Fn(&mut PageHasher)) -> u64 {
        let mut hasher = PageHasher::default();
        write(&mut hasher);
        hasher.finish()
    }

    /// Numbers of pages that follow each other are far apart, and so is whatever else is hashed.
    #[test]
    fn hashes_differ() {
        let of = |x: u64| hash(|h| h.write_u64(x));
        let mut all: Vec<u64> = (0..1000).map(of).collect();
        all.extend([&[1u8][..], &[2], &[1, 2], &[2, 1], &[2, 1, 0]].map(|bytes| hash(|h| h.write(bytes))));
        // A byte is hashed as its number.
        assert_eq!(hash(|h| h.write(&[7])), of(7));
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 1000 + 5 - 2);
        assert!((1..64).all(|x| (of(x) ^ of(x - 1)).count_ones() > 8));
    }
}
