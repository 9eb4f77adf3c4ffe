//! Memory that only starting up needs.

/// Gives back what starting took and running does not need: pages of code and constants of this
/// program and its libraries, which come back from the file when they are used again, and free heap.
///
/// A model that is small beside the program would else share its memory with the command-line
/// parser, the loader's relocations and the tokenizer's tables for as long as it runs. Does nothing
/// under a debugger, whose breakpoints are in those pages, and on systems other than Linux with glibc.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    if !linux::is_traced() {
        linux::give_back();
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod linux {
    use libc::{MADV_DONTNEED, PF_W, PT_LOAD, c_int, c_void, dl_phdr_info, size_t};

    /// Whether a debugger is attached.
    pub fn is_traced() -> bool {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        status.lines().filter_map(|l| l.strip_prefix("TracerPid:")).any(|pid| pid.trim() != "0")
    }

    pub fn give_back() {
        // SAFETY: `drop_pages` has the signature that is asked for and ignores the data pointer.
        unsafe { libc::dl_iterate_phdr(Some(drop_pages), std::ptr::null_mut()) };
        // SAFETY: takes no pointer; whatever is in use stays.
        unsafe { libc::malloc_trim(0) };
    }

    /// Drops the pages of a loaded file's read-only segments. Those that the loader has written in
    /// are writable segments in the file's own table, whatever they are protected as now.
    unsafe extern "C" fn drop_pages(info: *mut dl_phdr_info, _: size_t, _: *mut c_void) -> c_int {
        // SAFETY: the loader hands a valid description.
        let info = unsafe { &*info };
        // SAFETY: it has `dlpi_phnum` headers.
        let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
        // SAFETY: asks for a constant.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) }.max(1) as u64;
        for header in headers.iter().filter(|h| h.p_type == PT_LOAD && h.p_flags & PF_W == 0) {
            let start = info.dlpi_addr + header.p_vaddr;
            // Whole pages only: the ends may share theirs with a segment that is written.
            let (first, end) = (start.next_multiple_of(page), (start + header.p_memsz) / page * page);
            if first < end {
                // SAFETY: a private mapping of a file that was never written: a page that is touched
                // again is read from the file again. Failure leaves all as it was.
                unsafe { libc::madvise(first as *mut c_void, (end - first) as size_t, MADV_DONTNEED) };
            }
        }
        0
    }
}
