//! Shadows in memory, by address.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::Who;
use super::shape::{Format, Granule, Shape};
use crate::interp::shadow::PageHasher;

/// Bytes a page; a page is made when an inexact value is first stored there.
pub(in crate::interp) const PAGE: u64 = 1024;

/// A value, or a piece of one, at an address.
#[derive(Clone, Copy, Debug)]
pub(in crate::interp) struct Entry {
    pub err: f64,
    pub who: Who,
    /// Its bits when it was stored: others mean that it was overwritten since.
    pub held: u64,
    pub format: Format,
    /// From the value's bit 16 `at` on.
    pub at: u8,
    /// Bytes; 0 where there is nothing.
    pub size: u8,
}

impl Entry {
    /// Whether it is a whole float.
    fn is_whole(&self) -> bool {
        self.at == 0 && self.format != Format::Int && usize::from(self.size) == 2 * self.format.granules()
    }

    const NONE: Entry = Entry { err: 0.0, who: Who::NONE, held: 0, format: Format::Int, at: 0, size: 0 };
}

struct Page {
    /// What begins at each multiple of 4 and has 4 or 8 bytes.
    words: Box<[Entry]>,
    /// What begins at each byte and has 1 or 2.
    small: Option<Box<[Entry]>>,
}

impl Page {
    fn new() -> Page {
        Page { words: vec![Entry::NONE; PAGE as usize / 4].into(), small: None }
    }

    fn clear(&mut self, at: usize, bytes: usize) {
        for word in at / 4..(at + bytes).div_ceil(4) {
            self.words[word].size = 0;
        }
        if let Some(small) = &mut self.small {
            small[at..at + bytes].iter_mut().for_each(|e| e.size = 0);
        }
    }
}

/// What a load finds: at most four values or pieces.
#[derive(Clone, Copy, Debug)]
pub(in crate::interp) struct Found {
    pub shape: Shape,
    pub err: [f64; 4],
    pub who: [Who; 4],
}

/// The low bits of a value that `bytes` hold.
fn low(value: u64, bytes: usize) -> u64 {
    if bytes >= 8 { value } else { value & ((1 << (8 * bytes)) - 1) }
}

/// The shadows of a space.
#[derive(Default)]
pub(in crate::interp) struct Pages {
    index: HashMap<u64, usize, BuildHasherDefault<PageHasher>>,
    pages: Vec<Page>,
    /// The page used last, or the last that there is not.
    last: Option<(u64, Option<usize>)>,
}

impl Pages {
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    #[inline]
    fn page(&mut self, at: u64) -> Option<&mut Page> {
        let number = at / PAGE;
        let i = match self.last {
            Some((last, i)) if last == number => i,
            _ => {
                let i = self.index.get(&number).copied();
                // mutants: same, only time
                self.last = Some((number, i));
                i
            }
        };
        self.pages.get_mut(i?)
    }

    /// Everything from `at` on, `bytes` of it, is exact. An access lies in one page, as it is aligned.
    pub fn clear(&mut self, at: u64, bytes: u32) {
        if let Some(page) = self.page(at) {
            let at = (at % PAGE) as usize;
            page.clear(at, bytes as usize);
        }
    }

    /// Stores a value or piece over what was there.
    pub fn set(&mut self, at: u64, entry: Entry) {
        if self.page(at).is_none() {
            self.index.insert(at / PAGE, self.pages.len());
            self.pages.push(Page::new());
            self.last = None;
        }
        let Some(page) = self.page(at) else { return };
        let i = (at % PAGE) as usize;
        page.clear(i, usize::from(entry.size));
        if entry.size >= 4 {
            page.words[i / 4] = entry;
        } else {
            page.small.get_or_insert_with(|| vec![Entry::NONE; PAGE as usize].into())[i] = entry;
        }
    }

