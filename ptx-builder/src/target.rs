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
    /// The latest supported version.
    pub const LATEST: PtxVersion = PtxVersion(95);

    /// Whether this version exists, as far as this library knows.
    pub fn is_known(self) -> bool {
        VERSIONS.iter().any(|&(major, minor)| self.0 / 10 == major && self.0 % 10 <= minor)
    }
}

impl FromStr for PtxVersion {
    type Err = UnknownVersion;

    /// Parses `7.8`.
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

/// An unknown PTX version.
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

/// A target architecture, `sm_N`, `sm_Na` or `sm_Nf`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Target {
    sm: u16,
    features: Features,
}

/// The set of an architecture's instructions that a target has (PTX ISA 11.1.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Features {
    /// Those that all later architectures also have: `sm_90`.
    Common,
    /// Also those of its family: `sm_100f`.
    Family,
    /// Also those that it alone has: `sm_90a`.
    Specific,
}

impl Features {
    /// The letter after the architecture's number.
    const fn suffix(self) -> &'static str {
        match self {
            Self::Common => "",
            Self::Family => "f",
            Self::Specific => "a",
        }
    }
}

/// The architectures, each with the first PTX version that names it, the first with its specific features and the first
/// with its family's (PTX ISA 11.1.2 and the release notes; a test compares with the assembler).
const TARGETS: &[(u16, u16, Option<u16>, Option<u16>)] = &[
    (20, 20, None, None),
    (21, 20, None, None),
    (30, 30, None, None),
    (32, 40, None, None),
    (35, 31, None, None),
    (37, 41, None, None),
    (50, 40, None, None),
    (52, 41, None, None),
    (53, 42, None, None),
    (60, 50, None, None),
    (61, 50, None, None),
    (62, 50, None, None),
    (70, 51, None, None),
    (72, 61, None, None),
    (75, 63, None, None),
    (80, 70, None, None),
    (86, 71, None, None),
    (87, 74, None, None),
    (88, 90, None, None),
    (89, 78, None, None),
    (90, 78, Some(80), None),
    (100, 86, Some(86), Some(88)),
    (101, 86, Some(86), Some(88)),
    (103, 88, Some(88), Some(88)),
    (107, 94, Some(94), Some(94)),
    (110, 90, Some(90), Some(90)),
    (120, 87, Some(87), Some(88)),
    (121, 88, Some(88), Some(88)),
];

const fn common(sm: u16) -> Target {
    Target { sm, features: Features::Common }
}

#[allow(missing_docs)] // the names say it
impl Target {
    pub const SM_75: Target = common(75);
    pub const SM_80: Target = common(80);
    pub const SM_86: Target = common(86);
    pub const SM_89: Target = common(89);
    pub const SM_90: Target = common(90);
    pub const SM_100: Target = common(100);
    pub const SM_120: Target = common(120);
}

impl Target {
    /// The targets that every release is assembled for.
    pub const TESTED: [Target; 7] =
        [Self::SM_75, Self::SM_80, Self::SM_86, Self::SM_89, Self::SM_90, Self::SM_100, Self::SM_120];

    /// The target `sm_<sm>`; an error lists the known ones.
    pub fn new(sm: u16) -> Result<Target, UnknownTarget> {
        common(sm).known()
    }

    /// The same architecture with more of its features; an error if it has none of that kind.
    pub fn with(self, features: Features) -> Result<Target, UnknownTarget> {
        Target { features, ..self }.known()
    }

    fn known(self) -> Result<Target, UnknownTarget> {
        self.since().map(|_| self).ok_or_else(|| UnknownTarget(self.to_string()))
    }

    /// The first PTX version with this target, if it exists.
    fn since(self) -> Option<PtxVersion> {
        let &(_, common, specific, family) = TARGETS.iter().find(|t| t.0 == self.sm)?;
        let version = match self.features {
            Features::Common => Some(common),
            Features::Specific => specific,
            Features::Family => family,
        };
        version.map(PtxVersion)
    }

    /// Every target, in order.
    pub fn all() -> impl Iterator<Item = Target> {
        let features = [Features::Common, Features::Family, Features::Specific];
        let each =
            move |&(sm, ..): &(u16, u16, Option<u16>, Option<u16>)| features.map(|features| Target { sm, features });
        TARGETS.iter().flat_map(each).filter(|t| t.since().is_some())
    }

    /// The maximum shared memory of a block, static and dynamic, in bytes (CUDA Programming Guide, "Technical
    /// Specifications per Compute Capability").
    pub const fn max_shared_bytes(self) -> u32 {
        1024 * match self.sm {
            ..70 => 48,
            70 | 72 => 96,
            75 => 64,
            80 | 87 | 88 => 163,
            86 | 89 | 120 | 121 => 99,
            _ => 227,
        }
    }

    /// The number of blocks with this many threads and bytes of shared memory that are resident at once on the largest
    /// GPU of this architecture, ignoring registers: from the number of multiprocessors of the largest product, and the
    /// limits of each (CUDA Programming Guide, as above).
    pub fn most_resident_blocks(self, threads: u32, shared_bytes: u64) -> u64 {
        let (multiprocessors, ..) = self.residency();
        self.resident_blocks(multiprocessors, threads, shared_bytes)
    }

