//! Releases memory that only the start of the program needs.

/// Configures the allocator; must run first in the program.
pub fn begin() {
    // Large buffers always become separate mappings, whatever was freed before, so that unwritten parts use no memory.
    // If this fails, glibc keeps its own threshold, which grows with freed sizes.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: takes no pointer.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 128 << 10)
    };
}

/// Releases memory that the start needed and the run does not: pages of code and constants of this program and its
/// libraries, which are read from the file again on use, and free heap.
///
/// Otherwise a model that is small relative to the program would occupy its memory together with the command-line
/// parser and the tokenizer's tables. `tensors` are a model's, which may be part of the program. Does nothing under a
/// debugger, whose breakpoints are in those pages, and on systems other than Linux with glibc.
pub fn give_back(tensors: &[u8]) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    if !linux::is_traced() {
        linux::give_back(tensors);
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = tensors;
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod linux {
    use libc::{MADV_DONTNEED, MADV_RANDOM, PF_W, PT_LOAD, c_int, c_void, dl_phdr_info, size_t};
    use std::ops::Range;

    /// Bytes of a file that are read together. The kernel maps a whole large page of the page cache around an accessed
    /// page, up to the end of the mapping: megabytes for a few functions.
    const PIECE: usize = 8 << 10;

    /// Whether a debugger is attached.
    pub fn is_traced() -> bool {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        status.lines().filter_map(|l| l.strip_prefix("TracerPid:")).any(|pid| pid.trim() != "0")
    }

    pub fn give_back(tensors: &[u8]) {
        let tensors = tensors.as_ptr_range();
        let tensors = tensors.start.addr()..tensors.end.addr();
        let mut segments = Vec::new();
        // SAFETY: `add_segments` has the required signature, and receives the list that it expects.
        unsafe { libc::dl_iterate_phdr(Some(add_segments), (&raw mut segments).cast()) };
        // All tensors are read soon, and large pages are fastest for that.
        for part in segments.iter().flat_map(|s| without(s, &tensors)) {
            // Adjacent ranges with different advice become separate mappings.
            for piece in (part.start.next_multiple_of(PIECE)..part.end).step_by(2 * PIECE) {
                advise(piece..part.end.min(piece + PIECE), MADV_RANDOM);
            }
        }
        // SAFETY: takes no pointer; memory in use stays.
        unsafe { libc::malloc_trim(0) };
        for segment in segments {
            advise(segment, MADV_DONTNEED);
        }
    }

    /// Adds the whole pages of a loaded file's read-only segments to a list. Segments that the loader has written to
    /// are writable in the file's own table, whatever their protection is now.
    unsafe extern "C" fn add_segments(info: *mut dl_phdr_info, _: size_t, list: *mut c_void) -> c_int {
        // SAFETY: it is the list of `give_back`, which does not use it during this call.
        let list = unsafe { &mut *list.cast::<Vec<Range<usize>>>() };
        // SAFETY: the loader passes a valid description.
        let info = unsafe { &*info };
        // SAFETY: it has `dlpi_phnum` headers.
        let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
        let page = page();
        for header in headers.iter().filter(|h| h.p_type == PT_LOAD && h.p_flags & PF_W == 0) {
            let start = (info.dlpi_addr + header.p_vaddr) as usize;
            // The first and last page may be shared with a segment that is written.
            list.push(start.next_multiple_of(page)..(start + header.p_memsz as usize) / page * page);
        }
        0
    }

    /// The parts of a segment before and after the pages that hold some of the tensors.
    fn without(segment: &Range<usize>, tensors: &Range<usize>) -> [Range<usize>; 2] {
        let page = page();
        let cut = |at: usize| at.clamp(segment.start, segment.end.max(segment.start));
        let (first, last) = (cut(tensors.start / page * page), cut(tensors.end.next_multiple_of(page)));
        [segment.start..first, last..segment.end]
    }

    fn page() -> usize {
        // SAFETY: reads a constant.
        unsafe { libc::sysconf(libc::_SC_PAGESIZE) }.max(1) as usize
    }

    /// Advises the kernel on whole pages of a segment.
    fn advise(pages: Range<usize>, advice: c_int) {
        if !pages.is_empty() {
            // SAFETY: a private mapping of a file that was never written: a dropped page is read from the file again
            // when it is touched. Failure changes nothing.
            unsafe { libc::madvise(pages.start as *mut c_void, pages.len(), advice) };
        }
    }
}
