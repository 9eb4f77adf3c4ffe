//! The printer and the parser: exact text, and what the parser says of
//! faulty text.

use ptxgen_builder::ir::{Address, Base, BlockId, Loc, Module, Operand, Reg, Symbol};
use ptxgen_builder::parse::{ParseErrors, parse};
use ptxgen_builder::print::{self, PrintOptions, print};
use ptxgen_builder::target::{PtxVersion, Target};
use ptxgen_builder::types::{RegClass, ScalarType, Space};
use ptxgen_builder::verify::verify;

const HEADER: &str = ".version 7.8\n.target sm_90\n.address_size 64\n";

fn module(text: &str) -> Module {
    parse("t.ptx", text).unwrap_or_else(|e| panic!("{e}"))
}

/// A module with one kernel that has these declarations and instructions.
fn kernel(body: &str) -> String {
    format!("{HEADER}.visible .entry k(.param .u64 x, .param .u32 n)\n{{\n{body}\n}}\n")
}

fn printed(m: Module, options: &PrintOptions) -> String {
    print(&verify(m).expect("verifies"), options)
}

/// The errors' text for a kernel's body, which starts on line 6.
fn errors(body: &str) -> Vec<String> {
    parse("t.ptx", &kernel(body)).expect_err("is faulty").iter().map(ToString::to_string).collect()
}

const SAXPY: &str = r#".version 6.3
.target sm_75
.address_size 64

.const .align 4 .f32 scale[2] = {0f3F800000, 0fC0000000};
.extern .shared .align 16 .b8 dynamic[];

.visible .entry saxpy(
    .param .u32 n,
    .param .u64 .ptr .global .align 4 x,
    .param .align 8 .b8 options[24]
)
.reqntid 128, 1, 1
.minnctapersm 2
{
    .reg .pred %p<1>;
    .reg .b32 %r<2>;
    .reg .b64 %rd<3>;
    .reg .f32 %f<2>;
    .shared .align 4 .f32 tile[32];
    ld.param.u32        %r0, [n];
    mov.u32             %r1, %tid.x;
    setp.ge.u32         %p0, %r1, %r0;
    @%p0 bra            $L5;
    ld.param.u64        %rd0, [x];
$L7:
    mul.wide.u32        %rd1, %r1, 4;
    add.u64             %rd2, %rd0, %rd1;
    ld.global.f32       %f0, [%rd2+-4];
    ld.const.f32        %f1, [scale+4];
    fma.rn.f32          %f0, %f0, %f1, 0f3F800000;
    st.global.f32       [%rd2], %f0;
    add.s32             %r1, %r1, -1;
    setp.ne.s32         %p0, %r1, 0;
    @!%p0 bra           $L7;
$L5:
    ret;
}
"#;

#[test]
fn printing_what_was_parsed_gives_the_same_bytes() {
    let m = module(SAXPY);
    assert_eq!(printed(m.clone(), &PrintOptions::default()), SAXPY);
    assert_eq!(m.target, Target::SM_75);
    assert_eq!(m.variables[0].init, [0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]);
    assert_eq!((m.variables[1].space, m.variables[1].len), (Space::Shared, None));
    let k = &m.kernels[0];
    assert_eq!(k.params[1].pointer, Some((Space::Global, 4)));
    assert_eq!((k.params[2].ty, k.params[2].len, k.params[2].align), (ScalarType::B8, Some(24), Some(8)));
    assert_eq!(k.bounds.required, Some([128, 1, 1]));
    assert_eq!(k.blocks.len(), 4);
    let branch = k.blocks[0].insts.last().unwrap();
    assert_eq!(branch.operands[0], Operand::Label(BlockId(3)));
    let load = &k.blocks[2].insts[2];
    let base = Base::Reg(Reg { class: RegClass::B64, index: 2 });
    assert_eq!(load.operands[1], Operand::Address(Address { base, offset: -4 }));
    assert_eq!(load.loc, Some(Loc::new("t.ptx".into(), 29, 5)));
}

