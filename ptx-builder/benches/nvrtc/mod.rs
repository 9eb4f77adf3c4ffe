//! NVRTC, NVIDIA's run-time compiler of CUDA C++, to compare with.

use std::ffi::{CStr, CString, c_char, c_int};
use std::path::PathBuf;
use std::ptr;

use libloading::Library;
use ptxgen_builder::ptxas::wheel_toolkits;

type Program = *mut std::ffi::c_void;
type Status = c_int;

/// The functions of NVRTC that are used, from the library that stays loaded with them.
pub struct Nvrtc {
    version: unsafe extern "C" fn(*mut c_int, *mut c_int) -> Status,
    create: unsafe extern "C" fn(
        *mut Program,
        *const c_char,
        *const c_char,
        c_int,
        *const *const c_char,
        *const *const c_char,
    ) -> Status,
    compile: unsafe extern "C" fn(Program, c_int, *const *const c_char) -> Status,
    ptx_size: unsafe extern "C" fn(Program, *mut usize) -> Status,
    ptx: unsafe extern "C" fn(Program, *mut c_char) -> Status,
    log_size: unsafe extern "C" fn(Program, *mut usize) -> Status,
    log: unsafe extern "C" fn(Program, *mut c_char) -> Status,
    destroy: unsafe extern "C" fn(*mut Program) -> Status,
    error_string: unsafe extern "C" fn(Status) -> *const c_char,
    _library: Library,
}

impl Nvrtc {
    /// Loads `libnvrtc` from what `.ci/install-tools` has put under `.tools/`, or else from where
    /// the system finds libraries. The error names each place and the loader's reason.
    pub fn load() -> Result<Nvrtc, String> {
        let mut refusals = Vec::new();
        for path in candidates() {
            // SAFETY: loading runs the library's initializers; the names looked for are those of
            // NVIDIA's NVRTC, whose initializers ask nothing of the process.
            match unsafe { Library::new(&path) } {
                Ok(library) => return Self::from_library(library).map_err(|e| format!("{}: {e}", path.display())),
                Err(error) => refusals.push(format!("{}: {error}", path.display())),
            }
        }
        Err(format!("NVRTC not found; run .ci/install-tools ({})", refusals.join("; ")))
    }

    /// Loads NVRTC for a test or benchmark; without it, tells so and gives `None`.
    ///
    /// # Panics
    /// Without NVRTC, if the environment variable `CI` is `true`.
    pub fn for_tests() -> Option<Nvrtc> {
        match Self::load() {
            Ok(nvrtc) => Some(nvrtc),
            Err(error) => {
                assert!(std::env::var_os("CI").is_none_or(|v| v != "true"), "CI=true, and this needs NVRTC: {error}");
                // Written past the test harness's capture; nothing is left to tell if this fails.
                let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("skipped: {error}\n"));
                None
            }
        }
    }

    fn from_library(library: Library) -> Result<Nvrtc, libloading::Error> {
        // SAFETY: the signatures are those of nvrtc.h, the same since CUDA 7; the pointers are
        // kept next to the library that they point into.
        unsafe {
            Ok(Nvrtc {
                version: *library.get(b"nvrtcVersion\0")?,
                create: *library.get(b"nvrtcCreateProgram\0")?,
                compile: *library.get(b"nvrtcCompileProgram\0")?,
                ptx_size: *library.get(b"nvrtcGetPTXSize\0")?,
                ptx: *library.get(b"nvrtcGetPTX\0")?,
                log_size: *library.get(b"nvrtcGetProgramLogSize\0")?,
                log: *library.get(b"nvrtcGetProgramLog\0")?,
                destroy: *library.get(b"nvrtcDestroyProgram\0")?,
                error_string: *library.get(b"nvrtcGetErrorString\0")?,
                _library: library,
            })
        }
    }

    /// NVRTC's release, for example `(13, 5)`.
    pub fn version(&self) -> Result<(i32, i32), String> {
        let (mut major, mut minor) = (0, 0);
        // SAFETY: both pointers are to live integers.
        self.check(unsafe { (self.version)(&mut major, &mut minor) })?;
        Ok((major, minor))
    }

    /// Compiles CUDA C++ to PTX. The error holds the compiler's log.
    pub fn compile(&self, source: &str, options: &[&str]) -> Result<String, String> {
        let text = |s: &str| CString::new(s).map_err(|_| "a NUL in the source or an option".to_owned());
        let source = text(source)?;
        let options = options.iter().map(|o| text(o)).collect::<Result<Vec<_>, _>>()?;
        let option_pointers: Vec<*const c_char> = options.iter().map(|o| o.as_ptr()).collect();
        let count = c_int::try_from(options.len()).map_err(|e| e.to_string())?;

        let mut program = ptr::null_mut();
        // SAFETY: `source` ends in NUL and lives through the call, which copies it; no headers
        // are given, so their pointers are not read.
        self.check(unsafe {
            (self.create)(&mut program, source.as_ptr(), c"kernel.cu".as_ptr(), 0, ptr::null(), ptr::null())
        })?;
        let program = Destroy { nvrtc: self, program };
        // SAFETY: the program was created above and not destroyed; `count` pointers to strings
        // that end in NUL live through the call.
        let compiled = self.check(unsafe { (self.compile)(program.program, count, option_pointers.as_ptr()) });
        if let Err(error) = compiled {
            let log = self.text(program.program, self.log_size, self.log)?;
            return Err(format!("{error}: {}", log.trim()));
        }
        self.text(program.program, self.ptx_size, self.ptx)
    }

    fn text(
        &self,
        program: Program,
        size: unsafe extern "C" fn(Program, *mut usize) -> Status,
        get: unsafe extern "C" fn(Program, *mut c_char) -> Status,
    ) -> Result<String, String> {
        let mut bytes = 0;
        // SAFETY: the program is alive, the pointer is to a live integer.
        self.check(unsafe { size(program, &mut bytes) })?;
        let mut text = vec![0u8; bytes];
        // SAFETY: the program is alive, and `text` has the size that NVRTC has just requested.
        self.check(unsafe { get(program, text.as_mut_ptr().cast()) })?;
        let text = CStr::from_bytes_until_nul(&text).map_err(|e| e.to_string())?;
        Ok(text.to_string_lossy().into_owned())
    }

    fn check(&self, status: Status) -> Result<(), String> {
        if status == 0 {
            return Ok(());
        }
        // SAFETY: NVRTC gives a static string for any number.
        let text = unsafe { CStr::from_ptr((self.error_string)(status)) };
        Err(text.to_string_lossy().into_owned())
    }
}

/// Destroys a program at the end of its scope.
struct Destroy<'a> {
    nvrtc: &'a Nvrtc,
    program: Program,
}

impl Drop for Destroy<'_> {
    fn drop(&mut self) {
        // SAFETY: the program was created by this NVRTC and is destroyed only here.
        unsafe { (self.nvrtc.destroy)(&mut self.program) };
    }
}

fn candidates() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for toolkit in wheel_toolkits() {
        let Ok(entries) = toolkit.join("lib").read_dir() else { continue };
        found.extend(
            entries
                .flatten()
                .map(|e| e.path())
                .filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("libnvrtc.so"))),
        );
    }
    found.extend(["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"].map(PathBuf::from));
    found
}
