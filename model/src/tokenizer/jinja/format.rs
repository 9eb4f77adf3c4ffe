//! Python's formatting: `%` and `str.format`.

use super::value::{Kind, escape, fault, float, items, kind, repr, text};
use minijinja::{Error, Value, value::Kwargs};

/// Maximum number of characters of a field.
const WIDEST: usize = 1 << 20;

/// The format of a value.
#[derive(Debug, Clone, Default)]
struct Spec {
    fill: Option<char>,
    align: Option<char>,
    /// `+`, a space, or none for `-`.
    sign: Option<char>,
    alternate: bool,
    zero: bool,
    width: usize,
    group: Option<char>,
    precision: Option<usize>,
    ty: Option<char>,
}

impl Spec {
    /// A number's digits with sign, prefix and padding.
    fn number(&self, negative: bool, prefix: &str, digits: &str) -> String {
        let sign = match (negative, self.sign) {
            (true, _) => "-",
            (false, Some('+')) => "+",
            (false, Some(' ')) => " ",
            _ => "",
        };
        let head = format!("{sign}{prefix}");
        let length = head.len() + digits.chars().count();
        let missing = self.width.saturating_sub(length);
        if self.align == Some('=') || self.zero && self.align.is_none() {
            let fill = self.fill.unwrap_or(if self.zero { '0' } else { ' ' });
            return format!("{head}{}{digits}", fill.to_string().repeat(missing));
        }
        self.padded(&format!("{head}{digits}"), '>')
    }

    fn padded(&self, text: &str, align: char) -> String {
        let missing = self.width.saturating_sub(text.chars().count());
        let fill = |n: usize| self.fill.unwrap_or(' ').to_string().repeat(n);
        match self.align.unwrap_or(align) {
            '<' => format!("{text}{}", fill(missing)),
            '^' => format!("{}{text}{}", fill(missing / 2), fill(missing - missing / 2)),
            _ => format!("{}{text}", fill(missing)),
        }
    }

    fn cut(&self, text: &str) -> String {
        text.chars().take(self.precision.unwrap_or(usize::MAX)).collect()
    }

    fn grouped(&self, digits: String, every: usize) -> String {
        let Some(mark) = self.group else { return digits };
        let end = digits.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(digits.len());
        let mut out = String::new();
        for (i, c) in digits[..end].chars().enumerate() {
            if i > 0 && (end - i) % every == 0 {
                out.push(mark);
            }
            out.push(c);
        }
        out + &digits[end..]
    }

    fn int(&self, n: i128, ty: char) -> String {
        let most = n.unsigned_abs();
        let (prefix, digits, every) = match ty {
            'x' => ("0x", format!("{most:x}"), 4),
            'X' => ("0X", format!("{most:X}"), 4),
            'o' => ("0o", format!("{most:o}"), 4),
            'b' => ("0b", format!("{most:b}"), 4),
            _ => ("", most.to_string(), 3),
        };
        let digits = self.grouped(digits, every);
        // `%` has a minimum number of digits.
        let least = self.precision.unwrap_or(0);
        let digits = format!("{}{digits}", "0".repeat(least.saturating_sub(digits.len())));
        self.number(n < 0, if self.alternate { prefix } else { "" }, &digits)
    }