#[test]
fn formatting_does_not_matter() {
    let loose = "/*/ c */ /**/ /* c **/ .version 8.5 .target sm_75, debug .address_size 64\n\
        .extern .shared .align 16 .b8 dyn[4]; .visible .global .align 8 .v2 .f32 g[2]={{1.5,-2.0},{0f3F800000}};\n\
        .weak .global .u32 w = 7; .extern .global .u32 e;\n\
        .visible .entry k ( ) .pragma \"nounroll\" ,\"nounroll\"; .maxntid 32\n{ .reg.b32 a,b , %r<3> ;.reg .pred p;// c\nmov.pred p, 1;\
        top : { .reg .b32 a; mov .u32 a,dyn+16;@!p bra out;bra top;\nout:mov.b32 a,0x10U;}mov.s32 b , - 010 ;\n\
        mov.u32 %r2,WARP_SZ;unused:exit;}";
    let tidy = ".version 6.3\n.target sm_75\n.address_size 64\n\n.extern .shared .align 16 .b8 dyn[];\n\
        .visible .global .align 8 .f32 g[4] = {0f3FC00000, 0fC0000000, 0f3F800000, 0f00000000};\n\
        .weak .global .align 4 .u32 w[1] = {7};\n.extern .global .align 4 .u32 e[1];\n\n.visible .entry k()\n\
        .maxntid 32, 1, 1\n{\n    .reg .pred %p<1>;\n    .reg .b32 %r<6>;\n    mov.pred            %p0, 1;\n$L6:\n    mov.u32             %r5, dyn+16;\n    \
        @!%p0 bra           $L3;\n    bra                 $L6;\n$L3:\n    mov.b32             %r5, 16;\n    \
        mov.s32             %r1, -8;\n    mov.u32             %r4, 32;\n    exit;\n}\n";
    assert_eq!(printed(module(loose), &PrintOptions::default()), tidy);
}

#[test]
fn forms_of_one_spelling_are_told_by_their_operands() {
    let m = module(&kernel(
        ".reg .b32 %r<3>; .reg .b64 %rd<2>; .shared .b8 s[8];\n\
         mov.b64 %rd0, {%r0, %r1}; mov.b64 {%r1, _}, %rd0; mov.b64 %rd1, %rd0; mov.b64 %rd1, s; ret;",
    ));
    let insts = &m.kernels[0].blocks[0].insts;
    let widths: Vec<usize> = insts.iter().map(|i| i.operands.len()).collect();
    assert_eq!(widths, [3, 3, 2, 2, 0]);
    assert_eq!(insts[1].operands[1], Operand::None);
    assert_eq!(insts[3].operands[1], Operand::Symbol(Symbol::Kernel(0), 0));
}

#[test]
fn locations_of_the_source_are_kept() {
    let text =
        kernel(".reg .b32 %r<1>;\n.loc 1 7 3\nmov.u32 %r0, 1;\n.loc 2 9 1, function_name $x, inlined_at 1 8 2\nret;")
            + ".file 1 \"src/a.rs\"\n.file 2 \"src/\\\"b\\\".rs\", 12, 34\n.section .debug_str\n{\n$x:\n.b8 1,2\n}\n";
    let m = module(&text);
    let insts = &m.kernels[0].blocks[0].insts;
    assert_eq!(insts[0].loc, Some(Loc::new("src/a.rs".into(), 7, 3)));
    let inlined = insts[1].loc.as_ref().expect("a place").to_string();
    assert_eq!(inlined, "src/\"b\".rs:9:1, called at src/a.rs:8:2");
    let options = PrintOptions { lineinfo: true, comments: false };
    let lines = printed(m.clone(), &options);
    assert!(lines.contains(".file 2 \"src/a.rs\"\n.file 3 \"src/\\\"b\\\".rs\"\n"), "{lines}");
    assert!(lines.contains("    .loc 2 7 3\n    mov.u32 "), "{lines}");
    assert!(!printed(m, &PrintOptions::default()).contains(".loc"));
}

