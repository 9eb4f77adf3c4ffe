//! The device's global memory.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use thiserror::Error;

/// Bytes that share one entry of the address table.
const REGION: u64 = 1 << 26;
/// Minimum distance between two buffers, so that an overrun is noticed.
const GUARD: u64 = 1 << 16;
/// Regions below the first special window of generic addresses.
const REGIONS: u64 = 0x7c00_0000_0000 / REGION;

/// A buffer in global memory, as an address for kernels.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Buffer {
    /// Its first byte.
    pub address: u64,
    /// Bytes.
    pub len: u64,
}

/// Reasons why a buffer cannot be allocated.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// The alignment is not a power of two, or above 1 MiB.
    #[error("alignment {0} is not a power of two up to 1048576")]
    Align(u64),
    /// The address space is used up.
    #[error("no room for {0} bytes in the interpreter's address space; free buffers that are no longer used")]
    Full(u64),
    /// The machine has not enough memory for the buffer.
    #[error("this machine gives no {0} bytes for a buffer; make it smaller")]
    Host(u64),
    /// The buffer was freed, or belongs to another memory.
    #[error("{0:?} is not a buffer of this memory (any more)")]
    Unknown(Buffer),
    /// Host data of the wrong size.
    #[error("{got} bytes do not fit {buffer:?} at byte {at}")]
    Size {
        /// The buffer.
        buffer: Buffer,
        /// The offset.
        at: u64,
        /// The number of bytes.
        got: u64,
    },
}

/// One buffer's bytes. They are atomic words, because blocks of a grid run in
/// parallel and a kernel may race.
pub(super) struct Alloc {
    pub buffer: Buffer,
    /// `buffer.address` rounded down to a word.
    first: u64,
    words: Box<[AtomicU32]>,
    /// A bit for each byte that has been written; absent if all have been.
    init: Option<Box<[AtomicU32]>>,
}

/// The device's global memory: buffers with gaps between them.
///
/// A buffer starts at exactly the requested alignment, not at a larger one, so that a kernel that assumes more is
/// detected.
pub struct Memory {
    regions: Vec<u32>,
    allocs: Vec<Option<Alloc>>,
    /// Makes atomic operations on 64 bits and more atomic.
    wide: Mutex<()>,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

/// This many words; `None` if the machine has not enough memory.
fn filled(words: usize, fill: u32) -> Option<Box<[AtomicU32]>> {
    let mut all = Vec::new();
    all.try_reserve_exact(words).ok()?;
    all.extend((0..words).map(|_| AtomicU32::new(fill)));
    Some(all.into_boxed_slice())
}

const NO_ALLOC: u32 = u32::MAX;

impl Memory {
    /// Memory without buffers.
    pub fn new() -> Self {
        // Region 0 stays empty, so that null pointers and small numbers are no addresses.
        Memory { regions: vec![NO_ALLOC], allocs: Vec::new(), wide: Mutex::new(()) }
    }

    /// A buffer with these bytes, whose address is a multiple of `align` (and of no larger power of two).
    ///
    /// # Errors
    /// If the alignment is not a power of two up to 1 MiB, or there is not enough space, in the address space or in
    /// this machine.
    pub fn alloc(&mut self, bytes: &[u8], align: u64) -> Result<Buffer, MemoryError> {
        let buffer = self.reserve(bytes.len() as u64, align, false)?;
        self.write(buffer, 0, bytes)?;
        Ok(buffer)
    }

    /// An uninitialized buffer of `len` bytes: reading them before the kernel or the host writes them is a finding.
    /// They contain 0xAA.
    ///
    /// # Errors
    /// As [`Memory::alloc`].
    pub fn alloc_uninit(&mut self, len: u64, align: u64) -> Result<Buffer, MemoryError> {
        self.reserve(len, align, true)
    }

    /// A buffer of `len` zeros.
    ///
    /// # Errors
    /// As [`Memory::alloc`].
    pub(crate) fn alloc_zeroed(&mut self, len: u64, align: u64) -> Result<Buffer, MemoryError> {
        self.reserve(len, align, false)
    }

