//! How much is known of values, ranges and places, as tables in `tests/known`.
//!
//! `sound.rs` and `agree_sound.rs` say that what is known is true. An analysis that knows nothing passes them; these
//! tables say what it knows. `BLESS=1` regenerates them.

use std::fmt::Write;
use std::path::Path;

use super::away::lanes_elsewhere;
use super::lanes::lanes_at;
use super::ranges::Ranges;
use super::*;
use crate::ir::{BlockId, Kernel, Module};
use crate::parse::parse;
use crate::testing::check_golden;
use crate::verify::{Validated, verify};

#[track_caller]
fn is_golden(name: &str, text: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = Path::new("tests/known").join(name);
    check_golden(root, &path, text, crate::testing::blessing()).unwrap_or_else(|e| panic!("{e}"));
}

fn verified(text: &str) -> Validated {
    verify(parse("k.ptx", text).unwrap_or_else(|e| panic!("{e}\n{text}"))).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

/// A kernel with registers and values to start from, by name.
fn kernel(bounds: &str, body: &str) -> Validated {
    verified(&format!(
        ".version 8.7\n.target sm_90\n.address_size 64\n.global .align 8 .b8 m[64];\n\
         .visible .entry k(.param .u64 .ptr .global .align 16 p, .param .u32 n, .param .u64 big, .param .align 8 .b8 s[16])\n\
         {bounds} {{\n\
         .reg .pred %q<4>; .reg .b16 %h<4>; .reg .b32 %r<9>; .reg .b64 %d<9>; .reg .f32 %f<4>;\n\
         .reg .b32 %tid, %lane, %warp, %n, %n4, %tid8, %any, %byte; .reg .b64 %p, %a, %big, %wide;\n\
         .shared .align 8 .b8 a[64]; .local .align 4 .b8 l[16];\n\
         mov.u32 %tid, %tid.x; mov.u32 %lane, %laneid; shr.u32 %warp, %tid, 5; ld.param.u32 %n, [n];\n\
         shl.b32 %n4, %n, 2; mul.lo.u32 %tid8, %tid, 8; ld.param.u64 %p, [p]; mov.u64 %a, a; ld.param.u64 %big, [big];\n\
         cvt.u64.u32 %wide, %tid8; ld.global.u8 %byte, [%p]; mov.u32 %any, %clock;\n{body}\nret;\n}}\n"
    ))
}

/// What is known of a value: the bits that lanes and warps may differ in, the origin, how many low bits are known and
/// what they are, and the origin's alignment.
fn value(v: Value) -> String {
    let bits = |b: u64| match b {
        u64::MAX => "all".to_owned(),
        b if b >> 31 == 0x1_ffff_ffff => format!("~{:x}", !b),
        b => format!("{b:x}"),
    };
    let origin = match v.origin {
        None => String::new(),
        Some(Origin::Symbol(s)) => format!("{s:?}+"),
        Some(Origin::Pointer(i)) => format!("pointer {i}+"),
    };
    let known = match v.known {
        64 => format!("= {:x}", v.residue),
        n => format!("low {n} = {:x}", v.residue),
    };
    let align = if v.align == 64 { String::new() } else { format!(" align {}", v.align) };
    format!("lanes {} warps {} {origin}{known}{align}", bits(v.lane_bits), bits(v.warp_bits))
}

/// The last definition of a kernel's body.
fn last_def(v: &Validated) -> (DefId, u32) {
    let (kernel, info) = (&v.module().kernels[0], v.info(0));
    let defs = kernel.insts().filter_map(|(b, i, inst)| {
        let reg = inst.defs().next()?;
        Some((info.defuse.defs(info.cfg.inst_id(b, i)).next()?, reg.class.bits()))
    });
    defs.last().expect("a definition")
}

/// A line for each instruction: what is known of its result.
fn known(bounds: &str, insts: impl IntoIterator<Item = String>) -> String {
    let mut text = String::new();
    for inst in insts {
        let v = kernel(bounds, &inst);
        let (def, bits) = last_def(&v);
        let (kernel, info) = (&v.module().kernels[0], v.info(0));
        let range = Ranges::new(kernel, &info.cfg, &info.defuse).of_def(def);
        let most = if range.most == value::low(bits) { "any".to_owned() } else { format!("{:x}", range.most) };
        writeln!(text, "{inst} // {}; most {most} zeros {}", value(info.uniformity.of(def)), range.zeros)
            .expect("text");
    }
    text
}

#[test]
fn of_words() {
    let sources = ["%tid", "%warp", "%n4", "%tid8", "%any", "%byte"];
    let others = ["%tid", "%n4", "%any", "0", "1", "6", "31", "32", "-32"];
    let ops = [
        "add.u32",
        "sub.u32",
        "mul.lo.u32",
        "shl.b32",
        "shr.u32",
        "shr.s32",
        "div.u32",
        "div.s32",
        "rem.u32",
        "rem.s32",
        "and.b32",
        "or.b32",
        "xor.b32",
        "min.u32",
        "max.u32",
        "min.s32",
        "max.s32",
    ];
    let mut all = Vec::new();
    for op in ops {
        for a in sources {
            all.extend(others.iter().map(|b| format!("{op} %r1, {a}, {b};")));
        }
    }
    is_golden("words.txt", &known("", all));
}

#[test]
fn of_comparisons() {
    let mut all = Vec::new();
    for relation in ["eq", "ne", "lt", "le", "gt", "ge"] {
        for ty in ["u32", "s32"] {
            for a in ["%tid", "%lane", "%warp", "%n4", "%tid8"] {
                for b in ["%n", "0", "31", "32", "63", "64", "256", "255", "-32", "-33"] {
                    all.push(format!("setp.{relation}.{ty} %q1, {a}, {b};"));
                }
            }
        }
    }
    is_golden("comparisons.txt", &known("", all));
}

/// Numbers of other widths, addresses, products of more than two, and what is known of special registers.
#[test]
fn of_the_rest() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/known/rest.ptx");
    let rest = std::fs::read_to_string(file).expect("a file");
    is_golden("rest.txt", &known("", rest.lines().map(str::to_owned)));
}

