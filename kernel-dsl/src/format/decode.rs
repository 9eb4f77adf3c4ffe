//! Decoding on the host, by the type of a tensor.

use super::list::for_each_type;
use super::{DecodeError, Integers, Q4K, Q6K, TensorType, plain};
use crate::reference::Accumulator;
use half::f16;

/// How a type's weights are taken apart, where it has blocks.
#[derive(Clone, Copy)]
pub(crate) enum Decoder {
    /// Element by element, or Q8_0.
    Plain,
    /// Q4_K and Q6_K, which have ways of their own everywhere.
    Own,
    /// Superblocks of integers: how a block is taken apart, and whether it has minimums.
    Integers(fn(&[u8], &mut Integers), bool),
    /// Nibbles in blocks of 32.
    Nibbles(super::nibbles::Layout),
}

/// Gives a block of random bytes factors like those of trained weights.
type SetFactors = fn(&mut [u8], &mut dyn FnMut(f32) -> f16);

macro_rules! decoder {
    (floats $format:path) => {
        Decoder::Plain
    };
    (bytes $format:path) => {
        Decoder::Plain
    };
    (own $format:path) => {
        Decoder::Own
    };
    (integers $format:path) => {
        Decoder::Integers(<$format as super::IntegerFormat>::integers, <$format as super::IntegerFormat>::MINIMUMS)
    };
    (nibbles $format:path) => {
        Decoder::Nibbles(<$format as super::NibbleFormat>::LAYOUT)
    };
}

macro_rules! factors {
    (floats $format:path) => {
        None
    };
    (bytes $format:path) => {
        Some(<$format>::set_factors)
    };
    (own $format:path) => {
        Some(<$format>::set_factors)
    };
    (integers $format:path) => {
        Some(<$format as super::IntegerFormat>::set_factors)
    };
    (nibbles $format:path) => {
        Some(|block, next| {
            <$format as super::NibbleFormat>::LAYOUT.set_factors(<$format as super::NibbleFormat>::USUAL, block, next)
        })
    };
}

macro_rules! decoders {
    ($($name:ident $id:literal $len:literal $bytes:literal $module:ident::$format:ident $kind:ident, $doc:literal;)*) => {
        impl TensorType {
            /// How blocks are taken apart.
            pub(crate) const fn decoder(self) -> Decoder {
                match self { $(Self::$name => decoder!($kind super::$module::$format),)* }
            }

            /// How blocks get factors.
            fn factors(self) -> Option<SetFactors> {
                match self { $(Self::$name => factors!($kind super::$module::$format),)* }
            }
        }
    };
}

for_each_type!(decoders);

impl TensorType {
    /// The f32 values of `bytes` (the contract's "Dequantization"): bit for bit those of the
    /// `gguf` Python package.
    ///
    /// # Errors
    /// If `bytes` is not exactly the storage of `out.len()` weights.
    pub fn dequantize(self, bytes: &[u8], out: &mut [f32]) -> Result<(), DecodeError> {
        self.check(bytes, out.len())?;
        match self.decoder() {
            Decoder::Plain | Decoder::Integers(..) | Decoder::Nibbles(..) => self.decode(bytes, out),
            Decoder::Own => {
                let blocks = bytes.chunks_exact(self.block_bytes()).zip(out.as_chunks_mut().0);
                match self {
                    Self::Q4_K => blocks.for_each(|(b, o)| Q4K::of(b).dequantize(o)),
                    _ => blocks.for_each(|(b, o)| Q6K::of(b).dequantize(o)),
                }
            }
        }
        Ok(())
    }

    /// The weights in `bytes` as a product with f32 activations takes them, in the accumulator's type:
    /// the contract's "Matrix times vector".
    ///
    /// # Errors
    /// If `bytes` is not exactly the storage of `out.len()` weights.
    pub fn weights<A: Accumulator>(self, bytes: &[u8], out: &mut [A]) -> Result<(), DecodeError> {
        self.check(bytes, out.len())?;
        self.decode(bytes, out);
        Ok(())
    }

    /// Takes a superblock apart, and says whether the type has minimums; `None` for types that are not
    /// [integers](super::IntegerFormat).
    ///
    /// # Panics
    /// If `block` has fewer bytes than a block.
    #[inline]
    pub fn integers(self, block: &[u8], out: &mut Integers) -> Option<bool> {
        let Decoder::Integers(take_apart, minimums) = self.decoder() else { return None };
        take_apart(block, out);
        Some(minimums)
    }

    fn check(self, bytes: &[u8], elements: usize) -> Result<(), DecodeError> {
        if self.bytes_of(elements) == Some(bytes.len()) {
            return Ok(());
        }
        let expected = match self.bytes_of(elements) {
            Some(n) => format!("{n} bytes"),
            None => format!("whole blocks of {}", self.block_len()),
        };
        Err(DecodeError { ty: self, elements, expected, found: bytes.len() })
    }

    #[inline(always)]
    fn decode<A: Accumulator>(self, bytes: &[u8], out: &mut [A]) {
        let blocks = bytes.chunks_exact(self.block_bytes()).zip(out.chunks_exact_mut(self.block_len()));
        match self.decoder() {
            Decoder::Plain => plain::values(self, bytes, out),
            Decoder::Own => blocks.for_each(|(b, o)| match self {
                Self::Q4_K => o.copy_from_slice(&Q4K::of(b).weights::<A>()),
                _ => o.copy_from_slice(&Q6K::of(b).weights::<A>()),
            }),
            Decoder::Integers(take_apart, minimums) => {
                let mut integers = Integers::default();
                blocks.for_each(|(b, o)| {
                    take_apart(b, &mut integers);
                    o.copy_from_slice(&integers.weights::<A>(minimums));
                });
            }
            Decoder::Nibbles(layout) => blocks.for_each(|(b, o)| layout.weights(b, o)),
        }
    }

    /// Gives blocks of random bytes factors like those of trained weights; `next` makes one of about
    /// the size that it is asked for. Nothing where the elements are floats.
    pub fn set_factors(self, blocks: &mut [u8], next: &mut dyn FnMut(f32) -> f16) {
        if let Some(set) = self.factors() {
            blocks.chunks_exact_mut(self.block_bytes()).for_each(|block| set(block, next));
        }
    }
}
