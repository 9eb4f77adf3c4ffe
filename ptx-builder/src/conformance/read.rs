//! Reading a case's file.

use thiserror::Error;

use super::{Buffer, Case, Expected, Failure, Param};
use crate::types::ScalarType;

/// A line of a case that cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{file}:{line}: {message}")]
#[non_exhaustive]
pub struct CaseError {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, and what was expected.
    pub message: String,
}

/// What begins a case after another.
const BEGINS: &str = "\n//@ form ";

/// What the data lines after a directive belong to.
enum Target {
    None,
    Initial(usize),
    Expected(usize),
    Value(usize, ScalarType),
}

struct Reader {
    case: Case,
    target: Target,
    form: bool,
}

impl Case {
    /// Reads the cases of a file. `file` is what errors name.
    ///
    /// # Errors
    /// The first line with an unknown directive, type or word; or a case
    /// without a form or with a buffer whose `in` and `out` differ in length.
    pub fn parse_all(file: &str, text: &str) -> Result<Vec<Case>, CaseError> {
        let (mut cases, mut start, mut before) = (Vec::new(), 0, 0);
        while start < text.len() {
            let next = text[start + 1..].find(BEGINS).map_or(text.len(), |at| start + 1 + at + 1);
            let of = &text[start..next];
            let at_line = |e: CaseError| CaseError { line: e.line + before, ..e };
            cases.push(Case::parse(file, of).map_err(at_line)?);
            before += of.lines().count();
            start = next;
        }
        Ok(cases)
    }

    /// Reads one case. `file` is what errors name.
    ///
    /// # Errors
    /// As [`Case::parse_all`].
    pub fn parse(file: &str, text: &str) -> Result<Case, CaseError> {
        let (form, ptx) = (String::new(), text.to_owned());
        let case = Case { form, variant: None, block: 32, fails: None, params: Vec::new(), ptx };
        let mut reader = Reader { case, target: Target::None, form: false };
        let error = |line, message| CaseError { file: file.to_owned(), line, message };
        let mut last = 1;
        for (n, line) in text.lines().enumerate() {
            let Some(rest) = line.strip_prefix("//@ ") else { continue };
            last = n + 1;
            match rest.strip_prefix("  ") {
                Some(words) => reader.words(words),
                None => reader.directive(rest),
            }
            .map_err(|message| error(n + 1, message))?;
        }
        reader.finish().map_err(|message| error(last, message))
    }
}

impl Reader {
    fn directive(&mut self, text: &str) -> Result<(), String> {
        let mut words = text.split_whitespace();
        let mut next = |what: &str| words.next().ok_or_else(|| format!("`{text}` lacks its {what}"));
        self.target = Target::None;
        match next("directive")? {
            "form" => {
                self.case.form = next("form")?.to_owned();
                self.case.variant = words.next().map(str::to_owned);
                self.form = true;
            }
            "block" => {
                let count = next("number of threads")?;
                let threads = count.parse().ok().filter(|n| (1..=1024).contains(n));
                self.case.block = threads.ok_or_else(|| format!("a block has 1 to 1024 threads, not `{count}`"))?;
            }
            "fails" => match next("kind of failure")? {
                "trap" => self.case.fails = Some(Failure::Trap),
                other => return Err(format!("unknown failure `{other}`; the only one is `trap`")),
            },
            kind @ ("in" | "out" | "value") => {
                let name = next("parameter's name")?.to_owned();
                let ty = next("type")?;
                let ty = ScalarType::from_name(ty).filter(|t| (8..=64).contains(&t.bits()));
                let ty = ty.ok_or_else(|| format!("`{text}` names no type of 8 to 64 bits"))?;
                let options: Vec<&str> = words.collect();
                self.parameter(kind, name, ty, &options)?;
            }
            other => return Err(format!("unknown directive `{other}`; there are form, block, fails, in, out, value")),
        }
        Ok(())
    }