    /// Stores lane `lane` of a register's shadow: `bytes` of `value`.
    pub fn store(&mut self, at: u64, bytes: u32, value: u64, found: &Found) {
        if let Some(Granule { format, at: 0, plane: 0 }) = found.shape.get(0)
            && found.shape == Shape::of(format, 1)
            && bytes == 2 * format.granules() as u32
            && bytes >= 4
        {
            let (err, who, size) = (found.err[0], found.who[0], bytes as u8);
            if err != 0.0 {
                self.set(at, Entry { err, who, held: low(value, bytes as usize), format, at: 0, size });
            } else {
                self.clear(at, bytes);
            }
            return;
        }
        let mut i = 0;
        while 2 * i < bytes as usize {
            // A byte of a float has no shadow; an integer may be as small.
            let kept = |g: &Granule| bytes > 1 || g.format == Format::Int;
            let Some(first) = found.shape.get(i).filter(kept) else {
                self.clear(at + 2 * i as u64, bytes.min(2));
                i += 1;
                continue;
            };
            let mut n = 1;
            let follows = |i: usize| found.shape.get(i - 1).is_some_and(|g| g.leads_to(found.shape.get(i)));
            while 2 * (i + n) < bytes as usize && follows(i + n) {
                n += 1;
            }
            // An integer fills what it is stored in.
            if first.format == Format::Int {
                while 2 * (i + n) < bytes as usize && found.shape.get(i + n).is_none() {
                    n += 1;
                }
            }
            let whole = n == 4 || n == 2 && i.is_multiple_of(2);
            let n = if whole { n } else { 1 };
            let size = (2 * n).min(bytes as usize);
            let (err, who) = (found.err[usize::from(first.plane)], found.who[usize::from(first.plane)]);
            let at = at + 2 * i as u64;
            if err != 0.0 {
                let held = low(value >> (16 * i), size);
                self.set(at, Entry { err, who, held, format: first.format, at: first.at, size: size as u8 });
            } else {
                self.clear(at, size as u32);
            }
            i += n;
        }
    }

    /// The shadow of `bytes` that hold `value`.
    pub fn load(&mut self, at: u64, bytes: u32, value: u64) -> Option<Found> {
        let page = self.page(at)?;
        let (at, bytes) = ((at % PAGE) as usize, bytes as usize);
        page.quick(at, bytes, value).unwrap_or_else(|| page.pieces(at, bytes, value))
    }

    /// For tests: both ways of a load.
    #[cfg(test)]
    pub fn quick_and_pieces(
        &mut self,
        at: u64,
        bytes: u32,
        value: u64,
    ) -> Option<(Option<Option<Found>>, Option<Found>)> {
        let page = self.page(at)?;
        let (at, bytes) = ((at % PAGE) as usize, bytes as usize);
        Some((page.quick(at, bytes, value), page.pieces(at, bytes, value)))
    }

    /// All entries with their addresses.
    pub fn entries(&self) -> impl Iterator<Item = (u64, &Entry)> {
        self.index.iter().flat_map(|(number, &i)| {
            let page = &self.pages[i];
            let words = (0u64..).step_by(4).zip(page.words.iter());
            let small = (0u64..).zip(page.small.iter().flatten());
            words.chain(small).filter(|(_, e)| e.size > 0).map(move |(at, e)| (number * PAGE + at, e))
        })
    }
}

impl Page {
    /// What almost every load finds: a value as it was stored, or nothing near. None where a closer look is needed.
    #[inline]
    fn quick(&self, at: usize, bytes: usize, value: u64) -> Option<Option<Found>> {
        let entry = &self.words[at / 4];
        if bytes >= 4 && usize::from(entry.size) == bytes && entry.held == value && entry.is_whole() {
            return Some(Some(Found::one(entry)));
        }
        // What is wider than 4 bytes begins at a multiple of 8.
        let around = &self.words[at / 8 * 2..(at + bytes).div_ceil(8) * 2];
        (self.small.is_none() && around.iter().all(|e| e.size == 0)).then_some(None)
    }