#[test]
fn comments_tell_the_authors_names() {
    let m = module(&kernel(".reg .b32 sum, row;\nmov.u32 row, 1;\nmov.u32 sum, 2;\nadd.s32 sum, row, sum;\nret;"));
    let options = PrintOptions { lineinfo: false, comments: true };
    let text = printed(m, &options);
    let line = text.lines().find(|l| l.contains("add.s32")).unwrap();
    assert_eq!(line, "    add.s32             %r0, %r1, %r0;                           // %r0 = sum, %r1 = row");
}

#[test]
fn the_version_is_the_least_that_is_needed() {
    for (body, target, version) in [("ret;", "sm_75", 63), ("ret;", "sm_90", 78), ("ret;", "sm_100", 86)] {
        let text = kernel(body).replace("sm_90", target);
        assert_eq!(print::least_version(&module(&text)), PtxVersion(version));
    }
}

#[test]
fn one_instruction_prints_even_where_it_is_wrong() {
    let mut m = module(&kernel(".reg .b32 %r<2>;\nadd.s32 %r0, %r1, 5;\nld.param.u32 %r0, [n];\nret;"));
    let k = &mut m.kernels[0];
    k.blocks[0].insts[0].operands.push(Operand::Imm(7));
    let base = Base::Symbol(Symbol::Param(9));
    k.blocks[0].insts[1].operands[1] = Operand::Address(Address { base, offset: 0 });
    k.blocks[0].insts[2].operands.push(Operand::NotPred(Reg { class: RegClass::Pred, index: 3 }));
    let k = &m.kernels[0];
    let texts: Vec<String> = k.insts().map(|(_, _, i)| print::inst(&m, k, i)).collect();
    assert_eq!(texts, ["add.s32 %r0, %r1, 5, 0x7;", "ld.param.u32 %r0, [<no parameter 9>];", "ret !%p3;"]);
}

#[test]
fn dumps_show_blocks_positions_and_names() {
    let m = module(&kernel(".reg .pred p; .reg .b32 row;\ntop: mov.u32 row, %tid.x;\n@p bra top;\nret;"));
    let ir = print::ir(&m);
    assert!(ir.contains("module sm_90 ptx 7.8\nkernel k  ; t.ptx:4:17\n"), "{ir}");
    assert!(ir.contains("  block $L1 -> $L1 -> $L7\n    mov.u32 %r0, %tid.x;"), "{ir}");
    assert!(ir.contains("; 9.7.9.3 t.ptx:7:6\n") && ir.contains("  %r0 = \"row\"\n"), "{ir}");
    let json: serde_json::Value = serde_json::from_str(&print::json(&m)).expect("is JSON");
    let inst = &json["kernels"][0]["blocks"][0]["instructions"][1];
    assert_eq!((inst["form"].as_str(), inst["target"].as_str()), (Some("bra"), Some("$L1")));
    assert_eq!(inst["uses"][0], "%p0");
    assert_eq!(json["kernels"][0]["names"][1]["name"], "row");
}

