//! Graphs, chains and live ranges of small kernels.

use super::*;
use crate::ir::BlockId;
use crate::parse::parse;
use crate::types::RegClass;
use crate::verify::{Validated, verify};

/// A kernel `k(p, n)` with this body.
fn kernel(body: &str) -> Validated {
    let text = format!(
        ".version 8.0\n.target sm_90\n.address_size 64\n.visible .entry k(.param .u64 p, .param .u32 n)\n{{\n\
         .reg .pred %p<8>; .reg .b32 %r<16>; .reg .b64 %rd<8>; .reg .f32 %f<8>; .reg .f64 %fd<8>;\n{body}\n}}\n"
    );
    let module = parse("k.ptx", &text).unwrap_or_else(|e| panic!("{e}"));
    verify(module).unwrap_or_else(|e| panic!("{e}"))
}

fn reg(class: RegClass, index: u32) -> crate::ir::Reg {
    crate::ir::Reg { class, index }
}

const DIAMOND_IN_LOOP: &str = "
    ld.param.u32 %r0, [n];
    mov.u32 %r1, 0;
    mov.u32 %r2, 0;
$L1:
    setp.eq.u32 %p0, %r1, 3;
    @%p0 bra $L3;
    add.u32 %r2, %r2, 1;
    bra $L4;
$L3:
    add.u32 %r2, %r2, 2;
$L4:
    add.u32 %r1, %r1, 1;
    setp.lt.u32 %p1, %r1, %r0;
    @%p1 bra $L1;
    add.u32 %r3, %r2, %r1;
    ret;";

#[test]
fn graph_of_a_loop_with_a_diamond() {
    let v = kernel(DIAMOND_IN_LOOP);
    let cfg = &v.info(0).cfg;
    let b = BlockId;
    assert_eq!(cfg.len(), 6);
    assert_eq!(cfg.successors(b(1)).collect::<Vec<_>>(), [b(3), b(2)]);
    assert_eq!(cfg.predecessors(b(1)).collect::<Vec<_>>(), [b(0), b(4)]);
    assert_eq!(cfg.order().first(), Some(&b(0)));
    assert_eq!(cfg.order().len(), 6);
    let idoms: Vec<_> = (0..6).map(|i| cfg.immediate_dominator(b(i)).map(|d| d.0)).collect();
    assert_eq!(idoms, [None, Some(0), Some(1), Some(1), Some(1), Some(4)]);
    let ipdoms: Vec<_> = (0..6).map(|i| cfg.immediate_post_dominator(b(i)).map(|d| d.0)).collect();
    assert_eq!(ipdoms, [Some(1), Some(4), Some(4), Some(4), Some(5), None]);
}

#[test]
fn loops_without_a_way_out_and_traps_have_post_dominators() {
    let v = kernel(
        "ld.param.u32 %r0, [n];
         setp.eq.u32 %p0, %r0, 0;
         @%p0 bra $L2;
         trap;
         $L2: add.u32 %r0, %r0, 1;
         $L3: bra $L3;",
    );
    let cfg = &v.info(0).cfg;
    // The trap does not count: every thread that goes on passes block 2.
    assert_eq!(cfg.immediate_post_dominator(BlockId(0)), Some(BlockId(2)));
    assert_eq!(cfg.immediate_post_dominator(BlockId(1)), None);
    assert_eq!(cfg.immediate_post_dominator(BlockId(2)), Some(BlockId(3)));
}

#[test]
fn sites_of_instructions() {
    let v = kernel(DIAMOND_IN_LOOP);
    let cfg = &v.info(0).cfg;
    for (n, (b, i, _)) in v.module().kernels[0].insts().enumerate() {
        assert_eq!(cfg.inst_id(b, i), InstId(n as u32));
        assert_eq!(cfg.site(InstId(n as u32)), (b, i));
    }
}

#[test]
fn chains_of_a_loop_variable() {
    let v = kernel(DIAMOND_IN_LOOP);
    let defuse = &v.info(0).defuse;
    let r2 = reg(RegClass::B32, 2);
    let lines = |defs: &[DefId]| defs.iter().map(|&d| defuse.inst(d).0).collect::<Vec<_>>();
    // mov, and the two adds of the diamond; each add sees all three.
    assert_eq!(lines(defuse.defs_of(r2)), [2, 5, 7]);
    assert_eq!(lines(defuse.reaching(InstId(5), r2)), [2, 5, 7]);
    assert_eq!(lines(defuse.reaching(InstId(11), r2)), [5, 7]);
}

