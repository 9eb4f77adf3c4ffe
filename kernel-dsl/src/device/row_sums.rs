//! The sums of a matrix's rows with a vector.

use ptxgen_builder::build::{Body, Shared, Val};

use super::{BlockAt, DeviceActivation, DeviceFloat, DeviceFormat, Group, LaneGroups, butterfly, row_tree};

/// The activations that a row meets.
pub enum RowVector<X: DeviceActivation, A: DeviceFloat> {
    /// Each step's are loaded when they are needed.
    Ready(X::Vector<A>),
    /// The lane has its share of every step in registers.
    Held(Vec<X::Share<A>>),
}

impl LaneGroups {
    /// The lane's share of the block that its group takes in a step.
    #[track_caller]
    fn share<F: DeviceFormat, X: DeviceActivation, A: DeviceFloat>(
        &self,
        k: &Body,
        x: &X::Vector<A>,
        place: &Group,
        step: u32,
    ) -> X::Share<A> {
        if self.is_ragged(step) {
            X::load::<F, A>(k, x, self.last_block(place.group), 0)
        } else {
            X::load::<F, A>(k, x, place.group, step * self.per_row)
        }
    }

    /// A vector for rows to come: held where a lane's share is small enough.
    #[track_caller]
    pub fn hold<F: DeviceFormat, X: DeviceActivation, A: DeviceFloat>(
        &self,
        k: &Body,
        x: X::Vector<A>,
        place: &Group,
    ) -> RowVector<X, A> {
        if self.steps() > X::held_steps::<A>() {
            return RowVector::Ready(x);
        }
        RowVector::Held((0..self.steps()).map(|step| self.share::<F, X, A>(k, &x, place, step)).collect())
    }
}

/// The sums of `rows` rows that lie `row_bytes` apart in shared memory, the
/// first at `address`, with the format's staged code book; on every lane of the row's groups, before the last
/// rounding.
#[track_caller]
pub fn row_sums<F: DeviceFormat, X: DeviceActivation, A: DeviceFloat>(
    k: &Body,
    groups: &LaneGroups,
    place: &Group,
    x: &RowVector<X, A>,
    (address, grid): (Val<u32>, Option<Shared<u32>>),
    (rows, row_bytes): (u32, u32),
) -> Vec<Val<A>> {
    let base = F::base(k, address + place.group * F::block_bytes(), place.lane, grid);
    let mut terms: Vec<Vec<Val<A>>> = vec![Vec::new(); rows as usize];
    for step in 0..groups.steps() {
        let ragged = groups.is_ragged(step);
        let (base, first) = if ragged {
            let block = groups.last_block(place.group);
            (F::base(k, address + block * F::block_bytes(), place.lane, grid), 0)
        } else {
            (base, step * groups.per_row)
        };
        let loaded;
        let share = match x {
            RowVector::Held(shares) => &shares[step as usize],
            RowVector::Ready(x) => {
                loaded = groups.share::<F, X, A>(k, x, place, step);
                &loaded
            }
        };
        for (row, terms) in terms.iter_mut().enumerate() {
            let block = BlockAt { base, offset: row as u32 * row_bytes + first * F::block_bytes() };
            let mut term = X::term::<F, A>(k, block, share);
            if ragged {
                term = term.select(place.group.lt(groups.in_last_step()), A::constant(0.0));
            }
            let across = (0..groups.per_row.trailing_zeros()).map(|level| groups.per_block << level);
            terms.push(butterfly(k, term, across));
        }
    }
    terms.iter().map(|t| row_tree(t, groups.padded_steps() as usize)).collect()
}