    fn float(&self, x: f64, ty: char) -> String {
        let precision = self.precision.unwrap_or(6).min(WIDEST);
        let upper = ty.is_ascii_uppercase();
        let case = |text: String| if upper { text.to_uppercase() } else { text };
        if !x.is_finite() {
            let text = if x.is_nan() { "nan" } else { "inf" };
            let spec = Self { zero: false, ..self.clone() };
            return spec.number(x < 0.0, "", &case(text.into()));
        }
        let most = x.abs();
        let scientific = |precision: usize| {
            let text = format!("{most:.precision$e}");
            let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let exponent: i32 = exponent.parse().unwrap_or(0);
            (digits.to_owned(), exponent)
        };
        let exponent = |digits: &str, n: i32| format!("{digits}e{}{:02}", if n < 0 { '-' } else { '+' }, n.abs());
        let text = match ty.to_ascii_lowercase() {
            'e' => {
                let (digits, n) = scientific(precision);
                exponent(&digits, n)
            }
            'g' => {
                let precision = precision.max(1);
                let (digits, n) = scientific(precision - 1);
                let short = |text: String| {
                    if self.alternate || !text.contains('.') {
                        return text;
                    }
                    text.trim_end_matches('0').trim_end_matches('.').to_owned()
                };
                if n >= -4 && n < precision as i32 {
                    short(format!("{most:.*}", (precision as i32 - 1 - n).max(0) as usize))
                } else {
                    exponent(&short(digits), n)
                }
            }
            '%' => format!("{:.precision$}%", most * 100.0),
            _ => format!("{most:.precision$}"),
        };
        self.number(x.is_sign_negative(), "", &case(self.grouped(text, 3)))
    }
}

fn bounded(n: usize) -> Result<usize, Error> {
    if n > WIDEST { Err(fault(format!("a field's width of {n} is too large, at most {WIDEST}"))) } else { Ok(n) }
}

/// Parses the number at the beginning.
fn number(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Option<usize>, Error> {
    let mut n = None;
    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
        n = Some(n.unwrap_or(0usize).saturating_mul(10).saturating_add(digit as usize));
        chars.next();
    }
    n.map(bounded).transpose()
}

/// `format % value`.
pub(super) fn percent(format: &str, value: &Value) -> Result<String, Error> {
    let is_tuple = matches!(kind(value), Kind::Tuple);
    let values = if is_tuple { items(value)? } else { vec![value.clone()] };
    let (mut values, mut is_named) = (values.into_iter(), matches!(kind(value), Kind::Dict | Kind::List));
    let mut out = String::new();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut next = || values.next().ok_or_else(|| fault("not enough arguments for format string"));
        let mut spec = Spec::default();
        let mut named = None;
        if chars.peek() == Some(&'(') {
            chars.next();
            let (mut name, mut open) = (String::new(), 1);
            for c in chars.by_ref() {
                open += i32::from(c == '(') - i32::from(c == ')');
                if open == 0 {
                    break;
                }
                name.push(c);
            }
            if open > 0 || !matches!(kind(value), Kind::Dict) {
                return Err(fault("a format with names takes a dict"));
            }
            let found = value.as_object().and_then(|o| o.get_value(&Value::from(&*name)));
            named = Some(found.ok_or_else(|| fault(format!("format string: no key {name:?}")))?);
            is_named = true;
        }
        while let Some(flag) = chars.peek().copied().filter(|c| "-+ #0".contains(*c)) {
            chars.next();
            match flag {
                '-' => spec.align = Some('<'),
                '+' => spec.sign = Some('+'),
                ' ' => spec.sign = spec.sign.or(Some(' ')),
                '#' => spec.alternate = true,
                _ => spec.zero = true,
            }
        }
        let mut star = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| {
            if chars.peek() != Some(&'*') {
                return number(chars).map(|n| n.map(|n| n as i128));
            }
            chars.next();
            let n = kind(&next()?).int().ok_or_else(|| fault("* wants int"))?;
            bounded(usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX)).map(|_| Some(n))
        };
        if let Some(width) = star(&mut chars)? {
            if width < 0 {
                spec.align = Some('<');
            }
            spec.width = width.unsigned_abs() as usize;
        }
        if chars.peek() == Some(&'.') {
            chars.next();
            spec.precision = Some(star(&mut chars)?.unwrap_or(0).max(0) as usize);
        }
        while chars.peek().is_some_and(|c| "hlL".contains(*c)) {
            chars.next();
        }
        let Some(ty) = chars.next() else { return Err(fault("incomplete format")) };
        if ty == '%' {
            out.push('%');
            continue;
        }
        if !"diouxXeEfFgGcrsa".contains(ty) {
            return Err(fault(format!("unsupported format character {ty:?}")));
        }
        let value = match named {
            Some(value) => value,
            None => next()?,
        };
        out.push_str(&conversion(&spec, ty, &value)?);
        if out.len() > 64 << 20 {
            return Err(fault("a string is too large: more than 64 MiB"));
        }
    }
    if !is_named && values.next().is_some() {
        return Err(fault("not all arguments converted during string formatting"));
    }
    Ok(out)
}