#[test]
fn guarded_definitions_add() {
    let v = kernel(
        "ld.param.u32 %r0, [n];
         setp.eq.u32 %p0, %r0, 0;
         mov.u32 %r1, 1;
         @%p0 mov.u32 %r1, 2;
         add.u32 %r2, %r1, 1;
         mov.u32 %r1, 3;
         add.u32 %r2, %r1, 1;
         ret;",
    );
    let defuse = &v.info(0).defuse;
    assert_eq!(defuse.reaching(InstId(4), reg(RegClass::B32, 1)).len(), 2);
    assert_eq!(defuse.reaching(InstId(6), reg(RegClass::B32, 1)).len(), 1);
}

#[test]
fn peak_pressure() {
    let v = kernel(
        "ld.param.u64 %rd0, [p];
         ld.global.f64 %fd0, [%rd0];
         ld.global.f64 %fd1, [%rd0+8];
         ld.global.f32 %f0, [%rd0+16];
         cvt.f64.f32 %fd2, %f0;
         fma.rn.f64 %fd3, %fd0, %fd1, %fd2;
         st.global.f64 [%rd0], %fd3;
         ret;",
    );
    let peak = v.info(0).liveness().peak();
    // The pointer and three f64 before the fma.
    assert_eq!((peak.registers, peak.predicates, peak.at), (8, 0, Some(InstId(5))));
}

/// A predicate is no register of the 32-bit file, and is told where nothing else is live.
#[test]
fn peak_of_predicates_alone() {
    let peak = |body: &str| kernel(body).info(0).liveness().peak();
    let at = |registers, predicates, at: Option<u32>| Pressure { registers, predicates, at: at.map(InstId) };
    assert_eq!(peak("setp.eq.u32 %p0, 1, 2; @%p0 exit; ret;"), at(0, 1, Some(1)));
    assert_eq!(peak("setp.eq.u32 %p0, 1, 2; setp.eq.u32 %p1, 1, 2; @%p0 exit; @%p1 exit; ret;"), at(0, 1, Some(3)));
    assert_eq!(peak("mov.u32 %r0, 1; setp.eq.u32 %p0, 1, 2; @%p0 add.u32 %r1, %r0, 1; ret;"), at(1, 0, Some(1)));
    assert_eq!(peak("ret;"), at(0, 0, None));
}

#[test]
fn live_around_a_loop() {
    let v = kernel(DIAMOND_IN_LOOP);
    let info = v.info(0);
    let mut live = info.liveness().live_out(BlockId(0), &info.defuse);
    live.sort();
    assert_eq!(live, [0, 1, 2].map(|i| reg(RegClass::B32, i)));
    assert!(info.liveness().live_out(BlockId(5), &info.defuse).is_empty());
}

/// How far the result of each line's instruction is the same.
fn levels(body: &str) -> Vec<Uniformity> {
    let v = kernel(body);
    let info = v.info(0);
    let results = v.module().kernels[0]
        .insts()
        .filter_map(|(b, i, _)| info.defuse.defs(info.cfg.inst_id(b, i)).next().map(|d| info.uniformity.of(d).level()));
    results.collect()
}

