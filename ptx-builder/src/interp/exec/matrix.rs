//! What matrix instructions do but for their products: `ldmatrix` and its like (PTX ISA 9.7.14.4, 9.7.14.5).

use super::{Exec, Flow};
use crate::interp::report::FindingKind;
use crate::interp::state::Stop;
use crate::interp::warp::State;
use crate::table::{Matrix, Memory, Order, Scope, Shape, WARP};
use crate::types::{ScalarType, Space};

impl Exec<'_> {
    pub(super) fn matrix(&mut self, matrix: Matrix) -> Result<Flow, Stop> {
        if let Some(flow) = self.whole_warp()? {
            return Ok(flow);
        }
        self.count();
        match matrix {
            Matrix::FloatMma { .. } | Matrix::IntMma { .. } | Matrix::Product(_) => self.product(matrix),
            Matrix::Transpose => self.transpose(),
            Matrix::LoadFragment(fragment) => self.load_fragment(fragment)?,
            Matrix::StoreFragment(fragment) => self.store_fragment(fragment)?,
            // Refused before anything runs.
            Matrix::Foreign => {}
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

    /// The space that the instruction accesses.
    pub(super) fn matrix_space(&self) -> Space {
        let (_, _, form) = self.cx.program.sites[self.pc as usize];
        let space = form.get().slots.iter().find_map(|s| match s.shape {
            Shape::Address(space) => Some(space),
            _ => None,
        });
        space.unwrap_or(Space::Generic)
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
            self.wide_store_matrices(space, &addresses, &rows, (count, trans));
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
        self.wide_load_matrices(space, &addresses, &rows, (count, trans));
        Ok(())
    }

    /// Row r of the result is column r of the source.
    fn transpose(&mut self) {
        self.gather();
        let source = self.st.src[0];
        let half = |row: usize, column: usize| source[row * 4 + column / 2] >> (column % 2 * 16) & 0xffff;
        let value = std::array::from_fn(|lane| {
            let (row, column) = (lane / 4, lane % 4 * 2);
            half(column, row) | half(column + 1, row) << 16
        });
        // Before the result is written, which may be where the source is.
        let shadow = self.wide_transposed(|lane, i| ((lane % 4 * 2 + i) * 4 + lane / 4 / 2, lane / 4 % 2));
        self.set(0, &value);
        self.wide_put(0, &shadow);
    }
}
