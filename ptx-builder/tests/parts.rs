//! Kernels that are made of parts: threads that work alone, memory that parts share, parameters that they have in common.

use ptxgen_builder::build::{In, InOut, Kernel, Out, kernel, merged};
use ptxgen_builder::print::{PrintOptions, print};
use ptxgen_builder::target::Target;
use ptxgen_builder::testing::Harness;

/// Two parts with arrays of different types and sizes, of which the second one's first 32 threads work alone.
fn two_parts() -> Kernel<(In<u32>, Out<u64>)> {
    kernel::<(In<u32>, Out<u64>)>("two_parts", ["x", "y"], |k, (x, y)| {
        let i = k.thread_x();
        k.part(|k| {
            let (room, more) = (k.shared::<u32>(64), k.shared::<u8>(3));
            room.at(i).store(k, x.at(i).load(k));
            more.at(i & 1).store_if(k, i.lt(2), i.to());
            k.barrier();
            y.at(i).store(k, room.at(i ^ 1).load(k).to());
        });
        k.barrier();
        k.part(|k| {
            k.first_threads(32, |k| {
                let room = k.shared::<u64>(32);
                room.at(i).store(k, y.at(i).load(k));
                k.barrier();
                y.at(i).store(k, room.at(i ^ 31).load(k) * 2);
            });
        });
    })
    .with_block(64)
}

#[test]
fn parts_in_the_same_memory_give_the_same() {
    let x: Vec<u32> = (0..64).map(|i| 7 * i).collect();
    let expected: Vec<u64> = (0..64u64).map(|i| if i < 32 { 14 * (i ^ 30) } else { 7 * (i ^ 1) }).collect();
    assert_eq!((two_parts().shared_bytes(), two_parts().overlaid().shared_bytes()), (272 + 256, 259));
    for kernel in [two_parts(), two_parts().overlaid()] {
        let run = Harness::new(&kernel).input("x", &x).output::<u64>("y", 64).block([64, 1, 1]).run().unwrap();
        assert_eq!(run.read::<u64>("y").unwrap(), expected);
    }
}

/// A barrier of the first threads has a number of its own, and theirs.
#[test]
fn first_threads_wait_for_each_other_alone() {
    let text =
        print(&two_parts().verify(Target::SM_75).unwrap(), &PrintOptions::default()).replace("            ", " ");
    assert_eq!((text.matches("bar.sync 0;").count(), text.matches("bar.sync 1, 32;").count()), (2, 1), "{text}");
}

fn first(outer: u32, inner: Option<u32>) {
    let _ = kernel::<(Out<u32>,)>("first", ["y"], |k, _| {
        k.first_threads(outer, |k| {
            if let Some(inner) = inner {
                k.first_threads(inner, |_| ());
            }
        });
    });
}

#[test]
#[should_panic(expected = "first_threads(48): barriers count warps, so this is a multiple of 32")]
fn first_threads_are_warps() {
    first(48, None);
}

#[test]
#[should_panic(expected = "first_threads(32) inside of first_threads")]
fn first_threads_are_not_divided_again() {
    first(64, Some(32));
}

/// A number and a buffer, and buffers of different types.
#[test]
fn parts_agree_on_their_parameters() {
    let clash = |name: &'static str| {
        let kernel = merged("clash", |_, parameters| {
            parameters.declare::<(u32, In<f32>, Out<u32>)>(&["n", "x", "y"])?;
            parameters.declare::<(InOut<u32>,)>(&[name])?;
            Ok(())
        });
        kernel.map(|_| ()).map_err(|e| e.to_string())
    };
    assert_eq!(clash("y"), Ok(()));
    assert_eq!(clash("z"), Ok(()));
    let other = |name, before| {
        format!(
            "parameter '{name}' is a buffer of u32 here and {before} in a part before: give it another name in one of them"
        )
    };
    assert_eq!(clash("n"), Err(other("n", "a u32")));
    assert_eq!(clash("x"), Err(other("x", "a buffer of f32")));
}