#[test]
fn levels_of_values() {
    use Uniformity::{Block, Divergent, Warp};
    let cases = [
        ("mov.u32 %r0, %tid.x;", Divergent),
        ("mov.u32 %r0, %ctaid.x;", Block),
        ("mov.u32 %r0, %laneid;", Divergent),
        ("mov.u32 %r0, %warpid;", Warp),
        ("mov.u32 %r1, %tid.x; shr.u32 %r0, %r1, 5;", Warp),
        ("mov.u32 %r1, %tid.x; div.u32 %r0, %r1, 32;", Warp),
        ("mov.u32 %r1, %tid.x; shr.u32 %r0, %r1, 4;", Divergent),
        ("mov.u32 %r1, %tid.x; and.b32 %r0, %r1, -32;", Warp),
        ("mov.u32 %r1, %tid.x; add.u32 %r2, %r1, 32; shr.u32 %r0, %r2, 5;", Warp),
        ("mov.u32 %r1, %tid.x; add.u32 %r2, %r1, 1; shr.u32 %r0, %r2, 5;", Divergent),
        ("mov.u32 %r1, %tid.x; mul.lo.u32 %r2, %r1, 4; shr.u32 %r0, %r2, 7;", Warp),
        ("mov.u32 %r1, %laneid; shr.u32 %r0, %r1, 5;", Block),
        ("mov.u32 %r1, %laneid; shfl.sync.idx.b32 %r0, %r1, 0, 31, -1;", Warp),
        ("mov.u32 %r1, %laneid; shfl.sync.idx.b32 %r0, %r1, 0, 0x101f, -1;", Divergent),
        ("mov.u32 %r1, %laneid; shfl.sync.bfly.b32 %r0, %r1, 1, 31, -1;", Divergent),
        ("mov.u32 %r1, %laneid; redux.sync.add.u32 %r0, %r1, -1;", Warp),
        ("mov.u32 %r1, %laneid; setp.eq.u32 %p0, %r1, 0; vote.sync.ballot.b32 %r0, %p0, -1;", Warp),
        ("ld.param.u32 %r0, [n];", Block),
        ("ld.param.u64 %rd0, [p]; ld.global.u32 %r0, [%rd0];", Block),
        ("ld.param.u64 %rd0, [p]; ld.volatile.global.u32 %r0, [%rd0];", Divergent),
        ("mov.u32 %r1, %tid.x; cvt.u64.u32 %rd1, %r1; ld.global.u32 %r0, [%rd1];", Divergent),
        ("ld.param.u64 %rd0, [p]; atom.global.add.u32 %r0, [%rd0], 1;", Divergent),
        // Below zero are some lanes, as signed numbers; as unsigned ones, none.
        ("mov.u32 %r1, %tid.x; sub.u32 %r2, %r1, 5; setp.lt.s32 %p0, %r2, 0;", Divergent),
        ("mov.u32 %r1, %laneid; sub.u32 %r2, %r1, 5; setp.lt.u32 %p0, %r2, 0;", Block),
        ("mov.u32 %r1, %tid.x; setp.lt.s32 %p0, %r1, 64;", Warp),
        ("mov.u32 %r1, %tid.x; setp.le.s32 %p0, %r1, 63;", Warp),
        ("mov.u32 %r1, %tid.x; setp.le.s32 %p0, %r1, 64;", Divergent),
        // The sign of a narrow number fills its register.
        ("mov.u32 %r1, %laneid; shl.b32 %r2, %r1, 3; cvt.s8.u32 %r3, %r2; shr.u32 %r0, %r3, 8;", Divergent),
        ("mov.u32 %r1, %laneid; shl.b32 %r2, %r1, 3; cvt.u8.u32 %r3, %r2; shr.u32 %r0, %r3, 8;", Block),
        // Each thread has its own local memory, however it is addressed.
        (".local .b32 l; mov.u64 %rd1, l; ld.local.u32 %r0, [%rd1];", Divergent),
        (".local .b32 l; mov.u64 %rd1, l; cvta.local.u64 %rd2, %rd1; ld.u32 %r0, [%rd2];", Divergent),
        (".shared .b32 l; mov.u64 %rd1, l; cvta.shared.u64 %rd2, %rd1; ld.u32 %r0, [%rd2];", Block),
        // Lanes that name different masks are told different things.
        (
            "mov.u32 %r1, %laneid; setp.lt.u32 %p0, %r1, 16; selp.b32 %r2, 0xffff, 0xffff0000, %p0;
             vote.sync.any.pred %p1, %p0, %r2;",
            Divergent,
        ),
        ("mov.u32 %r1, %clock;", Divergent),
        ("ld.param.u32 %r1, [n]; setp.eq.u32 %p1, %r1, 0; barrier.red.or.pred %p0, 0, %p1;", Block),
        ("mov.u32 %r1, %laneid; setp.eq.u32 %p1, %r1, 0; barrier.red.or.pred %p0, 0, %p1;", Block),
        ("mov.u32 %r1, %laneid; setp.eq.u32 %p1, %r1, 0; barrier.red.or.pred %p0, %r1, %p1;", Divergent),
        ("mov.u32 %r1, %laneid; setp.eq.u32 %p1, %r1, 0; barrier.red.popc.u32 %r0, 0, 64, %p1;", Warp),
    ];
    for (body, expected) in cases {
        assert_eq!(levels(&format!("{body} ret;")).last(), Some(&expected), "{body}");
    }
}

