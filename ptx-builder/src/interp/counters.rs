//! Counts of what a launch executed.

use std::ops::AddAssign;

use super::site::Site;
use crate::table::FormId;

/// What one instruction, or a set of them, did in a launch.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Counts {
    /// Executions by a warp, however many of its lanes were active. One
    /// whose guard is false in all lanes counts too, as on hardware.
    pub warps: u64,
    /// Executions by a lane.
    pub lanes: u64,
    /// Passes over shared memory's 32 banks that accesses took. An access of
    /// 4 bytes a lane or less needs at least one, of 8 two (one for each half
    /// of the warp with active lanes), of 16 four.
    pub shared_passes: u64,
    /// Of these, how many were due to bank conflicts.
    pub bank_conflicts: u64,
    /// 32-byte sectors of global memory that accesses requested: the distinct
    /// ones of each warp access, summed.
    pub sectors: u64,
    /// Bytes of those sectors that the lanes requested, each counted once per access.
    pub sector_bytes: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, o: Self) {
        self.warps += o.warps;
        self.lanes += o.lanes;
        self.shared_passes += o.shared_passes;
        self.bank_conflicts += o.bank_conflicts;
        self.sectors += o.sectors;
        self.sector_bytes += o.sector_bytes;
    }
}

/// Counts for one instruction of the kernel.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct SiteCounts {
    /// The instruction.
    pub site: Site,
    /// Its form.
    pub form: FormId,
    /// Its counts.
    pub counts: Counts,
}

/// The counts of a launch.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Counters {
    /// Instructions in writing order.
    pub sites: Vec<SiteCounts>,
    /// All of them.
    pub total: Counts,
}

impl Counters {
    /// The sum over the instructions for which `pick` holds, such as those of
    /// one form or row.
    pub fn sum(&self, pick: impl Fn(FormId) -> bool) -> Counts {
        self.sites.iter().filter(|s| pick(s.form)).fold(Counts::default(), |mut sum, s| {
            sum += s.counts;
            sum
        })
    }
}

/// Distinct 32-byte sectors of a warp access, and the distinct bytes in them.
/// Accesses are aligned and of at most 16 bytes, so each is in one sector.
pub(super) fn sectors(addresses: &[u64; 32], mut mask: u32, bytes: u32) -> (u64, u64) {
    let mut seen: [(u64, u32); 32] = [(u64::MAX, 0); 32];
    let mut n = 0;
    let mut last = 0;
    while mask != 0 {
        let lane = mask.trailing_zeros() as usize;
        mask &= mask - 1;
        let sector = addresses[lane] / 32;
        let used = (((1u64 << bytes) - 1) << (addresses[lane] % 32)) as u32;
        if seen[last].0 != sector {
            last = seen[..n].iter().position(|s| s.0 == sector).unwrap_or(n);
            if last == n {
                seen[n] = (sector, 0);
                n += 1;
            }
        }
        seen[last].1 |= used;
    }
    (n as u64, seen[..n].iter().map(|s| u64::from(s.1.count_ones())).sum())
}

/// Passes over the banks of shared memory, and how many of them conflicts add.
/// Lanes that read the same 4-byte word of a bank share a pass.
pub(super) fn bank_passes(addresses: &[u64; 32], mask: u32, bytes: u32) -> (u64, u64) {
    let words = bytes.div_ceil(4).max(1);
    let lanes_a_phase = 32 / words;
    let (mut passes, mut ideal) = (0, 0);
    for phase in 0..words {
        let phase_mask = ((1u64 << lanes_a_phase) - 1) as u32;
        let mut lanes = mask & phase_mask << (phase * lanes_a_phase);
        if lanes == 0 {
            continue;
        }
        ideal += 1;
        passes += conflict_degree(addresses, &mut lanes, words);
    }
    (passes, passes - ideal)
}

/// The most distinct words that one bank has to give.
fn conflict_degree(addresses: &[u64; 32], lanes: &mut u32, words: u32) -> u64 {
    let mut all = [0u64; 32];
    let mut n = 0;
    let mut in_bank = [0u8; 32];
    let mut most = 1;
    while *lanes != 0 {
        let lane = lanes.trailing_zeros() as usize;
        *lanes &= *lanes - 1;
        for k in 0..u64::from(words) {
            let word = addresses[lane] / 4 + k;
            let bank = (word % 32) as usize;
            // Only words of the same bank need be compared, and mostly there are none.
            if in_bank[bank] > 0 && all[..n].contains(&word) {
                continue;
            }
            all[n] = word;
            n += 1;
            in_bank[bank] += 1;
            most = most.max(u64::from(in_bank[bank]));
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Addresses of the lanes, `of` lane number.
    fn at(of: impl Fn(u64) -> u64) -> [u64; 32] {
        std::array::from_fn(|lane| of(lane as u64))
    }

    #[test]
    fn sectors_and_their_bytes() {
        let all = u32::MAX;
        let cases = [
            (at(|l| l * 4), all, 4, (4, 128)),
            (at(|l| l * 4 + 28), all, 4, (5, 128)),
            (at(|l| l * 32), all, 4, (32, 128)),
            (at(|_| 64), all, 4, (1, 4)),
            (at(|l| l % 2 * 512), all, 8, (2, 16)),
            (at(|l| l * 16), all, 16, (16, 512)),
            (at(|l| 31 + l), all, 1, (2, 32)),
            (at(|l| l * 32), 0x8001, 2, (2, 4)),
            (at(|l| l * 4), 1 << 31, 4, (1, 4)),
            (at(|l| l / 2 * 32 + l % 2 * 8), all, 8, (16, 256)),
            (at(|l| l * 4), 0, 4, (0, 0)),
        ];
        for (i, (at, mask, bytes, expected)) in cases.into_iter().enumerate() {
            assert_eq!(sectors(&at, mask, bytes), expected, "case {i}");
        }
    }

    #[test]
    fn passes_over_the_banks() {
        let all = u32::MAX;
        let cases = [
            (at(|l| l * 4), all, 4, (1, 0)),
            (at(|l| l), all, 1, (1, 0)),
            (at(|l| l * 8), all, 4, (2, 1)),
            (at(|l| l * 128), all, 4, (32, 31)),
            (at(|l| l * 132), all, 4, (1, 0)),
            (at(|_| 4096), all, 4, (1, 0)),
            (at(|l| l % 2 * 128), all, 4, (2, 1)),
            (at(|l| l % 2 * 128 + l / 2 * 4), all, 4, (2, 1)),
            (at(|l| l * 8), all, 8, (2, 0)),
            (at(|l| l * 8), 0xffff_0000, 8, (1, 0)),
            (at(|l| l * 8), 0x0001_8000, 8, (2, 0)),
            (at(|l| l * 128), all, 8, (32, 30)),
            (at(|l| l * 16), all, 16, (4, 0)),
            (at(|l| l * 128), all, 16, (32, 28)),
            (at(|l| l * 128), 7, 4, (3, 2)),
            (at(|l| l * 4), 0, 4, (0, 0)),
        ];
        for (i, (at, mask, bytes, expected)) in cases.into_iter().enumerate() {
            assert_eq!(bank_passes(&at, mask, bytes), expected, "case {i}");
        }
    }

    #[test]
    fn counts_add_up() {
        let one = Counts { warps: 1, lanes: 2, shared_passes: 3, bank_conflicts: 4, sectors: 5, sector_bytes: 6 };
        let mut sum = one;
        sum += one;
        let two = Counts { warps: 2, lanes: 4, shared_passes: 6, bank_conflicts: 8, sectors: 10, sector_bytes: 12 };
        assert_eq!(sum, two);
    }
}
