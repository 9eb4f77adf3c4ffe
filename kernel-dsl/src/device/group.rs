//! The (token, rank) pairs of a pass by expert.

use ptxgen_builder::build::{Body, Global, ReadOnly, Val};

/// Loads of a lane that are in flight at once.
const AT_ONCE: u32 = 8;

/// Writes the list of one expert, by a warp: of the `pairs` ids the places of those that are
/// `expert`, in order, to `list` after those of lower experts. Gives how many of these there are,
/// which is where its list begins.
#[track_caller]
pub fn expert_pairs(
    k: &Body,
    (ids, pairs): (ReadOnly<u32>, Val<u32>),
    expert: Val<u32>,
    list: Global<u32>,
    lane: Val<u32>,
) -> Val<u32> {
    // Several loads are in flight at once.
    let read = |k: &Body, first: Val<u32>| -> Vec<(Val<u32>, Val<u32>)> {
        let one = |i: u32| {
            let pair = first + lane + 32 * i;
            (pair, ids.at(pair).load_or(k, pair.lt(pairs), u32::MAX))
        };
        (0..AT_ONCE).map(one).collect()
    };
    let lower = k.var::<u32>(0u32);
    k.for_(0, pairs, 32 * AT_ONCE, |k, first, _| {
        for (_, id) in read(k, first) {
            let found = k.ballot(id.lt(expert));
            lower.add(found.popc());
        }
    });
    let start = lower.get();
    let before_lane = (Val::from(1u32) << lane) - 1;
    let end = k.var::<u32>(start);
    k.for_(0, pairs, 32 * AT_ONCE, |k, first, _| {
        for (pair, id) in read(k, first) {
            let mine = id.eq(expert);
            let found = k.ballot(mine);
            let place = end.get() + (found & before_lane).popc();
            list.at(place).store_if(k, mine, pair);
            end.add(found.popc());
        }
    });
    start
}
