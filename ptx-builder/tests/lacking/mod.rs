//! Kernels without one of their statements, or with another number or guard in it.

use std::ops::Range;

/// The statements of a body, each with its place.
pub fn statements(body: &str) -> Vec<Range<usize>> {
    let mut start = 0;
    let ends = body.match_indices(';').map(|(at, _)| at + 1);
    ends.map(|end| std::mem::replace(&mut start, end)..end).collect()
}

/// Every body with one of its numbers one more or one of its guards the opposite, and what it has there.
pub fn changed(body: &str) -> Vec<(String, String)> {
    let bytes = body.as_bytes();
    let mut all = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &body[at..];
        // Registers, types and floats are words that have digits in them.
        let word = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"_%.$:".contains(c)).unwrap_or(rest.len());
        let (old, new) = if rest.starts_with("@!") {
            ("@!", Some("@".to_owned()))
        } else if rest.starts_with('@') {
            ("@", Some("@!".to_owned()))
        } else {
            let more = match rest[..word].strip_prefix("0x") {
                Some(hex) => u64::from_str_radix(hex, 16).ok().map(|n| format!("{:#x}", n.wrapping_add(1))),
                None => rest[..word].parse::<u64>().ok().map(|n| n.wrapping_add(1).to_string()),
            };
            (&rest[..word.max(1)], more)
        };
        if let Some(new) = new {
            let after = &body[at + old.len()..];
            let what =
                format!("{new}{}", after.split_whitespace().next().filter(|_| new.starts_with('@')).unwrap_or(""));
            all.push((what, format!("{}{new}{after}", &body[..at])));
        }
        at += old.len();
    }
    all
}

/// One number for a text (FNV-1a).
pub fn digest(bytes: impl Iterator<Item = u8>) -> u32 {
    bytes.fold(0, |d, b| (d ^ u32::from(b)).wrapping_mul(0x0100_0193))
}
