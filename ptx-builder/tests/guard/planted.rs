//! Accesses outside, of every kind: each is reported at its line, and nothing outside is touched (the support
//! checks that with canaries).

use ptxgen_builder::build::{Args, AsyncBytes, Dim3, In, InOut, Kernel, Out, Shared, kernel};
use ptxgen_builder::guard::{GuardError, Touch, Wrong, guard};
use ptxgen_builder::parse::parse;
use ptxgen_builder::target::Target;
use ptxgen_builder::verify::verify;

use crate::support::{Outcome, Pass, assembles, guarded, run, words};

/// Runs a kernel that goes astray, and holds what it tells.
#[track_caller]
fn astray<A: Args>(
    kernel: &Kernel<A>,
    (grid, block, dynamic): (u32, u32, u32),
    args: &[Pass],
    line: u32,
    text: &str,
) -> Outcome {
    let guarded = guarded(kernel);
    assembles(&guarded.module);
    let outcome = run(&guarded, grid, block, dynamic, args);
    let (violation, _) = outcome.violation.as_ref().unwrap_or_else(|| panic!("nothing was told: {}", outcome.findings));
    let len = match &violation.object {
        Some(ptxgen_builder::guard::Object::Buffer(i)) => match &args[*i as usize] {
            Pass::Bytes(bytes) => bytes.len() as u64,
            _ => 0,
        },
        Some(ptxgen_builder::guard::Object::Dynamic) => dynamic.into(),
        _ => 256,
    };
    assert_eq!(violation.describe("x", violation.element, len), text);
    assert_eq!(violation.loc.as_ref().map(|l| l.line), Some(line), "{violation:?}");
    assert!(violation.loc.as_ref().is_some_and(|l| l.file.ends_with("planted.rs")));
    outcome
}

fn numbers(n: u32) -> Pass {
    words(&(0..n).collect::<Vec<_>>())
}

#[test]
fn one_element_beyond_the_end() {
    let line = line!() + 3;
    let k = kernel::<(In<u32>, Out<u32>)>("k", ["x", "y"], |k, (x, y)| {
        let i = k.global_thread_id();
        let v = x.at(i).load(k);
        y.at(i).store(k, v + 1u32);
    });
    let outcome = astray(&k, (1, 32, 0), &[numbers(20), numbers(32)], line, "x[20] of 20");
    let (violation, record) = outcome.violation.unwrap();
    assert_eq!((record.thread, record.block), ([20, 0, 0], [0, 0, 0]));
    assert_eq!((violation.touch, violation.wrong), (Touch::Reads, Wrong::Outside));
    let y: Vec<u32> = outcome.buffers[1].as_chunks().0.iter().map(|w| u32::from_le_bytes(*w)).collect();
    let expected: Vec<u32> = (0..32).map(|i| if i < 20 { i + 1 } else { 1 }).collect();
    assert_eq!(y, expected, "the others are whole, and a load outside gives 0");
}

#[test]
fn partly_beyond_the_end() {
    let line = line!() + 2;
    let k = kernel::<(In<u32>, Out<u32>)>("k", ["x", "y"], |k, (x, y)| {
        let [a, b] = x.at(k.thread_x() * 2u32).load_vec::<2>(k);
        y.at(k.thread_x()).store(k, a + b);
    });
    astray(&k, (1, 32, 0), &[numbers(63), numbers(32)], line, "x[62..64] of 63");
}

#[test]
fn a_negative_index() {
    let line = line!() + 4;
    // By how much is not to be known before it runs: the verifier would refuse it.
    let k = kernel::<(u32, In<u32>, Out<u32>)>("k", ["n", "x", "y"], |k, (n, x, y)| {
        let i = k.thread_x();
        let v = x.at(i - n).load(k);
        y.at(i).store(k, v);
    });
    let text = "x[4294967295] of 32 (index -1 as a signed number)";
    astray(&k, (1, 32, 0), &[Pass::Word(1), numbers(32), numbers(32)], line, text);
    let line = line!() + 2;
    let k = kernel::<(In<u32>, Out<u32>)>("k", ["x", "y"], |k, (x, y)| {
        let v = x.at(k.thread_x()).plus(-1).load(k);
        y.at(k.thread_x()).store(k, v);
    });
    astray(&k, (1, 32, 0), &[numbers(32), numbers(32)], line, "x[-1] of 32");
}

