//! What templates take for granted: Python's methods, and what transformers adds to Jinja.

use minijinja::{
    Environment, Error, ErrorKind, State, Value,
    value::{Kwargs, from_args},
};
use serde::Serialize;
use serde_json::ser::Formatter;
use std::{
    io,
    time::{SystemTime, UNIX_EPOCH},
};

/// Adds all of it.
pub(super) fn add(env: &mut Environment<'_>) {
    env.set_unknown_method_callback(method);
    env.add_function("raise_exception", |text: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, text))
    });
    env.add_function("strftime_now", |format: String| strftime(&format, now()));
    env.add_filter("tojson", tojson);
}

/// The template without `{% generation %}` and its end, with which transformers marks what an assistant says and
/// which change no text: they become a condition that always holds.
pub(super) fn without_generation(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some((before, tag)) = rest.split_once("{%") {
        out.push_str(before);
        out.push_str("{%");
        rest = tag;
        let Some((inside, _)) = tag.split_once("%}") else { break };
        let name = inside.trim_matches(|c: char| c.is_whitespace() || c == '-' || c == '+');
        let plain = match name {
            "generation" => "if true",
            "endgeneration" => "endif",
            _ => continue,
        };
        out.push_str(&inside.replace(name, plain));
        rest = &tag[inside.len()..];
    }
    out.push_str(rest);
    out
}

/// Methods of strings that `pycompat` lacks, then its own.
fn method(state: &State<'_, '_>, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    let Some(text) = value.as_str() else {
        return minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args);
    };
    let three = |a: &str, b: &str, c: &str| [a, b, c].into_iter().collect::<Value>();
    match name {
        "removeprefix" => from_args::<(&str,)>(args).map(|(p,)| Value::from(text.strip_prefix(p).unwrap_or(text))),
        "removesuffix" => from_args::<(&str,)>(args).map(|(s,)| Value::from(text.strip_suffix(s).unwrap_or(text))),
        "partition" => from_args::<(&str,)>(args).map(|(at,)| match text.split_once(at) {
            Some((a, b)) => three(a, at, b),
            None => three(text, "", ""),
        }),
        "rpartition" => from_args::<(&str,)>(args).map(|(at,)| match text.rsplit_once(at) {
            Some((a, b)) => three(a, at, b),
            None => three("", "", text),
        }),
        "rsplit" => {
            let (at, most): (Option<&str>, Option<i64>) = from_args(args)?;
            let most = most.and_then(|n| usize::try_from(n).ok()).map_or(usize::MAX, |n| n.saturating_add(1));
            let mut parts: Vec<&str> = match at {
                Some("") => return Err(Error::new(ErrorKind::InvalidOperation, "empty separator")),
                Some(at) => text.rsplitn(most, at).collect(),
                None => rsplit_space(text, most),
            };
            parts.reverse();
            Ok(parts.into_iter().collect())
        }
        _ => minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args),
    }
}

