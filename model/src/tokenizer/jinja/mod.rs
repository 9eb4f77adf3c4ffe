//! Jinja with the configuration of Hugging Face's transformers, on the library minijinja. Where minijinja differs from
//! Jinja on Python, this module implements Python's behaviour: expressions are rewritten ([`source`],
//! [`expression`]) so that operators are functions, and methods, filters and tests are replaced.
//!
//! `tests/data/templates.py` compares the results with Jinja's.

mod characters;
mod expression;
mod filters;
mod format;
mod json;
mod lex;
mod methods;
mod ops;
mod source;
mod value;

use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Value,
    value::{Kwargs, Rest, from_args},
};
use value::{Kind, fault, items, kind, pairs};

/// See [`source::rewrite`].
pub(crate) fn rewrite(source: &str) -> Result<String, (String, usize)> {
    source::rewrite(source)
}

/// Configures an environment like transformers.
pub(crate) fn set_up(env: &mut Environment<'_>) {
    env.set_trim_blocks(true);
    env.set_lstrip_blocks(true);
    env.set_unknown_method_callback(methods::method);
    env.set_formatter(|out, state, value| {
        let text = value::text(value)?;
        let escape = !matches!(state.auto_escape(), AutoEscape::None) && !value.is_safe();
        out.write_str(&if escape { ops::escaped(&text) } else { text }).map_err(Error::from)
    });
    ops::add(env);
    filters::add(env);
    env.remove_global("debug");
    env.add_function("raise_exception", |text: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, text))
    });
    env.add_function("strftime_now", |format: &str| strftime(format, &jiff::Zoned::now().datetime()));
    env.add_function("dict", dict);
    let namespace = env.globals().find(|(name, _)| *name == "namespace").map(|(_, value)| value);
    if let Some(namespace) = namespace {
        env.add_function("namespace", move |state: &minijinja::State<'_, '_>, args: Rest<Value>| {
            namespace.call(state, &[dict(args)?])
        });
    }
}

/// Python's `dict`: from a dictionary or pairs, and from named arguments.
fn dict(args: Rest<Value>) -> Result<Value, Error> {
    let (list, named): (Rest<Value>, Kwargs) = from_args(&args)?;
    let mut all = match list.first() {
        None => Vec::new(),
        Some(value) if matches!(kind(value), Kind::Dict) => pairs(value)?,
        Some(value) => {
            let pair = |value: Value| match &items(&value)?[..] {
                [key, value] => Ok((key.clone(), value.clone())),
                other => Err(fault(format!("a pair is expected, not {} values", other.len()))),
            };
            items(value)?.into_iter().map(pair).collect::<Result<_, _>>()?
        }
    };
    if list.len() > 1 {
        return Err(fault("dict takes one argument and named ones"));
    }
    let names: Vec<&str> = named.args().collect();
    for name in names {
        all.push((name.into(), named.get(name)?));
    }
    Ok(all.into_iter().collect())
}

/// Python's `datetime.strftime` of a local time without a time zone.
fn strftime(format: &str, at: &jiff::civil::DateTime) -> Result<String, Error> {
    let format = format.replace("%Z", "").replace("%z", "");
    jiff::fmt::strtime::format(&format, *at).map_err(|e| fault(format!("strftime_now: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let at = jiff::civil::date(2024, 2, 29).at(12, 34, 56, 0);
        let time = |format: &str| strftime(format, &at).unwrap();
        assert_eq!(
            time("%Y-%m-%d %H:%M:%S %A %B %b %d, %I %p %y%% %j %a"),
            "2024-02-29 12:34:56 Thursday February Feb 29, 12 PM 24% 060 Thu"
        );
        assert_eq!(time("%F %T%Z"), "2024-02-29 12:34:56");
        assert!(strftime("%", &at).is_err());
    }
}