#[test]
fn a_huge_index() {
    let line = line!() + 2;
    let k = kernel::<(InOut<u32>,)>("k", ["x"], |k, (x,)| {
        x.at(k.thread_x() * 0x0800_0001u32).store(k, 7);
    });
    astray(&k, (1, 2, 0), &[numbers(32)], line, "x[134217729] of 32");
}

#[test]
fn a_vector_at_the_edge() {
    let line = line!() + 3;
    let k = kernel::<(InOut<f32>,)>("k", ["x"], |k, (x,)| {
        let i = k.thread_x() * 4u32;
        x.at(i).store_vec(k, [1.0f32.into(), 2.0f32.into(), 3.0f32.into(), 4.0f32.into()]);
    });
    let outcome = astray(&k, (1, 8, 0), &[words(&[0; 30])], line, "x[28..32] of 30");
    assert_eq!(outcome.buffers[0][28 * 4..], [0; 8], "the elements inside are not written either");
}

#[test]
fn an_atomic() {
    let line = line!() + 3;
    let k = kernel::<(InOut<u32>, Out<u32>)>("k", ["x", "y"], |k, (x, y)| {
        let i = k.thread_x();
        let old = x.at(i + 1u32).atomic_add(k, 1);
        y.at(i).store(k, old);
    });
    let outcome = astray(&k, (1, 32, 0), &[words(&[5; 32]), numbers(32)], line, "x[32] of 32");
    assert_eq!(outcome.violation.unwrap().0.touch, Touch::Updates);
    assert_eq!(outcome.buffers[0][4..8], [6, 0, 0, 0]);
}

#[test]
fn shared_memory_of_the_kernel() {
    let line = line!() + 5;
    let k = kernel::<(u32, Out<u32>)>("k", ["n", "y"], |k, (n, y)| {
        let tile = k.shared::<u32>(64);
        let other = k.shared::<u32>(64);
        let i = k.thread_x();
        tile.at(i + n).store(k, i);
        other.at(i).store(k, i);
        k.barrier();
        y.at(i).store(k, other.at(i).load(k));
    });
    let outcome = astray(&k.with_block(64), (1, 64, 0), &[Pass::Word(1), numbers(64)], line, "x[64] of 64");
    assert_eq!(outcome.buffers[0], words_bytes(64), "the array after is as it was");
}

fn words_bytes(n: u32) -> Vec<u8> {
    (0..n).flat_map(u32::to_le_bytes).collect()
}

#[test]
fn shared_memory_of_the_launch() {
    let line = line!() + 4;
    let k = kernel::<(Out<u32>,)>("k", ["y"], |k, (y,)| {
        let tile: Shared<u32> = k.dynamic_shared();
        let i = k.thread_x();
        tile.at(i).store(k, i);
        k.barrier();
        y.at(i).store(k, tile.at(i).load(k));
    });
    astray(&k, (1, 64, 100), &[numbers(64)], line, "x[25] of 25");
}

#[test]
fn an_asynchronous_copy() {
    let line = line!() + 4;
    let k = kernel::<(In<u32>, Out<u32>)>("k", ["x", "y"], |k, (x, y)| {
        let tile = k.shared::<u32>(128);
        let i = k.thread_x();
        k.copy_async(tile.at(i * 4u32), x.at(i * 4u32), AsyncBytes::B16);
        k.copy_async_commit();
        k.copy_async_wait(0);
        k.barrier();
        y.at(i).store(k, tile.at(i).load(k));
    });
    astray(&k.with_block(32), (1, 32, 0), &[numbers(126), numbers(32)], line, "x[31] of 31");
}

#[test]
fn after_many_that_are_inside() {
    let line = line!() + 4;
    let k = kernel::<(u32, In<u32>, Out<u32>)>("k", ["n", "x", "y"], |k, (n, x, y)| {
        let sum = k.var::<u32>(0);
        k.for_(0u32, n, 1u32, |k, i, _| {
            sum.add(x.at(i).load(k));
        });
        y.at(0u32).store(k, sum.get());
    });
    let outcome = astray(&k, (1, 1, 0), &[Pass::Word(10_000), numbers(9_000), numbers(1)], line, "x[9000] of 9000");
    let sum: u32 = (0..9_000).sum();
    assert_eq!(outcome.buffers[1], sum.to_le_bytes());
}

