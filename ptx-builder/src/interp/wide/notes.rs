//! Reports in addition to errors: roundings to integers, and decisions that rounding changed.

use std::collections::BTreeMap;

use super::Numbers;
use crate::interp::mask::lanes;

/// By instruction.
#[derive(Default)]
pub(in crate::interp) struct Notes {
    /// Of roundings to integers, the largest distance, and how often there was one.
    pub integral: BTreeMap<u32, (f64, u64)>,
    /// Of comparisons, how many the real numbers would have decided otherwise.
    pub decided: BTreeMap<u32, u64>,
    /// Of instructions whose results have no shadow, how many lanes had inexact sources.
    pub ends: BTreeMap<u32, u64>,
}

impl Notes {
    /// Adds another's.
    pub fn merge(&mut self, more: &Notes) {
        for (&pc, &(most, count)) in &more.integral {
            let entry = self.integral.entry(pc).or_insert((0.0, 0));
            *entry = (entry.0.max(most), entry.1 + count);
        }
        for (&pc, &count) in &more.decided {
            *self.decided.entry(pc).or_default() += count;
        }
        for (&pc, &count) in &more.ends {
            *self.ends.entry(pc).or_default() += count;
        }
    }

    /// Notes lanes whose results have no shadow, though their sources had one.
    pub fn ended(&mut self, pc: u32, count: u64) {
        if count > 0 {
            *self.ends.entry(pc).or_default() += count;
        }
    }

    /// Notes how far numbers were from the integers that they were rounded to.
    pub fn rounded(&mut self, pc: u32, mask: u32, distances: &Numbers) {
        let moved = |lane: &usize| distances[*lane] != 0.0 && distances[*lane].is_finite();
        let (mut most, mut count) = (0f64, 0);
        for lane in lanes(mask).filter(moved) {
            most = most.max(distances[lane].abs());
            count += 1;
        }
        if count > 0 {
            let entry = self.integral.entry(pc).or_insert((0.0, 0));
            *entry = (entry.0.max(most), entry.1 + count);
        }
    }

    /// Notes comparisons of a and b whose real numbers are in another order.
    pub fn compared(&mut self, pc: u32, mask: u32, [a, b]: [&Numbers; 2], [ea, eb]: [&Numbers; 2]) {
        let order = |x: f64| x.partial_cmp(&0.0);
        // A NaN has no order, and no error.
        let other = |lane: &usize| {
            let (apart, moved) = (a[*lane] - b[*lane], ea[*lane] - eb[*lane]);
            order(apart) != order(apart + moved)
        };
        let count = lanes(mask).filter(other).count() as u64;
        if count > 0 {
            *self.decided.entry(pc).or_default() += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_are_of_active_lanes_and_numbers() {
        let mut notes = Notes::default();
        let (mut a, b, mut ea) = ([1.0; 32], [1.0; 32], [0.0; 32]);
        notes.compared(3, u32::MAX, [&a, &b], [&ea, &b]);
        assert_eq!(notes.decided[&3], 32);
        (ea[0], ea[1], a[2], a[3]) = (1e-9, -1e-9, 2.0, f64::NAN);
        ea[2] = -0.5;
        notes.compared(4, 0b1111, [&a, &b], [&ea, &[0.0; 32]]);
        notes.compared(5, !0b11, [&a, &b], [&ea, &[0.0; 32]]);
        assert_eq!((notes.decided.get(&4), notes.decided.get(&5)), (Some(&2), None));
        notes.ended(6, 0);
        notes.ended(6, 3);
        let mut more = Notes::default();
        more.rounded(7, 1, &[0.25; 32]);
        more.rounded(7, 0b110, &[-0.5; 32]);
        more.rounded(8, u32::MAX, &[0.0; 32]);
        more.merge(&notes);
        more.merge(&notes);
        assert_eq!((notes.ends.len(), more.ends[&6]), (1, 6));
        assert_eq!((more.integral[&7], more.integral.len(), more.decided[&4]), ((0.5, 3), 1, 4));
        // Infinities have no distance, and an empty collection gets what another has.
        more.rounded(9, 0b11, &[f64::INFINITY; 32]);
        let mut empty = Notes::default();
        empty.merge(&more);
        assert_eq!((empty.integral, empty.decided), (more.integral, more.decided));
    }
}
