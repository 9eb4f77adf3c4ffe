//! Versions of CUDA.

use std::fmt;

use ptxgen_builder::target::PtxVersion;

/// A CUDA version, `major * 1000 + minor * 10`, as the driver counts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct CudaVersion(pub u32);

impl CudaVersion {
    /// The least that works: its functions are those that are called here.
    pub const LEAST: CudaVersion = CudaVersion(12000);

    /// The newest PTX that a driver of this version reads (PTX ISA, "Release
    /// Notes"). Of versions that are not out yet the least that can be expected.
    pub fn ptx(self) -> PtxVersion {
        let (major, minor) = (self.0 / 1000, self.0 % 1000 / 10);
        PtxVersion(match (major, minor) {
            (12, 0..=5) => 80 + minor as u16,
            (12, 6) => 85,
            (12, 7..) => 79 + minor.min(9) as u16,
            (13, _) => 90 + minor.min(9) as u16,
            (14.., _) => 90,
            _ => 78,
        })
    }
}

impl fmt::Display for CudaVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 / 1000, self.0 % 1000 / 10)
    }
}
