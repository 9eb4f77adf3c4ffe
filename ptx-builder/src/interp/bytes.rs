//! Memory that only one block sees: shared, local, const and param.

/// Bytes with a bit each for having been written.
pub(super) struct Bytes {
    data: Vec<u8>,
    /// Empty where all bytes count as written.
    init: Vec<u64>,
}

impl Bytes {
    /// `len` unwritten bytes.
    pub fn uninit(len: usize) -> Self {
        Bytes { data: vec![0xaa; len], init: vec![0; len.div_ceil(64)] }
    }

    /// These bytes, all written.
    pub fn new(data: Vec<u8>) -> Self {
        Bytes { data, init: Vec::new() }
    }

    pub fn len(&self) -> u64 {
        self.data.len() as u64
    }

    /// The value of up to 16 bytes; in bounds.
    #[inline]
    pub fn load(&self, at: u64, bytes: u32) -> u128 {
        let at = at as usize;
        match bytes {
            4 => read::<4>(&self.data, at, |b| u128::from(u32::from_le_bytes(b))),
            8 => read::<8>(&self.data, at, |b| u128::from(u64::from_le_bytes(b))),
            _ => {
                let mut value = [0; 16];
                value[..bytes as usize].copy_from_slice(&self.data[at..at + bytes as usize]);
                u128::from_le_bytes(value)
            }
        }
    }

    /// Stores the low `bytes` of a value; in bounds.
    #[inline]
    pub fn store(&mut self, at: u64, bytes: u32, value: u128) {
        let at = at as usize;
        let n = bytes as usize;
        self.data[at..at + n].copy_from_slice(&value.to_le_bytes()[..n]);
        if !self.init.is_empty() {
            for (word, mask) in parts(at, n) {
                self.init[word] |= mask;
            }
        }
    }

    /// Whether every byte has been written.
    #[inline]
    pub fn is_init(&self, at: u64, bytes: u32) -> bool {
        self.init.is_empty() || parts(at as usize, bytes as usize).all(|(word, mask)| self.init[word] & mask == mask)
    }
}

#[inline]
fn read<const N: usize>(data: &[u8], at: usize, f: impl Fn([u8; N]) -> u128) -> u128 {
    let mut value = [0; N];
    value.copy_from_slice(&data[at..at + N]);
    f(value)
}

/// The bits of a range of up to 16 bytes, as one or two (word, mask).
#[inline]
fn parts(at: usize, n: usize) -> impl Iterator<Item = (usize, u64)> {
    let bits = ((1u128 << n) - 1) << (at % 64);
    let (low, high) = (bits as u64, (bits >> 64) as u64);
    [(at / 64, low), (at / 64 + 1, high)].into_iter().filter(|&(_, mask)| mask != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_counts_as_written_by_itself() {
        for at in [0, 1, 56, 60, 63, 64, 100, 112] {
            for n in [1, 2, 4, 8, 16] {
                let mut bytes = Bytes::uninit(128);
                assert_eq!(bytes.load(at, n), (0..n).fold(0, |v, i| v | 0xaa << (8 * i)));
                let value = 0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10;
                bytes.store(at, n, value);
                let mask = if n == 16 { u128::MAX } else { (1 << (8 * n)) - 1 };
                assert_eq!(bytes.load(at, n), value & mask);
                for byte in 0..128 {
                    let written = (at..at + u64::from(n)).contains(&byte);
                    assert_eq!(bytes.is_init(byte, 1), written, "byte {byte} after {n} at {at}");
                }
                assert!(bytes.is_init(at, n));
                assert!(at == 0 || !bytes.is_init(at - 1, n));
                assert!(at + u64::from(n) >= 128 || !bytes.is_init(at + 1, n));
            }
        }
    }

    #[test]
    fn given_bytes_count_as_written() {
        let bytes = Bytes::new(vec![1, 2, 3, 4]);
        assert_eq!((bytes.len(), bytes.load(0, 4), bytes.is_init(0, 4)), (4, 0x0403_0201, true));
        assert_eq!(Bytes::uninit(65).len(), 65);
        assert!(!Bytes::uninit(65).is_init(64, 1));
    }
}
