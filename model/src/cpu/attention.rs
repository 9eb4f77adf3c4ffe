//! The KV cache and the contract's "Attention", with positions side by side in lanes.

use super::{
    simd::{Isa, Kernel, Simd},
    team::Shared,
    vector::tree_in_place,
};
use crate::kv::KvType;
use ptxgen_dsl::reference::{Accumulator, CHUNK, TreeSum};

/// Positions side by side in the key cache.
pub(super) const LANES: usize = 16;

/// Keys and values of all layers.
///
/// Keys of a head are stored [position / 16, head_dim, 16], so that a load gives one dimension of
/// 16 positions; values [position, head_dim padded to 16].
pub(super) struct KvCache {
    kv_heads: usize,
    head_dim: usize,
    capacity: usize,
    store: Store,
}

enum Store {
    F32(Halves<f32>),
    F16(Halves<u16>),
}

struct Halves<E> {
    keys: Box<Shared<E>>,
    values: Box<Shared<E>>,
}

impl KvCache {
    pub(super) fn new(ty: KvType, layers: usize, kv_heads: usize, head_dim: usize, capacity: usize) -> Self {
        let capacity = capacity.next_multiple_of(LANES);
        let heads = layers * kv_heads * capacity;
        let (keys, values) = (heads * head_dim, heads * head_dim.next_multiple_of(LANES));
        let store = match ty {
            KvType::F32 => Store::F32(Halves { keys: Shared::new(0.0, keys), values: Shared::new(0.0, values) }),
            KvType::F16 => Store::F16(Halves { keys: Shared::new(0, keys), values: Shared::new(0, values) }),
        };
        Self { kv_heads, head_dim, capacity, store }
    }

    /// Stores a position's key and value of one head.
    ///
    /// # Safety
    /// No other worker touches this position of the head before the next meeting.
    pub(super) unsafe fn put(&self, layer: usize, head: usize, pos: usize, key: &[f32], value: &[f32]) {
        let first = (layer * self.kv_heads + head) * self.capacity;
        let padded = self.head_dim.next_multiple_of(LANES);
        let key_at = |d: usize| (first + pos / LANES * LANES) * self.head_dim + d * LANES + pos % LANES;
        let value_at = |d: usize| (first + pos) * padded + d;
        for (d, (&k, &v)) in key.iter().zip(value).enumerate() {
            match &self.store {
                // SAFETY: the caller has this position alone; other positions' elements stay untouched.
                Store::F32(s) => unsafe {
                    s.keys.set(key_at(d), k);
                    s.values.set(value_at(d), v);
                },
                // SAFETY: as above.
                Store::F16(s) => unsafe {
                    s.keys.set(key_at(d), half::f16::from_f32(k).to_bits());
                    s.values.set(value_at(d), half::f16::from_f32(v).to_bits());
                },
            }
        }
    }

    /// Attention of one query head over the first `seen` positions of a layer's KV head.
    ///
    /// # Safety
    /// Nobody writes the layer's cache before the next meeting.
    pub(super) unsafe fn attend<A: Accumulator>(
        &self,
        simd: Simd,
        (layer, head): (usize, usize),
        q: &[f32],
        seen: usize,
        out: &mut [f32],
        scratch: &mut Vec<A>,
    ) {
        let first = (layer * self.kv_heads + head) * self.capacity;
        let padded = self.head_dim.next_multiple_of(LANES);
        let keys = first * self.head_dim..(first + self.capacity) * self.head_dim;
        let values = first * padded..(first + self.capacity) * padded;
        match &self.store {
            Store::F32(s) => {
                // SAFETY: the caller's promise.
                let (keys, values) = unsafe { (s.keys.read(keys), s.values.read(values)) };
                simd.run(Attention { q, keys, values, seen, out, scratch });
            }
            Store::F16(s) => {
                // SAFETY: the caller's promise.
                let (keys, values) = unsafe { (s.keys.read(keys), s.values.read(values)) };
                simd.run(Attention { q, keys, values, seen, out, scratch });
            }
        }
    }
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

struct Attention<'a, A, E> {
    q: &'a [f32],
    keys: &'a [E],
    values: &'a [E],
    seen: usize,
    out: &'a mut [f32],
    /// For each chunk: its maximum, its sum, its output.
    scratch: &'a mut Vec<A>,
}

impl<A: Accumulator, E: Element> Kernel for Attention<'_, A, E> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { q, keys, values, seen, out, scratch } = self;
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
            let mut p = [A::ZERO; CHUNK];
            for (s, p) in p.as_chunks_mut::<LANES>().0.iter_mut().enumerate().take(n.div_ceil(LANES)) {
                let keys = &keys[(c * CHUNK + s * LANES) * hd..][..LANES * hd];
                groups.clear();
                if hd.is_multiple_of(16) {
                    // Four groups at once are a subtree of their own.
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
            let (head, o) = chunk.split_at_mut(2);
            let values = &values[c * CHUNK * padded..][..n * padded];
            let mut d = 0;
            while d < padded {
                d += match (padded - d) / LANES {
                    1 => weigh::<I, A, E, 1>(&p, values, padded, d, o),
                    2 | 3 => weigh::<I, A, E, 2>(&p, values, padded, d, o),
                    _ => weigh::<I, A, E, 4>(&p, values, padded, d, o),
                };
            }
            head[0] = m;
            head[1] = tree_in_place(&mut p);
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

/// The chains of `N * 16` dimensions from `d` on over a chunk's values; gives their number.
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
