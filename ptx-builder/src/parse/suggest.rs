//! Near spellings for names that are not known.

use strsim::damerau_levenshtein;

use crate::table::table;

/// Names longer than this get no suggestion; comparing takes the product of
/// the lengths.
const LONGEST: usize = 64;

/// The nearest of `names`, if it is near enough to be meant.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    if name.len() > LONGEST {
        return None;
    }
    let far = name.len() / 3 + 1;
    names
        .filter(|n| n.len().abs_diff(name.len()) <= far)
        .map(|n| (damerau_levenshtein(name, n), n))
        .filter(|&(distance, _)| distance <= far)
        // Ties by spelling, so that a message does not depend on a map's order.
        .min()
        .map(|(_, n)| n.to_owned())
}

/// The nearest instruction: among those with the same opcode if it is known.
pub(super) fn nearest_instruction(name: &str) -> Option<String> {
    let head = |name: &str| name.split('.').next().unwrap_or("").to_owned();
    let wanted = head(name);
    let same: Vec<&str> = table().names().filter(|n| head(n) == wanted).collect();
    if same.is_empty() { nearest(name, table().names()) } else { nearest(name, same.into_iter()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_spellings() {
        assert_eq!(nearest_instruction("ad.s32").as_deref(), Some("add.s32"));
        assert_eq!(nearest_instruction("add.s23").as_deref(), Some("add.s32"));
        assert_eq!(nearest_instruction("frobnicate"), None);
        assert_eq!(nearest_instruction(&"a".repeat(1000)), None);
    }
}
