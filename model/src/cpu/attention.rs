//! The KV cache and the contract's "Attention", with positions in SIMD lanes.

use super::{
    simd::{Isa, Kernel, Simd},
    team::Shared,
    vector::tree_in_place,
};
use crate::kv::{KvType, PAGE};
use ptxgen_dsl::reference::{Accumulator, CHUNK, TreeSum};

/// Positions that are interleaved in the key cache.
pub(super) const LANES: usize = 16;

/// Keys and values of all layers, in pages of [`PAGE`] positions that are allocated on first use. Word i of a
/// sequence's table is the page with its positions from `PAGE * i` on.
///
/// Keys of a head are stored [position / 16, head_dim, 16] in a page, so that one load gives one dimension of 16
/// positions; values are stored [position, head_dim padded to 16].
pub(super) struct KvCache {
    heads: Heads,
    pages: Pages,
}

/// The heads of all layers.
#[derive(Clone, Copy)]
struct Heads {
    layers: usize,
    kv_heads: usize,
    head_dim: usize,
}

enum Pages {
    F32(Vec<Option<Page<f32>>>),
    F16(Vec<Option<Page<u16>>>),
}

struct Page<E> {
    keys: Box<Shared<E>>,
    values: Box<Shared<E>>,
}

impl Heads {
    /// Values of a head, padded.
    fn padded(self) -> usize {
        self.head_dim.next_multiple_of(LANES)
    }

    /// Elements of all keys and values of a page.
    fn elements(self) -> [usize; 2] {
        let heads = self.layers * self.kv_heads * PAGE;
        [heads * self.head_dim, heads * self.padded()]
    }
}

impl<E: Copy + Default> Page<E> {
    /// `None` if there is not enough memory: a failing allocation would abort the process.
    fn new(heads: Heads) -> Option<Self> {
        let [keys, values] = heads.elements();
        let room = |elements: usize| Vec::<E>::new().try_reserve_exact(elements).is_ok();
        if !room(keys + values) {
            return None;
        }
        Some(Self { keys: Shared::new(E::default(), keys), values: Shared::new(E::default(), values) })
    }
}

impl<E: Element> Page<E> {
    /// Stores a position's key and value of one head.
    ///
    /// # Safety
    /// No other worker accesses this position of the head before the next barrier.
    unsafe fn put(&self, heads: Heads, head: usize, pos: usize, pairs: impl Iterator<Item = (E, E)>) {
        let (first, padded) = (head * PAGE, heads.padded());
        for (d, (k, v)) in pairs.enumerate() {
            // SAFETY: the caller has exclusive access to this position; other positions' elements are not touched.
            unsafe {
                self.keys.set((first + pos / LANES * LANES) * heads.head_dim + d * LANES + pos % LANES, k);
                self.values.set((first + pos) * padded + d, v);
            }
        }
    }

    /// Keys and values of `n` positions of a head, from `pos` on, which is a whole number of chunks.
    ///
    /// # Safety
    /// No worker writes the head's part of the page before the next barrier.
    unsafe fn chunk(&self, head_dim: usize, head: usize, pos: usize, n: usize) -> (&[E], &[E]) {
        let (first, padded) = (head * PAGE + pos, head_dim.next_multiple_of(LANES));
        let keys = first * head_dim..(first + n.next_multiple_of(LANES)) * head_dim;
        // SAFETY: the caller guarantees it.
        unsafe { (self.keys.read(keys), self.values.read(first * padded..(first + n) * padded)) }
    }
}

impl KvCache {
    /// An empty cache, which has not allocated memory yet.
    pub(super) fn new(ty: KvType, layers: usize, kv_heads: usize, head_dim: usize) -> Self {
        let pages = match ty {
            KvType::F32 => Pages::F32(Vec::new()),
            KvType::F16 => Pages::F16(Vec::new()),
        };
        Self { heads: Heads { layers, kv_heads, head_dim }, pages }
    }

    /// Allocates these pages if they do not exist; false if there is not enough memory.
    pub(super) fn make(&mut self, table: &[u32]) -> bool {
        fn make<E: Copy + Default>(pages: &mut Vec<Option<Page<E>>>, heads: Heads, table: &[u32]) -> bool {
            table.iter().all(|&page| {
                let page = page as usize;
                if page >= pages.len() {
                    pages.resize_with(page + 1, || None);
                }
                if pages[page].is_none() {
                    pages[page] = Page::new(heads);
                }
                pages[page].is_some()
            })
        }
        match &mut self.pages {
            Pages::F32(pages) => make(pages, self.heads, table),
            Pages::F16(pages) => make(pages, self.heads, table),
        }
    }