    /// The same for a GPU with this many multiprocessors.
    pub fn resident_blocks(self, multiprocessors: u64, threads: u32, shared_bytes: u64) -> u64 {
        let (_, most_threads, most_blocks, most_shared) = self.residency();
        // Warps are whole, and from sm_80 on a block takes an additional KiB of shared memory.
        let warps = u64::from(threads.max(1).next_multiple_of(32));
        let shared = shared_bytes + if self.sm >= 80 { 1024 } else { 0 };
        let by_shared = (most_shared * 1024u64).checked_div(shared).unwrap_or(u64::MAX);
        (most_threads / warps).min(most_blocks).min(by_shared).max(1) * multiprocessors
    }

    /// Multiprocessors of the largest GPU; and for each the maximum numbers of threads, blocks and KiB of shared
    /// memory.
    fn residency(self) -> (u64, u64, u64, u64) {
        match self.sm {
            60 => (56, 2048, 32, 64),
            61 => (30, 2048, 32, 96),
            70 => (84, 2048, 32, 96),
            75 => (72, 1024, 16, 64),
            80 => (108, 2048, 32, 164),
            86 => (84, 1536, 16, 100),
            87 | 88 => (16, 1536, 16, 164),
            89 => (142, 1536, 24, 100),
            90 => (132, 2048, 32, 228),
            110 => (20, 1536, 24, 228),
            120 => (188, 1536, 24, 100),
            121 => (48, 1536, 24, 100),
            // Unknown limits are assumed to be large.
            _ => (160, 2048, 32, 228),
        }
    }

    /// The number after `sm_`.
    pub const fn sm(self) -> u16 {
        self.sm
    }

    /// The set of its architecture's features.
    pub const fn features(self) -> Features {
        self.features
    }

    /// The first PTX version with this target.
    pub fn least_ptx(self) -> PtxVersion {
        self.since().unwrap_or(PtxVersion::LATEST)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sm_{}{}", self.sm, self.features.suffix())
    }
}

/// A GPU product.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gpu {
    /// Its name.
    pub name: &'static str,
    /// Its architecture.
    pub target: Target,
    /// How many multiprocessors it has.
    pub multiprocessors: u64,
}

const fn gpu(name: &'static str, sm: u16, multiprocessors: u64) -> Gpu {
    Gpu { name, target: common(sm), multiprocessors }
}

impl Gpu {
    /// The known products (from their data sheets).
    pub const ALL: &[Gpu] = &[
        gpu("v100", 70, 80),
        gpu("t4", 75, 40),
        gpu("a100", 80, 108),
        gpu("a10", 86, 72),
        gpu("rtx3090", 86, 82),
        gpu("l4", 89, 58),
        gpu("l40s", 89, 142),
        gpu("rtx4090", 89, 128),
        gpu("h100", 90, 132),
        gpu("h200", 90, 132),
        gpu("b200", 100, 148),
        gpu("rtx5090", 120, 170),
    ];

    /// The number of resident blocks with this many threads and bytes of shared memory, ignoring registers.
    pub fn resident_blocks(&self, threads: u32, shared_bytes: u64) -> u64 {
        self.target.resident_blocks(self.multiprocessors, threads, shared_bytes)
    }
}

impl FromStr for Gpu {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let known = || Gpu::ALL.iter().map(|g| g.name).collect::<Vec<_>>().join(", ");
        let same = |g: &&Gpu| g.name.eq_ignore_ascii_case(s);
        Gpu::ALL.iter().find(same).copied().ok_or_else(|| format!("unknown GPU '{s}'; known are {}", known()))
    }
}

/// An unknown target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownTarget(pub String);

impl std::error::Error for UnknownTarget {}

impl fmt::Display for UnknownTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown target '{}'; known targets:", self.0)?;
        for (i, (sm, ..)) in TARGETS.iter().enumerate() {
            write!(f, "{} sm_{sm}", if i == 0 { "" } else { "," })?;
        }
        f.write_str(", from sm_90 on also with an 'a' and from sm_100 on with an 'f'")?;
        Ok(())
    }
}

impl FromStr for Target {
    type Err = UnknownTarget;

    /// Parses `sm_90`, `sm_90a` or `90`.
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let number = s.strip_prefix("sm_").unwrap_or(s);
        let (digits, features) = match (number.strip_suffix('a'), number.strip_suffix('f')) {
            (Some(digits), _) => (digits, Features::Specific),
            (_, Some(digits)) => (digits, Features::Family),
            _ => (number, Features::Common),
        };
        let unknown = || UnknownTarget(s.to_owned());
        let sm = Some(digits).filter(|d| d.bytes().all(|b| b.is_ascii_digit())).and_then(|d| d.parse().ok());
        common(sm.ok_or_else(unknown)?).with(features).map_err(|_| unknown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_targets() {
        for target in Target::all() {
            assert_eq!(target.to_string().parse(), Ok(target));
        }
        assert_eq!("90a".parse().map(|t: Target| (t.sm(), t.features())), Ok((90, Features::Specific)));
        assert_eq!("sm_100f".parse().map(|t: Target| t.least_ptx()), Ok(PtxVersion(88)));
        for none in ["sm_80a", "sm_90f", "sm_91", "sm_", "sm_+90", "sm_90aa", "90b", ""] {
            assert!(none.parse::<Target>().is_err(), "{none}");
        }
    }

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
