//! Code books: a number in the file represents four or eight values, one byte each.
//!
//! Each lane looks up a number of its own. Kernels of matrices keep the book in shared memory, where 32 addresses take
//! three to four cycles; constant memory serves them one by one.

use ptxgen_builder::build::{AsyncBytes, Body, ReadOnly, Shared, Val};

use super::fields::{TOPS, byte_of};
use super::{CopyMode, Threads};

/// The words of a format's code book.
pub type Points = fn() -> Vec<u32>;

/// A code book where a kernel reads it.
#[derive(Clone, Copy)]
pub enum Grid {
    /// As the block of threads has [staged](stage) it.
    Shared(Shared<u32>),
    /// Where the module has it.
    Global(ReadOnly<u32>),
}

/// Bytes that a thread copies at once.
const CHUNK: u32 = 16;

/// Starts copying a code book to shared memory, by all threads of a block. It is there after
/// [`staged`].
#[track_caller]
pub fn stage(k: &Body, points: Points, mode: CopyMode, threads: Threads) -> Shared<u32> {
    let points = points();
    let book = k.shared::<u32>(points.len() as u32);
    let (from, to) = (k.table(&points).at(threads.this * 4), book.at(threads.this * 4));
    let chunks = points.len() as u32 * 4 / CHUNK;
    for first in (0..chunks).step_by(threads.count as usize) {
        let here = (chunks - first < threads.count).then(|| threads.this.lt(chunks - first));
        let (from, to) = (from.plus(4 * first), to.plus(4 * first));
        match mode {
            CopyMode::Async => k.copy_async_filled(to, from, AsyncBytes::B16, here, None),
            CopyMode::Registers => {
                let copy = |k: &Body| to.store_vec::<4>(k, from.load_vec(k));
                match here {
                    None => copy(k),
                    Some(here) => k.if_(here, copy),
                }
            }
        }
    }
    if mode == CopyMode::Async {
        k.copy_async_commit();
    }
    book
}

/// Waits for the block's [staged](stage) code book; `later` groups of copies have been closed since.
#[track_caller]
pub fn staged(k: &Body, mode: CopyMode, later: u32) {
    if mode == CopyMode::Async {
        k.copy_async_wait(later);
    }
    k.barrier();
}

impl Grid {
    /// The staged one, if there is one.
    #[track_caller]
    pub fn new(k: &Body, staged: Option<Shared<u32>>, points: Points) -> Grid {
        staged.map_or_else(|| Grid::Global(k.table(&points())), Grid::Shared)
    }

    /// The four values of a number.
    #[track_caller]
    pub fn four(self, k: &Body, number: Val<u32>) -> Val<u32> {
        match self {
            Grid::Shared(book) => book.at(number).load(k),
            Grid::Global(book) => book.at(number).load(k),
        }
    }

    /// The eight values of a number.
    #[track_caller]
    pub fn eight(self, k: &Body, number: Val<u32>) -> [Val<u32>; 2] {
        let place = number * 2;
        match self {
            Grid::Shared(book) => book.at(place).load_vec(k),
            Grid::Global(book) => book.at(place).load_vec(k),
        }
    }

    /// The values of two numbers of eight, less the bytes that come with them.
    #[track_caller]
    pub fn less(self, k: &Body, points: [(Val<u32>, Val<u32>); 2]) -> [Val<u32>; 4] {
        both(points.map(|(number, less)| self.eight(k, number).map(|four| ((four | TOPS) - less) ^ TOPS)))
    }
}

/// The four words of two times eight bytes.
pub fn both([[a, b], [c, d]]: [[Val<u32>; 2]; 2]) -> [Val<u32>; 4] {
    [a, b, c, d]
}

/// What spreads four bits to the top bits of a word's bytes.
const SPREAD: u32 = 0x1020_4080;

/// The top bit of each byte, in all of the byte.
#[track_caller]
fn tops_spread(word: Val<u32>) -> Val<u32> {
    word.prmt(0, 0xba98)
}

/// A byte of ones for each of bits 0 to 3 that is set; the others are 0.
#[track_caller]
pub fn four_masks(bits: Val<u32>) -> Val<u32> {
    tops_spread(bits * SPREAD)
}

/// The masks of eight signs of which seven bits are kept, the others 0: the last one makes their number even.
#[track_caller]
pub fn even_masks(bits: Val<u32>) -> [Val<u32>; 2] {
    // The last one is the top bit that the spread bits leave free.
    let last = bits.popc() << 31;
    [four_masks(bits & 15), tops_spread((bits >> 4).mad(SPREAD, last))]
}

/// Signs as files keep them, a bit each, cut in nibbles.
#[derive(Clone, Copy)]
pub struct Signs([Val<u32>; 2]);

impl Signs {
    /// Those of a word.
    #[track_caller]
    pub fn new(word: Val<u32>) -> Signs {
        Signs([word, word >> 4].map(|w| w & 0x0f0f_0f0f))
    }

    /// The masks of nibble `n` < 8.
    #[track_caller]
    pub fn masks(self, n: u32) -> Val<u32> {
        four_masks(byte_of(self.0[n as usize % 2], n / 2))
    }
}
