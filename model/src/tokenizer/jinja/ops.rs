//! Python's operators.

use super::{
    format,
    value::{Kind, Range, equal, fault, items, kind, order, text, tuple},
};
use minijinja::{Environment, Error, Value, value::Rest};
use std::cmp::Ordering;

/// Maximum number of bytes of a string, or of entries of a list, that a repetition may produce.
const LONGEST: usize = 64 << 20;
const MOST: usize = 1 << 20;

pub(super) fn add(env: &mut Environment<'_>) {
    env.add_function("__value", |value: Value| value);
    env.add_function("__tuple", |values: Value| items(&values).map(tuple));
    env.add_function("__iterable", iterable);
    env.add_function("__unpack", |value: Value| match kind(&value) {
        Kind::Str(_) | Kind::Dict => items(&value).map(Value::from),
        _ => Ok(value),
    });
    env.add_function("__sign", |sign: &str, value: Value| signed(sign, &value));
    env.add_function("__math", |ops: &str, values: Rest<Value>| math(ops, &values));
    env.add_function("__compare", |ops: &str, values: Rest<Value>| compare(ops, &values));
    env.add_function("__slice", |value: Value, parts: Rest<Value>| slice(&value, &parts));
    env.add_function("range", range);
}

fn iterable(value: Value) -> Result<Value, Error> {
    match kind(&value) {
        Kind::None | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Other => {
            Err(fault(format!("{} is not iterable", kind(&value).name())))
        }
        _ => Ok(value),
    }
}

fn signed(sign: &str, value: &Value) -> Result<Value, Error> {
    let negative = sign == "-";
    match kind(value) {
        Kind::Float(x) => Ok(if negative { -x } else { x }.into()),
        other => match other.int().and_then(|n| if negative { n.checked_neg() } else { Some(n) }) {
            Some(n) => Ok(int(n)),
            None => Err(fault(format!("{sign} takes a number, not {}", other.name()))),
        },
    }
}

pub(super) fn int(n: i128) -> Value {
    i64::try_from(n).map_or_else(|_| n.into(), Value::from)
}

/// Operations applied one after the other, from the left.
fn math(ops: &str, values: &[Value]) -> Result<Value, Error> {
    let Some((first, rest)) = values.split_first() else { return Err(fault("no operand")) };
    if ops.starts_with('~') {
        let mut out = String::new();
        for value in values {
            let text = text(value)?;
            if out.len() + text.len() > LONGEST {
                return Err(fault("a string is too large: more than 64 MiB"));
            }
            out.push_str(&text);
        }
        return Ok(out.into());
    }
    let (mut at, mut left) = (0, first.clone());
    // A sum of strings is built in one allocation.
    if ops.len() > 1 && ops.bytes().all(|op| op == b'+') && values.iter().all(|v| v.as_str().is_some() && !v.is_safe())
    {
        let length: usize = values.iter().filter_map(Value::as_str).map(str::len).sum();
        if length > LONGEST {
            return Err(fault("a string is too large: more than 64 MiB"));
        }
        return Ok(values.iter().filter_map(Value::as_str).collect::<String>().into());
    }
    for right in rest {
        let op = ops.as_bytes().get(at).copied().unwrap_or(b'+');
        left = binary(char::from(op), &left, right)?;
        at += 1;
    }
    Ok(left)
}