#[test]
fn errors_tell_the_place_the_expectation_and_near_spellings() {
    let regs = ".reg .b32 %r<4>; .reg .f32 %f<2>; .reg .b32 count;\n";
    for (body, error) in [
        ("ad.s32 %r0, %r1, %r2;", "t.ptx:7:1: unknown instruction 'ad.s32'; did you mean 'add.s32'?"),
        ("  mov.q32 %r0, 1;", "t.ptx:7:3: unknown instruction 'mov.q32'; did you mean 'mov.b32'?"),
        ("mov.u32 %r4, 1;", "t.ptx:7:9: '%r4' is not declared"),
        ("mov.u32 cuont, 1;", "t.ptx:7:9: 'cuont' is not declared; did you mean 'count'?"),
        ("ld.param.u32 %r0, [m];", "t.ptx:7:20: 'm' is not declared; did you mean 'n'?"),
        ("add.s32 %r0, %r1;", "t.ptx:7:1: 'add.s32' takes 3 operands (d, a, b), found 2"),
        (
            "add.s32 %r0, [%r1], 1;",
            "t.ptx:7:14: operand a of 'add.s32': expected a s32 register or integer, found an address",
        ),
        ("add.s32 5, %r1, 1;", "t.ptx:7:9: operand d of 'add.s32': expected a s32 register, found an integer"),
        (
            "add.s32 %r0, %r1, 1.5;",
            "t.ptx:7:19: operand b of 'add.s32': expected a s32 register or integer, found a floating-point constant",
        ),
        ("bar.sync 4294967296;", "t.ptx:7:10: u32 4294967296 is not in -2147483648..=4294967295"),
        ("mov.u32 %r0, 0x;", "t.ptx:7:14: malformed number '0x': expected digits of its base only"),
        ("bra nowhere;", "t.ptx:7:5: no label 'nowhere' in this scope"),
        ("done: bra doen;", "t.ptx:7:11: no label 'doen' in this scope; did you mean 'done'?"),
        ("ret", "t.ptx:8:1: expected an operand or ';', found '}'"),
        ("add.s32 %r0, %r1, 1 ret;", "t.ptx:7:21: expected ',' or ';', found 'ret'"),
        (".reg .b32 count;", "t.ptx:7:11: 'count' is declared twice in this scope; rename one of them"),
        (".reg .b8x q;", "t.ptx:7:6: expected the registers' type, found '.b8x'"),
        (
            ".rge .b32 q;",
            "t.ptx:7:1: expected .reg, .shared, .local, .loc, .pragma, a label or an instruction, found '.rge'",
        ),
        ("@%r5 ret;", "t.ptx:7:2: '%r5' is not declared"),
        (
            "ld.global.v2.f32 {%f0, %f1, %f0}, [x];",
            "t.ptx:7:18: operand d of 'ld.global.v2.f32': expected a vector of 2 f32 registers in braces, found a vector of 3",
        ),
        (".shared .align 3 .b8 s[4];", "t.ptx:7:16: expected a power of two, found 3"),
        (".pragma nounroll;", "t.ptx:7:9: expected a pragma in quotes, found 'nounroll'"),
        ("ld.param.u32 %r0, [12];", "t.ptx:7:20: an absolute address is not supported; move it to a register first"),
        ("mov.u32 %r0, \"x\";", "t.ptx:7:14: expected an operand, found '\"x\"'"),
    ] {
        let all = errors(&format!("{regs}{body}"));
        assert_eq!(all, [error], "{body}");
    }
}

#[test]
fn reading_goes_on_after_an_error() {
    let all = errors(".reg .b32 %r<2>;\nfoo.bar %r0;\nadd.s32 %r0, %r1, ];\n{ mov.u32 %r9, 1; }\nadd.s32 %r0, %r1, 1;");
    assert_eq!(all.len(), 3, "{all:?}");
    let text = format!("{HEADER}.entry a(.param .u32) {{ ret; }}\n.entry b() {{ nop; }}\n.func f() {{ nop; }}\n");
    let all: Vec<String> = parse("t", &text).expect_err("is faulty").iter().map(ToString::to_string).collect();
    assert_eq!(all.len(), 3, "{all:?}");
    assert!(all[2].starts_with("t:6:13: unknown instruction 'nop'"), "{all:?}");
}

#[test]
fn errors_end_after_the_most() {
    let all = errors(&"foo;\n".repeat(1000));
    assert_eq!(all.len(), ParseErrors::MOST);
    assert!(all[ParseErrors::MOST - 1].ends_with("too many errors; the rest of the text was not read"));
}