    /// Stores a key and a value of one head, for position `pos` of the sequence with this table, whose pages exist.
    ///
    /// # Safety
    /// No other worker accesses this position of the head before the next barrier.
    pub(super) unsafe fn put(
        &self,
        (layer, head): (usize, usize),
        (table, pos): (&[u32], usize),
        key: &[f32],
        value: &[f32],
    ) {
        let (heads, head) = (self.heads, layer * self.heads.kv_heads + head);
        let pairs = key.iter().zip(value);
        match &self.pages {
            // SAFETY: the caller guarantees it.
            Pages::F32(pages) => unsafe {
                of(pages, table, pos).put(heads, head, pos % PAGE, pairs.map(|(&k, &v)| (k, v)));
            },
            // SAFETY: the caller guarantees it.
            Pages::F16(pages) => unsafe {
                let half = |x: &f32| half::f16::from_f32(*x).to_bits();
                of(pages, table, pos).put(heads, head, pos % PAGE, pairs.map(|(k, v)| (half(k), half(v))));
            },
        }
    }

    /// Attention of one query head over the first `seen` positions of a layer's KV head, in the pages of this table.
    ///
    /// # Safety
    /// No worker writes the layer's part of these pages before the next barrier.
    pub(super) unsafe fn attend<A: Accumulator>(
        &self,
        simd: Simd,
        (layer, head): (usize, usize),
        q: &[f32],
        (table, seen): (&[u32], usize),
        out: &mut [f32],
        scratch: &mut Vec<A>,
    ) {
        let head = layer * self.heads.kv_heads + head;
        match &self.pages {
            Pages::F32(pages) => simd.run(Attention { q, pages, table, head, seen, out, scratch }),
            Pages::F16(pages) => simd.run(Attention { q, pages, table, head, seen, out, scratch }),
        }
    }
}

/// The page of a position.
#[inline(always)]
fn of<'p, E>(pages: &'p [Option<Page<E>>], table: &[u32], pos: usize) -> &'p Page<E> {
    pages[table[pos / PAGE] as usize].as_ref().expect("the pages of a sequence's positions are made first")
}

/// An element of the cache.
trait Element: Copy {
    fn widen<I: Isa>(values: [Self; LANES]) -> [f32; LANES];
}

impl Element for f32 {
    #[inline(always)]
    fn widen<I: Isa>(values: [f32; LANES]) -> [f32; LANES] {
        values
    }
}

impl Element for u16 {
    #[inline(always)]
    fn widen<I: Isa>(values: [u16; LANES]) -> [f32; LANES] {
        I::f16(values)
    }
}

/// Created only by [`KvCache::attend`], whose caller guarantees that no worker writes the head's pages in the meantime.
struct Attention<'a, A, E> {
    q: &'a [f32],
    pages: &'a [Option<Page<E>>],
    table: &'a [u32],
    /// The KV head, over all layers.
    head: usize,
    seen: usize,
    out: &'a mut [f32],
    /// For each chunk: its maximum, its sum, its output.
    scratch: &'a mut Vec<A>,
}

