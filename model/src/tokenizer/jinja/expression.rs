//! Jinja's expressions, rewritten for minijinja, the library that runs them: operators become calls of functions with
//! Python's semantics. The grammar and the precedence of operators are those of Jinja's parser.

use super::lex::Token;

/// Maximum nesting of brackets and operators.
const DEEPEST: usize = 100;
/// Maximum number of operands of one call; more become nested calls.
const OPERANDS: usize = 1000;
/// Maximum number of arguments of a call.
const ARGUMENTS: usize = 1000;

/// A rewritten part of an expression.
pub(super) struct Text {
    pub(super) text: String,
    /// Whether the library would evaluate it when it parses the template.
    constant: bool,
    /// Whether it ends with a filter, after which only another filter may follow.
    filtered: bool,
}

impl Text {
    fn call(function: &str, arguments: &str) -> Self {
        Self { text: format!("{function}({arguments})"), constant: false, filtered: false }
    }

    fn grouped(text: &str) -> Self {
        Self { text: format!("({text})"), constant: false, filtered: false }
    }
}

type Read = Result<Text, String>;

/// The tokens of a tag, and the position of the parser in them.
pub(super) struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    pub(super) fn new(tokens: Vec<Token>) -> Self {
        Self { tokens, at: 0, depth: 0 }
    }

    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn peek_after(&self) -> Option<&Token> {
        self.tokens.get(self.at + 1)
    }

    pub(super) fn op(&self, op: &str) -> bool {
        self.peek().is_some_and(|t| t.is(op))
    }

    pub(super) fn name(&self, name: &str) -> bool {
        self.peek().is_some_and(|t| t.is_name(name))
    }

    /// Consumes the next token if it is this operator or name.
    pub(super) fn skip(&mut self, word: &str) -> bool {
        let is = self.op(word) || self.name(word);
        self.at += usize::from(is);
        is
    }

    pub(super) fn expect(&mut self, word: &str) -> Result<(), String> {
        if self.skip(word) { Ok(()) } else { Err(self.unexpected(&format!("`{word}`"))) }
    }

    pub(super) fn expect_name(&mut self) -> Result<String, String> {
        match self.peek() {
            Some(Token::Name(name)) => {
                let name = name.clone();
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.unexpected("a name")),
        }
    }

    pub(super) fn end(&self) -> Result<(), String> {
        if self.peek().is_none() { Ok(()) } else { Err(self.unexpected("end of block")) }
    }

    fn unexpected(&self, expected: &str) -> String {
        match self.peek() {
            Some(token) => format!("unexpected {token}, expected {expected}"),
            None => format!("unexpected end of block, expected {expected}"),
        }
    }

    fn deeper(&mut self, read: impl FnOnce(&mut Self) -> Read) -> Read {
        if self.depth == DEEPEST {
            return Err("the template nests too deep (recursion limit)".into());
        }
        self.depth += 1;
        let text = read(self);
        self.depth -= 1;
        text
    }

    /// One expression, or several separated by commas, which are a tuple. `or_else`: whether `a if b else c` is allowed.
    pub(super) fn tuple(&mut self, or_else: bool, ends: &[&str], brackets: bool) -> Read {
        let mut parts: Vec<Text> = Vec::new();
        let mut is_tuple = false;
        loop {
            if !parts.is_empty() {
                self.expect(",")?;
            }
            let over = self.peek().is_none() || self.op(")") || ends.iter().any(|end| self.name(end));
            if over {
                break;
            }
            parts.push(if or_else { self.expression()? } else { self.deeper(Self::or)? });
            if !self.op(",") {
                break;
            }
            is_tuple = true;
        }
        if !is_tuple {
            match parts.pop() {
                Some(one) => return Ok(one),
                None if !brackets => return Err(self.unexpected("an expression")),
                None => {}
            }
        }
        let list: Vec<_> = parts.into_iter().map(|p| p.text).collect();
        Ok(Text::call("__tuple", &format!("[{}]", list.join(", "))))
    }

    /// One expression.
    pub(super) fn expression(&mut self) -> Read {
        self.deeper(|p| {
            let mut value = p.or()?;
            while p.skip("if") {
                let condition = p.or()?;
                let text = if p.skip("else") {
                    let other = p.expression()?;
                    format!("{} if {} else {}", value.text, condition.text, other.text)
                } else {
                    format!("{} if {}", value.text, condition.text)
                };
                value = Text::grouped(&text);
            }
            Ok(value)
        })
    }

    pub(super) fn or(&mut self) -> Read {
        self.logic("or", |p| p.logic("and", Self::not))
    }

    fn logic(&mut self, word: &str, part: impl Fn(&mut Self) -> Read) -> Read {
        let first = part(self)?;
        if !self.name(word) {
            return Ok(first);
        }
        let mut parts = vec![as_it_runs(first)];
        while self.skip(word) {
            parts.push(as_it_runs(part(self)?));
        }
        Ok(Text::grouped(&parts.join(&format!(" {word} "))))
    }

    fn not(&mut self) -> Read {
        if self.skip("not") {
            let value = self.deeper(Self::not)?;
            return Ok(Text::grouped(&format!("not {}", as_it_runs(value))));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Read {
        let first = self.sum()?;
        let (mut ops, mut parts) = (String::new(), vec![first]);
        loop {
            let code = match self.peek() {
                Some(Token::Op("==")) => 'e',
                Some(Token::Op("!=")) => 'n',
                Some(Token::Op("<")) => 'l',
                Some(Token::Op("<=")) => 'L',
                Some(Token::Op(">")) => 'g',
                Some(Token::Op(">=")) => 'G',
                Some(t) if t.is_name("in") => 'i',
                Some(t) if t.is_name("not") && self.peek_after().is_some_and(|t| t.is_name("in")) => {
                    self.at += 1;
                    'I'
                }
                _ => break,
            };
            self.at += 1;
            ops.push(code);
            parts.push(self.sum()?);
        }
        Ok(chain("__compare", &ops, parts, false))
    }

    fn sum(&mut self) -> Read {
        self.left(&[("+", '+'), ("-", '-')], Self::concatenation)
    }

    fn concatenation(&mut self) -> Read {
        let mut parts = vec![self.product()?];
        while self.skip("~") {
            parts.push(self.product()?);
        }
        let ops = "~".repeat(parts.len() - 1);
        Ok(chain("__math", &ops, parts, true))
    }

    fn product(&mut self) -> Read {
        self.left(&[("*", '*'), ("/", '/'), ("//", 'f'), ("%", '%')], Self::power)
    }

    fn power(&mut self) -> Read {
        self.left(&[("**", 'p')], |p| p.unary(true))
    }

    /// Left-associative operators of one precedence.
    fn left(&mut self, known: &[(&str, char)], part: impl Fn(&mut Self) -> Read) -> Read {
        let (mut ops, mut parts) = (String::new(), vec![part(self)?]);
        while let Some((_, code)) = known.iter().find(|(op, _)| self.op(op)) {
            self.at += 1;
            ops.push(*code);
            parts.push(part(self)?);
        }
        Ok(chain("__math", &ops, parts, true))
    }

    fn unary(&mut self, with_filters: bool) -> Read {
        let sign = ["-", "+"].into_iter().find(|sign| self.op(sign));
        let value = if let Some(sign) = sign {
            self.at += 1;
            let value = self.deeper(|p| p.unary(false))?;
            Text::call("__sign", &format!("\"{sign}\", {}", value.text))
        } else {
            self.primary()?
        };
        let value = self.postfix(value)?;
        if with_filters { self.filters(value) } else { Ok(value) }
    }

    fn primary(&mut self) -> Read {
        let Some(token) = self.peek().cloned() else { return Err(self.unexpected("an expression")) };
        let constant = |text: String| Ok(Text { text, constant: true, filtered: false });
        match token {
            Token::Name(name) => {
                if ["and", "else", "if", "in", "is", "not", "or"].contains(&&*name) {
                    return Err(self.unexpected("an expression"));
                }
                self.at += 1;
                let is_constant = ["true", "True", "false", "False", "none", "None"].contains(&&*name);
                Ok(Text { text: name, constant: is_constant, filtered: false })
            }
            Token::Int(n) => {
                self.at += 1;
                constant(if self.op(".") { format!("({n})") } else { n.to_string() })
            }
            Token::Float(x) => {
                self.at += 1;
                constant(if x.is_finite() { format!("({x:?})") } else { "(1e999)".into() })
            }
            Token::Str(_) => {
                let mut whole = String::new();
                while let Some(Token::Str(part)) = self.peek() {
                    whole.push_str(part);
                    self.at += 1;
                }
                constant(quoted(&whole))
            }
            Token::Op("(") => {
                self.at += 1;
                let value = self.deeper(|p| p.tuple(true, &[], true))?;
                self.expect(")")?;
                Ok(if value.filtered { Text::grouped(&value.text) } else { value })
            }
            Token::Op("[") => {
                self.at += 1;
                let items = self.listed("]", Self::expression)?;
                constant(format!("[{}]", items.join(", ")))
            }
            Token::Op("{") => {
                self.at += 1;
                let pair = |p: &mut Self| {
                    let key = p.expression()?;
                    p.expect(":")?;
                    let value = p.expression()?;
                    Ok(Text { text: format!("{}: {}", key.text, value.text), constant: false, filtered: false })
                };
                let items = self.listed("}", pair)?;
                constant(format!("{{{}}}", items.join(", ")))
            }
            Token::Op(_) => Err(self.unexpected("an expression")),
        }
    }

    /// Expressions separated by commas, and the closing bracket.
    fn listed(&mut self, end: &str, part: impl Fn(&mut Self) -> Read) -> Result<Vec<String>, String> {
        let mut parts = Vec::new();
        while !self.op(end) {
            if !parts.is_empty() {
                self.expect(",")?;
                if self.op(end) {
                    break;
                }
            }
            parts.push(part(self)?.text);
        }
        self.expect(end)?;
        Ok(parts)
    }

    fn postfix(&mut self, mut value: Text) -> Read {
        loop {
            value = if self.skip(".") {
                match self.peek().cloned() {
                    Some(Token::Int(n)) => {
                        self.at += 1;
                        Text { text: format!("{}[{n}]", value.text), constant: false, filtered: false }
                    }
                    _ => {
                        let name = self.expect_name()?;
                        Text { text: format!("{}.{name}", value.text), constant: false, filtered: false }
                    }
                }
            } else if self.skip("[") {
                self.subscript(&value)?
            } else if self.op("(") {
                self.call(&value)?
            } else {
                return Ok(value);
            };
        }
    }

    fn call(&mut self, value: &Text) -> Read {
        let arguments = self.arguments()?;
        Ok(Text::call(&value.text, &arguments))
    }

    /// The arguments of a call, with brackets.
    fn arguments(&mut self) -> Result<String, String> {
        self.expect("(")?;
        let part = |p: &mut Self| {
            let stars = ["**", "*"].into_iter().find(|stars| p.op(stars));
            if let Some(stars) = stars {
                p.at += 1;
                let value = p.expression()?;
                return Ok(Text { text: format!("{stars}{}", value.text), constant: false, filtered: false });
            }
            if p.peek_after().is_some_and(|t| t.is("=")) {
                let name = p.expect_name()?;
                p.at += 1;
                let value = p.expression()?;
                return Ok(Text { text: format!("{name}={}", value.text), constant: false, filtered: false });
            }
            p.expression()
        };
        let arguments = self.listed(")", part)?;
        if arguments.len() > ARGUMENTS {
            return Err(format!("a call has {} arguments, at most {ARGUMENTS} are taken", arguments.len()));
        }
        Ok(arguments.join(", "))
    }

    fn subscript(&mut self, value: &Text) -> Read {
        let mut parts: Vec<Option<String>> = Vec::new();
        let mut is_slice = false;
        loop {
            let is_part = !self.op(":") && !self.op("]") && !self.op(",");
            parts.push(if is_part { Some(self.expression()?.text) } else { None });
            if !self.skip(":") {
                break;
            }
            is_slice = true;
        }
        if !is_slice && self.op(",") {
            let mut all: Vec<String> = parts.into_iter().flatten().collect();
            while self.skip(",") {
                all.push(self.expression()?.text);
            }
            self.expect("]")?;
            return Ok(Text {
                text: format!("{}[__tuple([{}])]", value.text, all.join(", ")),
                constant: false,
                filtered: false,
            });
        }
        self.expect("]")?;
        if !is_slice {
            let Some(Some(index)) = parts.pop() else { return Err("unexpected `]`, expected an expression".into()) };
            return Ok(Text { text: format!("{}[{index}]", value.text), constant: false, filtered: false });
        }
        if parts.len() > 3 {
            return Err("a slice has at most three parts".into());
        }
        let parts: Vec<_> = parts.into_iter().map(|p| p.unwrap_or_else(|| "none".into())).collect();
        Ok(Text::call("__slice", &format!("{}, {}", value.text, parts.join(", "))))
    }

    /// Filters, tests and calls after a value.
    pub(super) fn filters(&mut self, mut value: Text) -> Read {
        loop {
            value = if self.skip("|") {
                let filter = self.filter()?;
                Text { text: format!("{}|{filter}", value.text), constant: false, filtered: true }
            } else if self.skip("is") {
                self.test(&value)?
            } else if self.op("(") {
                self.call(&Text::grouped(&value.text))?
            } else {
                return Ok(value);
            };
        }
    }

    /// A filter's name and arguments.
    pub(super) fn filter(&mut self) -> Result<String, String> {
        let mut name = self.expect_name()?;
        while self.skip(".") {
            name = format!("{name}.{}", self.expect_name()?);
        }
        if self.op("(") { Ok(format!("{name}({})", self.arguments()?)) } else { Ok(name) }
    }

    fn test(&mut self, value: &Text) -> Read {
        let not = if self.skip("not") { "not " } else { "" };
        let mut name = self.expect_name()?;
        while self.skip(".") {
            name = format!("{name}.{}", self.expect_name()?);
        }
        let arguments = match self.peek() {
            Some(Token::Op("(")) => self.arguments()?,
            Some(Token::Name(n)) if ["else", "or", "and"].contains(&&**n) => String::new(),
            Some(Token::Name(n)) if n == "is" => return Err("tests with `is` cannot be chained".into()),
            Some(Token::Name(_) | Token::Str(_) | Token::Int(_) | Token::Float(_) | Token::Op("[" | "{")) => {
                let value = self.primary()?;
                self.postfix(value)?.text
            }
            _ => String::new(),
        };
        let arguments = if arguments.is_empty() { arguments } else { format!("({arguments})") };
        Ok(Text::grouped(&format!("{} is {not}{name}{arguments}", value.text)))
    }

    /// The targets of an assignment: one name, several separated by commas or in brackets, or a namespace's attribute.
    /// Returns their number and the text.
    pub(super) fn targets(&mut self, end: &str) -> Result<(usize, String), String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("the template nests too deep (recursion limit)".into());
        }
        let mut parts = Vec::new();
        let mut is_tuple = false;
        loop {
            if self.skip("(") {
                parts.push(format!("({})", self.targets(")")?.1));
                self.expect(")")?;
            } else {
                let mut name = self.expect_name()?;
                if self.skip(".") {
                    name = format!("{name}.{}", self.expect_name()?);
                }
                parts.push(name);
            }
            if !self.skip(",") {
                break;
            }
            is_tuple = true;
            if self.op(end) || self.name(end) {
                break;
            }
        }
        self.depth -= 1;
        let comma = if is_tuple && parts.len() == 1 { "," } else { "" };
        Ok((parts.len() + usize::from(!comma.is_empty()), parts.join(", ") + comma))
    }
}

