//! Text to tokens.

use super::error::ParseErrorKind;

/// A position in the text, both from 1; columns count characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Pos {
    pub line: u32,
    pub column: u32,
}

/// What a token is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Kind {
    /// A name, an opcode with its modifiers, a register: `%tid.x`.
    Word,
    /// `.reg`, with its dot. One segment only.
    Directive,
    /// An integer literal's magnitude.
    Int(u64),
    /// A decimal floating-point literal.
    Float(f64),
    /// `0f3F800000`.
    F32(u32),
    /// `0d3FF0000000000000`.
    F64(u64),
    /// A string, with its quotes.
    Str,
    /// One character.
    Punct(char),
    /// The end of the text.
    End,
}

/// A token: what it is, its text and its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub kind: Kind,
    pub text: &'a str,
    pub at: Pos,
}

/// A fault of the text.
pub(super) type Fault = (Pos, ParseErrorKind);

/// All tokens of a text, the last an [`Kind::End`], and the faults among them.
/// A faulty number stands as 0, so that it is the only error there.
pub(super) fn tokens(text: &str) -> (Vec<Token<'_>>, Vec<Fault>) {
    let mut lexer = Lexer { text, offset: 0, at: Pos { line: 1, column: 1 } };
    let (mut tokens, mut faults) = (Vec::new(), Vec::new());
    loop {
        let (token, fault) = lexer.next();
        faults.extend(fault.map(|kind| (token.at, kind)));
        tokens.push(token);
        if token.kind == Kind::End {
            return (tokens, faults);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    offset: usize,
    at: Pos,
}

fn starts_word(c: char) -> bool {
    c.is_ascii_alphabetic() || matches!(c, '_' | '$' | '%')
}

fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '$')
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.offset..]
    }

    fn peek(&self, n: usize) -> Option<char> {
        self.rest().chars().nth(n)
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek(0)?;
        self.offset += c.len_utf8();
        if c == '\n' {
            self.at.line += 1;
            self.at.column = 1;
        } else {
            self.at.column += 1;
        }
        Some(c)
    }

    fn bump_while(&mut self, keep: impl Fn(char) -> bool) {
        while self.peek(0).is_some_and(&keep) {
            self.bump();
        }
    }

    fn next(&mut self) -> (Token<'a>, Option<ParseErrorKind>) {
        if let Some(at) = self.blanks() {
            let fault = expected("'*/' at the end of this comment", "the end of the text");
            return (Token { kind: Kind::End, text: "", at }, Some(fault));
        }
        let (start, at) = (self.offset, self.at);
        let (kind, fault) = match self.peek(0) {
            None => (Kind::End, None),
            Some(c) if starts_word(c) => {
                self.word();
                (Kind::Word, None)
            }
            Some('.') if self.peek(1).is_some_and(starts_word) => {
                self.bump();
                self.bump_while(in_word);
                while self.rest().starts_with("::") && self.peek(2).is_some_and(in_word) {
                    self.bump();
                    self.bump();
                    self.bump_while(in_word);
                }
                (Kind::Directive, None)
            }
            Some(c) if c.is_ascii_digit() || (c == '.' && self.peek(1).is_some_and(|c| c.is_ascii_digit())) => {
                self.number();
                match number(&self.text[start..self.offset]) {
                    Ok(kind) => (kind, None),
                    Err(fault) => (Kind::Int(0), Some(fault)),
                }
            }
            Some('"') => {
                let closed = self.string();
                let fault = || expected("'\"' at the end of this string", "the end of the line");
                (Kind::Str, (!closed).then(fault))
            }
            Some(c) => {
                self.bump();
                (Kind::Punct(c), None)
            }
        };
        (Token { kind, text: &self.text[start..self.offset], at }, fault)
    }

    /// Skips blanks and comments; tells where a comment starts that does not end.
    fn blanks(&mut self) -> Option<Pos> {
        loop {
            self.bump_while(char::is_whitespace);
            if self.rest().starts_with("//") {
                self.bump_while(|c| c != '\n');
            } else if let Some(inside) = self.rest().strip_prefix("/*") {
                let at = self.at;
                let Some(len) = inside.find("*/") else {
                    self.bump_while(|_| true);
                    return Some(at);
                };
                let end = self.offset + len + "/**/".len();
                while self.offset < end {
                    self.bump();
                }
            } else {
                return None;
            }
        }
    }

    /// A word goes on after a dot or `::` where a letter or digit follows.
    fn word(&mut self) {
        self.bump();
        loop {
            self.bump_while(in_word);
            if self.peek(0) == Some('.') && self.peek(1).is_some_and(in_word) {
                self.bump();
            } else if self.rest().starts_with("::") && self.peek(2).is_some_and(in_word) {
                self.bump();
                self.bump();
            } else {
                return;
            }
        }
    }

    fn number(&mut self) {
        let hex =
            self.peek(0) == Some('0') && self.peek(1).is_some_and(|c| matches!(c, 'x' | 'X' | 'f' | 'F' | 'd' | 'D'));
        loop {
            self.bump_while(in_word);
            let exponent = !hex && self.text[..self.offset].ends_with(['e', 'E']);
            match self.peek(0) {
                Some('.') if !hex => self.bump(),
                Some('+' | '-') if exponent && self.peek(1).is_some_and(|c| c.is_ascii_digit()) => self.bump(),
                _ => return,
            };
        }
    }

    /// Whether the string ends on its line.
    fn string(&mut self) -> bool {
        self.bump();
        loop {
            match self.peek(0) {
                None | Some('\n') => return false,
                Some('\\') => {
                    self.bump();
                    if self.peek(0) != Some('\n') {
                        self.bump();
                    }
                }
                Some('"') => {
                    self.bump();
                    return true;
                }
                Some(_) => {
                    self.bump();
                }
            }
        }
    }
}

