//! 32-bit indices that wrap: their values without wrapping, next to the actual ones.

use super::Exec;
use crate::interp::index::{IndexOp, IndexStep, NONE};
use crate::interp::mask::lanes;
use crate::interp::report::FindingKind;
use crate::table::WARP;

/// What is known of a register on a lane.
#[derive(Clone, Copy)]
pub(in crate::interp) struct Exact {
    /// The value without wrapping.
    value: i64,
    /// The register's value when that was found out: another means that it was written since.
    held: u64,
    /// The instruction that wrapped, if one did.
    wrapped: u32,
}

impl Exact {
    pub const UNKNOWN: Exact = Exact { value: 0, held: u64::MAX, wrapped: NONE };

    fn plain(held: u64) -> Exact {
        Exact { value: held as i64, held, wrapped: NONE }
    }

    /// As a negative number, where it may be one.
    fn signed(self) -> i64 {
        if self.value == i64::from(self.held as u32) { i64::from(self.held as u32 as i32) } else { self.value }
    }
}

fn product(a: i64, b: i64) -> i64 {
    (i128::from(a) * i128::from(b)).clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

fn compute(op: IndexOp, v: &[i64; 3]) -> i64 {
    match op {
        IndexOp::Add => v[0].saturating_add(v[1]),
        IndexOp::Sub => v[0].saturating_sub(v[1]),
        IndexOp::Mul => product(v[0], v[1]),
        IndexOp::Mad => product(v[0], v[1]).saturating_add(v[2]),
        IndexOp::Shl => product(v[0], 1 << v[1].clamp(0, 32)),
        IndexOp::Copy | IndexOp::Widen | IndexOp::Wide | IndexOp::Other | IndexOp::Access => v[0],
    }
}

/// Whether a register of 32 bits holds the number, signed or not.
fn fits(exact: i64, held: u64) -> bool {
    exact == i64::from(held as u32) || exact == i64::from(held as u32 as i32)
}

impl Exec<'_> {
    fn exact(&self, number: u32, lane: usize, held: u64) -> Exact {
        match self.warp.exact.get(number as usize) {
            Some(known) if known[lane].held == held => known[lane],
            _ => Exact::plain(held),
        }
    }

    /// Follows an instruction that was executed just now; its sources still lie in the scratch area.
    pub(super) fn follow(&mut self, step: &IndexStep) {
        if self.warp.exact.is_empty() {
            self.warp.exact = vec![[Exact::UNKNOWN; WARP]; self.cx.index.registers];
        }
        for lane in lanes(self.mask) {
            let held = self.st.dst[0][lane];
            let mut sources = [Exact::plain(0); 3];
            for (i, (source, number)) in sources.iter_mut().zip(&step.srcs).enumerate() {
                *source = self.exact(*number, lane, self.st.src[i][lane]);
            }
            let wrapped = sources.iter().map(|s| s.wrapped).find(|pc| *pc != NONE).unwrap_or(NONE);
            let known = match step.op {
                IndexOp::Other | IndexOp::Access => Exact::plain(held),
                IndexOp::Widen | IndexOp::Wide => Exact { value: held as i64, held, wrapped },
                op => {
                    let mut value = compute(op, &sources.map(|s| s.value));
                    if !fits(value, held) {
                        // A source above the middle may be a negative number.
                        let signed = compute(op, &sources.map(Exact::signed));
                        value = if fits(signed, held) { signed } else { value };
                    }
                    // What wraps and wraps back is right.
                    let wrapped = match fits(value, held) {
                        true => NONE,
                        false if wrapped != NONE => wrapped,
                        false => self.pc,
                    };
                    Exact { value, held, wrapped }
                }
            };
            self.warp.exact[step.dst as usize][lane] = known;
        }
    }

    /// Reports an address that comes from an index that wrapped.
    pub(super) fn check_index(&mut self, step: &IndexStep) {
        for (i, number) in step.srcs.iter().enumerate() {
            let Some(addr) = self.cx.program.addrs(self.code).get(i) else { continue };
            let Some(reg) = addr.register() else { continue };
            for lane in lanes(self.mask) {
                let held = self.warp.regs[reg as usize][lane];
                let pc = self.exact(*number, lane, held).wrapped;
                if pc == NONE {
                    continue;
                }
                let access = self.cx.site(self.pc);
                self.st.find(FindingKind::IndexWrapped, pc, self.warp.id, 1 << lane, || {
                    format!(
                        "lane {lane} accesses memory at an index that wrapped in 32 bits here; the access is {access}. \
                         Compute the index in 64 bits (`x.at64(..)`, `mul_wide`, `mad_wide`)"
                    )
                });
            }
        }
    }
}