/// An expression that the library evaluates only when the template runs: otherwise constants become truth values.
fn as_it_runs(value: Text) -> String {
    if value.constant { format!("__value({})", value.text) } else { value.text }
}

/// A call that applies operations one after the other. A left fold may be split into several calls.
fn chain(function: &str, ops: &str, mut parts: Vec<Text>, is_fold: bool) -> Text {
    if parts.len() < 2 {
        return parts.pop().unwrap_or(Text { text: String::new(), constant: false, filtered: false });
    }
    let call = |ops: &str, parts: &[String]| format!("{function}(\"{ops}\", {})", parts.join(", "));
    let parts: Vec<String> = parts.into_iter().map(|p| p.text).collect();
    if !is_fold || parts.len() <= OPERANDS {
        return Text { text: call(ops, &parts), constant: false, filtered: false };
    }
    let mut text = parts[0].clone();
    for (ops, parts) in ops.as_bytes().chunks(OPERANDS).zip(parts[1..].chunks(OPERANDS)) {
        let ops: String = ops.iter().map(|b| char::from(*b)).collect();
        let all: Vec<String> = std::iter::once(text).chain(parts.iter().cloned()).collect();
        text = call(&ops, &all);
    }
    Text { text, constant: false, filtered: false }
}

/// A string literal in the library's syntax.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
