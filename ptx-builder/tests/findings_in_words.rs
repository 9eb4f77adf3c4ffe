//! What a run finds is told in the author's words: parameters, arrays, elements, lines.

use ptxgen_builder::build::*;
use ptxgen_builder::testing::Harness;

#[test]
fn findings_name_the_parameter_and_the_array() {
    let k = kernel::<(In<f32>, Out<f32>)>("past", ["x", "y"], |k, (x, y)| {
        let i = k.thread_x();
        y.at(i).store(k, x.at(i).load(k));
    })
    .with_block(32);
    let error = Harness::new(&k).input("x", &[1f32; 20]).output::<f32>("y", 32).run().unwrap_err().to_string();
    assert!(error.contains("x[20] of 20"), "{error}");

    let k = kernel::<(Out<f32>,)>("halves", ["y"], |k, (y,)| {
        let tile = k.shared::<f32>(64).named("tile");
        let i = k.thread_x();
        tile.at(i).store(k, 1.0);
        y.at(i).store(k, tile.at(i + 1).load(k));
    });
    let error = Harness::new(&k.clone().with_block(64)).output::<f32>("y", 64).run().unwrap_err().to_string();
    assert!(error.contains("tile[64] of 64"), "{error}");
    let error = Harness::new(&k.with_block(63)).output::<f32>("y", 63).run().unwrap_err().to_string();
    assert!(error.contains("lane 31 reads tile[32] of 64: 4 bytes of shared memory"), "{error}");
    assert!(error.contains("k.barrier()") && error.contains("k.sync_warp("), "{error}");

    let k = kernel::<(InOut<u32>,)>("blocks", ["count"], |k, (count,)| count.plus(1).store(k, k.block_x()));
    let run = Harness::new(&k.with_block(1)).grid(2).inout("count", &[0u32; 2]).run();
    let error = run.unwrap_err().to_string();
    assert!(error.contains("count[1] of 2") && error.contains("blocks are ordered by"), "{error}");
}

/// What a thread reads of two arrays, by its number and 1.
type Read = fn(&Body, [Shared<f32>; 2], Val<u32>, Val<u32>) -> Val<f32>;

/// Two arrays lie side by side, and what runs past one finds the other. `one` is the number 1, which the verifier does
/// not know.
#[test]
fn an_array_ends_where_it_ends() {
    let run = |read: Read| {
        let k = kernel::<(u32, Out<f32>)>("arrays", ["one", "y"], |k, (one, y)| {
            let (first, second) = (k.shared::<f32>(64).named("first"), k.shared::<f32>(64).named("second"));
            let i = k.thread_x();
            first.at(i).store(k, 1.0);
            second.at(i).store(k, 2.0);
            k.barrier();
            y.at(i).store(k, read(k, [first, second], i, one));
        });
        let harness = Harness::new(&k.with_block(64)).scalar("one", 1u32);
        harness.output::<f32>("y", 64).run().map(|_| ()).map_err(|e| e.to_string())
    };
    let past = run(|k, [first, second], i, one| first.at(i + one).load(k) + second.at(i).load(k)).unwrap_err();
    assert!(
        past.contains("lane 31 accesses first[64] of 64") && past.contains("byte 256 of the array of 256"),
        "{past}"
    );
    let before = run(|k, [_, second], i, one| second.at(i - one).load(k)).unwrap_err();
    assert!(before.contains("second[-1] of 64") && before.contains("4 bytes before the array"), "{before}");
    // Through a variable, in a loop.
    let walked = run(|k, [first, second], i, _| {
        let (at, sum) = (k.var(first.at(i).address()), k.var(second.at(i).load(k)));
        k.for_(0, 65, 1, |k, _, _| {
            sum.add(Shared::<f32>::from_address(at.get()).load(k));
            at.add(4);
        });
        sum.get()
    });
    assert!(walked.unwrap_err().contains("first[64] of 64"));
    // One of the two: only the window bounds it.
    let either = run(|k, [first, second], i, _| {
        let at = first.address().select(i.lt(32), second.address());
        Shared::<f32>::from_address(at).at(i & 31).load(k)
    });
    assert_eq!(either, Ok(()));
    assert_eq!(run(|k, [first, second], i, _| first.at(i).load(k) + second.at(63 - i).load(k)), Ok(()));
}

