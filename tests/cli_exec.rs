//! `ptxgen exec`: what it prints, writes and finds, and how it refuses.

mod support;

use expect_test::expect;
use std::{fs, path::Path};
use support::{code, ptxgen, text};

/// y[i] = a x[i], with a bound that the caller gives; a write to what every thread reads where `race` is not 0.
const SCALE: &str = r#".version 7.0
.target sm_80
.address_size 64
.file 1 "scale.cu"
.visible .entry scale(.param .u64 y, .param .u64 x, .param .f32 a, .param .u32 n)
{
	.reg .b64 %rd<6>; .reg .b32 %r<6>; .reg .f32 %f<4>; .reg .pred %p;
	.loc 1 7 3
	ld.param.u64 %rd1, [y]; ld.param.u64 %rd2, [x]; ld.param.f32 %f1, [a]; ld.param.u32 %r1, [n];
	mov.u32 %r2, %ctaid.x; mov.u32 %r3, %ntid.x; mov.u32 %r4, %tid.x; mad.lo.s32 %r2, %r2, %r3, %r4;
	setp.ge.u32 %p, %r2, %r1;
	@%p bra $done;
	mul.wide.u32 %rd3, %r2, 4; add.s64 %rd4, %rd2, %rd3; add.s64 %rd5, %rd1, %rd3;
	.loc 1 9 5
	ld.global.f32 %f2, [%rd4];
	mul.f32 %f3, %f1, %f2;
	.loc 1 10 5
	st.global.f32 [%rd5], %f3;
$done:
	ret;
}
.visible .entry broken() { frobnicate; }
"#;

fn at(dir: &Path, name: &str) -> String {
    dir.join(name).to_str().unwrap().to_owned()
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// A folder with the kernel and 40 floats, raw and as numpy writes them.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("scale.ptx"), SCALE).unwrap();
    let data = floats(&(0..40).map(|i| i as f32).collect::<Vec<_>>());
    fs::write(dir.path().join("x.f32"), &data).unwrap();
    let header = format!("{:<117}\n", "{'descr': '<f4', 'fortran_order': False, 'shape': (5, 8), }");
    let npy = [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), &data].concat();
    fs::write(dir.path().join("x.npy"), npy).unwrap();
    dir
}

