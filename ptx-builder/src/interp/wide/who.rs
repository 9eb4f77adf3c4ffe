//! Who made an error.

/// The instruction that introduced most of an error, and the one that amplified it most, with its factor.
///
/// Packed, so that it is chosen as cheaply as a number: 24 bits for each instruction (its number and one, 0 for none), and
/// the upper half of the factor's bits as an f32.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::interp) struct Who(u64);

const MOST: u32 = (1 << 24) - 2;

fn packed(pc: u32) -> u64 {
    if pc > MOST { 0 } else { u64::from(pc) + 1 }
}

fn unpacked(bits: u64) -> Option<u32> {
    (bits as u32 & 0xff_ffff).checked_sub(1)
}

impl Who {
    pub const NONE: Who = Who(0);

    /// An error that this instruction introduced. (Of a kernel's 16,777,215th instruction and later ones, nothing is recorded.)
    pub fn introduced(pc: u32) -> Who {
        Who(packed(pc))
    }

    /// The same error, amplified by an instruction, if none did more so before.
    pub fn amplified(self, pc: u32, factor: f64) -> Who {
        // Rounded down, so that an infinity cannot come of it.
        let factor = factor.min(f64::from(f32::MAX)) as f32;
        let bits = u64::from(factor.to_bits() >> 16);
        match factor.is_finite() && bits > self.0 >> 48 {
            true => Who(self.0 & 0xff_ffff | packed(pc) << 24 | bits << 48),
            false => self,
        }
    }

    /// The instruction that introduced it.
    pub fn introducer(self) -> Option<u32> {
        unpacked(self.0)
    }

    /// The instruction that amplified it most, and by how much.
    pub fn amplifier(self) -> Option<(u32, f32)> {
        Some((unpacked(self.0 >> 24)?, f32::from_bits((self.0 >> 48 << 16) as u32)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_factor_stays() {
        let who = Who::introduced(7);
        assert_eq!((who.introducer(), who.amplifier()), (Some(7), None));
        let more = who.amplified(9, 16.0);
        assert_eq!((more.introducer(), more.amplifier()), (Some(7), Some((9, 16.0))));
        assert_eq!(more.amplified(11, 8.0), more);
        assert_eq!(more.amplified(11, 1e300).amplifier().unwrap().0, 11);
        assert!(more.amplified(11, f64::INFINITY).amplifier().unwrap().1.is_finite());
        assert_eq!(more.amplified(11, f64::NAN).amplifier().unwrap().1.to_bits() >> 31, 0);
        assert_eq!(Who::introduced(MOST).introducer(), Some(MOST));
        assert_eq!(Who::introduced(MOST + 1).introducer(), None);
        assert_eq!(Who::NONE.introducer(), None);
    }
}