/// A vote tells how many lanes there are, and the last warp of 48 threads has half as many.
#[test]
fn the_last_warp_may_be_shorter() {
    let level = |threads: u32| {
        let text = format!(
            ".version 8.0\n.target sm_90\n.address_size 64\n.visible .entry k()\n.reqntid {threads}\n{{\n\
             .reg .pred %p; .reg .b32 %r;\nmov.pred %p, 1;\nvote.sync.ballot.b32 %r, %p, -1;\nret;\n}}\n"
        );
        let v = verify(parse("k.ptx", &text).expect("parses")).expect("verifies");
        let def = v.info(0).defuse.defs(InstId(1)).next().expect("a result");
        v.info(0).uniformity.of(def).level()
    };
    assert_eq!((level(64), level(48)), (Uniformity::Block, Uniformity::Warp));
}

/// Which lanes come to a place by a condition on the lane's number, as a narrow number with a sign.
#[test]
fn lanes_by_a_narrow_number() {
    let v = kernel(
        "mov.u32 %r1, %laneid; shl.b32 %r2, %r1, 3; cvt.s8.u32 %r3, %r2; setp.lt.s32 %p0, %r3, 0;
         @!%p0 bra $L1; bar.warp.sync 0xffff0000; $L1: ret;",
    );
    let (info, b) = (v.info(0), BlockId(1));
    let inst = info.cfg.inst_id(b, 0);
    let lanes = lanes::lanes_at(v.module(), &v.module().kernels[0], info, b, inst, None, 0);
    assert_eq!(lanes.mask, 0xffff_0000);
}

#[test]
fn facts_about_values() {
    let v = kernel(
        "ld.param.u64 %rd0, [p];
         mov.u32 %r0, %tid.x;
         mul.wide.u32 %rd1, %r0, 48;
         add.u64 %rd2, %rd0, %rd1;
         add.u64 %rd3, %rd2, 20;
         mov.u32 %r1, 7;
         add.s32 %r2, %r1, -9;
         ret;",
    );
    let info = v.info(0);
    let value = |n: u32| info.uniformity.of(info.defuse.defs(InstId(n)).next().expect("a result"));
    assert_eq!(value(2).modulo(16), Some(0));
    assert_eq!(value(2).modulo(32), None);
    assert_eq!(value(4).origin, Some(Origin::Pointer(0)));
    assert_eq!(value(4).known, 4);
    assert_eq!(value(4).residue, 4);
    assert_eq!(value(4).modulo(16), None, "the pointer's alignment is not declared");
    assert_eq!(value(6).as_constant(), Some(0xffff_fffe));
}

/// Where only some lanes are, what a warp agrees on elsewhere is not agreed on: such code is rejected, but not for that.
#[test]
fn combinations_of_some_lanes_differ() {
    let level = |condition: &str, inst: &str| {
        let text = format!(
            ".version 8.0 .target sm_90 .address_size 64 .entry k(.param .u32 n) {{ .reg .pred %p, %q; .reg .b32 %r<9>; \
             ld.param.u32 %r0, [n]; mov.u32 %r1, %laneid; mov.u32 %r2, %warpid; setp.lt.u32 %p, {condition}, 5; \
             setp.eq.u32 %q, %r1, 3; @%p bra E; {inst} E: ret; }}"
        );
        let module = parse("k.ptx", &text).unwrap_or_else(|e| panic!("{e}"));
        let (kernel, info) = (&module.kernels[0], KernelInfo::new(&module, &module.kernels[0]));
        let defs = kernel.insts().flat_map(|(b, i, _)| info.defuse.defs(info.cfg.inst_id(b, i)));
        info.uniformity.of(defs.last().expect("a result")).level()
    };
    for inst in [
        "shfl.sync.idx.b32 %r3, %r1, 0, 31, -1;",
        "vote.sync.ballot.b32 %r3, %q, -1;",
        "vote.sync.any.pred %q, %q, -1;",
        "redux.sync.add.u32 %r3, %r1, -1;",
        "activemask.b32 %r3;",
    ] {
        assert_eq!(level("%r0", inst), Uniformity::Warp, "{inst}");
        assert_eq!(level("%r2", inst), Uniformity::Warp, "{inst}");
        assert_eq!(level("%r1", inst), Uniformity::Divergent, "{inst}");
    }
}