#[test]
fn of_special_registers() {
    let mut text = String::new();
    let bounds = [
        "",
        ".reqntid 64",
        ".reqntid 48",
        ".reqntid 16, 4",
        ".reqntid 32, 2, 3",
        ".reqntid 1, 1, 7",
        ".maxntid 64, 1, 1",
        ".maxntid 32, 4, 1",
        ".maxntid 16, 4, 1",
        ".maxntid 16, 1, 1",
        ".maxntid 1, 64, 1",
    ];
    for bound in bounds {
        writeln!(text, "\n{bound}").expect("text");
        let of = |axes: &str| axes.split(' ').map(|s| format!("mov.u32 %r1, %{s};")).collect::<Vec<_>>();
        text += &known(bound, of("tid.x tid.y tid.z ntid.x ntid.y ntid.z"));
        if bound.is_empty() {
            text += &known(
                bound,
                of("ctaid.x ctaid.y ctaid.z nctaid.x nctaid.y nctaid.z laneid warpid nwarpid \
                lanemask_eq lanemask_lt lanemask_le lanemask_gt lanemask_ge clock smid nsmid dynamic_smem_size"),
            );
        }
        let vote = "setp.eq.u32 %q0, %lane, 3; vote.sync.ballot.b32 %r1, %q0, -1;";
        text +=
            &known(bound, [vote.to_owned(), vote.replace("%lane", "%n"), "redux.sync.add.u32 %r1, %n, -1;".to_owned()]);
    }
    is_golden("special.txt", &text);
}

