//! A first kernel: written, verified, printed, and run without a GPU.

use ptxgen::prelude::*;

/// y[i] = a * x[i] + y[i]
fn saxpy() -> Kernel<(u32, f32, In<f32>, InOut<f32>)> {
    kernel::<(u32, f32, In<f32>, InOut<f32>)>("saxpy", ["n", "a", "x", "y"], |k, (n, a, x, y)| {
        let i = k.global_thread_id();
        k.if_(i.lt(n), |k| {
            let sum = a.fma(x.at(i).load(k), y.at(i).load(k));
            y.at(i).store(k, sum);
        });
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let module = saxpy().verify(Target::SM_90)?;
    println!("{}", print(&module, &PrintOptions { lineinfo: false, comments: true }));

    let floats = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let mut memory = Memory::new();
    let x = memory.alloc(&floats(&[1.0, 2.0, 3.0]), 16)?;
    let y = memory.alloc(&floats(&[10.0, 20.0, 30.0]), 16)?;
    let launch = Launch {
        module: &module,
        kernel: "saxpy",
        grid: [1, 1, 1],
        block: [32, 1, 1],
        dynamic_shared: 0,
        args: &[Arg::from(3u32), Arg::from(2.0f32), Arg::from(x), Arg::from(y)],
        globals: None,
        options: &Options::default(),
    };
    let report = launch.run(&mut memory)?;
    for finding in &report.findings {
        println!("{finding}");
    }
    assert_eq!(memory.read(y)?, floats(&[12.0, 24.0, 36.0]));
    Ok(())
}
