//! Constant expressions (PTX ISA 4.6).

use super::cursor::Cursor;
use super::error::ParseErrorKind;
use super::lex::{Fault, Kind};
use super::number::Number::{self, Float, Signed, Unsigned};

/// Parentheses and operators before a value nest no deeper than this.
const DEEPEST: u32 = 64;

/// `WARP_SZ`, the one predefined constant (PTX ISA 4.4).
pub(super) const WARP_SIZE: (&str, u64) = ("WARP_SZ", 32);

/// Binary operators by their text, the weakest first; those of a line bind alike.
const OPERATORS: &[&[&str]] = &[
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<=", ">=", "<", ">"],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];

impl Cursor<'_> {
    /// Whether a constant may start here.
    pub fn starts_constant(&self) -> bool {
        match self.peek().kind {
            Kind::Int(_) | Kind::Float(_) | Kind::Punct('(' | '-' | '+' | '~') => true,
            Kind::Punct('!') => self.peek_at(1).kind != Kind::Word || self.peek_at(1).text == WARP_SIZE.0,
            Kind::Word => self.peek().text == WARP_SIZE.0,
            _ => false,
        }
    }

    /// A constant expression; `what` is what errors ask for.
    pub fn constant(&mut self, what: &str) -> Result<Number, Fault> {
        self.choice(what, 0)
    }

    /// The binary operator here, if it is one of these; of two characters that stand together.
    fn operator(&self, these: &[&'static str]) -> Option<&'static str> {
        let first = match self.peek().kind {
            Kind::Punct(first) => first,
            // A percent sign begins a register's name, if no blank follows it.
            Kind::Word if self.peek().text == "%" => '%',
            _ => return None,
        };
        let adjoins =
            self.peek().at.line == self.peek_at(1).at.line && self.peek().at.column + 1 == self.peek_at(1).at.column;
        let second = match self.peek_at(1).kind {
            Kind::Punct(c) if adjoins && is_pair(first, c) => Some(c),
            _ => None,
        };
        these.iter().copied().find(|op| op.chars().eq(std::iter::once(first).chain(second)))
    }

    fn choice(&mut self, what: &str, depth: u32) -> Result<Number, Fault> {
        let condition = self.binary(what, 0, depth)?;
        if !self.is('?') {
            return Ok(condition);
        }
        let depth = self.deeper(depth)?;
        self.take();
        let yes = self.choice(what, depth)?;
        self.punct(':')?;
        let no = self.choice(what, depth)?;
        Ok(if condition.holds() { yes } else { no })
    }

    fn binary(&mut self, what: &str, level: usize, depth: u32) -> Result<Number, Fault> {
        let Some(these) = OPERATORS.get(level) else { return self.unary(what, depth) };
        let mut a = self.binary(what, level + 1, depth)?;
        while let Some(op) = self.operator(these) {
            let at = self.at();
            for _ in op.chars() {
                self.take();
            }
            let b = self.binary(what, level + 1, depth)?;
            a = apply(op, a, b).ok_or_else(|| {
                let why = "a division by zero, or an operator of integers on a float".to_owned();
                (at, ParseErrorKind::Unsupported { what: why, instead: "write the value" })
            })?;
        }
        Ok(a)
    }

    fn unary(&mut self, what: &str, depth: u32) -> Result<Number, Fault> {
        let token = self.peek();
        let value = match token.kind {
            Kind::Punct(sign @ ('-' | '+' | '~' | '!')) => {
                self.take();
                let depth = self.deeper(depth)?;
                let a = self.unary(what, depth)?;
                return match (sign, a) {
                    ('-', Signed(v)) => Ok(Signed(v.wrapping_neg())),
                    ('-', Unsigned(v)) => Ok(Unsigned(v.wrapping_neg())),
                    ('-', Float(v)) => Ok(Float(-v)),
                    ('~', Signed(v)) => Ok(Signed(!v)),
                    ('~', Unsigned(v)) => Ok(Unsigned(!v)),
                    ('~', Float(_)) => Err((token.at, self.expected(what).1)),
                    ('!', a) => Ok(Number::truth(!a.holds())),
                    (_, a) => Ok(a),
                };
            }
            Kind::Punct('(') => {
                let depth = self.deeper(depth)?;
                self.take();
                // A cast: `(.s64) 5`.
                if self.peek().kind == Kind::Directive {
                    let cast = self.take();
                    self.punct(')')?;
                    let a = self.unary(what, depth)?;
                    return match (cast.text, a.bits()) {
                        (".s64", Some(bits)) => Ok(Signed(bits as i64)),
                        (".u64", Some(bits)) => Ok(Unsigned(bits)),
                        (".s64", None) => Ok(Signed(a.float() as i64)),
                        (".u64", None) => Ok(Unsigned(a.float() as u64)),
                        (".f64", _) => Ok(Float(a.float())),
                        _ => Err((cast.at, self.expected("a cast to .s64, .u64 or .f64").1)),
                    };
                }
                let a = self.choice(what, depth)?;
                self.punct(')')?;
                return Ok(a);
            }
            Kind::Int(magnitude) if token.text.ends_with(['U', 'u']) => Unsigned(magnitude),
            // What fits is signed (PTX ISA 4.5.1).
            Kind::Int(magnitude) => i64::try_from(magnitude).map_or(Unsigned(magnitude), Signed),
            Kind::Float(v) => Float(v),
            Kind::Word if token.text == WARP_SIZE.0 => Signed(WARP_SIZE.1 as i64),
            _ => return Err(self.expected(what)),
        };
        self.take();
        Ok(value)
    }

    fn deeper(&self, depth: u32) -> Result<u32, Fault> {
        if depth < DEEPEST {
            return Ok(depth + 1);
        }
        let what = format!("a constant of more than {DEEPEST} nested parts");
        Err((self.at(), ParseErrorKind::Unsupported { what, instead: "write the value" }))
    }
}

/// Whether two characters that stand together are one operator.
fn is_pair(first: char, second: char) -> bool {
    matches!((first, second), ('<', '<' | '=') | ('>', '>' | '=') | ('=' | '!', '=') | ('&', '&') | ('|', '|'))
}

/// The value of `a op b`: of two integers signed where both are, of a float and anything a float.
fn apply(op: &str, a: Number, b: Number) -> Option<Number> {
    let order = |a: std::cmp::Ordering| match op {
        "==" => a.is_eq(),
        "!=" => a.is_ne(),
        "<=" => a.is_le(),
        ">=" => a.is_ge(),
        "<" => a.is_lt(),
        _ => a.is_gt(),
    };
    match op {
        "||" => return Some(Number::truth(a.holds() || b.holds())),
        "&&" => return Some(Number::truth(a.holds() && b.holds())),
        _ => {}
    }
    let (Some(x), Some(y)) = (a.bits(), b.bits()) else {
        let (x, y) = (a.float(), b.float());
        return match op {
            "+" => Some(Float(x + y)),
            "-" => Some(Float(x - y)),
            "*" => Some(Float(x * y)),
            "/" => Some(Float(x / y)),
            "==" | "!=" | "<=" | ">=" | "<" | ">" => Some(Number::truth(x.partial_cmp(&y).is_some_and(order))),
            _ => None,
        };
    };
    let signed = matches!((a, b), (Signed(_), Signed(_)));
    let (sx, sy) = (x as i64, y as i64);
    let typed = |bits: u64| Some(if signed { Signed(bits as i64) } else { Unsigned(bits) });
    match op {
        "+" => typed(x.wrapping_add(y)),
        "-" => typed(x.wrapping_sub(y)),
        "*" => typed(x.wrapping_mul(y)),
        "/" if y == 0 => None,
        "%" if y == 0 => None,
        "/" if signed => Some(Signed(sx.wrapping_div(sy))),
        "%" if signed => Some(Signed(sx.wrapping_rem(sy))),
        "/" => Some(Unsigned(x / y)),
        "%" => Some(Unsigned(x % y)),
        "&" => typed(x & y),
        "|" => typed(x | y),
        "^" => typed(x ^ y),
        // A shift's type is its first operand's.
        "<<" | ">>" => {
            let left = op == "<<";
            Some(match a {
                Signed(v) if left => Signed(v.checked_shl(y.min(64) as u32).unwrap_or(0)),
                Signed(v) => Signed(v >> y.min(63)),
                _ if left => Unsigned(x.checked_shl(y.min(64) as u32).unwrap_or(0)),
                _ => Unsigned(x.checked_shr(y.min(64) as u32).unwrap_or(0)),
            })
        }
        _ => Some(Number::truth(order(if signed { sx.cmp(&sy) } else { x.cmp(&y) }))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::lex::tokens;

    fn value(text: &str) -> Result<Number, String> {
        let mut cursor = Cursor::new(tokens(text).0);
        let value = cursor.constant("a constant").map_err(|(_, kind)| kind.to_string())?;
        if cursor.at_end() { Ok(value) } else { Err(format!("stops before {}", cursor.peek().text)) }
    }

    #[test]
    fn values() {
        for (text, expected) in [
            ("(3+4)*2", Signed(14)),
            ("1+2*3-4/2", Signed(5)),
            ("-5/2", Signed(-2)),
            ("-5 % 3", Signed(-2)),
            ("7U-8", Unsigned(u64::MAX)),
            ("1<<4|3", Signed(19)),
            ("6&3^1", Signed(3)),
            ("~0", Signed(-1)),
            ("!5", Signed(0)),
            ("!0+1", Signed(2)),
            ("-1>>1", Signed(-1)),
            ("0xFFFFFFFFFFFFFFFF>>63", Unsigned(1)),
            ("1<2", Signed(1)),
            ("-1<1U", Signed(0)),
            ("3>=3&&2!=2||1", Signed(1)),
            ("0?1:2", Signed(2)),
            ("1?2:0?3:4", Signed(2)),
            ("(.s64)0xFFFFFFFFFFFFFFFF", Signed(-1)),
            ("(.u64)-1", Unsigned(u64::MAX)),
            ("WARP_SZ-1", Signed(31)),
            ("1.5*2", Float(3.0)),
            ("-(1.0)", Float(-1.0)),
            ("1<<64", Signed(0)),
        ] {
            assert_eq!(value(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_none() {
        for text in ["", "(", "1+", "1/0", "1.0 % 2", "~1.0", "(.u32)1", "1 2"] {
            assert!(value(text).is_err(), "{text}: {:?}", value(text));
        }
        let deep = format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000));
        assert!(value(&deep).is_err_and(|e| e.contains("nested")));
    }
}
