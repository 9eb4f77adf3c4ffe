//! PTX to machine code, by the driver's compiler.

use std::ffi::{CStr, c_char, c_uint, c_void};
use std::{ptr, slice};

use cudarc::driver::sys::{self, CUjit_option as Option_, CUlinkState, CUmodule, CUresult};

use super::context::Context;
use super::driver::describe;
use crate::error::DeviceError;

/// Maximum size of a log; the rest is truncated.
const LOG: usize = 16 << 10;

/// A list of options, with the buffers for the compiler's messages.
struct Options {
    error: Vec<u8>,
    info: Vec<u8>,
    lineinfo: bool,
}

impl Options {
    fn new(lineinfo: bool) -> Self {
        Options { error: vec![0; LOG], info: vec![0; LOG], lineinfo }
    }

    /// Names and values in the driver's form: integers instead of pointers.
    fn lists(&mut self) -> ([Option_; 5], [*mut c_void; 5]) {
        let size = |n: usize| ptr::without_provenance_mut(n);
        (
            [
                Option_::CU_JIT_ERROR_LOG_BUFFER,
                Option_::CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
                Option_::CU_JIT_INFO_LOG_BUFFER,
                Option_::CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES,
                Option_::CU_JIT_GENERATE_LINE_INFO,
            ],
            [
                self.error.as_mut_ptr().cast(),
                size(LOG),
                self.info.as_mut_ptr().cast(),
                size(LOG),
                size(usize::from(self.lineinfo)),
            ],
        )
    }

    /// Both logs, errors first.
    fn log(&self) -> String {
        let text = |log: &[u8]| {
            let end = log.iter().position(|&b| b == 0).unwrap_or(log.len());
            String::from_utf8_lossy(&log[..end]).trim_end().to_owned()
        };
        [text(&self.error), text(&self.info)].into_iter().filter(|t| !t.is_empty()).collect::<Vec<_>>().join("\n")
    }
}

/// A rejected module: the driver's result and the compiler's log.
#[derive(Debug)]
pub(super) struct Rejected {
    pub reason: String,
    pub log: String,
}

/// The linker's state, destroyed on drop.
struct Link(CUlinkState);

impl Drop for Link {
    fn drop(&mut self) {
        // SAFETY: created by cuLinkCreate, destroyed once.
        let _ = unsafe { sys::cuLinkDestroy(self.0) };
    }
}

/// Compiles PTX for the context's GPU. The caller has entered the context.
pub(super) fn compile(ptx: &str, lineinfo: bool) -> Result<Vec<u8>, Rejected> {
    let mut options = Options::new(lineinfo);
    let (mut names, mut values) = options.lists();
    let mut state = ptr::null_mut();
    // SAFETY: both lists have the given length; they and the buffers outlive the link.
    let result =
        unsafe { sys::cuLinkCreate_v2(names.len() as c_uint, names.as_mut_ptr(), values.as_mut_ptr(), &mut state) };
    let rejected = |result: CUresult, options: &Options| Rejected { reason: describe(result), log: options.log() };
    if result != CUresult::CUDA_SUCCESS {
        return Err(rejected(result, &options));
    }
    let link = Link(state);
    // The driver needs a final zero.
    let mut text = Vec::with_capacity(ptx.len() + 1);
    text.extend_from_slice(ptx.as_bytes());
    text.push(0);
    // SAFETY: the text has the given length and ends with a zero; no further options.
    let result = unsafe {
        sys::cuLinkAddData_v2(
            link.0,
            sys::CUjitInputType::CU_JIT_INPUT_PTX,
            text.as_mut_ptr().cast(),
            text.len(),
            NAME.as_ptr(),
            0,
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    if result != CUresult::CUDA_SUCCESS {
        return Err(rejected(result, &options));
    }
    let (mut code, mut len) = (ptr::null_mut::<c_void>(), 0);
    // SAFETY: writes a pointer and a length.
    let result = unsafe { sys::cuLinkComplete(link.0, &mut code, &mut len) };
    if result != CUresult::CUDA_SUCCESS || code.is_null() {
        return Err(rejected(result, &options));
    }
    // SAFETY: the driver has written that many bytes, which live as long as the link.
    Ok(unsafe { slice::from_raw_parts(code.cast::<u8>(), len) }.to_vec())
}

const NAME: &CStr = c"ptx input";

/// Whether bytes are a complete ELF file. The driver does not receive the length, so it cannot check.
pub(super) fn is_whole(code: &[u8]) -> bool {
    let half = |at: usize| Some(u64::from(u16::from_le_bytes(*code.get(at..at + 2)?.first_chunk()?)));
    let word = |at: usize| Some(u64::from_le_bytes(*code.get(at..at + 8)?.first_chunk()?));
    let end = |table: usize, size: usize, count: usize| word(table)?.checked_add(half(size)? * half(count)?);
    // Offset, entry size and number of entries of the program headers, and of the section headers.
    let ends = [end(0x20, 0x36, 0x38), end(0x28, 0x3a, 0x3c)];
    code.starts_with(b"\x7fELF\x02\x01") && ends.iter().all(|e| e.is_some_and(|e| e <= code.len() as u64))
}

/// Loads machine code into the context, which the caller has entered.
pub(super) fn load(context: &Context, code: &[u8]) -> Result<CUmodule, DeviceError> {
    let mut options = Options::new(false);
    let (mut names, mut values) = options.lists();
    let mut module = ptr::null_mut();
    // SAFETY: the code comes from the compiler, or from the cache and `is_whole`; the lists have the given length, and
    // the buffers outlive the call.
    let result = unsafe {
        sys::cuModuleLoadDataEx(
            &mut module,
            code.as_ptr().cast(),
            names.len() as c_uint,
            names.as_mut_ptr(),
            values.as_mut_ptr(),
        )
    };
    context.check("cuModuleLoadDataEx", result)?;
    Ok(module)
}

/// A C string of a kernel's name; names of verified kernels have no zeros.
pub(super) fn c_name(name: &str) -> Vec<c_char> {
    name.bytes().filter(|&b| b != 0).chain([0]).map(|b| b as c_char).collect()
}