/// Words from the end, at most so many, of which the last is all that is left.
fn rsplit_space(text: &str, most: usize) -> Vec<&str> {
    let (mut rest, mut parts) = (text.trim_end(), Vec::new());
    while !rest.is_empty() {
        let start = if parts.len() + 1 == most { None } else { rest.rfind(char::is_whitespace) };
        let Some(start) = start else {
            parts.push(rest);
            break;
        };
        let after = start + rest[start..].chars().next().map_or(1, char::len_utf8);
        parts.push(&rest[after..]);
        rest = rest[..start].trim_end();
    }
    parts
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// As Python's `strftime`, in UTC, with the directives that templates use.
fn strftime(format: &str, seconds: u64) -> Result<String, Error> {
    const DAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let (days, second) = (seconds / 86400, seconds % 86400);
    let (year, month, day) = civil(days);
    let (hour, minute, name) = (second / 3600, second / 60 % 60, DAYS[(days % 7) as usize]);
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        out.push_str(&match chars.next() {
            Some('Y') => year.to_string(),
            Some('y') => format!("{:02}", year % 100),
            Some('m') => format!("{month:02}"),
            Some('d') => format!("{day:02}"),
            Some('e') => format!("{day:2}"),
            Some('B') => MONTHS[month as usize - 1].into(),
            Some('b' | 'h') => MONTHS[month as usize - 1][..3].into(),
            Some('A') => name.into(),
            Some('a') => name[..3].into(),
            Some('H') => format!("{hour:02}"),
            Some('I') => format!("{:02}", (hour + 11) % 12 + 1),
            Some('p') => if hour < 12 { "AM" } else { "PM" }.into(),
            Some('M') => format!("{minute:02}"),
            Some('S') => format!("{:02}", second % 60),
            Some('F') => format!("{year}-{month:02}-{day:02}"),
            Some('T') => format!("{hour:02}:{minute:02}:{:02}", second % 60),
            Some('Z') => "UTC".into(),
            Some('%') => "%".into(),
            other => {
                let what = format!("strftime_now does not know %{}", other.map_or(String::new(), String::from));
                return Err(Error::new(ErrorKind::InvalidOperation, what));
            }
        });
    }
    Ok(out)
}

/// Year, month and day of a day after 1970-01-01 (Howard Hinnant's `civil_from_days`).
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let (era, day) = (z / 146_097, z % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + u64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

/// As Python's `json.dumps(value, ensure_ascii=False)`: no HTML escapes, spaces behind `,` and `:`.
fn tojson(value: &Value, options: Kwargs) -> Result<Value, Error> {
    let indent: Option<usize> = options.get::<Option<usize>>("indent")?.map(|n| n.min(64));
    let sorted = options.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    if options.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false) {
        return Err(Error::new(ErrorKind::InvalidOperation, "tojson does not know ensure_ascii=true"));
    }
    options.assert_all_used()?;
    let mut out = Vec::new();
    let fault = |e: &dyn std::error::Error| Error::new(ErrorKind::BadSerialization, e.to_string());
    let mut json = serde_json::Serializer::with_formatter(&mut out, Python { indent, depth: 0, any: false });
    if sorted {
        let value = serde_json::to_value(value).map_err(|e| fault(&e))?;
        sort(value).serialize(&mut json).map_err(|e| fault(&e))?;
    } else {
        value.serialize(&mut json).map_err(|e| fault(&e))?;
    }
    let text = String::from_utf8(out).map_err(|e| fault(&e))?;
    Ok(Value::from_safe_string(text))
}

/// The same with the keys of all objects in order.
fn sort(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value as Json;
    match value {
        Json::Object(map) => {
            let mut pairs: Vec<_> = map.into_iter().map(|(key, value)| (key, sort(value))).collect();
            pairs.sort_by(|a, b| a.0.cmp(&b.0));
            Json::Object(pairs.into_iter().collect())
        }
        Json::Array(list) => Json::Array(list.into_iter().map(sort).collect()),
        other => other,
    }
}

struct Python {
    indent: Option<usize>,
    depth: usize,
    /// Whether what was begun last has an element.
    any: bool,
}

impl Python {
    fn line<W: ?Sized + io::Write>(&self, w: &mut W) -> io::Result<()> {
        match self.indent {
            Some(width) => write!(w, "\n{:1$}", "", width * self.depth),
            None => Ok(()),
        }
    }

    fn begin<W: ?Sized + io::Write>(&mut self, w: &mut W, open: &[u8]) -> io::Result<()> {
        (self.depth, self.any) = (self.depth + 1, false);
        w.write_all(open)
    }

    fn end<W: ?Sized + io::Write>(&mut self, w: &mut W, close: &[u8]) -> io::Result<()> {
        self.depth -= 1;
        if self.any {
            self.line(w)?;
        }
        self.any = true;
        w.write_all(close)
    }