#[test]
fn a_pointer_that_was_moved() {
    let line = line!() + 5;
    let k = kernel::<(u32, InOut<u32>)>("k", ["n", "x"], |k, (n, x)| {
        let row = x.at(k.thread_x() * 8u32);
        let column = row.at(n);
        let next = column.plus(1);
        next.store(k, 9);
    });
    astray(&k, (1, 4, 0), &[Pass::Word(7), numbers(32)], line, "x[32] of 32");
    assert!(run(&guarded(&k), 1, 4, 0, &[Pass::Word(6), numbers(32)]).violation.is_none());
}

#[test]
fn an_address_that_is_no_multiple_of_its_size() {
    let line = line!() + 2;
    let k = kernel::<(u32, InOut<u8>)>("k", ["n", "x"], |k, (n, x)| {
        let v = x.at(n).cast::<u32>().load(k);
        x.cast::<u32>().at(0u32).store(k, v);
    });
    let bytes = || Pass::Bytes((0..32).collect());
    let outcome = astray(&k, (1, 1, 0), &[Pass::Word(6), bytes()], line, "bytes 6..10 of `x`, which has 32");
    assert_eq!(outcome.violation.unwrap().0.wrong, Wrong::Misaligned);
    assert!(run(&guarded(&k), 1, 1, 0, &[Pass::Word(28), bytes()]).violation.is_none());
    assert!(run(&guarded(&k), 1, 1, 0, &[Pass::Word(29), bytes()]).violation.is_some());
}

#[test]
fn under_a_guard_only_where_it_holds() {
    let line = line!() + 4;
    let k = kernel::<(u32, In<u32>, Out<u32>)>("k", ["n", "x", "y"], |k, (n, x, y)| {
        let i = k.thread_x();
        let holds = i.lt(n);
        let v = x.at(i).load_or(k, holds, 77);
        y.at(i).store(k, v);
    });
    let inside = run(&guarded(&k), 1, 32, 0, &[Pass::Word(20), numbers(20), numbers(32)]);
    assert!(inside.violation.is_none(), "what the guard keeps away is no violation");
    assert_eq!(inside.buffers[1][20 * 4..24 * 4], 77u32.to_le_bytes().repeat(4));
    astray(&k, (1, 32, 0), &[Pass::Word(21), numbers(20), numbers(32)], line, "x[20] of 20");
}

#[test]
fn any_of_two_buffers() {
    let line = line!() + 4;
    let k = kernel::<(u32, InOut<u32>, InOut<u32>)>("k", ["n", "x", "y"], |k, (n, x, y)| {
        let address = k.var::<u64>(x.address());
        k.if_(k.thread_x().lt(1u32), |_| address.set(y.address()));
        ptxgen_builder::build::Global::<u32>::from_address(address.get()).at(n).store(k, 3);
    });
    let args = |n| [Pass::Word(n), numbers(16), numbers(8)];
    let good = run(&guarded(&k), 1, 2, 0, &args(7));
    assert!(good.violation.is_none() && good.buffers.iter().all(|b| b[28] == 3));
    let guarded = guarded(&k);
    let bad = run(&guarded, 1, 2, 0, &args(8));
    let (violation, record) = bad.violation.expect("it is told");
    assert_eq!((violation.object, record.thread), (None, [0; 3]));
    assert_eq!(violation.loc.map(|l| l.line), Some(line));
}

#[test]
fn what_cannot_be_followed_or_must_not_be_written_is_refused() {
    let k = kernel::<(In<u32>,)>("k", ["x"], |k, (x,)| {
        ptxgen_builder::build::Global::<u32>::from_address(x.address()).store(k, 3);
    });
    let module = k.verify(Target::SM_90).unwrap();
    let error = guard(&module, |_, _| false).unwrap_err();
    assert!(matches!(error, GuardError::ReadOnly { .. }), "{error}");
    assert!(
        error.to_string().contains("planted.rs") && error.to_string().contains("`k_x`, which is an `In`"),
        "{error}"
    );
    let text = "
.version 8.0
.target sm_90
.address_size 64
.visible .entry k(.param .u64 n)
{
    .reg .b64 %rd<3>;
    .reg .b32 %r<2>;
    ld.param.u64 %rd0, [n];
    shl.b64 %rd1, %rd0, 4;
    ld.u32 %r0, [%rd1];
    st.u32 [%rd1], %r0;
    ret;
}
";
    let module = verify(parse("k.ptx", text).unwrap()).unwrap();
    let error = guard(&module, |_, _| true).unwrap_err();
    assert!(matches!(error, GuardError::Unknown { .. }), "{error}");
    assert!(error.to_string().contains("k.ptx:11"), "{error}");
}