#[test]
fn an_entry_runs_beside_one_that_cannot_be_read() {
    let dir = folder();
    let (file, x, y) = (at(dir.path(), "scale.ptx"), at(dir.path(), "x.f32"), at(dir.path(), "y.f32"));
    let (from, to) = (format!("in:f32:{x}"), format!("out:f32:40:{y}"));
    let launch = ["--entry", "scale", "--grid", "2", "--block", "32"];
    let args = ["--arg", &to, "--arg", &from, "--arg", "f32:0.5", "--arg", "u32:40"];
    let output = ptxgen(&[&["exec", &file], &launch[..], &args[..]].concat());
    assert_eq!(code(&output), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(text(&output.stdout), "========= ERROR SUMMARY: 0 errors\n");
    assert_eq!(fs::read(&y).unwrap(), floats(&(0..40).map(|i| i as f32 / 2.0).collect::<Vec<_>>()));
}

#[test]
fn findings_have_their_source_lines_and_write_nothing() {
    let dir = folder();
    let (file, x, y) = (at(dir.path(), "scale.ptx"), at(dir.path(), "x.npy"), at(dir.path(), "y.npy"));
    let (from, to) = (format!("in:f32:{x}"), format!("out:f32:48:{y}"));
    // The bound is eight elements too large.
    let args = ["--arg", &to, "--arg", &from, "--arg", "f32:2", "--arg", "u32:48"];
    let launch = ["--entry", "scale", "--grid", "2", "--block", "32"];
    let output = ptxgen(&[&["exec", &file], &launch[..], &args[..]].concat());
    assert_eq!(code(&output), Some(1), "{}", text(&output.stderr));
    expect![[r#"
        ========= Access out of bounds: lane 8 accesses x[40] of 40: 4 bytes of global memory at 0x80001a0: byte 160 of the buffer of 160 bytes at 0x8000100
        =========     at `ld.global.f32 %f2, [%rd4];` at scale.cu:9:5, in scale
        =========     by thread (8, 0, 0) and 7 more of its warp in block (1, 0, 0)
        =========
        ========= ERROR SUMMARY: 1 error
    "#]]
    .assert_eq(&text(&output.stdout));
    assert!(!Path::new(&y).exists());
}

#[test]
fn numpy_arrays_keep_their_shape() {
    let dir = folder();
    let (file, x) = (at(dir.path(), "scale.ptx"), at(dir.path(), "x.npy"));
    let before = fs::read(&x).unwrap();
    let both = format!("inout:f32:{x}");
    let args = ["--arg", &both, "--arg", "zero:f32:40", "--arg", "f32:2", "--arg", "u32:40"];
    let launch = ["--entry", "scale", "--grid", "2", "--block", "32", "--counts"];
    let output = ptxgen(&[&["exec", &file], &launch[..], &args[..]].concat());
    assert_eq!(code(&output), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    assert!(text(&output.stdout).contains("warp instructions"), "{}", text(&output.stdout));
    let after = fs::read(&x).unwrap();
    assert_eq!(after.len(), before.len());
    assert!(after[before.len() - 160..].iter().all(|&b| b == 0));
    assert!(text(&after[10..80]).contains("'shape': (5, 8,)"), "{}", text(&after[10..80]));
}

#[test]
fn what_is_asked_for_wrongly_is_wrong_use() {
    let dir = folder();
    let file = at(dir.path(), "scale.ptx");
    let shown = |text: &str| text.replace(&file, "scale.ptx");
    let refuses = |args: &[&str], words: &str| {
        let output = ptxgen(&[&["exec", &file], args].concat());
        let said = shown(&text(&output.stderr));
        assert_eq!(code(&output), Some(2), "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
    };
    refuses(&[], "scale.ptx has 2 entries, so name one; it has scale, broken");
    refuses(&["--entry", "other"], "scale.ptx has no entry 'other'; it has scale, broken");
    refuses(&["--entry", "scale"], "kernel `scale` takes 4 arguments, and got 0");
    refuses(&["--entry", "scale", "--arg", "u32:x"], "--arg u32:x: 'x' is not a u32");
    refuses(&["--entry", "scale", "--block", "2000"], "a block has 1 to 1024 threads");
    refuses(&["--entry", "scale", "--block", "1,2,3,4"], "there are three dimensions at most");
    refuses(&["--entry", "scale", "--gpu", "h300"], "unknown GPU 'h300'; known are");
    let x = at(dir.path(), "x.npy");
    refuses(&["--entry", "scale", "--arg", &format!("in:u32:{x}")], "has elements '<f4', and u32 is '<u4'");
    let output = ptxgen(&["exec", &file, "--entry", "broken"]);
    let said = "error: entry 'broken' cannot run:\nscale.ptx:22:28: unknown instruction 'frobnicate'\n";
    assert_eq!((code(&output), shown(&text(&output.stderr)).as_str()), (Some(1), said));
}

/// Blocks that wait for each other: an endless wait is one finding, and too many blocks for a GPU are refused.
#[test]
fn grids_whose_blocks_wait_for_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let file = at(dir.path(), "wait.ptx");
    // Each block adds one and waits until all have.
    let ptx = r#".version 7.0
.target sm_80
.address_size 64
.visible .entry wait(.param .u64 count, .param .u32 blocks)
{
	.reg .b64 %c; .reg .b32 %n, %v; .reg .pred %p;
	ld.param.u64 %c, [count]; ld.param.u32 %n, [blocks];
	atom.global.add.u32 %v, [%c], 1;
Loop:
	ld.acquire.gpu.global.u32 %v, [%c];
	setp.lt.u32 %p, %v, %n;
	@%p bra Loop;
	ret;
}
"#;
    fs::write(&file, ptx).unwrap();
    let run = |grid: &str, blocks: &str, more: &[&str]| {
        let blocks = format!("u32:{blocks}");
        let args = ["--grid", grid, "--block", "1", "--arg", "zero:u32:1", "--arg", &blocks];
        let output = ptxgen(&[&["exec", &file], &args[..], more].concat());
        (code(&output), text(&output.stdout))
    };
    let (status, said) = run("50", "50", &[]);
    assert_eq!(status, Some(0), "{said}");
    let (status, said) = run("2", "3", &[]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("Endless wait") && said.contains("ld.acquire"), "{said}");
    // A T4 holds 16 blocks on each of 40 multiprocessors.
    let (status, said) = run("641", "641", &["--gpu", "t4"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("a GPU named t4"), "{said}");
    let (status, said) = run("640", "640", &["--gpu", "t4"]);
    assert_eq!(status, Some(0), "{said}");
}

/// Each block reads a word of the next block of its cluster.
const NEIGHBOURS: &str = r#".version 8.0
.target sm_90
.address_size 64
.visible .entry neighbours(.param .u64 y)
{
	.reg .b64 %y, %a; .reg .b32 %mine, %theirs, %v, %rank, %n, %next, %b; .shared .align 4 .b32 word;
	ld.param.u64 %y, [y]; mov.u32 %mine, word; mov.u32 %b, %ctaid.x;
	mov.u32 %rank, %cluster_ctarank; mov.u32 %n, %cluster_nctarank;
	add.u32 %next, %rank, 1; rem.u32 %next, %next, %n;
	st.shared.u32 [%mine], %b;
	barrier.cluster.arrive; barrier.cluster.wait;
	mapa.shared::cluster.u32 %theirs, %mine, %next;
	ld.shared::cluster.u32 %v, [%theirs];
	barrier.cluster.arrive; barrier.cluster.wait; // the last
	mul.wide.u32 %a, %b, 4; add.s64 %a, %y, %a; st.global.u32 [%a], %v;
	ret;
}
"#;

#[test]
fn blocks_of_a_cluster_reach_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let (file, y) = (at(dir.path(), "cluster.ptx"), at(dir.path(), "y.u32"));
    let run = |ptx: &str, more: &[&str]| {
        fs::write(&file, ptx).unwrap();
        let to = format!("out:u32:8:{y}");
        let args = ["--grid", "8", "--block", "1", "--arg", &to];
        let output = ptxgen(&[&["exec", &file], &args[..], more].concat());
        (code(&output), text(&output.stdout) + &text(&output.stderr))
    };
    let words = |list: [u32; 8]| list.into_iter().flat_map(u32::to_le_bytes).collect::<Vec<u8>>();
    for (cluster, expected) in
        [("2", [1, 0, 3, 2, 5, 4, 7, 6]), ("4", [1, 2, 3, 0, 5, 6, 7, 4]), ("8", [1, 2, 3, 4, 5, 6, 7, 0])]
    {
        let (status, said) = run(NEIGHBOURS, &["--cluster", cluster]);
        assert_eq!(status, Some(0), "{said}");
        assert_eq!(fs::read(&y).unwrap(), words(expected), "clusters of {cluster}");
    }
    let (status, said) = run(NEIGHBOURS, &["--cluster", "3"]);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("cluster"), "{said}");
    let (status, said) = run(NEIGHBOURS, &["--cluster", "32"]);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("16"), "{said}");
    // Without the last barrier a block may leave while its neighbour reads.
    let last = "barrier.cluster.arrive; barrier.cluster.wait; // the last";
    let (status, said) = run(&NEIGHBOURS.replace(last, ""), &["--cluster", "2"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("left"), "{said}");
}
