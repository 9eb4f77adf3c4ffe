//! Races between blocks.

use std::sync::Arc;

use super::One;
use crate::interp::shadow::{Access, By, Cells, Mark, Order, Strength, Strong, Trace, conflicts};
use crate::table::{Scope, WARP};
use crate::testing::Random;

/// Whether both are strong towards other blocks, and of one size.
fn wide(a: Access, b: Access) -> bool {
    let strong = |a: Access| a.strength.strong().filter(|s| s.scope() >= Scope::Gpu).map(Strong::bytes);
    strong(a).is_some() && strong(a) == strong(b)
}

/// Blocks clash where their accesses do and neither knew of the other's, and nowhere else.
#[test]
fn blocks_clash_where_their_accesses_do() {
    let mut random = Random::new(3);
    let mut below = |n: usize| random.below(n as u64) as usize;
    let (mut clashes, mut quiet) = (0, 0);
    for round in 0..4000 {
        let mut all: Vec<(u64, One)> = Vec::new();
        let mut traces = Vec::new();
        for block in 0..3u64 {
            let mut order = Order::new(2, 2);
            let mut cells = Cells::default();
            for step in 0..below(3) + 1 {
                let warp = below(2) as u32;
                if block > 0 && below(3) == 0 {
                    let until = [below(4) as u32, below(4) as u32];
                    order.learn(warp, &Arc::new([(block - 1, Arc::from(&until[..]))].into()));
                }
                order.release(warp);
                let bytes = [4, 4, 8, 1][below(4)];
                let start = [0, 32, 64, 96, 128, 4096][below(6)] + [0, 0, 8][below(3)];
                let mask = [u32::MAX, 0xff, 1][below(3)];
                let at: [u64; WARP] = std::array::from_fn(|l| start + bytes * l as u64);
                let write = below(2) == 1;
                let scope = [Scope::Cta, Scope::Gpu][below(2)];
                let strength =
                    if below(3) == 0 { Strength::Strong(Strong::new(scope, bytes as u32)) } else { Strength::Weak };
                let access = Access { write, strength, read_only: !write && below(5) == 0 };
                let by = By { warp, pc: 10 * block as u32 + step as u32, serial: 0 };
                // Of a block's own clashes nothing is asked here.
                let mut own = false;
                cells.access(&order, by, mask, &at, bytes as u32, access, None, |_| own = true);
                for l in (0..WARP).filter(|l| mask >> l & 1 == 1) {
                    let thread = warp * 32 + l as u32;
                    all.push((
                        block,
                        One { thread, time: order.now(warp), at: at[l], bytes, access, value: 0, pc: by.pc },
                    ));
                }
                if own {
                    break;
                }
            }
            let mut marks: Vec<(u64, u64, Mark)> = Vec::new();
            cells.for_each(|start, size, mark| marks.push((start, size, *mark)));
            // What the cells have kept is what can clash.
            all.retain(|(b, one)| {
                *b != block
                    || marks
                        .iter()
                        .any(|(start, size, m)| m.pc == one.pc && *start < one.at + one.bytes && one.at < start + size)
            });
            traces.extend(Trace::new(block, &cells, order));
        }
        let mut found = Vec::new();
        conflicts(&traces, |c| found.push((c.this.0, c.this.1.pc, c.other.0, c.other.1.pc, c.address, c.read_only)));
        for (this, pc, other, other_pc, address, read_only) in &found {
            assert!(this > other, "the later block first");
            let has =
                |block: u64, pc: u32| all.iter().any(|(b, o)| *b == block && o.pc == pc && o.at / 32 == address / 32);
            assert!(has(*this, *pc) && has(*other, *other_pc), "{round}: {found:?}");
            let kind =
                |block: u64, pc: u32| all.iter().find(|(b, o)| *b == block && o.pc == pc).expect("an access").1.access;
            let (a, b) = (kind(*this, *pc), kind(*other, *other_pc));
            let about = a.read_only && b.write || b.read_only && a.write;
            assert_eq!(*read_only, about, "{round}");
            assert!(about || (a.write || b.write) && !wide(a, b), "{round}: {a:?} {b:?}");
        }
        // Where no block has learned of another's, all that may clash does.
        let overlap = |a: &One, b: &One| a.at < b.at + b.bytes && b.at < a.at + a.bytes;
        let certain = all.iter().enumerate().any(|(i, (b, x))| {
            all[i + 1..].iter().any(|(c, y)| {
                // Block 0 learns nothing, and only block 1 learns of block 2's or of block 0's.
                (*b, *c) == (0, 2) && overlap(x, y) && {
                    let about = x.access.read_only && y.access.write || y.access.read_only && x.access.write;
                    about || (x.access.write || y.access.write) && !wide(x.access, y.access)
                }
            })
        });
        if certain {
            assert!(!found.is_empty(), "{round}: no clash of {all:?}");
        }
        clashes += usize::from(!found.is_empty());
        quiet += usize::from(found.is_empty());
    }
    assert!(clashes > 500 && quiet > 200, "{clashes} {quiet}");
}