fn expected(expected: &str, found: &str) -> ParseErrorKind {
    ParseErrorKind::Expected { expected: expected.to_owned(), found: found.to_owned() }
}

/// A number from its text, which starts with a digit or a dot.
fn number(text: &str) -> Result<Kind, ParseErrorKind> {
    let fault = |why| ParseErrorKind::Number { text: text.chars().take(40).collect(), why };
    let bytes = text.as_bytes();
    let radix = match (bytes[0], bytes.get(1)) {
        (b'0', Some(b'f' | b'F')) => {
            let bits = u32::from_str_radix(&text[2..], 16).ok().filter(|_| text.len() == 10);
            return bits.map(Kind::F32).ok_or_else(|| fault("expected eight hexadecimal digits after 0f"));
        }
        (b'0', Some(b'd' | b'D')) => {
            let bits = u64::from_str_radix(&text[2..], 16).ok().filter(|_| text.len() == 18);
            return bits.map(Kind::F64).ok_or_else(|| fault("expected sixteen hexadecimal digits after 0d"));
        }
        (b'0', Some(b'x' | b'X')) => 16,
        (b'0', Some(b'b' | b'B')) => 2,
        _ if text.contains(['.', 'e', 'E']) => {
            let value = text.parse::<f64>().ok().filter(|v| v.is_finite());
            return value.map(Kind::Float).ok_or_else(|| fault("expected a finite decimal floating-point number"));
        }
        (b'0', Some(_)) => 8,
        _ => 10,
    };
    let digits = text.strip_suffix(['U', 'u']).unwrap_or(text);
    let digits = if matches!(radix, 2 | 16) { digits.get(2..).unwrap_or("") } else { digits };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(fault("expected digits of its base only"));
    }
    u64::from_str_radix(digits, radix).map(Kind::Int).map_err(|_| fault("it does not fit 64 bits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        tokens(text).0.into_iter().map(|t| t.kind).collect()
    }

    #[test]
    fn numbers_of_every_base() {
        assert_eq!(
            kinds("10 0x1F 017 0b101 7U 0xFFFFFFFFFFFFFFFF 0"),
            [10, 31, 15, 5, 7, u64::MAX, 0].map(Kind::Int).into_iter().chain([Kind::End]).collect::<Vec<_>>()
        );
        assert_eq!(
            kinds("0f3F800000 0d3FF0000000000000"),
            [Kind::F32(0x3f80_0000), Kind::F64(0x3ff0_0000_0000_0000), Kind::End]
        );
        assert_eq!(
            kinds("1.5 1e3 2.5e-1 .5 1."),
            [1.5, 1000.0, 0.25, 0.5, 1.0].map(Kind::Float).into_iter().chain([Kind::End]).collect::<Vec<_>>()
        );
    }

    #[test]
    fn faulty_numbers_name_what_is_wrong() {
        for (text, why) in [
            ("0f3F8", "eight hexadecimal digits"),
            ("0dXY", "sixteen hexadecimal digits"),
            ("0x", "digits of its base"),
            ("08", "digits of its base"),
            ("12ab", "digits of its base"),
            ("18446744073709551616", "64 bits"),
            ("1.2.3", "floating-point"),
            ("1e999", "finite"),
        ] {
            let (_, faults) = tokens(text);
            assert_eq!(faults.len(), 1, "{text}");
            assert!(faults[0].1.to_string().contains(why), "{text}: {}", faults[0].1);
        }
    }

    #[test]
    fn words_keep_their_dots_and_directives_do_not() {
        let text = "ld.global.nc.L1::evict_last.v4.b32 %tid.x $L_1: .reg.b32 %r<5>; a.b. /* c\n */ _ // x";
        let (tokens, faults) = tokens(text);
        assert!(faults.is_empty());
        let texts: Vec<&str> = tokens.iter().map(|t| t.text).collect();
        let expected = [
            "ld.global.nc.L1::evict_last.v4.b32",
            "%tid.x",
            "$L_1",
            ":",
            ".reg",
            ".b32",
            "%r",
            "<",
            "5",
            ">",
            ";",
            "a.b",
            ".",
            "_",
            "",
        ];
        assert_eq!(texts, expected);
        assert_eq!(tokens[13].at, Pos { line: 2, column: 5 });
    }

    #[test]
    fn open_comments_and_strings_are_faults_at_their_start() {
        assert_eq!(tokens("a\n /* b").1[0].0, Pos { line: 2, column: 2 });
        assert_eq!(tokens(".file 1 \"x\n y").1[0].0, Pos { line: 1, column: 9 });
    }
}
