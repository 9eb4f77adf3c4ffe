//! Python's methods of strings, lists and dictionaries, except those that modify them.

use super::{
    characters::{self, is_cased, is_space},
    format,
    ops::indices,
    value::{Kind, View, equal, fault, is_seen, items, kind, pairs, tuple},
};
use minijinja::{
    Error, ErrorKind, State, Value,
    value::{Kwargs, Rest, from_args},
};

/// Maximum number of bytes that a method may return.
const LONGEST: usize = 64 << 20;

/// The arguments of a call.
pub(super) struct Arguments {
    pub(super) list: Vec<Value>,
    pub(super) named: Kwargs,
}

impl Arguments {
    pub(super) fn new(args: &[Value]) -> Result<Self, Error> {
        let (list, named): (Rest<Value>, Kwargs) = from_args(args)?;
        Ok(Self { list: list.0, named })
    }

    /// The argument with this position or name, if it was passed.
    pub(super) fn get(&self, place: usize, name: &str) -> Result<Option<Value>, Error> {
        match self.list.get(place) {
            Some(_) if !name.is_empty() && self.named.has(name) => Err(fault(format!("{name} is given twice"))),
            Some(value) => Ok(Some(value.clone())),
            None if !name.is_empty() && self.named.has(name) => self.named.get::<Value>(name).map(Some),
            None => Ok(None),
        }
    }

    /// The same for a required argument.
    pub(super) fn need(&self, place: usize, name: &str) -> Result<Value, Error> {
        self.get(place, name)?.ok_or_else(|| fault(format!("argument {} is missing", place + 1)))
    }

    pub(super) fn text(&self, place: usize, name: &str) -> Result<Option<String>, Error> {
        let Some(value) = self.get(place, name)? else { return Ok(None) };
        match kind(&value) {
            Kind::Str(text) => Ok(Some(text.into())),
            Kind::None => Ok(None),
            other => Err(fault(format!("a string is expected, not {}", other.name()))),
        }
    }

    pub(super) fn need_text(&self, place: usize) -> Result<String, Error> {
        self.text(place, "")?.ok_or_else(|| fault("a string is expected"))
    }

    pub(super) fn int(&self, place: usize, name: &str) -> Result<Option<i64>, Error> {
        let Some(value) = self.get(place, name)? else { return Ok(None) };
        let int = kind(&value).int().map(|n| n.clamp(i64::MIN.into(), i64::MAX.into()) as i64);
        int.map(Some).ok_or_else(|| fault(format!("a whole number is expected, not {}", kind(&value).name())))
    }

    pub(super) fn is_true(&self, place: usize, name: &str) -> Result<bool, Error> {
        Ok(self.get(place, name)?.is_some_and(|v| v.is_true()))
    }

    /// Checks that there are no further arguments.
    pub(super) fn done(&self, most: usize) -> Result<(), Error> {
        if self.list.len() > most {
            return Err(fault(format!("{} arguments are given, at most {most} are taken", self.list.len())));
        }
        self.named.assert_all_used()
    }
}

