//! Makes text from files safe to print: a terminal interprets control characters.

use std::fmt::Write;

/// The text with control characters as `\u{1b}`; newlines and tabs stay.
pub fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_command(c) {
            let _ = write!(out, "{}", c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// [`shown`], on one line.
pub fn on_a_line(text: &str) -> String {
    shown(text).replace('\n', "\\n").replace('\t', "\\t")
}

/// Control characters, and characters that change the direction of text.
fn is_command(c: char) -> bool {
    let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() && !matches!(c, '\n' | '\t') || turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_command_gets_through() {
        assert_eq!(shown("a\u{1b}[2J\u{9b}1m\u{7f}\r\n\tb"), "a\\u{1b}[2J\\u{9b}1m\\u{7f}\\u{d}\n\tb");
        assert_eq!(on_a_line("a\nb\u{202e}"), "a\\nb\\u{202e}");
        assert_eq!(shown("naïve 日本 🦀"), "naïve 日本 🦀");
    }
}
