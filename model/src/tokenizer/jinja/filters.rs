//! Jinja's filters and tests, where those of minijinja differ.

use super::{
    characters, format, json,
    methods::{Arguments, aligned, replaced},
    ops::{compared, contains, escaped, int},
    value::{Kind, View, equal, fault, items, kind, order, pairs, repr, text, tuple},
};
use minijinja::{Environment, Error, ErrorKind, Value, value::Rest};
use std::cmp::Ordering;

type Answer = Result<Value, Error>;

/// Adds a filter of a value, with arguments.
fn filter(env: &mut Environment<'_>, name: &'static str, f: fn(&Value, &Arguments) -> Answer) {
    env.add_filter(name, move |value: Value, args: Rest<Value>| f(&value, &Arguments::new(&args)?));
}

/// Adds a filter of a string.
fn of_text(env: &mut Environment<'_>, name: &'static str, f: fn(&str) -> String) {
    env.add_filter(name, move |value: Value| like(&value, f(&text(&value)?)));
}

/// A text derived from another one, marked as safe if that one was.
fn like(value: &Value, text: String) -> Answer {
    Ok(if value.is_safe() { Value::from_safe_string(text) } else { text.into() })
}

pub(super) fn add(env: &mut Environment<'_>) {
    // Jinja does not have these.
    ["split", "lines", "bool", "zip", "chain"].into_iter().for_each(|name| env.remove_filter(name));
    ["startingwith", "endingwith", "safe"].into_iter().for_each(|name| env.remove_test(name));
    env.add_filter("tojson", |value: Value, args: Rest<Value>| json::tojson(&value, args));
    of_text(env, "upper", |s| s.to_uppercase());
    of_text(env, "lower", |s| s.to_lowercase());
    of_text(env, "capitalize", characters::capitalized);
    of_text(env, "title", titled);
    of_text(env, "string", str::to_owned);
    env.add_filter("pprint", |value: Value| repr(&value));
    env.add_filter("wordcount", |value: Value| {
        Ok::<_, Error>(
            text(&value)?.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|w| !w.is_empty()).count(),
        )
    });
    for name in ["escape", "e"] {
        filter(env, name, |value, _| {
            Ok(if value.is_safe() { value.clone() } else { Value::from_safe_string(escaped(&text(value)?)) })
        });
    }
    filter(env, "forceescape", |value, _| Ok(Value::from_safe_string(escaped(&text(value)?))));
    filter(env, "safe", |value, _| Ok(Value::from_safe_string(text(value)?)));
    for name in ["length", "count"] {
        filter(env, name, length);
    }
    filter(env, "trim", |value, args| {
        let set = args.text(0, "chars")?;
        let of = |c: char| set.as_ref().map_or_else(|| characters::is_space(c), |set| set.contains(c));
        like(value, text(value)?.trim_matches(of).to_owned())
    });
    filter(env, "replace", |value, args| {
        let (old, new) = (text(&args.need(0, "old")?)?, text(&args.need(1, "new")?)?);
        let most = match args.get(2, "count")?.as_ref().map(kind) {
            None | Some(Kind::None) => -1,
            Some(n) => n.int().and_then(|n| n.try_into().ok()).ok_or_else(|| fault("count takes a number"))?,
        };
        args.done(3)?;
        replaced(&text(value)?, &old, &new, most).map(Value::from)
    });
    filter(env, "center", |value, args| {
        let width = args.int(0, "width")?.unwrap_or(80);
        aligned(&text(value)?, "center", usize::try_from(width).unwrap_or(0), ' ').map(Value::from)
    });
    filter(env, "join", join);
    filter(env, "indent", indent);
    filter(env, "truncate", truncate);
    filter(env, "urlencode", urlencode);
    filter(env, "format", |value, args| {
        let named: Vec<&str> = args.named.args().collect();
        if !named.is_empty() && !args.list.is_empty() {
            return Err(fault("format takes a list of arguments or named ones, not both"));
        }
        let given = if named.is_empty() {
            tuple(args.list.clone())
        } else {
            named.iter().map(|name| Ok((*name, args.named.get::<Value>(name)?))).collect::<Result<Value, Error>>()?
        };
        format::percent(&text(value)?, &given).map(Value::from)
    });
    filter(env, "list", |value, _| items(value).map(Value::from));
    filter(env, "first", |value, _| Ok(items(value)?.into_iter().next().unwrap_or_default()));
    filter(env, "last", |value, _| Ok(items(value)?.pop().unwrap_or_default()));
    filter(env, "items", |value, _| match kind(value) {
        Kind::Undefined => Ok(Vec::<Value>::new().into()),
        _ => Ok(View::of(value, "items")?.try_iter()?.collect()),
    });
    filter(env, "dictsort", dictsort);
    filter(env, "sort", sort);
    filter(env, "unique", unique);
    filter(env, "min", |value, args| extreme(value, args, Ordering::Less));
    filter(env, "max", |value, args| extreme(value, args, Ordering::Greater));
    filter(env, "sum", sum);
    filter(env, "abs", |value, _| match kind(value) {
        Kind::Float(x) => Ok(x.abs().into()),
        other => other.int().map(|n| int(n.saturating_abs())).ok_or_else(|| fault(format!("abs of {}", other.name()))),
    });
    filter(env, "int", to_int);
    filter(env, "float", |value, args| {
        let none = args.get(0, "default")?.unwrap_or_else(|| 0.0.into());
        Ok(number(value).map_or(none, Value::from))
    });
    filter(env, "round", round);
    filter(env, "attr", |value, args| {
        let name = args.need_text(0)?;
        Ok(if matches!(kind(value), Kind::Dict) { Value::UNDEFINED } else { value.get_attr(&name)? })
    });
    tests(env);
}