    fn reserve(&mut self, len: u64, align: u64, uninit: bool) -> Result<Buffer, MemoryError> {
        if !align.is_power_of_two() || align > 1 << 20 {
            return Err(MemoryError::Align(align));
        }
        let span = len.checked_add(GUARD + align).ok_or(MemoryError::Full(len))?.div_ceil(REGION);
        let at = self.find_room(span).ok_or(MemoryError::Full(len))?;
        let words = usize::try_from(len.div_ceil(4) + 1).map_err(|_| MemoryError::Full(len))?;
        let id = self.allocs.iter().position(Option::is_none).unwrap_or(self.allocs.len());
        let id_u32 = u32::try_from(id).map_err(|_| MemoryError::Full(len))?;
        let address = at * REGION + align;
        let buffer = Buffer { address, len };
        let fill = if uninit { 0xaaaa_aaaa } else { 0 };
        let alloc = Alloc {
            buffer,
            first: address & !3,
            words: filled(words, fill).ok_or(MemoryError::Host(len))?,
            init: match uninit {
                true => Some(filled(words.div_ceil(8), 0).ok_or(MemoryError::Host(len))?),
                false => None,
            },
        };
        let end = (at + span) as usize;
        if self.regions.len() < end {
            self.regions.resize(end, NO_ALLOC);
        }
        self.regions[at as usize..end].fill(id_u32);
        if id == self.allocs.len() {
            self.allocs.push(Some(alloc));
        } else {
            self.allocs[id] = Some(alloc);
        }
        Ok(buffer)
    }

    /// The first run of `span` empty regions.
    fn find_room(&self, span: u64) -> Option<u64> {
        let mut run = 0;
        for (i, &id) in self.regions.iter().enumerate().skip(1) {
            run = if id == NO_ALLOC { run + 1 } else { 0 };
            if run == span {
                return Some(i as u64 + 1 - span);
            }
        }
        let start = self.regions.len() as u64 - run;
        (start + span <= REGIONS).then_some(start)
    }

    /// Frees a buffer. Later accesses to it are out of bounds.
    ///
    /// # Errors
    /// If it is not a buffer of this memory.
    pub fn free(&mut self, buffer: Buffer) -> Result<(), MemoryError> {
        let id = self.id(buffer)?;
        self.allocs[id] = None;
        for region in &mut self.regions {
            if *region == id as u32 {
                *region = NO_ALLOC;
            }
        }
        Ok(())
    }

    /// The bytes of a buffer.
    ///
    /// # Errors
    /// If it is not a buffer of this memory.
    pub fn read(&self, buffer: Buffer) -> Result<Vec<u8>, MemoryError> {
        let mut bytes = vec![0; usize::try_from(buffer.len).map_err(|_| MemoryError::Full(buffer.len))?];
        self.read_at(buffer, 0, &mut bytes)?;
        Ok(bytes)
    }

    /// Fills `bytes` with a buffer's bytes from byte `at` on.
    ///
    /// # Errors
    /// If it is not a buffer of this memory, or has fewer bytes.
    pub fn read_at(&self, buffer: Buffer, at: u64, bytes: &mut [u8]) -> Result<(), MemoryError> {
        let got = bytes.len() as u64;
        if at.checked_add(got).is_none_or(|end| end > buffer.len) {
            return Err(MemoryError::Size { buffer, at, got });
        }
        let alloc = self.allocs[self.id(buffer)?].as_ref().ok_or(MemoryError::Unknown(buffer))?;
        let mut address = buffer.address + at;
        let mut rest = bytes;
        while !rest.is_empty() {
            let n = if address & 3 == 0 && rest.len() >= 4 { 4 } else { 1 };
            let (now, later) = rest.split_at_mut(n);
            now.copy_from_slice(&alloc.load(address, n as u32).to_le_bytes()[..n]);
            address += n as u64;
            rest = later;
        }
        Ok(())
    }