/// A method that the library does not have.
pub(super) fn method(_: &State<'_, '_>, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    let args = Arguments::new(args)?;
    match kind(value) {
        Kind::Str(text) => of_string(text, name, &args),
        Kind::Dict => of_dict(value, name, &args),
        Kind::List | Kind::Tuple | Kind::Range(_) => of_list(value, name, &args),
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

fn of_dict(value: &Value, name: &str, args: &Arguments) -> Result<Value, Error> {
    let most = match name {
        "get" => {
            let key = args.need(0, "")?;
            let found = value.as_object().and_then(|o| o.get_value(&key));
            args.done(2)?;
            return Ok(found.or(args.get(1, "")?).unwrap_or_else(|| ().into()));
        }
        "keys" | "values" | "items" | "copy" => 0,
        _ => return Err(Error::from(ErrorKind::UnknownMethod)),
    };
    args.done(most)?;
    if name == "copy" { Ok(pairs(value)?.into_iter().collect()) } else { View::of(value, name) }
}

fn of_list(value: &Value, name: &str, args: &Arguments) -> Result<Value, Error> {
    match name {
        "count" => {
            let what = args.need(0, "")?;
            args.done(1)?;
            let mut count = 0;
            for item in items(value)? {
                count += i64::from(equal(&item, &what)?);
            }
            Ok(count.into())
        }
        "index" => {
            let what = args.need(0, "")?;
            let all = items(value)?;
            let place = indices(args.list.get(1..).unwrap_or_default(), all.len())?;
            args.done(3)?;
            for i in place {
                if equal(&all[i], &what)? {
                    return Ok((i as i64).into());
                }
            }
            Err(fault("the value is not in the list"))
        }
        "copy" if matches!(kind(value), Kind::List) => {
            args.done(0)?;
            Ok(items(value)?.into())
        }
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

fn of_string(text: &str, name: &str, args: &Arguments) -> Result<Value, Error> {
    let value: Value = match name {
        "upper" => text.to_uppercase().into(),
        "lower" => text.to_lowercase().into(),
        "title" => characters::titled(text).into(),
        "capitalize" => characters::capitalized(text).into(),
        "swapcase" => {
            let mut out = String::new();
            for c in text.chars() {
                if c.is_lowercase() { out.extend(c.to_uppercase()) } else { out.extend(c.to_lowercase()) }
            }
            out.into()
        }
        "casefold" => {
            let fold = |c: char| c.to_uppercase().flat_map(char::to_lowercase);
            text.chars().flat_map(fold).collect::<String>().into()
        }
        _ if name.starts_with("is") => return is(text, name).map_or(unknown(), |is| args.done(0).map(|()| is.into())),
        _ => return with_arguments(text, name, args),
    };
    args.done(0)?;
    Ok(value)
}

fn unknown() -> Result<Value, Error> {
    Err(Error::from(ErrorKind::UnknownMethod))
}

/// `str.isalpha` and its relatives; `None` for another name.
fn is(text: &str, name: &str) -> Option<bool> {
    let all = |is: &dyn Fn(char) -> bool| !text.is_empty() && text.chars().all(is);
    let has_case = text.chars().any(is_cased);
    Some(match name {
        "isalpha" => all(&|c| c.is_alphabetic()),
        "isalnum" => all(&|c| c.is_alphanumeric()),
        "isascii" => text.is_ascii(),
        "isdecimal" => all(&characters::is_decimal),
        "isdigit" => all(&characters::is_digit),
        "isnumeric" => all(&|c| c.is_numeric()),
        "isspace" => all(&is_space),
        "isprintable" => text.chars().all(is_seen),
        "islower" => has_case && text.chars().all(|c| !is_cased(c) || c.is_lowercase()),
        "isupper" => has_case && text.chars().all(|c| !is_cased(c) || c.is_uppercase()),
        "istitle" => has_case && characters::titled(text) == text,
        "isidentifier" => {
            let first = text.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_');
            first && text.chars().all(|c| c.is_alphanumeric() || c == '_')
        }
        _ => return None,
    })
}

fn with_arguments(text: &str, name: &str, args: &Arguments) -> Result<Value, Error> {
    match name {
        "strip" | "lstrip" | "rstrip" => {
            let set = args.text(0, "")?;
            args.done(1)?;
            let of = |c: char| set.as_ref().map_or_else(|| is_space(c), |set| set.contains(c));
            let text = if name == "rstrip" { text } else { text.trim_start_matches(of) };
            Ok(if name == "lstrip" { text } else { text.trim_end_matches(of) }.into())
        }
        "split" | "rsplit" => {
            let at = args.text(0, "sep")?;
            let most = args.int(1, "maxsplit")?.unwrap_or(-1);
            args.done(2)?;
            let most = usize::try_from(most).map_or(usize::MAX, |n| n.saturating_add(1));
            split(text, at.as_deref(), most, name == "rsplit")
        }
        "splitlines" => {
            let keep = args.is_true(0, "keepends")?;
            args.done(1)?;
            Ok(characters::lines(text, keep).into_iter().collect())
        }
        "partition" | "rpartition" => {
            let at = args.need_text(0)?;
            args.done(1)?;
            if at.is_empty() {
                return Err(fault("empty separator"));
            }
            let parts = if name == "partition" { text.split_once(&*at) } else { text.rsplit_once(&*at) };
            let parts = match parts {
                Some((before, after)) => [before, &at, after],
                None if name == "partition" => [text, "", ""],
                None => ["", "", text],
            };
            Ok(tuple(parts.into_iter().map(Value::from).collect()))
        }
        "removeprefix" | "removesuffix" => {
            let part = args.need_text(0)?;
            args.done(1)?;
            let rest = if name == "removeprefix" { text.strip_prefix(&*part) } else { text.strip_suffix(&*part) };
            Ok(rest.unwrap_or(text).into())
        }
        "replace" => {
            let (old, new) = (args.need_text(0)?, args.need_text(1)?);
            let most = args.int(2, "count")?;
            args.done(3)?;
            replaced(text, &old, &new, most.unwrap_or(-1)).map(Value::from)
        }
        "find" | "rfind" | "index" | "rindex" | "count" => {
            let part = args.need_text(0)?;
            args.done(3)?;
            let Some((first, within)) = within(text, args)? else {
                return if name.ends_with("index") {
                    Err(fault("substring not found"))
                } else {
                    Ok(if name == "count" { 0 } else { -1 }.into())
                };
            };
            if name == "count" {
                let count = if part.is_empty() { within.chars().count() + 1 } else { within.matches(&*part).count() };
                return Ok((count as i64).into());
            }
            let at = if name.starts_with('r') { within.rfind(&*part) } else { within.find(&*part) };
            match at {
                Some(at) => Ok(((first + within[..at].chars().count()) as i64).into()),
                None if name.ends_with("index") => Err(fault("substring not found")),
                None => Ok((-1).into()),
            }
        }
        "startswith" | "endswith" => {
            let what = args.need(0, "")?;
            args.done(3)?;
            let parts = match kind(&what) {
                Kind::Str(part) => vec![part.to_owned()],
                Kind::Tuple => {
                    let part = |v: Value| {
                        v.to_str().map(|s| s.to_string()).ok_or_else(|| fault("a tuple of strings is expected"))
                    };
                    items(&what)?.into_iter().map(part).collect::<Result<_, _>>()?
                }
                other => {
                    return Err(fault(format!("a string or a tuple of strings is expected, not {}", other.name())));
                }
            };
            let Some((_, within)) = within(text, args)? else { return Ok(false.into()) };
            let has = |part: &String| {
                if name == "startswith" { within.starts_with(&**part) } else { within.ends_with(&**part) }
            };
            Ok(parts.iter().any(has).into())
        }
        "join" => {
            let what = args.need(0, "")?;
            args.done(1)?;
            let mut out = String::new();
            for (i, part) in items(&what)?.into_iter().enumerate() {
                let Kind::Str(part) = kind(&part) else {
                    return Err(fault(format!("item {i}: a string is expected, not {}", kind(&part).name())));
                };
                if out.len() + part.len() + text.len() > LONGEST {
                    return Err(fault("a string is too large: more than 64 MiB"));
                }
                out.push_str(if i > 0 { text } else { "" });
                out.push_str(part);
            }
            Ok(out.into())
        }
        "center" | "ljust" | "rjust" | "zfill" => {
            let width = args.int(0, "")?.ok_or_else(|| fault("a width is expected"))?;
            let fill = args.text(1, "")?.unwrap_or_else(|| " ".into());
            args.done(if name == "zfill" { 1 } else { 2 })?;
            let mut chars = fill.chars();
            let (Some(fill), None) = (chars.next(), chars.next()) else {
                return Err(fault("the fill character must be exactly one character long"));
            };
            aligned(text, name, usize::try_from(width).unwrap_or(0), fill).map(Value::from)
        }
        "expandtabs" => {
            let size = args.int(0, "tabsize")?.unwrap_or(8);
            args.done(1)?;
            let size = usize::try_from(size).unwrap_or(0);
            if text.matches('\t').count().saturating_mul(size) > LONGEST {
                return Err(fault("a string is too large: more than 64 MiB"));
            }
            let (mut out, mut column) = (String::new(), 0);
            for c in text.chars() {
                match c {
                    '\t' if size > 0 => {
                        let spaces = size - column % size;
                        out.extend(std::iter::repeat_n(' ', spaces));
                        column += spaces;
                    }
                    '\t' => {}
                    c => {
                        out.push(c);
                        column = if matches!(c, '\n' | '\r') { 0 } else { column + 1 };
                    }
                }
            }
            Ok(out.into())
        }
        "format" => format::braces(text, &args.list, &args.named).map(Value::from),
        _ => unknown(),
    }
}

/// The part of a text between the second and the third argument, and its start in characters; `None` if it starts
/// after the end.
fn within<'t>(text: &'t str, args: &Arguments) -> Result<Option<(usize, &'t str)>, Error> {
    let length = text.chars().count() as i128;
    let bound = |i: usize, none: i128| -> Result<i128, Error> {
        match args.list.get(i).map(kind) {
            None | Some(Kind::None) => Ok(none),
            Some(other) => {
                let n = other.int().ok_or_else(|| fault("a whole number is expected"))?;
                Ok(if n < 0 { (n + length).max(0) } else { n })
            }
        }
    };
    let (start, stop) = (bound(1, 0)?, bound(2, length)?.min(length));
    if start > length || start > stop {
        return Ok(None);
    }
    let byte = |n: i128| text.char_indices().nth(n as usize).map_or(text.len(), |(at, _)| at);
    Ok(Some((start as usize, &text[byte(start)..byte(stop)])))
}

/// The maximum number of parts.
fn split(text: &str, at: Option<&str>, most: usize, from_end: bool) -> Result<Value, Error> {
    let mut parts: Vec<&str> = match (at, from_end) {
        (Some(""), _) => return Err(fault("empty separator")),
        (Some(at), false) => text.splitn(most, at).collect(),
        (Some(at), true) => text.rsplitn(most, at).collect(),
        (None, false) => words(text, most),
        (None, true) => words_from_end(text, most),
    };
    if from_end {
        parts.reverse();
    }
    Ok(parts.into_iter().collect())
}

/// The words of a text, at most so many; the last one is the rest of the text.
fn words(text: &str, most: usize) -> Vec<&str> {
    let (mut rest, mut parts) = (text.trim_start_matches(is_space), Vec::new());
    while !rest.is_empty() {
        let end = if parts.len() + 1 == most { None } else { rest.find(is_space) };
        let Some(end) = end else {
            parts.push(rest);
            break;
        };
        parts.push(&rest[..end]);
        rest = rest[end..].trim_start_matches(is_space);
    }
    parts
}

/// The same from the end, with the last word first.
fn words_from_end(text: &str, most: usize) -> Vec<&str> {
    let (mut rest, mut parts) = (text.trim_end_matches(is_space), Vec::new());
    while !rest.is_empty() {
        let start = if parts.len() + 1 == most { None } else { rest.rfind(is_space) };
        let Some(start) = start else {
            parts.push(rest);
            break;
        };
        let after = start + rest[start..].chars().next().map_or(1, char::len_utf8);
        parts.push(&rest[after..]);
        rest = rest[..start].trim_end_matches(is_space);
    }
    parts
}

/// `str.replace`; a negative count means all occurrences.
pub(super) fn replaced(text: &str, old: &str, new: &str, most: i64) -> Result<String, Error> {
    let there = if old.is_empty() { text.chars().count() + 1 } else { text.matches(old).count() };
    let count = usize::try_from(most).map_or(there, |most| most.min(there));
    if count.saturating_mul(new.len()).saturating_add(text.len()) > LONGEST {
        return Err(fault("a string is too large: more than 64 MiB"));
    }
    Ok(text.replacen(old, new, count))
}

/// `center`, `ljust`, `rjust` and `zfill`.
pub(super) fn aligned(text: &str, name: &str, width: usize, fill: char) -> Result<String, Error> {
    let missing = width.saturating_sub(text.chars().count());
    if missing.saturating_mul(fill.len_utf8()) > LONGEST {
        return Err(fault("a string is too large: more than 64 MiB"));
    }
    let filling = |n: usize| fill.to_string().repeat(n);
    Ok(match name {
        "ljust" => format!("{text}{}", filling(missing)),
        "rjust" => format!("{}{text}", filling(missing)),
        "zfill" => {
            let sign = if text.starts_with(['+', '-']) { 1 } else { 0 };
            format!("{}{}{}", &text[..sign], "0".repeat(missing), &text[sign..])
        }
        _ => {
            let left = missing / 2 + (missing & width & 1);
            format!("{}{text}{}", filling(left), filling(missing - left))
        }
    })
}
