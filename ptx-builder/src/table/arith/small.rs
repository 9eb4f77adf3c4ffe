//! Floats of 8 and 6 bits.

/// A format without infinities (or where none results), in the low bits of a byte.
#[derive(Clone, Copy)]
pub(in crate::table) struct Small {
    exponent: u32,
    mantissa: u32,
    bias: i32,
    /// The magnitude of the largest number, as bits.
    largest: u8,
    /// What a NaN becomes.
    nan: u8,
}

impl Small {
    pub(in crate::table) const E4M3: Small = Small { exponent: 4, mantissa: 3, bias: 7, largest: 0x7e, nan: 0x7f };
    pub(in crate::table) const E5M2: Small = Small { exponent: 5, mantissa: 2, bias: 15, largest: 0x7b, nan: 0x7f };
    pub(in crate::table) const E2M3: Small = Small { exponent: 2, mantissa: 3, bias: 1, largest: 0x1f, nan: 0x1f };
    pub(in crate::table) const E3M2: Small = Small { exponent: 3, mantissa: 2, bias: 3, largest: 0x1f, nan: 0x1f };

    /// The number of a byte.
    pub(in crate::table) fn decode(self, byte: u8) -> f64 {
        let width = self.exponent + self.mantissa;
        let magnitude = byte & (1u16 << width).wrapping_sub(1) as u8;
        let (e, m) = (i32::from(magnitude >> self.mantissa), f64::from(magnitude & ((1 << self.mantissa) - 1)));
        let value = match e {
            _ if magnitude > self.largest && self.exponent == 5 && m == 0.0 => f64::INFINITY,
            _ if magnitude > self.largest => f64::NAN,
            0 => m * power(1 - self.bias - self.mantissa as i32),
            e => (m + f64::from(1u32 << self.mantissa)) * power(e - self.bias - self.mantissa as i32),
        };
        if byte >> width & 1 == 1 { -value } else { value }
    }

    /// The byte of the number next to `x`, ties to even; the largest where it is beyond.
    pub(in crate::table) fn encode(self, x: f64, relu: bool) -> u8 {
        if x.is_nan() {
            return self.nan;
        }
        if relu && x <= 0.0 {
            return 0;
        }
        let sign = u8::from(x.is_sign_negative()) << (self.exponent + self.mantissa);
        let magnitude = x.abs();
        let most = self.decode(self.largest);
        if magnitude >= most {
            return sign | self.largest;
        }
        let e = ((magnitude.to_bits() >> 52) as i32 - 1023).max(1 - self.bias);
        let steps = (magnitude / power(e - self.mantissa as i32)).round_ties_even() as u32;
        // The hidden bit, and a carry out of the significand, add themselves to the exponent.
        let bits = (((e + self.bias - 1) as u32) << self.mantissa) + steps;
        sign | bits as u8
    }
}

/// 2 to the power of `n`, of a normal number.
fn power(n: i32) -> f64 {
    f64::from_bits(((n + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::Small;

    #[test]
    fn every_number_is_its_own_nearest() {
        for format in [Small::E4M3, Small::E5M2, Small::E2M3, Small::E3M2] {
            for byte in 0..=format.largest {
                assert_eq!(format.encode(format.decode(byte), false), byte);
            }
        }
        assert_eq!(Small::E4M3.decode(0x7e), 448.0);
        assert_eq!(Small::E5M2.decode(0x7b), 57344.0);
        assert_eq!(Small::E2M3.decode(0x1f), 7.5);
        assert_eq!(Small::E3M2.decode(0x1f), 28.0);
        assert_eq!(Small::E4M3.encode(-1e9, false), 0xfe);
        assert_eq!(Small::E4M3.encode(-1.0, true), 0);
        // Halfway between 1 and 1.125, and between 1.125 and 1.25.
        assert_eq!(Small::E4M3.encode(1.0625, false), 0x38);
        assert_eq!(Small::E4M3.encode(1.1875, false), 0x3a);
    }
}