    /// Whether every byte of a buffer from byte `at` on, `len` of them, has been written.
    ///
    /// # Errors
    /// If it is not a buffer of this memory, or has fewer bytes.
    pub fn is_written(&self, buffer: Buffer, at: u64, len: u64) -> Result<bool, MemoryError> {
        if at.checked_add(len).is_none_or(|end| end > buffer.len) {
            return Err(MemoryError::Size { buffer, at, got: len });
        }
        let alloc = self.allocs[self.id(buffer)?].as_ref().ok_or(MemoryError::Unknown(buffer))?;
        Ok((at..at + len).all(|at| alloc.is_init(buffer.address + at, 1)))
    }

    /// Writes host bytes into a buffer from byte `at` on; they then count as written.
    ///
    /// # Errors
    /// If it is not a buffer of this memory, or they do not fit.
    pub fn write(&mut self, buffer: Buffer, at: u64, bytes: &[u8]) -> Result<(), MemoryError> {
        let got = bytes.len() as u64;
        if at.checked_add(got).is_none_or(|end| end > buffer.len) {
            return Err(MemoryError::Size { buffer, at, got });
        }
        let id = self.id(buffer)?;
        let alloc = self.allocs[id].as_mut().ok_or(MemoryError::Unknown(buffer))?;
        if at == 0 && got == buffer.len {
            alloc.init = None;
        }
        let mut address = buffer.address + at;
        let mut rest = bytes;
        while !rest.is_empty() {
            let n = if address & 3 == 0 && rest.len() >= 4 { 4 } else { 1 };
            let (now, later) = rest.split_at(n);
            let mut word = [0; 4];
            word[..n].copy_from_slice(now);
            alloc.store(address, n as u32, u128::from(u32::from_le_bytes(word)));
            address += n as u64;
            rest = later;
        }
        Ok(())
    }

    fn id(&self, buffer: Buffer) -> Result<usize, MemoryError> {
        let id = self.find(buffer.address).filter(|(_, a)| a.buffer == buffer).map(|(id, _)| id);
        id.ok_or(MemoryError::Unknown(buffer))
    }

    fn find(&self, address: u64) -> Option<(usize, &Alloc)> {
        let id = *self.regions.get((address / REGION) as usize)? as usize;
        Some((id, self.allocs.get(id)?.as_ref()?))
    }

    /// Locked during an atomic operation on more than 4 bytes; a word is atomic anyway.
    pub(super) fn one_step(&self, strong: bool, bytes: u32) -> Option<MutexGuard<'_, ()>> {
        (strong && bytes > 4).then(|| self.wide.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The buffer in whose region an address lies, if any.
    pub(super) fn near(&self, address: u64) -> Option<&Alloc> {
        self.find(address).map(|(_, alloc)| alloc)
    }
}

impl Alloc {
    /// Whether `[address, address + bytes)` lies in the buffer.
    #[inline]
    pub fn holds(&self, address: u64, bytes: u32) -> bool {
        let at = address.wrapping_sub(self.buffer.address);
        at < self.buffer.len && self.buffer.len - at >= u64::from(bytes)
    }

    fn index(&self, address: u64) -> usize {
        ((address - self.first) / 4) as usize
    }

    /// The value of 1, 2, 4, 8 or 16 bytes at an aligned address that [`holds`](Self::holds).
    #[inline]
    pub fn load(&self, address: u64, bytes: u32) -> u128 {
        let i = self.index(address);
        let word = |i: usize| u128::from(self.words[i].load(Relaxed));
        match bytes {
            4 => word(i),
            8 => word(i) | word(i + 1) << 32,
            16 => word(i) | word(i + 1) << 32 | word(i + 2) << 64 | word(i + 3) << 96,
            _ => (word(i) >> ((address & 3) * 8)) & ((1 << (bytes * 8)) - 1),
        }
    }

    /// Stores a value of 1, 2, 4, 8 or 16 bytes, aligned and in bounds.
    #[inline]
    pub fn store(&self, address: u64, bytes: u32, value: u128) {
        let i = self.index(address);
        match bytes {
            4 | 8 | 16 => {
                for k in 0..bytes as usize / 4 {
                    self.words[i + k].store((value >> (32 * k)) as u32, Relaxed);
                }
            }
            _ => {
                let shift = (address & 3) * 8;
                let mask = ((1u32 << (bytes * 8)) - 1) << shift;
                let new = ((value as u32) << shift) & mask;
                self.update_word(i, |old| old & !mask | new);
            }
        }
        self.mark(address, bytes);
    }