fn tests(env: &mut Environment<'_>) {
    env.add_test("number", |v: Value| kind(&v).float().is_some());
    env.add_test("integer", |v: Value| matches!(kind(&v), Kind::Int(_)));
    env.add_test("float", |v: Value| matches!(kind(&v), Kind::Float(_)));
    env.add_test("mapping", |v: Value| matches!(kind(&v), Kind::Dict));
    env.add_test("sequence", |v: Value| {
        matches!(kind(&v), Kind::Undefined | Kind::Str(_) | Kind::List | Kind::Tuple | Kind::Range(_) | Kind::Dict)
    });
    env.add_test("iterable", |v: Value| items(&v).is_ok());
    env.add_test("callable", |v: Value| matches!(kind(&v), Kind::Other));
    env.add_test("lower", |v: Value| {
        let text = text(&v)?;
        Ok::<_, Error>(text.chars().any(characters::is_cased) && text.to_lowercase() == text)
    });
    env.add_test("upper", |v: Value| {
        let text = text(&v)?;
        Ok::<_, Error>(text.chars().any(characters::is_cased) && text.to_uppercase() == text)
    });
    let rest = |v: &Value, n: &Value| super::ops::binary('%', v, n);
    env.add_test("odd", move |v: Value| equal(&rest(&v, &2.into())?, &1.into()));
    env.add_test("even", move |v: Value| equal(&rest(&v, &2.into())?, &0.into()));
    env.add_test("divisibleby", move |v: Value, n: Value| equal(&rest(&v, &n)?, &0.into()));
    env.add_test("in", |v: Value, container: Value| contains(&container, &v));
    let comparisons: [(&[&'static str], char); 6] = [
        (&["eq", "equalto", "=="], 'e'),
        (&["ne", "!="], 'n'),
        (&["lt", "lessthan", "<"], 'l'),
        (&["le", "<="], 'L'),
        (&["gt", "greaterthan", ">"], 'g'),
        (&["ge", ">="], 'G'),
    ];
    for (names, op) in comparisons {
        for name in names {
            env.add_test(*name, move |a: Value, b: Value| compared(op, &a, &b));
        }
    }
}

/// A word begins after white space, a hyphen or an opening bracket.
fn titled(text: &str) -> String {
    let begins_after = |c: char| characters::is_space(c) || matches!(c, '-' | '(' | '{' | '[' | '<');
    characters::words(text, |c, out| out.extend(c.to_uppercase()), |c| !begins_after(c))
}

fn length(value: &Value, _: &Arguments) -> Answer {
    let length = match kind(value) {
        Kind::Undefined => 0,
        Kind::Str(text) => text.chars().count(),
        Kind::Range(range) => range.len(),
        _ => items(value)?.len(),
    };
    Ok((length as i64).into())
}

fn join(value: &Value, args: &Arguments) -> Answer {
    let between = args.get(0, "d")?.map(|d| text(&d)).transpose()?.unwrap_or_default();
    let by = Key::new(args.get(1, "attribute")?)?;
    args.done(2)?;
    let mut out = String::new();
    for (i, item) in items(value)?.iter().enumerate() {
        let part = text(&by.of(item)?)?;
        if out.len() + part.len() + between.len() > 64 << 20 {
            return Err(fault("a string is too large: more than 64 MiB"));
        }
        out.push_str(if i > 0 { &between } else { "" });
        out.push_str(&part);
    }
    Ok(out.into())
}

fn indent(value: &Value, args: &Arguments) -> Answer {
    let Kind::Str(text) = kind(value) else { return Err(fault(format!("indent of {}", kind(value).name()))) };
    let width = match args.get(0, "width")? {
        None => " ".repeat(4),
        Some(width) => match kind(&width) {
            Kind::Str(text) => text.to_owned(),
            other => {
                let n = other.int().ok_or_else(|| fault("indent takes a number or a string"))?;
                if n > 1 << 20 {
                    return Err(fault(format!("an indent of {n} is too large")));
                }
                " ".repeat(n.max(0) as usize)
            }
        },
    };
    let (first, blank) = (args.is_true(1, "first")?, args.is_true(2, "blank")?);
    args.done(3)?;
    if text.matches('\n').count().saturating_mul(width.len()) > 64 << 20 {
        return Err(fault("a string is too large: more than 64 MiB"));
    }
    let whole = format!("{text}\n");
    let mut out = String::new();
    for (i, line) in characters::lines(&whole, false).into_iter().enumerate() {
        if i > 0 {
            out.push('\n');
        }
        if if i == 0 { first } else { blank || !line.is_empty() } {
            out.push_str(&width);
        }
        out.push_str(line);
    }
    like(value, out)
}

fn truncate(value: &Value, args: &Arguments) -> Answer {
    let whole = text(value)?;
    let length = args.int(0, "length")?.unwrap_or(255);
    let kill = args.is_true(1, "killwords")?;
    let end = args.text(2, "end")?.unwrap_or_else(|| "...".into());
    let leeway = args.int(3, "leeway")?.unwrap_or(5);
    args.done(4)?;
    let (ends, count) = (end.chars().count() as i64, whole.chars().count() as i64);
    if length < ends || leeway < 0 {
        return Err(fault(format!("truncate: expected a length of at least {ends}, got {length}")));
    }
    if count <= length.saturating_add(leeway) {
        return Ok(whole.into());
    }
    let part: String = whole.chars().take((length - ends) as usize).collect();
    let part = if kill { &*part } else { part.rsplit_once(' ').map_or(&*part, |(before, _)| before) };
    Ok(format!("{part}{end}").into())
}

fn urlencode(value: &Value, _: &Arguments) -> Answer {
    let quote = |text: &str, query: bool| {
        let mut out = String::new();
        for byte in text.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => out.push(char::from(byte)),
                b'/' if !query => out.push('/'),
                b' ' if query => out.push('+'),
                other => out.push_str(&format!("%{other:02X}")),
            }
        }
        out
    };
    if let Kind::Dict = kind(value) {
        let mut parts = Vec::new();
        for (key, value) in pairs(value)? {
            parts.push(format!("{}={}", quote(&text(&key)?, true), quote(&text(&value)?, true)));
        }
        return Ok(parts.join("&").into());
    }
    Ok(quote(&text(value)?, false).into())
}