    fn parameter(&mut self, kind: &str, name: String, ty: ScalarType, options: &[&str]) -> Result<(), String> {
        let at = self.case.params.len();
        let known = self.case.params.iter().position(|p| matches!(p, Param::Buffer(b) if b.name == name));
        if kind == "value" {
            self.case.params.push(Param::Value(Vec::new()));
            self.target = Target::Value(at, ty);
            return Ok(());
        }
        let place = known.unwrap_or(at);
        if known.is_none() {
            self.case.params.push(Param::Buffer(Buffer {
                name: name.clone(),
                ty,
                initial: Vec::new(),
                expected: None,
            }));
        }
        let Some(Param::Buffer(buffer)) = self.case.params.get_mut(place) else { return Ok(()) };
        if buffer.ty != ty || known.is_some() && (kind == "in" || buffer.expected.is_some()) {
            return Err(format!("buffer `{name}` is an `in`, then perhaps an `out`, of one type"));
        }
        if kind == "in" {
            self.target = Target::Initial(place);
            return Ok(());
        }
        let mut expected = Expected { elements: Vec::new(), ulp: 0.0, absolute: 0.0 };
        for option in options.chunks(2) {
            let number = |text: &str| text.parse().ok().filter(|x: &f64| *x >= 0.0);
            match option {
                ["ulp", x] if number(x).is_some() => expected.ulp = number(x).unwrap_or_default(),
                ["abs", x] if number(x).is_some() => expected.absolute = number(x).unwrap_or_default(),
                other => return Err(format!("`{}` is no tolerance; write `ulp N` or `abs N`", other.join(" "))),
            }
        }
        buffer.expected = Some(expected);
        self.target = Target::Expected(place);
        Ok(())
    }

    fn words(&mut self, text: &str) -> Result<(), String> {
        for word in text.split_whitespace() {
            let (alternatives, count) = match word.split_once('*') {
                Some((word, n)) => (word, n.parse().ok().filter(|n| (1..=65536).contains(n))),
                None => (word, Some(1)),
            };
            let count: usize = count.ok_or_else(|| format!("`{word}` repeats a word, but not 1 to 65536 times"))?;
            let bits: Result<Vec<u64>, _> = alternatives.split('|').map(|w| u64::from_str_radix(w, 16)).collect();
            let bits = bits.map_err(|_| format!("`{word}` is no hexadecimal word"))?;
            for _ in 0..count {
                self.element(&bits)?;
            }
        }
        Ok(())
    }

    fn element(&mut self, bits: &[u64]) -> Result<(), String> {
        let (ty, bytes) = match self.target {
            Target::None => return Err("words before the directive that they belong to".to_owned()),
            Target::Value(at, ty) => match self.case.params.get_mut(at) {
                Some(Param::Value(bytes)) => (ty, bytes),
                _ => return Ok(()),
            },
            Target::Initial(at) | Target::Expected(at) => match self.case.params.get_mut(at) {
                Some(Param::Buffer(buffer)) => match (&self.target, &mut buffer.expected) {
                    (Target::Expected(_), Some(expected)) => {
                        if let Some(b) = bits.iter().find(|&&b| beyond(b, buffer.ty)) {
                            return Err(format!("{b:x} has more bits than {}", buffer.ty));
                        }
                        expected.elements.push(bits.to_vec());
                        return Ok(());
                    }
                    _ => (buffer.ty, &mut buffer.initial),
                },
                _ => return Ok(()),
            },
        };
        let [bits] = bits else { return Err("an input has one value".to_owned()) };
        if beyond(*bits, ty) {
            return Err(format!("{bits:x} has more bits than {ty}"));
        }
        bytes.extend_from_slice(&bits.to_le_bytes()[..ty.bytes() as usize]);
        Ok(())
    }

    fn finish(mut self) -> Result<Case, String> {
        if !self.form {
            return Err("no `//@ form` line".to_owned());
        }
        for param in &mut self.case.params {
            let Param::Buffer(buffer) = param else { continue };
            let Some(expected) = &buffer.expected else { continue };
            let bytes = expected.elements.len() * buffer.ty.bytes() as usize;
            if buffer.initial.is_empty() {
                buffer.initial = vec![Buffer::UNSET; bytes];
            }
            if buffer.initial.len() != bytes {
                return Err(format!("buffer `{}` has an `in` and an `out` of different lengths", buffer.name));
            }
        }
        Ok(self.case)
    }
}

fn beyond(bits: u64, ty: ScalarType) -> bool {
    ty.bits() < 64 && bits >> ty.bits() != 0
}
