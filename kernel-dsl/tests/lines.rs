//! What a public device function writes has the line of its call, in whatever kernel it stands.

use ptxgen_builder::build::{Body, Global, In, InOut, ReadOnly, Val, kernel};
use ptxgen_builder::target::Target;
use ptxgen_dsl::device::*;
use ptxgen_dsl::format::Q8KPlanar;

type Write = fn(&Body, ReadOnly<f32>, Global<u32>, Val<u32>);

#[test]
fn device_functions_have_their_callers_line() {
    let functions: [(&str, Write); 15] = [
        ("argmax_key", |k, x, _, i| _ = argmax_key(x.load(k), i)),
        ("argmax_index", |k, _, y, _| _ = argmax_index(y.cast().load(k))),
        ("block_max", |k, _, y, i| _ = block_max(k, y.cast().load(k), i, 64)),
        ("last_block", |k, _, y, i| _ = last_block(k, y, 4, i)),
        ("quantize_q8k", |k, x, y, i| quantize_q8k(k, &Q8KPlanar::new(256), x, y.cast(), i, i & 31)),
        ("block_prefix_sums", |k, _, y, i| _ = block_prefix_sums(k, y.cast().load(k), i, 64)),
        ("sort_keys", |k, _, _, i| sort_keys(k, k.shared(64), 64, i, 32)),
        ("swiglu_exact", |k, x, _, _| _ = swiglu_exact::<f64>(x.load(k), x.load(k))),
        ("swiglu_approx", |k, x, _, _| _ = swiglu_approx::<f32>(x.load(k), x.load(k))),
        ("butterfly", |k, x, _, _| _ = butterfly(k, x.load(k), [1, 2])),
        ("butterfly_int", |k, _, y, _| _ = butterfly_int(k, y.cast().load(k), [1, 2])),
        ("butterfly_many", |k, x, _, i| _ = butterfly_many(k, vec![x.load(k); 5], 8, i)),
        ("row_tree", |k, x, _, _| _ = row_tree(&[x.load(k); 5], 8)),
        ("exponential", |k, x, _, _| _ = f32::exponential(x.load(k))),
        ("exponential of f64", |k, x, _, _| _ = f64::exponential(x.load(k).to())),
    ];
    for (name, write) in functions {
        let k = kernel::<(In<f32>, InOut<u32>)>("one", ["x", "y"], |k, (x, y)| write(k, x, y, k.thread_x()));
        let module = k.module(Target::SM_90);
        let mut count = 0;
        for (.., inst) in module.kernels[0].insts() {
            let loc = inst.loc.as_ref().expect("an instruction has a line");
            assert_eq!(&*loc.file, file!(), "{name}: {loc}");
            count += 1;
        }
        assert!(count > 6, "{name} writes something");
    }
}
