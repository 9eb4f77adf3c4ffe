//! A stand-in for NVIDIA's driver, built as `libcuda.so` by `driver.rs` beside this file. It has the
//! functions that the runtime calls, keeps "device" memory in the host's, runs no kernel, and fails where
//! `PTXGEN_FAKE_CUDA` says: `version=11080`, `gpus=0`, `sm=70` and `free=BYTES` are what it answers,
//! `log=FILE` has the names of the calls, and `NAME=CODE` or `NAME=CODE@N` is the result of a function, from
//! its Nth call on.

use std::alloc::{Layout, alloc_zeroed};
use std::collections::HashMap;
use std::ffi::{c_char, c_int, c_uint, c_void};
use std::io::Write;
use std::sync::{Mutex, OnceLock};

type Pointer = *mut c_void;

/// A setting's text.
fn setting(name: &str) -> Option<&'static str> {
    static ALL: OnceLock<HashMap<String, String>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let text = std::env::var("PTXGEN_FAKE_CUDA").unwrap_or_default();
        let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    });
    all.get(name).map(String::as_str)
}

fn number(name: &str, otherwise: u64) -> u64 {
    setting(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// A call's result: 0, or what it is told to fail with.
fn answer(name: &str) -> c_int {
    static CALLS: Mutex<Option<HashMap<String, u64>>> = Mutex::new(None);
    let mut calls = CALLS.lock().unwrap();
    let count = calls.get_or_insert_default().entry(name.to_owned()).or_default();
    *count += 1;
    if let Some(path) = setting("log") {
        let mut log = std::fs::OpenOptions::new().create(true).append(true).open(path).expect("the log opens");
        writeln!(log, "{name}").expect("the log is written");
    }
    let Some(text) = setting(name) else { return 0 };
    let (code, from) = text.split_once('@').unwrap_or((text, "1"));
    let (code, from): (c_int, u64) = (code.parse().expect("a code"), from.parse().expect("a number"));
    if *count >= from { code } else { 0 }
}

/// Functions that do nothing but answer.
macro_rules! answers {
    ($($name:ident($($ty:ty),*));* $(;)?) => {
        $(
            #[unsafe(no_mangle)]
            extern "C" fn $name($(_: $ty),*) -> c_int {
                answer(stringify!($name))
            }
        )*
    };
}

/// Functions that write a handle, which is only ever handed back, to their first argument.
macro_rules! makes {
    ($($name:ident($($ty:ty),*));* $(;)?) => {
        $(
            #[unsafe(no_mangle)]
            unsafe extern "C" fn $name(out: *mut Pointer $(, _: $ty)*) -> c_int {
                unsafe { *out = 0x1000 as Pointer };
                answer(stringify!($name))
            }
        )*
    };
}

answers! {
    cuInit(c_uint);
    cuCtxSetCurrent(Pointer);
    cuCtxSynchronize();
    cuDevicePrimaryCtxRelease_v2(c_int);
    cuStreamDestroy_v2(Pointer);
    cuStreamSynchronize(Pointer);
    cuStreamWaitEvent(Pointer, Pointer, c_uint);
    cuStreamBeginCapture_v2(Pointer, c_uint);
    cuEventRecord(Pointer, Pointer);
    cuEventSynchronize(Pointer);
    cuEventDestroy_v2(Pointer);
    cuFuncSetAttribute(Pointer, c_int, c_int);
    cuGraphDestroy(Pointer);
    cuGraphExecDestroy(Pointer);
    cuGraphUpload(Pointer, Pointer);
    cuGraphLaunch(Pointer, Pointer);
    cuLaunchKernelEx(Pointer, Pointer, Pointer, Pointer);
    cuLinkAddData_v2(Pointer, c_int, Pointer, usize, Pointer, c_uint, Pointer, Pointer);
    cuLinkDestroy(Pointer);
    cuMemFree_v2(u64);
    cuMemFreeHost(Pointer);
    cuModuleUnload(Pointer);
}

makes! {
    cuStreamCreate(c_uint);
    cuEventCreate(c_uint);
    cuGraphInstantiateWithFlags(Pointer, u64);
    cuModuleLoadDataEx(Pointer, c_uint, Pointer, Pointer);
    cuModuleGetFunction(Pointer, Pointer);
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuLinkCreate_v2(_: c_uint, _: Pointer, _: Pointer, state: *mut Pointer) -> c_int {
    unsafe { *state = 0x1000 as Pointer };
    answer("cuLinkCreate_v2")
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamEndCapture(_: Pointer, graph: *mut Pointer) -> c_int {
    unsafe { *graph = 0x1000 as Pointer };
    answer("cuStreamEndCapture")
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDriverGetVersion(version: *mut c_int) -> c_int {
    unsafe { *version = number("version", 13000) as c_int };
    answer("cuDriverGetVersion")
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetCount(count: *mut c_int) -> c_int {
    unsafe { *count = number("gpus", 1) as c_int };
    answer("cuDeviceGetCount")
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGet(device: *mut c_int, ordinal: c_int) -> c_int {
    unsafe { *device = ordinal };
    answer("cuDeviceGet")
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetName(name: *mut c_char, len: c_int, _: c_int) -> c_int {
    let text = c"Fake GPU".to_bytes_with_nul();
    assert!(text.len() <= len as usize);
    unsafe { std::ptr::copy_nonoverlapping(text.as_ptr().cast(), name, text.len()) };
    answer("cuDeviceGetName")
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceTotalMem_v2(bytes: *mut usize, _: c_int) -> c_int {
    unsafe { *bytes = 8 << 30 };
    answer("cuDeviceTotalMem_v2")
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetAttribute(value: *mut c_int, which: c_int, _: c_int) -> c_int {
    let sm = number("sm", 90) as c_int;
    let found = match which {
        16 => 132,      // multiprocessors
        38 => 50 << 20, // L2
        75 => sm / 10,  // compute capability
        76 => sm % 10,
        97 => 227 << 10, // shared memory of a block
        _ => panic!("attribute {which} is not known here"),
    };
    unsafe { *value = found };
    answer("cuDeviceGetAttribute")
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) -> c_int {
    unsafe { (*free, *total) = (number("free", 8 << 30) as usize, 8 << 30) };
    answer("cuMemGetInfo_v2")
}

/// Memory that is never freed; tests are short.
fn memory(bytes: usize) -> *mut u8 {
    unsafe { alloc_zeroed(Layout::from_size_align(bytes.max(1), 256).expect("a size")) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemAlloc_v2(address: *mut u64, bytes: usize) -> c_int {
    let result = answer("cuMemAlloc_v2");
    if result == 0 {
        unsafe { *address = memory(bytes) as u64 };
    }
    result
}

/// Pinned memory, by start and length.
static PINNED: std::sync::Mutex<Vec<(usize, usize)>> = std::sync::Mutex::new(Vec::new());

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemHostAlloc(pointer: *mut Pointer, bytes: usize, _: c_uint) -> c_int {
    let result = answer("cuMemHostAlloc");
    if result == 0 {
        let start = memory(bytes);
        PINNED.lock().expect("one at a time").push((start as usize, bytes));
        unsafe { *pointer = start.cast() };
    }
    result
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemsetD8Async(address: u64, value: u8, bytes: usize, _: Pointer) -> c_int {
    unsafe { std::ptr::write_bytes(address as *mut u8, value, bytes) };
    answer("cuMemsetD8Async")
}

/// Each GPU has its context.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuDevicePrimaryCtxRetain(context: *mut Pointer, ordinal: c_int) -> c_int {
    unsafe { *context = (0x1000 * (1 + ordinal as usize)) as Pointer };
    answer("cuDevicePrimaryCtxRetain")
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyDtoDAsync_v2(to: u64, from: u64, bytes: usize, _: Pointer) -> c_int {
    unsafe { std::ptr::copy_nonoverlapping(from as *const u8, to as *mut u8, bytes) };
    answer("cuMemcpyDtoDAsync_v2")
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyPeerAsync(
    to: u64,
    other: Pointer,
    from: u64,
    own: Pointer,
    bytes: usize,
    _: Pointer,
) -> c_int {
    assert!(other != own, "a copy inside of a GPU is no copy between GPUs");
    unsafe { std::ptr::copy_nonoverlapping(from as *const u8, to as *mut u8, bytes) };
    answer("cuMemcpyPeerAsync")
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyHtoDAsync_v2(to: u64, from: *const u8, bytes: usize, _: Pointer) -> c_int {
    unsafe { std::ptr::copy_nonoverlapping(from, to as *mut u8, bytes) };
    answer("cuMemcpyHtoDAsync_v2")
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyDtoHAsync_v2(to: *mut u8, from: u64, bytes: usize, _: Pointer) -> c_int {
    // Where a wait fails, it may still be written: it must be memory that nobody else has.
    let within = |&(start, len): &(usize, usize)| to as usize >= start && to as usize + bytes <= start + len;
    if !PINNED.lock().expect("one at a time").iter().any(within) {
        eprintln!("a copy to memory that is not pinned");
        std::process::abort();
    }
    unsafe { std::ptr::copy_nonoverlapping(from as *const u8, to, bytes) };
    answer("cuMemcpyDtoHAsync_v2")
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventElapsedTime(milliseconds: *mut f32, _: Pointer, _: Pointer) -> c_int {
    unsafe { *milliseconds = 1.0 };
    answer("cuEventElapsedTime")
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuFuncGetAttribute(value: *mut c_int, _: c_int, _: Pointer) -> c_int {
    unsafe { *value = 0 };
    answer("cuFuncGetAttribute")
}

/// An ELF file with neither program nor section headers.
static CODE: [u8; 64] = {
    let mut elf = [0; 64];
    let magic = *b"\x7fELF\x02\x01";
    let mut i = 0;
    while i < magic.len() {
        elf[i] = magic[i];
        i += 1;
    }
    elf
};

#[unsafe(no_mangle)]
unsafe extern "C" fn cuLinkComplete(_: Pointer, code: *mut *const u8, bytes: *mut usize) -> c_int {
    unsafe { (*code, *bytes) = (CODE.as_ptr(), CODE.len()) };
    answer("cuLinkComplete")
}

/// The results that tests ask for, in the driver's words.
const WORDS: [(c_int, &[u8], &[u8]); 9] = [
    (2, b"CUDA_ERROR_OUT_OF_MEMORY\0", b"out of memory\0"),
    (100, b"CUDA_ERROR_NO_DEVICE\0", b"no CUDA-capable device is detected\0"),
    (214, b"CUDA_ERROR_ECC_UNCORRECTABLE\0", b"uncorrectable ECC error encountered\0"),
    (218, b"CUDA_ERROR_INVALID_PTX\0", b"a PTX JIT compilation failed\0"),
    (304, b"CUDA_ERROR_OPERATING_SYSTEM\0", b"OS call failed or operation not supported on this OS\0"),
    (700, b"CUDA_ERROR_ILLEGAL_ADDRESS\0", b"an illegal memory access was encountered\0"),
    (701, b"CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES\0", b"too many resources requested for launch\0"),
    (803, b"CUDA_ERROR_SYSTEM_DRIVER_MISMATCH\0", b"system has unsupported display driver / cuda driver combination\0"),
    (999, b"CUDA_ERROR_UNKNOWN\0", b"unknown error\0"),
];

fn words(
    code: c_int,
    text: *mut *const c_char,
    of: fn(&(c_int, &'static [u8], &'static [u8])) -> &'static [u8],
) -> c_int {
    let Some(found) = WORDS.iter().find(|(known, ..)| *known == code) else { return 1 };
    unsafe { *text = of(found).as_ptr().cast() };
    0
}

#[unsafe(no_mangle)]
extern "C" fn cuGetErrorName(code: c_int, text: *mut *const c_char) -> c_int {
    words(code, text, |found| found.1)
}

#[unsafe(no_mangle)]
extern "C" fn cuGetErrorString(code: c_int, text: *mut *const c_char) -> c_int {
    words(code, text, |found| found.2)
}
