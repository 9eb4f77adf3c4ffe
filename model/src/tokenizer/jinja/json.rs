//! Python's `json.dumps` with the options of Hugging Face's transformers.

use super::{
    methods::Arguments,
    value::{Kind, fault, float, items, kind, order, pairs},
};
use minijinja::{Error, Value, value::Rest};
use std::{cmp::Ordering, fmt::Write as _};

/// Maximum nesting of values.
const DEEPEST: usize = 200;

/// Maximum number of bytes of a text.
const LONGEST: usize = 64 << 20;

struct Writer {
    out: String,
    ascii: bool,
    indent: Option<String>,
    between: String,
    after_key: String,
    sorted: bool,
}

/// The filter `tojson`.
pub(super) fn tojson(value: &Value, args: Rest<Value>) -> Result<Value, Error> {
    let args = Arguments::new(&args)?;
    let ascii = args.is_true(0, "ensure_ascii")?;
    let indent = match args.get(1, "indent")? {
        None => None,
        Some(indent) => match kind(&indent) {
            Kind::None => None,
            Kind::Str(text) => Some(text.to_owned()),
            other => {
                let n = other.int().ok_or_else(|| fault(format!("indent takes a number, not {}", other.name())))?;
                if n > 1 << 16 {
                    return Err(fault(format!("an indent of {n} is too large")));
                }
                Some(" ".repeat(n.max(0) as usize))
            }
        },
    };
    let separators = match args.get(2, "separators")? {
        None => None,
        Some(value) if value.is_none() => None,
        Some(value) => match &items(&value)?[..] {
            [a, b] => match (a.as_str(), b.as_str()) {
                (Some(a), Some(b)) => Some((a.to_owned(), b.to_owned())),
                _ => return Err(fault("separators takes two strings")),
            },
            _ => return Err(fault("separators takes two strings")),
        },
    };
    let sorted = args.is_true(3, "sort_keys")?;
    args.done(4)?;
    let comma = if indent.is_some() { "," } else { ", " };
    let (between, after_key) = separators.unwrap_or_else(|| (comma.into(), ": ".into()));
    let mut writer = Writer { out: String::new(), ascii, indent, between, after_key, sorted };
    writer.value(value, 0)?;
    Ok(writer.out.into())
}

impl Writer {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > DEEPEST {
            return Err(fault("values nest too deep"));
        }
        if self.out.len() > LONGEST {
            return Err(fault("a string is too large: more than 64 MiB"));
        }
        match kind(value) {
            Kind::None => self.out.push_str("null"),
            Kind::Bool(b) => self.out.push_str(if b { "true" } else { "false" }),
            Kind::Int(n) => _ = write!(self.out, "{n}"),
            Kind::Float(x) => self.out.push_str(&number(x)),
            Kind::Str(text) => self.string(text),
            Kind::List | Kind::Tuple => {
                self.out.push('[');
                let mut any = false;
                for item in value.try_iter()? {
                    self.element(any, depth);
                    any = true;
                    self.value(&item, depth + 1)?;
                }
                self.end(any, depth, ']');
            }
            Kind::Dict => {
                let mut pairs = pairs(value)?;
                if self.sorted {
                    let mut wrong = None;
                    pairs.sort_by(|a, b| match order(&a.0, &b.0) {
                        Ok(order) => order.unwrap_or(Ordering::Equal),
                        Err(e) => {
                            wrong = Some(e);
                            Ordering::Equal
                        }
                    });
                    if let Some(e) = wrong {
                        return Err(e);
                    }
                }
                self.out.push('{');
                let mut any = false;
                for (key, value) in pairs {
                    self.element(any, depth);
                    any = true;
                    match kind(&key) {
                        Kind::Str(text) => self.string(text),
                        Kind::None => self.string("null"),
                        Kind::Bool(b) => self.string(if b { "true" } else { "false" }),
                        Kind::Int(n) => self.string(&n.to_string()),
                        Kind::Float(x) => self.string(&number(x)),
                        other => return Err(fault(format!("a key of JSON is not a {}", other.name()))),
                    }
                    let after = std::mem::take(&mut self.after_key);
                    self.out.push_str(&after);
                    self.after_key = after;
                    self.value(&value, depth + 1)?;
                }
                self.end(any, depth, '}');
            }
            other => return Err(fault(format!("{} has no JSON", other.name()))),
        }
        Ok(())
    }

    /// The text before an element.
    fn element(&mut self, any: bool, depth: usize) {
        if any {
            self.out.push_str(&self.between);
        }
        self.line(depth + 1);
    }

    fn end(&mut self, any: bool, depth: usize, bracket: char) {
        if any {
            self.line(depth);
        }
        self.out.push(bracket);
    }

    fn line(&mut self, depth: usize) {
        if let Some(indent) = &self.indent {
            self.out.push('\n');
            self.out.push_str(&indent.repeat(depth));
        }
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\x08' => self.out.push_str("\\b"),
                '\x0c' => self.out.push_str("\\f"),
                c if (c as u32) < 0x20 || self.ascii && (!c.is_ascii() || c == '\x7f') => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        _ = write!(self.out, "\\u{unit:04x}");
                    }
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }
}

fn number(x: f64) -> String {
    if x.is_nan() {
        return "NaN".into();
    }
    if x.is_infinite() {
        return if x > 0.0 { "Infinity" } else { "-Infinity" }.into();
    }
    float(x)
}
