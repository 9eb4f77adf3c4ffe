//! GPU targets and PTX language versions.

use std::fmt;
use std::str::FromStr;

/// A PTX language version, `major * 10 + minor`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct PtxVersion(pub u16);

/// The first version with clusters of blocks.
pub(crate) const CLUSTERS: PtxVersion = PtxVersion(78);

/// The versions of each major one, up to which minor one (PTX ISA, "Release
/// Notes"). The last is that of CUDA 13.5.
const VERSIONS: &[(u16, u16)] = &[(1, 5), (2, 3), (3, 2), (4, 3), (5, 1), (6, 5), (7, 8), (8, 8), (9, 5)];

impl PtxVersion {
    /// The latest version that is known here.
    pub const LATEST: PtxVersion = PtxVersion(95);

    /// Whether there is such a version, as far as is known here.
    pub fn is_known(self) -> bool {
        VERSIONS.iter().any(|&(major, minor)| self.0 / 10 == major && self.0 % 10 <= minor)
    }
}

impl FromStr for PtxVersion {
    type Err = UnknownVersion;

    /// Reads `7.8`.
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let version = || {
            let (major, minor) = s.split_once('.')?;
            let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
            let minor = Some(minor).filter(|m| m.len() == 1 && digits(m))?;
            let major: u16 = Some(major).filter(|m| m.len() < 4 && digits(m))?.parse().ok()?;
            Some(PtxVersion(10 * major + minor.parse::<u16>().ok()?)).filter(|v| v.is_known())
        };
        version().ok_or_else(|| UnknownVersion(s.to_owned()))
    }
}

/// A PTX version that is not known here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownVersion(pub String);

impl std::error::Error for UnknownVersion {}

impl fmt::Display for UnknownVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no PTX version '{}'; known are those up to {}:", self.0, PtxVersion::LATEST)?;
        for (i, (major, minor)) in VERSIONS.iter().enumerate() {
            write!(f, "{} {major}.0 to {major}.{minor}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl fmt::Display for PtxVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 / 10, self.0 % 10)
    }
}

/// A target architecture, `sm_N`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Target(u16);

/// The targets that this library writes for, each with the first PTX version
/// that names it (PTX ISA 11.1.2, "Release notes").
const TARGETS: &[(u16, u16)] = &[
    (75, 63),
    (80, 70),
    (86, 71),
    (87, 74),
    (88, 90),
    (89, 78),
    (90, 78),
    (100, 86),
    (103, 88),
    (110, 90),
    (120, 87),
    (121, 88),
];

#[allow(missing_docs)] // the names say it
impl Target {
    pub const SM_75: Target = Target(75);
    pub const SM_80: Target = Target(80);
    pub const SM_86: Target = Target(86);
    pub const SM_89: Target = Target(89);
    pub const SM_90: Target = Target(90);
    pub const SM_100: Target = Target(100);
    pub const SM_120: Target = Target(120);
}

impl Target {
    /// The targets that every release is assembled for.
    pub const TESTED: [Target; 7] =
        [Self::SM_75, Self::SM_80, Self::SM_86, Self::SM_89, Self::SM_90, Self::SM_100, Self::SM_120];

    /// The target `sm_<sm>`; an error names the known ones.
    pub fn new(sm: u16) -> Result<Target, UnknownTarget> {
        if TARGETS.iter().any(|&(t, _)| t == sm) { Ok(Target(sm)) } else { Err(UnknownTarget(format!("sm_{sm}"))) }
    }

    /// The most shared memory that a block can have, static and dynamic, in
    /// bytes (CUDA Programming Guide, "Technical Specifications per Compute
    /// Capability").
    pub const fn max_shared_bytes(self) -> u32 {
        1024 * match self.0 {
            75 => 64,
            80 | 87 | 88 => 163,
            86 | 89 | 120 | 121 => 99,
            _ => 227,
        }
    }

    /// Blocks of this many threads and bytes of shared memory that the largest
    /// GPU of this architecture holds at once, were they to need no registers:
    /// multiprocessors of the largest that is sold, and what each holds (CUDA
    /// Programming Guide, as above).
    pub fn most_resident_blocks(self, threads: u32, shared_bytes: u64) -> u64 {
        let (multiprocessors, most_threads, most_blocks, most_shared) = match self.0 {
            75 => (72, 1024, 16, 64),
            80 => (108, 2048, 32, 164),
            86 => (84, 1536, 16, 100),
            87 | 88 => (16, 1536, 16, 164),
            89 => (142, 1536, 24, 100),
            90 => (132, 2048, 32, 228),
            110 => (20, 1536, 24, 228),
            120 => (188, 1536, 24, 100),
            121 => (48, 1536, 24, 100),
            // What is not known is taken to be large.
            _ => (160, 2048, 32, 228),
        };
        // Warps are whole, and from sm_80 on a block takes a KiB of shared memory more.
        let warps = u64::from(threads.max(1).next_multiple_of(32));
        let shared = shared_bytes + if self.0 >= 80 { 1024 } else { 0 };
        let by_shared = (most_shared * 1024u64).checked_div(shared).unwrap_or(u64::MAX);
        (most_threads / warps).min(most_blocks).min(by_shared).max(1) * multiprocessors
    }

    /// The number after `sm_`.
    pub const fn sm(self) -> u16 {
        self.0
    }

    /// The first PTX version that knows this target.
    pub fn least_ptx(self) -> PtxVersion {
        PtxVersion(TARGETS.iter().find(|&&(t, _)| t == self.0).map_or(63, |&(_, v)| v))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sm_{}", self.0)
    }
}

/// A target that is not known here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownTarget(pub String);

impl std::error::Error for UnknownTarget {}

impl fmt::Display for UnknownTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown target '{}'; known targets:", self.0)?;
        for (i, (sm, _)) in TARGETS.iter().enumerate() {
            write!(f, "{} sm_{sm}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl FromStr for Target {
    type Err = UnknownTarget;

    /// Reads `sm_90` or `90`.
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let digits = s.strip_prefix("sm_").unwrap_or(s);
        let unknown = || UnknownTarget(s.to_owned());
        Target::new(digits.parse().map_err(|_| unknown())?).map_err(|_| unknown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_that_fit() {
        let sm_90 = |threads, shared| Target::SM_90.most_resident_blocks(threads, shared);
        assert_eq!(sm_90(32, 0), 132 * 32);
        assert_eq!(sm_90(33, 0), 132 * 32);
        assert_eq!(sm_90(65, 0), 132 * 21);
        assert_eq!(sm_90(1024, 0), 132 * 2);
        assert_eq!(sm_90(128, 113 * 1024), 132 * 2);
        assert_eq!(sm_90(128, 114 * 1024), 132);
        assert_eq!(sm_90(128, 227 * 1024), 132);
        assert_eq!(Target::SM_75.most_resident_blocks(1024, 64 * 1024), 72);
    }
}
