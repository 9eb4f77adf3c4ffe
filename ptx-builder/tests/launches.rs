//! Launches that are refused, in words, and the variables of modules.

use std::fmt::Write;

use ptxgen_builder::interp::{Arg, Globals, Launch, Memory, Options};
use ptxgen_builder::parse::parse;
use ptxgen_builder::testing::assert_golden;
use ptxgen_builder::verify::{Validated, verify};

fn module(text: &str) -> Validated {
    let text = format!(".version 8.7\n.target sm_90\n.address_size 64\n{text}");
    verify(parse("k.ptx", &text).unwrap_or_else(|e| panic!("{e}\n{text}"))).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

fn launch(module: &Validated, grid: [u32; 3], block: [u32; 3], dynamic_shared: u32, args: &[Arg]) -> String {
    let options = Options { max_steps: 10, ..Options::default() };
    let launch = Launch { module, kernel: "k", grid, block, dynamic_shared, args, globals: None, options: &options };
    match launch.run(&mut Memory::new()) {
        Ok(report) => format!("runs\n{report}"),
        Err(e) => format!("{e}"),
    }
}

#[test]
fn what_cannot_be_launched() {
    let mut text = String::new();
    let plain = module(".visible .entry k() { ret; }");
    let mut shapes = vec![[0, 1, 1], [1, 0, 1], [1, 1, 0]];
    shapes.extend([[1, 65536, 1], [1, 1, 65536], [1 << 31, 1, 1]]);
    for grid in shapes {
        writeln!(text, "grid {grid:?}: {}", launch(&plain, grid, [1; 3], 0, &[])).expect("text");
    }
    for block in [
        [0, 1, 1],
        [1, 0, 1],
        [1, 1, 0],
        [1024, 1, 1],
        [1025, 1, 1],
        [1, 1024, 1],
        [1, 1025, 1],
        [1, 1, 64],
        [1, 1, 65],
        [32, 32, 1],
        [33, 32, 1],
        [16, 1, 64],
        [17, 1, 64],
    ] {
        writeln!(text, "block {block:?}: {}", launch(&plain, [1; 3], block, 0, &[])).expect("text");
    }
    for (bounds, block) in [
        (".reqntid 32", [32, 1, 1]),
        (".reqntid 32", [31, 1, 1]),
        (".reqntid 32, 2", [32, 2, 1]),
        (".reqntid 32, 2", [64, 1, 1]),
        (".maxntid 64, 1, 1", [64, 1, 1]),
        (".maxntid 64, 1, 1", [8, 8, 1]),
        (".maxntid 64, 1, 1", [65, 1, 1]),
        (".maxntid 8, 8, 1", [64, 1, 1]),
    ] {
        let m = module(&format!(".visible .entry k() {bounds} {{ ret; }}"));
        writeln!(text, "{bounds} with {block:?}: {}", launch(&m, [1; 3], block, 0, &[])).expect("text");
    }
    for (cluster, grid) in [("2", [2, 1, 1]), ("2", [3, 1, 1]), ("1", [3, 1, 1]), ("1, 2, 1", [2, 3, 1])] {
        let m = module(&format!(".visible .entry k() .reqnctapercluster {cluster} {{ ret; }}"));
        writeln!(text, "clusters of {cluster} in {grid:?}: {}", launch(&m, grid, [1; 3], 0, &[])).expect("text");
    }
    let args = module(".visible .entry k(.param .u64 x, .param .u32 n, .param .align 4 .b8 s[12]) { ret; }");
    let (x, n, s) = (Arg::bytes(&[0; 8]), Arg::bytes(&[0; 4]), Arg::bytes(&[0; 12]));
    let lists = [
        vec![x.clone(), n.clone(), s.clone()],
        vec![x.clone(), n.clone()],
        vec![x.clone(), n.clone(), s.clone(), n.clone()],
        vec![n.clone(), n.clone(), s.clone()],
        vec![x.clone(), x.clone(), s.clone()],
        vec![x.clone(), n.clone(), x.clone()],
    ];
    for list in lists {
        writeln!(text, "{} arguments: {}", list.len(), launch(&args, [1; 3], [1; 3], 0, &list)).expect("text");
    }
    let shared = module(
        ".extern .shared .align 16 .b8 d[];\n.visible .entry k() { .shared .align 16 .b8 s[1024]; .reg .b32 %r<2>; mov.u32 %r0, s; mov.u32 %r1, d; ret; }",
    );
    for dynamic in [0, 231424 - 1024, 231425 - 1024, 232448 - 1024, 232449 - 1024, u32::MAX] {
        writeln!(text, "{dynamic} bytes beside 1024: {}", launch(&shared, [1; 3], [1; 3], dynamic, &[])).expect("text");
    }
    for bytes in [1 << 20, (1 << 20) + 4] {
        let local = module(&format!(
            ".visible .entry k() {{ .local .align 4 .b8 l[{bytes}]; .reg .b64 %d; mov.u64 %d, l; ret; }}"
        ));
        for threads in [992, 993, 1024] {
            writeln!(
                text,
                "{bytes} bytes of local memory, {threads} threads: {}",
                launch(&local, [1; 3], [threads, 1, 1], 0, &[])
            )
            .expect("text");
        }
    }
    let external =
        module(".extern .global .align 4 .b32 g[4];\n.visible .entry k() { .reg .b64 %d; mov.u64 %d, g; ret; }");
    writeln!(text, "another module's variable: {}", launch(&external, [1; 3], [1; 3], 0, &[])).expect("text");
    let options = Options::default();
    let other = Launch {
        module: &plain,
        kernel: "other",
        grid: [1; 3],
        block: [1; 3],
        dynamic_shared: 0,
        args: &[],
        globals: None,
        options: &options,
    };
    writeln!(text, "another name: {}", other.run(&mut Memory::new()).expect_err("no such kernel")).expect("text");
    assert_golden!("tests/reports/launches.txt", text);
}

/// A module's variables keep their values between launches that are given them, and are the author's otherwise.
#[test]
fn variables_of_a_module() {
    let m = module(
        ".global .align 4 .b32 a[2] = {5, 6};\n.const .align 4 .b32 c[1] = {9};\n.global .align 16 .b8 b[3];\n\
         .visible .entry k() { .reg .b64 %d; .reg .b32 %r<3>; mov.u64 %d, a; ld.global.u32 %r0, [%d+4]; add.u32 %r0, %r0, 1; st.global.u32 [%d+4], %r0; ret; }",
    );
    let mut memory = Memory::new();
    let globals = Globals::load(&m, &mut memory).expect("room");
    let (a, b) = (globals.get("a").expect("a variable"), globals.get("b").expect("a variable"));
    assert!(globals.get("c").is_none() && globals.get("d").is_none());
    assert_ne!(a.address, b.address);
    assert_eq!(memory.read(a).expect("its bytes"), [5, 0, 0, 0, 6, 0, 0, 0]);
    assert_eq!(memory.read(b).expect("its bytes"), [0; 3]);
    assert_eq!(b.address % 16, 0);
    let options = Options::default();
    let with = |globals| Launch {
        module: &m,
        kernel: "k",
        grid: [1; 3],
        block: [1; 3],
        dynamic_shared: 0,
        args: &[],
        globals,
        options: &options,
    };
    with(Some(&globals)).run(&mut memory).expect("runs");
    with(Some(&globals)).run(&mut memory).expect("runs");
    with(None).run(&mut memory).expect("runs");
    assert_eq!(memory.read(a).expect("its bytes"), [5, 0, 0, 0, 8, 0, 0, 0]);
    // A launch's own are returned, and so are these.
    globals.free(&mut memory);
    assert!(memory.read(a).is_err() && memory.read(b).is_err());
    let again = memory.alloc(&[1; 8], 4).expect("room");
    assert_eq!(again.address, a.address, "the place is free again");
}
