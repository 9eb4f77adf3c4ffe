//! Memory that only starting up needs.

/// Sets how memory is taken; the first thing that the program does.
pub fn begin() {
    // Large buffers become mappings of their own, whatever was freed before, so that what is not written
    // yet takes no memory. Failure leaves glibc's own choice, which grows with what is freed.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: takes no pointer.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 128 << 10)
    };
}

/// Gives back what starting took and running does not need: pages of code and constants of this
/// program and its libraries, which come back from the file when they are used again, and free heap.
///
/// A model that is small beside the program would else share its memory with the command-line
/// parser and the tokenizer's tables for as long as it runs. `tensors` are a model's, which may be part of
/// the program. Does nothing under a debugger, whose breakpoints are in those pages, and on systems other
/// than Linux with glibc.
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

    /// Bytes of a file that come back together. The kernel maps a whole large page of the page cache
    /// around the one that is used, as far as the mapping goes: megabytes for a few functions.
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
        // SAFETY: `add_segments` has the signature that is asked for, and gets the list that it expects.
        unsafe { libc::dl_iterate_phdr(Some(add_segments), (&raw mut segments).cast()) };
        // All of the tensors is read soon, and best in large pages.
        for part in segments.iter().flat_map(|s| without(s, &tensors)) {
            // Neighbours with different advice are mappings of their own.
            for piece in (part.start.next_multiple_of(PIECE)..part.end).step_by(2 * PIECE) {
                advise(piece..part.end.min(piece + PIECE), MADV_RANDOM);
            }
        }
        // SAFETY: takes no pointer; whatever is in use stays.
        unsafe { libc::malloc_trim(0) };
        for segment in segments {
            advise(segment, MADV_DONTNEED);
        }
    }

    /// Adds the whole pages of a loaded file's read-only segments to a list. Those that the loader has
    /// written in are writable segments in the file's own table, whatever they are protected as now.
    unsafe extern "C" fn add_segments(info: *mut dl_phdr_info, _: size_t, list: *mut c_void) -> c_int {
        // SAFETY: it is the list that `give_back` has, which does not use it meanwhile.
        let list = unsafe { &mut *list.cast::<Vec<Range<usize>>>() };
        // SAFETY: the loader hands a valid description.
        let info = unsafe { &*info };
        // SAFETY: it has `dlpi_phnum` headers.
        let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
        let page = page();
        for header in headers.iter().filter(|h| h.p_type == PT_LOAD && h.p_flags & PF_W == 0) {
            let start = (info.dlpi_addr + header.p_vaddr) as usize;
            // The ends may share their pages with a segment that is written.
            list.push(start.next_multiple_of(page)..(start + header.p_memsz as usize) / page * page);
        }
        0
    }

    /// What of a segment is in front of the pages that hold some of the tensors, and what after them.
    fn without(segment: &Range<usize>, tensors: &Range<usize>) -> [Range<usize>; 2] {
        let page = page();
        let cut = |at: usize| at.clamp(segment.start, segment.end.max(segment.start));
        let (first, last) = (cut(tensors.start / page * page), cut(tensors.end.next_multiple_of(page)));
        [segment.start..first, last..segment.end]
    }

    fn page() -> usize {
        // SAFETY: asks for a constant.
        unsafe { libc::sysconf(libc::_SC_PAGESIZE) }.max(1) as usize
    }

    /// Advises the kernel on whole pages of a segment.
    fn advise(pages: Range<usize>, advice: c_int) {
        if !pages.is_empty() {
            // SAFETY: a private mapping of a file that was never written: a page that is dropped and
            // touched again is read from the file again. Failure leaves all as it was.
            unsafe { libc::madvise(pages.start as *mut c_void, pages.len(), advice) };
        }
    }
}