    fn element<W: ?Sized + io::Write>(&mut self, w: &mut W, first: bool) -> io::Result<()> {
        self.any = true;
        let between: &[u8] = match (first, self.indent) {
            (true, _) => b"",
            (false, None) => b", ",
            (false, Some(_)) => b",",
        };
        w.write_all(between)?;
        self.line(w)
    }
}

impl Formatter for Python {
    fn begin_array<W: ?Sized + io::Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.begin(w, b"[")
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.end(w, b"]")
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, w: &mut W, first: bool) -> io::Result<()> {
        self.element(w, first)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.begin(w, b"{")
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.end(w, b"}")
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, w: &mut W, first: bool) -> io::Result<()> {
        self.element(w, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, w: &mut W) -> io::Result<()> {
        w.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::context;

    fn render(source: &str) -> Result<String, Error> {
        let mut env = Environment::new();
        add(&mut env);
        let list = serde_json::json!([{ "b": 1, "a": [true, null], "c": {} }]);
        env.render_str(&without_generation(source), context! { list })
    }

    #[test]
    fn methods_of_strings_are_pythons() {
        for (source, expected) in [
            ("'a.b.c'.rsplit('.', 1)", r#"["a.b", "c"]"#),
            ("'a.b.c'.rsplit('.')", r#"["a", "b", "c"]"#),
            ("' a  b c '.rsplit(none, 1)", r#"[" a  b", "c"]"#),
            ("' a  b c '.rsplit()", r#"["a", "b", "c"]"#),
            ("'k=v=w'.partition('=')", r#"["k", "=", "v=w"]"#),
            ("'k=v=w'.rpartition('=')", r#"["k=v", "=", "w"]"#),
            ("'kv'.partition('=')", r#"["kv", "", ""]"#),
            ("'kv'.rpartition('=')", r#"["", "", "kv"]"#),
            ("'<a>'.removeprefix('<').removesuffix('>')", r#""a""#),
            ("'ab'.removeprefix('b')", r#""ab""#),
            ("' x '.strip()", r#""x""#),
        ] {
            assert_eq!(render(&format!("{{{{ ({source})|tojson }}}}")).unwrap(), expected, "{source}");
        }
    }

    #[test]
    fn json_is_pythons() {
        let sorted = r#"[{"a": [true, null], "b": 1, "c": {}}]"#;
        assert_eq!(render("{{ list|tojson(sort_keys=true) }}").unwrap(), sorted);
        let lines = "[\n  {\n    \"a\": [\n      true,\n      null\n    ],\n    \"b\": 1,\n    \"c\": {}\n  }\n]";
        assert_eq!(render("{{ list|tojson(indent=2, sort_keys=true) }}").unwrap(), lines);
        assert_eq!(render("{{ []|tojson(indent=4) }}{{ {}|tojson }}").unwrap(), "[]{}");
        // In the order in which they were written.
        assert_eq!(render("{{ {'z': 1, 'a': 2}|tojson }}").unwrap(), r#"{"z": 1, "a": 2}"#);
        assert!(render("{{ list|tojson(width=1) }}").is_err());
    }

    #[test]
    fn times_and_marks() {
        let at = |format: &str, seconds| strftime(format, seconds).unwrap();
        assert_eq!(
            at("%Y-%m-%d %H:%M:%S %A %B %b %d, %I %p %y%%", 1_709_210_096),
            "2024-02-29 12:34:56 Thursday February Feb 29, 12 PM 24%"
        );
        assert_eq!(at("%F %T", 0), "1970-01-01 00:00:00");
        assert_eq!(at("%F", 951_782_400), "2000-02-29");
        assert!(strftime("%Q", 0).is_err());
        let marked = "a{%- generation %} b {%- endgeneration -%} c{% if true %}{% endif %}";
        assert_eq!(render(marked).unwrap(), "a bc");
    }
}