impl<A: Accumulator, E: Element> Kernel for Attention<'_, A, E> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { q, pages, table, head, seen, out, scratch } = self;
        let hd = q.len();
        let padded = hd.next_multiple_of(LANES);
        let scale = A::ONE / A::from_f32(hd as f32).sqrt();
        let stride = padded + 2;
        let chunks = seen.div_ceil(CHUNK);
        scratch.clear();
        scratch.resize(stride * chunks, A::ZERO);

        let mut groups = TreeSum::<A, LANES>::new();
        for (c, chunk) in scratch.chunks_exact_mut(stride).enumerate() {
            let n = (seen - c * CHUNK).min(CHUNK);
            // SAFETY: the guarantee of the caller of `KvCache::attend`.
            let (keys, values) = unsafe { of(pages, table, c * CHUNK).chunk(hd, head, c * CHUNK % PAGE, n) };
            let mut p = [A::ZERO; CHUNK];
            for (s, p) in p.as_chunks_mut::<LANES>().0.iter_mut().enumerate().take(n.div_ceil(LANES)) {
                let keys = &keys[s * LANES * hd..][..LANES * hd];
                groups.clear();
                if hd.is_multiple_of(16) {
                    // Four groups at once are a complete subtree.
                    for (q, keys) in q.as_chunks::<16>().0.iter().zip(keys.chunks_exact(16 * LANES)) {
                        let mut parts = [[A::ZERO; LANES]; 4];
                        for g in 0..4 {
                            group::<I, A, E>(&q[4 * g..4 * g + 4], &keys[4 * g * LANES..], &mut parts[g]);
                        }
                        let [a, b, c, d] = parts;
                        let mut sum = [A::ZERO; LANES];
                        for l in 0..LANES {
                            sum[l] = (a[l] + b[l]) + (c[l] + d[l]);
                        }
                        groups.push(sum);
                    }
                } else {
                    for (q, keys) in q.chunks(4).zip(keys.chunks(4 * LANES)) {
                        let mut score = [A::ZERO; LANES];
                        group::<I, A, E>(q, keys, &mut score);
                        groups.push(score);
                    }
                }
                let scores = groups.finish();
                for l in 0..LANES {
                    p[l] = scores[l] * scale;
                }
            }
            let first = p[0];
            p[n..].fill(first);
            let mut most = [p[0]; LANES];
            for scores in p.as_chunks::<LANES>().0 {
                for l in 0..LANES {
                    most[l] = most[l].larger(scores[l]);
                }
            }
            let mut m = most[0];
            for s in most {
                m = m.larger(s);
            }
            for p in &mut p {
                *p = (*p - m).exp();
            }
            p[n..].fill(A::ZERO);
            let (ends, o) = chunk.split_at_mut(2);
            let mut d = 0;
            while d < padded {
                d += match (padded - d) / LANES {
                    1 => weigh::<I, A, E, 1>(&p, values, padded, d, o),
                    2 | 3 => weigh::<I, A, E, 2>(&p, values, padded, d, o),
                    _ => weigh::<I, A, E, 4>(&p, values, padded, d, o),
                };
            }
            ends[0] = m;
            ends[1] = tree_in_place(&mut p);
        }

        let mut m = scratch[0];
        for chunk in scratch.chunks_exact(stride) {
            m = m.larger(chunk[0]);
        }
        let mut l = TreeSum::<A, 1>::new();
        for chunk in scratch.chunks_exact_mut(stride) {
            chunk[0] = (chunk[0] - m).exp();
            l.push([chunk[1] * chunk[0]]);
        }
        let [l] = l.finish();
        for (i, out) in out.chunks_mut(LANES).enumerate() {
            groups.clear();
            for chunk in scratch.chunks_exact(stride) {
                let mut o = [A::ZERO; LANES];
                for (o, v) in o.iter_mut().zip(&chunk[2 + i * LANES..]) {
                    *o = *v * chunk[0];
                }
                groups.push(o);
            }
            for (y, o) in out.iter_mut().zip(groups.finish()) {
                *y = (o / l).to_f32();
            }
        }
    }
}

/// The chain of up to 4 dimensions, for 16 positions.
#[inline(always)]
fn group<I: Isa, A: Accumulator, E: Element>(q: &[f32], keys: &[E], score: &mut [A; LANES]) {
    for (&q, k) in q.iter().zip(keys.as_chunks::<LANES>().0) {
        let (q, k) = (A::from_f32(q), E::widen::<I>(*k));
        for l in 0..LANES {
            score[l] = q.fma(A::from_f32(k[l]), score[l]);
        }
    }
}

/// The chains of `N * 16` dimensions from `d` on over a chunk's values; returns their number.
#[inline(always)]
fn weigh<I: Isa, A: Accumulator, E: Element, const N: usize>(
    p: &[A; CHUNK],
    values: &[E],
    padded: usize,
    d: usize,
    out: &mut [A],
) -> usize {
    let mut o = [[A::ZERO; LANES]; N];
    for (&p, v) in p.iter().zip(values.chunks_exact(padded)) {
        for (o, v) in o.iter_mut().zip(v[d..d + N * LANES].as_chunks::<LANES>().0) {
            let v = E::widen::<I>(*v);
            for l in 0..LANES {
                o[l] = p.fma(A::from_f32(v[l]), o[l]);
            }
        }
    }
    out[d..d + N * LANES].as_chunks_mut().0.copy_from_slice(&o);
    N * LANES
}
