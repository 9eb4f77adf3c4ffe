//! Python's semantics of values: types, conversion to text, equality and order.

use minijinja::{
    Error, ErrorKind, Value,
    value::{Enumerator, Object, ObjectRepr, ValueKind},
};
use std::{cmp::Ordering, fmt::Write as _, sync::Arc};

/// Maximum nesting of values.
const DEEPEST: usize = 200;

pub(super) fn fault(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, why.into())
}

/// The Python type of a value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind<'a> {
    Undefined,
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(&'a str),
    List,
    Tuple,
    Range(&'a Range),
    View(&'a View),
    Dict,
    Other,
}

pub(super) fn kind(value: &Value) -> Kind<'_> {
    match value.kind() {
        ValueKind::Undefined => Kind::Undefined,
        ValueKind::None => Kind::None,
        ValueKind::Bool => Kind::Bool(value.is_true()),
        ValueKind::Number if value.is_integer() => i128::try_from(value.clone()).map_or(Kind::Other, Kind::Int),
        ValueKind::Number => f64::try_from(value.clone()).map_or(Kind::Other, Kind::Float),
        ValueKind::String => value.as_str().map_or(Kind::Other, Kind::Str),
        ValueKind::Map => Kind::Dict,
        ValueKind::Seq | ValueKind::Iterable => {
            if value.downcast_object_ref::<Tuple>().is_some() {
                Kind::Tuple
            } else if let Some(range) = value.downcast_object_ref() {
                Kind::Range(range)
            } else if let Some(view) = value.downcast_object_ref() {
                Kind::View(view)
            } else {
                Kind::List
            }
        }
        _ => Kind::Other,
    }
}

impl Kind<'_> {
    /// Python's name of the type.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Kind::Undefined => "undefined",
            Kind::None => "NoneType",
            Kind::Bool(_) => "bool",
            Kind::Int(_) => "int",
            Kind::Float(_) => "float",
            Kind::Str(_) => "str",
            Kind::List => "list",
            Kind::Tuple => "tuple",
            Kind::Range(_) => "range",
            Kind::View(_) => "dict view",
            Kind::Dict => "dict",
            Kind::Other => "object",
        }
    }

    /// An integer; truth values are integers too.
    pub(super) fn int(&self) -> Option<i128> {
        match self {
            Kind::Bool(b) => Some(i128::from(*b)),
            Kind::Int(n) => Some(*n),
            _ => None,
        }
    }

    pub(super) fn float(&self) -> Option<f64> {
        match self {
            Kind::Float(x) => Some(*x),
            other => other.int().map(|n| n as f64),
        }
    }
}

/// A tuple.
#[derive(Debug)]
pub(super) struct Tuple(pub(super) Vec<Value>);

impl Object for Tuple {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.0.get(place(key, self.0.len())?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.0.len())
    }
}

pub(super) fn tuple(values: Vec<Value>) -> Value {
    Value::from_object(Tuple(values))
}

/// Python's `range`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: i64,
    pub(super) stop: i64,
    pub(super) step: i64,
}

impl Range {
    pub(super) fn len(&self) -> usize {
        let (distance, step) = (i128::from(self.stop) - i128::from(self.start), i128::from(self.step));
        let steps = if step > 0 { (distance + step - 1) / step } else { (distance + step + 1) / step };
        usize::try_from(steps.max(0)).unwrap_or(usize::MAX)
    }

    fn at(&self, i: usize) -> i64 {
        self.start + self.step * i as i64
    }

    /// The numbers at these evenly spaced indices.
    pub(super) fn sliced(&self, places: &[usize]) -> Value {
        let (first, second) = (places.first().map_or(self.stop, |i| self.at(*i)), places.get(1).map(|i| self.at(*i)));
        let step = second.map_or(self.step, |second| second - first);
        Value::from_object(Self { start: first, stop: first + step * places.len() as i64, step })
    }
}

impl Object for Range {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let i = place(key, self.len())?;
        (i < self.len()).then(|| self.at(i).into())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.len())
    }
}

/// The results of a dictionary's `keys`, `values` and `items`.
#[derive(Debug)]
pub(super) struct View {
    name: &'static str,
    values: Vec<Value>,
}