fn conversion(spec: &Spec, ty: char, value: &Value) -> Result<String, Error> {
    let value_kind = kind(value);
    let wants = |what: &str| fault(format!("%{ty} format: {what} is required, not {}", value_kind.name()));
    if matches!(value_kind, Kind::Undefined) && !"sra".contains(ty) {
        return Err(Error::from(minijinja::ErrorKind::UndefinedError));
    }
    Ok(match ty {
        's' => spec.padded(&spec.cut(&text(value)?), '>'),
        'r' => spec.padded(&spec.cut(&repr(value)?), '>'),
        'a' => spec.padded(&spec.cut(&ascii(&repr(value)?)), '>'),
        'c' => {
            let c = match value_kind {
                Kind::Str(text) if text.chars().count() == 1 => text.chars().next(),
                Kind::Int(n) => u32::try_from(n).ok().and_then(char::from_u32),
                _ => None,
            };
            spec.padded(&String::from(c.ok_or_else(|| wants("an int or a character"))?), '>')
        }
        'd' | 'i' | 'u' => match value_kind {
            Kind::Float(x) if x.is_finite() && x.abs() < 1e38 => spec.int(x as i128, 'd'),
            other => spec.int(other.int().ok_or_else(|| wants("a real number"))?, 'd'),
        },
        'o' | 'x' | 'X' => spec.int(value_kind.int().ok_or_else(|| wants("an integer"))?, ty),
        _ => spec.float(value_kind.float().ok_or_else(|| wants("a real number"))?, ty),
    })
}

/// The text with all characters except ASCII as escapes.
fn ascii(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_ascii() { out.push(c) } else { escape(c, &mut out) }
    }
    out
}

/// `format.format(..)`.
pub(super) fn braces(format: &str, args: &[Value], named: &Kwargs) -> Result<String, Error> {
    let mut next = 0;
    braces_at(format, args, named, &mut next, 0)
}

fn braces_at(format: &str, args: &[Value], named: &Kwargs, next: &mut usize, depth: usize) -> Result<String, Error> {
    let mut out = String::new();
    let mut rest = format;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if rest.starts_with(brace) {
            out.push_str(brace);
            rest = &rest[1..];
            continue;
        }
        if brace == "}" {
            return Err(fault("single '}' encountered in format string"));
        }
        if depth > 1 {
            return Err(fault("format fields nest too deep"));
        }
        let end = field_end(rest).ok_or_else(|| fault("expected '}' before end of string"))?;
        let field = &rest[..end];
        rest = &rest[end + 1..];
        let (path, spec) = field.split_once(':').unwrap_or((field, ""));
        let (path, convert) = match path.split_once('!') {
            Some((path, convert)) => (path, convert),
            None => (path, ""),
        };
        let value = lookup(path, args, named, next)?;
        let spec = braces_at(spec, args, named, next, depth + 1)?;
        let value = match convert {
            "" => value,
            "s" => text(&value)?.into(),
            "r" => repr(&value)?.into(),
            "a" => ascii(&repr(&value)?).into(),
            other => return Err(fault(format!("unknown conversion {other:?}"))),
        };
        out.push_str(&formatted(&value, &spec)?);
        if out.len() > 64 << 20 {
            return Err(fault("a string is too large: more than 64 MiB"));
        }
    }
    Ok(out + rest)
}

fn field_end(text: &str) -> Option<usize> {
    let mut open = 0;
    for (i, c) in text.char_indices() {
        match c {
            '{' => open += 1,
            '}' if open == 0 => return Some(i),
            '}' => open -= 1,
            _ => {}
        }
    }
    None
}

