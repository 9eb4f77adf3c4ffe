//! Matrices in place, and the activations that they are multiplied with.

#[cfg(all(feature = "plants", debug_assertions))]
use super::planted::OfMatrix;
use super::{
    simd::{Isa, Kernel, Simd},
    team::Shared,
    vector::quantize,
};
use crate::gguf::TensorView;
use ptxgen_dsl::{
    format::{Q8KBlock, SUPERBLOCK, TensorType},
    precision::Act,
};
use std::ops::Range;

/// 256 activations or weights transposed: value i of group g (16 g + i) is at `[i][g]`, so that the 16 chains of the
/// contract's "Matrix times vector" are 16 lanes.
pub(super) type Lanes<A> = [[A; 16]; 16];

/// A matrix whose rows are used in place in the file.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    pub(super) ty: TensorType,
    /// Weights in a row.
    pub(super) width: usize,
    /// Rows.
    pub(super) rows: usize,
    row_bytes: usize,
    data: &'a [u8],
    #[cfg(all(feature = "plants", debug_assertions))]
    pub(super) planted: OfMatrix,
}

impl<'a> Matrix<'a> {
    pub(super) fn new(view: &TensorView<'a>) -> Self {
        Self {
            ty: view.ty,
            width: view.row_len(),
            rows: view.rows(),
            row_bytes: view.row_bytes(),
            data: view.data,
            #[cfg(all(feature = "plants", debug_assertions))]
            planted: OfMatrix::default(),
        }
    }

    /// The bytes of a row.
    #[inline(always)]
    pub(super) fn row(&self, row: usize) -> &'a [u8] {
        &self.data[row * self.row_bytes..(row + 1) * self.row_bytes]
    }

    /// Rows `range` as a separate matrix: an expert's.
    pub(super) fn part(&self, range: Range<usize>) -> Self {
        let data = &self.data[range.start * self.row_bytes..range.end * self.row_bytes];
        Self { rows: range.len(), data, ..*self }
    }

    /// Blocks of 256 in a row; the last one is padded.
    #[inline(always)]
    pub(super) fn blocks(&self) -> usize {
        self.width.div_ceil(SUPERBLOCK)
    }
}

/// The forms of an input that the matrices need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Forms {
    pub(super) q8k: bool,
    pub(super) lanes: bool,
}

impl Forms {
    /// The forms that matrices of these types need under `act`.
    pub(super) fn of(act: Act, types: impl IntoIterator<Item = TensorType>) -> Self {
        let mut forms = Self::default();
        for ty in types {
            if act == Act::Q8K && ty.reads_q8k() { forms.q8k = true } else { forms.lanes = true }
        }
        forms
    }
}

impl std::ops::BitOr for Forms {
    type Output = Self;
    fn bitor(self, o: Self) -> Self {
        Self { q8k: self.q8k | o.q8k, lanes: self.lanes | o.lanes }
    }
}

/// Vectors prepared for multiplication, each in a slot.
pub(super) struct Inputs {
    /// Maximum number of blocks of a vector.
    blocks: usize,
    q8k: Box<Shared<Q8KBlock>>,
    lanes: Box<Shared<Lanes<f32>>>,
}

impl Inputs {
    /// Blocks of a slot.
    #[cfg(all(feature = "plants", debug_assertions))]
    pub(super) fn blocks(&self) -> usize {
        self.blocks
    }

    /// Room for `slots` vectors of up to `width` values.
    pub(super) fn new(slots: usize, width: usize, forms: Forms) -> Self {
        let blocks = width.div_ceil(SUPERBLOCK);
        let room = |wanted| if wanted { slots * blocks } else { 0 };
        Self {
            blocks,
            q8k: Shared::new(Q8KBlock::ZERO, room(forms.q8k)),
            lanes: Shared::new([[0.0; 16]; 16], room(forms.lanes)),
        }
    }

    /// Prepares a vector in a slot, in the requested forms.
    ///
    /// # Safety
    /// This worker has exclusive access to the slot until the next barrier.
    pub(super) unsafe fn prepare(&self, simd: Simd, slot: usize, x: &[f32], forms: Forms) {
        let blocks = x.len().div_ceil(SUPERBLOCK);
        if forms.q8k {
            // SAFETY: the caller has the slot alone.
            simd.run(Quantize { x, out: unsafe { self.write_q8k(slot, blocks) } });
        }
        if forms.lanes {
            // SAFETY: as above.
            simd.run(Spread { x, out: unsafe { self.write_lanes(slot, blocks) } });
        }
    }

    /// The first Q8_K blocks of a slot, to be written.
    ///
    /// # Safety
    /// The slot is this worker's alone until the next meeting.
    #[allow(clippy::mut_from_ref, reason = "the caller's promise, as of `Shared::write`")]
    pub(super) unsafe fn write_q8k(&self, slot: usize, blocks: usize) -> &mut [Q8KBlock] {
        // SAFETY: the caller's promise.
        unsafe { self.q8k.write(slot * self.blocks..slot * self.blocks + blocks) }
    }

    /// The lanes of a slot's first blocks, to be written.
    ///
    /// # Safety
    /// The slot is this worker's alone until the next meeting.
    #[allow(clippy::mut_from_ref, reason = "the caller's promise, as of `Shared::write`")]
    pub(super) unsafe fn write_lanes(&self, slot: usize, blocks: usize) -> &mut [Lanes<f32>] {
        // SAFETY: the caller's promise.
        unsafe { self.lanes.write(slot * self.blocks..slot * self.blocks + blocks) }
    }

    /// The Q8_K blocks of a slot.
    ///
    /// # Safety
    /// No worker writes the slot before the next barrier.
    #[inline(always)]
    pub(super) unsafe fn q8k(&self, slot: usize) -> &[Q8KBlock] {
        // SAFETY: the caller guarantees it.
        unsafe { self.q8k.read(slot * self.blocks..(slot + 1) * self.blocks) }
    }

    /// The lanes of a slot.
    ///
    /// # Safety
    /// No worker writes the slot before the next barrier.
    #[inline(always)]
    pub(super) unsafe fn lanes(&self, slot: usize) -> &[Lanes<f32>] {
        // SAFETY: the caller guarantees it.
        unsafe { self.lanes.read(slot * self.blocks..(slot + 1) * self.blocks) }
    }
}

struct Quantize<'a> {
    x: &'a [f32],
    out: &'a mut [Q8KBlock],
}

impl Kernel for Quantize<'_> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let (blocks, _) = self.x.as_chunks();
        for (out, x) in self.out.iter_mut().zip(blocks) {
            quantize(x, out);
        }
    }
}

struct Spread<'a> {
    x: &'a [f32],
    out: &'a mut [Lanes<f32>],
}

impl Kernel for Spread<'_> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        for (out, x) in self.out.iter_mut().zip(self.x.chunks(SUPERBLOCK)) {
            spread(x, out);
        }
    }
}

/// Transposes up to 256 values, padded with +0.
#[inline(always)]
pub(super) fn spread(x: &[f32], out: &mut Lanes<f32>) {
    let mut padded = [0.0; SUPERBLOCK];
    let x = match x.first_chunk::<SUPERBLOCK>() {
        Some(x) => x,
        None => {
            padded[..x.len()].copy_from_slice(x);
            &padded
        }
    };
    for i in 0..16 {
        for g in 0..16 {
            out[i][g] = x[16 * g + i];
        }
    }
}