pub(super) fn binary(op: char, a: &Value, b: &Value) -> Result<Value, Error> {
    let (left, right) = (kind(a), kind(b));
    let sign = match op {
        'f' => "//",
        'p' => "**",
        '+' => "+",
        '-' => "-",
        '*' => "*",
        '/' => "/",
        _ => "%",
    };
    let unable = || {
        if matches!(left, Kind::Undefined) || matches!(right, Kind::Undefined) {
            return Error::from(minijinja::ErrorKind::UndefinedError);
        }
        fault(format!("{sign} does not take {} and {}", left.name(), right.name()))
    };
    match (op, left, right) {
        ('%', Kind::Str(format), _) => return format::percent(format, b).map(Value::from),
        ('+', Kind::Str(x), Kind::Str(y)) => return plus(a, x, b, y),
        ('+', Kind::List, Kind::List) => return joined(a, b).map(Value::from),
        ('+', Kind::Tuple, Kind::Tuple) => return joined(a, b).map(tuple),
        ('*', Kind::Str(_) | Kind::List | Kind::Tuple, other)
        | ('*', other, Kind::Str(_) | Kind::List | Kind::Tuple) => {
            let what = if other.int().is_some() && left.int().is_none() { a } else { b };
            let count = other.int().ok_or_else(unable)?.max(0);
            return repeated(what, usize::try_from(count).unwrap_or(usize::MAX));
        }
        _ => {}
    }
    if let (Some(x), Some(y)) = (left.int(), right.int()) {
        let zero = || fault("division by zero");
        let big = || fault(format!("unable to calculate {x} {sign} {y}: more than 128 bits"));
        return match op {
            '+' => x.checked_add(y).map(int).ok_or_else(big),
            '-' => x.checked_sub(y).map(int).ok_or_else(big),
            '*' => x.checked_mul(y).map(int).ok_or_else(big),
            '/' if y == 0 => Err(zero()),
            '/' => Ok((x as f64 / y as f64).into()),
            'f' | '%' if y == 0 => Err(zero()),
            'f' => x.checked_div_euclid(y).map(|_| int(floor(x, y).0)).ok_or_else(big),
            '%' => x.checked_rem_euclid(y).map(|_| int(floor(x, y).1)).ok_or_else(big),
            _ if y >= 0 => u32::try_from(y).ok().and_then(|y| x.checked_pow(y)).map(int).ok_or_else(big),
            _ if x == 0 => Err(zero()),
            _ => Ok((x as f64).powf(y as f64).into()),
        };
    }
    let (Some(x), Some(y)) = (left.float(), right.float()) else { return Err(unable()) };
    let value = match op {
        '+' => x + y,
        '-' => x - y,
        '*' => x * y,
        '/' | 'f' | '%' if y == 0.0 => return Err(fault("division by zero")),
        '/' => x / y,
        'f' => floor_float(x, y).0,
        '%' => floor_float(x, y).1,
        _ => x.powf(y),
    };
    if op == 'p' && value.is_nan() && !x.is_nan() && !y.is_nan() {
        return Err(fault(format!("unable to calculate {x} ** {y}")));
    }
    Ok(value.into())
}

/// Quotient and remainder of floor division.
fn floor(x: i128, y: i128) -> (i128, i128) {
    let (quotient, rest) = (x / y, x % y);
    if rest != 0 && (rest < 0) != (y < 0) { (quotient - 1, rest + y) } else { (quotient, rest) }
}

/// Python's `divmod` of floats.
fn floor_float(x: f64, y: f64) -> (f64, f64) {
    let mut rest = x % y;
    let mut quotient = (x - rest) / y;
    if rest == 0.0 {
        rest = 0f64.copysign(y);
    } else if (y < 0.0) != (rest < 0.0) {
        rest += y;
        quotient -= 1.0;
    }
    if quotient == 0.0 {
        return (0f64.copysign(x / y), rest);
    }
    let down = quotient.floor();
    (if quotient - down > 0.5 { down + 1.0 } else { down }, rest)
}

/// Concatenation of strings. If one is marked as safe, the other is escaped and the result is safe.
fn plus(a: &Value, x: &str, b: &Value, y: &str) -> Result<Value, Error> {
    if x.len() + y.len() > LONGEST {
        return Err(fault("a string is too large: more than 64 MiB"));
    }
    Ok(match (a.is_safe(), b.is_safe()) {
        (false, false) => [x, y].concat().into(),
        (true, true) => Value::from_safe_string([x, y].concat()),
        (true, false) => Value::from_safe_string(x.to_owned() + &escaped(y)),
        (false, true) => Value::from_safe_string(escaped(x) + y),
    })
}

/// Escaped for HTML.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&#34;"),
            c => out.push(c),
        }
    }
    out
}

fn joined(a: &Value, b: &Value) -> Result<Vec<Value>, Error> {
    let mut all = items(a)?;
    all.extend(items(b)?);
    Ok(all)
}

fn repeated(value: &Value, count: usize) -> Result<Value, Error> {
    if let Some(text) = value.as_str() {
        if text.len().checked_mul(count).is_none_or(|n| n > LONGEST) {
            return Err(fault("a repeated string is too large: more than 64 MiB"));
        }
        return Ok(text.repeat(count).into());
    }
    let is_tuple = matches!(kind(value), Kind::Tuple);
    let values = items(value)?;
    if values.len().checked_mul(count).is_none_or(|n| n > MOST) {
        return Err(fault(format!("a repeated list is too large: more than {MOST} entries")));
    }
    let total = values.len() * count;
    let values: Vec<Value> = values.into_iter().cycle().take(total).collect();
    Ok(if is_tuple { tuple(values) } else { values.into() })
}

