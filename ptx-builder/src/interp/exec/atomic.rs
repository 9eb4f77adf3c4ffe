//! Atomic read-modify-write operations (PTX ISA 9.7.13.5, 9.7.13.7).

use super::Exec;
use crate::interp::report::FindingKind;
use crate::interp::shadow::{Access, Strength, Strong};
use crate::interp::state::Stop;
use crate::interp::wide::regs::Gathered;
use crate::table::{Atomic, Memory, WARP};
use crate::types::Space;

impl Exec<'_> {
    /// Lanes go one after the other, lowest first (highest first in the
    /// adversarial order).
    pub(super) fn atomic(&mut self, m: Memory, atomic: Atomic) -> Result<(), Stop> {
        let addresses = self.addresses(0);
        self.polls(&addresses);
        let (b, c) = (self.src_zero(0), self.src_zero(1));
        let mut old = [0; WARP];
        let mut shadows = Gathered::default();
        self.by_space(m.space, &addresses, |this, space, mask, at| {
            this.atomic_in(space, mask, at, &m, atomic, (&b, &c), &mut old, &mut shadows)
        })?;
        if atomic.returns {
            self.set(0, &old);
            self.wide_put(0, &shadows);
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)] // the parts of one access
    fn atomic_in(
        &mut self,
        space: Space,
        mask: u32,
        at: &[u64; WARP],
        m: &Memory,
        atomic: Atomic,
        (b, c): (&[u64; WARP], &[u64; WARP]),
        old: &mut [u64; WARP],
        shadows: &mut Gathered,
    ) -> Result<(), Stop> {
        let bytes = m.bytes();
        self.check(space, mask, at, bytes)?;
        if !matches!(space, Space::Shared | Space::Global) {
            return Err(self.fault(FindingKind::BadOperand, mask, format!("an atomic operation on {space} memory")));
        }
        self.before_write(space, mask, at, m);
        let keep = u64::MAX >> (64 - 8 * bytes.min(8));
        let (b, c) = (b.map(|x| x & keep), c.map(|x| x & keep));
        let mut unwritten = 0;
        for i in 0..WARP {
            let lane = if self.cx.is_adversarial() { WARP - 1 - i } else { i };
            if mask >> lane & 1 == 0 {
                continue;
            }
            let update = |old: u64| (atomic.update)(old, b[lane], c[lane]) & keep;
            let cx = self.cx;
            // The value and its shadow change in one step.
            let global = cx.wide.as_ref().filter(|_| space == Space::Global).map(|wide| {
                wide.global.touch(at[lane]);
                wide.global.pages(at[lane])
            });
            if space == Space::Shared {
                unwritten |= u32::from(!self.st.shared.is_init(at[lane], bytes)) << lane;
                old[lane] = self.st.shared.load(at[lane], bytes) as u64;
                self.st.shared.store(at[lane], bytes, u128::from(update(old[lane])));
            } else if let Some(alloc) = self.cx.memory.near(at[lane]) {
                unwritten |= u32::from(!alloc.is_init(at[lane], bytes)) << lane;
                // mutants: same [<= to <], one step either way
                old[lane] = if bytes <= 4 {
                    alloc.update(at[lane], bytes, update)
                } else {
                    let _step = self.cx.memory.one_step(true, bytes);
                    let was = alloc.load(at[lane], bytes) as u64;
                    alloc.store(at[lane], bytes, u128::from(update(was)));
                    was
                };
            }
            if cx.wide.is_some() {
                let (change, sources) = (self.wide_change(bytes), self.wide_sources(lane));
                let values = ((old[lane], update(old[lane])), (b[lane], c[lane]));
                let was = match global {
                    Some(mut pages) => change.apply(&mut pages, at[lane], values.0, values.1, sources),
                    None => change.apply(&mut self.st.wide.shared, at[lane], values.0, values.1, sources),
                };
                was.iter().for_each(|was| shadows.add(lane, 0, was));
            }
            // A lock that is found taken is not changed.
            self.st.changes += u64::from(update(old[lane]) != old[lane]);
        }
        self.unwritten(space, unwritten, at, bytes);
        self.after_read(space, mask, at, m);
        let access = Access { write: true, strength: Strength::Strong(Strong::of(m, m.scope)), read_only: false };
        self.touch(space, mask, at, bytes, access, None);
        Ok(())
    }
}
