//! Where threads are said to agree on a loop's branch, they go round it equally often.

use super::Uniformity;
use crate::interp::{Arg, Launch, Memory, Options};
use crate::ir::BlockId;
use crate::parse::parse;
use crate::testing::Random;
use crate::verify::verify;

/// A loop that counts, from a start that is each thread's own, up to a bound that is, too; and 40 rounds at most.
fn kernel(random: &mut Random) -> String {
    let mut pick = |all: &[&'static str]| all[random.below(all.len() as u64) as usize];
    let constants = ["0", "1", "3", "4", "7", "20", "33", "1000", "0x7fffffff", "0xfffffff0", "-1", "%n", "%small"];
    let steps = ["1", "1", "2", "5", "32", "-1", "0x40000000", "0x3fffffff", "0x3fffffff", "%small", "%n", "%lane"];
    let starts =
        ["mov.u32 %i, %t;", "add.u32 %i, %t, A;", "add.u32 %i, A, %t;", "sub.u32 %i, %t, 1;", "mov.u32 %i, %lane;"];
    let bounds = [
        "add.u32 %b, %t, B;",
        "add.u32 %b, B, %t;",
        "add.u32 %b, %i, B;",
        "sub.u32 %b, %t, B;",
        "add.u32 %b, %lane, B;",
    ];
    let step = [
        "add.u32 %i, %i, S;",
        "add.u32 %x, %i, S;\nmov.u32 %i, %x;",
        "sub.u32 %i, %i, S;",
        "@%odd add.u32 %i, %i, S;",
        "@%odd bra OVER;\nadd.u32 %i, %i, S;\nOVER:",
        "mov.u32 %k, 0;\nINNER: add.u32 %i, %i, S;\nadd.u32 %k, %k, 1;\nsetp.lt.u32 %in, %k, 4;\n@%in bra INNER;",
    ];
    let compare =
        ["lt.u32", "lt.u32", "le.u32", "gt.u32", "ge.u32", "ne.s32", "eq.u32", "lt.s32", "le.s32", "gt.s32", "ge.s32"];
    let (a, b, s) = (pick(&constants), pick(&constants), pick(&steps));
    let (start, bound, step) = (pick(&starts), pick(&bounds), pick(&step));
    let (test, sides) = (pick(&compare), pick(&["%i, %b", "%b, %i"]));
    let (own, not) = (pick(&["%tid.x", "%tid.x", "%laneid"]), pick(&["", "!"]));
    let round = "add.u32 %rounds, %rounds, 1;\nsetp.ge.u32 %most, %rounds, 40;\n@%most bra OUT;\n";
    let body = match pick(&["do", "while", "middle"]) {
        "do" => format!("LOOP: {round}{step}\nsetp.{test} %go, {sides};\n@{not}%go bra LOOP;"),
        "while" => format!("LOOP: setp.{test} %go, {sides};\n@{not}%go bra OUT;\n{round}{step}\nbra LOOP;"),
        _ => format!("LOOP: {round}setp.{test} %go, {sides};\n{step}\n@{not}%go bra LOOP;"),
    };
    let text = format!(
        ".version 8.0\n.target sm_90\n.address_size 64\n.visible .entry k(.param .u64 out, .param .u32 n)\n{{\n\
         .reg .pred %go, %most, %odd, %in;\n.reg .b32 %t, %i, %b, %x, %k, %n, %small, %lane, %rounds;\n.reg .b64 %o, %f;\n\
         mov.u32 %t, {own};\nmov.u32 %lane, %laneid;\nld.param.u32 %n, [n];\nand.b32 %small, %n, 7;\n\
         and.b32 %x, %t, 1;\nsetp.eq.u32 %odd, %x, 1;\nmov.u32 %rounds, 0;\n{start}\n{bound}\n{body}\n\
         OUT: ld.param.u64 %o, [out];\nmov.u32 %t, %tid.x;\nmul.wide.u32 %f, %t, 4;\nadd.u64 %o, %o, %f;\n\
         st.global.u32 [%o], %rounds;\nret;\n}}\n"
    );
    // `mov %t` a second time would be a second definition.
    let text = text.replace("mov.u32 %t, %tid.x;\nmul", "mov.u32 %x, %tid.x;\nmul").replace("%f, %t, 4", "%f, %x, 4");
    text.replace(" A", &format!(" {a}")).replace(" B", &format!(" {b}")).replace(" S", &format!(" {s}"))
}

#[test]
fn who_agrees_goes_round_equally_often() {
    let mut random = Random::new(7);
    let (mut agreed, mut parted) = (0, 0);
    for _ in 0..3000 {
        let text = kernel(&mut random);
        let module =
            verify(parse("k.ptx", &text).unwrap_or_else(|e| panic!("{e}\n{text}"))).unwrap_or_else(|e| panic!("{e}"));
        let info = module.info(0);
        // The branch that goes round or not, by its predicate's name.
        let kernel = &module.module().kernels[0];
        let named = |b: &BlockId| {
            let guard = kernel.blocks[b.0 as usize].insts.last().and_then(|i| i.guard);
            guard.is_some_and(|g| kernel.names.get(&g.reg).is_some_and(|name| name == "%go"))
        };
        let mut branches = (0..info.cfg.len() as u32).map(BlockId).filter(named);
        let level = info.uniformity.branch(branches.next().expect("the loop's branch"));
        for n in [3, 64, 0xffff_fff8, 0x7fff_fff0] {
            let rounds = run(&module, n);
            let per_warp = rounds.chunks(32).all(|w| w.iter().all(|r| *r == w[0]));
            let same = match level {
                Uniformity::Block => rounds.iter().all(|r| *r == rounds[0]),
                Uniformity::Warp => per_warp,
                Uniformity::Divergent => true,
            };
            assert!(same, "said to agree ({level:?}), n = {n}, rounds {rounds:?}\n{text}");
            parted += u32::from(!per_warp);
        }
        agreed += u32::from(level < Uniformity::Divergent);
    }
    assert!(agreed > 150 && parted > 150, "{agreed} agree, {parted} runs part: the loops test nothing");
}

fn run(module: &crate::verify::Validated, n: u32) -> Vec<u32> {
    let mut memory = Memory::new();
    let out = memory.alloc(&[0; 256], 16).expect("a buffer");
    let args = [Arg::from(out), Arg::bytes(&n.to_le_bytes())];
    let launch = Launch {
        module,
        kernel: "k",
        grid: [1, 1, 1],
        block: [64, 1, 1],
        dynamic_shared: 0,
        args: &args,
        globals: None,
        options: &Options::default(),
    };
    launch.run(&mut memory).unwrap_or_else(|e| panic!("{e}"));
    let bytes = memory.read(out).expect("it is there");
    bytes.as_chunks::<4>().0.iter().map(|w| u32::from_le_bytes(*w)).collect()
}