fn compare(ops: &str, values: &[Value]) -> Result<Value, Error> {
    for (op, pair) in ops.chars().zip(values.windows(2)) {
        if !compared(op, &pair[0], &pair[1])? {
            return Ok(false.into());
        }
    }
    Ok(true.into())
}

/// One comparison: `e`qual, `n`ot equal, `l`ess, `L` or equal, `g`reater, `G` or equal, `i`n, `I` not in.
pub(super) fn compared(op: char, a: &Value, b: &Value) -> Result<bool, Error> {
    let order = || order(a, b);
    Ok(match op {
        'e' => equal(a, b)?,
        'n' => !equal(a, b)?,
        'l' => order()? == Some(Ordering::Less),
        'L' => matches!(order()?, Some(Ordering::Less | Ordering::Equal)),
        'g' => order()? == Some(Ordering::Greater),
        'G' => matches!(order()?, Some(Ordering::Greater | Ordering::Equal)),
        'i' => contains(b, a)?,
        _ => !contains(b, a)?,
    })
}

pub(super) fn contains(container: &Value, value: &Value) -> Result<bool, Error> {
    match (kind(container), kind(value)) {
        (Kind::Str(text), Kind::Str(part)) => Ok(text.contains(part)),
        (Kind::Str(_), other) => Err(fault(format!("`in` a string takes a string, not {}", other.name()))),
        (Kind::Dict, _) => Ok(container.as_object().is_some_and(|o| o.get_value(value).is_some())),
        (Kind::Undefined, _) => Ok(false),
        (Kind::List | Kind::Tuple | Kind::Range(_) | Kind::View(_), _) => {
            for other in container.try_iter()? {
                if equal(&other, value)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        (other, _) => Err(fault(format!("{} is not iterable", other.name()))),
    }
}

/// The indices of a slice from `start` up to, not including, `stop`, in Python's semantics for a length; `None` means
/// the end on that side.
pub(super) fn indices(parts: &[Value], length: usize) -> Result<Vec<usize>, Error> {
    let part = |i: usize| match parts.get(i).map(kind) {
        None | Some(Kind::None | Kind::Undefined) => Ok(None),
        Some(other) => match other.int() {
            Some(n) => Ok(Some(n)),
            None => Err(fault(format!("a slice takes whole numbers, not {}", other.name()))),
        },
    };
    let (length, step) = (length as i128, part(2)?.unwrap_or(1));
    if step == 0 {
        return Err(fault("a slice's step is zero"));
    }
    let (least, most) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let place = |n: Option<i128>, none: i128| match n {
        None => none,
        Some(n) if n < 0 => n.saturating_add(length).clamp(least, most),
        Some(n) => n.clamp(least, most),
    };
    let (first, last) = if step > 0 { (least, most) } else { (most, least) };
    let (mut at, stop) = (place(part(0)?, first), place(part(1)?, last));
    let mut out = Vec::new();
    while if step > 0 { at < stop } else { at > stop } {
        out.push(at as usize);
        at = at.saturating_add(step);
    }
    Ok(out)
}

fn slice(value: &Value, parts: &[Value]) -> Result<Value, Error> {
    Ok(match kind(value) {
        Kind::Str(text) => {
            let chars: Vec<char> = text.chars().collect();
            indices(parts, chars.len())?.into_iter().map(|i| chars[i]).collect::<String>().into()
        }
        Kind::Range(range) => range.sliced(&indices(parts, range.len())?),
        Kind::List | Kind::Tuple => {
            let values = items(value)?;
            let picked: Vec<Value> = indices(parts, values.len())?.into_iter().map(|i| values[i].clone()).collect();
            if matches!(kind(value), Kind::Tuple) { tuple(picked) } else { picked.into() }
        }
        Kind::Undefined => return Err(Error::from(minijinja::ErrorKind::UndefinedError)),
        other => return Err(fault(format!("{} cannot be sliced", other.name()))),
    })
}

fn range(numbers: Rest<Value>) -> Result<Value, Error> {
    let number = |v: &Value| kind(v).int().and_then(|n| i64::try_from(n).ok());
    let numbers: Option<Vec<i64>> = numbers.iter().map(number).collect();
    let (start, stop, step) = match numbers.as_deref() {
        Some([stop]) => (0, *stop, 1),
        Some([start, stop]) => (*start, *stop, 1),
        Some([start, stop, step]) if *step != 0 => (*start, *stop, *step),
        _ => return Err(fault("range takes one to three whole numbers, and no step of zero")),
    };
    let range = Range { start, stop, step };
    if range.len() > 100_000 {
        return Err(fault("a range is too big: more than 100000 numbers"));
    }
    Ok(Value::from_object(range))
}