    /// Replaces 2 or 4 bytes by a function of them, atomically. Returns the old value.
    pub fn update(&self, address: u64, bytes: u32, f: impl Fn(u64) -> u64) -> u64 {
        let shift = (address & 3) * 8;
        let mask = (u32::MAX >> (32 - bytes * 8)) << shift;
        let old = self.update_word(self.index(address), |old| {
            old & !mask | ((f(u64::from((old & mask) >> shift)) as u32) << shift) & mask
        });
        self.mark(address, bytes);
        u64::from((old & mask) >> shift)
    }

    fn update_word(&self, i: usize, f: impl Fn(u32) -> u32) -> u32 {
        self.words[i].fetch_update(Relaxed, Relaxed, |old| Some(f(old))).unwrap_or_else(|old| old)
    }

    /// The init bits of an aligned access, as a word index and mask.
    fn init_bits(&self, address: u64, bytes: u32) -> (usize, u32) {
        let at = address - self.first;
        ((at / 32) as usize, ((1u64 << bytes) - 1).wrapping_shl((at % 32) as u32) as u32)
    }

    fn mark(&self, address: u64, bytes: u32) {
        let Some(init) = &self.init else { return };
        for (i, mask) in self.init_parts(address, bytes) {
            if init[i].load(Relaxed) & mask != mask {
                init[i].fetch_or(mask, Relaxed);
            }
        }
    }

    /// An access may straddle two words of init bits where the buffer's first
    /// word is not aligned as the access is.
    fn init_parts(&self, address: u64, bytes: u32) -> impl Iterator<Item = (usize, u32)> {
        let step = bytes.min(4);
        (0..bytes / step).map(move |k| self.init_bits(address + u64::from(k * step), step))
    }

