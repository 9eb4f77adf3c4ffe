//! Cache policies and hints with a size (PTX ISA 9.7.9.16 to 9.7.9.18). What a policy is made of is up to the machine:
//! here it is 0.

use super::precision::{always, nothing};
use super::{Builder, any, one, opt, spec, types};
use crate::table::lanes::lane;
use crate::table::slot::{address, dst, one_of, src};
use crate::table::{Meaning, Mod, Op, Precision};
use crate::types::ScalarType::{B64, F32, U32, U64};
use crate::types::Space;

pub(super) fn rows(t: &mut Builder) {
    let hinted =
        |space| spec([address("a", space), one_of("size", U32, &[128])], Meaning::Prefetch(space)).since(74, 80);
    let space = |m: &[Mod]| if m.contains(&Mod::Global) { Space::Global } else { Space::Generic };
    t.row(
        Op::Applypriority,
        "9.7.9.16",
        "Gives a line in L2 the ordinary priority.",
        nothing,
        &[opt(&[Mod::Global]), one(Mod::L2EvictNormal)],
        |m| Some(hinted(space(m))),
    );
    t.row(
        Op::Discard,
        "9.7.9.17",
        "Leaves a line with any contents, so that it need not be kept.",
        always(Precision::Opaque),
        &[opt(&[Mod::Global]), one(Mod::L2)],
        |m| Some(super::Spec { meaning: Meaning::Discard(space(m)), ..hinted(space(m)) }),
    );
    let first = [Mod::L2EvictLast, Mod::L2EvictNormal, Mod::L2EvictFirst, Mod::L2EvictUnchanged];
    t.row(
        Op::CreatepolicyFractional,
        "9.7.9.18",
        "A cache policy for a fraction of the accesses, and another for the rest.",
        always(Precision::Opaque),
        &[any(&first), opt(&[Mod::L2EvictFirst, Mod::L2EvictUnchanged]), types(&[B64])],
        |_| {
            let slots = [dst(U64), src("fraction", F32).optional()];
            Some(spec(slots, Meaning::Lane(lane!(|_fraction: f32| -> u64 { 0 }))).since(74, 80))
        },
    );
    let levels = [any(&first), opt(&[Mod::L2EvictFirst, Mod::L2EvictUnchanged])];
    let [primary, secondary] = levels;
    t.row(
        Op::CreatepolicyRange,
        "9.7.9.18",
        "A cache policy for the bytes from an address on, and another for those after them.",
        always(Precision::Opaque),
        &[opt(&[Mod::Global]), primary, secondary, types(&[B64])],
        |m| {
            let slots = [dst(U64), address("a", space(m)), src("primary-size", U32), src("total-size", U32)];
            Some(spec(slots, Meaning::Lane(lane!(|_primary: u32, _total: u32| -> u64 { 0 }))).since(74, 80))
        },
    );
    t.row(
        Op::CreatepolicyCvt,
        "9.7.9.18",
        "A cache policy from the access property of a window.",
        always(Precision::Opaque),
        &[one(Mod::L2), types(&[B64])],
        |_| Some(spec([dst(U64), src("a", U64)], Meaning::Lane(lane!(|_a: u64| -> u64 { 0 }))).since(74, 80)),
    );
}
