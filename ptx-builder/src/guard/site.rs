//! The record of a violation in a guarded kernel, and its interpretation.

use std::fmt;

use super::address::Object;
use crate::ir::Loc;

/// Bytes of a [`Record`] in memory.
pub const RECORD_BYTES: usize = 64;

/// Offsets of the parts of a record.
pub(super) mod at {
    /// u32: not 0 once a thread has claimed the record.
    pub const CLAIMED: i32 = 0;
    /// u32: not 0 once the record is complete; stored last, with release.
    pub const DONE: i32 = 4;
    /// u32: the check, from 1.
    pub const SITE: i32 = 8;
    /// u64: the index or distance that failed.
    pub const VALUE: i32 = 16;
    /// u32 three times: `%ctaid`.
    pub const BLOCK: i32 = 24;
    /// u32 three times: `%tid`.
    pub const THREAD: i32 = 36;
    /// u32: bytes, of an access whose size is not a constant.
    pub const BYTES: i32 = 48;
}

/// The first violation of a launch, as the kernel wrote it: [`RECORD_BYTES`] bytes, little-endian, zeros
/// before the launch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    site: u32,
    value: u64,
    bytes: u32,
    /// The block, as `%ctaid`.
    pub block: [u32; 3],
    /// The thread, as `%tid`.
    pub thread: [u32; 3],
}

impl Record {
    /// The contents of a record as text; `None` if there was no violation.
    pub fn read(words: &[u32; RECORD_BYTES / 4]) -> Option<Record> {
        let word = |at: i32| words[at as usize / 4];
        let three = |at: i32| [word(at), word(at + 4), word(at + 8)];
        (word(at::DONE) != 0).then(|| Record {
            site: word(at::SITE),
            value: u64::from(word(at::VALUE)) | u64::from(word(at::VALUE + 4)) << 32,
            bytes: word(at::BYTES),
            block: three(at::BLOCK),
            thread: three(at::THREAD),
        })
    }
}

/// The kind of an access.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Touch {
    /// Reads.
    Reads,
    /// Writes.
    Writes,
    /// Reads and writes in one step.
    Updates,
}

/// The fault of an access.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Wrong {
    /// It is not completely inside its object.
    Outside,
    /// Its address is not a multiple of its size.
    Misaligned,
    /// A bulk copy whose number of bytes is not a multiple of 16.
    BulkSize,
}

/// One access that a check covers.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Member {
    /// Offset in bytes from the check's index times its scale.
    pub lo: i64,
    /// Size in bytes; `None` if an operand says it.
    pub bytes: Option<u32>,
    pub align: u32,
    /// Bytes of an element.
    pub element: u32,
    pub touch: Touch,
    pub text: String,
    pub loc: Option<Loc>,
}

/// One check of a guarded kernel.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Site {
    /// `None`: any buffer; the value is the address.
    pub object: Option<Object>,
    pub scale: u64,
    /// Bytes that are already included in the recorded value.
    pub shift: i64,
    pub members: Vec<Member>,
}

/// A violation for messages.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Violation {
    /// The fault.
    pub wrong: Wrong,
    /// The kind of access.
    pub touch: Touch,
    /// The intended object; `None` if that may be any of the buffers.
    pub object: Option<Object>,
    /// The first byte, from the object's start (from 0 if it may be any buffer).
    pub first: i128,
    /// Bytes accessed.
    pub bytes: u32,
    /// Bytes of an element of the access.
    pub element: u32,
    /// The instruction.
    pub text: String,
    /// The author's line.
    pub loc: Option<Loc>,
}

impl Site {
    /// The first faulty access, given the length of the object.
    fn explain(&self, record: &Record, len: u64) -> Option<Violation> {
        let found = self.members.iter().find_map(|m| {
            let first = i128::from(record.value) * i128::from(self.scale) + i128::from(m.lo - self.shift);
            // Distances are 64-bit numbers that wrap.
            let first = if self.scale == 1 { i128::from(first as i64) } else { first };
            let bytes = m.bytes.unwrap_or(record.bytes);
            let outside = self.object.is_none() || first < 0 || first + i128::from(bytes) > i128::from(len);
            let wrong = if m.bytes.is_none() && bytes % 16 != 0 {
                Wrong::BulkSize
            } else if outside {
                Wrong::Outside
            } else if first % i128::from(m.align.max(1)) != 0 {
                Wrong::Misaligned
            } else {
                return None;
            };
            Some((m, first, bytes, wrong))
        });
        let (m, first, bytes, wrong) = found?;
        Some(Violation {
            wrong,
            touch: m.touch,
            object: self.object,
            first,
            bytes,
            element: m.element,
            text: m.text.clone(),
            loc: m.loc.clone(),
        })
    }
}

/// Interprets a record with the kernel's sites.
pub(super) fn explain(sites: &[Site], record: &Record, len: impl Fn(Object) -> u64) -> Option<Violation> {
    let site = sites.get((record.site as usize).checked_sub(1)?)?;
    site.explain(record, site.object.map_or(0, len))
}

impl Violation {
    /// The accessed elements: the first, and their number.
    pub fn elements(&self, element: u32) -> (i128, u32) {
        let element = element.max(1);
        (self.first.div_euclid(element.into()), self.bytes.div_ceil(element).max(1))
    }

    /// `x[20] of 20`, or `x[18..22] of 20`: the accessed elements of an array with this name, element size and length
    /// in bytes.
    pub fn describe(&self, name: &str, element: u32, len: u64) -> String {
        let (first, count) = self.elements(element);
        let of = len / u64::from(element.max(1));
        let whole = self.first.rem_euclid(element.max(1).into()) == 0;
        // An index that wrapped below zero.
        let negative = if (1 << 31..1 << 32).contains(&first) {
            format!(" (index {} as a signed number)", first as u32 as i32)
        } else {
            String::new()
        };
        match (whole, count) {
            (false, _) => {
                let end = self.first + i128::from(self.bytes);
                format!("bytes {}..{end} of `{name}`, which has {len}", self.first)
            }
            (true, 1) => format!("{name}[{first}] of {of}{negative}"),
            (true, _) => format!("{name}[{first}..{}] of {of}{negative}", first + i128::from(count)),
        }
    }
}

impl fmt::Display for Touch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Touch::Reads => "reads",
            Touch::Writes => "writes",
            Touch::Updates => "updates",
        })
    }
}
