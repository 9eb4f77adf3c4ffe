//! Running a kernel from its text.

use ptxgen_builder::interp::{Arg, Finding, FindingKind, Launch, Memory, Options, Report};
use ptxgen_builder::parse::parse;
use ptxgen_builder::verify::{Validated, verify};

/// A module of one kernel `k` with this body; registers of every class are declared.
pub fn module(params: &str, body: &str) -> Validated {
    let text = format!(
        ".version 9.0\n.target sm_90\n.address_size 64\n.visible .entry k({params}) {{ \
         .reg .pred %p<9>; .reg .b16 %h<9>; .reg .b32 %r<40>; .reg .b64 %rd<20>; .reg .f32 %f<20>; .reg .f64 %fd<9>;\n{body}\n}}\n"
    );
    source(&text)
}

/// A whole file.
pub fn source(text: &str) -> Validated {
    let module = parse("test.ptx", text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    verify(module).unwrap_or_else(|e| panic!("{e:#?}\n{text}"))
}

pub const GID: &str =
    "mov.u32 %r0, %tid.x; mov.u32 %r1, %ctaid.x; mov.u32 %r2, %ntid.x; mad.lo.s32 %r3, %r1, %r2, %r0;";

pub fn launch(m: &Validated, grid: u32, block: u32, args: &[Arg], memory: &mut Memory, options: &Options) -> Report {
    let kernel = m.module().kernels[0].name.clone();
    let launch = Launch {
        module: m,
        kernel: &kernel,
        grid: [grid, 1, 1],
        block: [block, 1, 1],
        dynamic_shared: 0,
        args,
        globals: None,
        options,
    };
    launch.run(memory).unwrap_or_else(|e| panic!("{e}"))
}

pub fn f32s(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

pub fn u32s(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect()
}

pub fn bytes_of<T: Copy, const N: usize>(values: &[T], f: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|&v| f(v)).collect()
}

/// The only finding, which is of this kind; its line, counted from the body's first, is `line`.
#[track_caller]
pub fn only(report: &Report, kind: FindingKind, line: u32) -> Finding {
    assert_eq!(report.findings.len(), 1, "{report}");
    let finding = &report.findings[0];
    assert_eq!(finding.kind, kind, "{report}");
    assert_eq!(finding.site.loc.as_ref().map(|l| l.line), Some(line + 4), "{report}");
    finding.clone()
}
