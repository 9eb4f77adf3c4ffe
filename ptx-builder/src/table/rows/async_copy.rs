//! Asynchronous copies (PTX ISA 9.7.9.25 and 9.7.9.27).

use super::load_store::space;
use super::precision::{always, nothing};
use super::{Builder, any, one, opt, spec};
use crate::table::Precision;
use crate::table::slot::{address, constant, one_of, src};
use crate::table::{Async, Meaning, Mod, Op};
use crate::types::ScalarType::{B64, U32};
use crate::types::Space::{Global, Shared};

pub(super) fn rows(t: &mut Builder) {
    for (level, sizes, doc) in [
        (Mod::Ca, &[4, 8, 16][..], "Copies 4, 8 or 16 bytes from global to shared memory in the background."),
        (Mod::Cg, &[16][..], "Copies 16 bytes from global to shared memory in the background, past L1."),
    ] {
        let prefetch = opt(&[Mod::L2P64, Mod::L2P128, Mod::L2P256]);
        t.row(
            Op::CpAsync,
            "9.7.9.25.3.1",
            doc,
            always(Precision::Copies),
            &[one(level), one(Mod::Shared), one(Mod::Global), prefetch],
            |m| {
                let slots = [
                    address("dst", Shared),
                    address("src", Global),
                    one_of("cp-size", U32, sizes),
                    src("src-size", U32).optional(),
                ];
                let spec = spec(slots, Meaning::Async(Async::Copy)).since(70, 80);
                Some(if m.len() > 3 { spec.since(74, 80) } else { spec })
            },
        );
    }
    t.row(
        Op::CpAsyncCommitGroup,
        "9.7.9.25.3.2",
        "Closes the group of the thread's copies so far.",
        nothing,
        &[],
        |_| Some(spec([], Meaning::Async(Async::Commit)).since(70, 80)),
    );
    t.row(
        Op::CpAsyncWaitGroup,
        "9.7.9.25.3.3",
        "Waits until at most n of the latest groups are pending.",
        nothing,
        &[],
        |_| Some(spec([constant("n", U32, 0, i64::from(u32::MAX))], Meaning::Async(Async::WaitGroup)).since(70, 80)),
    );
    t.row(Op::CpAsyncWaitAll, "9.7.9.25.3.3", "Waits for all of the thread's copies.", nothing, &[], |_| {
        Some(spec([], Meaning::Async(Async::WaitAll)).since(70, 80))
    });
    t.row(
        Op::CpAsyncMbarrierArrive,
        "9.7.13.15.15",
        "Arrives at an mbarrier when the thread's copies so far are complete.",
        nothing,
        &[opt(&[Mod::Noinc]), opt(&[Mod::Shared]), super::types(&[B64])],
        |m| {
            let noinc = m.contains(&Mod::Noinc);
            Some(spec([address("addr", space(m))], Meaning::Async(Async::CopyArrive { noinc })).since(70, 80))
        },
    );
    bulk(t);
}

fn bulk(t: &mut Builder) {
    t.row(
        Op::CpAsyncBulk,
        "9.7.9.25.4.1",
        "Copies a multiple of 16 bytes from global to shared memory and tells an mbarrier there.",
        always(Precision::Copies),
        &[any(&[Mod::SharedCta, Mod::SharedCluster]), one(Mod::Global), one(Mod::MbarrierCompleteTx)],
        |m| {
            let slots = [address("dst", Shared), address("src", Global), src("size", U32), address("mbar", Shared)];
            let ptx = if m.contains(&Mod::SharedCta) { 86 } else { 80 };
            Some(spec(slots, Meaning::Async(Async::BulkLoad)).since(ptx, 90))
        },
    );
    t.row(
        Op::CpAsyncBulk,
        "9.7.9.25.4.1",
        "Copies a multiple of 16 bytes from shared to global memory, in the thread's bulk group.",
        always(Precision::Copies),
        &[one(Mod::Global), one(Mod::SharedCta), one(Mod::BulkGroup)],
        |_| {
            let slots = [address("dst", Global), address("src", Shared), src("size", U32)];
            Some(spec(slots, Meaning::Async(Async::BulkStore)).since(80, 90))
        },
    );
    t.row(
        Op::CpAsyncBulkPrefetch,
        "9.7.9.25.4.3",
        "Brings a multiple of 16 bytes of global memory into L2.",
        nothing,
        &[one(Mod::L2), one(Mod::Global)],
        |_| {
            let slots = [address("src", Global), src("size", U32)];
            Some(spec(slots, Meaning::Async(Async::BulkPrefetch)).since(80, 90))
        },
    );
    t.row(
        Op::CpAsyncBulkCommitGroup,
        "9.7.9.27.2.1",
        "Closes the group of the thread's bulk copies so far.",
        nothing,
        &[],
        |_| Some(spec([], Meaning::Async(Async::BulkCommit)).since(80, 90)),
    );
    t.row(
        Op::CpAsyncBulkWaitGroup,
        "9.7.9.27.2.2",
        "Waits until at most n of the latest bulk groups are pending (with read: until their sources are read).",
        nothing,
        &[opt(&[Mod::Read])],
        |m| {
            let read = m.contains(&Mod::Read);
            let n = constant("n", U32, 0, i64::from(u32::MAX));
            Some(spec([n], Meaning::Async(Async::BulkWait { read })).since(80, 90))
        },
    );
}
