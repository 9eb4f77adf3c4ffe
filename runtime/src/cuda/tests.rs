//! Tests of internals; they need a GPU.

use ptxgen_builder::build::{Out, kernel};

use super::*;

fn gpu() -> Cuda {
    let options = CudaOptions { cache: CodeCache::Off, ..CudaOptions::default() };
    Cuda::new(0, options).unwrap_or_else(|e| panic!("this test needs an NVIDIA GPU: {e}"))
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn what_the_compiler_rejects_is_told_with_the_author_s_line() {
    let cuda = gpu();
    let line = line!() + 2;
    let k = kernel::<(Out<f32>,)>("k", ["y"], |k, (y,)| {
        y.at(3u32).store(k, 1.5);
    });
    let module = k.verify(cuda.target).expect("verifies");
    // Text that has not been verified.
    let ptx = print(&module, &PrintOptions::default()).replace("st.global.f32", "st.global.f32.wrong");
    cuda.context.enter().expect("a context");
    let Err(DeviceError::Jit(error)) = cuda.compile(&module, &ptx, [0; 32]) else { panic!("it compiles") };
    let text = error.to_string();
    assert!(text.contains(".wrong") && text.contains(&format!("{}:{line}:", file!())), "{text}\n{}", error.log);
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn code_of_another_kind_is_made_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = CudaOptions { cache: CodeCache::Folder(folder.path().to_owned()), ..CudaOptions::default() };
    let cuda = Cuda::new(0, options).unwrap_or_else(|e| panic!("this test needs an NVIDIA GPU: {e}"));
    let k = kernel::<(Out<f32>,)>("k", ["y"], |k, (y,)| {
        y.at(0u32).store(k, 1.5);
    });
    let module = Arc::new(k.verify(cuda.target).expect("verifies"));
    let ptx = print(&module, &PrintOptions::default());
    cuda.context.enter().expect("a context");
    let (key, code) = cuda.code(&module, &ptx).expect("compiles");
    assert!(jit::is_whole(&code) && !jit::is_whole(&code[..code.len() / 2]));
    let cache = cuda.cache.as_ref().expect("a cache");
    cache.put(&key, b"\x7fELF and then nothing that the driver could load");
    let module = cuda.load(&module).expect("loads");
    cuda.unload(module);
    assert_eq!(cache.get(&key).as_deref(), Some(&code[..]));
}
