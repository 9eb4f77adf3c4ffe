//! How instructions lose bits, in words.

use std::borrow::Cow;

/// A way to lose bits of a computed float.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Loss {
    /// Its bits as an integer's.
    AsInteger,
    /// Bits of it changed or dropped.
    Bits,
    /// Something else than it as a float's operand.
    NotWhole,
    /// A directed rounding.
    Directed,
    /// A clamp.
    Clamped,
    /// Arithmetic in 16 bits.
    Half,
    /// Its bits converted as a number.
    BitsConverted,
    /// A part of it converted.
    PartConverted,
    /// An integer that it was rounded to converted back.
    Back,
    /// Rounded to an integer.
    Integer,
    /// Rounded to f32 toward a side.
    Narrowed,
    /// Decoded factors rounded, with their name.
    Decoded(&'static str),
    /// Rounded to another type.
    OtherType,
    /// f64 of what was rounded to f32.
    Widened,
    /// A choice between it and less.
    Choice,
    /// It on one path, and less on another.
    Met,
    /// Its sign alone.
    Sign,
    /// Pieces of several, or in another order.
    Joined,
    /// A part of it stored.
    Stored,
    /// Rounded as it is stored.
    StoredHalf,
    /// A result that is written over in part.
    Torn,
    /// Memory with accesses of several sizes.
    Sizes,
    /// Memory with several types of floats.
    Types,
    /// Memory that atomics write.
    Shared,
    /// An atomic.
    Atomic,
    /// Matrices of pieces.
    Matrix,
    /// A copy of a part.
    Copied,
    /// A float matrix product.
    Product,
    /// Nothing is known of the instruction.
    Unknown,
    /// The analysis did not come to an end.
    Endless,
}

impl Loss {
    /// What happens, after "this", and what to do instead.
    pub(in super::super) fn words(self) -> (Cow<'static, str>, &'static str) {
        const WHOLE: &str = "move it whole, or take it apart with mov and put the same pieces together in their order";
        const CONVERT: &str = "keep it in the accumulator's type until it is stored";
        let (what, instead) = match self {
            Loss::AsInteger => ("computes with the bits of a computed float as an integer", "compute in floats"),
            Loss::Bits => ("changes or drops bits of a computed float", WHOLE),
            Loss::NotWhole => ("computes with what is not a whole float of its type", WHOLE),
            Loss::Directed => ("rounds otherwise than to nearest even", "write .rn"),
            Loss::Clamped => ("clamps a computed float", "leave out .sat or .relu; use min and max if it is meant"),
            Loss::Half => ("computes with a computed float in 16 bits", CONVERT),
            Loss::BitsConverted => ("converts the bits of a computed float as a number", CONVERT),
            Loss::PartConverted => ("converts a part of a computed float", WHOLE),
            Loss::Back => ("makes a float of the integer that a float was rounded to", CONVERT),
            Loss::Integer => ("rounds a computed float to an integer", CONVERT),
            Loss::Narrowed => ("rounds to f32 otherwise than to nearest even", "write cvt.rn.f32.f64"),
            Loss::Decoded(name) => return (format!("rounds decoded {name} to f32").into(), CONVERT),
            Loss::OtherType => ("rounds a computed float to a narrower type", CONVERT),
            Loss::Widened => {
                ("goes on in f64 with what was rounded to f32 in the middle of a computation", "round once, at the end")
            }
            Loss::Choice => ("selects between a computed float and a part of one or a number of another type", WHOLE),
            Loss::Met => (
                "takes what is a computed float on one way here, and on another a part of one or a number of another type",
                WHOLE,
            ),
            Loss::Sign => ("keeps only the sign of a computed float", "compare and select if that is meant"),
            Loss::Joined => ("joins pieces of different values, or not in their order", WHOLE),
            Loss::Stored => (
                "stores a part of a computed float",
                "store it whole, or all of its pieces next to each other with no other access between",
            ),
            Loss::StoredHalf => ("stores a computed float that was rounded to 16 bits", CONVERT),
            Loss::Torn => (
                "writes over a part of a computed float, or beside floats of another type, in a result",
                "give each type a buffer of its own",
            ),
            Loss::Sizes => (
                "reads computed floats from memory that is written or read with other sizes, too",
                "give them an array of their own, and load with the size that was stored or a vector of it",
            ),
            Loss::Types => (
                "reads computed floats from memory that holds floats of several types",
                "give each type an array of its own",
            ),
            Loss::Shared => {
                ("reads computed floats from memory that atomics write, too", "give the floats an array of their own")
            }
            Loss::Atomic => {
                ("changes a computed float in memory in one step with others", "store it, and load it after a barrier")
            }
            Loss::Matrix => ("loads pieces of computed floats as a matrix", "load them with ld"),
            Loss::Copied => (
                "copies parts of computed floats",
                "copy a constant multiple of their size, and no fewer bytes than are written",
            ),
            Loss::Product => ("multiplies computed floats in a matrix instruction", "compute with fma"),
            Loss::Unknown => ("takes a computed float in a way that is not known", "use an instruction whose row says"),
            Loss::Endless => ("leads to values that cannot be followed", "use fewer registers with several values"),
        };
        (what.into(), instead)
    }
}
