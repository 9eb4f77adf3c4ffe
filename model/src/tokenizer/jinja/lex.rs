//! The lexer of Jinja's expressions.

/// A token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A name or a keyword.
    Name(String),
    Int(u128),
    Float(f64),
    /// A string literal, with its escapes resolved.
    Str(String),
    /// An operator or a bracket.
    Op(&'static str),
}

impl Token {
    pub(super) fn is(&self, op: &str) -> bool {
        matches!(self, Token::Op(o) if *o == op)
    }

    pub(super) fn is_name(&self, name: &str) -> bool {
        matches!(self, Token::Name(n) if n == name)
    }
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Token::Name(name) => write!(f, "`{name}`"),
            Token::Int(n) => write!(f, "`{n}`"),
            Token::Float(x) => write!(f, "`{x:?}`"),
            Token::Str(_) => write!(f, "a string"),
            Token::Op(op) => write!(f, "`{op}`"),
        }
    }
}

const OPERATORS: [&str; 27] = [
    "**", "//", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".",
    ":", "|", ",", ";", "@",
];

/// Splits a tag into tokens, up to one of these ends. Returns the tokens, the end, and the length of both.
pub(super) fn tag<'e>(text: &str, ends: &[&'e str]) -> Result<(Vec<Token>, &'e str, usize), String> {
    let (mut tokens, mut open, mut at) = (Vec::new(), Vec::new(), 0);
    loop {
        let rest = &text[at..];
        let trimmed = rest.trim_start();
        at += rest.len() - trimmed.len();
        let Some(first) = trimmed.chars().next() else {
            return Err("unexpected end of input, expected end of block".into());
        };
        if open.is_empty()
            && let Some(end) = ends.iter().find(|end| trimmed.starts_with(**end))
        {
            return Ok((tokens, end, at + end.len()));
        }
        let (token, length) = match first {
            'a'..='z' | 'A'..='Z' | '_' => name(trimmed),
            '0'..='9' => number(trimmed, tokens.last().is_some_and(|t| t.is(".")))?,
            '\'' | '"' => string(trimmed, first)?,
            c if c.is_alphabetic() => name(trimmed),
            c => match OPERATORS.iter().find(|op| trimmed.starts_with(**op)) {
                Some(op) if *op != "@" => (Token::Op(op), op.len()),
                _ => return Err(format!("unexpected character {c:?}")),
            },
        };
        if let Token::Op(op @ ("(" | "[" | "{")) = token {
            open.push(op);
        }
        if let Token::Op(op @ (")" | "]" | "}")) = token {
            let expected = match open.pop() {
                Some("(") => ")",
                Some("[") => "]",
                Some(_) => "}",
                None => return Err(format!("unexpected `{op}`")),
            };
            if op != expected {
                return Err(format!("unexpected `{op}`, expected `{expected}`"));
            }
        }
        tokens.push(token);
        at += length;
    }
}

fn name(text: &str) -> (Token, usize) {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    (Token::Name(text[..end].into()), end)
}

fn number(text: &str, after_dot: bool) -> Result<(Token, usize), String> {
    let run = |text: &str, radix: u32| text.find(|c: char| !(c.is_digit(radix) || c == '_')).map_or(text.len(), |n| n);
    let plain = |text: &str| text.replace('_', "");
    let big = |_| "a number has more than 128 bits".to_owned();
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if text.get(..2).is_some_and(|start| start.eq_ignore_ascii_case(prefix)) {
            let end = 2 + run(&text[2..], radix);
            let digits = plain(&text[2..end]);
            if !digits.is_empty() {
                return Ok((Token::Int(u128::from_str_radix(&digits, radix).map_err(big)?), end));
            }
        }
    }
    let digits = run(text, 10);
    let mut end = digits;
    if !after_dot {
        let after = |at: usize| text[at..].starts_with(|c: char| c.is_ascii_digit());
        if text[end..].starts_with('.') && after(end + 1) {
            end += 1 + run(&text[end + 1..], 10);
        }
        if text[end..].starts_with(['e', 'E']) {
            let sign = usize::from(text[end + 1..].starts_with(['+', '-']));
            if after(end + 1 + sign) {
                end += 1 + sign + run(&text[end + 1 + sign..], 10);
            }
        }
    }
    if end > digits {
        let value = plain(&text[..end]).parse().map_err(|_| "a number that is none".to_owned())?;
        return Ok((Token::Float(value), end));
    }
    Ok((Token::Int(plain(&text[..end]).parse().map_err(big)?), end))
}

/// The value of a string literal, with Python's escapes.
fn string(text: &str, quote: char) -> Result<(Token, usize), String> {
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    let cut = || Err("a string without an end".to_owned());
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Ok((Token::Str(out), at + 1));
        }
        if c != '\\' {
            out.push(c);
            continue;
        }
        let Some((at, c)) = chars.next() else { return cut() };
        let plain = match c {
            '\n' => continue,
            '\\' | '\'' | '"' => c,
            'a' => '\x07',
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            'x' | 'u' | 'U' => {
                let count = match c {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                let digits = text.get(at + 1..at + 1 + count).unwrap_or_default();
                let value = u32::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'));
                let value = value.and_then(char::from_u32).ok_or_else(|| format!("a broken escape \\{c}{digits}"))?;
                chars.by_ref().nth(count - 1);
                value
            }
            '0'..='7' => {
                let mut value = c as u32 - '0' as u32;
                for _ in 0..2 {
                    let Some((_, d @ '0'..='7')) = chars.peek().copied() else { break };
                    value = value * 8 + (d as u32 - '0' as u32);
                    chars.next();
                }
                char::from_u32(value).unwrap_or_default()
            }
            other => {
                out.push('\\');
                other
            }
        };
        out.push(plain);
    }
    cut()
}
