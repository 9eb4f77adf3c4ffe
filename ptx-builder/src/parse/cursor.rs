//! A position among the tokens.

use super::error::ParseErrorKind;
use super::lex::{Fault, Kind, Pos, Token};
use super::number::Number;

/// The tokens with the next one to read.
pub(super) struct Cursor<'a> {
    tokens: Vec<Token<'a>>,
    next: usize,
}

impl<'a> Cursor<'a> {
    /// At the first of `tokens`, whose last is an [`Kind::End`].
    pub fn new(tokens: Vec<Token<'a>>) -> Self {
        Cursor { tokens, next: 0 }
    }

    /// All tokens.
    pub fn tokens(&self) -> &[Token<'a>] {
        &self.tokens
    }

    /// The next token.
    pub fn peek(&self) -> Token<'a> {
        self.peek_at(0)
    }

    /// The token `n` after the next one; the end stays.
    pub fn peek_at(&self, n: usize) -> Token<'a> {
        self.tokens[(self.next + n).min(self.tokens.len() - 1)]
    }

    /// Takes the next token; at the end, the end token.
    pub fn take(&mut self) -> Token<'a> {
        let token = self.peek();
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        token
    }

    /// Whether the text is at its end.
    pub fn at_end(&self) -> bool {
        self.peek().kind == Kind::End
    }

    /// Whether the next token is this character.
    pub fn is(&self, c: char) -> bool {
        self.peek().kind == Kind::Punct(c)
    }

    /// Takes the next token if it is this character.
    pub fn take_if(&mut self, c: char) -> bool {
        let is = self.is(c);
        if is {
            self.take();
        }
        is
    }

    /// Takes the next token if it is this directive (with its dot).
    pub fn take_directive(&mut self, text: &str) -> bool {
        let is = self.peek().kind == Kind::Directive && self.peek().text == text;
        if is {
            self.take();
        }
        is
    }

    /// Takes this character, or returns an error.
    pub fn punct(&mut self, c: char) -> Result<(), Fault> {
        if self.take_if(c) { Ok(()) } else { Err(self.expected(&format!("'{c}'"))) }
    }

    /// Takes a name.
    pub fn name(&mut self, what: &str) -> Result<Token<'a>, Fault> {
        if self.peek().kind == Kind::Word { Ok(self.take()) } else { Err(self.expected(what)) }
    }

    /// Takes an integer from `least` to `most`, with a sign or without.
    pub fn int(&mut self, what: &'static str, least: i128, most: i128) -> Result<i128, Fault> {
        let at = self.peek().at;
        let negative = matches!(self.peek_at(1).kind, Kind::Int(_)) && self.take_if('-');
        let Kind::Int(magnitude) = self.peek().kind else { return Err(self.expected(what)) };
        self.take();
        let value = if negative { -i128::from(magnitude) } else { i128::from(magnitude) };
        if (least..=most).contains(&value) {
            Ok(value)
        } else {
            Err((at, ParseErrorKind::Range { what, value, least, most }))
        }
    }

    /// As [`int`](Self::int), for a constant expression.
    pub fn computed(&mut self, what: &'static str, least: i128, most: i128) -> Result<i128, Fault> {
        if !self.starts_constant() {
            return Err(self.expected(what));
        }
        let at = self.at();
        let value = match self.constant(what)? {
            Number::Signed(v) => i128::from(v),
            Number::Unsigned(v) => i128::from(v),
            Number::Float(v) => {
                let found = format!("'{v:?}'");
                return Err((at, ParseErrorKind::Expected { expected: what.to_owned(), found }));
            }
        };
        match (least..=most).contains(&value) {
            true => Ok(value),
            false => Err((at, ParseErrorKind::Range { what, value, least, most })),
        }
    }

    /// Takes a count that fits 32 bits.
    pub fn count(&mut self, what: &'static str) -> Result<u32, Fault> {
        self.int(what, 0, u32::MAX.into()).map(|v| v as u32)
    }

    /// The error that something else was expected here.
    pub fn expected(&self, expected: &str) -> Fault {
        let token = self.peek();
        (token.at, ParseErrorKind::Expected { expected: expected.to_owned(), found: found(&token) })
    }

    /// Skips to after the next semicolon, or to before the next closing brace or the end, whichever comes first; braces
    /// in between are skipped in pairs.
    pub fn skip_statement(&mut self) {
        let mut depth = 0u32;
        loop {
            match self.peek().kind {
                Kind::End => return,
                Kind::Punct('}') if depth == 0 => return,
                Kind::Punct('}') => depth -= 1,
                Kind::Punct('{') => depth += 1,
                Kind::Punct(';') if depth == 0 => {
                    self.take();
                    return;
                }
                _ => {}
            }
            self.take();
        }
    }

    /// Skips a brace and everything up to the matching one. No effect if the next token is not a brace.
    pub fn skip_braces(&mut self) {
        if !self.is('{') {
            return;
        }
        let mut depth = 0u32;
        loop {
            match self.take().kind {
                Kind::End => return,
                Kind::Punct('{') => depth += 1,
                Kind::Punct('}') => {
                    depth -= 1;
                    if depth == 0 {
                        return;
                    }
                }
                _ => {}
            }
        }
    }

    /// The number of the next token.
    pub fn place(&self) -> usize {
        self.next
    }

    /// Continues at the token with a number.
    pub fn jump(&mut self, place: usize) {
        self.next = place.min(self.tokens.len() - 1);
    }

    /// The tokens from a number on.
    pub fn from(&self, place: usize) -> &[Token<'a>] {
        &self.tokens[place.min(self.tokens.len())..]
    }

    /// The position of the next token.
    pub fn at(&self) -> Pos {
        self.peek().at
    }
}

/// A token's text in errors.
pub(super) fn found(token: &Token<'_>) -> String {
    if token.kind == Kind::End {
        return "the end of the text".to_owned();
    }
    let mut text: String = token.text.chars().take(60).collect();
    if text.len() < token.text.len() {
        text.push_str("...");
    }
    format!("'{}'", text.replace(char::is_control, " "))
}
