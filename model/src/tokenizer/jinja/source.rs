//! Templates, rewritten for minijinja: text and tags are kept, expressions are rewritten by
//! [`expression`](super::expression).

use super::{expression::Parser, lex};

/// The rewritten template.
///
/// # Errors
/// The fault, and its line.
pub(super) fn rewrite(source: &str) -> Result<String, (String, usize)> {
    let mut out = String::with_capacity(source.len() * 2);
    let mut rest = source;
    loop {
        let begins = |at: &usize| matches!(rest.as_bytes().get(at + 1), Some(b'{' | b'%' | b'#'));
        let Some(start) = rest.match_indices('{').map(|(at, _)| at).find(begins) else {
            out.push_str(rest);
            return Ok(out);
        };
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let line = || source[..source.len() - rest.len()].matches('\n').count() + 1;
        let taken = match &rest[..2] {
            "{#" => comment(rest, &mut out),
            "{%" => match raw(rest, &mut out) {
                Some(taken) => taken,
                None => block(rest, &mut out),
            },
            _ => variable(rest, &mut out),
        };
        rest = &rest[taken.map_err(|e| (e, line()))?..];
    }
}

fn comment(text: &str, out: &mut String) -> Result<usize, String> {
    let end = text[2..].find("#}").ok_or("unexpected end of comment")? + 4;
    out.push_str(&text[..end]);
    Ok(end)
}

/// A `{% raw %}` block up to its end; `None` if it is another tag.
fn raw(text: &str, out: &mut String) -> Option<Result<usize, String>> {
    let tag = |text: &str, name: &str| -> Option<usize> {
        let inside = text.strip_prefix("{%")?;
        let inside = inside.strip_prefix(['-', '+']).unwrap_or(inside).trim_start();
        let after = inside.strip_prefix(name)?.trim_start();
        let after = after.strip_prefix(['-', '+']).unwrap_or(after).strip_prefix("%}")?;
        Some(text.len() - after.len())
    };
    let begin = tag(text, "raw")?;
    let mut at = begin;
    while let Some(next) = text[at..].find("{%") {
        at += next;
        if let Some(end) = tag(&text[at..], "endraw") {
            out.push_str(&text[..begin]);
            // The library removes a line break after the tag; Jinja does not.
            if text[begin..].starts_with('\n') && !text[..begin].ends_with("-%}") {
                out.push('\n');
            }
            out.push_str(&text[begin..at + end]);
            return Some(Ok(at + end));
        }
        at += 2;
    }
    Some(Err("unexpected end of raw block".into()))
}

/// The white-space control character at a tag's beginning.
fn sign(text: &str) -> &str {
    if text[2..].starts_with(['-', '+']) { &text[2..3] } else { "" }
}

fn variable(text: &str, out: &mut String) -> Result<usize, String> {
    let sign = sign(text);
    let start = 2 + sign.len();
    let (tokens, end, length) = lex::tag(&text[start..], &["-}}", "}}"])?;
    let mut parser = Parser::new(tokens);
    let value = parser.tuple(true, &[], false)?;
    parser.end()?;
    out.push_str("{{");
    out.push_str(if sign == "-" { "-" } else { "" });
    finish(&value.text, &text[start..start + length], end, out);
    Ok(start + length)
}

fn block(text: &str, out: &mut String) -> Result<usize, String> {
    let sign = sign(text);
    let start = 2 + sign.len();
    let (tokens, end, length) = lex::tag(&text[start..], &["-%}", "+%}", "%}"])?;
    let mut parser = Parser::new(tokens);
    let statement = statement(&mut parser)?;
    parser.end()?;
    out.push_str("{%");
    out.push_str(sign);
    finish(&statement, &text[start..start + length], end, out);
    Ok(start + length)
}

/// The tag's rewritten contents and its end, with the same number of lines.
fn finish(inside: &str, before: &str, end: &str, out: &mut String) {
    out.push(' ');
    out.push_str(inside);
    let lines = |text: &str| text.matches('\n').count();
    out.push_str(&"\n".repeat(lines(before).saturating_sub(lines(inside))));
    out.push(' ');
    out.push_str(end);
}

