//! `mma.sync` and `ldmatrix` (PTX ISA 9.7.14.5).

use half::{bf16, f16};

use super::{Exec, Flow};
use crate::interp::block::Stop;
use crate::interp::report::FindingKind;
use crate::interp::warp::State;
use crate::table::{Matrix, Memory, Order, Scope, WARP};
use crate::types::{ScalarType, Space};

/// Row and column of element `i` of a, of 16-bit floats.
pub(super) fn a_place(lane: usize, i: usize) -> (usize, usize) {
    (lane / 4 + if i & 2 != 0 { 8 } else { 0 }, lane % 4 * 2 + (i & 1) + if i >= 4 { 8 } else { 0 })
}

/// The same of b.
pub(super) fn b_place(lane: usize, i: usize) -> (usize, usize) {
    (lane % 4 * 2 + (i & 1) + if i >= 2 { 8 } else { 0 }, lane / 4)
}

/// The same of c and d.
pub(super) fn d_place(lane: usize, i: usize) -> (usize, usize) {
    (lane / 4 + if i >= 2 { 8 } else { 0 }, lane % 4 * 2 + (i & 1))
}

impl Exec<'_> {
    pub(super) fn matrix(&mut self, matrix: Matrix) -> Result<Flow, Stop> {
        if let Some(flow) = self.whole_warp()? {
            return Ok(flow);
        }
        self.count();
        match matrix {
            Matrix::FloatMma { input, acc } => self.float_mma(input, acc),
            Matrix::IntMma { k, a, b, satfinite } => self.int_mma(usize::from(k), a, b, satfinite),
            Matrix::Store { count, trans } => self.store_matrices(usize::from(count), trans)?,
            Matrix::Load { count, trans } => self.load_matrices(usize::from(count), trans)?,
        }
        Ok(Flow::Next)
    }

    /// Waits for all 32 lanes; a warp that lacks some cannot go on.
    fn whole_warp(&mut self) -> Result<Option<Flow>, Stop> {
        if self.mask == u32::MAX {
            return Ok(None);
        }
        let away = !self.mask;
        let unable = away & (self.group | !self.warp.live);
        if unable == 0 {
            return Ok(Some(Flow::Retry(State::Warp(u32::MAX))));
        }
        let lane = unable.trailing_zeros();
        let message = format!("all 32 lanes must execute a matrix instruction together, but lane {lane} cannot");
        Err(self.fault(FindingKind::WarpMask, self.mask, message))
    }

    /// Lane `lane`'s element `i` of the sources from `first` on, `bits` wide.
    fn element(&self, first: usize, lane: usize, i: usize, bits: usize) -> u64 {
        let per = 32 / bits;
        self.st.src[first + i / per][lane] >> (i % per * bits) & ((1 << bits) - 1)
    }

    /// Products are exact in f64, and a sum of 16 of them with the accumulator
    /// is rounded there and then once to the result.
    fn float_mma(&mut self, input: ScalarType, acc: ScalarType) {
        self.gather();
        let value = |bits: u64| match input {
            ScalarType::Bf16 => bf16::from_bits(bits as u16).to_f64(),
            _ => f16::from_bits(bits as u16).to_f64(),
        };
        let mut a = [[0.0f64; 16]; 16];
        let mut b = [[0.0f64; 8]; 16];
        for lane in 0..WARP {
            for i in 0..8 {
                let (row, col) = a_place(lane, i);
                a[row][col] = value(self.element(0, lane, i, 16));
            }
            for i in 0..4 {
                let (row, col) = b_place(lane, i);
                b[row][col] = value(self.element(4, lane, i, 16));
            }
        }
        for lane in 0..WARP {
            for i in 0..4 {
                let (row, col) = d_place(lane, i);
                let c = match acc {
                    ScalarType::F32 => f64::from(f32::from_bits(self.st.src[6 + i][lane] as u32)),
                    _ => f16::from_bits(self.element(6, lane, i, 16) as u16).to_f64(),
                };
                let sum = (0..16).fold(c, |sum, k| a[row][k].mul_add(b[k][col], sum));
                if acc == ScalarType::F32 {
                    let bits = if sum.is_nan() { 0x7fff_ffff } else { (sum as f32).to_bits() };
                    self.st.dst[i][lane] = u64::from(bits);
                } else {
                    let bits = if sum.is_nan() { 0x7fff } else { f16::from_f64(sum).to_bits() };
                    let old = if i & 1 == 0 { 0 } else { self.st.dst[i / 2][lane] };
                    self.st.dst[i / 2][lane] = old | u64::from(bits) << (i % 2 * 16);
                }
            }
        }
        self.scatter();
        self.wide_mma(input, acc);
    }

    fn int_mma(&mut self, k: usize, ta: ScalarType, tb: ScalarType, satfinite: bool) {
        self.gather();
        let value = |ty: ScalarType, bits: u64| {
            if ty.is_signed() { i64::from(bits as u8 as i8) } else { i64::from(bits as u8) }
        };
        let (a_regs, b_regs) = (k / 8, k / 16);
        let mut a = [[0i64; 32]; 16];
        let mut b = [[0i64; 8]; 32];
        for lane in 0..WARP {
            let (group, t) = (lane / 4, lane % 4);
            for i in 0..a_regs * 4 {
                let (row, col) =
                    (group + if i & 4 != 0 { 8 } else { 0 }, t * 4 + (i & 3) + if i >= 8 { 16 } else { 0 });
                a[row][col] = value(ta, self.element(0, lane, i, 8));
            }
            for i in 0..b_regs * 4 {
                b[t * 4 + (i & 3) + if i >= 4 { 16 } else { 0 }][group] = value(tb, self.element(a_regs, lane, i, 8));
            }
        }
        for lane in 0..WARP {
            for i in 0..4 {
                let (row, col) = d_place(lane, i);
                let c = i64::from(self.st.src[a_regs + b_regs + i][lane] as u32 as i32);
                let sum = (0..k).fold(c, |sum, k| sum + a[row][k] * b[k][col]);
                let sum = if satfinite { sum.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) } else { sum };
                self.st.dst[i][lane] = u64::from(sum as u32);
            }
        }
        self.scatter();
        (0..4).for_each(|i| self.wide_clear(i));
    }

    /// The space that the instruction accesses.
    fn matrix_space(&self) -> Space {
        let (_, _, form) = self.cx.program.sites[self.pc as usize];
        let generic = form.get().slots.iter().any(|s| s.shape == crate::table::Shape::Address(Space::Generic));
        if generic { Space::Generic } else { Space::Shared }
    }

    /// Lanes 8 i to 8 i + 7 give the addresses of the rows of matrix i.
    fn store_matrices(&mut self, count: usize, trans: bool) -> Result<(), Stop> {
        self.gather();
        let space = self.matrix_space();
        let (ty, order, scope) = (ScalarType::B32, Order::Weak, Scope::Cta);
        let row = Memory { space, ty, len: 4, order, scope, read_only: false };
        let mut rows = [0u128; WARP];
        for m in 0..count {
            for lane in 0..WARP {
                let pair = self.st.src[m][lane];
                for (i, half) in [pair & 0xffff, pair >> 16 & 0xffff].into_iter().enumerate() {
                    let (r, c) = (lane / 4, lane % 4 * 2 + i);
                    let (r, c) = if trans { (c, r) } else { (r, c) };
                    rows[m * 8 + r] |= u128::from(half) << (c * 16);
                }
            }
        }
        let addresses = self.addresses(0);
        let all = self.mask;
        self.mask = u32::MAX >> (32 - 8 * count);
        let stored =
            self.by_space(space, &addresses, |this, space, mask, at| this.store_in(space, mask, at, &row, &rows));
        if stored.is_ok() {
            self.wide_store(&row, &addresses, &rows);
        }
        self.mask = all;
        stored
    }

    /// Lanes 8 i to 8 i + 7 give the addresses of the rows of matrix i.
    fn load_matrices(&mut self, count: usize, trans: bool) -> Result<(), Stop> {
        let space = self.matrix_space();
        let (ty, order, scope) = (ScalarType::B32, Order::Weak, Scope::Cta);
        let row = Memory { space, ty, len: 4, order, scope, read_only: false };
        let addresses = self.addresses(0);
        let mut rows = [0u128; WARP];
        let all = self.mask;
        self.mask = u32::MAX >> (32 - 8 * count);
        self.by_space(space, &addresses, |this, space, mask, at| this.load_in(space, mask, at, &row, &mut rows))?;
        self.mask = all;
        for m in 0..count {
            let half = |row: usize, col: usize| (rows[m * 8 + row] >> (col * 16)) as u16;
            let value = std::array::from_fn(|lane| {
                let (r, c) = (lane / 4, lane % 4 * 2);
                let (lo, hi) = if trans { (half(c, r), half(c + 1, r)) } else { (half(r, c), half(r, c + 1)) };
                u64::from(lo) | u64::from(hi) << 16
            });
            self.set(m, &value);
        }
        self.wide_matrices(space, &addresses, &rows, count, trans);
        Ok(())
    }
}