/// A line for each block of a kernel, and one for each instruction that waits for others.
fn blocks(module: &Module, kernel: &Kernel, info: &KernelInfo) -> String {
    let mut text = String::new();
    let list = |it: &mut dyn Iterator<Item = String>| it.collect::<Vec<_>>().join(" ");
    let ranges = Ranges::new(kernel, &info.cfg, &info.defuse);
    for (b, block) in kernel.blocks.iter().enumerate() {
        let b = BlockId(b as u32);
        let (cfg, u) = (&info.cfg, &info.uniformity);
        let number = |b: Option<BlockId>| b.map_or("-".to_owned(), |b| b.0.to_string());
        let mut live = info.liveness().live_out(b, &info.defuse);
        live.sort();
        writeln!(
            text,
            "{}: to {}; from {}; after {}, before {}; controlled by {}: {:?}; branch {:?}; live out {}",
            b.0,
            list(&mut cfg.successors(b).map(|s| s.0.to_string())),
            list(&mut cfg.predecessors(b).map(|s| s.0.to_string())),
            number(cfg.immediate_dominator(b)),
            number(cfg.immediate_post_dominator(b)),
            list(&mut u.controllers(b).map(|s| s.0.to_string())),
            u.control(b),
            u.branch(b),
            list(&mut live.iter().map(|r| format!("{:?}{}", r.class, r.index))),
        )
        .expect("text");
        for (i, inst) in block.insts.iter().enumerate() {
            let id = cfg.inst_id(b, i);
            if inst.form().waits() {
                let away = lanes_elsewhere(kernel, info, b, id);
                let lanes: Vec<_> = (0..2).map(|w| lanes_at(module, kernel, info, b, id, inst.guard, w)).collect();
                let shown = |l: &super::lanes::LaneSet| format!("{:x} {} {}", l.mask, l.exact, l.with_block);
                writeln!(
                    text,
                    "  {}: others {away:?}; lanes {} | {}",
                    inst.form().name,
                    shown(&lanes[0]),
                    shown(&lanes[1])
                )
                .expect("text");
            }
            for (def, reg) in info.defuse.defs(id).zip(inst.defs()) {
                let (level, range) = (u.of(def).level(), ranges.of_def(def));
                let most = if range.most == value::low(reg.class.bits()) {
                    "any".to_owned()
                } else {
                    format!("{:x}", range.most)
                };
                writeln!(
                    text,
                    "  {}: {:?}{} {level:?} most {most} zeros {}",
                    inst.form().name,
                    reg.class,
                    reg.index,
                    range.zeros
                )
                .expect("text");
            }
        }
    }
    let peak = info.liveness().peak();
    writeln!(text, "peak {peak:?}").expect("text");
    text
}

/// What is known of the places of kernels with branches, loops and barriers.
#[test]
fn of_places() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    for file in [
        "verify/barriers.ptx",
        "nvcc/divergent.ptx",
        "nvcc/block_sum.ptx",
        "nvcc/histogram.ptx",
        "nvcc/stencil.ptx",
        "nvcc/warp_vote.ptx",
    ] {
        let text = std::fs::read_to_string(root.join(file)).expect("a file");
        let module = parse(file, &text).unwrap_or_else(|e| panic!("{e}"));
        let mut found = String::new();
        for kernel in &module.kernels {
            writeln!(found, "{}", kernel.name).expect("text");
            found += &blocks(&module, kernel, &KernelInfo::new(&module, kernel));
        }
        is_golden(&format!("{}.txt", file.replace('/', "-").trim_end_matches(".ptx")), &found);
    }
}

/// The same of the small kernels of which `tests/refusals.rs` shows what the verifier says.
#[test]
fn of_places_of_small_kernels() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/refusals");
    let read = |name: &str| std::fs::read_to_string(root.join(name)).expect("a file");
    let head = read("head.ptx");
    for name in ["meeting", "values"] {
        let mut found = String::new();
        for (title, body) in read(&format!("{name}.ptx")).split("// ").filter_map(|kernel| kernel.split_once('\n')) {
            let (title, bounds) = title.split_once(':').expect("a name and bounds");
            let Ok(module) = parse("k", &format!("{}{body}ret; }}\n", head.replace("BOUNDS", bounds))) else {
                continue;
            };
            let kernel = &module.kernels[0];
            writeln!(found, "{title}\n{}", blocks(&module, kernel, &KernelInfo::new(&module, kernel))).expect("text");
        }
        is_golden(&format!("{name}.txt"), &found);
    }
}

