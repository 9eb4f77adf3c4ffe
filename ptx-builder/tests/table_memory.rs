//! Rows of instructions with effects: spellings that are read, and what stays out.

use ptxgen_builder::table::{Meaning, Order, Scope, table};

fn only(spelling: &str) -> &'static ptxgen_builder::table::Form {
    let [id] = table().named(spelling) else { panic!("{spelling} is not exactly one form") };
    id.get()
}

#[test]
fn other_spellings_lead_to_the_canonical_form() {
    for (spelling, canonical) in [
        ("ld.shared::cta.v4.f32", "ld.shared.v4.f32"),
        ("mbarrier.try_wait.parity.shared::cta.b64", "mbarrier.try_wait.parity.shared.b64"),
        ("mbarrier.arrive.expect_tx.release.cta.shared::cta.b64", "mbarrier.arrive.expect_tx.release.cta.shared.b64"),
        ("atom.global.cta.add.u32", "atom.relaxed.cta.global.add.u32"),
        ("atom.cta.global.add.u32", "atom.relaxed.cta.global.add.u32"),
        ("atom.add.relaxed.gpu.s32", "atom.relaxed.gpu.add.s32"),
        ("atom.cas.acq_rel.sys.b32", "atom.acq_rel.sys.cas.b32"),
        ("red.global.sys.add.noftz.f16x2", "red.relaxed.sys.global.add.noftz.f16x2"),
    ] {
        assert_eq!(only(spelling).name, canonical);
    }
}

#[test]
fn what_ptx_does_not_have_is_no_form() {
    for spelling in [
        "ld.global.v4.b64",
        "ld.release.gpu.global.u32",
        "st.acquire.gpu.global.u32",
        "st.param.u32",
        "atom.global.add.s64",
        "atom.global.add.f16x2",
        "atom.relaxed.global.add.u32",
        "red.global.exch.b32",
        "redux.sync.and.u32",
        "mma.sync.aligned.m16n8k16.row.col.f16.bf16.bf16.f16",
        "bar.red.popc.pred",
    ] {
        assert!(table().named(spelling).is_empty(), "{spelling}");
    }
}

#[test]
fn unwritten_atomic_semantics_are_relaxed_on_the_gpu() {
    let Meaning::Atomic(memory, atomic) = only("atom.global.inc.u32").meaning else { panic!() };
    assert_eq!((memory.order, memory.scope), (Order::Relaxed, Scope::Gpu));
    assert_eq!([(atomic.update)(6, 7, 0), (atomic.update)(7, 7, 0), (atomic.update)(9, 7, 0)], [7, 0, 0]);
}
