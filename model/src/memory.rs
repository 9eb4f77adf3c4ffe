//! The free memory of this machine.

/// Bytes that this process can allocate before the system runs out of memory or refuses: memory that is free or only
/// caches files, within the limits of the process and of its control group. `None` if the system does not report it.
pub fn free_memory() -> Option<u64> {
    #[cfg(target_os = "linux")]
    return linux::free();
    #[cfg(not(target_os = "linux"))]
    None
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;

    pub fn free() -> Option<u64> {
        let system = fs::read_to_string("/proc/meminfo").ok().and_then(|text| kilobytes(&text, "MemAvailable:"));
        [system, process(), group()].into_iter().flatten().min()
    }

    /// A line of one of the kernel's tables, such as `MemAvailable:  1234 kB`, in bytes.
    pub fn kilobytes(table: &str, name: &str) -> Option<u64> {
        let line = table.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    }

    /// The remaining address space under its limit (`ulimit -v`).
    fn process() -> Option<u64> {
        let limits = fs::read_to_string("/proc/self/limits").ok()?;
        let limit = address_space(&limits)?;
        let taken = kilobytes(&fs::read_to_string("/proc/self/status").ok()?, "VmSize:")?;
        Some(limit.saturating_sub(taken))
    }

    pub fn address_space(limits: &str) -> Option<u64> {
        limits.lines().find_map(|line| line.strip_prefix("Max address space"))?.split_whitespace().next()?.parse().ok()
    }

    /// The remaining memory of the control groups, version 2; their pages of files can be reclaimed.
    fn group() -> Option<u64> {
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
        let mut folder = std::path::PathBuf::from("/sys/fs/cgroup").join(own);
        let mut least = None;
        while folder.starts_with("/sys/fs/cgroup") {
            let number = |name: &str| fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
            let files = fs::read_to_string(folder.join("memory.stat")).ok().and_then(|stat| {
                let line = |name: &str| stat.lines().find_map(|l| l.strip_prefix(name)?.trim().parse::<u64>().ok());
                Some(line("inactive_file ")? + line("active_file ")?)
            });
            if let (Some(most), Some(taken)) = (number("memory.max"), number("memory.current")) {
                let left = most.saturating_sub(taken.saturating_sub(files.unwrap_or(0)));
                least = Some(least.map_or(left, |least: u64| least.min(left)));
            }
            folder.pop();
        }
        least
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn tables_are_read() {
            let table = "MemTotal:       24737380 kB\nMemFree:  1 kB\nMemAvailable:   21474836 kB\n";
            assert_eq!(kilobytes(table, "MemAvailable:"), Some(21_474_836 << 10));
            assert_eq!(kilobytes(table, "SwapFree:"), None);
            let limits = "Limit  Soft Limit  Hard Limit  Units\nMax address space         1048576              unlimited            bytes\n";
            assert_eq!(address_space(limits), Some(1 << 20));
            assert_eq!(address_space("Max address space         unlimited   unlimited  bytes"), None);
            assert!(free().is_some_and(|free| free > 1 << 20));
        }
    }
}