#[test]
fn an_index_below_zero_is_told_as_such() {
    let k = kernel::<(u32, In<f32>, Out<f32>)>("stencil", ["one", "x", "y"], |k, (one, x, y)| {
        let i = k.global_thread_id();
        y.at(i).store(k, x.at(i - one).load(k));
    });
    let harness = Harness::new(&k).block(64).scalar("one", 1u32).input("x", &[1f32; 64]).output::<f32>("y", 64);
    let error = harness.run().unwrap_err().to_string();
    assert!(error.contains("x[4294967295] of 64 (index -1)"), "{error}");
}

/// A line that Rust unrolls is told of once.
#[test]
fn findings_of_the_same_lines_are_told_once() {
    let k = kernel::<(Out<f32>,)>("unrolled", ["y"], |k, (y,)| {
        let tile = k.shared::<f32>(64);
        let i = k.thread_x();
        tile.at(i).store(k, 1.0);
        let sum = k.var(0.0f32);
        for other in 1..9u32 {
            sum.add(tile.at(i ^ (other << 2)).load(k));
        }
        y.at(i).store(k, sum.get());
    });
    let run = Harness::new(&k.with_block(64)).output::<f32>("y", 64).allow_findings().run().unwrap();
    let text = run.report().to_string();
    assert!(run.report().findings.len() > 8, "{text}");
    assert!(text.matches("Race").count() <= 2 && text.contains("more of the same kind and lines"), "{text}");
}

#[test]
fn dynamic_shared_memory_is_what_the_launch_gives() {
    let k = kernel::<(Out<f32>,)>("dynamic", ["y"], |k, (y,)| {
        let (tile, i) = (k.dynamic_shared::<f32>(), k.thread_x());
        tile.at(i).store(k, 1.0);
        y.at(i).store(k, tile.at(i).load(k));
    });
    let run = |bytes| {
        let harness = Harness::new(&k.clone().with_block(32)).dynamic_shared(bytes).output::<f32>("y", 32);
        harness.run().map(|_| ()).map_err(|e| e.to_string())
    };
    let error = run(64).unwrap_err();
    assert!(
        error.contains("dynamic shared memory[16] of 16") && error.contains("the launch gives 64 bytes"),
        "{error}"
    );
    assert_eq!(run(128), Ok(()));
}

/// The element at `row * cols + col` of a matrix, and that before the first and back again.
fn matrix(wide: bool) -> Kernel<(u32, u32, In<f32>, Out<f32>)> {
    kernel::<(u32, u32, In<f32>, Out<f32>)>("matrix", ["row", "cols", "x", "y"], move |k, (row, cols, x, y)| {
        let col = k.thread_x();
        let there = if wide { x.at64(row.mad_wide(cols, col.to::<u64>())) } else { x.at(row * cols + col) };
        y.at((col - 1) + 1).store(k, there.load(k));
    })
    .with_block(4)
}

#[test]
fn an_index_that_wraps_is_found_at_its_line() {
    let run = |wide, row: u32, cols: u32| {
        let harness = Harness::new(&matrix(wide)).scalar("row", row).scalar("cols", cols);
        harness.input("x", &[1f32; 16]).output::<f32>("y", 4).run()
    };
    assert!(run(false, 3, 4).is_ok() && run(true, 3, 4).is_ok());
    let error = run(false, 1 << 16, 1 << 16).unwrap_err().to_string();
    assert!(error.contains("IndexWrapped") && error.contains("at64") && !error.contains("OutOfBounds"), "{error}");
    let error = run(true, 1 << 16, 1 << 16).unwrap_err().to_string();
    assert!(error.contains("OutOfBounds") && !error.contains("IndexWrapped"), "{error}");
}