fn statement(p: &mut Parser) -> Result<String, String> {
    let name = p.expect_name().map_err(|_| "a tag's name is expected")?;
    Ok(match &*name {
        "if" | "elif" => format!("{name} {}", p.tuple(false, &[], false)?.text),
        "for" => for_loop(p)?,
        "set" => {
            let (count, targets) = p.targets("=")?;
            if p.skip("=") {
                let value = p.tuple(true, &[], false)?.text;
                if count > 1 {
                    format!("set {targets} = __unpack({value})")
                } else {
                    format!("set {targets} = {value}")
                }
            } else {
                let mut filters = String::new();
                while p.skip("|") {
                    filters = format!("{filters}|{}", p.filter()?);
                }
                format!("set {targets}{filters}")
            }
        }
        "macro" => format!("macro {}{}", p.expect_name()?, parameters(p)?),
        "call" => {
            let parameters = if p.op("(") { parameters(p)? } else { String::new() };
            format!("call{parameters} {}", p.expression()?.text)
        }
        "with" => {
            let mut parts = Vec::new();
            while p.peek().is_some() {
                if !parts.is_empty() {
                    p.expect(",")?;
                }
                let (_, target) = p.targets("=")?;
                p.expect("=")?;
                parts.push(format!("{target} = {}", p.expression()?.text));
            }
            format!("with {}", parts.join(", "))
        }
        "filter" => {
            let mut filters = p.filter()?;
            while p.skip("|") {
                filters = format!("{filters}|{}", p.filter()?);
            }
            format!("filter {filters}")
        }
        "autoescape" => format!("autoescape {}", p.expression()?.text),
        "block" => format!("block {}", p.expect_name()?),
        "endblock" | "endmacro" => {
            if p.peek().is_some() {
                p.expect_name()?;
            }
            name
        }
        // Transformers marks an assistant's text with this tag; it does not change the output.
        "generation" => "with".into(),
        "endgeneration" => "endwith".into(),
        "else" | "endif" | "endfor" | "endset" | "endcall" | "endwith" | "endfilter" | "endautoescape" | "break"
        | "continue" => name,
        "include" | "import" | "from" | "extends" => return Err(format!("`{name}`: there is no other template")),
        _ => return Err(format!("unknown tag `{name}`")),
    })
}

fn for_loop(p: &mut Parser) -> Result<String, String> {
    let (_, targets) = p.targets("in")?;
    p.expect("in")?;
    let over = p.tuple(false, &["recursive"], false)?.text;
    let mut text = format!("for {targets} in __iterable({over})");
    if p.skip("if") {
        text = format!("{text} if {}", p.expression()?.text);
    }
    if p.skip("recursive") {
        text.push_str(" recursive");
    }
    Ok(text)
}

/// A macro's parameters, with brackets.
fn parameters(p: &mut Parser) -> Result<String, String> {
    p.expect("(")?;
    let mut parts = Vec::new();
    while !p.op(")") {
        if !parts.is_empty() {
            p.expect(",")?;
            if p.op(")") {
                break;
            }
        }
        let name = p.expect_name()?;
        parts.push(if p.skip("=") { format!("{name}={}", p.expression()?.text) } else { name });
    }
    p.expect(")")?;
    Ok(format!("({})", parts.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::{super::lex::Token, *};

    #[test]
    fn text_and_lines_stay() {
        let lines = |text: &str| text.matches('\n').count();
        for source in
            ["a\n{{ 1\n+\n2 }}\nb", "{%- if\n x %}y{% endif\n%}", "{# a\n b #}\n{% raw %}{{ 1 + }}{% endraw %}"]
        {
            assert_eq!(lines(&rewrite(source).unwrap()), lines(source), "{source}");
        }
        assert_eq!(rewrite("a\n{{ 1 + }}").unwrap_err().1, 2);
        assert_eq!(rewrite("{{ a }").unwrap_err().1, 1);
        assert!(matches!(lex::tag("1 }}", &["}}"]), Ok((tokens, "}}", 4)) if tokens == [Token::Int(1)]));
    }
}
