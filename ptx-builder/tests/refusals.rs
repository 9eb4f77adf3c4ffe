//! What the verifier says of kernels that are wrong, or nearly: `refusals/*.ptx` are bodies of kernels, and
//! `refusals/*.txt` all errors and doubts of each. `BLESS=1` writes those anew.
//!
//! `// name: bounds` begins a kernel, with its launch bounds if it has any.

use std::fmt::Write;
use std::path::Path;

use ptxgen_builder::parse::parse;
use ptxgen_builder::testing::assert_golden;
use ptxgen_builder::verify::{Doubts, verify, verify_with};

/// What is said of one kernel.
fn said(file: &str, line: usize, bounds: &str, body: &str) -> String {
    // The body's first line has the number that it has in the file.
    let text = format!(
        ".version 9.0 .target sm_90 .address_size 64 .global .align 4 .b32 g[4]; .const .align 4 .b32 c[4] = {{1, 2, 3, 4}};\
         .visible .entry k(.param .u64 x, .param .u64 .ptr .global .align 16 y, .param .u32 n) {bounds} {{ .reg .pred %p<9>; \
         .reg .b16 %h<9>; .reg .b32 %r<40>, %t, %lane, %warp, %b, %n; .reg .b64 %d<20>, %x, %y; .reg .f32 %f<20>; .reg .f64 %w<9>; \
         ld.param.u64 %x, [x]; ld.param.u64 %y, [y]; ld.param.u32 %n, [n]; mov.u32 %t, %tid.x; mov.u32 %lane, %laneid; \
         mov.u32 %b, %ctaid.x; shr.u32 %warp, %t, 5; {}{body}ret; }}\n",
        "\n".repeat(line + 1),
    );
    let module = match parse(file, &text) {
        Ok(module) => module,
        Err(e) => return format!("  {e}\n"),
    };
    let certain: Vec<String> =
        verify(module.clone()).err().iter().flat_map(|e| e.iter()).map(|e| e.to_string()).collect();
    let mut told = String::new();
    for e in verify_with(module, Doubts::Refuse).err().iter().flat_map(|e| e.iter()) {
        let doubt = if certain.contains(&e.to_string()) { "" } else { "perhaps: " };
        writeln!(told, "  {doubt}{}", e.to_string().replace("\n  in kernel 'k'", "")).expect("text");
    }
    if told.is_empty() { "  is taken\n".to_owned() } else { told }
}

fn told(name: &str) {
    let file = format!("{name}.ptx");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/refusals");
    let text = std::fs::read_to_string(folder.join(&file)).expect("a file");
    let lines: Vec<&str> = text.lines().collect();
    let mut all = String::new();
    let starts: Vec<usize> = (0..lines.len()).filter(|&i| lines[i].starts_with("// ")).collect();
    for (n, &start) in starts.iter().enumerate() {
        let end = starts.get(n + 1).copied().unwrap_or(lines.len());
        let (title, bounds) = lines[start][3..].split_once(':').expect("a name and bounds");
        let body: String = lines[start + 1..end].iter().map(|l| format!("{l}\n")).collect();
        writeln!(all, "{title}\n{}", said(&file, start, bounds, &body)).expect("text");
    }
    assert_golden!(format!("tests/refusals/{name}.txt"), all);
}

#[test]
fn of_indices() {
    told("indices");
}

#[test]
fn of_threads_that_meet() {
    told("meeting");
}

#[test]
fn of_copies_and_values() {
    told("values");
}