impl View {
    /// `what` is `keys`, `values` or `items`.
    pub(super) fn of(dict: &Value, what: &str) -> Result<Value, Error> {
        let pairs = pairs(dict)?.into_iter();
        let (name, values) = match what {
            "keys" => ("dict_keys", pairs.map(|(key, _)| key).collect()),
            "values" => ("dict_values", pairs.map(|(_, value)| value).collect()),
            _ => ("dict_items", pairs.map(|(key, value)| tuple(vec![key, value])).collect()),
        };
        Ok(Value::from_object(Self { name, values }))
    }
}

impl Object for View {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.values.clone())
    }
}

/// The position of an index; negative ones count from the end.
fn place(key: &Value, length: usize) -> Option<usize> {
    let i = kind(key).int()?;
    usize::try_from(if i < 0 { i + length as i128 } else { i }).ok()
}

/// The keys and values of a dictionary, in order.
pub(super) fn pairs(dict: &Value) -> Result<Vec<(Value, Value)>, Error> {
    let object = dict.as_object().filter(|_| matches!(kind(dict), Kind::Dict));
    let pairs = object.and_then(|o| o.try_iter_pairs());
    Ok(pairs.ok_or_else(|| fault(format!("a dict is expected, not {}", kind(dict).name())))?.collect())
}

/// The elements that a loop over a value visits.
pub(super) fn items(value: &Value) -> Result<Vec<Value>, Error> {
    match kind(value) {
        Kind::Undefined => Ok(Vec::new()),
        Kind::Str(text) => Ok(text.chars().map(Value::from).collect()),
        Kind::List | Kind::Tuple | Kind::Range(_) | Kind::View(_) | Kind::Dict => Ok(value.try_iter()?.collect()),
        other => Err(fault(format!("{} is not iterable", other.name()))),
    }
}

/// The text of `str`.
pub(super) fn text(value: &Value) -> Result<String, Error> {
    match kind(value) {
        Kind::Undefined => Ok(String::new()),
        Kind::Str(text) => Ok(text.into()),
        _ => repr(value),
    }
}

/// The text of `repr`.
pub(super) fn repr(value: &Value) -> Result<String, Error> {
    let mut out = String::new();
    write(value, &mut out, 0)?;
    Ok(out)
}

fn write(value: &Value, out: &mut String, depth: usize) -> Result<(), Error> {
    if depth > DEEPEST {
        return Err(fault("values nest too deep"));
    }
    let list = |out: &mut String, values: &mut dyn Iterator<Item = Value>| {
        for (i, value) in values.enumerate() {
            out.push_str(if i > 0 { ", " } else { "" });
            write(&value, out, depth + 1)?;
        }
        Ok::<(), Error>(())
    };
    match kind(value) {
        Kind::Undefined => out.push_str("Undefined"),
        Kind::None => out.push_str("None"),
        Kind::Bool(b) => out.push_str(if b { "True" } else { "False" }),
        Kind::Int(n) => _ = write!(out, "{n}"),
        Kind::Float(x) => out.push_str(&float(x)),
        Kind::Str(text) => quote(text, out),
        Kind::List => {
            out.push('[');
            list(out, &mut value.try_iter()?)?;
            out.push(']');
        }
        Kind::Tuple => {
            out.push('(');
            list(out, &mut value.try_iter()?)?;
            out.push_str(if value.len() == Some(1) { ",)" } else { ")" });
        }
        Kind::Range(Range { start, stop, step: 1 }) => _ = write!(out, "range({start}, {stop})"),
        Kind::Range(Range { start, stop, step }) => _ = write!(out, "range({start}, {stop}, {step})"),
        Kind::View(view) => {
            _ = write!(out, "{}([", view.name);
            list(out, &mut view.values.iter().cloned())?;
            out.push_str("])");
        }
        Kind::Dict => {
            out.push('{');
            for (i, (key, value)) in pairs(value)?.into_iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                write(&key, out, depth + 1)?;
                out.push_str(": ");
                write(&value, out, depth + 1)?;
            }
            out.push('}');
        }
        Kind::Other => _ = write!(out, "{value}"),
    }
    Ok(())
}

/// A float with the fewest digits that round-trip, in Python's notation.
pub(super) fn float(x: f64) -> String {
    if x.is_nan() {
        return "nan".into();
    }
    if x.is_infinite() {
        return if x > 0.0 { "inf" } else { "-inf" }.into();
    }
    let scientific = format!("{x:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = format!("{x}");
        if plain.contains('.') { plain } else { plain + ".0" }
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{digits}e{sign}{:02}", exponent.abs())
    }
}

