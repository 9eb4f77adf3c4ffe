//! The fields of a block as words, and arithmetic on the bytes of a word.

use half::f16;
use ptxgen_builder::build::{Body, F16x2, Ptr, ReadSpace, Val};

/// Loads `N` words from a pointer that is a multiple of `align` bytes, 2 to 16.
#[track_caller]
pub fn words<S: ReadSpace, const N: usize>(k: &Body, at: Ptr<S, u8>, align: u32) -> [Val<u32>; N] {
    let words = at.cast::<u32>();
    let mut all = Vec::with_capacity(N);
    while all.len() < N {
        let (at, left) = (words.plus(all.len() as i64), N - all.len());
        match align {
            16.. if left >= 4 => all.extend(at.load_vec::<4>(k)),
            8.. if left >= 2 => all.extend(at.load_vec::<2>(k)),
            4.. => all.push(at.load(k)),
            _ => {
                let halves = at.cast::<u16>();
                let [low, high] = [halves, halves.plus(1)].map(|half| half.load_extended(k).bitcast::<u32>());
                all.push(low.prmt(high, 0x5410));
            }
        }
    }
    all.try_into().unwrap_or_else(|_| unreachable!("as many words as were asked for"))
}

/// Words of blocks that are only 2-byte aligned, put together from aligned ones.
#[derive(Clone, Copy)]
pub struct Unaligned<S> {
    /// The aligned words, for blocks a multiple of 4 bytes further and for those 2 bytes more.
    pub words: [Ptr<S, u8>; 2],
    /// `prmt` selectors of the four bytes wanted of two words.
    pub select: [Val<u32>; 2],
}

impl<S: ReadSpace> Unaligned<S> {
    /// Words of the blocks that lie whole pairs of bytes from `block`.
    #[track_caller]
    pub fn new(block: Ptr<S, u8>) -> Self {
        let [a, b] = [0, 2].map(|further| {
            let (words, below) = block.plus_bytes(further).align_down(4);
            (words, Val::from(0x5432u32).select(below.ne(0), 0x3210))
        });
        Unaligned { words: [a.0, b.0], select: [a.1, b.1] }
    }

    /// `N` words of the block `offset` bytes further, `field` bytes into it. `field` is a multiple of 4. Reads the two
    /// bytes after them too, and the two before.
    #[track_caller]
    pub fn read<const N: usize>(&self, k: &Body, offset: u32, field: usize) -> [Val<u32>; N] {
        let odd = usize::from(!offset.is_multiple_of(4));
        let at = self.words[odd].plus_bytes(offset & !3).plus_bytes(field as i64).cast::<u32>();
        let mut word = at.load(k);
        std::array::from_fn(|i| {
            let next = at.plus(i as i64 + 1).load(k);
            let joined = word.prmt(next, self.select[odd]);
            word = next;
            joined
        })
    }
}

/// The byte at a pointer.
#[track_caller]
pub fn byte<S: ReadSpace>(k: &Body, at: Ptr<S, u8>) -> Val<u32> {
    at.load_extended(k).bitcast()
}

/// The two bytes at a pointer, which is even.
#[track_caller]
pub fn two_bytes<S: ReadSpace>(k: &Body, at: Ptr<S, u8>) -> Val<u32> {
    at.cast::<u16>().load_extended(k).bitcast()
}

/// The f16 at a pointer.
#[track_caller]
pub fn half<S: ReadSpace>(k: &Body, at: Ptr<S, u8>) -> Val<f16> {
    at.cast().load(k)
}

/// The two f16 of a word at a pointer that is a multiple of 4.
#[track_caller]
pub fn two_halves<S: ReadSpace>(k: &Body, at: Ptr<S, u8>) -> (Val<f16>, Val<f16>) {
    at.cast::<u32>().load(k).bitcast::<F16x2>().split()
}

/// Byte `i` of a word.
#[track_caller]
pub fn byte_of(word: Val<u32>, i: u32) -> Val<u32> {
    word.prmt(0, 0x4440 + i)
}

/// `(a & mask) | (b & !mask)`.
#[track_caller]
pub fn merge(a: Val<u32>, b: Val<u32>, mask: u32) -> Val<u32> {
    // With inputs a, b, mask.
    a.lop3(b, mask, 0xe4)
}

/// The bits moved to the left by `amount` modulo 32, around the word.
#[track_caller]
pub fn rotate_left(word: Val<u32>, amount: Val<u32>) -> Val<u32> {
    word.funnel_left(word, amount)
}

/// `bytes - less` in each byte, signed; `bytes` are below 128 and `less` is at most 128.
#[track_caller]
pub fn bytes_less(bytes: Val<u32>, less: u8) -> Val<u32> {
    ((bytes | TOPS) - u32::from_ne_bytes([less; 4])) ^ TOPS
}

/// The top bits of a word's bytes: set, they keep a borrow from the next byte.
pub const TOPS: u32 = 0x8080_8080;

/// `values[n]` for the eight nibbles of a word: those of the low nibbles of its bytes, and of the
/// high ones.
#[track_caller]
pub fn sixteen_values(word: Val<u32>, values: &[i8; 16]) -> [Val<u32>; 2] {
    let table: [Val<u32>; 4] = std::array::from_fn(|i| {
        let four = [0, 1, 2, 3].map(|j| values[4 * i + j].cast_unsigned());
        Val::from(u32::from_le_bytes(four)).copied()
    });
    // Four nibbles are the selectors of four bytes among eight; bit 3 says which eight.
    let upper = (word & 0x8888_8888) >> 1;
    let place = word & 0x7777_7777;
    let [first, second] = [0u32, 16].map(|shift| {
        let (place, upper) = (place >> shift, upper >> shift);
        let [low, high] = [[0, 1], [2, 3]].map(|[a, b]: [usize; 2]| table[a].prmt(table[b], place));
        low.prmt(high, upper + 0x3210)
    });
    [first.prmt(second, 0x6420), first.prmt(second, 0x7531)]
}