#[test]
fn a_mask_a_shape_and_a_divisor_prove_shared_accesses() {
    let k = kernel::<(u32, Out<u32>)>("k", ["n", "y"], |k, (n, y)| {
        let tile = k.shared::<u32>(256);
        let i = k.thread_x();
        tile.at(i).store(k, n);
        tile.at((i + n) & 255u32).store(k, n);
        tile.at(n % 256u32).store(k, n);
        k.barrier();
        y.at(0u32).store(k, tile.at(i).load(k));
    });
    let guarded = guarded(&k.with_block(Dim3::from(256u32)));
    assert_eq!((guarded.kernels[0].checks, guarded.kernels[0].proved), (1, 4));
}

/// A block whose copy is left out would wait for it for ever.
#[test]
fn a_bulk_copy_and_those_who_wait_for_it() {
    for constant in [true, false] {
        let line = std::cell::Cell::new(0);
        let k = kernel::<(u32, In<u32>, Out<u32>)>("k", ["n", "x", "y"], |k, (n, x, y)| {
            let tile = k.shared::<u32>(128);
            let done = k.mbarrier();
            let i = k.thread_x();
            k.if_(i.eq(0), |k| done.init(k, 1u32));
            k.barrier();
            k.if_(i.eq(0), |k| {
                done.arrive_expecting(k, 512u32);
                let from = x.at(k.block_x() * 64u32);
                line.set(if constant { line!() + 2 } else { line!() + 3 });
                match constant {
                    true => k.copy_bulk(tile, from, 512u32, done),
                    false => k.copy_bulk(tile, from, n, done),
                }
            });
            done.wait(k, 0u32);
            y.at(k.global_thread_id()).store(k, tile.at(i).load(k));
        });
        let k = k.with_block(64);
        let args = |words: u32| [Pass::Word(512), numbers(words), numbers(256)];
        let whole = run(&guarded(&k), 4, 64, 0, &args(64 * 3 + 128));
        assert!(whole.violation.is_none(), "{:?}", whole.violation);
        let expected: Vec<u8> = words_bytes(256);
        assert_eq!(whole.buffers[1], expected);
        let outcome = run(&guarded(&k), 4, 64, 0, &args(64 * 3 + 124));
        let (violation, record) = outcome.violation.expect("it is told");
        let len = u64::from(64u32 * 3 + 124) * 4;
        assert_eq!(violation.describe("x", 4, len), "x[192..320] of 316");
        assert_eq!((record.block, record.thread), ([3, 0, 0], [0; 3]));
        assert_eq!(violation.loc.map(|l| l.line), Some(line.get()));
        assembles(&guarded(&k).module);
    }
}

/// Matrix loads are executed by whole warps: lanes outside read elsewhere.
#[test]
fn a_matrix_load() {
    use ptxgen_builder::table::{Mod, Op};
    use ptxgen_builder::types::ScalarType;
    let mut line = 0;
    let k = kernel::<(u32, Out<u32>)>("k", ["n", "y"], |k, (n, y)| {
        let tile = k.shared::<u32>(32);
        let i = k.thread_x();
        tile.at(i).store(k, i);
        k.barrier();
        // Eight lanes give the rows, of 16 bytes each; what the others give is not used.
        let row = tile.at((i & 7) * 4 + n);
        let d = k.var::<u32>(0).get();
        let mods = [Mod::Aligned, Mod::M8n8, Mod::X1, Mod::Shared, Mod::Ty(ScalarType::B16)];
        line = line!() + 1;
        k.emit(Op::Ldmatrix, &mods, &[d.operand(), row.operand()]);
        y.at(i).store(k, d);
    });
    let k = k.with_block(32);
    let inside = run(&guarded(&k), 1, 32, 0, &[Pass::Word(0), numbers(32)]);
    assert!(inside.violation.is_none());
    assert_eq!(inside.buffers[0], words_bytes(32));
    let guarded = guarded(&k);
    assembles(&guarded.module);
    let outcome = run(&guarded, 1, 32, 0, &[Pass::Word(4), numbers(32)]);
    let (violation, record) = outcome.violation.expect("it is told");
    assert_eq!((violation.loc.map(|l| l.line), record.thread), (Some(line), [7, 0, 0]));
    assert_eq!((violation.first, violation.bytes), (128, 16));
}