/// The value of `name.attribute[item]`.
fn lookup(path: &str, args: &[Value], named: &Kwargs, next: &mut usize) -> Result<Value, Error> {
    let end = path.find(['.', '[']).unwrap_or(path.len());
    let (name, mut rest) = path.split_at(end);
    let none = || fault(format!("format string: no argument {name:?}"));
    let mut value = if name.is_empty() {
        *next += 1;
        args.get(*next - 1).cloned().ok_or_else(none)?
    } else if let Ok(i) = name.parse::<usize>() {
        args.get(i).cloned().ok_or_else(none)?
    } else {
        named.peek::<Option<Value>>(name).ok().flatten().filter(|_| named.has(name)).ok_or_else(none)?
    };
    while !rest.is_empty() {
        let key = if let Some(inside) = rest.strip_prefix('[') {
            let (key, after) = inside.split_once(']').ok_or_else(|| fault("missing ']' in format string"))?;
            rest = after;
            key.parse::<i64>().map_or_else(|_| Value::from(key), Value::from)
        } else {
            let inside = rest.strip_prefix('.').ok_or_else(|| fault("a broken field in format string"))?;
            let end = inside.find(['.', '[']).unwrap_or(inside.len());
            rest = &inside[end..];
            Value::from(&inside[..end])
        };
        value = value.get_item(&key)?;
    }
    Ok(value)
}

fn formatted(value: &Value, spec: &str) -> Result<String, Error> {
    if spec.is_empty() {
        return text(value);
    }
    let broken = || fault(format!("invalid format specifier {spec:?} for {}", kind(value).name()));
    let mut read = Spec::default();
    let mut chars = spec.chars().peekable();
    let second = spec.chars().nth(1).filter(|c| "<>^=".contains(*c));
    if second.is_some() {
        read.fill = chars.next();
        read.align = chars.next();
    } else if chars.peek().is_some_and(|c| "<>^=".contains(*c)) {
        read.align = chars.next();
    }
    if chars.peek().is_some_and(|c| "+- ".contains(*c)) {
        read.sign = chars.next();
    }
    if chars.peek() == Some(&'#') {
        read.alternate = chars.next().is_some();
    }
    if chars.peek() == Some(&'0') {
        read.zero = chars.next().is_some();
        if read.align.is_none() {
            read.align = Some('=');
            read.fill = read.fill.or(Some('0'));
        } else {
            read.fill = read.fill.or(Some('0'));
        }
    }
    read.width = number(&mut chars)?.unwrap_or(0);
    if chars.peek().is_some_and(|c| ",_".contains(*c)) {
        read.group = chars.next();
    }
    if chars.peek() == Some(&'.') {
        chars.next();
        read.precision = Some(number(&mut chars)?.ok_or_else(broken)?);
    }
    read.ty = chars.next();
    if chars.next().is_some() {
        return Err(broken());
    }
    let value_kind = kind(value);
    match (value_kind, read.ty) {
        (Kind::Str(text), None | Some('s')) if read.align != Some('=') || read.zero => {
            let align = if read.align == Some('=') { Some('<') } else { read.align };
            let spec = Spec { align, ..read };
            Ok(spec.padded(&spec.cut(text), '<'))
        }
        (Kind::Int(_) | Kind::Bool(_), None | Some('d' | 'b' | 'o' | 'x' | 'X' | 'n')) if read.precision.is_none() => {
            Ok(read.int(value_kind.int().unwrap_or(0), read.ty.unwrap_or('d')))
        }
        (Kind::Int(n), Some('c')) => {
            let c = u32::try_from(n).ok().and_then(char::from_u32).ok_or_else(broken)?;
            Ok(read.padded(&String::from(c), '<'))
        }
        (Kind::Int(_) | Kind::Bool(_) | Kind::Float(_), Some(ty @ ('e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%'))) => {
            Ok(read.float(value_kind.float().unwrap_or(0.0), ty))
        }
        (Kind::Float(x), None) => match read.precision {
            Some(_) => Ok(read.float(x, 'g')),
            None => Ok(read.number(x.is_sign_negative(), "", &read.grouped(float(x.abs()), 3))),
        },
        _ => Err(broken()),
    }
}