/// Loops that threads go round as often as each other, or perhaps not: by test, `B` for a block, `W` for a warp.
#[test]
fn of_loops() {
    let mut text = String::new();
    let tests = ["lt.u32", "le.u32", "gt.u32", "ge.u32", "lt.s32", "le.s32", "gt.s32", "ge.s32", "ne.u32", "eq.s32"];
    let starts = [
        "mov.u32 %i, %tid;",
        "add.u32 %i, %tid, 3;",
        "mov.u32 %i, %n;",
        "mov.u32 %i, %lane;",
        "@%odd mov.u32 %i, %tid;",
    ];
    let bounds = [
        "add.u32 %b, %i, 20;",
        "add.u32 %b, %tid, %byte;",
        "add.u32 %b, 1000, %lane;",
        "add.u32 %b, %tid, 0x7ffffbfb;",
        "add.u32 %b, %tid, 0x7ffffc00;",
        "add.u32 %b, %tid, 0xfffff7fb;",
        "mov.u32 %b, %n;",
        "sub.u32 %b, %tid, 1;",
    ];
    let steps = [
        "add.u32 %i, %i, 1;",
        "add.u32 %i, 4, %i;",
        "add.u32 %x, %i, %byte; mov.u32 %i, %x;",
        "sub.u32 %i, %i, 1;",
        "@%odd add.u32 %i, %i, 1;",
        "add.u32 %i, %i, %lane;",
        "add.u32 %i, %i, %n;",
        "add.u32 %i, %i, 0x200;",
        "add.u32 %i, %i, 0x3fffffff;",
        // In a loop of its own, and on one way of two.
        "mov.u32 %x, 0; M: add.u32 %i, %i, 1; add.u32 %x, %x, 1; setp.lt.u32 %in, %x, 4; @%in bra M;",
        "@%in bra M; add.u32 %i, %i, 1; M:",
    ];
    let forms = [
        "L: S setp.T %go, %i, %b; @%go bra L;",
        "L: S setp.T %go, %b, %i; @%go bra L;",
        "L: setp.T %go, %i, %b; @!%go bra O; S bra L; O:",
        "L: setp.T %go, %i, %b; S @%go bra L;",
    ];
    for form in forms {
        for (start, bound) in starts.iter().flat_map(|s| bounds.iter().map(move |b| (s, b))) {
            for step in steps {
                let levels = tests.map(|test| {
                    let body = form.replace('S', step).replace('T', test);
                    let v = kernel("", &format!(".reg .b32 %i, %b, %x; .reg .pred %go, %odd, %in;\nsetp.eq.u32 %odd, %lane, 1;\nsetp.eq.u32 %in, %n, 3;\n{start} {bound} {body}"));
                    let (kernel, info) = (&v.module().kernels[0], v.info(0));
                    let named = |b: &BlockId| {
                        let guard = kernel.blocks[b.0 as usize].insts.last().and_then(|i| i.guard);
                        guard.is_some_and(|g| kernel.names.get(&g.reg).is_some_and(|name| name == "%go"))
                    };
                    let branch = (0..info.cfg.len() as u32).map(BlockId).find(named).expect("a branch");
                    match info.uniformity.branch(branch) {
                        Uniformity::Block => 'B',
                        Uniformity::Warp => 'W',
                        Uniformity::Divergent => '-',
                    }
                });
                if levels.iter().any(|l| *l != '-') {
                    writeln!(text, "{start} {bound} {} {}", form.replace('S', step), String::from_iter(levels))
                        .expect("text");
                }
            }
        }
    }
    is_golden("loops.txt", &text);
}