    /// All that lies in `bytes` from `at` on and still holds `value`.
    fn pieces(&self, at: usize, bytes: usize, value: u64) -> Option<Found> {
        let mut found = Found { shape: Shape::NONE, err: [0.0; 4], who: [Who::NONE; 4] };
        let (mut any, mut k) = (false, 0);
        while k < bytes {
            let i = at + k;
            let rest = bytes - k;
            // The entry that begins here, or the wider one around it.
            let candidate = |begin: usize| {
                let wide = self.words[begin / 4];
                (wide.size > 0 && begin + usize::from(wide.size) > i).then_some((wide, begin))
            };
            let here = candidate(i / 4 * 4).or_else(|| candidate(i / 8 * 8));
            let small = || self.small.as_ref().map(|s| (s[i], i)).filter(|(e, _)| e.size > 0);
            let Some((entry, begin)) = here.or_else(small) else {
                k += 2;
                continue;
            };
            let skip = i - begin;
            let n = (usize::from(entry.size) - skip).min(rest);
            let same = low(entry.held >> (8 * skip), n) == low(value >> (8 * k), n);
            // A byte among others or of a float is nobody's, and neither are bytes of an integer.
            let alone = entry.format == Format::Int && n == bytes;
            let piece = alone || n.is_multiple_of(2) && skip.is_multiple_of(2);
            let whole = entry.format != Format::Int || skip == 0 && n == usize::from(entry.size);
            if same && piece && whole {
                let granules = if entry.format == Format::Int { 1 } else { (n / 2).max(1) };
                let plane = (k / 2).min(3);
                for j in 0..granules {
                    let at = entry.at + (skip / 2 + j) as u8;
                    let granule = Granule { format: entry.format, at, plane: plane as u8 };
                    found.shape.set((plane + j).min(3), Some(granule));
                }
                (found.err[plane], found.who[plane]) = (entry.err, entry.who);
                any = true;
            }
            k += n.max(2);
        }
        any.then(|| found.joined())
    }
}

impl Found {
    /// A whole value.
    fn one(entry: &Entry) -> Found {
        let (mut err, mut who) = ([0.0; 4], [Who::NONE; 4]);
        (err[0], who[0]) = (entry.err, entry.who);
        Found { shape: Shape::of(entry.format, 1), err, who }
    }

    /// One lane of a register's shadow.
    pub fn of(shape: Shape, planes: &[super::Plane], lane: usize) -> Found {
        let mut found = Found { shape, err: [0.0; 4], who: [Who::NONE; 4] };
        for (i, plane) in planes.iter().take(shape.planes()).enumerate() {
            (found.err[i], found.who[i]) = (plane.err[lane], plane.who[lane]);
        }
        found
    }

    /// `count` granules from `first` on, as the lowest of a register.
    pub fn part(&self, first: usize, count: usize) -> Found {
        let mut part = Found { shape: Shape::NONE, err: [0.0; 4], who: [Who::NONE; 4] };
        let of = |i: usize| self.shape.get(first + i);
        for i in 0..count.min(4) {
            let Some(g) = of(i) else { continue };
            let plane = (0..i).find(|&j| of(j).is_some_and(|other| other.plane == g.plane)).unwrap_or(i);
            part.shape.set(i, Some(Granule { plane: plane as u8, ..g }));
            (part.err[plane], part.who[plane]) = (self.err[usize::from(g.plane)], self.who[usize::from(g.plane)]);
        }
        part
    }

    /// The same with pieces of one value, that were stored apart, as one.
    fn joined(mut self) -> Found {
        for first in 0..4 {
            let Some(g) = self.shape.get(first).filter(|g| g.at == 0) else { continue };
            for i in 1..g.format.granules() {
                let next = self.shape.get(first + i).filter(|n| n.format == g.format && usize::from(n.at) == i);
                let Some(next) = next else { break };
                if self.err[usize::from(next.plane)].to_bits() == self.err[usize::from(g.plane)].to_bits() {
                    self.shape.set(first + i, Some(Granule { plane: g.plane, ..next }));
                }
            }
        }
        self
    }
}