/// The key by which values are sorted or compared.
struct Key(Vec<Value>);

impl Key {
    /// A dotted name or an index; `None` means the value itself.
    fn new(attribute: Option<Value>) -> Result<Self, Error> {
        let Some(attribute) = attribute.filter(|a| !a.is_none()) else { return Ok(Self(Vec::new())) };
        let Kind::Str(path) = kind(&attribute) else { return Ok(Self(vec![attribute])) };
        Ok(Self(path.split('.').map(|part| part.parse::<i64>().map_or_else(|_| part.into(), Value::from)).collect()))
    }

    fn of(&self, value: &Value) -> Answer {
        let mut value = value.clone();
        for part in &self.0 {
            value = value.get_item(part)?;
        }
        Ok(value)
    }
}

/// Strings in lower case, if case is ignored.
fn folded(value: Value, case: bool) -> Value {
    match value.as_str() {
        Some(text) if !case => text.to_lowercase().into(),
        _ => value,
    }
}

/// Sorts by keys; an error if two keys cannot be compared.
fn sorted<T>(mut keyed: Vec<(Vec<Value>, T)>, reverse: bool) -> Result<Vec<T>, Error> {
    let mut wrong = None;
    keyed.sort_by(|(a, _), (b, _)| {
        for (a, b) in a.iter().zip(b) {
            match equal(a, b).and_then(|same| if same { Ok(Some(Ordering::Equal)) } else { order(a, b) }) {
                Ok(Some(Ordering::Equal) | None) => {}
                Ok(Some(order)) => return if reverse { order.reverse() } else { order },
                Err(e) => wrong = Some(e),
            }
        }
        Ordering::Equal
    });
    wrong.map_or(Ok(()), Err)?;
    Ok(keyed.into_iter().map(|(_, value)| value).collect())
}