    /// Whether every byte has been written.
    #[inline]
    pub fn is_init(&self, address: u64, bytes: u32) -> bool {
        match &self.init {
            None => true,
            Some(init) => self.init_parts(address, bytes).all(|(i, mask)| init[i].load(Relaxed) & mask == mask),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Buffers that were requested with this alignment.
    fn made(memory: &mut Memory, sizes: &[u64], align: u64) -> Vec<Buffer> {
        sizes.iter().map(|&len| memory.alloc_uninit(len, align).expect("room")).collect()
    }

    #[test]
    fn buffers_have_their_own_regions_and_exact_alignment() {
        let mut memory = Memory::new();
        let all = made(&mut memory, &[100, 0, REGION - GUARD - 4, REGION - GUARD - 3, 1], 4);
        // From the second region on; one that needs more than is left next to the guard region takes two.
        assert_eq!(all.iter().map(|b| b.address / REGION).collect::<Vec<_>>(), [1, 2, 3, 4, 6]);
        for b in &all {
            assert_eq!((b.address % REGION, memory.id(*b).is_ok()), (4, true));
        }
        for (bytes, address) in [
            (0, None),
            (REGION - 1, None),
            (REGION, Some(0)),
            (2 * REGION - 1, Some(0)),
            (5 * REGION, Some(3)),
            (7 * REGION, None),
        ] {
            let near = memory.near(bytes).map(|a| all.iter().position(|b| *b == a.buffer));
            assert_eq!(near, address.map(Some), "{bytes:#x}");
        }
        for (align, start) in [(1, 1), (2, 2), (16, 16), (1 << 20, 1 << 20)] {
            assert_eq!(memory.alloc_uninit(8, align).map(|b| b.address % REGION), Ok(start));
        }
        for align in [0, 3, 24, 1 << 21] {
            assert_eq!(memory.alloc_uninit(8, align), Err(MemoryError::Align(align)));
        }
    }

    #[test]
    fn what_was_freed_is_used_again() {
        let mut memory = Memory::new();
        let all = made(&mut memory, &[8, REGION, 8, 8], 8);
        assert_eq!(all.iter().map(|b| b.address / REGION).collect::<Vec<_>>(), [1, 2, 4, 5]);
        memory.free(all[1]).expect("it is a buffer");
        memory.free(all[2]).expect("it is a buffer");
        assert_eq!(memory.free(all[1]), Err(MemoryError::Unknown(all[1])));
        assert!(memory.near(all[1].address).is_none() && memory.near(all[3].address).is_some());
        // Three regions are free, then none before the end.
        let again = made(&mut memory, &[REGION, 8, REGION], 8);
        assert_eq!(again.iter().map(|b| b.address / REGION).collect::<Vec<_>>(), [2, 4, 6]);
        assert_eq!(memory.allocs.len(), 5);
        let shorter = Buffer { len: 4, ..again[0] };
        assert_eq!(memory.free(shorter), Err(MemoryError::Unknown(shorter)));
        // The end of what is free counts, with what is added to it.
        memory.free(again[2]).expect("it is a buffer");
        assert_eq!(made(&mut memory, &[2 * REGION], 8)[0].address / REGION, 6);
    }

    #[test]
    fn addresses_are_used_up() {
        let memory = Memory::new();
        assert_eq!(memory.find_room(REGIONS - 1), Some(1));
        assert_eq!(memory.find_room(REGIONS), None);
        let mut memory = Memory::new();
        for len in [REGIONS * REGION, u64::MAX, u64::MAX - GUARD] {
            assert_eq!(memory.alloc_uninit(len, 4), Err(MemoryError::Full(len)));
        }
    }

    #[test]
    fn bytes_are_read_and_written_where_they_lie() {
        let mut memory = Memory::new();
        let all: Vec<u8> = (0..23).collect();
        for align in [1, 2, 4, 16] {
            let b = memory.alloc(&all, align).expect("room");
            assert_eq!(memory.read(b), Ok(all.clone()));
            for at in 0..=23usize {
                for end in at..=23 {
                    let mut some = vec![0; end - at];
                    assert_eq!(memory.read_at(b, at as u64, &mut some), Ok(()));
                    assert_eq!(some, all[at..end]);
                }
                let got = 24 - at as u64;
                let wrong = Err(MemoryError::Size { buffer: b, at: at as u64, got });
                assert_eq!(memory.read_at(b, at as u64, &mut vec![0; got as usize]), wrong);
                assert_eq!(memory.write(b, at as u64, &vec![0; got as usize]), wrong);
                assert_eq!(
                    memory.is_written(b, at as u64, got),
                    Err(MemoryError::Size { buffer: b, at: at as u64, got })
                );
            }
            assert!(memory.write(b, u64::MAX, &[1]).is_err() && memory.is_written(b, u64::MAX, 1).is_err());
            memory.write(b, 5, &[90, 91, 92, 93, 94, 95]).expect("it fits");
            let expected: Vec<u8> = (0..23).map(|i| if (5..11).contains(&i) { 85 + i } else { i }).collect();
            assert_eq!(memory.read(b), Ok(expected));
        }
        let zeros = memory.alloc_zeroed(9, 4).expect("room");
        assert_eq!((memory.read(zeros), memory.is_written(zeros, 0, 9)), (Ok(vec![0; 9]), Ok(true)));
    }

    #[test]
    fn what_was_written_is_known_by_the_byte() {
        for align in [1, 2, 4, 32] {
            for (at, len) in [(0usize, 1usize), (3, 5), (30, 4), (27, 40), (99, 1), (0, 99), (1, 99)] {
                let mut memory = Memory::new();
                let b = memory.alloc_uninit(100, align).expect("room");
                assert_eq!(memory.read(b), Ok(vec![0xaa; 100]));
                memory.write(b, at as u64, &vec![1; len]).expect("it fits");
                for i in 0..100usize {
                    let written = (at..at + len).contains(&i);
                    assert_eq!(memory.is_written(b, i as u64, 1), Ok(written), "{align} {at} {len} {i}");
                }
                assert_eq!(memory.is_written(b, at as u64, len as u64), Ok(true));
                assert_eq!(memory.is_written(b, 0, 100), Ok(false));
            }
            let mut memory = Memory::new();
            let b = memory.alloc_uninit(100, align).expect("room");
            memory.write(b, 0, &[7; 100]).expect("it fits");
            assert!(memory.near(b.address).is_some_and(|a| a.init.is_none()), "nothing is left to be kept");
            assert_eq!(memory.is_written(b, 0, 100), Ok(true));
        }
    }

    #[test]
    fn accesses_have_their_bytes() {
        let value = 0x1f1e_1d1c_1b1a_1918_1716_1514_1312_1110_u128;
        for bytes in [1u32, 2, 4, 8, 16] {
            for at in (0..64).step_by(bytes as usize) {
                let mut memory = Memory::new();
                let b = memory.alloc_uninit(64, 32).expect("room");
                let alloc = memory.near(b.address).expect("the buffer");
                alloc.store(b.address + at, bytes, value);
                let low = value & (u128::MAX >> (128 - 8 * bytes));
                assert_eq!(alloc.load(b.address + at, bytes), low, "{bytes} at {at}");
                for k in 0..64 {
                    let inside = (at..at + u64::from(bytes)).contains(&k);
                    let expected = if inside { 0x10 + (k - at) as u128 } else { 0xaa };
                    assert_eq!((alloc.load(b.address + k, 1), alloc.is_init(b.address + k, 1)), (expected, inside));
                }
            }
        }
    }

    #[test]
    fn an_update_is_of_its_own_bytes() {
        for (bytes, at) in [(2, 0), (2, 2), (4, 8)] {
            let mut memory = Memory::new();
            let b = memory.alloc_uninit(64, 32).expect("room");
            let alloc = memory.near(b.address).expect("the buffer");
            let (place, keep) = (b.address + at, u64::MAX >> (64 - 8 * bytes));
            alloc.store(place, bytes, 0x1234_5678);
            assert_eq!(alloc.update(place, bytes, |old| old + 1), 0x1234_5678 & keep);
            assert_eq!(alloc.load(place, bytes) as u64, 0x1234_5679 & keep);
            assert_eq!(alloc.update(place, bytes, |_| u64::MAX), 0x1234_5679 & keep);
            assert_eq!(alloc.load(place, bytes) as u64, keep);
            let around: Vec<_> = (0..64).filter(|k| alloc.load(b.address + k, 1) == 0xaa).collect();
            assert_eq!(around.len(), 64 - bytes as usize);
            // An update writes.
            let fresh = memory.alloc_uninit(64, 32).expect("room");
            let alloc = memory.near(fresh.address).expect("the buffer");
            alloc.update(fresh.address + at, bytes, |old| old);
            assert!(
                alloc.is_init(fresh.address + at, bytes) && !alloc.is_init(fresh.address + at + u64::from(bytes), 1)
            );
        }
    }

    #[test]
    fn a_buffer_holds_what_lies_in_it() {
        let mut memory = Memory::new();
        let b = memory.alloc_uninit(10, 4).expect("room");
        let alloc = memory.near(b.address).expect("the buffer");
        for at in 0..14 {
            for bytes in [1, 2, 4, 8] {
                assert_eq!(alloc.holds(b.address + at, bytes), at + u64::from(bytes) <= 10, "{at} {bytes}");
            }
            assert!(!alloc.holds(b.address - 1 - at, 1));
        }
    }

    #[test]
    fn only_what_is_wider_than_a_word_is_locked() {
        let memory = Memory::new();
        let locked = |strong, bytes| memory.one_step(strong, bytes).is_some();
        assert!(locked(true, 8) && locked(true, 16) && !locked(true, 4) && !locked(false, 8));
    }

    /// Whether a machine has so much is its own; none has half of all addresses.
    #[test]
    fn more_than_a_machine_has_is_an_error() {
        assert!(filled(usize::MAX / 8, 0).is_none());
        assert!(filled(2, 7).is_some_and(|words| words.iter().all(|w| w.load(Relaxed) == 7)));
    }
}
