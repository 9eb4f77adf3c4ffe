//! PTX that others wrote: what compilers emit and this library's builder does not.

mod functions;
mod lexical;
mod parts;
mod statements;

use ptxgen_builder::interp::{Arg, Launch, Memory, Options, Report};
use ptxgen_builder::parse::parse;
use ptxgen_builder::print::{PrintOptions, print};
use ptxgen_builder::verify::{Validated, verify};

/// A module of a text, with a head; what is printed of it reads back as the same module.
#[track_caller]
fn module_of(target: &str, text: &str) -> Validated {
    let text = format!(".version 8.8\n.target {target}\n.address_size 64\n{text}");
    let module = parse("t.ptx", &text).unwrap_or_else(|e| panic!("{e}"));
    let module = verify(module).unwrap_or_else(|e| panic!("{e}"));
    let printed = print(&module, &PrintOptions::default());
    let again = parse("printed", &printed).unwrap_or_else(|e| panic!("{e}\n{printed}"));
    assert_eq!(again, *module.module(), "{printed}");
    module
}

/// Runs kernel `k` on one warp with a buffer of 32 words, filled with the lanes' numbers.
#[track_caller]
fn run(module: &Validated) -> (Vec<u32>, Report) {
    attempt(module).unwrap_or_else(|e| panic!("{e}"))
}

/// Why kernel `k` is not run.
#[track_caller]
fn refusal(module: &Validated) -> String {
    attempt(module).map(drop).expect_err("it does not run")
}

fn attempt(module: &Validated) -> Result<(Vec<u32>, Report), String> {
    let mut memory = Memory::new();
    let bytes: Vec<u8> = (0..32u32).flat_map(u32::to_le_bytes).collect();
    let a = memory.alloc(&bytes, 16).expect("a buffer");
    let launch = Launch {
        module,
        kernel: "k",
        grid: [1, 1, 1],
        block: [32, 1, 1],
        dynamic_shared: 0,
        args: &[Arg::from(a)],
        globals: None,
        options: &Options::default(),
    };
    let report = launch.run(&mut memory).map_err(|e| e.to_string())?;
    let words = memory.read(a).expect("the buffer");
    Ok((words.chunks_exact(4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect(), report))
}

/// What kernel `k` with this body leaves of the buffer: `%v` is loaded before it and stored after it.
#[track_caller]
fn body(target: &str, declarations: &str, body: &str) -> Vec<u32> {
    let text = format!(
        "{declarations}\n.visible .entry k(.param .u64 a)\n{{\n.reg .b64 %a, %i; .reg .b32 %v, %t;\n\
         ld.param.u64 %a, [a]; mov.u32 %t, %tid.x; mul.wide.u32 %i, %t, 4; add.s64 %a, %a, %i;\n\
         ld.global.u32 %v, [%a];\n{body}\nst.global.u32 [%a], %v;\nret;\n}}\n"
    );
    let (words, report) = run(&module_of(target, &text));
    assert!(report.is_clean(), "{report}");
    words
}

/// The same of each lane's number.
fn each(f: impl Fn(u32) -> u32) -> Vec<u32> {
    (0..32).map(f).collect()
}