fn sort(value: &Value, args: &Arguments) -> Answer {
    let (reverse, case) = (args.is_true(0, "reverse")?, args.is_true(1, "case_sensitive")?);
    let attributes = args.get(2, "attribute")?;
    args.done(3)?;
    let keys = match attributes.as_ref().map(kind) {
        Some(Kind::Str(names)) => names.split(',').map(|n| Key::new(Some(n.into()))).collect::<Result<Vec<_>, _>>()?,
        _ => vec![Key::new(attributes)?],
    };
    let mut keyed = Vec::new();
    for item in items(value)? {
        let by: Result<Vec<_>, Error> = keys.iter().map(|k| Ok(folded(k.of(&item)?, case))).collect();
        keyed.push((by?, item));
    }
    sorted(keyed, reverse).map(Value::from)
}

fn dictsort(value: &Value, args: &Arguments) -> Answer {
    let (case, reverse) = (args.is_true(0, "case_sensitive")?, args.is_true(2, "reverse")?);
    let by = args.text(1, "by")?.unwrap_or_else(|| "key".into());
    args.done(3)?;
    let mut keyed = Vec::new();
    for (key, value) in pairs(value)? {
        let by = match &*by {
            "key" => key.clone(),
            "value" => value.clone(),
            other => return Err(fault(format!("dictsort is by key or value, not by {other}"))),
        };
        keyed.push((vec![folded(by, case)], tuple(vec![key, value])));
    }
    sorted(keyed, reverse).map(Value::from)
}

fn unique(value: &Value, args: &Arguments) -> Answer {
    let case = args.is_true(0, "case_sensitive")?;
    let by = Key::new(args.get(1, "attribute")?)?;
    args.done(2)?;
    // By text first, because all texts can be compared; equal numbers have the same text.
    let mut seen: std::collections::HashMap<String, Vec<Value>> = std::collections::HashMap::new();
    let mut out: Vec<Value> = Vec::new();
    for item in items(value)? {
        let key = folded(by.of(&item)?, case);
        if matches!(kind(&key), Kind::List | Kind::Dict) {
            return Err(fault(format!("unique takes values that do not change, not {}", kind(&key).name())));
        }
        let name = kind(&key).float().map_or_else(|| repr(&key), |x| Ok(x.to_string()))?;
        let same = seen.entry(name).or_default();
        let mut is_new = true;
        for other in same.iter() {
            is_new &= !equal(other, &key)?;
        }
        if is_new {
            same.push(key);
            out.push(item);
        }
    }
    Ok(out.into())
}