/// A string in quotes, with unprintable characters as escapes.
fn quote(text: &str, out: &mut String) {
    let mark = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(mark);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == mark => _ = write!(out, "\\{c}"),
            c if is_seen(c) => out.push(c),
            c => escape(c, out),
        }
    }
    out.push(mark);
}

/// Python's escape of a character.
pub(super) fn escape(c: char, out: &mut String) {
    let _ = match c as u32 {
        n @ 0..=0xff => write!(out, "\\x{n:02x}"),
        n @ 0x100..=0xffff => write!(out, "\\u{n:04x}"),
        n => write!(out, "\\U{n:08x}"),
    };
}

/// Python's `isprintable` of a character.
pub(super) fn is_seen(c: char) -> bool {
    // Rust also escapes combining characters if they stand alone, so another character precedes it here.
    matches!(c, '\'' | '"' | '\\') || format!("a{c}").escape_debug().eq(['a', c])
}

/// Python's `==`.
pub(super) fn equal(a: &Value, b: &Value) -> Result<bool, Error> {
    equal_at(a, b, 0)
}

fn equal_at(a: &Value, b: &Value, depth: usize) -> Result<bool, Error> {
    if depth > DEEPEST {
        return Err(fault("values nest too deep"));
    }
    let all = |a: Vec<Value>, b: Vec<Value>| -> Result<bool, Error> {
        if a.len() != b.len() {
            return Ok(false);
        }
        for (a, b) in a.iter().zip(&b) {
            if !equal_at(a, b, depth + 1)? {
                return Ok(false);
            }
        }
        Ok(true)
    };
    let (left, right) = (kind(a), kind(b));
    Ok(match (left, right) {
        (Kind::Undefined, Kind::Undefined) | (Kind::None, Kind::None) => true,
        (Kind::Str(a), Kind::Str(b)) => a == b,
        (Kind::List, Kind::List) | (Kind::Tuple, Kind::Tuple) => all(items(a)?, items(b)?)?,
        (Kind::Range(_), Kind::Range(_)) => all(items(a)?, items(b)?)?,
        (Kind::Dict, Kind::Dict) => {
            let (left, right) = (pairs(a)?, pairs(b)?);
            if left.len() != right.len() {
                return Ok(false);
            }
            for (key, value) in left {
                match b.as_object().and_then(|b| b.get_value(&key)) {
                    Some(other) if equal_at(&value, &other, depth + 1)? => {}
                    _ => return Ok(false),
                }
            }
            true
        }
        _ => match (left.int(), right.int(), left.float(), right.float()) {
            (Some(a), Some(b), ..) => a == b,
            (_, _, Some(a), Some(b)) => a == b,
            _ => matches!((left, right), (Kind::Other, Kind::Other)) && a == b,
        },
    })
}

/// Python's order; `None` if one is NaN.
pub(super) fn order(a: &Value, b: &Value) -> Result<Option<Ordering>, Error> {
    order_at(a, b, 0)
}

fn order_at(a: &Value, b: &Value, depth: usize) -> Result<Option<Ordering>, Error> {
    if depth > DEEPEST {
        return Err(fault("values nest too deep"));
    }
    let (left, right) = (kind(a), kind(b));
    match (left, right) {
        (Kind::Str(a), Kind::Str(b)) => return Ok(Some(a.cmp(b))),
        (Kind::List, Kind::List) | (Kind::Tuple, Kind::Tuple) => {
            let (left, right) = (items(a)?, items(b)?);
            for (a, b) in left.iter().zip(&right) {
                if !equal_at(a, b, depth + 1)? {
                    return order_at(a, b, depth + 1);
                }
            }
            return Ok(Some(left.len().cmp(&right.len())));
        }
        _ => {}
    }
    match (left.int(), right.int(), left.float(), right.float()) {
        (Some(a), Some(b), ..) => Ok(Some(a.cmp(&b))),
        (_, _, Some(a), Some(b)) => Ok(a.partial_cmp(&b)),
        _ => Err(fault(format!("{} and {} have no order", left.name(), right.name()))),
    }
}