#[test]
fn headers_are_checked() {
    for (text, error) in [
        ("", "t:1:1: expected a .version directive, with which every file begins, found the end of the text"),
        (".version 7.8", "t:1:13: expected a .target directive after the version, found the end of the text"),
        (".version x", "t:1:10: expected a version such as 7.8, found 'x'"),
        (
            ".version 7.8 .target sm_91 .address_size 64",
            "t:1:22: unknown target 'sm_91'; known targets: sm_20, sm_21, sm_30, sm_32, sm_35, sm_37, sm_50, sm_52, sm_53, sm_60, sm_61, sm_62, sm_70, sm_72, sm_75, sm_80, sm_86, sm_87, sm_88, sm_89, sm_90, sm_100, sm_101, sm_103, sm_107, sm_110, sm_120, sm_121, from sm_90 on also with an 'a' and from sm_100 on with an 'f'",
        ),
        (".version 7.8 .target sm_90 .address_size 32", "t:1:42: the address size 32 is not in 64..=64"),
        (".version 7.8 .target sm_90 .entry k", "t:1:36: expected '{', found the end of the text"),
        (
            ".version 7.8 .target sm_90 .entry k {",
            "t:1:38: expected '}' at the end of the entry, found the end of the text",
        ),
        (
            ".version 7.9 .target sm_90",
            "t:1:10: there is no PTX version '7.9'; known are those up to 9.5: 1.0 to 1.5, 2.0 to 2.3, 3.0 to 3.2, 4.0 to 4.3, 5.0 to 5.1, 6.0 to 6.5, 7.0 to 7.8, 8.0 to 8.8, 9.0 to 9.5",
        ),
        (
            ".version 7.8 .target sm_90 .global .b32 x[2] = {1, 2, 3};",
            "t:1:55: expected '}', because the array is full, found '3'",
        ),
        (
            ".version 7.8 .target sm_90 .global .b32 x[0][1099511627776][1099511627776] = {{1}};",
            "t:1:41: an initialiser for no bytes, more than 16777216, or an unknown length is not supported; copy the data at run time",
        ),
        (
            ".version 7.8 .target sm_90 .global .b32 x[99999999999] = {1};",
            "t:1:41: an initialiser for no bytes, more than 16777216, or an unknown length is not supported; copy the data at run time",
        ),
    ] {
        let all: Vec<String> = parse("t", text).expect_err("is faulty").iter().map(ToString::to_string).collect();
        assert_eq!(all, [error], "{text}");
    }
}

#[test]
fn each_instruction_is_on_its_line() {
    let v = verify(module(SAXPY)).expect("verifies");
    let kernel = &v.module().kernels[0];
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    for options in [PrintOptions::default(), PrintOptions { lineinfo: true, comments: true }] {
        let (text, lines) = (print(&v, &options), print::lines(&v, &options));
        assert_eq!(lines.iter().map(Vec::len).collect::<Vec<_>>(), [kernel.insts().count()]);
        for ((_, _, inst), line) in kernel.insts().zip(&lines[0]) {
            let line = text.lines().nth(*line as usize - 1).expect("a line");
            assert!(words(line).starts_with(&words(&print::inst(v.module(), kernel, inst))), "{line}");
        }
    }
}

/// Calls within calls are told from the inside, up to a depth that a person reads.
#[test]
fn callers_of_inlined_functions_are_kept() {
    let mut body = ".reg .b32 %r<1>;\n.loc 1 1 1\n".to_owned();
    for line in 2..=100 {
        body += &format!(".loc 1 {line} 1, function_name $x, inlined_at 1 {} 1\nmov.u32 %r0, {line};\n", line - 1);
    }
    let text = kernel(&(body + "ret;")) + ".file 1 \"a.cu\"\n.section .debug_str\n{\n$x:\n.b8 1,2\n}\n";
    let m = module(&text);
    let insts = &m.kernels[0].blocks[0].insts;
    let place = |i: usize| insts[i].loc.as_ref().expect("a place");
    assert_eq!(place(1).to_string(), "a.cu:3:1, called at a.cu:2:1, called at a.cu:1:1");
    let deepest = insts.iter().filter_map(|i| Some(i.loc.as_ref()?.chain().count())).max();
    assert_eq!(deepest, Some(32));
    assert_eq!(place(98).chain().nth(1).map(|at| at.line), Some(99));
}