fn extreme(value: &Value, args: &Arguments, which: Ordering) -> Answer {
    let case = args.is_true(0, "case_sensitive")?;
    let by = Key::new(args.get(1, "attribute")?)?;
    args.done(2)?;
    let mut best: Option<(Value, Value)> = None;
    for item in items(value)? {
        let key = folded(by.of(&item)?, case);
        let better = match &best {
            None => true,
            Some((other, _)) => order(&key, other)? == Some(which),
        };
        if better {
            best = Some((key, item));
        }
    }
    Ok(best.map_or(Value::UNDEFINED, |(_, item)| item))
}

fn sum(value: &Value, args: &Arguments) -> Answer {
    let by = Key::new(args.get(0, "attribute")?)?;
    let mut total = args.get(1, "start")?.unwrap_or_else(|| 0.into());
    args.done(2)?;
    for item in items(value)? {
        total = super::ops::binary('+', &total, &by.of(&item)?)?;
    }
    Ok(total)
}

/// A string as a number, like Python's `int`.
fn whole(text: &str, base: u32) -> Option<i128> {
    let text = text.trim_matches(characters::is_space);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let prefix = match base {
        16 => "0x",
        8 => "0o",
        2 => "0b",
        _ => "",
    };
    let has_prefix = !prefix.is_empty() && digits.get(..2).is_some_and(|p| p.eq_ignore_ascii_case(prefix));
    let digits = if has_prefix { &digits[2..] } else { digits };
    if digits.starts_with(['+', '-', '_']) || digits.ends_with('_') || digits.contains("__") {
        return None;
    }
    let n = i128::from_str_radix(&digits.replace('_', ""), base).ok()?;
    Some(if negative { -n } else { n })
}

/// A value as a number, like Python's `float`.
fn number(value: &Value) -> Option<f64> {
    match kind(value) {
        Kind::Str(text) => {
            let text = text.trim_matches(characters::is_space);
            let is_broken = text.starts_with('_') || text.ends_with('_') || text.contains("__");
            if is_broken { None } else { text.replace('_', "").parse().ok() }
        }
        other => other.float(),
    }
}

fn to_int(value: &Value, args: &Arguments) -> Answer {
    let none = args.get(0, "default")?.unwrap_or_else(|| 0.into());
    let base = args.int(1, "base")?.unwrap_or(10);
    args.done(2)?;
    let base = u32::try_from(base).ok().filter(|b| (2..=36).contains(b)).ok_or_else(|| fault("no base of numbers"))?;
    if let Kind::Undefined = kind(value) {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    let exact = match kind(value) {
        Kind::Str(text) => whole(text, base),
        other => other.int(),
    };
    let cut = || number(value).filter(|x| x.is_finite() && x.abs() < 1e38).map(|x| x as i128);
    Ok(exact.or_else(cut).map_or(none, int))
}

fn round(value: &Value, args: &Arguments) -> Answer {
    let precision = args.int(0, "precision")?.unwrap_or(0).clamp(-400, 400) as i32;
    let method = args.text(1, "method")?.unwrap_or_else(|| "common".into());
    args.done(2)?;
    let value = kind(value);
    let x = value.float().ok_or_else(|| fault(format!("round of {}", value.name())))?;
    let scale = 10f64.powi(precision);
    match (&*method, value.int()) {
        ("common", Some(n)) if precision >= 0 => Ok(int(n)),
        ("common", Some(n)) => {
            let scale = 10i128.checked_pow(precision.unsigned_abs()).unwrap_or(i128::MAX);
            let (quotient, rest) = (n.div_euclid(scale), n.rem_euclid(scale));
            let up = rest * 2 > scale || rest * 2 == scale && quotient % 2 != 0;
            Ok(int((quotient + i128::from(up)) * scale))
        }
        ("common", None) if precision >= 0 => {
            // The exact value, rounded to nearest, ties to even.
            Ok(format!("{x:.*}", precision as usize).parse::<f64>().unwrap_or(x).into())
        }
        ("common", None) => Ok(((x * scale).round_ties_even() / scale).into()),
        ("ceil", _) => Ok(((x * scale).ceil() / scale).into()),
        ("floor", _) => Ok(((x * scale).floor() / scale).into()),
        (other, _) => Err(fault(format!("round is common, ceil or floor, not {other}"))),
    }
}
